//! The mutation test of the tests: `make mutants` runs it; here it is kept runnable.

use tests::mutants;

#[test]
fn every_mutant_still_applies() {
    let mutants = mutants::all().unwrap();
    assert!(mutants.len() >= 12, "{} mutants", mutants.len());
    for mutant in mutants {
        mutant.check_applies().unwrap();
    }
}

//! `make mutants`: puts each deliberate bug of `tests/mutants` in, and shows what catches it.
//!
//! Environment: `ONLY=<part of a name>` tries the mutants that match.

use std::process::ExitCode;

use anyhow::{Context, Result};
use tests::mutants::{self, Copy, Mutant, Verdict};
use tests::progress;

fn main() -> Result<ExitCode> {
    let only = std::env::var("ONLY").unwrap_or_default();
    let mut chosen = mutants::all()?;
    chosen.retain(|mutant| mutant.name.contains(&only));
    let copy = Copy::open()?;
    // All of them first: a patch that does not fit is known within a second.
    for mutant in &chosen {
        mutant.check_applies()?;
    }
    for mutant in &chosen {
        let step = progress::step(format!("without the bug of {}", mutant.name));
        copy.check_passes(mutant)
            .with_context(|| format!("look at what is to catch {}", mutant.name))?;
        step.done();
    }
    let (mut caught, mut missed) = (0, 0);
    for mutant in &chosen {
        match try_one(&copy, mutant)? {
            Verdict::Caught(by) => {
                caught += 1;
                println!("caught  {}: {}\n        {by}", mutant.name, mutant.bug);
            }
            Verdict::Missed => {
                missed += 1;
                println!("MISSED  {}: {}", mutant.name, mutant.bug);
            }
        }
    }
    println!("{caught} caught, {missed} missed");
    let all = caught > 0 && missed == 0;
    Ok(if all {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn try_one(copy: &Copy, mutant: &Mutant) -> Result<Verdict> {
    let step = progress::step(format!("with the bug of {}", mutant.name));
    let verdict = copy
        .try_mutant(mutant)
        .with_context(|| format!("try {}", mutant.name))?;
    step.done();
    Ok(verdict)
}

//! What is issued is what clients want, and what is torn is recognised.

use super::*;
use crate::certificate::issue::{self, IssueError, announce, prune, switch};
use inject::certs::{BACKDATE_S, Lives};
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

const NOW_S: i64 = 1_800_000_000;

fn names() -> Names {
    Names::new("hook", "ns")
}

fn read(data: Data, names: &Names) -> Result<Served, Unusable> {
    Served::read(data, names, &Origin::Own(Lives::default()))
}

fn issue(names: &Names, now_s: i64) -> Result<Data, IssueError> {
    issue::issue(names, &Lives::default(), now_s)
}

#[test]
fn certificates_say_what_they_are_for() {
    let served = read(issue(&names(), NOW_S).unwrap(), &names()).unwrap();
    let expected = |life_s| Validity {
        not_before_s: NOW_S - BACKDATE_S,
        not_after_s: NOW_S + life_s,
    };
    assert_eq!(
        (served.ca, served.leaf),
        (
            expected(Lives::default().authority.life_s),
            expected(Lives::default().serving.life_s)
        )
    );

    let ca_der = certificates(&served.data, CA_CRT).unwrap();
    let ca = X509Certificate::from_der(&ca_der[0]).unwrap().1;
    let constraints = ca.basic_constraints().unwrap().unwrap().value;
    assert_eq!(
        (constraints.ca, constraints.path_len_constraint),
        (true, Some(0))
    );
    let usage = ca.key_usage().unwrap().unwrap().value;
    assert!(usage.key_cert_sign() && usage.crl_sign() && !usage.digital_signature());
    assert_eq!(
        ca.subject().to_string(),
        "CN=active-passive webhook authority 1800000000"
    );

    let leaf = X509Certificate::from_der(&served.key.cert[0]).unwrap().1;
    let usage = leaf.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_cert_sign());
    assert!(
        leaf.extended_key_usage()
            .unwrap()
            .unwrap()
            .value
            .server_auth
    );
    assert!(!leaf.is_ca());
    assert_ne!(leaf.raw_serial(), ca.raw_serial());
    let authority = |extension: &ParsedExtension<'_>| {
        matches!(extension, ParsedExtension::AuthorityKeyIdentifier(_))
    };
    assert!(
        leaf.iter_extensions()
            .any(|extension| authority(extension.parsed_extension()))
    );
    let names = leaf.subject_alternative_name().unwrap().unwrap().value;
    let names: Vec<&str> = names
        .general_names
        .iter()
        .map(|name| match name {
            GeneralName::DNSName(name) => *name,
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(
        names,
        ["hook.ns.svc", "hook.ns", "hook.ns.svc.cluster.local"]
    );
}

#[test]
fn a_renewed_certificate_has_the_same_authority() {
    let first = issue(&names(), NOW_S).unwrap();
    let lives = Lives::default();
    let life_s = lives.serving.life_s;
    let later_s = NOW_S + life_s;
    let renewed = issue::renew(&first, &names(), &lives, later_s).unwrap();
    let served = read(renewed, &names()).unwrap();
    assert_eq!(served.data[CA_CRT], first[CA_CRT]);
    assert_ne!(served.data[TLS_CRT], first[TLS_CRT]);
    assert!(served.is_valid(later_s + life_s - 1));
    assert!(!served.is_valid(later_s + life_s + 1));
}

#[test]
fn an_authority_is_replaced_by_one_that_was_trusted_before() {
    let lives = Lives::default();
    let whole = |data: &Data| read(data.clone(), &names()).unwrap();
    let first = issue(&names(), NOW_S).unwrap();
    assert_eq!(whole(&first).rotation, Rotation::None);

    let announced = announce(&first, &lives, NOW_S + 10).unwrap();
    let since_s = NOW_S + 10;
    assert_eq!(whole(&announced).rotation, Rotation::Announced { since_s });
    assert_eq!(
        announced[TLS_CRT], first[TLS_CRT],
        "the present one signs on"
    );

    let switched = switch(&announced, &names(), &lives, NOW_S + 20).unwrap();
    let since_s = NOW_S + 20;
    assert_eq!(whole(&switched).rotation, Rotation::Switched { since_s });
    // What was announced is enough to trust what is served now, and the other way round.
    for (trusted, served) in [(&announced, &switched), (&switched, &first)] {
        let mut mixed = served.clone();
        mixed.insert(CA_CRT.to_owned(), trusted[CA_CRT].clone());
        mixed.remove(NEXT_CA_KEY);
        whole(&mixed);
    }

    let pruned = prune(&switched).unwrap();
    assert_eq!(whole(&pruned).rotation, Rotation::None);
    assert_eq!(whole(&pruned).ca, whole(&switched).ca);
    let mut stale = first;
    stale.insert(CA_CRT.to_owned(), pruned[CA_CRT].clone());
    let refused = read(stale, &names()).unwrap_err();
    assert!(matches!(refused, Unusable::NotVouched { .. }), "{refused}");
}

#[test]
fn a_serving_certificate_ends_with_its_authority() {
    let lives = Lives::default();
    let first = issue(&names(), NOW_S).unwrap();
    let late_s = NOW_S + lives.authority.life_s - 100;
    let renewed = issue::renew(&first, &names(), &lives, late_s).unwrap();
    let served = read(renewed, &names()).unwrap();
    assert_eq!(served.leaf.not_after_s, served.ca.not_after_s);
}

#[test]
fn what_cannot_be_served_is_said() {
    let whole = issue(&names(), NOW_S).unwrap();
    let other = issue(&names(), NOW_S).unwrap();
    let with = |key: &str, value: &[u8]| {
        let mut data = whole.clone();
        data.insert(key.to_owned(), ByteString(value.to_vec()));
        read(data, &names()).unwrap_err().to_string()
    };
    assert_eq!(
        read(Data::new(), &names()).unwrap_err().to_string(),
        "ca.crt is missing or empty"
    );
    assert_eq!(with(CA_KEY, b""), "ca.key is missing or empty");
    assert_eq!(
        with(TLS_CRT, b"nonsense"),
        "tls.crt is no PEM of what it should hold"
    );
    let error = with(TLS_KEY, &other[TLS_KEY].0);
    assert!(
        error.starts_with("certificate and key do not go together"),
        "{error}"
    );
    let error = with(CA_CRT, &other[CA_CRT].0);
    assert!(
        error.starts_with("the authority does not vouch for hook.ns.svc"),
        "{error}"
    );
    let error = read(whole, &Names::new("other", "ns"))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("the authority does not vouch for other.ns.svc"),
        "{error}"
    );
}

#[test]
fn what_somebody_else_made_needs_no_key_of_the_authority() {
    let mut given = issue(&names(), NOW_S).unwrap();
    given.remove(CA_KEY);
    let served = Served::read(given.clone(), &names(), &Origin::Given).unwrap();
    assert_eq!(served.rotation, Rotation::None);
    given.remove(CA_CRT);
    let error = Served::read(given, &names(), &Origin::Given).unwrap_err();
    assert_eq!(error.to_string(), "ca.crt is missing or empty");
}

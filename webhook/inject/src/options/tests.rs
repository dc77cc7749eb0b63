//! What annotations may say. Most refusals stand in the golden folder, `bad-values`.

use super::*;
use serde_json::json;

fn parse(pairs: &[(&str, &str)]) -> Result<Options, Vec<String>> {
    let annotations = pairs
        .iter()
        .map(|(key, value)| (format!("active-passive.dev/{key}"), json!(value)))
        .collect();
    Options::parse(&annotations).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

#[test]
fn defaults_are_those_of_the_contract() {
    let options = parse(&[]).unwrap();
    let times = (
        options.lease_duration_ms,
        options.renew_deadline_ms,
        options.retry_period_ms,
    );
    assert_eq!(times, (15_000, 10_000, 2_000));
    assert_eq!(options.role_label, "active-passive.dev/role");
    assert_eq!(
        (options.settle_ms, options.unready_grace_ms),
        (2_000, 5_000)
    );
    assert_eq!(options.resources, None);
    assert!(options.hold_app);
    assert_eq!(options.service_account, ServiceAccountMode::Auto);
}

#[test]
fn other_times_follow_the_lease_duration() {
    let options = parse(&[("lease-duration", "3s")]).unwrap();
    assert_eq!(
        (options.renew_deadline_ms, options.retry_period_ms),
        (2_000, 400)
    );
}

#[test]
fn a_wrong_value_is_refused_with_what_is_allowed() {
    for (key, value, message) in [
        (
            "lease-duration",
            "5",
            r#""5" is no duration: write it like 15s, 1m30s or 500ms"#,
        ),
        (
            "lease-duration",
            "2s",
            r#""2s" is out of range: write 3s to 1h"#,
        ),
        (
            "lease-duration",
            "3500ms",
            r#""3500ms" is refused: a Lease counts whole seconds"#,
        ),
        (
            "renew-deadline",
            "15s",
            "15s is not less than the lease-duration 15s: write less, such as 10s",
        ),
        (
            "retry-period",
            "9s",
            "9s times 1.2 is 10s800ms, which is not less than the renew-deadline 10s: write \
             8s333ms or less",
        ),
        (
            "renew-deadline",
            "50ms",
            r#""50ms" is out of range: write 100ms to 1h"#,
        ),
        (
            "handover",
            "fast",
            r#""fast" is not allowed: write "seamless" or "exclusive""#,
        ),
        (
            "profile",
            "mine",
            "\"mine\" is unknown: write default or one of apsc, service-leader-election, \
             leader-labeler, leader-labeler-v0.3, leader-elector",
        ),
    ] {
        let expected = format!("active-passive.dev/{key}: {message}");
        assert_eq!(parse(&[(key, value)]), Err(vec![expected]));
    }
}

#[test]
fn folders_are_absolute() {
    for (folder, good) in [
        ("/run/role", true),
        ("/run/role/", true),
        ("/", false),
        ("", false),
        ("run", false),
        ("/run/../etc", false),
        ("/run//role", false),
        ("/run:role", false),
    ] {
        assert_eq!(parse(&[("status-dir", folder)]).is_ok(), good, "{folder:?}");
    }
}

#[test]
fn urls_stay_in_the_pod() {
    for (url, good) in [
        ("http://localhost", true),
        ("http://localhost:8080/role?a=b", true),
        ("http://127.0.0.1:1/", true),
        ("http://[::1]:8080/role", true),
        ("https://localhost", false),
        ("http://localhost.example.com", false),
        ("http://localhost@example.com", false),
        ("http://localhost:0/", false),
        ("http://localhost:99999/", false),
        ("http://localhost/ b", false),
    ] {
        assert_eq!(parse(&[("notify-url", url)]).is_ok(), good, "{url:?}");
    }
}

#[test]
fn resources_are_quantities() {
    for (resources, good) in [
        (r#"{"requests":{"cpu":"5m","memory":16777216}}"#, true),
        ("{}", true),
        (r#"{"limits":{"cpu":1.5}}"#, true),
        (r#"{"claims":[]}"#, false),
        (r#"{"limits":"1"}"#, false),
        (r#"{"limits":{"cpu":"-1"}}"#, false),
        (r#"{"limits":{"cpu":true}}"#, false),
        ("[]", false),
        ("{", false),
    ] {
        assert_eq!(
            parse(&[("resources", resources)]).is_ok(),
            good,
            "{resources:?}"
        );
    }
}

#[test]
fn a_long_value_is_repeated_in_part() {
    let errors = parse(&[("handover", &"x".repeat(500))]).unwrap_err();
    let shown = "x".repeat(80);
    let expected = format!(
        "active-passive.dev/handover: \"{shown}\"... is not allowed: write \"seamless\" or \
         \"exclusive\""
    );
    assert_eq!(errors, [expected]);
}

#[test]
fn a_huge_value_is_not_repeated() {
    let errors = parse(&[("handover", &"x".repeat(5_000))]).unwrap_err();
    let expected = "active-passive.dev/handover: the value has 5000 bytes: at most 1024";
    assert_eq!(errors, [expected]);
}

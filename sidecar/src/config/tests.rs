use super::*;
use std::collections::BTreeMap;

fn read(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let mut all: BTreeMap<&str, &str> = BTreeMap::from([
        (env::GROUP, "web"),
        (env::POD_NAME, "web-1"),
        (env::POD_UID, "u-1"),
        (env::POD_NAMESPACE, "shop"),
    ]);
    all.extend(vars.iter().copied());
    Config::read(|name| all.get(name).map(|value| (*value).to_owned()))
}

#[test]
fn defaults_are_the_documented_ones() {
    let config = read(&[]).unwrap();
    assert_eq!(config.params.lease_duration_ms, 15_000);
    assert_eq!(config.params.renew_deadline_ms, 10_000);
    assert_eq!(config.params.retry_period_ms, 2_000);
    assert_eq!(config.params.drain_timeout_ms, 27_000);
    assert_eq!(config.params.unready_grace_ms, 5_000);
    assert_eq!(config.params.handover, Handover::Seamless);
    assert_eq!(config.params.identity.to_string(), "web-1_u-1");
    assert_eq!(config.params.owner, None);
    assert_eq!(config.settle_ms, 2_000);
    assert_eq!(config.port, 4280);
    assert_eq!(config.containers, Containers::All);
    assert_eq!(config.role_label.key, "active-passive.dev/role");
    assert_eq!(config.role_label.passive.as_deref(), Some("passive"));
    assert!(config.connect_timeout_ms() < config.params.attempt_ms_max());
}

#[test]
fn settings_are_taken_as_the_webhook_writes_them() {
    let config = read(&[
        (env::LEASE_DURATION, "3s"),
        (env::OWNER, "Deployment/web"),
        (env::HANDOVER, "exclusive"),
        (env::PASSIVE_VALUE, ""),
        (env::CONTAINERS, "app,proxy"),
        (env::DRAIN_TIMEOUT, "1m30s"),
        (env::STATUS_DIR, "/var/run/active-passive"),
        (env::NOTIFY_URL, "http://localhost:8080/role"),
    ])
    .unwrap();
    assert_eq!(config.params.renew_deadline_ms, 2_000);
    assert_eq!(config.params.owner.as_deref(), Some("Deployment/web"));
    assert_eq!(config.params.handover, Handover::Exclusive);
    assert_eq!(config.params.drain_timeout_ms, 90_000);
    assert_eq!(
        config.role_label.passive, None,
        "an empty value means no label"
    );
    assert!(config.containers.count("proxy") && !config.containers.count("log"));
    assert!(config.status_dir.is_some() && config.notify_url.is_some());
    assert!(config.connect_timeout_ms() < config.params.attempt_ms_max());
}

#[test]
fn errors_name_the_variable_and_what_it_may_be() {
    for (name, value, part) in [
        (env::GROUP, "Web", "DNS label"),
        (env::GROUP, "", "is missing"),
        (env::LEASE_DURATION, "2s", "3s to 1h"),
        (env::LEASE_DURATION, "3500ms", "whole seconds"),
        (env::RENEW_DEADLINE, "15s", "shorter than the lease"),
        (env::RETRY_PERIOD, "9s", "1.2 times"),
        (env::SETTLE, "2", "like 15s"),
        (env::PORT, "0", "1 to 65535"),
        (env::HANDOVER, "quick", "seamless or exclusive"),
        (env::NOTIFY_URL, "http://example.com/", "localhost"),
    ] {
        let error = read(&[(name, value)]).unwrap_err().to_string();
        assert!(
            error.contains(name) && error.contains(part),
            "{name}={value:?}: {error}"
        );
    }
}

use super::*;
use crate::lease::Fence;
use crate::personality::begin::settings;
use common::pod::Pod;
use election::Giving;
use serde_json::json;

fn asked_for(arguments: &[&str], vars: &[(&str, &str)]) -> Result<Option<Asked>, Refused> {
    let lookup = |name: &str| {
        let mut vars = vars.iter();
        vars.find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    };
    asked(arguments, &lookup)
}

fn pod(labels: &serde_json::Value) -> Pod {
    let pod = json!({"metadata": {
        "name": "apsc-test-1", "uid": "u-1", "resourceVersion": "7", "labels": labels,
    }});
    serde_json::from_value(pod).unwrap()
}

const POD: (&str, &str) = ("POD_NAME", "apsc-test-1");
const NAMESPACE: (&str, &str) = ("POD_NAMESPACE", "shop");

#[test]
fn nobody_is_taken_for_another_system_by_chance() {
    for vars in [
        &[][..],
        &[POD, NAMESPACE],
        &[
            POD,
            NAMESPACE,
            ("ACTIVE_PASSIVE_GROUP", "web"),
            ("LABEL_KEY", "a/b"),
        ],
    ] {
        assert_eq!(asked_for(&[], vars), Ok(None), "{vars:?}");
    }
    let refused = asked_for(&[], &[("ACTIVE_PASSIVE_PERSONALITY", "abc")]).unwrap_err();
    assert_eq!(refused.exit_code, 2);
    assert!(
        refused.message.contains("apsc, service-leader-election"),
        "{refused}"
    );
}

#[test]
fn apsc_is_known_by_its_own_variable_or_by_name() {
    let by_key = asked_for(&[], &[POD, NAMESPACE, ("LABEL_KEY", "example.com/state")]);
    assert_eq!(by_key.unwrap().unwrap().role_label.key, "example.com/state");
    let by_name = asked_for(
        &[],
        &[POD, NAMESPACE, ("ACTIVE_PASSIVE_PERSONALITY", "apsc")],
    );
    let role_label = by_name.unwrap().unwrap().role_label;
    assert_eq!(role_label.key, "apsc.knoppiks.de/state");
    assert_eq!(
        (role_label.active.as_str(), role_label.passive),
        ("active", None)
    );
}

#[test]
fn apsc_says_what_is_missing_in_its_own_words() {
    let personality = ("ACTIVE_PASSIVE_PERSONALITY", "apsc");
    for (vars, message) in [
        (&[personality, POD][..], "missing POD_NAMESPACE env var"),
        (&[personality, NAMESPACE], "missing POD_NAME env var"),
        (
            &[personality, NAMESPACE, ("POD_NAME", "")],
            "missing POD_NAME env var",
        ),
    ] {
        let refused = asked_for(&[], vars).unwrap_err();
        assert_eq!(
            (refused.message.as_str(), refused.exit_code),
            (message, 255)
        );
    }
}

#[test]
fn apsc_names_its_lease_after_two_labels() {
    let asked = asked_for(&[], &[POD, NAMESPACE, ("LABEL_KEY", "example.com/state")]);
    let asked = asked.unwrap().unwrap();
    let labels = json!({
        "app.kubernetes.io/name": "apsc-test", "app.kubernetes.io/component": "server",
    });
    let config = settings(&asked, &pod(&labels), |_| None).unwrap();
    assert_eq!(config.lease.name, "apsc-test-server");
    assert_eq!(config.lease.fence, Fence::Unsaid);
    assert_eq!(config.params.customs.giving, Giving::StrippedAndFreed);
    assert_eq!(config.params.identity.uid, "u-1");
    assert!(config.members.has(&pod(&labels).metadata));
    assert!(!config.members.has(&pod(&json!({})).metadata));
    let refused = settings(&asked, &pod(&json!({})), |_| None).unwrap_err();
    assert_eq!(refused.exit_code, 255);
    assert!(
        refused.message.contains("app.kubernetes.io/name"),
        "{refused}"
    );
}

fn labeler(arguments: &[&str], vars: &[(&str, &str)]) -> Asked {
    asked_for(arguments, vars).unwrap().unwrap()
}

#[test]
fn leader_labeler_is_known_by_its_flag_and_its_generation_by_theirs() {
    let old = labeler(&["--election-name=my-app"], &[POD, NAMESPACE]);
    assert_eq!(old.seed.name, "leader-labeler");
    assert_eq!(
        old.mark,
        Mark::Label("my-app/participant".to_owned(), "true".to_owned())
    );
    assert!(old.lingers && old.rights.is_empty());
    let arguments = [
        "-election-name",
        "my-app",
        "--pod-namespace=shop",
        "--pod-name=a",
    ];
    let new = labeler(&arguments, &[]);
    assert_eq!(new.seed.name, "leader-labeler-v0.3");
    assert_eq!(
        (new.mark, new.lingers, new.rights.len()),
        (Mark::None, false, 6)
    );
}

#[test]
fn leader_labelers_flags_become_settings() {
    let arguments = [
        "--election-name=database",
        "--leadership-label=db.example.com/primary",
        "--participation-label=db.example.com/member",
        "--lease-duration=10s",
        "--renew-deadline=5s",
        "--retry-period=1s",
    ];
    let asked = labeler(&arguments, &[POD, NAMESPACE]);
    let labels = json!({"db.example.com/primary": "false"});
    let config = settings(&asked, &pod(&labels), |_| None).unwrap();
    assert_eq!(config.lease.name, "database");
    assert_eq!(config.role_label.key, "db.example.com/primary");
    assert_eq!(config.role_label.active, "true");
    assert_eq!(config.role_label.passive.as_deref(), Some("false"));
    let params = &config.params;
    let times = (
        params.lease_duration_ms,
        params.renew_deadline_ms,
        params.retry_period_ms,
    );
    assert_eq!(times, (10_000, 5_000, 1_000));
    assert_eq!(params.drain_timeout_ms, 27_000, "of a grace period of 30 s");
    assert!(config.members.has(&pod(&labels).metadata));
    assert!(!config.members.has(&pod(&json!({"app": "web"})).metadata));
    let together = labeler(
        &["--election-name=a", "--lease-name=a-lock"],
        &[POD, NAMESPACE],
    );
    let config = settings(&together, &pod(&labels), |_| None).unwrap();
    assert_eq!(config.lease.name, "a-lock");
}

#[test]
fn leader_labeler_says_what_is_missing_in_its_own_words() {
    let personality = ("ACTIVE_PASSIVE_PERSONALITY", "leader-labeler");
    for (arguments, vars, message) in [
        (
            &[][..],
            &[personality, POD, NAMESPACE][..],
            "Error: --election-name is required",
        ),
        (
            &["--election-name=a"],
            &[NAMESPACE],
            "Error: --pod-name is required (or set POD_NAME env var)",
        ),
        (
            &["--election-name=a"],
            &[POD],
            "Error: --namespace is required (or set POD_NAMESPACE env var)",
        ),
    ] {
        let refused = asked_for(arguments, vars).unwrap_err();
        assert_eq!((refused.message.as_str(), refused.exit_code), (message, 1));
    }
    let unknown = asked_for(&["--election-name=a", "--abc=1"], &[POD, NAMESPACE]).unwrap_err();
    assert_eq!(unknown.exit_code, 2);
}

const LEASE: (&str, &str) = ("LEASE_NAME", "myapp-lock");
const ELECTOR_NAMESPACE: (&str, &str) = ("NAMESPACE", "shop");

#[test]
fn leader_elector_is_known_by_its_variables_and_labels_where_asked_to() {
    let plain = asked_for(&[], &[LEASE, ELECTOR_NAMESPACE])
        .unwrap()
        .unwrap();
    assert_eq!(plain.seed.name, "leader-elector");
    assert_eq!(plain.peers, Peers::Unknown);
    let labels = ("LABEL_POD_ROLE", "true");
    let all = [
        LEASE,
        ELECTOR_NAMESPACE,
        labels,
        POD,
        ("HEALTH_PORT", "9090"),
    ];
    let labelled = asked_for(&[], &all).unwrap().unwrap();
    assert_eq!(labelled.peers, Peers::Own);
    let config = settings(&labelled, &pod(&json!({})), |_| None).unwrap();
    assert_eq!(
        (config.lease.name.as_str(), config.port),
        ("myapp-lock", 9090)
    );
    let files = config.role_files.unwrap();
    assert_eq!(files.folder.to_str(), Some("/tmp/leader_status"));
    assert_eq!(
        (files.active.as_str(), files.passive.as_deref()),
        ("leader", Some("follower"))
    );
    let one = [
        LEASE,
        ELECTOR_NAMESPACE,
        ("STATUS_FILE", "/shared/leader_status"),
    ];
    let one = asked_for(&[], &one).unwrap().unwrap();
    let files = settings(&one, &pod(&json!({})), |_| None)
        .unwrap()
        .role_files
        .unwrap();
    assert_eq!(files.folder.to_str(), Some("/shared"));
    assert_eq!(
        (files.active.as_str(), files.passive),
        ("leader_status", None)
    );
}

#[test]
fn leader_elector_says_what_is_missing_in_its_own_words() {
    let personality = ("ACTIVE_PASSIVE_PERSONALITY", "leader-elector");
    for (vars, message) in [
        (&[personality, ELECTOR_NAMESPACE][..], "LEASE_NAME not set"),
        (&[personality, LEASE], "NAMESPACE not set"),
        (
            &[LEASE, ELECTOR_NAMESPACE, ("LABEL_POD_ROLE", "true")],
            "POD_NAME must be set when LABEL_POD_ROLE is enabled",
        ),
    ] {
        let refused = asked_for(&[], vars).unwrap_err();
        assert_eq!((refused.message.as_str(), refused.exit_code), (message, 2));
    }
}

#[test]
fn service_leader_election_is_known_by_its_flags() {
    let vars = [POD, NAMESPACE];
    let asked = labeler(
        &["-lease-name=lockname", "-service-name=servicename"],
        &vars,
    );
    assert_eq!(asked.seed.name, "service-leader-election");
    let pod = json!({
        "metadata": {"name": "apsc-test-1", "uid": "u-1", "resourceVersion": "7"},
        "spec": {"containers": [{"name": "app"}, {"name": "sidecar"}]},
    });
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let config = settings(&asked, &pod, |_| None).unwrap();
    assert_eq!(
        (config.lease.name.as_str(), config.port),
        ("lockname", 28_086)
    );
    assert!(config.containers.count("app") && !config.containers.count("sidecar"));
    let route = config.route.unwrap();
    assert_eq!(route.service, "servicename");
    let own = (
        "service-leader-election".to_owned(),
        "apsc-test-1".to_owned(),
    );
    assert_eq!((route.key, route.value), own.clone());
    assert_eq!(config.mark, Mark::Label(own.0, own.1));
    let apart = labeler(&["-patch-service=false", "-web.port=9000"], &vars);
    let config = settings(&apart, &pod, |_| None).unwrap();
    assert_eq!(
        (config.lease.name.as_str(), config.port),
        ("service-leader-election", 9000)
    );
    assert_eq!(config.route, None);
    let refused = asked_for(&["-service-name=a"], &[NAMESPACE]).unwrap_err();
    assert_eq!(refused.exit_code, 1);
}

//! What each account may do, as the API server sees it: no more and no less than SECURITY.md says.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use k8s_openapi::api::authorization::v1::{SelfSubjectRulesReview, SelfSubjectRulesReviewSpec};
use kube::api::{Api, PostParams};
use tests::cluster::Cluster;
use tests::scene::SYSTEM_NAMESPACE;

/// An account, a namespace, and what it may do there: verbs, then what they are of.
struct Account {
    name: &'static str,
    at: &'static str,
    may: &'static [&'static [&'static str]],
}

/// In every namespace.
const WEBHOOK: [&str; 16] = [
    "get list patch watch mutatingwebhookconfigurations.admissionregistration.k8s.io/active-passive",
    "create get list watch serviceaccounts",
    "create get list update watch rolebindings.rbac.authorization.k8s.io",
    "bind clusterroles.rbac.authorization.k8s.io/active-passive-router,active-passive-sidecar",
    "list watch services",
    // For policies.
    "list watch activepassivepolicies.active-passive.dev",
    "patch activepassivepolicies/status.active-passive.dev",
    "get list patch watch validatingwebhookconfigurations.admissionregistration.k8s.io/active-passive",
    "list watch namespaces",
    "list deployments.apps",
    "list statefulsets.apps",
    "list daemonsets.apps",
    "list jobs.batch",
    "list cronjobs.batch",
    "list pods",
    "list leases.coordination.k8s.io",
];

const ACCOUNTS: [Account; 4] = [
    Account {
        name: "active-passive-system:active-passive-webhook",
        at: "default",
        may: &[&WEBHOOK],
    },
    Account {
        name: "active-passive-system:active-passive-webhook",
        at: SYSTEM_NAMESPACE,
        may: &[
            &WEBHOOK,
            &[
                "get list update watch secrets/active-passive-webhook-certificate",
                "create secrets",
                "create events.events.k8s.io",
            ],
        ],
    },
    // The group of deploy/examples/web.yaml has an annotated Service.
    Account {
        name: "default:active-passive-group-web",
        at: "default",
        may: &[&[
            "create get list update watch leases.coordination.k8s.io",
            "get list watch pods",
            "patch pods/status",
            "create events",
            "create events.events.k8s.io",
            "get list patch watch services",
        ]],
    },
    Account {
        name: "default:active-passive-group-web",
        at: "kube-system",
        may: &[],
    },
];

/// Holds every account against its list.
pub(crate) async fn are_as_written(cluster: &Cluster) -> Result<()> {
    for Account { name, at, may } in ACCOUNTS {
        let everybody = rights(cluster, "default:nobody", at).await?;
        let rights = rights(cluster, name, at).await?;
        let found: BTreeSet<&String> = rights.difference(&everybody).collect();
        let written: BTreeSet<String> = may
            .concat()
            .iter()
            .map(|right| (*right).to_owned())
            .collect();
        let written: BTreeSet<&String> = written.iter().collect();
        ensure!(
            found == written,
            "{name} in {at} may {found:#?},\nand SECURITY.md says {written:#?}"
        );
    }
    Ok(())
}

/// What the API server lets a service account do in a namespace.
pub(crate) async fn rights(
    cluster: &Cluster,
    account: &str,
    namespace: &str,
) -> Result<BTreeSet<String>> {
    let user = format!("system:serviceaccount:{account}");
    let kube = cluster
        .kube()
        .with_user(&user, "system:serviceaccounts")
        .await?;
    let reviews: Api<SelfSubjectRulesReview> = Api::all(kube.client());
    let review = SelfSubjectRulesReview {
        spec: SelfSubjectRulesReviewSpec {
            namespace: Some(namespace.to_owned()),
        },
        ..Default::default()
    };
    let review = reviews.create(&PostParams::default(), &review).await?;
    let status = review.status.unwrap_or_default();
    ensure!(
        !status.incomplete,
        "the API server does not know all rights of {account}"
    );
    let mut rights = BTreeSet::new();
    for rule in status.resource_rules {
        let mut verbs = rule.verbs;
        verbs.sort();
        let mut names = rule.resource_names.unwrap_or_default();
        names.sort();
        for group in rule.api_groups.unwrap_or_default() {
            for resource in rule.resources.iter().flatten() {
                let dot = if group.is_empty() { "" } else { "." };
                let slash = if names.is_empty() { "" } else { "/" };
                let (verbs, names) = (verbs.join(" "), names.join(","));
                rights.insert(format!("{verbs} {resource}{dot}{group}{slash}{names}"));
            }
        }
    }
    Ok(rights)
}

//! Could it be installed here, and would it work?

use crate::check::facts::Read;
use crate::check::finding::{Finding, page};
use crate::check::names;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations,
};
use k8s_openapi::api::core::v1::{Namespace, Node};
use std::collections::BTreeSet;

/// First minor version of Kubernetes 1 whose policies are stable.
const POLICIES_MINOR: u32 = 30;
/// First minor version whose kubelets run native sidecars without being asked.
const NATIVE_MINOR: u32 = 29;
/// The label by which a namespace enforces a level of Pod Security.
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
const ARCHITECTURE: &str = "amd64";
const ADMISSION: &str = "admissionregistration.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const FLOW: &str = "flowcontrol.apiserver.k8s.io";

/// A kind of object that the chart brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) group: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) namespaced: bool,
}

impl Kind {
    const fn new(group: &'static str, resource: &'static str, namespaced: bool) -> Self {
        Self {
            group,
            resource,
            namespaced,
        }
    }

    /// Its API may be absent in part.
    pub(crate) fn is_admission(&self) -> bool {
        self.group == ADMISSION
    }
}

/// All of them.
pub(crate) const KINDS: &[Kind] = &[
    Kind::new("", "namespaces", false),
    Kind::new("", "resourcequotas", true),
    Kind::new("", "serviceaccounts", true),
    Kind::new("", "secrets", true),
    Kind::new("", "services", true),
    Kind::new("apps", "deployments", true),
    Kind::new("policy", "poddisruptionbudgets", true),
    Kind::new("apiextensions.k8s.io", "customresourcedefinitions", false),
    Kind::new(RBAC, "clusterroles", false),
    Kind::new(RBAC, "clusterrolebindings", false),
    Kind::new(RBAC, "roles", true),
    Kind::new(RBAC, "rolebindings", true),
    Kind::new(ADMISSION, "mutatingwebhookconfigurations", false),
    Kind::new(ADMISSION, "validatingwebhookconfigurations", false),
    Kind::new(ADMISSION, "validatingadmissionpolicies", false),
    Kind::new(ADMISSION, "validatingadmissionpolicybindings", false),
    Kind::new(ADMISSION, "mutatingadmissionpolicies", false),
    Kind::new(ADMISSION, "mutatingadmissionpolicybindings", false),
    Kind::new(FLOW, "flowschemas", false),
    Kind::new(FLOW, "prioritylevelconfigurations", false),
];

/// What became of a pod with a native sidecar, in a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Native {
    /// It came back as it was.
    Kept,
    /// Its restartPolicy, or all of it, was gone.
    Stripped,
    /// Somebody refused the pod; what they say.
    Refused(String),
    /// The user may not create pods here.
    NotAllowed(String),
}

/// What was read.
#[derive(Debug, Clone)]
pub(crate) struct Before {
    /// Of the API server, as `v1.36.3`.
    pub(crate) version: String,
    /// Resources of the admission API.
    pub(crate) admission: Vec<String>,
    /// Kinds that the user may not create.
    pub(crate) refused: Vec<Kind>,
    pub(crate) nodes: Read<Vec<Node>>,
    /// Where groups would be, and where the webhook: its name, and the namespace.
    pub(crate) namespaces: Vec<(String, Read<Namespace>)>,
    pub(crate) native: Native,
    pub(crate) webhooks: Read<Vec<MutatingWebhookConfiguration>>,
}

/// All that is to be said.
pub(crate) fn findings(facts: &Before) -> Vec<Finding> {
    let mut findings = vec![version(facts), policies(facts), rights(facts)];
    findings.extend(nodes(facts));
    findings.extend(facts.namespaces.iter().filter_map(security));
    findings.push(native(facts));
    findings.extend(webhooks(facts));
    findings
}

/// The minor version of Kubernetes 1.
fn minor(version: &str) -> Option<u32> {
    let rest = version.trim_start_matches('v').strip_prefix("1.")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn version(facts: &Before) -> Finding {
    let check = "ApiVersion";
    let text = format!("the API server is {}", facts.version);
    match minor(&facts.version) {
        Some(minor) if minor < POLICIES_MINOR => Finding::error(
            check,
            format!("{text}, and 1.{POLICIES_MINOR} or later is needed"),
        )
        .cure("upgrade the cluster first")
        .docs(page::NEEDS),
        Some(_) => Finding::ok(check, text),
        None => Finding::warning(check, format!("{text}, which is no known form"))
            .cure(format!("make sure that it is 1.{POLICIES_MINOR} or later"))
            .docs(page::NEEDS),
    }
}

fn policies(facts: &Before) -> Finding {
    let check = "PolicyApi";
    let has = |name: &str| facts.admission.iter().any(|it| it == name);
    if !has("validatingadmissionpolicies") {
        let text = "the API server has no ValidatingAdmissionPolicy: nothing would refuse writes \
                    of who does not lead";
        return Finding::error(check, text)
            .cure("let --runtime-config of the API server leave admissionregistration.k8s.io/v1 on")
            .docs(page::NEEDS);
    }
    let who = if has("mutatingadmissionpolicies") {
        "the API server itself"
    } else {
        "the webhook"
    };
    let text = format!("admission policies are there; annotated Services are pointed by {who}");
    Finding::ok(check, text)
}

fn rights(facts: &Before) -> Finding {
    let check = "InstallRights";
    if facts.refused.is_empty() {
        return Finding::ok(
            check,
            "you may create every kind of object that the chart brings",
        );
    }
    let names: Vec<&str> = facts.refused.iter().map(|it| it.resource).collect();
    Finding::error(check, format!("you may not create {}", names.join(", ")))
        .cure("have somebody install it who is bound to the ClusterRole cluster-admin")
        .docs(page::NEEDS)
}

fn nodes(facts: &Before) -> Vec<Finding> {
    let nodes = match &facts.nodes {
        Read::Seen(nodes) => nodes,
        Read::Absent => return Vec::new(),
        Read::Unseen(why) => return vec![Finding::unseen("Nodes", why)],
    };
    let infos = || {
        nodes.iter().filter_map(|node| {
            let info = node.status.as_ref()?.node_info.as_ref()?;
            Some((node.metadata.name.as_deref().unwrap_or_default(), info))
        })
    };
    let is_old = |version: &str| minor(version).is_some_and(|minor| minor < NATIVE_MINOR);
    let old: Vec<&str> = infos()
        .filter(|(_, info)| is_old(&info.kubelet_version))
        .map(|(name, _)| name)
        .collect();
    let mut findings = Vec::new();
    if !old.is_empty() {
        let text = format!(
            "kubelets before 1.{NATIVE_MINOR} do not run native sidecars unless they are asked \
             to: {}",
            old.join(", ")
        );
        findings.push(
            Finding::error("Nodes", text)
                .cure("upgrade these nodes, or keep annotated pods away from them")
                .docs(page::NEEDS),
        );
    }
    let other: BTreeSet<&str> = infos()
        .map(|(_, info)| info.architecture.as_str())
        .filter(|it| *it != ARCHITECTURE)
        .collect();
    if !other.is_empty() {
        let text = format!(
            "some nodes are {}, and images are made for {ARCHITECTURE}",
            Vec::from_iter(other).join(", ")
        );
        findings.push(
            Finding::warning("Nodes", text)
                .cure(format!(
                    "a nodeSelector `kubernetes.io/arch: {ARCHITECTURE}` on annotated pods"
                ))
                .docs(page::NEEDS),
        );
    }
    if findings.is_empty() {
        let text = format!("{} nodes run native sidecars", nodes.len());
        findings.push(Finding::ok("Nodes", text));
    }
    findings
}

/// Pod Security stops neither sidecar nor webhook: both keep to the strictest level.
fn security((name, namespace): &(String, Read<Namespace>)) -> Option<Finding> {
    let check = "PodSecurity";
    let labels = match namespace {
        Read::Seen(namespace) => namespace.metadata.labels.as_ref(),
        // It is made with the install.
        Read::Absent => return None,
        Read::Unseen(why) => return Some(Finding::unseen(check, why)),
    };
    Some(Finding::ok(
        check,
        match labels.and_then(|labels| labels.get(ENFORCE)) {
            Some(level) => format!(
                "namespace {name} enforces {level}; sidecars and webhook keep to restricted, the \
                 strictest"
            ),
            None => format!("namespace {name} enforces no level of its own"),
        },
    ))
}

fn native(facts: &Before) -> Finding {
    let check = "NativeSidecars";
    match &facts.native {
        Native::Kept => Finding::ok(
            check,
            "a native sidecar comes through admission (a dry run)",
        ),
        Native::Stripped => Finding::error(
            check,
            "a native sidecar loses its restartPolicy in admission: pods with one never start",
        )
        .cure(
            "one of the webhooks named below does not know the field: update it, or have it leave \
             annotated pods out",
        )
        .docs(page::WRONG),
        Native::Refused(message) => {
            let text = format!("a pod with a native sidecar was refused: {message}");
            Finding::warning(check, text)
                .cure("choose a namespace by -n whose quotas and policies let such a pod pass")
                .docs(page::CHECK)
        }
        Native::NotAllowed(why) => Finding::unseen(check, why),
    }
}

/// Other webhooks that change pods are no fault. They are named since they see ours.
fn webhooks(facts: &Before) -> Vec<Finding> {
    let check = "OtherWebhooks";
    let configurations = match &facts.webhooks {
        Read::Seen(configurations) => configurations,
        Read::Absent => return Vec::new(),
        Read::Unseen(why) => return vec![Finding::unseen(check, why)],
    };
    let ours = |it: &&MutatingWebhookConfiguration| {
        it.metadata.name.as_deref() == Some(names::CONFIGURATION)
    };
    let mut findings = Vec::new();
    if configurations.iter().any(|it| ours(&it)) {
        let text = "it is installed already: this would be an upgrade";
        findings.push(Finding::ok("Installed", text));
    }
    let others = configurations.iter().filter(|it| !ours(it));
    let of_pods: Vec<&str> = others
        .flat_map(|it| it.webhooks.iter().flatten())
        .filter(|entry| changes_pods(entry))
        .map(|entry| entry.name.as_str())
        .collect();
    findings.push(if of_pods.is_empty() {
        Finding::ok(check, "no other webhook changes pods")
    } else {
        let text = format!("other webhooks that change pods: {}", of_pods.join(", "));
        Finding::ok(check, text)
    });
    findings
}

fn changes_pods(entry: &MutatingWebhook) -> bool {
    let holds = |list: &Option<Vec<String>>, wanted: &str| {
        let mut list = list.iter().flatten();
        list.any(|it| it == wanted || it == "*" || it == "*/*")
    };
    let fits = |rule: &RuleWithOperations| {
        holds(&rule.api_groups, "")
            && holds(&rule.resources, "pods")
            && holds(&rule.operations, "CREATE")
    };
    entry.rules.iter().flatten().any(fits)
}

#[cfg(test)]
mod tests;

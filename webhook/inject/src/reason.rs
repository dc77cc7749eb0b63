//! Why a pod is left alone or refused: one enum, with a stable code and a sentence that teaches.

use common::contract;
use std::collections::BTreeSet;
use std::fmt;

/// Why a pod is skipped or denied. The code goes into metrics and audit annotations, the text to
/// whoever made the pod.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    // --- skipped ---
    /// The pod does not carry `inject: "true"`.
    #[error("the pod did not ask for the sidecar")]
    NotAsked,
    /// A static pod as its node mirrors it: changing the mirror changes nothing that runs.
    #[error("this is the mirror of a static pod, which only its node can change")]
    MirrorPod,
    /// Not a creation: the containers of a pod do not change during its life.
    #[error("containers are added when a pod is created, not later")]
    NotCreate,

    /// Nothing is injected in the namespace. API servers do not ask then: somebody else did.
    #[error("nothing is injected in this namespace")]
    ExcludedNamespace,

    /// A policy asks for the sidecar in the pod's place, and the pod cannot have it.
    #[error("policy {policy} asks for the sidecar, but: {why}")]
    NotForThisPod {
        /// Name of the policy.
        policy: String,
        /// What stands against it.
        why: String,
    },

    // --- denied ---
    /// The object is no pod that could be worked on.
    #[error("{path} is not {expected}")]
    Malformed {
        /// Path from the root of the pod.
        path: String,
        /// What should stand there.
        expected: &'static str,
    },
    /// The sidecar is a Linux program.
    #[error(
        "the sidecar runs on Linux only, and this pod is for Windows nodes: remove {key}",
        key = contract::INJECT
    )]
    Windows,
    /// An annotation has a value that does not parse.
    #[error(transparent)]
    BadValue(#[from] BadValue),
    /// Nothing names the group.
    #[error(
        "this pod has no controller to name its election group after: add the annotation \
         {key}: <name>",
        key = contract::GROUP
    )]
    NoGroup,
    /// The owner's name cannot name the group.
    #[error(
        "{name:?}, the name of its {kind}, is no DNS label of at most 63 characters and so names \
         no election group: add the annotation {key}: <name> to the pod template",
        key = contract::GROUP
    )]
    OwnerNameNoGroup {
        /// Kind of the owner.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The pod carries the group label with another value.
    #[error(
        "label {key} is {label:?}, but the group of this pod is {group:?}: remove the label, the \
         webhook writes it; the annotation {key} names the group",
        key = contract::GROUP
    )]
    GroupLabelDiffers {
        /// Value of the label.
        label: String,
        /// The group as derived.
        group: String,
    },
    /// The role label's key is in use for something else.
    #[error(
        "label {key} is {value:?} and would be overwritten by the role: choose another key with \
         the annotation {annotation}",
        annotation = contract::ROLE_LABEL
    )]
    RoleLabelTaken {
        /// Key of the label.
        key: String,
        /// Its value.
        value: String,
    },
    /// The template carries a label that sidecars will change.
    #[error(
        "label {key} is {value:?} in the pod template, and sidecars write it: a pod whose label \
         changes may leave the selector of its controller, which then makes pods without end; \
         remove it from template and selector{or}",
        or = other_key(key)
    )]
    LabelPreset {
        /// Key of the label.
        key: String,
        /// Its value.
        value: String,
    },
    /// A container of the pod has the sidecar's name and is not the sidecar.
    #[error(
        "container {name:?} is not the sidecar, which needs this name: rename it",
        name = contract::CONTAINER
    )]
    ForeignContainer,
    /// A volume of the pod has the name of ours and is another.
    #[error(
        "volume {name:?} is not the one that the sidecar needs under this name: rename it; names \
         that begin with {prefix} are taken",
        prefix = contract::VOLUME_PREFIX
    )]
    ForeignVolume {
        /// Name of the volume.
        name: String,
    },
    /// Something else is mounted where the role file shall be.
    #[error(
        "{key}: {dir:?} cannot be mounted beside {mount:?} of container {container:?}: choose a \
         folder that is neither the same, nor around it, nor within one that is mounted to read",
        key = contract::STATUS_DIR
    )]
    StatusDirTaken {
        /// Name of the container.
        container: String,
        /// The folder.
        dir: String,
        /// The mount that is in the way.
        mount: String,
    },
    /// The pod runs as the account of another group, whose Lease it may not write.
    #[error(
        "account {account:?} belongs to another election group than {group:?}: remove \
         serviceAccountName, or name an account of your own"
    )]
    AccountOfAnotherGroup {
        /// Name of the account.
        account: String,
        /// Group of the pod.
        group: String,
    },
    /// A workload violates a policy.
    #[error("policy {policy}: {what}")]
    PolicyViolated {
        /// Name of the policy.
        policy: String,
        /// What is wrong, and what to do.
        what: String,
    },
    /// The provisioner has not made the account in time.
    #[error("the account of group {group} is not ready yet, retry")]
    AccountNotReady {
        /// Group of the pod.
        group: String,
    },
    /// The API server does not take the account or its binding.
    #[error("the account of group {group} cannot be made: {why}")]
    AccountRefused {
        /// Group of the pod.
        group: String,
        /// What the API server says.
        why: String,
    },
}

/// The role label may have another key.
fn other_key(key: &str) -> String {
    if key == contract::POD {
        return String::new();
    }
    format!(
        ", or choose another key with the annotation {}",
        contract::ROLE_LABEL
    )
}

impl Reason {
    /// A name for programs; it never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAsked => "not-asked",
            Self::MirrorPod => "mirror-pod",
            Self::NotCreate => "not-create",
            Self::ExcludedNamespace => "excluded-namespace",
            Self::NotForThisPod { .. } => "not-for-this-pod",
            Self::Malformed { .. } => "malformed",
            Self::Windows => "windows",
            Self::BadValue(_) => "bad-value",
            Self::NoGroup => "no-group",
            Self::OwnerNameNoGroup { .. } => "owner-name-no-group",
            Self::GroupLabelDiffers { .. } => "group-label-differs",
            Self::RoleLabelTaken { .. } => "role-label-taken",
            Self::LabelPreset { .. } => "label-preset",
            Self::ForeignContainer => "foreign-container",
            Self::ForeignVolume { .. } => "foreign-volume",
            Self::StatusDirTaken { .. } => "status-dir-taken",
            Self::AccountOfAnotherGroup { .. } => "account-of-another-group",
            Self::PolicyViolated { .. } => "policy-violated",
            Self::AccountNotReady { .. } => "account-not-ready",
            Self::AccountRefused { .. } => "account-refused",
        }
    }
}

/// An annotation whose value does not parse. Names annotation, value and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct BadValue {
    /// The whole key.
    pub key: &'static str,
    /// The value and what is allowed.
    pub problem: String,
}

/// Everything that is wrong with a pod, at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reasons(pub Vec<Reason>);

impl Reasons {
    /// Code of the first reason, which is the one that metrics count.
    pub fn code(&self) -> &'static str {
        self.0.first().map_or("none", Reason::code)
    }
}

impl Reasons {
    /// Codes of all reasons, each once, separated by commas.
    pub fn codes(&self) -> String {
        let codes: BTreeSet<&str> = self.0.iter().map(Reason::code).collect();
        codes.into_iter().collect::<Vec<_>>().join(",")
    }
}

impl From<Reason> for Reasons {
    fn from(reason: Reason) -> Self {
        Self(vec![reason])
    }
}

impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, reason) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{reason}")?;
        }
        Ok(())
    }
}

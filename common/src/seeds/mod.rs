//! The systems that this one takes the place of, each as it shows itself to others.
//!
//! One description a system, read by the webhook (annotation `profile`) and by the sidecar, as
//! injected or started with the system's own settings, and by the plugin that rewrites its manifests.
//! The names of those settings stand beside it. Absent from it: anything that is decided.

mod apsc;
pub mod flags;
pub mod leader_elector;
pub mod leader_labeler;
pub mod service_leader_election;

pub use apsc::{APSC, COMPONENT_LABEL, LABEL_KEY, NAME_LABEL};
pub use leader_elector::LEADER_ELECTOR;
pub use leader_labeler::{LEADER_LABELER, LEADER_LABELER_V0_3, PARTICIPANT, PARTICIPATES};
pub use service_leader_election::SERVICE_LEADER_ELECTION;

use crate::ids::HolderForm;
use crate::role::{Giving, RoleLabelNames};

/// How one system shows itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed {
    /// Its name: value of the annotation `profile`, and of the variable that starts the sidecar in
    /// its place.
    pub name: &'static str,
    /// What its Lease is called.
    pub lease: LeaseRule,
    /// How a holder writes itself into the Lease.
    pub holder: HolderForm,
    /// How a pod that is told to stop gives the Lease away.
    pub giving: Giving,
    /// Key and values of the label that carries the role; `None`: pods carry none.
    pub role: Option<RoleRule>,
    /// Where its sidecar answers HTTP; `None`: nowhere.
    pub port: Option<u16>,
    /// What it answers there.
    pub routes: &'static [Route],
    /// Folder that holds a file named after the role; `None`: there is none.
    pub status_dir: Option<&'static str>,
    /// Status with which it ends when its settings are wrong.
    pub exit_code: u8,
}

/// What a Lease is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseRule {
    /// `<name>-<component>`, by these two labels of the pod.
    Labels(&'static str, &'static str),
    /// As the election.
    Election,
    /// As the election, and this.
    ElectionAnd(&'static str),
}

/// How the role shows as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleRule {
    /// Its key.
    pub key: KeyRule,
    /// Value on the active pod.
    pub active: &'static str,
    /// Value on the others; `None`: the label is absent.
    pub passive: Option<&'static str>,
}

/// Key of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRule {
    /// This one.
    Fixed(&'static str),
    /// `<election>/<this>`.
    OfElection(&'static str),
}

/// A path, and what a GET of it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The path.
    pub path: &'static str,
    /// The answer.
    pub answer: Answer,
}

/// What a GET is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 200 with this text.
    Always(&'static str),
    /// 200 with the first text on the leader, 503 with the second elsewhere.
    Leads(&'static str, &'static str),
    /// 200 with the first text while the containers that count are ready, 500 with the second
    /// otherwise.
    AppReady(&'static str, &'static str),
    /// 200 with the name of the pod.
    PodName,
}

/// All of them, in the order of the documentation.
pub const SEEDS: [&Seed; 5] = [
    &APSC,
    &SERVICE_LEADER_ELECTION,
    &LEADER_LABELER,
    &LEADER_LABELER_V0_3,
    &LEADER_ELECTOR,
];

impl Seed {
    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        SEEDS.into_iter().find(|seed| seed.name == name)
    }

    /// Name of the Lease of an election. `label` reads the pod's labels; an absent one is empty, as it
    /// is for the system itself.
    pub fn lease_name<'a>(
        &self,
        election: &str,
        label: impl Fn(&str) -> Option<&'a str>,
    ) -> String {
        match self.lease {
            LeaseRule::Labels(name, component) => {
                let text = |key| label(key).unwrap_or_default();
                format!("{}-{}", text(name), text(component))
            }
            LeaseRule::Election => election.to_owned(),
            LeaseRule::ElectionAnd(end) => format!("{election}{end}"),
        }
    }

    /// The role label of an election.
    #[must_use]
    pub fn role_label(&self, election: &str) -> Option<RoleLabelNames> {
        self.role.map(|role| RoleLabelNames {
            key: role.key.of(election),
            active: role.active.to_owned(),
            passive: role.passive.map(str::to_owned),
        })
    }
}

impl KeyRule {
    /// The key in an election.
    #[must_use]
    pub fn of(self, election: &str) -> String {
        match self {
            Self::Fixed(key) => key.to_owned(),
            Self::OfElection(name) => format!("{election}/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::PROFILES;

    #[test]
    fn every_profile_but_the_default_is_described() {
        let names = SEEDS.map(|seed| seed.name);
        assert_eq!(names[..], PROFILES[1..]);
        assert!(names.iter().all(|name| Seed::named(name).is_some()));
        assert_eq!(Seed::named("default"), None);
    }

    #[test]
    fn names_follow_from_the_election_and_the_pod() {
        let label = |key: &str| match key {
            "app.kubernetes.io/name" => Some("apsc-test"),
            "app.kubernetes.io/component" => Some("server"),
            _ => None,
        };
        let lease = |seed: &Seed| seed.lease_name("my-app", label);
        assert_eq!(lease(&APSC), "apsc-test-server");
        assert_eq!(lease(&LEADER_LABELER), "my-app");
        assert_eq!(lease(&LEADER_LABELER_V0_3), "my-app-lock");
        assert_eq!(APSC.lease_name("my-app", |_| None), "-");
        let key = |seed: &Seed| seed.role_label("my-app").map(|names| names.key);
        assert_eq!(key(&APSC).as_deref(), Some("apsc.knoppiks.de/state"));
        assert_eq!(key(&LEADER_LABELER).as_deref(), Some("my-app/is-leader"));
        assert_eq!(key(&SERVICE_LEADER_ELECTION), None);
    }
}

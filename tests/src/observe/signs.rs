//! How the pods of a group are told from others, and the active one from the rest.

use common::contract;

/// What an observer looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signs {
    /// Label selector of the group's pods.
    pub pods: String,
    /// Key and value of the active pod's label; `None`: as the pod's own annotations say.
    pub active: Option<(String, String)>,
    /// What sends traffic to the active pod.
    pub routing: Routing,
}

/// What sends traffic to the active pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    /// The Service selects one pod, which is written into it.
    Selector,
    /// The Service selects the label of the active pod.
    Label,
}

impl Signs {
    /// Those of a group of ours with an annotated Service.
    #[must_use]
    pub fn of_group(group: &str) -> Self {
        Self {
            pods: format!("{}={group}", contract::GROUP),
            active: None,
            routing: Routing::Selector,
        }
    }
}

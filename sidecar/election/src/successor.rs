//! Who may lead, and who is preferred.
use crate::view::RoleLabel;

/// Why a pod cannot become active now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ineligible {
    /// Its sidecar has not started.
    NotStarted,
    /// Its app is not ready.
    NotReady,
    /// It is terminating.
    Terminating,
    /// It is about to be evicted, or its node is cordoned.
    Disrupted,
    /// Its priority is negative.
    NegativePriority,
}

/// A pod of the group, as the status shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its role label.
    pub role: RoleLabel,
    /// Whether its app is ready.
    pub ready: bool,
    /// Why it is not eligible; `None` if it is.
    pub ineligible: Option<Ineligible>,
}

//! Which service account the pod runs as.

use crate::options::ServiceAccountMode;
use crate::patch::{Patch, Pointer};
use crate::pod::Pod;
use crate::reason::Reason;
use common::contract;
use common::ids::Group;
use serde_json::Value;

/// The account of pods that name none.
const DEFAULT: &str = "default";

/// The account whose token the sidecar will use, and which must be bound to the sidecar's role.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub kind: AccountKind,
}

/// Whose account it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccountKind {
    /// The group's own: made where it is missing.
    Group,
    /// Somebody else's: bound, and otherwise left as it is.
    Custom,
}

impl Account {
    /// The account of a pod of `group`: the group's own, unless the pod names one or keeps its own.
    pub(crate) fn of(
        pod: &Pod<'_>,
        group: &Group,
        mode: ServiceAccountMode,
    ) -> Result<Self, Reason> {
        let named = named(pod).unwrap_or(DEFAULT);
        let own = group.account();
        if named == own || (named == DEFAULT && mode == ServiceAccountMode::Auto) {
            return Ok(Self {
                name: own,
                kind: AccountKind::Group,
            });
        }
        if named.starts_with(contract::GROUP_ACCOUNT_PREFIX) {
            let account = named.to_owned();
            return Err(Reason::AccountOfAnotherGroup {
                account,
                group: group.to_string(),
            });
        }
        Ok(Self {
            name: named.to_owned(),
            kind: AccountKind::Custom,
        })
    }

    /// Lets the pod run as this account.
    ///
    /// By the time a webhook sees a pod, the API server has written "default" into both fields; the
    /// older one must never disagree with the newer one.
    pub(crate) fn assign(&self, pod: &Pod<'_>, patch: &mut Patch) {
        if named(pod).unwrap_or(DEFAULT) == self.name {
            return;
        }
        patch.set(Pointer::to(&["spec", "serviceAccountName"]), &self.name);
        if pod
            .spec
            .get("serviceAccount")
            .is_some_and(|account| !account.is_null())
        {
            patch.set(Pointer::to(&["spec", "serviceAccount"]), &self.name);
        }
    }

    /// Whether [`Account::assign`] would change the pod.
    pub(crate) fn differs(&self, pod: &Pod<'_>) -> bool {
        named(pod).unwrap_or(DEFAULT) != self.name
    }
}

/// The account that the pod names; the newer field decides, as it does in the API server.
fn named<'a>(pod: &Pod<'a>) -> Option<&'a str> {
    ["serviceAccountName", "serviceAccount"]
        .into_iter()
        .filter_map(|key| pod.spec.get(key).and_then(Value::as_str))
        .find(|name| !name.is_empty())
}

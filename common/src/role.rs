//! How a pod shows its role, and what makes it eligible, as its template asks for it.

use crate::contract::{self, default};
use crate::objects::Meta;

/// The role label and its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleLabelNames {
    /// Key of the label.
    pub key: String,
    /// Value on the active pod.
    pub active: String,
    /// Value on passive pods; `None`: the label is absent there.
    pub passive: Option<String>,
}

impl RoleLabelNames {
    /// Those of an injected pod, which carries them as annotations.
    pub fn of(pod: &Meta) -> Self {
        let text = |key, default: &str| pod.annotation(key).unwrap_or(default).to_owned();
        let passive = text(contract::PASSIVE_VALUE, default::PASSIVE_VALUE);
        Self {
            key: text(contract::ROLE_LABEL, contract::ROLE),
            active: text(contract::ACTIVE_VALUE, default::ACTIVE_VALUE),
            passive: Some(passive).filter(|value| !value.is_empty()),
        }
    }

    /// Whether the pod is labelled active.
    pub fn is_active(&self, pod: &Meta) -> bool {
        pod.label(&self.key) == Some(self.active.as_str())
    }

    /// Whether the pod is labelled passive.
    pub fn is_passive(&self, pod: &Meta) -> bool {
        pod.label(&self.key) == self.passive.as_deref()
    }
}

/// How a pod that leads gives the Lease away in a planned move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Giving {
    /// To a successor by name, which confirms it.
    Directed,
    /// To whoever comes, once a successor is there, with the own label on: the next leader takes it
    /// off.
    Freed,
    /// To whoever comes, once no traffic comes here any more.
    StrippedAndFreed,
}

/// Value of the annotation for containers that stands for each of them.
const ALL: &str = "all";

/// Whose readiness makes a pod eligible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Containers {
    /// That of every app container.
    All,
    /// That of these.
    Named(Vec<String>),
}

impl Containers {
    /// Reads `all`, or names separated by commas; absent is all.
    pub fn parse(text: Option<&str>) -> Self {
        match text {
            None | Some(ALL) => Self::All,
            Some(names) => Self::Named(
                names
                    .split(',')
                    .map(|name| name.trim().to_owned())
                    .collect(),
            ),
        }
    }

    /// Whether this container's readiness counts.
    pub fn count(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.iter().any(|known| known == name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn pod(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Meta {
        let map = |pairs: &[(&str, &str)]| {
            let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
            Some(pairs.iter().map(owned).collect::<BTreeMap<_, _>>())
        };
        Meta {
            labels: map(labels),
            annotations: map(annotations),
            ..Meta::default()
        }
    }

    #[test]
    fn the_label_is_the_one_that_the_template_asks_for() {
        let default = pod(&[(contract::ROLE, "active")], &[]);
        let names = RoleLabelNames::of(&default);
        assert!(names.is_active(&default) && !names.is_passive(&default));
        let own = [
            (contract::ROLE_LABEL, "role"),
            (contract::PASSIVE_VALUE, ""),
        ];
        let (primary, bare) = (pod(&[("role", "active")], &own), pod(&[], &own));
        let names = RoleLabelNames::of(&primary);
        assert!(names.is_active(&primary) && !names.is_passive(&primary));
        assert!(names.is_passive(&bare), "no label is passive here");
    }

    #[test]
    fn containers_are_all_or_named() {
        assert_eq!(Containers::parse(None), Containers::All);
        assert_eq!(Containers::parse(Some("all")), Containers::All);
        let named = Containers::parse(Some("app, log"));
        assert!(named.count("app") && named.count("log") && !named.count("other"));
    }
}

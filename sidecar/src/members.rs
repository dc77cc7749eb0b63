//! Which pods belong to the group, and how each says that it takes part.

use common::contract;
use common::ids::Group;
use common::objects::Meta;

/// Labels that every pod of the group carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members(Vec<(String, Wanted)>);

/// What is wanted of one label.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    /// This value.
    Value(String),
    /// That it is there.
    Anything,
}

impl Members {
    /// The pods that the webhook has put into this group.
    #[must_use]
    pub fn of_group(group: &Group) -> Self {
        Self::labelled([(contract::GROUP, group.as_str())])
    }

    /// Pods that carry these labels.
    pub fn labelled<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let wanted = |(key, value): (&str, &str)| (key.to_owned(), Wanted::Value(value.to_owned()));
        Self(labels.into_iter().map(wanted).collect())
    }

    /// Pods that carry this label, with whatever value.
    #[must_use]
    pub fn having(key: &str) -> Self {
        Self(vec![(key.to_owned(), Wanted::Anything)])
    }

    /// Whether a pod is one of them.
    pub(crate) fn has(&self, pod: &Meta) -> bool {
        self.0.iter().all(|(key, wanted)| match wanted {
            Wanted::Value(value) => pod.label(key) == Some(value),
            Wanted::Anything => pod.label(key).is_some(),
        })
    }

    /// The query of a list, ready to be sent: label keys and values hold no other character that a
    /// query may not.
    pub(crate) fn query(&self) -> String {
        let requirement = |(key, wanted): &(String, Wanted)| match wanted {
            Wanted::Value(value) => format!("{key}={value}"),
            Wanted::Anything => key.clone(),
        };
        let all: Vec<String> = self.0.iter().map(requirement).collect();
        let all = all.join(",");
        let all = all
            .replace('/', "%2F")
            .replace('=', "%3D")
            .replace(',', "%2C");
        format!("labelSelector={all}")
    }
}

/// By which label a pod says that its sidecar has started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// Its own uid.
    Uid,
    /// This label, with this value.
    Label(String, String),
    /// By none: each pod of the group is taken to take part.
    None,
}

impl Mark {
    /// Whether the pod carries it.
    pub(crate) fn is_on(&self, pod: &Meta) -> bool {
        match self {
            Self::Uid => pod.label(contract::POD) == Some(pod.uid.as_str()),
            Self::Label(key, value) => pod.label(key) == Some(value),
            Self::None => true,
        }
    }

    /// Key and value to write on the pod with this uid.
    pub(crate) fn label<'a>(&'a self, uid: &'a str) -> Option<(&'a str, &'a str)> {
        match self {
            Self::Uid => Some((contract::POD, uid)),
            Self::Label(key, value) => Some((key, value)),
            Self::None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(labels: &serde_json::Value) -> Meta {
        serde_json::from_value(json!({"uid": "u-1", "labels": labels})).unwrap()
    }

    #[test]
    fn a_selection_and_its_query_mean_the_same() {
        let both = Members::labelled([("app.kubernetes.io/name", "web"), ("tier", "a")]);
        assert!(both.has(&pod(&json!({"app.kubernetes.io/name": "web", "tier": "a"}))));
        assert!(!both.has(&pod(&json!({"app.kubernetes.io/name": "web"}))));
        assert!(!both.has(&pod(&json!(null))));
        assert_eq!(
            both.query(),
            "labelSelector=app.kubernetes.io%2Fname%3Dweb%2Ctier%3Da"
        );
        let having = Members::having("web/is-leader");
        assert!(having.has(&pod(&json!({"web/is-leader": "false"}))));
        assert!(!having.has(&pod(&json!({"web/participant": "true"}))));
        assert_eq!(having.query(), "labelSelector=web%2Fis-leader");
    }

    #[test]
    fn a_pod_is_marked_as_it_is_recognised() {
        let participant = Mark::Label("web/participant".to_owned(), "true".to_owned());
        for mark in [Mark::Uid, participant] {
            assert!(!mark.is_on(&pod(&json!({}))));
            let (key, value) = mark.label("u-1").unwrap();
            assert!(mark.is_on(&pod(&json!({ (key): value }))), "{mark:?}");
        }
        assert!(Mark::None.is_on(&pod(&json!({}))));
        assert_eq!(Mark::None.label("u-1"), None);
    }
}

//! Names as types: whoever holds one knows that it is well formed.

use std::fmt;

/// Longest DNS label, characters (RFC 1123).
pub const DNS_LABEL_CHARS_MAX: usize = 63;

/// Why a text is no DNS label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no DNS label: 1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit"
)]
pub struct NotADnsLabel {
    /// The refused text.
    pub text: String,
}

/// An election group: a DNS label, and the name of its Lease.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(String);

impl Group {
    /// Takes a DNS label of at most 63 characters.
    ///
    /// # Errors
    /// [`NotADnsLabel`] for everything else.
    pub fn parse(text: &str) -> Result<Self, NotADnsLabel> {
        if is_dns_label(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotADnsLabel {
                text: text.to_owned(),
            })
        }
    }

    /// The name as Kubernetes sees it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Name of the group's own service account. May be longer than a label: account names are DNS
    /// subdomains of up to 253 characters.
    pub fn account(&self) -> String {
        format!("{}{}", crate::contract::GROUP_ACCOUNT_PREFIX, self.0)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `text` is a DNS label (RFC 1123) as Kubernetes checks it.
pub fn is_dns_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let alnum = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    bytes.len() <= DNS_LABEL_CHARS_MAX
        && bytes.first().is_some_and(alnum)
        && bytes.last().is_some_and(alnum)
        && bytes.iter().all(|b| alnum(b) || *b == b'-')
}

/// A pod as the holder of a Lease: `<pod name>_<pod uid>`. The uid tells a pod from its namesake
/// (a StatefulSet pod that was force-deleted and made again).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Name of the pod.
    pub name: String,
    /// uid of the pod.
    pub uid: String,
}

impl Identity {
    /// An identity from its parts.
    pub fn new(name: impl Into<String>, uid: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            uid: uid.into(),
        }
    }

    /// Reads a `holderIdentity`; `None` if it is not of our form (another system's holder).
    pub fn parse(holder: &str) -> Option<Self> {
        let (name, uid) = holder.rsplit_once('_')?;
        (!name.is_empty() && !uid.is_empty()).then(|| Self::new(name, uid))
    }
}

/// How a holder writes itself into the Lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HolderForm {
    /// `<pod name>_<pod uid>`: ours.
    NameAndUid,
    /// `<pod name>` alone, as most electors that are built on client-go do. A pod cannot be told
    /// from its namesake by it.
    Name,
}

impl HolderForm {
    /// `holderIdentity` of a pod.
    pub fn write(self, pod: &Identity) -> String {
        match self {
            Self::NameAndUid => pod.to_string(),
            Self::Name => pod.name.clone(),
        }
    }

    /// Whether `holder` is the pod of this name and uid.
    pub fn is(self, holder: &str, name: &str, uid: &str) -> bool {
        match self {
            Self::NameAndUid => {
                Identity::parse(holder).is_some_and(|pod| pod.name == name && pod.uid == uid)
            }
            Self::Name => holder == name,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.name, self.uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_takes_dns_labels_only() {
        for (text, good) in [
            ("web", true),
            ("a", true),
            ("0-9", true),
            ("", false),
            ("-a", false),
            ("a-", false),
            ("Web", false),
            ("a.b", false),
            ("a_b", false),
        ] {
            assert_eq!(Group::parse(text).is_ok(), good, "{text:?}");
        }
        assert!(Group::parse(&"a".repeat(63)).is_ok());
        assert!(Group::parse(&"a".repeat(64)).is_err());
    }

    #[test]
    fn identity_survives_the_lease() {
        let identity = Identity::new("web-5d9-x", "0b1c");
        assert_eq!(Identity::parse(&identity.to_string()), Some(identity));
        assert_eq!(Identity::parse("client-go-host"), None);
        assert_eq!(Identity::parse("_x"), None);
    }

    #[test]
    fn a_holder_is_known_in_the_form_in_which_it_is_written() {
        let pod = Identity::new("web-0", "u1");
        for form in [HolderForm::NameAndUid, HolderForm::Name] {
            let holder = form.write(&pod);
            assert!(form.is(&holder, "web-0", "u1"), "{holder}");
            assert!(!form.is(&holder, "web-1", "u1"), "{holder}");
            let told_apart = form == HolderForm::NameAndUid;
            assert_eq!(form.is(&holder, "web-0", "u2"), !told_apart, "{holder}");
        }
    }
}

//! What a check says: one line that holds or does not, what to do, and where to read on.

use serde::Serialize;

/// What brings back what the chart has installed.
pub(crate) const AGAIN: &str = "install the chart again, with the values that it has: `helm upgrade \
     active-passive CHART -n NAMESPACE --reset-then-reuse-values`";

/// How bad it is. Errors make the command fail, warnings do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// It holds, or is said for information.
    Ok,
    /// It works, but not as well as it should; or it could not be looked at.
    Warning,
    /// Something does not work.
    Error,
}

impl Level {
    /// The word at the beginning of a line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// Its colour on a terminal.
    pub(crate) fn colour(self) -> &'static str {
        match self {
            Self::Ok => "\x1b[32m",
            Self::Warning => "\x1b[33m",
            Self::Error => "\x1b[31m",
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    /// Stays the same from version to version.
    pub(crate) check: &'static str,
    /// What it means.
    pub(crate) text: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cure: Option<String>,
    /// Page and heading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) docs: Option<&'static str>,
}

impl Finding {
    /// It holds.
    pub(crate) fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self {
            level: Level::Ok,
            check,
            text: text.into(),
            cure: None,
            docs: None,
        }
    }

    /// It should be looked at.
    pub(crate) fn warning(check: &'static str, text: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            ..Self::ok(check, text)
        }
    }

    /// It does not work.
    pub(crate) fn error(check: &'static str, text: impl Into<String>) -> Self {
        Self {
            level: Level::Error,
            ..Self::ok(check, text)
        }
    }

    /// It could not be looked at.
    pub(crate) fn unseen(check: &'static str, why: &str) -> Self {
        Self::warning(check, format!("not checked: {why}"))
            .cure("ask whoever runs the cluster to run this check, or for that right")
            .docs(page::CHECK)
    }

    /// With what to do.
    #[must_use]
    pub(crate) fn cure(self, cure: impl Into<String>) -> Self {
        Self {
            cure: Some(cure.into()),
            ..self
        }
    }

    /// With where to read on.
    #[must_use]
    pub(crate) fn docs(self, docs: &'static str) -> Self {
        Self {
            docs: Some(docs),
            ..self
        }
    }
}

/// Pages and headings that findings lead to.
pub(crate) mod page {
    pub(crate) const NEEDS: &str = "docs/install.md#needs";
    pub(crate) const INSTALL: &str = "docs/install.md#with-helm";
    pub(crate) const CERTIFICATES: &str = "docs/install.md#certificates";
    pub(crate) const UPGRADE: &str = "docs/install.md#upgrade";
    pub(crate) const WEBHOOK: &str = "docs/operations.md#activepassivewebhookabsent";
    pub(crate) const TRUST: &str = "docs/operations.md#activepassivewebhooknottrusted";
    pub(crate) const EXPIRES: &str = "docs/operations.md#activepassivecertificateexpires";
    pub(crate) const NOBODY: &str = "docs/operations.md#activepassivenobodyactive";
    pub(crate) const TWO: &str = "docs/operations.md#activepassivetwoactive";
    pub(crate) const FORBIDDEN: &str = "docs/operations.md#activepassiverequestsforbidden";
    pub(crate) const PAUSE: &str = "docs/operations.md#pause-and-move-by-hand";
    pub(crate) const WRONG: &str = "docs/operations.md#when-something-is-wrong";
    pub(crate) const CHECK: &str = "docs/operations.md#check";
    pub(crate) const TEMPLATE: &str = "docs/annotations.md#on-a-pod-template";
    pub(crate) const SERVICE: &str = "docs/annotations.md#on-a-service";
    pub(crate) const SERVICE_MODE: &str = "docs/service-mode.md#what-it-does";
    pub(crate) const FENCING: &str = "SECURITY.md#what-stops-whom";
    #[cfg(test)]
    pub(crate) const ALL: [&str; 17] = [
        NEEDS,
        INSTALL,
        CERTIFICATES,
        UPGRADE,
        WEBHOOK,
        TRUST,
        EXPIRES,
        NOBODY,
        TWO,
        FORBIDDEN,
        PAUSE,
        WRONG,
        CHECK,
        TEMPLATE,
        SERVICE,
        SERVICE_MODE,
        FENCING,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Headings as readers of Markdown make anchors of them.
    fn anchors(text: &str) -> Vec<String> {
        let headings = text.lines().filter(|line| line.starts_with('#'));
        let anchor = |line: &str| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.replace(' ', "-");
            kept.replace(|c: char| !c.is_alphanumeric() && c != '-', "")
        };
        headings.map(anchor).collect()
    }

    #[test]
    fn every_link_leads_to_a_heading() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for link in page::ALL {
            let (file, anchor) = link.split_once('#').unwrap();
            let text = std::fs::read_to_string(root.join(file)).unwrap();
            assert!(anchors(&text).iter().any(|it| it == anchor), "{link}");
        }
    }
}

//! The reviews that are sent: as an API server wrote them, of pods that ask for the sidecar.

use std::fs;

use common::contract::{INJECT, INJECT_PATH};

use crate::cluster::{Doing, Error, Result};
use crate::project_root;

/// Where they lie; the bench of the handler reads them too.
const FOLDER: &str = "webhook/inject/benches/bodies";
const ANNOTATIONS: &str = "\"annotations\":{";
const ENV: &str = "\"env\":[";
/// Variables of each container of the large review: 1.6 MB in all.
const LARGE_VARIABLES: usize = 8_000;

/// Which review.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub(super) enum Review {
    /// A pod of one container.
    Small,
    /// A pod of five containers, with all that real manifests hold.
    Typical,
    /// The same with forty thousand variables.
    Large,
}

impl Review {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Small, Self::Typical, Self::Large];

    /// As results name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Typical => "typical",
            Self::Large => "large",
        }
    }

    /// The body.
    ///
    /// # Errors
    /// If its file cannot be read, or is not what it was.
    pub(super) fn body(self) -> Result<String> {
        let file = match self {
            Self::Small => "review-small.json",
            Self::Typical | Self::Large => "review-typical.json",
        };
        let path = project_root().join(FOLDER).join(file);
        let action = || format!("read {}", path.display());
        let text = fs::read_to_string(&path).doing(action)?;
        if !text.contains(ANNOTATIONS) {
            return Err(Error::new(action(), "its pod has no annotations"));
        }
        let asked = format!("{ANNOTATIONS}\"{INJECT}\":\"true\",");
        let text = text.trim_end().replacen(ANNOTATIONS, &asked, 1);
        if self != Self::Large {
            return Ok(text);
        }
        let variable = |number| format!("{{\"name\":\"VARIABLE_{number}\",\"value\":\"0123\"}},");
        let variables: String = (0..LARGE_VARIABLES).map(variable).collect();
        Ok(text.replace(ENV, &format!("{ENV}{variables}")))
    }

    /// The request, as an API server sends it.
    ///
    /// # Errors
    /// As [`Self::body`].
    pub(super) fn request(self) -> Result<Vec<u8>> {
        let body = self.body()?;
        let head = format!(
            "POST {INJECT_PATH}?timeout=5s HTTP/1.1\r\nHost: webhook\r\n\
             User-Agent: kube-apiserver-admission\r\nContent-Length: {}\r\n\
             Accept: application/json, */*\r\nContent-Type: application/json\r\n\r\n",
            body.len()
        );
        Ok((head + &body).into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn they_ask_for_the_sidecar() {
        for review in Review::ALL {
            let body: Value = serde_json::from_str(&review.body().unwrap()).unwrap();
            let pod = &body["request"]["object"];
            assert_eq!(pod["metadata"]["annotations"][INJECT], "true");
            let variables = body.to_string().matches("VARIABLE_7").count();
            assert_eq!(variables > 0, review == Review::Large);
        }
    }
}

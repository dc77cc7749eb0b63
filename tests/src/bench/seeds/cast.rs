//! Who takes part: the example under each profile, and the peer, in the shape in which the systems
//! themselves were measured.

use crate::bench::failover::replace;
use crate::cluster::Result;
use crate::observe::{Routing, Signs};
use crate::scene::Cast;
use crate::system::System;
use common::seeds::{self, SEEDS, Seed};

/// Two, on two nodes.
const REPLICAS: usize = 2;
/// How long the app serves after SIGTERM, milliseconds.
const LINGER_MS: u64 = 2_000;
const APP_ENV: &str = "          env:\n            - name: POD_NAME\n";
const INJECT: &str = "        active-passive.dev/inject: \"true\"\n";
const LABELS: &str = "      labels:\n        app: web\n";
/// The labels that name apsc's Lease.
const APSC_LABELS: &str = "        app.kubernetes.io/name: shop\n        \
                           app.kubernetes.io/component: server\n";
const ANNOTATED: &str = "  annotations:\n    active-passive.dev/group: web\nspec:\n  selector:\n    \
                         app: web\n";

/// A system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// Ours, with the names of this one.
    Profile(&'static Seed),
    /// An elector of the usual kind.
    Peer,
}

impl Subject {
    /// All of them, in the order of the results.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        SEEDS.into_iter().map(Self::Profile).chain([Self::Peer])
    }

    /// As results name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Profile(seed) => seed.name,
            Self::Peer => System::Peer.name(),
        }
    }

    /// Whether a planned move labels the new pod before it strips the old one: two labels are its
    /// purpose then.
    pub(super) fn is_seamless(self) -> bool {
        self != Self::Peer
    }

    /// Its cast in `namespace`.
    ///
    /// # Errors
    /// If a manifest cannot be read, or is not as expected.
    pub(super) fn cast(self, namespace: &str) -> Result<Cast> {
        let (system, manifest, signs) = match self {
            Self::Profile(seed) => (System::Ours, profiled(seed)?, signs(seed)),
            Self::Peer => (System::Peer, System::Peer.manifest()?, System::Peer.signs()),
        };
        let linger =
            format!("env:\n            - name: LINGER_MS\n              value: \"{LINGER_MS}\"\n");
        let manifest = replace(&manifest, APP_ENV, &APP_ENV.replace("env:\n", &linger))?;
        let replicas = format!("  replicas: {REPLICAS}\n");
        Ok(Cast {
            namespace: namespace.to_owned(),
            group: system.group().to_owned(),
            signs,
            manifest: replace(&manifest, "  replicas: 3\n", &replicas)?,
            replicas: REPLICAS,
        })
    }
}

/// The example under a profile. Its Service selects the label of the role, as the system's README has
/// it, or follows the group where that system points it.
fn profiled(seed: &Seed) -> Result<String> {
    let asks = format!(
        "{INJECT}        active-passive.dev/profile: {}\n",
        seed.name
    );
    let mut manifest = replace(&System::Ours.manifest()?, INJECT, &asks)?;
    if *seed == seeds::APSC {
        let labels = format!("{LABELS}{APSC_LABELS}");
        manifest = replace(&manifest, LABELS, &labels)?;
    }
    let group = System::Ours.group();
    match seed.role_label(group) {
        None => Ok(manifest),
        Some(role) => {
            let selects = format!(
                "spec:\n  selector:\n    app: web\n    {}: {:?}\n",
                role.key, role.active
            );
            replace(&manifest, ANNOTATED, &selects)
        }
    }
}

fn signs(seed: &Seed) -> Signs {
    let routing = match seed.role {
        Some(_) => Routing::Label,
        None => Routing::Selector,
    };
    Signs {
        pods: "app=web".to_owned(),
        active: None,
        routing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_is_cast_by_its_own_names() {
        for subject in Subject::all() {
            let cast = subject.cast("n").unwrap();
            assert!(cast.manifest.contains("replicas: 2"), "{subject:?}");
            assert!(cast.manifest.contains("LINGER_MS"), "{subject:?}");
        }
        let manifest = |seed| Subject::Profile(seed).cast("n").unwrap().manifest;
        let apsc = manifest(&seeds::APSC);
        assert!(
            apsc.contains("    apsc.knoppiks.de/state: \"active\"\n"),
            "{apsc}"
        );
        assert!(!apsc.contains("active-passive.dev/group"), "{apsc}");
        let labeler = manifest(&seeds::LEADER_LABELER);
        assert!(
            labeler.contains("    web/is-leader: \"true\"\n"),
            "{labeler}"
        );
        let switch = manifest(&seeds::SERVICE_LEADER_ELECTION);
        assert!(switch.contains("active-passive.dev/group: web"), "{switch}");
    }
}

//! Who takes part: the example of ours and the peer's, in variants that differ in one thing.

use crate::cluster::{Error, Result};
use crate::scene::Cast;
use crate::system::System;

const REPLICAS: usize = 3;
/// What the manifests of both have once, before the list of the app's variables and the rest of the
/// pod.
const APP_ENV: &str = "          env:\n            - name: POD_NAME\n";
const POD: &str = "      securityContext:\n        runAsNonRoot: true\n";
const INJECT: &str = "        active-passive.dev/inject: \"true\"\n";

/// How a cast differs from the examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    Default,
    /// The app serves 2 s more after SIGTERM.
    Lingers,
    /// The app ignores SIGTERM.
    EatsGrace,
    /// Ours, with a lease duration of 3 s.
    ShortLease,
    /// Ours, never two active.
    Exclusive,
}

impl Variant {
    /// Who has it.
    pub(super) fn systems(self) -> &'static [System] {
        match self {
            Self::ShortLease | Self::Exclusive => &[System::Ours],
            Self::Default | Self::Lingers | Self::EatsGrace => &[System::Ours, System::Peer],
        }
    }

    /// The cast of `system` in `namespace`.
    ///
    /// # Errors
    /// If a manifest cannot be read, or is not as expected.
    pub(super) fn cast(self, system: System, namespace: &str) -> Result<Cast> {
        let manifest = system.manifest()?;
        let lingers = |ms: u64| {
            let variable =
                format!("            - name: LINGER_MS\n              value: \"{ms}\"\n");
            replace(
                &manifest,
                APP_ENV,
                &APP_ENV.replace("env:\n", &format!("env:\n{variable}")),
            )
        };
        let asks = |more: &str| format!("{INJECT}        active-passive.dev/{more}\n");
        let manifest = match self {
            Self::Default => manifest.clone(),
            Self::Lingers => lingers(2_000)?,
            Self::EatsGrace => {
                let grace = format!("      terminationGracePeriodSeconds: 10\n{POD}");
                replace(&lingers(3_600_000)?, POD, &grace)?
            }
            Self::ShortLease => replace(&manifest, INJECT, &asks("lease-duration: 3s"))?,
            Self::Exclusive => replace(&manifest, INJECT, &asks("handover: exclusive"))?,
        };
        Ok(Cast {
            namespace: namespace.to_owned(),
            group: system.group().to_owned(),
            signs: system.signs(),
            manifest,
            replicas: REPLICAS,
        })
    }
}

/// Replaces what is there; the first time, as the app's container comes first.
///
/// # Errors
/// If it is not there.
pub(in crate::bench) fn replace(manifest: &str, what: &str, by: &str) -> Result<String> {
    if manifest.contains(what) {
        return Ok(manifest.replacen(what, by, 1));
    }
    let cause = format!("it does not hold {:?}", what.trim());
    Err(Error::new("make a variant of a manifest", cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_differs_in_what_its_name_says() {
        let of = |variant: Variant, system| variant.cast(system, "n").unwrap().manifest;
        for system in [System::Ours, System::Peer] {
            let plain = of(Variant::Default, system);
            assert!(!plain.contains("LINGER_MS"), "{plain}");
            assert!(of(Variant::Lingers, system).contains("value: \"2000\""));
            let eats = of(Variant::EatsGrace, system);
            assert!(eats.contains("terminationGracePeriodSeconds: 10"), "{eats}");
        }
        let short = of(Variant::ShortLease, System::Ours);
        assert!(
            short.contains("active-passive.dev/lease-duration: 3s"),
            "{short}"
        );
        let exclusive = of(Variant::Exclusive, System::Ours);
        assert!(
            exclusive.contains("active-passive.dev/handover: exclusive"),
            "{exclusive}"
        );
    }
}

//! One group in one event: what an event needs of it, and what it leaves to be judged.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::ResourceExt;

use crate::clock;
use crate::cluster::{Cluster, Result};
use crate::load::{Load, LoadOptions};
use crate::observe::Timeline;
use crate::scene::{Active, Scene};
use crate::system::System;
use common::contract;

/// How often a sidecar is asked, a second.
const ASKED_PER_S: u32 = 20;

/// One group in one event.
pub(super) struct Turn<'t, 'c> {
    pub(super) cluster: &'c Cluster,
    pub(super) system: System,
    pub(super) scene: &'t mut Scene<'c>,
    /// Who was active before.
    pub(super) old: Active,
    /// When it happened.
    pub(super) trigger_ms: u64,
    /// What else the event is about, by name.
    pub(super) also: BTreeMap<String, u64>,
}

impl Turn<'_, '_> {
    /// From now on it counts.
    pub(super) fn trigger(&mut self) {
        self.trigger_ms = clock::now_ms();
    }

    /// Notes another figure.
    pub(super) fn note(&mut self, name: &str, value: u64) {
        self.also.insert(name.to_owned(), value);
    }

    pub(super) fn timeline(&self) -> Timeline {
        self.scene.watcher.timeline()
    }

    /// When traffic was first sent to another pod.
    pub(super) fn moved_ms(&self) -> Option<u64> {
        self.timeline()
            .first_other_route(&self.scene.group, &self.old.uid, self.trigger_ms)
            .map(|(at_ms, _)| at_ms)
    }

    /// Notes how long after `from_ms` the role moved, if both are known.
    pub(super) fn note_move_after(&mut self, name: &str, from_ms: Option<u64>) {
        if let (Some(from_ms), Some(moved_ms)) = (from_ms, self.moved_ms()) {
            self.note(name, moved_ms.saturating_sub(from_ms));
        }
    }

    /// Waits until `ms` have passed since the trigger.
    pub(super) async fn until(&self, ms: u64) {
        let left_ms = (self.trigger_ms + ms).saturating_sub(clock::now_ms());
        pause(left_ms).await;
    }

    /// Asks the sidecars of some pods for a path, again and again, by uid. A sidecar of ours only.
    pub(super) async fn ask(
        &self,
        path: &str,
        of: impl Fn(&str) -> bool,
    ) -> Result<Vec<(String, Load)>> {
        let mut asking = Vec::new();
        for pod in self.scene.pods().await? {
            let uid = pod.uid().unwrap_or_default();
            let address = pod.status.and_then(|status| status.pod_ip);
            if let Some(address) = address.filter(|_| of(&uid)) {
                let options = LoadOptions {
                    path: path.to_owned(),
                    rate_per_s: ASKED_PER_S,
                    ..LoadOptions::new(format!("{address}:{}", contract::SIDECAR_PORT))
                };
                asking.push((uid, Load::start(self.cluster, &options)?));
            }
        }
        Ok(asking)
    }

    /// Addresses of the group's pods.
    pub(super) async fn addresses(&self) -> Result<Vec<String>> {
        let pods = self.scene.pods().await?.into_iter();
        Ok(pods
            .filter_map(|pod| pod.status.and_then(|status| status.pod_ip))
            .collect())
    }
}

pub(super) async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

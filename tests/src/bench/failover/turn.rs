//! One group in one event: what an event needs of it, and what it leaves to be judged.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::ResourceExt;

use super::record::Run;
use crate::clock;
use crate::cluster::{Cluster, Result};
use crate::load::{Load, LoadOptions, Request};
use crate::observe::Timeline;
use crate::scene::{Active, Scene};
use crate::system::System;
use common::contract;

/// How often a sidecar is asked, a second.
const ASKED_PER_S: u32 = 20;
/// A planned seamless move shows two labels, or a Service that differs, for less than this,
/// milliseconds; what takes longer is a fault.
const SEAMLESS_MS: u64 = 2_000;

/// One group in one event.
pub(in crate::bench) struct Turn<'t, 'c> {
    pub(in crate::bench) cluster: &'c Cluster,
    pub(in crate::bench) system: System,
    pub(in crate::bench) scene: &'t mut Scene<'c>,
    /// Who was active before.
    pub(in crate::bench) old: Active,
    /// When it happened.
    pub(in crate::bench) trigger_ms: u64,
    /// What else the event is about, by name.
    pub(in crate::bench) also: BTreeMap<String, u64>,
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

    /// What clients and roles went through. `is_seamless`: two labels for a moment are on purpose.
    pub(in crate::bench) fn judged(
        &self,
        event: &str,
        is_seamless: bool,
        requests: &[Request],
    ) -> Run {
        let verdict = self
            .scene
            .judge(event, &self.old, self.trigger_ms, requests);
        let group = &self.scene.group;
        let spans = self
            .timeline()
            .two_active(group, self.trigger_ms, clock::now_ms());
        let counted = spans
            .iter()
            .map(|(from_ms, to_ms)| to_ms - from_ms)
            .filter(|ms| !is_seamless || *ms >= SEAMLESS_MS);
        Run {
            new_active_ms: verdict.new_active_ms,
            failed: verdict.failed,
            requests: verdict.requests,
            longest_gap_ms: verdict.longest_gap_ms,
            two_active_ms: counted.sum(),
            also: self.also.clone(),
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

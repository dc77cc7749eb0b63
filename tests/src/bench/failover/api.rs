//! Events of the API server, which happen to all groups at once.

use super::turn::{Turn, pause};
use crate::clock;
use crate::cluster::{Cluster, Detour, Result, Road};
use crate::load::Load;
use crate::system::System;
use common::contract;

const REFUSED_MS: u64 = 6_000;
const STOPPED_MS: u64 = 30_000;
/// How long roles are watched after it is over, milliseconds: a lease duration, in which whoever
/// wrongly gave up or took the role would show.
const AFTER_MS: u64 = 15_000;
const BAD_ROAD_MS: u64 = 10 * 60 * 1_000;
const ROAD: Road = Road {
    latency_ms: 500,
    lost_per_mille: 50,
    reset_per_mille: 50,
    seed: 1,
};
/// Two sidecars that say within this time that they lead say it at once, milliseconds: each is
/// asked every 50 ms.
const AT_ONCE_MS: u64 = 100;

/// Nodes and pods are refused for a while.
pub(super) async fn refuse(cluster: &Cluster, turns: &mut [Turn<'_, '_>]) -> Result<()> {
    let before = terms(turns);
    turns.iter_mut().for_each(Turn::trigger);
    cluster.refuse_api().await?;
    pause(REFUSED_MS).await;
    cluster.serve_api().await?;
    pause(AFTER_MS).await;
    note_terms(turns, &before);
    Ok(())
}

/// The API server is killed, and started later. Sidecars of ours are asked whether they lead.
pub(super) async fn stop(cluster: &Cluster, turns: &mut [Turn<'_, '_>]) -> Result<()> {
    let before = terms(turns);
    let mut asked = Vec::new();
    for turn in turns.iter().filter(|turn| turn.system == System::Ours) {
        asked = turn.ask(contract::path::LEADER, |_| true).await?;
    }
    turns.iter_mut().for_each(Turn::trigger);
    cluster.stop_api_server().await?;
    pause(STOPPED_MS).await;
    cluster.start_api_server().await?;
    let started_ms = clock::now_ms();
    pause(AFTER_MS).await;
    let mut leaders = Leaders::default();
    for (uid, load) in asked {
        leaders.hear(&uid, load).await?;
    }
    for turn in turns.iter_mut().filter(|turn| turn.system == System::Ours) {
        let killed_ms = turn.trigger_ms;
        // Who leads again when the API server has just come up led before its start was seen.
        let middle_ms = killed_ms + STOPPED_MS;
        if let Some(last_ms) = leaders.last_before(middle_ms) {
            turn.note("last_leader_ms", last_ms.saturating_sub(killed_ms));
        }
        if let Some(first_ms) = leaders.first_after(middle_ms) {
            turn.note("leader_again_ms", first_ms.saturating_sub(started_ms));
        }
        turn.note("leaders_at_once", leaders.most_at_once() as u64);
    }
    note_terms(turns, &before);
    Ok(())
}

/// The road between sidecars and API server is bad.
pub(super) async fn bad_road(cluster: &Cluster, turns: &mut [Turn<'_, '_>]) -> Result<()> {
    let before = terms(turns);
    let mut pods = Vec::new();
    for turn in turns.iter() {
        pods.extend(turn.addresses().await?);
    }
    turns.iter_mut().for_each(Turn::trigger);
    let detour = Detour::begin(cluster, ROAD, &pods).await?;
    pause(BAD_ROAD_MS).await;
    let traffic = detour.end(cluster).await?;
    note_terms(turns, &before);
    for turn in turns {
        turn.note("road_requests", traffic.requests);
        turn.note("road_lost", traffic.lost);
        turn.note("road_reset", traffic.reset);
    }
    Ok(())
}

fn terms(turns: &[Turn<'_, '_>]) -> Vec<u64> {
    turns.iter().map(|turn| turn.timeline().term()).collect()
}

/// Notes how often the role was lost or moved: each winner makes a new term.
fn note_terms(turns: &mut [Turn<'_, '_>], before: &[u64]) {
    for (turn, before) in turns.iter_mut().zip(before) {
        let after = turn.timeline().term();
        turn.note("new_terms", after.saturating_sub(*before));
    }
}

/// Who said when that it leads.
#[derive(Debug, Default)]
struct Leaders(Vec<(u64, String)>);

impl Leaders {
    /// Takes what one sidecar said.
    async fn hear(&mut self, uid: &str, load: Load) -> Result<()> {
        let yes = load.stop().await?.into_iter();
        let yes = yes.filter(|request| request.body().is_some());
        self.0
            .extend(yes.map(|request| (request.ended_ms, uid.to_owned())));
        self.0.sort();
        Ok(())
    }

    fn last_before(&self, ms: u64) -> Option<u64> {
        let before = self.0.iter().rev().find(|(at_ms, _)| *at_ms < ms);
        before.map(|(at_ms, _)| *at_ms)
    }

    fn first_after(&self, ms: u64) -> Option<u64> {
        let after = self.0.iter().find(|(at_ms, _)| *at_ms >= ms);
        after.map(|(at_ms, _)| *at_ms)
    }

    fn most_at_once(&self) -> usize {
        let at_once = |(index, (at_ms, _)): (usize, &(u64, String))| {
            let close = self.0[index..].iter();
            let close = close.take_while(|(other_ms, _)| other_ms - at_ms <= AT_ONCE_MS);
            let uids: std::collections::BTreeSet<&str> =
                close.map(|(_, uid)| uid.as_str()).collect();
            uids.len()
        };
        self.0.iter().enumerate().map(at_once).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaders_at_once_are_counted() {
        let said = |all: &[(u64, &str)]| {
            Leaders(
                all.iter()
                    .map(|(ms, uid)| (*ms, (*uid).to_owned()))
                    .collect(),
            )
        };
        assert_eq!(said(&[]).most_at_once(), 0);
        let one_by_one = said(&[(0, "a"), (50, "a"), (200, "b"), (250, "b")]);
        assert_eq!(one_by_one.most_at_once(), 1);
        assert_eq!(one_by_one.last_before(200), Some(50));
        assert_eq!(one_by_one.first_after(200), Some(200));
        assert_eq!(said(&[(0, "a"), (90, "b")]).most_at_once(), 2);
    }
}

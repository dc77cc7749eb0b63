//! What each pod of a group was, and since when: seeded from the Lease's history, then as it was seen.
//! Pure.

use crate::group::{Group, Member};
use crate::lease::Lease;
use crate::timeline::reigns;
use election::Ineligible;
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

/// Changes of one pod that are kept.
const SPANS_MAX: usize = 100;
/// Pods of a group that are gone and still kept.
const GONE_MAX: usize = 20;

/// What a pod is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    Active,
    /// Active, though its app is not ready.
    ActiveUnready,
    /// Active, and on its way out.
    ActiveDraining,
    Standby,
    Unready,
    Draining,
    /// It was there before anybody looked.
    Unwatched,
    Gone,
}

impl Phase {
    pub(crate) fn of(member: &Member) -> Self {
        let reason = member.ineligible;
        let draining = matches!(
            reason,
            Some(Ineligible::Terminating | Ineligible::Disrupted)
        );
        let unready = !member.ready || reason == Some(Ineligible::NotStarted);
        match (member.is_active(), draining, unready) {
            (true, true, _) => Self::ActiveDraining,
            (true, false, true) => Self::ActiveUnready,
            (true, false, false) => Self::Active,
            (false, true, _) => Self::Draining,
            (false, false, true) => Self::Unready,
            (false, false, false) => Self::Standby,
        }
    }
}

/// What one pod was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Track {
    pub(crate) pod: String,
    /// From when on it was what, milliseconds since 1970, the oldest first.
    pub(crate) spans: Vec<(i64, Phase)>,
}

impl Track {
    pub(crate) fn phase(&self) -> Option<Phase> {
        self.spans.last().map(|(_, phase)| *phase)
    }

    fn is_gone(&self) -> bool {
        self.phase() == Some(Phase::Gone)
    }

    fn push(&mut self, at_ms: i64, phase: Phase) {
        if self.phase() == Some(phase) {
            return;
        }
        // Times of the history come from the clocks of others.
        let at_ms = self.spans.last().map_or(at_ms, |last| at_ms.max(last.0));
        self.spans.push((at_ms, phase));
        let surplus = self.spans.len().saturating_sub(SPANS_MAX);
        self.spans.drain(..surplus);
    }
}

/// The tracks of a group that nobody has looked at yet: what its Lease remembers.
pub(crate) fn seeded(group: &Group, now: Timestamp) -> Vec<Track> {
    let now_ms = now.as_millisecond();
    let mut tracks: Vec<Track> = Vec::new();
    for member in &group.members {
        let created_ms = member.created_at.map_or(now_ms, Timestamp::as_millisecond);
        tracks.push(Track {
            pod: member.name().to_owned(),
            spans: vec![(created_ms, Phase::Unwatched)],
        });
    }
    let history = group.lease.as_ref().map(Lease::history).unwrap_or_default();
    for reign in reigns(&history, now) {
        let pod = &reign.entry.pod;
        let index = tracks.iter().position(|track| track.pod == *pod);
        let after = match index {
            Some(_) => Phase::Unwatched,
            None => Phase::Gone,
        };
        let index = index.unwrap_or_else(|| {
            tracks.push(Track {
                pod: pod.clone(),
                spans: Vec::new(),
            });
            tracks.len() - 1
        });
        let track = &mut tracks[index];
        track.push(reign.from_ms, Phase::Active);
        if reign.to_ms < now_ms {
            track.push(reign.to_ms, after);
        }
    }
    observe(&mut tracks, group, now);
    tracks
}

/// Takes down what is seen now.
pub(crate) fn observe(tracks: &mut Vec<Track>, group: &Group, now: Timestamp) {
    let now_ms = now.as_millisecond();
    let leader = group.leader();
    let seen: Vec<(&str, Phase)> = match (group.sees.pods, &leader) {
        (true, _) => group
            .members
            .iter()
            .map(|member| (member.name(), Phase::of(member)))
            .collect(),
        // Without the right to see pods the Lease says who leads, and nothing of the others.
        (false, Some(leader)) => vec![(leader, Phase::Active)],
        (false, None) => Vec::new(),
    };
    let absent = if group.sees.pods {
        Phase::Gone
    } else {
        Phase::Unwatched
    };
    for track in tracks.iter_mut() {
        let phase = seen.iter().find(|(pod, _)| *pod == track.pod);
        track.push(now_ms, phase.map_or(absent, |(_, phase)| *phase));
    }
    for (pod, phase) in seen {
        if !tracks.iter().any(|track| track.pod == pod) {
            tracks.push(Track {
                pod: pod.to_owned(),
                spans: vec![(now_ms, phase)],
            });
        }
    }
    forget(tracks);
}

/// Lets go of pods that are gone for the longest time.
fn forget(tracks: &mut Vec<Track>) {
    let gone = tracks.iter().filter(|track| track.is_gone());
    let mut ended_ms: Vec<i64> = gone
        .filter_map(|track| Some(track.spans.last()?.0))
        .collect();
    ended_ms.sort_unstable();
    let surplus = ended_ms.len().saturating_sub(GONE_MAX);
    if let Some(last_ms) = surplus.checked_sub(1).and_then(|it| ended_ms.get(it)) {
        tracks.retain(|track| {
            !track.is_gone() || track.spans.last().is_some_and(|it| it.0 > *last_ms)
        });
    }
}

#[cfg(test)]
mod tests;

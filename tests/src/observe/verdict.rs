//! How requests fared around one event.

use super::timeline::Timeline;
use crate::load::Request;
use serde::Serialize;

/// A pod that stopped being active this shortly before a request may still answer it, milliseconds:
/// the time that kube-proxies take to follow one change.
const FOLLOW_MS: u64 = 250;

/// One request of the load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// When it was sent, milliseconds of the harness' clock.
    pub sent_ms: u64,
    /// When it was answered or given up.
    pub ended_ms: u64,
    /// Name of the pod that answered; `None` if the request failed.
    pub pod: Option<String>,
}

impl Answer {
    /// What became of a request.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        Self {
            sent_ms: request.sent_ms,
            ended_ms: request.ended_ms,
            pod: request.body().map(str::to_owned),
        }
    }
}

/// What one event did, as programs read it (`make demo JSON=FILE`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What was done.
    pub event: String,
    /// Requests sent.
    pub requests: usize,
    /// Requests without a good answer.
    pub failed: usize,
    /// Longest time between two good answers, milliseconds.
    pub longest_gap_ms: u64,
    /// From the trigger to the first resourceVersion that routes to another pod, milliseconds;
    /// `null` if the role stayed.
    pub new_active_ms: Option<u64>,
    /// Answers of a pod that was active at no instant from 250 ms before the request to its answer.
    pub answers_not_active: usize,
}

/// Judges the requests of one event: `old_uid` was active before the trigger at `trigger_ms`.
/// `answers` may come in any order.
pub fn judge(
    event: &str,
    timeline: &Timeline,
    service: &str,
    old_uid: &str,
    trigger_ms: u64,
    answers: &[Answer],
) -> Verdict {
    let new_active_ms = timeline
        .first_other_route(service, old_uid, trigger_ms)
        .map(|(at_ms, _)| at_ms - trigger_ms);
    let spans = timeline.active_spans(service);
    let was_active = |answer: &Answer, pod: &str| {
        let from_ms = answer.sent_ms.saturating_sub(FOLLOW_MS);
        spans.get(pod).is_some_and(|spans| {
            spans
                .iter()
                .any(|(s, e)| *s <= answer.ended_ms && *e >= from_ms)
        })
    };
    let not_active = |answer: &&Answer| {
        answer
            .pod
            .as_deref()
            .is_some_and(|pod| !was_active(answer, pod))
    };
    Verdict {
        event: event.to_owned(),
        requests: answers.len(),
        failed: answers.iter().filter(|answer| answer.pod.is_none()).count(),
        longest_gap_ms: longest_gap_ms(answers),
        new_active_ms,
        answers_not_active: answers.iter().filter(not_active).count(),
    }
}

/// Longest time without a good answer, the ends of the load included.
fn longest_gap_ms(answers: &[Answer]) -> u64 {
    let start_ms = answers
        .iter()
        .map(|answer| answer.sent_ms)
        .min()
        .unwrap_or(0);
    let end_ms = answers
        .iter()
        .map(|answer| answer.ended_ms)
        .max()
        .unwrap_or(0);
    let mut good_ms: Vec<u64> = answers
        .iter()
        .filter(|a| a.pod.is_some())
        .map(|a| a.ended_ms)
        .collect();
    good_ms.extend([start_ms, end_ms]);
    good_ms.sort_unstable();
    good_ms
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::timeline::{Change, Event};
    use super::*;

    #[test]
    fn counts_failures_gaps_and_strays() {
        let mut timeline = Timeline::default();
        let mut see = |at_ms, change| {
            timeline.push(Event {
                at_ms,
                version: at_ms,
                change,
            })
        };
        for (uid, active) in [("a", true), ("b", false)] {
            see(
                0,
                Change::Label {
                    uid: uid.to_owned(),
                    pod: uid.to_owned(),
                    active,
                },
            );
        }
        see(
            1,
            Change::Route {
                service: "web".to_owned(),
                uid: Some("a".to_owned()),
            },
        );
        see(
            1_100,
            Change::Route {
                service: "web".to_owned(),
                uid: Some("b".to_owned()),
            },
        );
        see(
            1_110,
            Change::Label {
                uid: "b".to_owned(),
                pod: "b".to_owned(),
                active: true,
            },
        );
        see(
            1_120,
            Change::Label {
                uid: "a".to_owned(),
                pod: "a".to_owned(),
                active: false,
            },
        );
        let answer = |sent_ms, pod: Option<&str>| Answer {
            sent_ms,
            ended_ms: sent_ms + 5,
            pod: pod.map(str::to_owned),
        };
        let answers = [
            answer(900, Some("a")),
            answer(1_000, Some("b")),
            answer(1_200, None),
            answer(1_300, Some("a")),
            answer(1_600, Some("a")),
            answer(1_700, Some("b")),
        ];
        let verdict = judge("move", &timeline, "web", "a", 1_000, &answers);
        assert_eq!(verdict.new_active_ms, Some(100));
        assert_eq!((verdict.requests, verdict.failed), (6, 1));
        assert_eq!(verdict.longest_gap_ms, 300);
        // b before it was active at all, and a 480 ms after it had ceased to be.
        assert_eq!(verdict.answers_not_active, 2);
    }
}

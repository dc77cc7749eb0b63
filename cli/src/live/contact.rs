//! Whether the API server answers, and how old what is shown is if it does not.

use super::kind::{News, Source};
use crate::connect::Cluster;
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

/// How often the API server is asked for a sign.
const PULSE_EVERY: Duration = Duration::from_secs(4);
/// The same, while it gave none.
const PULSE_AGAIN: Duration = Duration::from_secs(1);
/// Times without contact that are remembered.
const OUTAGES_MAX: usize = 32;

/// What is known of the contact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Contact {
    /// Why there is none; null while there is.
    pub(crate) lost: Option<String>,
    /// Until when all was seen, milliseconds since 1970; while there is contact, until now.
    pub(crate) seen_until_ms: i64,
    /// Times without contact, from and to, milliseconds since 1970, the oldest first.
    pub(crate) outages: Vec<(i64, i64)>,
}

/// What each source has said last.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    failing: BTreeMap<Source, String>,
    seen_until_ms: i64,
    outages: Vec<(i64, i64)>,
}

impl Contacts {
    /// A source answers.
    pub(super) fn heard(&mut self, source: Source, now: Timestamp) {
        let failed = self.failing.remove(&source).is_some();
        if failed && self.failing.is_empty() {
            self.outages
                .push((self.seen_until_ms, now.as_millisecond()));
            let surplus = self.outages.len().saturating_sub(OUTAGES_MAX);
            self.outages.drain(..surplus);
        }
        self.see(now);
    }

    /// A source does not answer.
    pub(super) fn lost(&mut self, source: Source, why: String, now: Timestamp) {
        self.see(now);
        self.failing.insert(source, why);
    }

    fn see(&mut self, now: Timestamp) {
        if self.failing.is_empty() {
            self.seen_until_ms = now.as_millisecond();
        }
    }

    /// Until when all was seen: beyond that nothing is concluded.
    pub(super) fn seen_until(&self, now: Timestamp) -> Timestamp {
        if self.failing.is_empty() {
            return now;
        }
        Timestamp::from_millisecond(self.seen_until_ms).unwrap_or(now)
    }

    pub(super) fn contact(&self, now: Timestamp) -> Contact {
        Contact {
            lost: self.failing.values().next().cloned(),
            seen_until_ms: self.seen_until(now).as_millisecond(),
            outages: self.outages.clone(),
        }
    }
}

/// Asks the API server for a sign every few seconds: on a watch alone a dead connection is as silent
/// as a quiet cluster. `back` is told when it answers again.
pub(super) async fn pulse(
    cluster: Arc<Cluster>,
    news: mpsc::Sender<News>,
    back: watch::Sender<()>,
) {
    let mut lost = false;
    loop {
        let sign = cluster.get::<Value>("reach the API server", "/version");
        let told = match sign.await {
            Err(failure) if !failure.is_answer() => News::Lost(Source::Pulse, failure.to_string()),
            _ => News::Heard(Source::Pulse),
        };
        let was_lost = std::mem::replace(&mut lost, matches!(told, News::Lost(..)));
        if news.send(told).await.is_err() {
            return;
        }
        if was_lost && !lost {
            back.send_replace(());
        }
        let wait = if lost { PULSE_AGAIN } else { PULSE_EVERY };
        tokio::select! {
            () = sleep(wait) => {}
            () = news.closed() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    #[test]
    fn data_ages_from_the_moment_when_the_first_source_failed_until_the_last_is_back() {
        let mut contacts = Contacts::default();
        contacts.heard(Source::Pods, at(1_000));
        assert_eq!(contacts.contact(at(5_000)).seen_until_ms, 5_000);
        contacts.lost(Source::Pods, "refused".to_owned(), at(6_000));
        contacts.lost(Source::Leases, "refused".to_owned(), at(7_000));
        contacts.heard(Source::Pods, at(8_000));
        let during = contacts.contact(at(9_000));
        assert_eq!(during.lost.as_deref(), Some("refused"));
        assert_eq!((during.seen_until_ms, during.outages), (6_000, vec![]));
        contacts.heard(Source::Leases, at(10_000));
        let after = contacts.contact(at(11_000));
        assert_eq!((after.lost, after.seen_until_ms), (None, 11_000));
        assert_eq!(after.outages, [(6_000, 10_000)]);
    }

    #[test]
    fn outages_are_bounded() {
        let mut contacts = Contacts::default();
        for second in 0..100 {
            contacts.lost(Source::Pods, String::new(), at(second * 1_000));
            contacts.heard(Source::Pods, at(second * 1_000 + 500));
        }
        assert_eq!(contacts.contact(at(0)).outages.len(), OUTAGES_MAX);
    }
}

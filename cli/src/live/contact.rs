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
use tokio::time::{sleep, timeout};

/// How often the API server is asked for a sign.
const PULSE_EVERY: Duration = Duration::from_secs(4);
/// The same, while it gave none.
const PULSE_AGAIN: Duration = Duration::from_secs(1);
/// Longest wait for a sign.
const SIGN_MAX: Duration = Duration::from_secs(4);
/// Times without contact that are remembered.
const OUTAGES_MAX: usize = 32;

/// What is known of the contact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Contact {
    /// Why there is none; null while there is.
    pub(crate) lost: Option<String>,
    /// The last sign that all was seen, milliseconds since 1970: a few seconds ago while there is
    /// contact.
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
        self.sign(now);
    }

    /// A source does not answer.
    pub(super) fn lost(&mut self, source: Source, why: String) {
        self.failing.insert(source, why);
    }

    /// Something was heard.
    pub(super) fn sign(&mut self, now: Timestamp) {
        if self.failing.is_empty() {
            self.seen_until_ms = now.as_millisecond();
        }
    }

    /// The last sign: of what came after it nothing is concluded. That a Lease was not renewed
    /// since may be the silence of a connection that is dead.
    pub(super) fn seen_until(&self) -> Timestamp {
        Timestamp::from_millisecond(self.seen_until_ms).unwrap_or_default()
    }

    pub(super) fn contact(&self) -> Contact {
        Contact {
            lost: self.failing.values().next().cloned(),
            seen_until_ms: self.seen_until_ms,
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
        let told = match timeout(SIGN_MAX, sign).await {
            Ok(Err(failure)) if !failure.is_answer() => {
                News::Lost(Source::Pulse, failure.to_string())
            }
            Ok(_) => News::Heard(Source::Pulse),
            Err(_) => {
                let why = format!("no answer within {} s", SIGN_MAX.as_secs());
                News::Lost(Source::Pulse, why)
            }
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
    fn data_is_as_old_as_the_last_sign_until_the_last_source_is_back() {
        let mut contacts = Contacts::default();
        contacts.heard(Source::Pods, at(1_000));
        contacts.sign(at(5_000));
        assert_eq!(contacts.contact().seen_until_ms, 5_000);
        contacts.lost(Source::Pods, "refused".to_owned());
        contacts.lost(Source::Leases, "refused".to_owned());
        contacts.heard(Source::Pods, at(8_000));
        let during = contacts.contact();
        assert_eq!(during.lost.as_deref(), Some("refused"));
        assert_eq!((during.seen_until_ms, during.outages), (5_000, vec![]));
        contacts.heard(Source::Leases, at(10_000));
        let after = contacts.contact();
        assert_eq!((after.lost, after.seen_until_ms), (None, 10_000));
        assert_eq!(after.outages, [(5_000, 10_000)]);
    }

    #[test]
    fn outages_are_bounded() {
        let mut contacts = Contacts::default();
        for second in 0..100 {
            contacts.lost(Source::Pods, String::new());
            contacts.heard(Source::Pods, at(second * 1_000 + 500));
        }
        assert_eq!(contacts.contact().outages.len(), OUTAGES_MAX);
    }
}

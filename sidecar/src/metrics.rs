//! Counters, and the page that shows them in Prometheus's text format.

use crate::clock::Clock;
use crate::histogram::{Histogram, seconds};
use crate::published::Published;
use election::{Mono, MoveKind, Params};
use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is counted. Labels come from fixed sets, so the number of series is bounded.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// By request, and by status code or 0 for no answer.
    requests: BTreeMap<(&'static str, u16), u64>,
    /// By resource, and by what began.
    watches: BTreeMap<(&'static str, &'static str), u64>,
    /// From sending a renewal to its answer.
    renewals: Histogram,
    /// Moves of the role to this pod, by kind.
    moves: BTreeMap<MoveKind, Histogram>,
    /// Events by what became of them.
    events: BTreeMap<&'static str, u64>,
}

/// A request that is under way. One that is dropped counts as lost.
pub(crate) struct Pending<'a> {
    metrics: &'a Metrics,
    request: &'static str,
    code: u16,
}

impl Pending<'_> {
    /// Counts it under the status of its answer, if there was one.
    pub(crate) fn ended(mut self, status: Option<u16>) {
        self.code = status.unwrap_or(0);
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        *self
            .metrics
            .counts()
            .requests
            .entry((self.request, self.code))
            .or_default() += 1;
    }
}

impl Metrics {
    /// A request begins.
    pub(crate) fn pending(&self, request: &'static str) -> Pending<'_> {
        Pending {
            metrics: self,
            request,
            code: 0,
        }
    }

    /// A list or watch of a resource begins.
    pub(crate) fn watch_begins(&self, resource: &'static str, call: &'static str) {
        *self.counts().watches.entry((resource, call)).or_default() += 1;
    }

    /// The Lease was renewed.
    pub(crate) fn renewed(&self, took_ms: u64) {
        self.counts().renewals.observe(took_ms);
    }

    /// The role has come here.
    pub(crate) fn moved(&self, kind: MoveKind, took_ms: u64) {
        self.counts()
            .moves
            .entry(kind)
            .or_default()
            .observe(took_ms);
    }

    /// What became of an Event.
    pub(crate) fn event(&self, result: &'static str) {
        *self.counts().events.entry(result).or_default() += 1;
    }

    /// How many Events had this result.
    #[cfg(test)]
    pub(crate) fn events(&self, result: &str) -> u64 {
        self.counts().events.get(result).copied().unwrap_or(0)
    }

    /// The page.
    pub(crate) fn page(&self, published: &Published, clock: Clock, params: &Params) -> String {
        let mut page = Page(String::with_capacity(4_096));
        page.standing(published, clock.now(), params);
        let counts = self.counts();
        page.histogram(
            "renew_duration_seconds",
            "Time from sending a renewal of the Lease to its success",
            [(String::new(), &counts.renewals)],
        );
        let moves = counts.moves.iter();
        page.histogram(
            "handover_duration_seconds",
            "Time until the role had come here and was written everywhere, by kind of the move",
            moves.map(|(kind, moves)| (format!("kind=\"{}\"", kind.as_str()), moves)),
        );
        page.family(
            "api_requests_total",
            "counter",
            "Requests by status code; 0: no answer",
        );
        for ((request, code), count) in &counts.requests {
            let labels = format!("{{request=\"{request}\",code=\"{code}\"}}");
            page.sample("api_requests_total", &labels, count);
        }
        page.family("watches_total", "counter", "Lists and watches begun");
        for ((resource, call), count) in &counts.watches {
            let labels = format!("{{resource=\"{resource}\",call=\"{call}\"}}");
            page.sample("watches_total", &labels, count);
        }
        page.family("events_total", "counter", "Kubernetes Events by result");
        for (result, count) in &counts.events {
            let labels = format!("{{result=\"{result}\"}}");
            page.sample("events_total", &labels, count);
        }
        page.family("build_info", "gauge", "Version of the sidecar");
        page.sample(
            "build_info",
            concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}"),
            1,
        );
        page.0
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A renewal is valid until its sending and the validity are over, which tells when it was sent.
fn renew_age_ms(now: Mono, valid_until: Mono, params: &Params) -> u64 {
    params
        .validity_ms()
        .saturating_sub(valid_until.ms_since(now))
}

struct Page(String);

impl Page {
    /// Where this pod stands.
    fn standing(&mut self, published: &Published, now: Mono, params: &Params) {
        let leads = published.leads(now);
        self.family("role", "gauge", "1 on the active pod, 0 on every other");
        self.sample("role", "", u8::from(leads));
        let help = "Term of the election, as this pod knows it";
        self.family("term", "gauge", help);
        self.sample("term", "", published.standing.term);
        self.family("transitions_total", "counter", "Role changes of this pod");
        self.sample("transitions_total", "", published.transitions);
        let help = "Time in which nobody led, as far as this pod could see";
        self.family("leaderless_seconds_total", "counter", help);
        let leaderless_ms = published.leaderless.total_ms(now);
        self.sample("leaderless_seconds_total", "", seconds(leaderless_ms));
        if leads {
            let age_ms = renew_age_ms(now, published.standing.valid_until, params);
            let help = "Time since the Lease was renewed from here";
            self.family("renew_age_seconds", "gauge", help);
            self.sample("renew_age_seconds", "", seconds(age_ms));
        }
        if let Some(since) = published.observed_since {
            let help = "Time since the Lease was first seen as it is";
            self.family("lease_observed_age_seconds", "gauge", help);
            let age = seconds(now.ms_since(since));
            self.sample("lease_observed_age_seconds", "", age);
        }
    }

    // Writing to a String cannot fail.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.0, "# HELP active_passive_{name} {help}").ok();
        writeln!(self.0, "# TYPE active_passive_{name} {kind}").ok();
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        writeln!(self.0, "active_passive_{name}{labels} {value}").ok();
    }

    fn histogram<'a>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (String, &'a Histogram)>,
    ) {
        self.family(name, "histogram", help);
        let name = format!("active_passive_{name}");
        for (labels, histogram) in series {
            histogram.write(&mut self.0, &name, &labels).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_counted_once_however_it_ends() {
        let metrics = Metrics::default();
        metrics.pending("write_lease").ended(Some(409));
        metrics.pending("write_lease").ended(None);
        drop(metrics.pending("write_lease"));
        let requests = &metrics.counts().requests;
        assert_eq!(requests.get(&("write_lease", 409)), Some(&1));
        assert_eq!(requests.get(&("write_lease", 0)), Some(&2));
    }
}

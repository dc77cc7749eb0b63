//! Counters, and the page that shows them in Prometheus's text format.

use crate::clock::Clock;
use crate::published::Published;
use election::{Mono, Params};
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

    /// The page.
    pub(crate) fn page(&self, published: &Published, clock: Clock, params: &Params) -> String {
        let now = clock.now();
        let mut page = Page(String::with_capacity(2_048));
        let leads = published.leads(now);
        page.family("role", "gauge", "1 on the active pod, 0 on every other");
        page.sample("role", "", u8::from(leads));
        page.family(
            "term",
            "gauge",
            "Term of the election, as this pod knows it",
        );
        page.sample("term", "", published.standing.term);
        page.family("transitions_total", "counter", "Role changes of this pod");
        page.sample("transitions_total", "", published.transitions);
        if leads {
            let age_ms = renew_age_ms(now, published.standing.valid_until, params);
            page.family(
                "renew_age_seconds",
                "gauge",
                "Time since the Lease was renewed from here",
            );
            page.sample("renew_age_seconds", "", seconds(age_ms));
        }
        if let Some(since) = published.observed_since {
            let help = "Time since the Lease was first seen as it is";
            page.family("lease_observed_age_seconds", "gauge", help);
            page.sample(
                "lease_observed_age_seconds",
                "",
                seconds(now.ms_since(since)),
            );
        }
        let counts = self.counts();
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

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

struct Page(String);

impl Page {
    // Writing to a String cannot fail.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.0, "# HELP active_passive_{name} {help}").ok();
        writeln!(self.0, "# TYPE active_passive_{name} {kind}").ok();
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        writeln!(self.0, "active_passive_{name}{labels} {value}").ok();
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

    #[test]
    fn seconds_have_milliseconds() {
        assert_eq!(seconds(12_005), "12.005");
    }
}

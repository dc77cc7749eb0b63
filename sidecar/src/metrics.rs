//! Counters, and the page that shows them in Prometheus's text format.

use crate::clock::Clock;
use crate::histogram::{Histogram, seconds};
use crate::published::Published;
use common::metrics::{Kind, Metric, sidecar as metric};
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
        page.histogram(&metric::RENEW_DURATION, [(String::new(), &counts.renewals)]);
        let moves = counts.moves.iter();
        page.histogram(
            &metric::HANDOVER_DURATION,
            moves.map(|(kind, moves)| (format!("kind=\"{}\"", kind.as_str()), moves)),
        );
        page.family(&metric::API_REQUESTS);
        for ((request, code), count) in &counts.requests {
            let labels = format!("{{request=\"{request}\",code=\"{code}\"}}");
            page.sample(&metric::API_REQUESTS, &labels, count);
        }
        page.family(&metric::WATCHES);
        for ((resource, call), count) in &counts.watches {
            let labels = format!("{{resource=\"{resource}\",call=\"{call}\"}}");
            page.sample(&metric::WATCHES, &labels, count);
        }
        page.family(&metric::EVENTS);
        for (result, count) in &counts.events {
            let labels = format!("{{result=\"{result}\"}}");
            page.sample(&metric::EVENTS, &labels, count);
        }
        let version = concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
        page.one(&metric::BUILD_INFO, version, 1);
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
        self.one(&metric::ROLE, "", u8::from(leads));
        self.one(&metric::TERM, "", published.standing.term);
        self.one(&metric::TRANSITIONS, "", published.transitions);
        let leaderless_ms = published.leaderless.total_ms(now);
        self.one(&metric::LEADERLESS, "", seconds(leaderless_ms));
        let duration = seconds(params.lease_duration_ms);
        self.one(&metric::LEASE_DURATION, "", duration);
        if leads {
            let age_ms = renew_age_ms(now, published.standing.valid_until, params);
            self.one(&metric::RENEW_AGE, "", seconds(age_ms));
        }
        if let Some(since) = published.observed_since {
            let age = seconds(now.ms_since(since));
            self.one(&metric::LEASE_OBSERVED_AGE, "", age);
        }
    }

    /// A metric with one series.
    fn one(&mut self, metric: &Metric, labels: &str, value: impl Display) {
        self.family(metric);
        self.sample(metric, labels, value);
    }

    // Writing to a String cannot fail.
    fn family(&mut self, metric: &Metric) {
        let Metric { name, help, .. } = metric;
        writeln!(self.0, "# HELP {name} {help}").ok();
        writeln!(self.0, "# TYPE {name} {}", metric.kind.as_str()).ok();
    }

    fn sample(&mut self, metric: &Metric, labels: &str, value: impl Display) {
        writeln!(self.0, "{}{labels} {value}", metric.name).ok();
    }

    fn histogram<'a>(
        &mut self,
        metric: &Metric,
        series: impl IntoIterator<Item = (String, &'a Histogram)>,
    ) {
        debug_assert_eq!(metric.kind, Kind::Histogram, "{}", metric.name);
        self.family(metric);
        for (labels, histogram) in series {
            histogram.write(&mut self.0, metric.name, &labels).ok();
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
    #[test]
    fn the_page_has_every_metric_that_is_documented_and_no_other() {
        let metrics = Metrics::default();
        let mut published = Published::nothing();
        published.observed_since = Some(Mono::ZERO);
        published.standing.role = election::Role::Leader;
        published.standing.valid_until = Mono::from_ms(u64::MAX);
        let params = crate::tests::config().params;
        let page = metrics.page(&published, Clock::boottime(), &params);
        let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let documented = metric::ALL.map(|it| format!("{} {}", it.name, it.kind.as_str()));
        assert_eq!(types.collect::<Vec<_>>(), documented);
    }

    #[test]
    fn kinds_of_moves_are_all_documented() {
        let [kinds] = metric::HANDOVER_DURATION.labels else {
            panic!("one label");
        };
        let documented = kinds.values.split('`').skip(1).step_by(2);
        let known = MoveKind::ALL.map(MoveKind::as_str);
        assert_eq!(documented.collect::<Vec<_>>(), known);
    }
}

//! Services in Service mode as people read them: a line each, or one in depth.

use super::doubts::{doubts, selector};
use super::{Candidate, Served};
use crate::age::{since_s, span};
use crate::doubts::codes;
use crate::list::{Columns, Row};
use crate::table::Table;
use common::service::Route;
use k8s_openapi::jiff::Timestamp;

const TITLES: [&str; 5] = ["SERVICE", "ACTIVE", "SINCE", "READY", "SUCCESSORS"];
const WIDE_TITLES: [&str; 2] = ["NODE", "SELECTOR"];
const POD_TITLES: [&str; 6] = ["POD", "ROLE", "READY", "NODE", "AGE", "CAN BECOME ACTIVE"];

/// The table.
pub(crate) fn table(all: &[Served], columns: Columns, now: Timestamp) -> String {
    let rows = all.iter().map(|served| {
        let node = served.designated().and_then(|pod| pod.node.clone());
        Row {
            namespace: served.namespace().to_owned(),
            cells: line(served, now).into(),
            wide: vec![node.unwrap_or_default(), selector(served)],
            warnings: codes(&doubts(served)),
        }
    });
    columns.table(&TITLES, &WIDE_TITLES, rows)
}

fn line(served: &Served, now: Timestamp) -> [String; TITLES.len()] {
    let successors = served.pods.as_ref().map(|_| served.successors().count());
    [
        served.name().to_owned(),
        served.active().unwrap_or_default(),
        since_s(now, served.since()).map(span).unwrap_or_default(),
        served.ready(),
        successors.map(|it| it.to_string()).unwrap_or_default(),
    ]
}

/// One Service as its name and kind: `kubectl get` takes it.
pub(crate) fn resource(served: &Served) -> String {
    format!("service/{}\n", served.name())
}

/// One Service.
pub(crate) fn in_depth(served: &Served, wide: bool, now: Timestamp) -> String {
    let (name, namespace) = (served.name(), served.namespace());
    let selects = match selector(served) {
        nothing if nothing.is_empty() => "nothing".to_owned(),
        selector => selector,
    };
    let mut text = String::new();
    for (title, value) in [
        (
            "Service:",
            format!("{name} in namespace {namespace}, in Service mode"),
        ),
        ("Active:", active(served, now)),
        ("Selects:", selects),
        ("Traffic:", format!("goes to {}", served.destination())),
    ] {
        text.push_str(&format!("{title:<12}{value}\n"));
    }
    if !served.pods().is_empty() {
        text.push('\n');
        text.push_str(&pods(served, wide, now));
    }
    let doubts = doubts(served);
    if !doubts.is_empty() {
        text.push_str("\nWarnings:\n");
    }
    for doubt in doubts {
        text.push_str(&format!("  {}: {}\n", doubt.code, doubt.text));
    }
    text
}

fn active(served: &Served, now: Timestamp) -> String {
    let Some(active) = served.active() else {
        return "nobody".to_owned();
    };
    let node = served.designated().and_then(|pod| pod.node.as_deref());
    let on = node.map(|node| format!(" on {node}")).unwrap_or_default();
    let since = since_s(now, served.since()).map(|s| format!(", for {}", span(s)));
    format!("{active}{on}{}", since.unwrap_or_default())
}

fn pods(served: &Served, wide: bool, now: Timestamp) -> String {
    let mut titles = POD_TITLES.to_vec();
    titles.extend(wide.then_some("REVISION"));
    let mut table = Table::new(&titles);
    for pod in served.pods() {
        let mut cells = vec![
            pod.name.clone(),
            if pod.labelled { "active" } else { "" }.to_owned(),
            if pod.ready { "yes" } else { "no" }.to_owned(),
            pod.node.clone().unwrap_or_default(),
            since_s(now, pod.created_at).map(span).unwrap_or_default(),
            can_become_active(served, pod),
        ];
        cells.extend(wide.then(|| pod.revision.clone()));
        table.line(cells);
    }
    table.text()
}

fn can_become_active(served: &Served, pod: &Candidate) -> String {
    let is = served.designated().is_some_and(|it| it.uid == pod.uid);
    match pod.ineligible {
        None if is => "is".to_owned(),
        None => "yes".to_owned(),
        Some(why) => format!("no: {}", why.as_str()),
    }
}

impl Served {
    /// Where its traffic goes, after "goes to".
    pub(super) fn destination(&self) -> String {
        match self.service.route() {
            Route::Untouched => "whoever its endpoints name".to_owned(),
            Route::Selector => "every pod that it selects".to_owned(),
            Route::Nobody => "nobody".to_owned(),
            Route::Pod(uid) => self.pod_name(uid),
        }
    }
}

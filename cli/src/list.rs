//! All groups, a line each.

use crate::age::{since_s, span, took};
use crate::doubts::{codes, doubts};
use crate::group::Group;
use crate::lease::Lease;
use crate::table::Table;
use k8s_openapi::jiff::Timestamp;

/// Which columns a table has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    pub(crate) namespace: bool,
    pub(crate) wide: bool,
}

/// Columns of a group, less its namespace and its warnings.
pub(crate) const TITLES: [&str; 8] = [
    "GROUP",
    "ACTIVE",
    "SINCE",
    "TERM",
    "READY",
    "SUCCESSORS",
    "LEASE",
    "LAST MOVE",
];
const WIDE_TITLES: [&str; 3] = ["NODE", "OWNER", "SERVICES"];

/// What a line is made of, as far as its columns are shown.
pub(crate) struct Row {
    pub(crate) namespace: String,
    pub(crate) cells: Vec<String>,
    pub(crate) wide: Vec<String>,
    pub(crate) warnings: String,
}

impl Columns {
    /// A table of these columns, under the titles of cells and of what is wide.
    pub(crate) fn table(
        self,
        titles: &[&str],
        wide_titles: &[&str],
        rows: impl Iterator<Item = Row>,
    ) -> String {
        let mut all = Vec::new();
        all.extend(self.namespace.then_some("NAMESPACE"));
        all.extend(titles);
        all.extend(wide_titles.iter().filter(|_| self.wide));
        // The longest last.
        all.push("WARNINGS");
        let mut table = Table::new(&all);
        for row in rows {
            let mut cells = Vec::new();
            cells.extend(self.namespace.then_some(row.namespace));
            cells.extend(row.cells);
            cells.extend(row.wide.into_iter().filter(|_| self.wide));
            cells.push(row.warnings);
            table.line(cells);
        }
        table.text()
    }
}

/// The table.
pub(crate) fn text(groups: &[Group], columns: Columns, now: Timestamp) -> String {
    let rows = groups.iter().map(|group| Row {
        namespace: group.namespace.clone(),
        cells: line(group, now).into(),
        wide: wide(group).into(),
        warnings: warnings(group, now),
    });
    columns.table(&TITLES, &WIDE_TITLES, rows)
}

/// One group as its name and the kind that carries its state: `kubectl get` takes it.
pub(crate) fn resource(group: &Group) -> String {
    format!("lease.coordination.k8s.io/{}\n", group.name)
}

/// A group's cells under [`TITLES`].
pub(crate) fn line(group: &Group, now: Timestamp) -> [String; TITLES.len()] {
    let lease = group.lease.as_ref();
    let leader = group.leader();
    let since = lease.filter(|_| leader.is_some());
    let since = since_s(now, since.and_then(Lease::acquired_at));
    let left = match group.lease_left_s(now) {
        Some(left_s) if left_s < 0 => "expired".to_owned(),
        Some(left_s) => span(left_s.unsigned_abs()),
        None => String::new(),
    };
    let last_move = group.last_move().map(|entry| match entry.duration_ms {
        Some(ms) => format!("{} {}", entry.kind, took(ms)),
        None => entry.kind,
    });
    [
        group.name.clone(),
        leader.unwrap_or_default(),
        since.map(span).unwrap_or_default(),
        lease
            .map(|lease| lease.term().to_string())
            .unwrap_or_default(),
        format!("{}/{}", group.ready(), group.members.len()),
        group.successors().count().to_string(),
        left,
        last_move.unwrap_or_default(),
    ]
}

/// Codes of a group's warnings.
pub(crate) fn warnings(group: &Group, now: Timestamp) -> String {
    codes(&doubts(group, now))
}

fn wide(group: &Group) -> [String; WIDE_TITLES.len()] {
    let node = group.holder().and_then(|holder| holder.node.clone());
    let owner = group.lease.as_ref().and_then(Lease::owner);
    let services: Vec<&str> = group
        .services
        .iter()
        .map(|service| service.metadata.name.as_str())
        .collect();
    [
        node.unwrap_or_default(),
        owner.unwrap_or_default().to_owned(),
        services.join(","),
    ]
}

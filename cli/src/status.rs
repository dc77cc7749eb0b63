//! `status`: all groups a line each, or one group in depth; and Services in Service mode likewise,
//! which have no group.

use crate::age::{since_s, span, took};
use crate::args::{Data, Format, StatusArgs};
use crate::connect::Cluster;
use crate::doubts::{destination, doubts};
use crate::failure::Failure;
use crate::gather::gather;
use crate::group::{Group, Member};
use crate::lease::Lease;
use crate::list::{self, Columns};
use crate::output::data;
use crate::report::{GroupReport, Groups, role};
use crate::service_mode::{self, Served, ServedReport};
use crate::table::Table;
use common::service::Route;
use election::Ineligible;
use k8s_openapi::jiff::Timestamp;

/// What may stand before the name of a Service, as kubectl takes it.
const SERVICE_KINDS: [&str; 4] = ["service/", "services/", "svc/", "service.v1/"];

/// Runs it.
pub(crate) async fn run(cluster: &Cluster, args: &StatusArgs) -> Result<String, Failure> {
    let namespace = Some(cluster.namespace.as_str()).filter(|_| !args.all_namespaces);
    let mut gathered = gather(cluster, namespace).await?;
    let Some(name) = &args.group else {
        let served = gathered.served(cluster).await?;
        let groups = &gathered.groups;
        let text = all(groups, &served, namespace, args.output, Timestamp::now())?;
        return Ok(with_unseen(text, &gathered.unseen, args.output));
    };
    let (name, is_service) = wanted(name);
    let named = |group: &&Group| !is_service && group.name == name;
    if let Some(group) = gathered.groups.iter().find(named) {
        let text = one(group, args.output, Timestamp::now())?;
        gathered.unseen.extend(gathered.beside(name));
        return Ok(with_unseen(text, &gathered.unseen, args.output));
    }
    let all = gathered.served(cluster).await?;
    let Some(served) = all.iter().find(|served| served.name() == name) else {
        return Err(if is_service {
            Failure::NoService {
                service: name.to_owned(),
                namespace: cluster.namespace.clone(),
            }
        } else {
            gathered.nothing(cluster, name, &all)
        });
    };
    let text = one_served(served, args.output, Timestamp::now())?;
    Ok(with_unseen(text, &gathered.unseen, args.output))
}

/// The name that is meant, and whether it can only be a Service's.
fn wanted(name: &str) -> (&str, bool) {
    let mut kinds = SERVICE_KINDS.iter();
    match kinds.find_map(|kind| name.strip_prefix(kind)) {
        Some(service) => (service, true),
        None => (name, false),
    }
}

/// What may not be seen is said to people; programs see the gaps.
fn with_unseen(mut text: String, unseen: &[String], format: Option<Format>) -> String {
    if matches!(format, None | Some(Format::Wide)) {
        for line in unseen {
            text.push_str(&format!("note: {line}\n"));
        }
    }
    text
}

/// All groups and Services of a namespace, or of all.
pub(crate) fn all(
    groups: &[Group],
    served: &[Served],
    namespace: Option<&str>,
    format: Option<Format>,
    now: Timestamp,
) -> Result<String, Failure> {
    let columns = Columns {
        namespace: namespace.is_none(),
        wide: format == Some(Format::Wide),
    };
    match format {
        Some(Format::Json) => data(&Groups::new(groups, served, now), Data::Json),
        Some(Format::Yaml) => data(&Groups::new(groups, served, now), Data::Yaml),
        Some(Format::Name) => {
            let names = groups.iter().map(list::resource);
            Ok(names
                .chain(served.iter().map(service_mode::resource))
                .collect())
        }
        None | Some(Format::Wide) if groups.is_empty() && served.is_empty() => {
            Ok(match namespace {
                Some(name) => format!(
                    "no groups in namespace {name}; -A shows all, and docs/annotations.md how to \
                     make one\n"
                ),
                None => "no groups; docs/annotations.md says how to make one\n".to_owned(),
            })
        }
        None | Some(Format::Wide) => {
            let mut tables = Vec::new();
            if !groups.is_empty() {
                tables.push(list::text(groups, columns, now));
            }
            if !served.is_empty() {
                tables.push(service_mode::table(served, columns, now));
            }
            Ok(tables.join("\n"))
        }
    }
}

/// One Service in Service mode.
pub(crate) fn one_served(
    served: &Served,
    format: Option<Format>,
    now: Timestamp,
) -> Result<String, Failure> {
    match format {
        Some(Format::Json) => data(&ServedReport::new(served), Data::Json),
        Some(Format::Yaml) => data(&ServedReport::new(served), Data::Yaml),
        Some(Format::Name) => Ok(service_mode::resource(served)),
        None | Some(Format::Wide) => {
            let wide = format == Some(Format::Wide);
            Ok(service_mode::in_depth(served, wide, now))
        }
    }
}

/// One group.
pub(crate) fn one(
    group: &Group,
    format: Option<Format>,
    now: Timestamp,
) -> Result<String, Failure> {
    match format {
        Some(Format::Json) => data(&GroupReport::new(group, now), Data::Json),
        Some(Format::Yaml) => data(&GroupReport::new(group, now), Data::Yaml),
        Some(Format::Name) => Ok(list::resource(group)),
        None | Some(Format::Wide) => Ok(in_depth(group, format == Some(Format::Wide), now)),
    }
}

fn in_depth(group: &Group, wide: bool, now: Timestamp) -> String {
    let mut text = String::new();
    for (title, value) in facts(group, now) {
        text.push_str(&format!("{title:<12}{value}\n"));
    }
    if !group.members.is_empty() {
        text.push('\n');
        text.push_str(&pods(group, wide, now));
    }
    let doubts = doubts(group, now);
    if !doubts.is_empty() {
        text.push_str("\nWarnings:\n");
    }
    for doubt in doubts {
        text.push_str(&format!("  {}: {}\n", doubt.code, doubt.text));
    }
    text
}

fn facts(group: &Group, now: Timestamp) -> Vec<(&'static str, String)> {
    let lease = group.lease.as_ref();
    let mut facts = vec![
        (
            "Group:",
            format!("{} in namespace {}", group.name, group.namespace),
        ),
        ("Active:", active(group, now)),
    ];
    if let (Some(lease), Some(left_s)) = (lease, group.lease_left_s(now)) {
        let of = span(lease.duration_s());
        let left = match left_s {
            0.. => format!("{} left of {of}", span(left_s.unsigned_abs())),
            _ => format!("{of}, expired {} ago", span(left_s.unsigned_abs())),
        };
        facts.push(("Lease:", left));
    }
    if let Some(entry) = group.last_move() {
        let at = entry.at.parse().ok();
        let ago = since_s(now, at).map(|s| format!(", {} ago", span(s)));
        let took = entry.duration_ms.map(|ms| format!(", took {}", took(ms)));
        let (ago, took) = (ago.unwrap_or_default(), took.unwrap_or_default());
        facts.push((
            "Last move:",
            format!("to {}: {}{took}{ago}", entry.pod, entry.kind),
        ));
    }
    if let Some(owner) = lease.and_then(Lease::owner) {
        facts.push(("Workload:", owner.to_owned()));
    }
    for service in &group.services {
        let name = &service.metadata.name;
        let routes = match service.route() {
            Route::Untouched => "has no selector: it is left alone".to_owned(),
            route => format!("sends traffic to {}", destination(group, route)),
        };
        facts.push(("Service:", format!("{name} {routes}")));
    }
    facts
}

fn active(group: &Group, now: Timestamp) -> String {
    let Some(lease) = &group.lease else {
        let labelled = group
            .leader()
            .map(|leader| format!("{leader}, by its label"));
        return labelled.unwrap_or_else(|| "nobody".to_owned());
    };
    let Some(holder) = lease.holder() else {
        return format!("nobody (term {})", lease.term());
    };
    if group.lease_left_s(now).is_some_and(|left_s| left_s < 0) {
        return format!(
            "nobody: the Lease of {holder} has expired (term {})",
            lease.term()
        );
    }
    let node = group.holder().and_then(|member| member.node.as_deref());
    let on = node.map(|node| format!(" on {node}")).unwrap_or_default();
    let since = since_s(now, lease.acquired_at());
    let since = since.map(|s| format!(", for {}", span(s)));
    let since = since.unwrap_or_default();
    format!("{holder}{on}{since} (term {})", lease.term())
}

fn pods(group: &Group, wide: bool, now: Timestamp) -> String {
    let mut titles = vec!["POD", "ROLE", "READY", "NODE", "AGE", "CAN BECOME ACTIVE"];
    if wide {
        titles.extend(["PRIORITY", "REVISION", "SIDECAR"]);
    }
    let mut table = Table::new(&titles);
    for member in &group.members {
        let mut cells = vec![
            member.name().to_owned(),
            role(member.role).unwrap_or_default().to_owned(),
            if member.ready { "yes" } else { "no" }.to_owned(),
            member.node.clone().unwrap_or_default(),
            since_s(now, member.created_at)
                .map(span)
                .unwrap_or_default(),
            can_become_active(group, member),
        ];
        if wide {
            cells.push(member.priority.to_string());
            cells.push(member.revision.clone());
            cells.push(member.version.clone().unwrap_or_default());
        }
        table.line(cells);
    }
    table.text()
}

fn can_become_active(group: &Group, member: &Member) -> String {
    let holds = group
        .holder()
        .is_some_and(|holder| holder.meta.uid == member.meta.uid);
    match member.ineligible.map(Ineligible::as_str) {
        None if holds => "is".to_owned(),
        None => "yes".to_owned(),
        Some(why) => format!("no: {why}"),
    }
}

//! A plan: of each workload what would change, and what would be said against it. Pure.

use crate::policy::Policies;
use crate::table::Table;
use ::inject::policy::{
    Added, Beside, Enforcement, Labels, Part, Policy, Rivals, ServiceRoute, Verdict, Workload,
    WorkloadKind, evaluate,
};
use common::contract;
use common::objects::Meta;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

/// What is there.
pub(crate) struct World {
    /// Policies that are there.
    pub(crate) before: Policies,
    /// Namespaces that policies can be about, and their labels.
    pub(crate) namespaces: BTreeMap<String, Labels>,
    pub(crate) workloads: Vec<(WorkloadKind, Value)>,
    pub(crate) services: BTreeMap<String, Vec<ServiceRoute>>,
    /// By namespace and name.
    pub(crate) leases: BTreeMap<(String, String), Meta>,
}

impl World {
    /// Workloads by namespace and name.
    fn namesakes(&self) -> BTreeMap<(&str, &str), Vec<(WorkloadKind, &Value)>> {
        let mut namesakes: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (kind, object) in &self.workloads {
            let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
            let place = (text("namespace"), text("name"));
            namesakes.entry(place).or_default().push((*kind, object));
        }
        namesakes
    }

    /// What stands beside workloads of one name, under these policies.
    fn rivals(
        &self,
        policies: &[Arc<Policy>],
        (namespace, name): (&str, &str),
        namesakes: &[(WorkloadKind, &Value)],
    ) -> Rivals {
        let mut rivals = Rivals::default();
        if let Some(labels) = self.namespaces.get(namespace) {
            for (kind, object) in namesakes {
                rivals.add_workload(policies, labels, *kind, object);
            }
        }
        if let Some(lease) = self.leases.get(&(namespace.to_owned(), name.to_owned())) {
            let labels = lease.labels.iter().flatten();
            let notes = lease.annotations.iter().flatten();
            rivals.add_lease(
                labels.map(|(key, _)| key.as_str()),
                notes.map(|(key, value)| (key.as_str(), value.as_str())),
            );
        }
        rivals
    }
}

/// What would come of it.
#[derive(Debug, Serialize)]
pub(crate) struct Plan {
    /// Names of the policies that are planned.
    policies: Vec<String>,
    /// Namespaces that they are about.
    namespaces: usize,
    /// Workloads that they are about, or were.
    matched: usize,
    /// Of these, workloads whose next pods would be others.
    changed: usize,
    /// Workloads that would be counted as violating, and no more.
    counted: usize,
    /// Workloads whose next change would be warned of.
    warned: usize,
    /// Workloads whose next change would be refused.
    pub(crate) refused: usize,
    /// Workloads that are to have the sidecar and cannot.
    cannot: usize,
    /// What there is to say about each; nothing about those that stay as they are.
    items: Vec<Item>,
}

/// One thing about one workload.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Item {
    namespace: String,
    kind: &'static str,
    name: String,
    result: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Change,
    Cannot,
    Count,
    Warn,
    Refuse,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Cannot => "cannot",
            Self::Count => "count",
            Self::Warn => "warn",
            Self::Refuse => "refuse",
        }
    }
}

impl Plan {
    pub(crate) fn of(planned: &Policies, world: &World) -> Self {
        let mut after = world.before.clone();
        after.extend(
            planned
                .iter()
                .map(|(name, policy)| (name.clone(), policy.clone())),
        );
        let in_order = |policies: &Policies| policies.values().cloned().collect::<Vec<_>>();
        let (before, after) = (in_order(&world.before), in_order(&after));
        let about = |labels: &&Labels| planned.values().any(|it| it.is_about_namespace(labels));
        let mut plan = Self {
            policies: planned.keys().cloned().collect(),
            namespaces: world.namespaces.values().filter(about).count(),
            matched: 0,
            changed: 0,
            counted: 0,
            warned: 0,
            refused: 0,
            cannot: 0,
            items: Vec::new(),
        };
        let namesakes = world.namesakes();
        for (kind, object) in &world.workloads {
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
            let (Some(labels), Some(workload)) = (
                world.namespaces.get(namespace),
                Workload::read(*kind, object),
            ) else {
                continue;
            };
            if Workload::is_run(*kind, object) {
                continue;
            }
            let services = world.services.get(namespace).map_or(&[][..], Vec::as_slice);
            let place = (namespace, workload.name);
            let same = namesakes.get(&place).map_or(&[][..], Vec::as_slice);
            let (old, new) = (
                world.rivals(&before, place, same),
                world.rivals(&after, place, same),
            );
            let of = |policies, rivals| {
                let beside = Beside {
                    services: Some(services),
                    rivals: Some(rivals),
                };
                evaluate(policies, labels, &workload, beside)
            };
            let (before, after) = (of(&before, &old), of(&after, &new));
            let ours = |policy: &&Policy| planned.contains_key(policy.name());
            if !before.matching.iter().chain(&after.matching).any(ours) {
                continue;
            }
            plan.add(namespace, &workload, said(planned, &before, &after));
        }
        plan.items.sort();
        plan
    }

    fn add(&mut self, namespace: &str, workload: &Workload<'_>, said: Vec<Word>) {
        self.matched += 1;
        let outcomes: BTreeSet<Outcome> = said.iter().map(|word| word.result).collect();
        let has = |outcome| usize::from(outcomes.contains(&outcome));
        self.changed += has(Outcome::Change);
        self.cannot += has(Outcome::Cannot);
        // The hardest of them is what becomes of it.
        match outcomes.last() {
            Some(Outcome::Refuse) => self.refused += 1,
            Some(Outcome::Warn) => self.warned += 1,
            Some(Outcome::Count) => self.counted += 1,
            _ => {}
        }
        self.items.extend(said.into_iter().map(|word| Item {
            namespace: namespace.to_owned(),
            kind: workload.kind.as_str(),
            name: workload.name.to_owned(),
            result: word.result,
            policy: word.policy,
            why: word.why,
        }));
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        if !self.items.is_empty() {
            let mut table = Table::new(&["NAMESPACE", "WORKLOAD", "RESULT", "WHY"]);
            for item in &self.items {
                let workload = format!("{}/{}", item.kind, item.name);
                let (namespace, why) = (item.namespace.clone(), item.why.clone());
                table.line([namespace, workload, item.result.as_str().to_owned(), why]);
            }
            text = table.text() + "\n";
        }
        let Self {
            changed,
            counted,
            warned,
            refused,
            cannot,
            ..
        } = self;
        let workloads = several(self.matched, "workload");
        let namespaces = several(self.namespaces, "namespace");
        // Writing to a String cannot fail.
        writeln!(
            text,
            "{workloads} in {namespaces}: {changed} change when their pods are made anew, {cannot} \
             cannot have the sidecar;\nviolating: {counted} counted, {warned} warned of, {refused} \
             refused at their next change"
        )
        .ok();
        text
    }
}

fn several(count: usize, of: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {of}{s}")
}

/// One thing about a workload.
struct Word {
    result: Outcome,
    policy: Option<String>,
    why: String,
}

fn said(planned: &Policies, before: &Verdict<'_>, after: &Verdict<'_>) -> Vec<Word> {
    let mut said = changes(before, after);
    if let Part::Cannot { by: Some(by), why } = &after.part {
        said.push(Word {
            result: Outcome::Cannot,
            policy: Some((*by).to_owned()),
            why: format!("its pods go without the sidecar: {why}"),
        });
    }
    for violation in &after.violations {
        let policy: &Arc<Policy> = match planned.get(violation.policy.name()) {
            Some(policy) => policy,
            // As before.
            None => continue,
        };
        let result = match policy.spec().enforcement {
            Enforcement::Audit => Outcome::Count,
            Enforcement::Warn => Outcome::Warn,
            Enforcement::Enforce => Outcome::Refuse,
        };
        said.push(Word {
            result,
            policy: Some(policy.name().to_owned()),
            why: violation.what.clone(),
        });
    }
    said
}

/// What would be another way for its pods.
fn changes(before: &Verdict<'_>, after: &Verdict<'_>) -> Vec<Word> {
    let takes = |verdict: &Verdict<'_>| matches!(verdict.part, Part::Takes { .. });
    let change = |policy: Option<&str>, why: String| Word {
        result: Outcome::Change,
        policy: policy.map(str::to_owned),
        why,
    };
    let by = |verdict: &Verdict<'_>| match verdict.part {
        Part::Takes { by, .. } => by.map(str::to_owned),
        _ => None,
    };
    match (takes(before), takes(after)) {
        (false, true) => {
            let mut why = "it gets the sidecar".to_owned();
            let settings = settings(after);
            if !settings.is_empty() {
                let settings = settings
                    .iter()
                    .map(|(key, value)| format!("{key}: {value}"));
                why += &format!(", with {}", settings.collect::<Vec<_>>().join(", "));
            }
            vec![change(by(after).as_deref(), why)]
        }
        (true, false) => vec![change(None, "it gets no sidecar any more".to_owned())],
        (false, false) => Vec::new(),
        (true, true) => {
            let (old, new) = (settings(before), settings(after));
            let keys: BTreeSet<&&str> = old.keys().chain(new.keys()).collect();
            let differs = keys
                .into_iter()
                .filter(|key| old.get(*key) != new.get(*key));
            let none = "the usual default";
            let told = differs.map(|key| {
                let (from, to) = (old.get(key).unwrap_or(&none), new.get(key).unwrap_or(&none));
                change(None, format!("{key}: {to} instead of {from}"))
            });
            told.collect()
        }
    }
}

/// What policies say in place of the template, but for the question whether it takes part.
fn settings<'v>(verdict: &'v Verdict<'_>) -> BTreeMap<&'v str, &'v str> {
    let shows = |it: &&Added<'_>| ![contract::INJECT, contract::INJECTED_BY].contains(&it.key);
    verdict
        .added
        .iter()
        .filter(shows)
        .map(|it| (it.key, it.value))
        .collect()
}

#[cfg(test)]
mod tests;

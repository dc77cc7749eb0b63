//! What is wrong with a policy. The API server has checked most of it by the schema of the kind; what
//! is found here besides keeps the policy from being in force.

use crate::options::{Handover, Options};
use crate::policy::ActivePassivePolicySpec;
use common::contract::{self, default};
use common::duration::{format_ms, parse_ms};
use common::ids::is_dns_label;
use common::nearest::nearest;
use serde_json::{Map, Value, json};

/// All problems, each beginning with a path.
pub(super) fn problems(name: &str, spec: &ActivePassivePolicySpec) -> Vec<String> {
    let mut problems = Vec::new();
    if !is_dns_label(name) {
        problems.push(format!(
            "metadata.name: {name:?} is no DNS label of at most 63 characters, and names an entry of \
             the webhook configuration: choose another"
        ));
    }
    problems.extend(spec.namespace_selector.problems("spec.namespaceSelector"));
    problems.extend(spec.workload_selector.problems("spec.workloadSelector"));
    problems.extend(defaults(spec));
    problems.extend(constraints(spec));
    problems
}

/// Fields of a spec that nobody reads, and so are spelled wrong.
pub(super) fn unknown_fields(spec: &Value) -> Vec<String> {
    let known = json!(ActivePassivePolicySpec::default());
    let mut unknown = Vec::new();
    for (at, section) in [("spec", ""), ("spec.constraints", "/constraints")] {
        let fields = |of: &'_ Value| of.pointer(section).and_then(Value::as_object).cloned();
        let known = fields(&known).unwrap_or_default();
        for field in fields(spec).unwrap_or_default().keys() {
            if known.contains_key(field) {
                continue;
            }
            let hint = match nearest(field, known.keys().map(String::as_str)) {
                Some(near) => format!("did you mean {near}?"),
                None => format!(
                    "there are {}",
                    known.keys().cloned().collect::<Vec<_>>().join(", ")
                ),
            };
            unknown.push(format!("{at}.{field} is unknown: {hint}"));
        }
    }
    unknown
}

fn defaults(spec: &ActivePassivePolicySpec) -> Vec<String> {
    let known = || {
        contract::TEMPLATE_ANNOTATIONS
            .into_iter()
            .map(|key| key.key)
    };
    let at = "spec.defaults";
    let mut problems = Vec::new();
    let mut annotations = Map::new();
    for (key, value) in &spec.defaults {
        if key == contract::INJECT {
            problems.push(format!("{at}: {key} is what spec.inject is for: remove it"));
        } else if key == contract::GROUP {
            problems.push(format!(
                "{at}: {key} would put all workloads into one group, of which one pod is active: \
                 remove it, each is a group of its own"
            ));
        } else if !known().any(|known| known == key) {
            let near = nearest(key, known());
            let hint = near
                .map(|near| format!(": did you mean {near}?"))
                .unwrap_or_default();
            problems.push(format!(
                "{at}: {key} is no annotation of a pod template{hint}"
            ));
        } else {
            annotations.insert(key.clone(), Value::String(value.clone()));
        }
    }
    let bad = Options::parse(&annotations).err().into_iter().flatten();
    problems.extend(bad.map(|bad| format!("{at}: {bad}")));
    problems
}

fn constraints(spec: &ActivePassivePolicySpec) -> Vec<String> {
    let at = "spec.constraints";
    let constraints = &spec.constraints;
    let mut problems = Vec::new();
    if let Some(text) = &constraints.min_lease_duration {
        let allowed_ms = default::LEASE_DURATION_MS_MIN..=default::LEASE_DURATION_MS_MAX;
        let good = parse_ms(text).is_ok_and(|ms| allowed_ms.contains(&ms));
        if !good {
            let (least, most) = (format_ms(*allowed_ms.start()), format_ms(*allowed_ms.end()));
            problems.push(format!(
                "{at}.minLeaseDuration: {text:?} is no lease-duration: write {least} to {most}"
            ));
        }
    }
    for profile in &constraints.allowed_profiles {
        if !contract::PROFILES.contains(&profile.as_str()) {
            let known = contract::PROFILES.join(", ");
            problems.push(format!(
                "{at}.allowedProfiles: {profile:?} is unknown: there are {known}"
            ));
        }
    }
    let handovers = [Handover::Seamless, Handover::Exclusive].map(Handover::as_str);
    for handover in &constraints.allowed_handovers {
        if !handovers.contains(&handover.as_str()) {
            let known = handovers.join(" and ");
            problems.push(format!(
                "{at}.allowedHandovers: {handover:?} is unknown: there are {known}"
            ));
        }
    }
    if let Some(pattern) = &constraints.group_pattern {
        let of_group = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-*".contains(&b);
        if pattern.is_empty() || !pattern.bytes().all(of_group) {
            problems.push(format!(
                "{at}.groupPattern: {pattern:?} fits no group: write a-z, 0-9, '-', and '*' for any \
                 characters"
            ));
        }
    }
    problems
}

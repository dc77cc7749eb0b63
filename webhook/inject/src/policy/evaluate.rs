//! What policies make of a workload, before it has pods.

use crate::decision::{Decision, RequestInfo, Settings};
use crate::options::Options;
use crate::policy::under::{self, Added, annotated};
use crate::policy::{Claim, Constraints, Labels, Policy, Rivals, ServiceRoute, Workload};
use common::contract;
use common::duration::format_ms;
use common::owner::Owner;
use serde_json::{Map, Value};
use std::sync::Arc;

/// What policies make of a workload.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict<'p> {
    /// Policies that are about it, in the order of their names.
    pub matching: Vec<&'p Policy>,
    /// Whether its pods get the sidecar.
    pub part: Part<'p>,
    /// Annotations that its pods get from policies.
    pub added: Vec<Added<'p>>,
    /// What stands against it.
    pub violations: Vec<Violation<'p>>,
}

/// Whether the pods of a workload get the sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<'p> {
    /// They do.
    Takes {
        /// The policy that asks in their place; none: they ask themselves.
        by: Option<&'p str>,
        /// Their group.
        group: String,
    },
    /// They cannot.
    Cannot {
        /// The policy that asks in their place; none: they ask themselves, and are refused.
        by: Option<&'p str>,
        /// Why.
        why: String,
    },
    /// Nobody asks.
    NotAsked,
    /// They carry `inject: "false"`.
    Refuses,
}

/// What a policy has against a workload.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation<'p> {
    /// The policy.
    pub policy: &'p Policy,
    /// What is wrong, and what to do.
    pub what: String,
}

/// What there is beside a workload. What nobody knows, nothing is said about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside<'a> {
    /// The Services of its namespace.
    pub services: Option<&'a [ServiceRoute]>,
    /// What else has its name.
    pub rivals: Option<&'a Rivals>,
}

/// Looks at a workload of a namespace with these labels, under `policies` in the order of their
/// names.
pub fn evaluate<'p>(
    policies: &'p [Arc<Policy>],
    namespace: &Labels,
    workload: &Workload<'_>,
    beside: Beside<'_>,
) -> Verdict<'p> {
    let about = |policy: &&Policy| {
        policy.is_about_namespace(namespace)
            && policy.is_about(workload.kind.as_str(), |key| workload.label(key))
    };
    let matching: Vec<&Policy> = policies.iter().map(Arc::as_ref).filter(about).collect();
    let added = under::added(workload.annotations(), matching.iter().copied());
    let pod = annotated(&workload.pod(), &added);
    let mut part = part(workload, &pod, &added);
    if let (Part::Takes { by, .. }, Some(rivals)) = (&part, beside.rivals) {
        let label = |key: &str| workload.label(key);
        let owner = Owner::behind(workload.kind.as_str(), workload.name, label);
        let claim = Claim::of(workload.annotations(), &added, owner);
        if let Some(why) = claim.and_then(|claim| rivals.against(&claim)) {
            part = Part::Cannot { by: *by, why };
        }
    }
    let none = Map::new();
    let annotations = pod["metadata"]["annotations"].as_object();
    let options = Options::parse(annotations.unwrap_or(&none));
    let judge = Judge {
        workload,
        pod: &pod,
        part: &part,
        options: options.ok(),
        services: beside.services,
    };
    let of_policy = |policy: &&'p Policy| {
        let policy = *policy;
        let all = judge.violations(policy);
        all.into_iter().map(move |what| Violation { policy, what })
    };
    let violations = matching.iter().flat_map(of_policy).collect();
    Verdict {
        matching,
        part,
        added,
        violations,
    }
}

/// Whether a workload takes part, whoever else has its name. `pod` is one of its pods, with what
/// policies add.
pub(super) fn part<'p>(workload: &Workload<'_>, pod: &Value, added: &[Added<'p>]) -> Part<'p> {
    let by = added
        .iter()
        .find(|it| it.key == contract::INJECT)
        .map(|it| it.policy);
    match workload.inject() {
        None if by.is_none() => return Part::NotAsked,
        Some(Value::String(inject)) if inject == "false" => return Part::Refuses,
        _ => {}
    }
    let request = RequestInfo {
        namespace: "",
        is_create: true,
        account_missing: false,
    };
    // What is injected does not matter here, only whether it can be.
    let settings = Settings {
        image: String::new(),
        image_pull_policy: String::new(),
        version: String::new(),
    };
    match crate::decide(pod, &request, &settings) {
        Decision::Patch(injection) => Part::Takes {
            by,
            group: injection.group.to_string(),
        },
        Decision::Deny { reasons, .. } => Part::Cannot {
            by,
            why: reasons.to_string(),
        },
        Decision::Skip(_) => Part::NotAsked,
    }
}

/// What constraints are held against.
struct Judge<'a> {
    workload: &'a Workload<'a>,
    pod: &'a Value,
    part: &'a Part<'a>,
    options: Option<Options>,
    services: Option<&'a [ServiceRoute]>,
}

impl Judge<'_> {
    fn violations(&self, policy: &Policy) -> Vec<String> {
        let constraints = &policy.spec.constraints;
        let mut violations = Vec::new();
        if constraints.require_sidecar {
            violations.extend(self.without_sidecar());
        }
        let (Part::Takes { group, .. }, Some(options)) = (self.part, &self.options) else {
            return violations;
        };
        violations.extend(
            policy
                .min_lease_duration_ms
                .and_then(|least_ms| short_lease(options, least_ms)),
        );
        let profile = &self.pod["metadata"]["annotations"][contract::PROFILE];
        let profile = profile.as_str().unwrap_or(contract::PROFILES[0]);
        let allowed = &constraints.allowed_profiles;
        violations.extend(not_among(contract::PROFILE, "profile", profile, allowed));
        let (handover, allowed) = (options.handover.as_str(), &constraints.allowed_handovers);
        violations.extend(not_among(contract::HANDOVER, "handover", handover, allowed));
        violations.extend(
            constraints
                .group_pattern
                .as_deref()
                .and_then(|form| other_group(group, form)),
        );
        violations.extend(self.few_replicas(constraints));
        if constraints.require_routed_service {
            violations.extend(self.not_routed(group, options));
        }
        violations
    }

    fn without_sidecar(&self) -> Option<String> {
        match self.part {
            Part::Takes { .. } => None,
            Part::NotAsked => Some(format!(
                "the sidecar is required: add {}: \"true\" to the annotations of the pod template",
                contract::INJECT
            )),
            Part::Refuses => Some(format!(
                "the sidecar is required, and the pod template refuses it: remove {}: \"false\"",
                contract::INJECT
            )),
            Part::Cannot { why, .. } => Some(format!(
                "the sidecar is required, and cannot be added: {why}"
            )),
        }
    }

    fn few_replicas(&self, constraints: &Constraints) -> Option<String> {
        let (least, found) = (
            u64::from(constraints.min_replicas?),
            self.workload.replicas?,
        );
        // Who runs no pods at all has switched it off.
        (0 < found && found < least).then(|| {
            format!(
                "spec.replicas is {found}, and at least {least} are required, so that others stand by"
            )
        })
    }

    fn not_routed(&self, group: &str, options: &Options) -> Option<String> {
        let routes = |service: &ServiceRoute| service.routes(self.workload, group, options);
        (!self.services?.iter().any(routes)).then(|| {
            format!(
                "a Service that follows the active pod is required: annotate one with {}: {group}, and \
                 apply it first",
                contract::GROUP
            )
        })
    }
}

fn short_lease(options: &Options, least_ms: u64) -> Option<String> {
    let (found, least) = (format_ms(options.lease_duration_ms), format_ms(least_ms));
    (options.lease_duration_ms < least_ms).then(|| {
        format!(
            "the lease-duration is {found}, and at least {least} is required: write it into {} of the \
             pod template",
            contract::LEASE_DURATION
        )
    })
}

fn not_among(key: &str, what: &str, found: &str, allowed: &[String]) -> Option<String> {
    let known = || allowed.iter().any(|allowed| allowed == found);
    (!allowed.is_empty() && !known()).then(|| {
        let allowed = allowed.join(" or ");
        format!("the {what} is {found}, and {allowed} is required: write it into {key} of the pod template")
    })
}

fn other_group(group: &str, form: &str) -> Option<String> {
    (!fits(group, form)).then(|| {
        format!(
            "the group is {group}, and a name like {form} is required: write one into {} of the pod \
             template",
            contract::GROUP
        )
    })
}

/// Whether `text` has this form, in which `*` stands for any characters.
pub(super) fn fits(text: &str, form: &str) -> bool {
    let Some((first, rest)) = form.split_once('*') else {
        return text == form;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        // The earliest place leaves most for what follows.
        let Some(at) = text.find(part) else {
            return false;
        };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

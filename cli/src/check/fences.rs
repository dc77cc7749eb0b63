//! The chart's admission policies: there, bound, and in force.

use crate::check::facts::{Policies, Policy, Read};
use crate::check::finding::{AGAIN, Finding, page};
use crate::check::installation::{entries, path};
use crate::check::names;
use common::contract;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;

/// What became of one policy.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Absent,
    Unbound,
    /// Bound, and whether it denies.
    Bound {
        denies: bool,
    },
}

fn state(name: &str, policies: &[Policy], bindings: &[Policy]) -> State {
    if !policies.iter().any(|it| it.metadata.name == name) {
        return State::Absent;
    }
    let mut bound = bindings.iter().filter(|it| it.spec.policy_name == name);
    let denies = |binding: &Policy| {
        binding
            .spec
            .validation_actions
            .iter()
            .any(|it| it == "Deny")
    };
    match bound.clone().count() {
        0 => State::Unbound,
        _ => State::Bound {
            denies: bound.any(denies),
        },
    }
}

/// The policies that refuse writes of who does not lead.
pub(crate) fn fencing(facts: &Policies) -> Finding {
    let check = "Fencing";
    let (policies, bindings) = match (&facts.policies, &facts.bindings) {
        (Read::Unseen(why), _) | (_, Read::Unseen(why)) => return Finding::unseen(check, why),
        (policies, bindings) => (policies.seen(), bindings.seen()),
    };
    let none = Vec::new();
    let (policies, bindings) = (policies.unwrap_or(&none), bindings.unwrap_or(&none));
    let states = names::FENCING.map(|name| (name, state(name, policies, bindings)));
    let missing: Vec<&str> = states
        .iter()
        .filter(|(_, state)| !matches!(state, State::Bound { .. }))
        .map(|(name, _)| *name)
        .collect();
    if missing.len() == states.len() {
        let text = "there are no fencing policies: a pod that was cut off and returns could make \
                    itself active";
        return Finding::warning(check, text)
            .cure("install the chart with `fencing.mode=Deny`")
            .docs(page::FENCING);
    }
    if !missing.is_empty() {
        let text = format!(
            "fencing policies are missing, or not bound: {}",
            missing.join(", ")
        );
        return Finding::error(check, text).cure(AGAIN).docs(page::FENCING);
    }
    let denies = |state: &State| matches!(state, State::Bound { denies: true });
    if !states.iter().all(|(_, state)| denies(state)) {
        let text = "fencing policies note what they would refuse, and let it pass";
        return Finding::warning(check, text)
            .cure("once nothing of yours is noted: `fencing.mode=Deny` of the chart")
            .docs(page::FENCING);
    }
    let text = format!("{} fencing policies are bound and deny", states.len());
    Finding::ok(check, text)
}

/// Who derives where annotated Services point.
pub(crate) fn routing(
    facts: &Policies,
    configuration: &Read<MutatingWebhookConfiguration>,
) -> Finding {
    let check = "Routing";
    let webhook = configuration.seen().into_iter().flat_map(entries);
    let mut webhook = webhook.filter(|entry| path(entry) == Some(contract::ROUTE_PATH));
    if webhook.next().is_some() {
        return Finding::ok(check, "the webhook points annotated Services");
    }
    let (policies, bindings) = match (&facts.policies, &facts.bindings) {
        (Read::Unseen(why), _) | (_, Read::Unseen(why)) => return Finding::unseen(check, why),
        (policies, bindings) => (policies.seen(), bindings.seen()),
    };
    let none = Vec::new();
    let (policies, bindings) = (policies.unwrap_or(&none), bindings.unwrap_or(&none));
    match state(names::ROUTING, policies, bindings) {
        State::Bound { .. } => Finding::ok(check, "the API server points annotated Services"),
        State::Unbound => {
            let text = format!(
                "policy {} is not bound: traffic of annotated Services does not follow the role",
                names::ROUTING
            );
            Finding::error(check, text).cure(AGAIN).docs(page::SERVICE)
        }
        State::Absent => {
            let text = "neither the API server nor the webhook points annotated Services";
            Finding::warning(check, text)
                .cure(
                    "nothing, where `routing.rule` of the chart is Sidecar; otherwise install it \
                       again",
                )
                .docs(page::INSTALL)
        }
    }
}

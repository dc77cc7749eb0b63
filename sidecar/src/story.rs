//! Tells what became of the role: which Events there are, when, and in which words; and how long
//! things took, for the metrics.
//!
//! It watches the driver and decides nothing. What is to be said waits until the elector has no
//! request in flight: by then a move is written everywhere.

use crate::api::Answer;
use crate::config::Config;
use crate::events::{Event, Outbox, Reason, Reference, WAITING_MAX};
use crate::facts::Facts;
use crate::lease::{LastLease, Lease};
use crate::metrics::Metrics;
use common::contract;
use common::history::Entry;
use common::ids::Identity;
use election::{
    Action, HistoryNote, LeaseWrite, LeaseWriteKind, Mono, MoveKind, Outcome, Request, RequestId,
    ServiceView, ServiceWrite, Standing, SwitchoverAnswer,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// So many repairs of one Service within the window mean that somebody keeps undoing them; one or
/// two are an edit by hand.
const REPAIRS_MAX: u32 = 3;
const REPAIRS_WINDOW_MS: u64 = 60_000;
/// The same warning about a Service is repeated after this time, milliseconds.
const CONTESTED_EVERY_MS: u64 = 600_000;

/// What has happened and was told.
pub(crate) struct Story {
    config: Arc<Config>,
    facts: Facts,
    metrics: Arc<Metrics>,
    outbox: Outbox,
    sent: Option<Sent>,
    /// Whether this pod leads now, and in which term.
    leads_in: Option<u64>,
    /// What was last told of that.
    told: bool,
    /// The role has come here, and is being written everywhere.
    arrival: Option<Arrival>,
    /// How long that took until all was written; the history does not say so yet.
    measured: Option<Measured>,
    /// Why it does not lead any more.
    departure: Option<String>,
    services: BTreeMap<String, Told>,
    /// Warnings that were told and still hold, by uid of the Service.
    warned: BTreeSet<(String, Reason)>,
    facts_version: Option<u64>,
    waiting: Vec<Event>,
}

/// The request in flight.
struct Sent {
    id: RequestId,
    at: Mono,
    action: Action,
    /// The pod that a switchover asks for.
    wanted: Option<String>,
}

/// How the role came here.
struct Arrival {
    lease: Reference,
    term: u64,
    /// When the Lease was taken or confirmed.
    sent_at: Mono,
    /// Why, and from the last sign of the last holder to that write, milliseconds; as far as known.
    kind: Option<MoveKind>,
    took_ms: Option<u64>,
    /// Who had it before, as far as the history says.
    from: Option<String>,
}

/// How long the move that began a term took, milliseconds.
struct Measured {
    term: u64,
    took_ms: u64,
}

/// What was told of a Service, and how often it was repaired since.
#[derive(Debug, Default)]
struct Told {
    moved: bool,
    repairs: u32,
    window_from: Mono,
    contested_at: Option<Mono>,
}

impl Story {
    pub(crate) fn new(
        config: Arc<Config>,
        facts: Facts,
        metrics: Arc<Metrics>,
        outbox: Outbox,
    ) -> Self {
        Self {
            config,
            facts,
            metrics,
            outbox,
            sent: None,
            leads_in: None,
            told: false,
            arrival: None,
            measured: None,
            departure: None,
            services: BTreeMap::new(),
            warned: BTreeSet::new(),
            facts_version: None,
            waiting: Vec::new(),
        }
    }

    /// A renewal takes along, into the history's entry of its term, how long the role was on its way:
    /// when it came, only the Lease's part of that was known.
    pub(crate) fn complete(&self, request: &mut Request) {
        if let Action::WriteLease(write) = &mut request.action
            && write.kind == LeaseWriteKind::Renew
            && let Some(measured) = &self.measured
            && measured.term == write.term
        {
            let took_ms = measured.took_ms;
            write.history = Some(HistoryNote::Confirmed { took_ms });
        }
    }

    /// A request is sent.
    pub(crate) fn sent(&mut self, now: Mono, request: &Request, last: &LastLease) {
        let mut wanted = None;
        if let Action::WriteLease(write) = &request.action {
            let base = write.base.and_then(|version| last.at(version));
            wanted = base.and_then(|lease| annotation(lease, contract::SWITCHOVER));
            match (write.kind, &write.holder) {
                (LeaseWriteKind::Handover, Some(next)) => {
                    self.departure = Some(format!("it handed the role over to {}", next.name));
                }
                (LeaseWriteKind::Release, _) => {
                    self.departure = Some("it freed the Lease".to_owned());
                }
                _ => {}
            }
        }
        self.sent = Some(Sent {
            id: request.id,
            at: now,
            action: request.action.clone(),
            wanted: wanted.map(str::to_owned),
        });
    }

    /// A request has ended.
    pub(crate) fn ended(&mut self, now: Mono, id: RequestId, answer: &Answer) {
        let Some(sent) = self.sent.take().filter(|sent| sent.id == id) else {
            return;
        };
        match (&sent.action, &answer.outcome, &answer.lease) {
            (Action::WriteLease(write), Outcome::Lease(_), Some(lease)) => {
                match write.kind {
                    LeaseWriteKind::Renew => {
                        self.metrics.renewed(now.ms_since(sent.at));
                        self.measured = None;
                    }
                    LeaseWriteKind::Acquire | LeaseWriteKind::Confirm => {
                        self.arrived(&sent, write, lease);
                    }
                    _ => {}
                }
                self.switchover_answered(&sent, write, lease);
            }
            (Action::WriteService(write), Outcome::Service(Some(view)), _) => {
                self.service_written(now, write, view);
            }
            _ => {}
        }
    }

    /// Where this pod stands after the request was sent, if there was one, and who holds the Lease.
    pub(crate) fn stands(&mut self, standing: Standing, holder: Option<&str>) {
        let leads_in = standing.role.leads().then_some(standing.term);
        if self.leads_in.is_some() && leads_in.is_none() && self.departure.is_none() {
            let params = &self.config.params;
            let own = params.customs.holder.write(&params.identity);
            self.departure = Some(match holder {
                Some(other) if other != own => format!("the Lease names {}", pod_of(other)),
                _ => "the Lease could not be renewed in time".to_owned(),
            });
        }
        if leads_in.is_some() {
            self.departure = None;
        }
        self.leads_in = leads_in;
    }

    /// Nothing is in flight: says what there is to say.
    pub(crate) fn tell(&mut self, now: Mono) {
        if let Some(arrival) = self.arrival.take() {
            self.tell_arrival(now, arrival);
        }
        self.tell_own_role();
        if self.leads_in.is_some() {
            self.look_at_services();
        }
        for event in self.waiting.drain(..) {
            self.outbox.put(event);
        }
    }

    fn tell_own_role(&mut self) {
        let (reason, note) = match (self.told, self.leads_in) {
            (false, Some(term)) => (Reason::BecameActive, format!("active in term {term}")),
            (true, None) => {
                let departure = self.departure.take();
                let why = departure.unwrap_or_else(|| "another pod leads".to_owned());
                (Reason::BecamePassive, format!("passive: {why}"))
            }
            (true, Some(_)) | (false, None) => return,
        };
        self.told = self.leads_in.is_some();
        if !self.told {
            self.services.clear();
            self.warned.clear();
            self.facts_version = None;
        }
        let Identity { name, uid } = self.config.params.identity.clone();
        let regarding = Reference {
            api_version: "v1",
            kind: "Pod",
            name,
            uid,
        };
        self.note(regarding, reason, note);
    }

    /// By now labels and Services are written as well: this is how long the move took for whoever
    /// sends requests, but for the data plane.
    fn tell_arrival(&mut self, now: Mono, arrival: Arrival) {
        let (pod, term) = (&self.config.params.identity.name, arrival.term);
        let mut note = format!("{pod} is active in term {term}");
        let kind = arrival.kind;
        let since_sent_ms = now.ms_since(arrival.sent_at);
        let took_ms = arrival.took_ms.map(|took_ms| took_ms + since_sent_ms);
        if let Some(kind) = kind {
            note.push_str(&format!(": {} ({}", because(kind), kind.as_str()));
            if let Some(took_ms) = took_ms {
                self.metrics.moved(kind, took_ms);
                note.push_str(&format!(", {took_ms} ms"));
                self.measured = Some(Measured { term, took_ms });
            }
            note.push(')');
        }
        tracing::info!(
            term,
            from = arrival.from,
            to = pod,
            kind = kind.map(MoveKind::as_str),
            duration_ms = took_ms,
            "the role has moved"
        );
        self.note(arrival.lease, Reason::RoleMoved, note);
    }

    fn arrived(&mut self, sent: &Sent, write: &LeaseWrite, lease: &Lease) {
        let entries = annotation(&lease.json, contract::HISTORY).map(Entry::read);
        let mut entries = entries.unwrap_or_default();
        let index = entries.iter().rposition(|entry| entry.term == write.term);
        entries.truncate(index.map_or(0, |index| index + 1));
        let entry = entries.pop();
        let kind = entry.as_ref().map(|entry| entry.kind.as_str());
        self.arrival = Some(Arrival {
            lease: self.of_lease(lease),
            term: write.term,
            sent_at: sent.at,
            kind: MoveKind::ALL
                .into_iter()
                .find(|it| Some(it.as_str()) == kind),
            took_ms: entry.and_then(|entry| entry.duration_ms),
            from: entries.pop().map(|before| before.pod),
        });
    }

    fn of_lease(&self, lease: &Lease) -> Reference {
        Reference {
            api_version: "coordination.k8s.io/v1",
            kind: "Lease",
            name: self.config.group.to_string(),
            uid: uid(&lease.json).to_owned(),
        }
    }

    fn switchover_answered(&mut self, sent: &Sent, write: &LeaseWrite, lease: &Lease) {
        let Some(answer) = &write.answer else { return };
        let wanted = sent.wanted.as_deref().unwrap_or("another pod");
        let (reason, note) = match (answer, &write.holder) {
            (SwitchoverAnswer::Done, Some(next)) => (
                Reason::SwitchoverDone,
                format!("the role goes to {}, as asked", next.name),
            ),
            (SwitchoverAnswer::Done, None) => return,
            (SwitchoverAnswer::Refused(refusal), _) => (
                Reason::SwitchoverRefused,
                format!("the role does not go to {wanted}: {refusal}"),
            ),
        };
        self.note(self.of_lease(lease), reason, note);
    }

    fn service_written(&mut self, now: Mono, write: &ServiceWrite, view: &ServiceView) {
        let own = Some(self.config.params.identity.uid.as_str());
        if write.active.as_deref() != own || view.selected.as_deref() != own {
            return;
        }
        let told = self.services.entry(write.name.clone()).or_default();
        if !told.moved {
            told.moved = true;
            told.window_from = now;
            let (pod, term) = (&self.config.params.identity.name, write.term);
            let note = format!("traffic goes to {pod} (term {term})");
            self.note_service(&write.name, Reason::TrafficMoved, note);
            return;
        }
        if now.ms_since(told.window_from) > REPAIRS_WINDOW_MS {
            (told.window_from, told.repairs) = (now, 0);
        }
        told.repairs += 1;
        let due = told
            .contested_at
            .is_none_or(|at| now.ms_since(at) >= CONTESTED_EVERY_MS);
        if told.repairs >= REPAIRS_MAX && due {
            told.contested_at = Some(now);
            let note = format!(
                "another writer keeps changing where this Service points; \
                 `kubectl get service {} -o yaml --show-managed-fields` names it",
                write.name
            );
            self.note_service(&write.name, Reason::ServiceContested, note);
        }
    }

    /// Warns about Services that cannot serve as they should; again only after they could.
    fn look_at_services(&mut self) {
        let version = self.facts.version();
        if self.facts_version.replace(version) == Some(version) {
            return;
        }
        let services = self.facts.services();
        self.services
            .retain(|name, _| services.iter().any(|(known, _)| known == name));
        let (group, pod) = (&self.config.group, &self.config.params.identity.name);
        let headless = format!(
            "it is headless, and its traffic follows the active pod of group {group}: the other \
             pods vanish from its DNS name. Peers that look for each other need a Service without \
             the annotation {}",
            contract::GROUP
        );
        let mismatch = format!(
            "its selector does not match the active pod {pod}: it serves nobody. Select by labels \
             that the pods of group {group} have"
        );
        for (name, service) in services.iter().filter(|(_, service)| service.follows()) {
            for (holds, reason, note) in [
                (service.headless, Reason::HeadlessService, &headless),
                (
                    self.facts.leaves_out_own_pod(service),
                    Reason::SelectorMatchesNoPod,
                    &mismatch,
                ),
            ] {
                let key = (service.uid.clone(), reason);
                if !holds {
                    self.warned.remove(&key);
                } else if self.warned.insert(key) {
                    self.note_service(name, reason, note.clone());
                }
            }
        }
    }

    fn note_service(&mut self, name: &str, reason: Reason, note: String) {
        // Gone meanwhile: nobody would find the Event.
        let Some(uid) = self.facts.service_uid(name) else {
            return;
        };
        let regarding = Reference {
            api_version: "v1",
            kind: "Service",
            name: name.to_owned(),
            uid,
        };
        self.note(regarding, reason, note);
    }

    fn note(&mut self, regarding: Reference, reason: Reason, note: String) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push(Event {
                regarding,
                reason,
                note,
            });
        }
    }
}

/// Why the role came, as the end of a sentence.
fn because(kind: MoveKind) -> &'static str {
    match kind {
        MoveKind::First => "nobody was before it",
        MoveKind::Drain => "its predecessor is on its way out",
        MoveKind::Unready => "its predecessor's app was not ready",
        MoveKind::Disruption => "its predecessor is about to be evicted",
        MoveKind::Switchover => "as asked",
        MoveKind::Released => "the Lease was free",
        MoveKind::Expired => "its predecessor let the Lease expire",
        MoveKind::Retaken => "it took its own Lease back",
        MoveKind::Recreated => "the Lease had been deleted",
    }
}

/// The pod's name in a holderIdentity of ours, or all of another system's.
fn pod_of(holder: &str) -> String {
    Identity::parse(holder).map_or_else(|| holder.to_owned(), |identity| identity.name)
}

fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(key)?.as_str()
}

fn uid(object: &Value) -> &str {
    let uid = object.pointer("/metadata/uid");
    uid.and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests;

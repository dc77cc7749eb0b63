//! From what is known to what is written: one write a unit at a time, some units at once, and only
//! while this replica is the elected one.

use crate::client::ApiError;
use crate::service_mode::act::{self, Told, Written};
use crate::service_mode::elect::now;
use crate::service_mode::facts::{Name, ServiceFacts};
use crate::service_mode::figures::Figures;
use crate::service_mode::known::{Known, Work};
use crate::service_mode::plan::{self, Active, Decline, Write};
use election::Mono;
use kube::Client;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Writes under way at once.
const WRITES_MAX: usize = 16;
/// Plans in one go; then the watches and the election, which share the thread, have their turn.
const PLANS_MAX: usize = 32;
/// Events under way at once; more are not sent.
const EVENTS_MAX: usize = 64;
/// Longest time for one write, milliseconds.
const WRITE_MS_MAX: u64 = 2_000;
/// Pause after a write that met a newer version, which the watch is about to show.
const CONFLICT_PAUSE: Duration = Duration::from_millis(20);
/// Pause after a first failure; it doubles with each that follows.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What the watches keep, and the news that something changed.
#[derive(Debug)]
pub(crate) struct Shared {
    known: Mutex<Known>,
    changed: Notify,
}

impl Shared {
    pub(crate) fn new(known: Known) -> Self {
        Self {
            known: Mutex::new(known),
            changed: Notify::new(),
        }
    }

    /// Changes what is known.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.lock());
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // It is valid after every statement: a panic elsewhere does not spoil it.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a write.
struct Ended {
    work: Work,
    write: Write,
    result: Result<Written, ApiError>,
}

/// Does the work.
pub(crate) struct Controller {
    client: Client,
    shared: Arc<Shared>,
    figures: Arc<Figures>,
    busy: HashSet<Work>,
    writes: JoinSet<Ended>,
    events: JoinSet<()>,
    failures: HashMap<Work, u32>,
    /// What failed, until it is tried again.
    later: BTreeMap<Instant, Vec<Work>>,
    /// What people were told of a Service, by its uid.
    declined: HashMap<Box<str>, Decline>,
}

impl Controller {
    pub(crate) fn new(client: Client, shared: Arc<Shared>, figures: Arc<Figures>) -> Self {
        Self {
            client,
            shared,
            figures,
            busy: HashSet::new(),
            writes: JoinSet::new(),
            events: JoinSet::new(),
            failures: HashMap::new(),
            later: BTreeMap::new(),
            declined: HashMap::new(),
        }
    }

    /// Works until `end` comes; when it returns, no write of its own is under way.
    pub(crate) async fn run(
        mut self,
        mut office: watch::Receiver<Mono>,
        mut end: oneshot::Receiver<()>,
    ) {
        let mut acted = false;
        loop {
            let until = *office.borrow_and_update();
            let acts = now() < until;
            if acts && !acted {
                // What was known as a standby was never looked at.
                self.shared.lock().all_again();
                self.declined.clear();
            }
            acted = acts;
            self.figures.leads(acts);
            if acts && self.work(until) {
                self.shared.changed.notify_one();
                tokio::task::yield_now().await;
            }
            let retry = self.later.keys().next().copied();
            let retry = retry.unwrap_or_else(|| Instant::now() + PAUSE_MAX);
            // All arms are cancel-safe: what loses the race is asked again in the next round.
            tokio::select! {
                _ = &mut end => break,
                Some(ended) = self.writes.join_next() => {
                    if let Ok(ended) = ended {
                        self.ended(ended);
                    }
                }
                Some(_) = self.events.join_next() => {}
                () = self.shared.changed.notified() => {}
                Ok(()) = office.changed() => {}
                () = sleep_until(retry) => self.due_again(),
            }
        }
        while self.writes.join_next().await.is_some() {}
    }

    /// Begins as many writes as there is room for. Whether there may be more to do at once.
    fn work(&mut self, until: Mono) -> bool {
        let shared = self.shared.clone();
        self.figures.services(shared.lock().services());
        for _ in 0..PLANS_MAX {
            if self.writes.len() >= WRITES_MAX {
                return false;
            }
            let mut known = shared.lock();
            let Some(work) = known.next(|work| self.busy.contains(work)) else {
                return false;
            };
            let write = self.plan(&mut known, &work);
            drop(known);
            let Some(write) = write else {
                self.failures.remove(&work);
                continue;
            };
            let limit_ms = until.ms_since(now()).min(WRITE_MS_MAX);
            let (client, limit) = (self.client.clone(), Duration::from_millis(limit_ms));
            self.busy.insert(work.clone());
            self.writes.spawn(async move {
                let result = act::send(&client, &write, limit).await;
                Ended {
                    work,
                    write,
                    result,
                }
            });
        }
        true
    }

    /// What this work comes to: at most one write, and what people are told.
    fn plan(&mut self, known: &mut Known, work: &Work) -> Option<Write> {
        match work {
            Work::Unit(namespace, selector) => {
                let unit = known.unit(namespace, selector)?;
                let declined = known.declined(namespace, selector);
                for service in &unit.services {
                    self.note(service, declined.as_ref());
                }
                if declined.is_none() {
                    return plan::next(&unit);
                }
                let mut services = unit.services.iter();
                let write = services.find_map(|service| plan::give_back_service(service, true));
                // Its pods are to be given back as well.
                known.again(Work::Leftovers(namespace.clone()));
                write
            }
            Work::Leftovers(namespace) => {
                let services = known.loose_services(namespace);
                for (service, declined) in &services {
                    self.note(service, declined.as_ref());
                }
                plan::give_back(&services, &known.strays(namespace))
            }
        }
    }

    /// Tells people once why a Service is left alone.
    fn note(&mut self, service: &ServiceFacts, declined: Option<&Decline>) {
        let Some(declined) = declined else {
            self.declined.remove(&service.uid);
            return;
        };
        if self.declined.get(&service.uid) == Some(declined) {
            return;
        }
        self.declined.insert(service.uid.clone(), declined.clone());
        let Name { namespace, name } = &service.name;
        tracing::warn!(%namespace, service = %name, reason = %declined, "declined");
        self.tell(Told {
            service: service.name.clone(),
            uid: service.uid.clone(),
            reason: "ServiceModeDeclined",
            kind: "Warning",
            note: declined.to_string(),
        });
    }

    fn tell(&mut self, told: Told) {
        if self.events.len() < EVENTS_MAX {
            self.events.spawn(act::tell(self.client.clone(), told));
        }
    }

    fn ended(&mut self, ended: Ended) {
        let Ended {
            work,
            write,
            result,
        } = ended;
        self.busy.remove(&work);
        match result {
            Ok(written) => {
                self.failures.remove(&work);
                self.tell_of(&write);
                let mut known = self.shared.lock();
                match written {
                    Written::Pod(pod) => pod.into_iter().for_each(|pod| known.answer_pod(pod)),
                    Written::Service(_, Some(service)) => known.answer_service(service),
                    Written::Service(name, None) => known.lose_service(&name),
                }
                known.again(work);
            }
            Err(error) => self.failed(work, &write, &error),
        }
    }

    fn failed(&mut self, work: Work, write: &Write, error: &ApiError) {
        let expected = error.is_conflict() || error.is_not_found();
        let failures = self.failures.entry(work.clone()).or_default();
        let pause = if expected && *failures == 0 {
            CONFLICT_PAUSE
        } else {
            let doubled = PAUSE_MIN.saturating_mul(1 << (*failures).min(8));
            doubled.min(PAUSE_MAX)
        };
        *failures = failures.saturating_add(1);
        let name = match write {
            Write::Pod(write) => &write.name,
            Write::Service(write) => &write.name,
        };
        let Name { namespace, name } = name;
        if expected {
            tracing::debug!(%namespace, %name, %error, "it has changed meanwhile");
        } else {
            tracing::warn!(%namespace, %name, %error, again_in = ?pause, "a write failed");
            self.figures.failed();
        }
        let at = Instant::now() + pause;
        self.later.entry(at).or_default().push(work);
    }

    fn due_again(&mut self) {
        let rest = self.later.split_off(&Instant::now());
        let due = std::mem::replace(&mut self.later, rest);
        let mut known = self.shared.lock();
        for work in due.into_values().flatten() {
            known.again(work);
        }
    }

    /// Says who was designated.
    fn tell_of(&mut self, write: &Write) {
        let Write::Service(write) = write else { return };
        let Active::Pod { name: pod, .. } = &write.active else {
            return;
        };
        if write.selector.is_some() {
            return;
        }
        let Name { namespace, name } = &write.name;
        tracing::info!(%namespace, service = %name, %pod, "designated");
        self.figures.designated();
        self.tell(Told {
            service: write.name.clone(),
            uid: write.uid.clone(),
            reason: "Designated",
            kind: "Normal",
            note: format!("Pod {pod} is active: this Service points at it"),
        });
    }
}

#[cfg(test)]
mod tests;

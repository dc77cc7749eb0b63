//! The loop: one event after the other, and the checks after each.

use super::api::Api;
use super::clock::{Clock, MS, SECOND};
use super::coverage::Met;
use super::event::{Event, HostId, News, Queue, Stage};
use super::faults::{Mishap, Operation, Weather};
use super::foreigner::Foreigner;
use super::host::{self, Host};
use super::invariants::Memory;
use super::log::{self, Log};
use super::objects::Change;
use super::random::Random;
use super::run::{Run, Violation};
use super::scenario::{Plan, Scenario, Settings, Workload};
use super::watch::{self, Kind};
use common::ids::Identity;
use election::{Elector, Failure, Input, LeaseWriteKind, Outcome, Step};

/// Events of one run. A busy run has about 20,000.
const EVENTS_MAX: u64 = 300_000;
/// Steps in a row that may ask to be called again at once.
const RESTLESS_MAX: u32 = 20;
/// How long a group may take to become calm before its next burst.
const CALM_WITHIN_US: u64 = 900 * SECOND;

/// A group of pods with its cluster.
#[derive(Debug)]
pub struct World {
    pub(super) now_us: u64,
    pub(super) random: Random,
    pub(super) settings: Settings,
    pub(super) api: Api,
    pub(super) hosts: Vec<Host>,
    pub(super) queue: Queue,
    pub(super) bursts: Vec<Vec<(u64, Operation)>>,
    /// Weather of one pod or of all, and when it ends.
    pub(super) weather: Vec<(u64, Option<HostId>, Weather)>,
    pub(super) outage_until_us: u64,
    /// Nobody has a right on Services before this.
    pub(super) services_forbidden_until_us: u64,
    pub(super) lose_next: Option<(LeaseWriteKind, bool)>,
    /// Requests of this name, so many, that have a mishap.
    pub(super) trip: Option<(&'static str, Mishap, u64)>,
    /// Another program that wants the Lease.
    pub(super) foreigner: Option<Foreigner>,
    /// What a restore goes back to.
    pub(super) backup: Option<Api>,
    /// Revision of the template.
    pub(super) revision: u64,
    /// The last effect of a fault, as far as known.
    pub(super) faulty_until_us: u64,
    /// The last effect of a fault, or of anything that people and controllers do.
    pub(super) disturbed_until_us: u64,
    /// When the last burst began.
    pub(super) burst_us: u64,
    /// The script has been played to its end.
    over: bool,
    pub(super) memory: Memory,
    pub(super) run: Run,
    pub(super) log: Log,
    pub(super) violation: Option<(&'static str, String)>,
}

impl World {
    /// Plays a scenario with a seed.
    ///
    /// # Errors
    /// The first violation, with the log up to it.
    pub fn run(seed: u64, scenario: &Scenario) -> Result<Run, Box<Violation>> {
        // The log costs more than the run: it is written when it is wanted, by running again.
        Self::play(seed, scenario, Log::off())
            .1
            .or_else(|_| Self::replay(seed, scenario).1)
    }

    /// Plays a scenario with a seed, and gives the whole log.
    pub fn replay(seed: u64, scenario: &Scenario) -> (Vec<String>, Result<Run, Box<Violation>>) {
        Self::play(seed, scenario, Log::on())
    }

    fn play(
        seed: u64,
        scenario: &Scenario,
        log: Log,
    ) -> (Vec<String>, Result<Run, Box<Violation>>) {
        let mut random = Random::new(seed);
        let plan = (scenario.plan)(&mut random);
        let mut world = Self::new(plan, random, log);
        world.begin();
        world.live();
        let lines = world.log.into_lines();
        let result = match world.violation {
            None => Ok(world.run),
            Some((rule, message)) => Err(Box::new(Violation {
                rule,
                message,
                at_us: world.now_us,
                scenario: scenario.name,
                seed,
                log: lines.clone(),
            })),
        };
        (lines, result)
    }

    fn new(plan: Plan, random: Random, log: Log) -> Self {
        Self {
            now_us: 0,
            random,
            api: Api::new(plan.settings.rules),
            settings: plan.settings,
            hosts: Vec::new(),
            queue: Queue::default(),
            bursts: plan.bursts,
            weather: Vec::new(),
            outage_until_us: 0,
            services_forbidden_until_us: 0,
            lose_next: None,
            trip: None,
            foreigner: None,
            backup: None,
            revision: 1,
            faulty_until_us: 0,
            disturbed_until_us: 0,
            burst_us: 0,
            over: false,
            memory: Memory::default(),
            run: Run::begun(),
            log,
            violation: None,
        }
    }

    fn begin(&mut self) {
        self.log.line(0, format_args!("{:?}", self.settings));
        for number in 0..self.settings.services {
            let change = self.api.create_service(&format!("web-{number}"), true);
            self.publish(change);
        }
        if self.settings.bare_service {
            let change = self.api.create_service("bare", false);
            self.publish(change);
        }
        for _ in 0..self.settings.pods {
            self.add_pod(None);
        }
        self.queue.push(0, Event::Burst(0));
    }

    fn live(&mut self) {
        while !self.over
            && let Some((at_us, event)) = self.queue.pop()
        {
            self.now_us = at_us;
            self.run.events += 1;
            self.happen(event);
            self.check();
            if self.run.events > EVENTS_MAX {
                self.violate("bound", format!("{EVENTS_MAX} events and no end"));
            }
            self.over |= self.violation.is_some();
        }
        self.run.end_us = self.now_us;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Burst(number) => self.burst(number),
            Event::Operation(operation) => self.operate(&operation),
            Event::Deliver(host, incarnation, news) => self.deliver(host, incarnation, news),
            Event::Arrive(flight) => self.arrive(&flight),
            Event::Relist(host, kind, epoch) => self.relist(host, kind, epoch),
            Event::Kubelet(host, stage) => self.kubelet(host, stage),
            Event::Controller => self.controller(),
            Event::Foreigner => self.foreigner_looks(),
        }
    }

    /// Whether the group has been calm for long enough to begin this burst; if not, it is asked
    /// again when that may be.
    fn calm_or_later(&mut self, number: usize) -> bool {
        let calm_us = (self.settings.settle_ms() + self.settings.lease_duration_ms) * MS;
        let ready_us = self.disturbed_until_us + calm_us;
        if self.now_us >= ready_us {
            return true;
        }
        if self.now_us > self.burst_us + CALM_WITHIN_US {
            self.violate("bound", "the world never becomes calm".to_owned());
        }
        self.queue.push(ready_us, Event::Burst(number));
        false
    }

    fn burst(&mut self, number: usize) {
        if !self.calm_or_later(number) {
            return;
        }
        if number == self.bursts.len() {
            self.over = true;
            return;
        }
        self.burst_us = self.now_us;
        let mut last_us = self.now_us;
        for (after_ms, operation) in std::mem::take(&mut self.bursts[number]) {
            let at_us = self.now_us + after_ms * MS;
            last_us = last_us.max(at_us);
            self.queue.push(at_us, Event::Operation(operation));
        }
        self.disturb(last_us);
        self.queue.push(last_us, Event::Burst(number + 1));
    }

    /// A person, a controller or the kubelet did something whose effect ends at `until_us`.
    pub(super) fn disturb(&mut self, until_us: u64) {
        self.disturbed_until_us = self.disturbed_until_us.max(until_us).max(self.now_us);
    }

    /// Something broke, and its effect ends at `until_us`.
    pub(super) fn fault(&mut self, until_us: u64) {
        self.faulty_until_us = self.faulty_until_us.max(until_us).max(self.now_us);
        self.disturb(until_us);
    }

    /// Notes the first violation; the run ends after this event.
    pub(super) fn violate(&mut self, rule: &'static str, message: String) {
        self.violation.get_or_insert((rule, message));
    }

    /// Makes a pod: object first, then its processes. Its name is a namesake's or new.
    pub(super) fn add_pod(&mut self, name: Option<String>) {
        let number = self.hosts.len();
        let name = name.unwrap_or_else(|| match self.settings.workload {
            Workload::StatefulSet => format!("web-{number}"),
            _ => format!("web-r{}-{number}", self.revision),
        });
        let identity = Identity::new(name, host::uid(number));
        let drift_ppm = match self.random.between(0, 2) {
            0 => self.random.between(0, self.settings.drift_ppm_max) as i64,
            1 => self.settings.drift_ppm_max as i64,
            _ => -(self.settings.drift_ppm_max as i64),
        };
        let clock = Clock {
            offset_us: self.random.between(0, 1_000_000) * SECOND,
            drift_ppm,
        };
        let wall_skew_us = self.random.between(0, 7_200) as i64 * SECOND as i64;
        let priorities = &self.settings.priorities;
        let priority = priorities[number % priorities.len()];
        let owner = self.settings.owner(number);
        let view = host::new_pod(&identity, priority, owner, self.revision, self.now_us);
        self.hosts.push(Host::new(identity, clock, wall_skew_us));
        self.hosts[number].life.app_running = true;
        let change = self.api.create_pod(view);
        self.publish(change);
        let start_us = self.now_us + self.random.between(200, 1_000) * MS;
        let ready_us = start_us + self.random.between(100, 2_000) * MS;
        self.queue
            .push(start_us, Event::Kubelet(number, Stage::Start));
        self.queue
            .push(ready_us, Event::Kubelet(number, Stage::Ready));
        self.disturb(ready_us);
    }

    /// Starts the process of a sidecar.
    pub(super) fn start_process(&mut self, id: HostId) {
        let jitter_seed = self.random.bits();
        let host = &mut self.hosts[id];
        let params = self.settings.params(id, host.identity.clone(), jitter_seed);
        host.elector = Some(Elector::new(params));
        host.wake += 1;
        let (incarnation, wake) = (host.incarnation, host.wake);
        self.queue.push(
            self.now_us,
            Event::Deliver(id, incarnation, News::Wake(wake)),
        );
        for kind in Kind::ALL {
            let epoch = self.hosts[id].stream(kind).epoch;
            let at_us = self.now_us + self.random.between(2, 50) * MS;
            self.queue.push(at_us, Event::Relist(id, kind, epoch));
        }
    }

    /// Tells all watchers of a committed write, and the checks.
    pub(super) fn publish(&mut self, change: Option<Change>) {
        let Some(change) = change else { return };
        self.log.line(
            self.now_us,
            format_args!("    api: {}", log::Changed(&change)),
        );
        self.look_at(&change);
        let Some((kind, input)) = watch::news(&change) else {
            return;
        };
        for id in 0..self.hosts.len() {
            if self.hosts[id].elector.is_some() && !self.hosts[id].stream(kind).open {
                self.run.coverage.met(Met::WatchGap);
            }
            if self.hosts[id].stream(kind).open {
                self.queue_news(id, kind, input.clone());
                let repeated = self.weather_of(id).duplicate;
                if self.random.chance(repeated) {
                    self.run.coverage.met(Met::RepeatedWatch);
                    self.queue_news(id, kind, input.clone());
                }
            }
        }
    }

    /// Puts something at the end of a stream.
    pub(super) fn queue_news(&mut self, id: HostId, kind: Kind, input: Input) {
        let late_ms = self.weather_of(id).watch_late_ms;
        let mut delay_us = self.random.between(300, 8 * MS);
        if late_ms > 0 && self.random.chance(300) {
            self.run.coverage.met(Met::LateWatch);
            delay_us += self.random.between(0, late_ms) * MS;
            self.fault(self.now_us + delay_us);
        }
        let incarnation = self.hosts[id].incarnation;
        let stream = self.hosts[id].stream(kind);
        stream.queue.push_back(input);
        let news = News::Watch(kind, stream.epoch);
        self.queue.push(
            self.now_us + delay_us,
            Event::Deliver(id, incarnation, news),
        );
    }

    fn relist(&mut self, id: HostId, kind: Kind, epoch: u32) {
        let host = &mut self.hosts[id];
        if host.elector.is_none() || host.stream(kind).epoch != epoch {
            return;
        }
        let back_us = host
            .frozen_until_us
            .max(host.unheard_until_us())
            .max(self.outage_until_us);
        if back_us > self.now_us {
            let at_us = back_us + self.random.between(1, 1_000) * MS;
            self.fault(at_us);
            self.queue.push(at_us, Event::Relist(id, kind, epoch));
            return;
        }
        if self.refuse_watch(id, kind) {
            return;
        }
        self.hosts[id].stream(kind).open = true;
        let input = watch::list(&self.api, kind);
        self.queue_news(id, kind, input);
    }

    fn deliver(&mut self, id: HostId, incarnation: u32, news: News) {
        let now_us = self.now_us;
        let host = &mut self.hosts[id];
        if host.incarnation != incarnation || host.elector.is_none() {
            return;
        }
        if host.frozen_until_us > now_us {
            // Whatever waits for a process that stands still comes at once when it goes on, in any
            // order but that of one stream.
            let at_us = host.frozen_until_us + self.random.between(0, 3_000);
            self.queue
                .push(at_us, Event::Deliver(id, incarnation, news));
            return;
        }
        match news {
            News::Wake(wake) if wake == host.wake => self.step(id, Input::Wake),
            News::Wake(_) => {}
            News::Watch(kind, epoch) => self.deliver_watch(id, kind, epoch),
            News::Answer(..) if host.cut_until_us > now_us => {
                self.run.coverage.met(Met::LostAnswer);
            }
            News::Answer(request, outcome) => {
                // The shell has given it up, or has had this answer already: it is ignored.
                if host.in_flight.is_none_or(|(id, _)| id != request) {
                    self.run.coverage.met(Met::LateAnswer);
                } else if !host.in_flight_over(now_us) {
                    host.in_flight = None;
                    let answered = outcome != Outcome::Failed(Failure::Lost);
                    host.answered_us = answered.then_some(now_us);
                }
                self.step(id, Input::Done(request, outcome));
            }
            News::Deadline(request) => {
                if host.in_flight.is_some_and(|(id, _)| id == request) {
                    self.step(id, Input::Done(request, Outcome::Failed(Failure::Lost)));
                }
            }
            News::Terminate => {
                host.told_to_end = true;
                self.step(id, Input::Terminate);
            }
        }
    }

    fn deliver_watch(&mut self, id: HostId, kind: Kind, epoch: u32) {
        let host = &mut self.hosts[id];
        if host.stream(kind).epoch != epoch {
            return;
        }
        if host.unheard_at(self.now_us) {
            // A connection that survives the cut delivers after it.
            let at_us = host.unheard_until_us() + self.random.between(1, 2_000) * MS;
            let incarnation = host.incarnation;
            self.fault(at_us);
            self.queue.push(
                at_us,
                Event::Deliver(id, incarnation, News::Watch(kind, epoch)),
            );
            return;
        }
        if let Some(input) = host.stream(kind).queue.pop_front() {
            self.note_order(id, kind, &input);
            self.hosts[id].note_services(&input, self.now_us);
            self.step(id, input);
        }
    }

    /// Streams know nothing of each other: a younger change may be told before an older one.
    fn note_order(&mut self, id: HostId, kind: Kind, input: &Input) {
        let Some(version) = watch::shown_version(input) else {
            return;
        };
        let host = &mut self.hosts[id];
        if host.streams.iter().any(|stream| stream.told > version) {
            self.run.coverage.met(Met::Reordered);
        }
        host.stream(kind).told = version;
    }

    /// One step of an elector, and what follows from it.
    fn step(&mut self, id: HostId, input: Input) {
        let now_us = self.now_us;
        let host = &mut self.hosts[id];
        let now = host.clock.read(now_us);
        let overdue = host.in_flight_over(now_us);
        if overdue {
            // At the deadline, shell and elector both take the request for lost.
            host.in_flight = None;
            host.answered_us = None;
        }
        let Some(elector) = host.elector.as_mut() else {
            return;
        };
        self.log.line(
            now_us,
            format_args!("{} <- {}", host.identity.uid, log::Told(&input)),
        );
        let told = !matches!(input, Input::Wake | Input::Done(..));
        let step = elector.step(now, input);
        self.log.line(
            now_us,
            format_args!("{} -> {}", host.identity.uid, log::Asked(&step, now)),
        );
        let before = host.standing.replace(step.standing);
        host.note_barred(now_us);
        host.wake += 1;
        host.restless = if step.wake_at <= now {
            host.restless + 1
        } else {
            0
        };
        if host.restless > RESTLESS_MAX {
            self.violate(
                "bound",
                format!("u{id} asks to be woken at once, again and again"),
            );
        }
        self.check_step(id, &step);
        if let Some(before) = before {
            self.check_transition(id, &before, &step, told && !overdue);
        }
        self.follow(id, step);
    }

    fn follow(&mut self, id: HostId, step: Step) {
        let host = &self.hosts[id];
        let latest_us = self.now_us + 7_200 * SECOND;
        let wake_at = step.wake_at.min(host.clock.read(latest_us));
        // A timer rounds up to its next millisecond, and is late by a little.
        let at_us = host.clock.when(wake_at, self.now_us + 1) + self.random.between(0, 1_200);
        let news = News::Wake(host.wake);
        self.queue
            .push(at_us, Event::Deliver(id, host.incarnation, news));
        if let Some(request) = step.request {
            self.send(id, request);
        }
        if step.standing.finished && self.violation.is_none() {
            self.run.coverage.met(Met::Finished);
            self.process_ended(id);
        }
    }
}

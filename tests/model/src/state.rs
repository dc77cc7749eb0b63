//! One state of the group, and what an event makes of it.

use super::api::{Api, Broken};
use super::event::Event;
use super::process::{Exchange, Kind, Process, Progress};
use super::scope::{Change, Fault, Scope};
use super::shared::Shared;
use election::Input;

/// Terms are told apart up to this one.
const TERMS_MAX: usize = 99;

/// Everything that the future depends on, and what has been broken.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(super) api: Api,
    pub(super) processes: Vec<Shared<Process>>,
    pub(super) faults: u8,
    pub(super) changes: u8,
    /// Which pod was seen to lead each term; 0: none, 1: the first pod.
    led: Vec<u8>,
    /// When something last happened that was not on time or not planned, in steps; 0 unless the
    /// scope looks at recovery.
    disturbed: u16,
    /// The first rule that a request or a write has broken.
    pub(super) broken: Broken,
}

impl State {
    /// Nothing runs yet.
    pub(super) fn fresh(scope: &Scope) -> Self {
        let process = |pod| Shared::new(Process::new(pod));
        Self {
            api: Api::new(scope),
            processes: (0..scope.pods).map(process).collect(),
            faults: 0,
            changes: 0,
            led: Vec::new(),
            disturbed: 0,
            broken: None,
        }
    }

    /// All that can happen next.
    pub(super) fn events(&self, scope: &Scope, events: &mut Vec<Event>) {
        if self.broken.is_some() {
            return;
        }
        for (pod, process) in self.processes.iter().enumerate() {
            self.events_of(scope, pod, process, events);
        }
        if scope.apart_ticks == 0 {
            let mut running = self.running().peekable();
            let costs = running
                .peek()
                .is_some()
                .then(|| running.try_fold(0, |sum, process| Some(sum + self.lag(scope, process)?)));
            if costs
                .flatten()
                .is_some_and(|cost| self.affords(scope, cost))
            {
                events.push(Event::TickAll);
            }
        }
        let lease = self.api.lease().is_some();
        if self.affords_change(scope, Change::Switchover)
            && self
                .api
                .lease()
                .is_some_and(|lease| lease.record.switchover.is_none())
        {
            events.push(Event::AskForSwitchover);
        }
        if lease && scope.knows(Fault::DeleteLease) && self.affords(scope, 1) {
            events.push(Event::DeleteLease);
        }
    }

    fn events_of(&self, scope: &Scope, pod: usize, process: &Process, events: &mut Vec<Event>) {
        let late = 0..process.late.len();
        events.extend(late.map(|index| Event::CommitLate(pod, index)));
        if !process.runs() {
            if !process.over {
                events.push(Event::Start(pod));
            }
            return;
        }
        self.events_of_its_request(scope, pod, process, events);
        if process.is_reachable() {
            let unseen = |kind: &Kind| process.has_unseen(&self.api, *kind);
            let kinds = Kind::ALL.into_iter().filter(unseen);
            events.extend(kinds.map(|kind| Event::Deliver(pod, kind)));
        }
        let faults = self.affords(scope, 1);
        if process.is_reachable() && !process.behind && scope.knows(Fault::Behind) && faults {
            events.push(Event::FallBehind(pod));
        }
        if process.frozen {
            events.push(Event::Thaw(pod));
        } else if process.is_due() {
            events.push(Event::Wake(pod));
        } else if scope.knows(Fault::Freeze) && faults {
            events.push(Event::Freeze(pod));
        }
        if process.cut {
            events.push(Event::Heal(pod));
        } else if scope.knows(Fault::Cut) && faults {
            events.push(Event::Cut(pod));
        }
        if scope.knows(Fault::Crash) && self.affords(scope, 1) && !process.told_to_end {
            events.push(Event::Crash(pod));
        }
        if scope.apart_ticks > 0
            && self.slowest_clock() + scope.apart_ticks > process.clock
            && self
                .lag(scope, process)
                .is_some_and(|cost| self.affords(scope, cost))
        {
            events.push(Event::Tick(pod));
        }
        self.events_of_the_pod(scope, pod, process, events);
    }

    fn events_of_its_request(
        &self,
        scope: &Scope,
        pod: usize,
        process: &Process,
        events: &mut Vec<Event>,
    ) {
        let Some(exchange) = process.exchange.as_ref().filter(|_| !process.cut) else {
            return;
        };
        match (&exchange.progress, exchange.slow) {
            (Progress::Sent(_), false) => {
                events.push(Event::Exchange(pod));
                // Its answer is late.
                if scope.knows(Fault::Slow) && self.affords(scope, 1) {
                    events.push(Event::Commit(pod));
                }
            }
            (Progress::Sent(_), true) => events.push(Event::Commit(pod)),
            (Progress::Answered(_), _) if !process.frozen => events.push(Event::Answer(pod)),
            (Progress::Answered(_), _) => {}
        }
    }

    /// What kubelets and people do to a pod.
    fn events_of_the_pod(
        &self,
        scope: &Scope,
        pod: usize,
        process: &Process,
        events: &mut Vec<Event>,
    ) {
        let object = self.api.pod(pod);
        if object.terminating && !process.told_to_end && !process.frozen {
            events.push(Event::Terminate(pod));
        }
        // It may also be killed before it has finished.
        let finished = process.standing().is_some_and(|standing| standing.finished);
        if process.told_to_end && (finished || scope.knows(Fault::Crash) && self.affords(scope, 1))
        {
            events.push(Event::Exit(pod));
        }
        if self.affords_change(scope, Change::Delete) && !object.terminating {
            events.push(Event::Delete(pod));
        }
        if self.affords_change(scope, Change::Unready) && object.ready {
            events.push(Event::Unready(pod));
        }
    }

    /// How many faults it takes that time goes on for this process now; `None`: it cannot.
    fn lag(&self, scope: &Scope, process: &Process) -> Option<u8> {
        if process.clock >= scope.ticks {
            return None;
        }
        if process.frozen {
            return Some(0);
        }
        if process.is_due() {
            return None;
        }
        if process.cut {
            return Some(0);
        }
        let late = process
            .exchange
            .as_ref()
            .is_some_and(|exchange| !exchange.slow);
        (!late || scope.knows(Fault::Slow)).then_some(u8::from(late))
    }

    fn affords(&self, scope: &Scope, cost: u8) -> bool {
        self.faults + cost <= scope.faults
    }

    fn affords_change(&self, scope: &Scope, change: Change) -> bool {
        scope.wants(change) && self.changes < scope.changes
    }

    fn running(&self) -> impl Iterator<Item = &Process> {
        self.processes
            .iter()
            .map(|process| &**process)
            .filter(|process| process.runs())
    }

    fn slowest_clock(&self) -> u16 {
        let clocks = self.running().map(|process| process.clock);
        clocks.min().unwrap_or(0)
    }

    /// The state after an event.
    pub(super) fn after(&self, scope: &Scope, event: Event) -> Self {
        let mut next = self.clone();
        let broken = next.apply(scope, event);
        let shown = next.show_all(scope);
        next.broken = next.broken.or(broken).or(shown);
        next.settle();
        if scope.recovers && (event.disturbs() || next.waits_for_something()) {
            next.disturbed = next.running().map(|it| it.clock).max().unwrap_or(0);
        }
        next
    }

    /// Whether an answer or a watch that is late may yet come to a process that can be reached.
    fn waits_for_something(&self) -> bool {
        let mut reachable = self.running().filter(|process| process.is_reachable());
        reachable.any(|process| {
            let slow = process.exchange.as_ref().is_some_and(|it| it.slow);
            slow || process.behind && process.has_any_unseen(&self.api)
        })
    }

    /// For how many steps nothing has happened that was not on time.
    pub(super) fn calm_ticks(&self) -> u16 {
        self.slowest_clock().saturating_sub(self.disturbed)
    }

    fn apply(&mut self, scope: &Scope, event: Event) -> Broken {
        let Self { api, processes, .. } = self;
        match event {
            Event::Tick(pod) => self.tick(scope, pod),
            Event::TickAll => self.tick_all(scope),
            Event::Wake(pod) => processes[pod].change(|process| process.step(scope, Input::Wake)),
            Event::Deliver(pod, kind) => {
                processes[pod].change(|process| process.deliver(scope, api, kind))
            }
            Event::Exchange(pod) => {
                let broken = Self::commit(scope, api, &mut processes[pod], false);
                let answered = processes[pod].change(|process| process.answer(scope, api));
                broken.or(answered)
            }
            Event::Commit(pod) => {
                let slow = processes[pod].exchange.as_ref().is_some_and(|it| it.slow);
                self.faults += u8::from(!slow);
                Self::commit(scope, api, &mut processes[pod], true)
            }
            Event::Answer(pod) => processes[pod].change(|process| process.answer(scope, api)),
            Event::CommitLate(pod, index) => {
                let action = processes[pod].change(|process| process.late.remove(index));
                api.answer(scope.handover, pod, &action).1
            }
            Event::Start(pod) => {
                let running = processes.iter().filter(|process| process.runs());
                let clock = running.map(|process| process.clock).min();
                processes[pod].change(|process| {
                    process.clock = clock.unwrap_or(process.clock);
                    process.start(scope, api)
                })
            }
            Event::Terminate(pod) => processes[pod].change(|process| {
                process.told_to_end = true;
                process.step(scope, Input::Terminate)
            }),
            _ => {
                self.disturb(event);
                None
            }
        }
    }

    fn tick_all(&mut self, scope: &Scope) -> Broken {
        let mut broken = None;
        for pod in 0..self.processes.len() {
            let ticked = self.tick(scope, pod);
            broken = broken.or(ticked);
        }
        broken
    }

    /// Watches that are not behind deliver at once.
    fn show_all(&mut self, scope: &Scope) -> Broken {
        let Self { api, processes, .. } = self;
        let mut broken = None;
        for process in processes {
            for kind in Kind::ALL {
                if process.is_reachable() && !process.behind && process.has_unseen(api, kind) {
                    let shown = process.change(|process| process.deliver(scope, api, kind));
                    broken = broken.or(shown);
                }
            }
        }
        broken
    }

    /// Time goes on for one process. A request that has no answer by now is slow.
    fn tick(&mut self, scope: &Scope, pod: usize) -> Broken {
        if !self.processes[pod].runs() {
            return None;
        }
        let frozen = self.processes[pod].frozen;
        self.faults += self.lag(scope, &self.processes[pod]).unwrap_or(0);
        self.processes[pod].change(|process| {
            process.clock += 1;
            if frozen {
                return None;
            }
            process.slow_down();
            if process.is_due() {
                process.step(scope, Input::Wake)
            } else {
                None
            }
        })
    }

    /// The request of a process reaches the API server.
    fn commit(scope: &Scope, api: &mut Api, process: &mut Shared<Process>, slow: bool) -> Broken {
        let action = process.exchange.as_ref().and_then(Exchange::sent)?;
        let (outcome, broken) = api.answer(scope.handover, process.pod, action);
        process.change(|process| {
            if let Some(exchange) = &mut process.exchange {
                exchange.progress = Progress::Answered(outcome);
                exchange.slow |= slow;
            }
        });
        broken
    }

    /// Forgets what can have no effect any more, and remembers who leads.
    fn settle(&mut self) {
        let api = &self.api;
        for process in &mut self.processes {
            if process.late.iter().any(|write| !api.would_take(write)) {
                process.change(|process| process.late.retain(|write| api.would_take(write)));
            }
        }
        for (leader, process) in (1..).zip(&self.processes) {
            let Some(term) = process.leads() else {
                continue;
            };
            let term = usize::try_from(term).unwrap_or(usize::MAX).min(TERMS_MAX);
            if self.led.len() <= term {
                self.led.resize(term + 1, 0);
            }
            if self.led[term] == 0 {
                self.led[term] = leader;
            } else if self.led[term] != leader {
                self.broken = self.broken.or(Some("two pods lead in one term"));
            }
        }
    }

    /// What comes from outside.
    fn disturb(&mut self, event: Event) {
        match event {
            Event::Freeze(pod) => {
                self.faults += 1;
                self.processes[pod].change(|process| {
                    process.frozen = true;
                    process.slow_down();
                });
            }
            Event::Thaw(pod) => self.processes[pod].change(|process| {
                process.frozen = false;
                process.come_back(&self.api);
            }),
            Event::FallBehind(pod) => {
                self.faults += 1;
                self.processes[pod].change(|process| process.behind = true);
            }
            Event::Cut(pod) => {
                self.faults += 1;
                self.processes[pod].change(|process| process.cut = true);
            }
            Event::Heal(pod) => self.processes[pod].change(|process| {
                process.cut = false;
                process.come_back(&self.api);
            }),
            Event::Crash(pod) => {
                self.faults += 1;
                self.processes[pod].change(Process::stop);
            }
            Event::DeleteLease => {
                self.faults += 1;
                self.api.delete_lease();
            }
            Event::AskForSwitchover => {
                self.changes += 1;
                self.api.ask_for_switchover();
            }
            Event::Delete(pod) => {
                self.changes += 1;
                self.api.edit_pod(pod, |pod| pod.terminating = true);
            }
            Event::Unready(pod) => {
                self.changes += 1;
                self.api.edit_pod(pod, |pod| pod.ready = false);
            }
            Event::Exit(pod) => {
                let standing = self.processes[pod].standing();
                let finished = standing.is_some_and(|standing| standing.finished);
                self.faults += u8::from(!finished);
                self.processes[pod].change(|process| {
                    process.stop();
                    process.over = true;
                });
            }
            _ => {}
        }
    }
}

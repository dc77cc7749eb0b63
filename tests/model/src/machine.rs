//! The group as stateright explores it, and what must hold in each state.

use super::event::Event;
use super::scope::{CALM_TICKS, Fault, LEASE_DURATION_MS, Scope, Start, TICK_MS};
use super::state::State;
use election::{Handover, RoleLabel};
use stateright::{Model, Property};

/// A scope, ready to be explored.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) scope: Scope,
}

impl Model for Machine {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        let fresh = State::fresh(&self.scope);
        vec![match self.scope.start {
            Start::Fresh => fresh,
            Start::Settled => self.settled(fresh),
        }]
    }

    fn actions(&self, state: &State, events: &mut Vec<Event>) {
        state.events(&self.scope, events);
    }

    fn next_state(&self, state: &State, event: Event) -> Option<State> {
        Some(state.after(&self.scope, event))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("one believed leader", |_: &Self, state: &State| {
                state.leaders().count() <= 1
            }),
            Property::always(
                "every request and write by the rules",
                |_: &Self, state: &State| state.broken.is_none(),
            ),
        ];
        match (self.scope.handover, self.scope.start) {
            (Handover::Exclusive, _) => properties
                .push(Property::always("never two active", |_, state: &State| {
                    state.active().count() <= 1 && !state.routes_past_the_active()
                })),
            (Handover::Seamless, Start::Settled) => properties.push(Property::always(
                "while nothing fails: never none, never three",
                |_, state: &State| state.faults > 0 || (1..=2).contains(&state.active().count()),
            )),
            (Handover::Seamless, Start::Fresh) => {}
        }
        if self.scope.recovers {
            properties.push(Property::always(
                "when it has been calm for a lease duration and a second, the group is in order",
                |_, state: &State| state.calm_ticks() < CALM_TICKS || state.is_in_order(),
            ));
        }
        properties.extend(self.possible());
        properties
    }
}

impl Machine {
    /// What must be possible: that it never occurs would make the rest worth nothing.
    fn possible(&self) -> Vec<Property<Self>> {
        let scope = &self.scope;
        let mut possible = vec![Property::sometimes(
            "a pod leads",
            |_: &Self, state: &State| state.leaders().next().is_some(),
        )];
        if scope.changes > 0 {
            possible.push(Property::sometimes(
                "a named successor confirms and is active",
                |_: &Self, state: &State| state.faults == 0 && state.led_and_active_elsewhere(),
            ));
        }
        let expires = u64::from(scope.ticks) * TICK_MS > LEASE_DURATION_MS + TICK_MS;
        if scope.start == Start::Settled && expires && scope.faults > 0 {
            possible.extend(self.possible_after_expiry());
        }
        possible
    }

    fn possible_after_expiry(&self) -> Vec<Property<Self>> {
        let mut possible = Vec::new();
        if [Fault::Slow, Fault::Freeze]
            .iter()
            .any(|fault| self.scope.knows(*fault))
        {
            possible.push(Property::sometimes(
                "an expired Lease is taken from a leader that still runs",
                |_: &Self, state: &State| {
                    state.changes == 0
                        && state.processes[0].runs()
                        && state.led_and_active_elsewhere()
                },
            ));
        }
        if self.scope.knows(Fault::Crash) {
            possible.push(Property::sometimes(
                "a crashed leader is followed",
                |_: &Self, state: &State| {
                    state.changes == 0
                        && !state.processes[0].runs()
                        && state.led_and_active_elsewhere()
                },
            ));
            possible.push(Property::sometimes(
                "a restarted leader takes its Lease back",
                |_: &Self, state: &State| {
                    state.changes == 0 && state.processes[0].leads().is_some_and(|term| term > 1)
                },
            ));
        }
        possible
    }

    /// Lets everything happen in time until nothing is left but that time goes on.
    fn settled(&self, mut state: State) -> State {
        let mut events = Vec::new();
        let quick = |event: &Event| {
            matches!(
                event,
                Event::Start(_) | Event::Deliver(..) | Event::Exchange(_) | Event::Wake(_)
            )
        };
        for _ in 0..SETTLE_EVENTS_MAX {
            events.clear();
            state.events(&self.scope, &mut events);
            let Some(event) = events.iter().copied().find(quick) else {
                break;
            };
            state = state.after(&self.scope, event);
        }
        state
    }
}

/// A group of three settles in some 30 events.
const SETTLE_EVENTS_MAX: usize = 200;

impl State {
    /// The pods that believe to lead, each by its own clock.
    pub(super) fn leaders(&self) -> impl Iterator<Item = usize> {
        let leads = |(pod, process): (usize, &super::shared::Shared<super::process::Process>)| {
            process.leads().map(|_| pod)
        };
        self.processes.iter().enumerate().filter_map(leads)
    }

    /// The pods that carry the active label.
    pub(super) fn active(&self) -> impl Iterator<Item = usize> {
        let pods = self.api.pods().enumerate();
        pods.filter(|(_, pod)| pod.role == RoleLabel::Active)
            .map(|(pod, _)| pod)
    }

    /// Whether the Service points at one pod while another carries the active label.
    fn routes_past_the_active(&self) -> bool {
        let selected = self.api.service().and_then(|it| it.selected.as_deref());
        let Some(selected) = selected.filter(|uid| *uid != common::contract::NO_POD) else {
            return false;
        };
        self.active().any(|pod| self.api.pod(pod).uid != selected)
    }

    /// Whether a pod leads and carries the only active label, if any pod can.
    fn is_in_order(&self) -> bool {
        let can = |process: &super::process::Process| {
            let pod = self.api.pod(process.pod);
            process.is_reachable() && !process.told_to_end && pod.ready && !pod.terminating
        };
        let mut able = self.processes.iter().filter(|process| can(process));
        let Some(leader) = self.leaders().next() else {
            return able.next().is_none();
        };
        // In exclusive, a leader that is being deleted takes its label off and stays until SIGTERM.
        self.api.pod(leader).terminating || self.active().eq([leader])
    }

    /// Whether a pod other than the first leads and carries the label.
    fn led_and_active_elsewhere(&self) -> bool {
        self.leaders()
            .any(|pod| pod > 0 && self.api.pod(pod).role == RoleLabel::Active)
    }
}

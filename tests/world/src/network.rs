//! The way of a request to the API server, and of its answer back.

use super::api::Caller;
use super::clock::{MS, SECOND};
use super::coverage::Met;
use super::event::{Event, Fate, Flight, HostId, News};
use super::faults::{Mishap, Weather};
use super::log;
use super::objects::{Change, Object};
use super::requests::request_name;
use super::world::World;
use election::{Action, Failure, LeaseWrite, LeaseWriteKind, Outcome, Request};

/// Round trips that a new connection takes before its first request leaves: one each for TCP and
/// TLS 1.3.
const CONNECT_ROUND_TRIPS: u64 = 2;
/// How long a connection is kept without a request, microseconds.
const IDLE_US: u64 = 30 * SECOND;

impl World {
    /// The weather that a pod has now.
    pub(super) fn weather_of(&self, id: HostId) -> Weather {
        let now_us = self.now_us;
        let here = self.weather.iter().filter(|(until_us, target, _)| {
            *until_us > now_us && target.is_none_or(|target| target == id)
        });
        here.fold(Weather::FAIR, |sum, (_, _, weather)| sum.and(*weather))
    }

    /// Sends what an elector asks for.
    pub(super) fn send(&mut self, id: HostId, request: Request) {
        self.check_request(id, &request);
        let host = &mut self.hosts[id];
        host.in_flight = Some((request.id, request.deadline));
        host.last_request = Some(request.id);
        let incarnation = host.incarnation;
        let cut = host.cut_until_us > self.now_us;
        let deadline_us = host.clock.when(request.deadline, self.now_us + 1);
        let deadline = Event::Deliver(id, incarnation, News::Deadline(request.id));
        self.queue
            .push(deadline_us + self.random.between(0, 1_200), deadline);

        let weather = self.weather_of(id);
        let number = request.id;
        let lost = self.loses_next(&request.action);
        if cut || lost == Some(false) || self.random.chance(weather.lose_request) {
            self.run.coverage.met(Met::LostRequest);
            self.fault(deadline_us);
            self.maybe_reset(id, incarnation, number, deadline_us);
            return;
        }
        let mishap = self.trips(id, &request.action);
        let fate = if lost == Some(true) || mishap == Some(Mishap::AnswerLost) {
            Fate::AnswerLost
        } else {
            self.fate(weather)
        };
        if fate != Fate::Answered {
            self.fault(deadline_us);
        }
        if fate == Fate::AnswerLost {
            self.run.coverage.met(Met::LostAnswer);
            self.maybe_reset(id, incarnation, number, deadline_us);
        }
        let mut latency_us = self.random.between(200, 3 * MS) + self.way_us(id, weather);
        if self.random.chance(weather.slow_request) {
            self.run.coverage.met(Met::SlowRequest);
            latency_us += self.slowness_us();
            self.fault(self.now_us + latency_us);
        }
        if let Some(Mishap::Slow(by_ms)) = mishap {
            self.run.coverage.met(Met::SlowRequest);
            latency_us += by_ms * MS;
            self.fault(self.now_us + latency_us);
        }
        let flight = Flight {
            host: id,
            incarnation,
            request,
            fate,
        };
        self.queue
            .push(self.now_us + latency_us, Event::Arrive(Box::new(flight)));
    }

    /// How long a request is on its way over a road of this length: after one that had no answer, or
    /// a long pause, on a new connection.
    fn way_us(&self, id: HostId, weather: Weather) -> u64 {
        let connected = self.hosts[id]
            .answered_us
            .is_some_and(|at_us| self.now_us < at_us + IDLE_US);
        let connect = if connected { 0 } else { CONNECT_ROUND_TRIPS };
        weather.round_trip_ms * MS * (1 + 2 * connect) / 2
    }

    /// Whether this is the request that a script wants to lose; `Some(true)`: after it was done.
    fn loses_next(&mut self, action: &Action) -> Option<bool> {
        let Action::WriteLease(LeaseWrite { kind, .. }) = action else {
            return None;
        };
        let (wanted, done) = self.lose_next?;
        if wanted != *kind {
            return None;
        }
        self.lose_next = None;
        Some(done)
    }

    /// What a script does to this request.
    fn trips(&mut self, id: HostId, action: &Action) -> Option<Mishap> {
        let (what, mishap, times) = self.trip?;
        if request_name(self.hosts[id].uid(), action) != what {
            return None;
        }
        self.trip = (times > 1).then_some((what, mishap, times - 1));
        Some(mishap)
    }

    fn fate(&mut self, weather: Weather) -> Fate {
        let fates = [
            (weather.lose_answer, Fate::AnswerLost),
            (weather.throttle, Fate::Throttled),
            (weather.error, Fate::Failed),
            (weather.error_done, Fate::DoneButFailed),
        ];
        let met = fates
            .into_iter()
            .find(|(per_mille, _)| self.random.chance(*per_mille));
        met.map_or(Fate::Answered, |(_, fate)| fate)
    }

    /// Up to twice the time that a request may take, so that some are done after their deadline.
    fn slowness_us(&mut self) -> u64 {
        self.random
            .between(50, self.settings.lease_duration_ms * 2 / 5)
            * MS
    }

    /// A lost request or answer may show as a broken connection before its deadline.
    fn maybe_reset(
        &mut self,
        id: HostId,
        incarnation: u32,
        request: election::RequestId,
        deadline_us: u64,
    ) {
        if self.random.chance(300) {
            let at_us = self
                .random
                .between(self.now_us + 200, deadline_us.max(self.now_us + 300));
            let news = News::Answer(request, Outcome::Failed(Failure::Lost));
            self.queue
                .push(at_us, Event::Deliver(id, incarnation, news));
        }
    }

    /// A request reaches the API server.
    pub(super) fn arrive(&mut self, flight: &Flight) {
        let id = flight.host;
        let host = &self.hosts[id];
        if self.outage_until_us > self.now_us {
            self.fault(self.outage_until_us);
            let deadline_us = self.hosts[id]
                .clock
                .when(flight.request.deadline, self.now_us);
            self.maybe_reset(id, flight.incarnation, flight.request.id, deadline_us);
            return;
        }
        if host.cut_until_us > self.now_us {
            self.run.coverage.met(Met::LostRequest);
            return;
        }
        if host.clock.read(self.now_us) > flight.request.deadline {
            self.run.coverage.met(Met::DoneLate);
        }
        let caller = Caller {
            identity: host.identity.clone(),
            renew_time_us: self.now_us as i64 + host.wall_skew_us,
        };
        let weather = self.weather_of(id);
        if self.random.chance(weather.touch) {
            self.touch(&flight.request.action);
        }
        let (outcome, change) = match flight.fate {
            Fate::Throttled => {
                self.run.coverage.met(Met::Throttled);
                let retry_after_ms = self.random.pick(&[0, 200, 1_000, 5_000]);
                (
                    Outcome::Failed(Failure::Unavailable { retry_after_ms }),
                    None,
                )
            }
            Fate::Failed => {
                self.run.coverage.met(Met::ServerError);
                (
                    Outcome::Failed(Failure::Unavailable { retry_after_ms: 0 }),
                    None,
                )
            }
            _ if self.forbids(&flight.request.action) => {
                (Outcome::Failed(Failure::Forbidden), None)
            }
            Fate::Answered | Fate::AnswerLost | Fate::DoneButFailed => {
                self.api.answer(&caller, &flight.request.action)
            }
        };
        self.log.line(
            self.now_us,
            format_args!(
                "    api: u{id} {:?}: {}",
                flight.fate,
                log::Answered(&outcome)
            ),
        );
        self.count(id, &flight.request.action, &outcome, change.as_ref());
        if let Some(change) = &change {
            let in_flight = self.hosts[id].in_flight.map(|(request, _)| request);
            if in_flight != Some(flight.request.id) {
                self.api.note_late(&flight.request.action);
            }
            self.check_commit(id, &flight.request.action, change);
        }
        self.publish(change);
        self.reply(flight, outcome, weather);
    }

    fn reply(&mut self, flight: &Flight, outcome: Outcome, weather: Weather) {
        let outcome = match flight.fate {
            Fate::AnswerLost => return,
            _ if self.hosts[flight.host].deaf_until_us > self.now_us => {
                return self.run.coverage.met(Met::LostAnswer);
            }
            Fate::DoneButFailed => {
                self.run.coverage.met(Met::ServerErrorDone);
                Outcome::Failed(Failure::Unavailable { retry_after_ms: 0 })
            }
            _ => outcome,
        };
        let mut latency_us = self.random.between(200, 3 * MS) + weather.round_trip_ms * MS / 2;
        if self.random.chance(weather.slow_answer) {
            self.run.coverage.met(Met::SlowAnswer);
            latency_us += self.slowness_us();
            self.fault(self.now_us + latency_us);
        }
        let request = flight.request.id;
        let answer = |outcome| {
            Event::Deliver(
                flight.host,
                flight.incarnation,
                News::Answer(request, outcome),
            )
        };
        if self.random.chance(weather.duplicate) {
            self.run.coverage.met(Met::DuplicateAnswer);
            let again_us = self.now_us + latency_us + self.random.between(0, 300) * MS;
            self.fault(again_us);
            self.queue.push(again_us, answer(outcome.clone()));
        }
        self.queue.push(self.now_us + latency_us, answer(outcome));
    }

    /// Another writer comes before this write.
    fn touch(&mut self, action: &Action) {
        let change = match action {
            Action::WriteLease(_) => self.api.edit_lease(|_| {}),
            Action::WritePod(write) => self.api.touch_pod(&write.uid),
            Action::WriteService(write) => self.api.touch_service(&write.name),
            Action::ReadLease | Action::ReadPod { .. } | Action::ReadService { .. } => None,
        };
        if change.is_some() {
            self.run.coverage.met(Met::Touched);
            self.fault(self.now_us);
        }
        self.publish(change);
    }

    fn count(&mut self, id: HostId, action: &Action, outcome: &Outcome, change: Option<&Change>) {
        let met = match outcome {
            Outcome::Failed(Failure::Conflict) => Some(Met::Conflict),
            Outcome::Failed(Failure::NotFound) => Some(Met::NotFound),
            Outcome::Failed(Failure::Refused) => Some(Met::Refused),
            _ => None,
        };
        met.into_iter().for_each(|met| self.run.coverage.met(met));
        if let Some(change) = change {
            let uid = self.hosts[id].uid();
            committed(uid, action, change, |met| self.run.coverage.met(met));
        }
    }
}

/// Names what a committed request was.
fn committed(uid: &str, action: &Action, change: &Change, mut met: impl FnMut(Met)) {
    match (action, &change.object) {
        (Action::WriteLease(write), Object::Lease { before, .. }) => {
            if write.answer.is_some() {
                met(Met::SwitchoverAnswered);
            }
            met(match write.kind {
                LeaseWriteKind::Acquire => acquired(write, before.as_ref().map(|l| &l.record)),
                LeaseWriteKind::Recreate => Met::Recreate,
                LeaseWriteKind::Confirm => Met::Confirm,
                LeaseWriteKind::Renew => match before {
                    Some(before) if before.record.term < write.term => Met::RaiseTerm,
                    _ => Met::Renew,
                },
                LeaseWriteKind::Handover => Met::Handover,
                LeaseWriteKind::Release => Met::Release,
            });
        }
        (
            Action::WritePod(write),
            Object::Pod {
                before: Some(before),
                ..
            },
        ) => {
            if write.own_label {
                met(Met::OwnLabel);
            }
            let was_active = before.view.role == election::RoleLabel::Active;
            match write.role {
                Some((election::PodRole::Active, _)) => met(Met::LabelSelf),
                Some(_) if write.uid == uid && was_active => met(Met::UnlabelSelf),
                Some(_) if was_active => met(Met::Strip),
                Some(_) => met(Met::MarkPassive),
                None => {}
            }
        }
        (Action::WriteService(write), _) => {
            met(if write.active.is_some() {
                Met::Point
            } else {
                Met::PointNowhere
            });
            if write.with_selector {
                met(Met::WithSelector);
            }
        }
        _ => {}
    }
}

fn acquired(write: &LeaseWrite, before: Option<&election::Record>) -> Met {
    let Some(before) = before else {
        return Met::AcquireAbsent;
    };
    let own = write.holder.as_ref().map(ToString::to_string);
    match &before.holder {
        Some(_) if before.is_unheld() => Met::AcquireUnheld,
        None => Met::AcquireFree,
        holder if *holder == own => Met::Retake,
        _ if before.duration_ms < write.duration_ms => Met::AcquireUnconfirmed,
        _ => Met::AcquireExpired,
    }
}

//! What must hold, checked after each event, in true time.
//!
//! - I1: at any instant at most one elector believes to lead, each by its own clock at that
//!   instant; those that stand still or are cut off count, and so does a program that elects by
//!   client-go. A term is led by one pod only. After a restored backup both hold again one lease
//!   duration later, as does I2; so they do where people have deleted the Lease and everything else
//!   that told of a leader.
//! - I2: only a pod whose elector leads is made active, by itself, within a request whose deadline
//!   lies within its validity. In `exclusive`, no write of an elector makes a pod active, or points
//!   the selector of a Service at it, while another pod is active or pointed at; a Service that has
//!   just joined the group, and that the writer's watch has not shown, cannot count. In `seamless`,
//!   while no fault happens: at most two active labels, never none after one, and no Service points
//!   at no pod or at one that is gone, as long as a successor exists.
//! - I3: the Lease is freed only after the own label is off; in `exclusive` it is given away only
//!   after label and Services are off and, where the pod is being deleted and its elector knows,
//!   after SIGTERM, which tells it that the app has stopped. Who is on its way out, and knows, takes
//!   and confirms no Lease.
//! - I4: no write of an elector lowers the term of an object; every acquisition is a new term.
//! - I5: in a steady state the leader renews every LD/3, and nobody asks anything else. No process
//!   ever asks more than [`super::host::REQUESTS_MAX`] times in ten seconds.
//! - I6: some time after the last fault and change ([`super::Settings::settle_ms`]) there is exactly
//!   one leader, and labels, terms and Services all say so, if any pod is eligible; if none is, a
//!   degraded pod leads. Where nothing is broken, no leader loses the role but by giving it away;
//!   whatever is broken, no news makes a leader give up a term in which the Lease names it.
//!
//! What people wrote by hand counts as no elector's fault until an elector has written it anew. Services
//! that an elector never was allowed to see, or that were forbidden to it for 30 s while it led, are out
//! of its hands; for I3, so is what a write does that comes after its sender has given it up. Of a pod
//! that was taken out of the group only its own elector knows.

use super::clock::MS;
use super::coverage::Met;
use super::host;
use super::objects::Pod;
use super::world::World;
use election::{Handover, RoleLabel};
use std::collections::BTreeMap;

/// What the checks remember between events.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Which pod led each term.
    led: BTreeMap<u64, String>,
    /// The API server has forgotten leaders that may live: nothing is promised before this.
    suspended_until_us: u64,
    /// Whether the world is quiet, so that each quiet time counts once.
    quiet: bool,
}

impl Memory {
    /// Nothing is left that says that there have been higher terms: they begin anew.
    pub(super) fn forget_terms_above(&mut self, term: u64) {
        self.led.retain(|led, _| *led <= term);
    }

    /// What is promised begins anew at `at_us`.
    fn begin_anew(&mut self, at_us: u64) {
        self.led.clear();
        self.suspended_until_us = self.suspended_until_us.max(at_us);
    }
}

impl World {
    /// The checks after each event.
    pub(super) fn check(&mut self) {
        self.note_eligible();
        self.check_leaders();
        let quiet_us = self.disturbed_until_us + self.settings.settle_ms() * MS;
        let quiet = self.now_us >= quiet_us;
        if quiet {
            if !self.memory.quiet {
                self.run.coverage.met(Met::Quiet);
            }
            self.check_quiet();
        }
        self.memory.quiet = quiet;
    }

    fn check_leaders(&mut self) {
        let now_us = self.now_us;
        let mut leaders = self.hosts.iter().filter(|host| host.leads_at(now_us));
        let leader = leaders.next().map(|host| {
            let term = host.standing_at(now_us).map_or(0, |standing| standing.term);
            (host.uid().to_owned(), term)
        });
        let other = leaders.next().map(|host| host.uid().to_owned());
        if self.goes_back() {
            // See the module `restore`, and what people may erase.
        } else if let (Some((uid, _)), Some(other)) = (&leader, other) {
            self.violate("I1", format!("{uid} and {other} both believe to lead"));
        } else if let (Some((uid, _)), true) = (&leader, self.foreigner_leads()) {
            self.violate("I1", format!("{uid} and a foreigner both believe to lead"));
        } else if let Some((uid, term)) = &leader {
            let first = self.memory.led.entry(*term).or_insert_with(|| uid.clone());
            if first != uid {
                let message = format!("{uid} leads term {term}, which {first} has led");
                self.violate("I1", message);
            }
        }
        let leader = leader.map(|(uid, _)| uid);
        if self.run.leader.last().map(|(_, last)| last) != Some(&leader) {
            self.check_loss();
            self.log
                .line(now_us, format_args!("--- leader: {leader:?}"));
            self.run.leader.push((now_us, leader));
        }
    }

    /// The leader has changed. Where nothing is broken, a role is given away and never lost.
    fn check_loss(&mut self) {
        let now_us = self.now_us;
        let calm_us = self.faulty_until_us + self.settings.settle_ms() * MS;
        let last = self.run.leader.last().and_then(|(_, last)| last.clone());
        for host in &mut self.hosts {
            if host.leads_at(now_us) {
                host.gave_away = false;
            }
        }
        let lost = |host: &&host::Host| {
            Some(host.uid()) == last.as_deref()
                && host.elector.is_some()
                && !host.leads_at(now_us)
                && !host.gave_away
        };
        if let Some(host) = self.hosts.iter().find(lost)
            && now_us >= calm_us
        {
            self.violate(
                "I6",
                format!("{} lost the role though nothing is broken", host.uid()),
            );
        }
    }

    /// I6.
    fn check_quiet(&mut self) {
        let now_us = self.now_us;
        let paused = self.api.lease().is_some_and(|lease| lease.record.paused);
        let mut hosts = self.hosts.iter();
        let eligible = hosts.any(|host| host.eligible_since_us.is_some());
        if paused || !eligible && !self.has_degraded() {
            return;
        }
        let leader = self.hosts.iter().find(|host| host.leads_at(now_us));
        let Some(leader) = leader else {
            return self.violate("I6", "nobody leads, though a pod could".to_owned());
        };
        if !eligible {
            return;
        }
        let uid = leader.uid().to_owned();
        let standing = leader.standing_at(now_us);
        let term = standing.map(|standing| standing.term);
        let exclusive = self.settings.handover == Handover::Exclusive;
        if exclusive && leader.life.deleted_us.is_some() && leader.life.app_running {
            // It takes its label off and keeps the Lease until its app has stopped.
            return;
        }
        let holder = leader.identity.to_string();
        let pod = self.api.pod(&uid);
        // Nor is an exclusive leader that will be evicted replaced before its app has stopped.
        let exclusive = self.settings.handover == Handover::Exclusive;
        let stays = pod.is_some_and(|pod| exclusive && pod.view.disrupted);
        let eligible = |pod: &Pod| pod.grouped && host::eligible(&pod.view);
        let wrong = if !stays && !pod.is_some_and(eligible) {
            Some(format!(
                "{uid} leads and is not eligible, though another pod is"
            ))
        } else if let Some(lease) = self.api.lease()
            && (lease.record.holder != Some(holder) || Some(lease.record.term) != term)
        {
            Some(format!(
                "{uid} leads term {term:?}, and the Lease says {lease:?}"
            ))
        } else if let Some(pod) = self.api.pods().find(|pod| match pod.grouped {
            true => !in_order(pod, &uid, term.filter(|_| self.settings.customs.terms)),
            // Only itself may write it.
            false => self.is_active_outside(pod),
        }) {
            Some(format!(
                "{uid} leads term {term:?}, and a pod says {:?}",
                pod.view
            ))
        } else if let Some(service) = self.api.services().find(|service| {
            let view = &service.view;
            let to = Some(&uid);
            view.has_selector
                && (view.active.as_ref() != to || view.selected.as_ref() != to || view.term != term)
        }) {
            Some(format!(
                "{uid} leads term {term:?}, and a Service says {:?}",
                service.view
            ))
        } else {
            let grouped = |host: &&host::Host| !host.ungrouped;
            let liar = self.hosts.iter().filter(grouped).find(|host| {
                let holds = host
                    .standing_at(now_us)
                    .map(|standing| standing.holds_traffic);
                holds.is_some_and(|holds| holds != (host.uid() == uid))
            });
            liar.map(|host| format!("{} is wrong about holding traffic", host.uid()))
        };
        wrong
            .into_iter()
            .for_each(|wrong| self.violate("I6", wrong));
    }
}

impl World {
    /// The API server has forgotten who leads at `from_us`: any leader of before has lost the role by
    /// its own clock one lease later. Returns when.
    pub(super) fn begin_anew(&mut self, from_us: u64) -> u64 {
        let lease_us = self.settings.lease_duration_ms * MS;
        let drift_us = lease_us * 2 * self.settings.drift_ppm_max / 1_000_000;
        let settled_us = from_us + lease_us + drift_us;
        self.memory.begin_anew(settled_us);
        settled_us
    }

    /// Whether the API server has forgotten who leads, and leaders of before may be left.
    pub(super) fn goes_back(&self) -> bool {
        self.now_us < self.memory.suspended_until_us
    }

    /// Whether an elector has left the active label on its pod outside of the group, and runs.
    fn is_active_outside(&self, pod: &Pod) -> bool {
        let mut hosts = self.hosts.iter();
        let runs = hosts.any(|host| host.uid() == pod.view.uid && host.elector.is_some());
        runs && !pod.by_hand && pod.view.role == RoleLabel::Active
    }

    /// Whether a pod is there that could lead for want of a better one. While a pod is being deleted
    /// or outside of the group that is not said: it may keep the Lease until its time runs out.
    fn has_degraded(&self) -> bool {
        let could = |pod: &Pod| {
            let host = self.hosts.iter().find(|host| host.uid() == pod.view.uid);
            let runs = host.is_some_and(|host| host.reachable_at(self.now_us));
            runs && pod.grouped && pod.view.started && pod.view.priority >= 0
        };
        let stays = |pod: &Pod| pod.grouped && !pod.view.terminating;
        self.api.pods().all(stays) && self.api.pods().any(could)
    }
}

/// Whether a pod's object says what it must while `leader` leads `term`. A pod that goes away needs
/// its role taken, not its term kept up to date. `None`: nobody keeps terms.
fn in_order(pod: &Pod, leader: &str, term: Option<u64>) -> bool {
    let in_term = term.is_none() || pod.view.term == term;
    match (pod.view.uid == leader, pod.view.terminating) {
        (true, _) => pod.view.role == RoleLabel::Active && in_term,
        (false, true) => pod.view.role != RoleLabel::Active,
        (false, false) => pod.view.role == RoleLabel::Passive && in_term,
    }
}

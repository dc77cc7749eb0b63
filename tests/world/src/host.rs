//! One pod: its object's life, its sidecar's process, and that process's clock and streams.

use super::clock::{Clock, SECOND};
use super::event::HostId;
use super::watch::{Kind, Stream};
use common::ids::Identity;
use election::{Elector, Ineligible, Input, Mono, Peer, PodView, RequestId, Standing, Version};
use std::collections::{BTreeSet, VecDeque};

/// Requests of one sidecar in ten seconds. A move in a group of five with bad luck takes dozens; a
/// loop that nothing slows down would send thousands.
pub(super) const REQUESTS_MAX: usize = 200;

/// How long a leader is forbidden to see Services until they are out of its hands, by the fastest
/// clock, microseconds.
const BARRED_US: u64 = 29 * SECOND;

/// A pod of the world, from creation to the end of the run.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) identity: Identity,
    pub(super) clock: Clock,
    /// How wrong its clock on the wall is, microseconds.
    pub(super) wall_skew_us: i64,
    /// The process of the sidecar; `None` while there is none.
    pub(super) elector: Option<Elector>,
    /// Rises with every start of the process.
    pub(super) incarnation: u32,
    /// The request in flight, and when it is given up.
    pub(super) in_flight: Option<(RequestId, Mono)>,
    pub(super) last_request: Option<RequestId>,
    /// When its connection last brought an answer, microseconds; `None` while it has none.
    pub(super) answered_us: Option<u64>,
    /// Rises with every step: the wake-up of an earlier one is void.
    pub(super) wake: u64,
    /// Steps in a row that asked to be called again at once.
    pub(super) restless: u32,
    pub(super) frozen_until_us: u64,
    pub(super) cut_until_us: u64,
    /// Until when nothing reaches it, though its requests arrive.
    pub(super) deaf_until_us: u64,
    pub(super) streams: [Stream; 3],
    pub(super) life: Life,
    /// It has sent a write that gives the Lease away, and has not led since.
    pub(super) gave_away: bool,
    /// The process has got SIGTERM.
    pub(super) told_to_end: bool,
    /// Its pod was taken out of the group: no watch tells it of what becomes of the pod.
    pub(super) ungrouped: bool,
    /// After the last step.
    pub(super) standing: Option<Standing>,
    /// The Services that its watch shows; `None` before the first list.
    pub(super) services: Option<BTreeSet<String>>,
    /// When it may take Services that it is forbidden to see for none, microseconds.
    pub(super) barred_from_us: Option<u64>,
    /// When it sent its last requests, microseconds.
    pub(super) lately: VecDeque<u64>,
    /// When it last sent a renewal, and as which incarnation.
    pub(super) renewed: Option<(u64, u32)>,
    /// Whether its object says that the pod could become active.
    pub(super) eligible: bool,
    /// Since when its pod could become active, microseconds.
    pub(super) eligible_since_us: Option<u64>,
}

/// What the kubelet knows of a pod.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// Rises with every loss of readiness, so that an earlier recovery does not end a later one.
    pub(super) app_running: bool,
    pub(super) deleted_us: Option<u64>,
    pub(super) grace_end_us: u64,
    /// The sidecar has been told to end, for good.
    pub(super) terminated: bool,
    /// The processes have ended for good.
    pub(super) over: bool,
    pub(super) node_dead: bool,
    pub(super) object_gone: bool,
    /// What its readiness probe says.
    pub(super) ready: bool,
    /// The app is not ready before this, microseconds.
    pub(super) unready_until_us: u64,
}

impl Host {
    pub(super) fn new(identity: Identity, clock: Clock, wall_skew_us: i64) -> Self {
        Self {
            identity,
            clock,
            wall_skew_us,
            elector: None,
            incarnation: 0,
            in_flight: None,
            last_request: None,
            answered_us: None,
            wake: 0,
            restless: 0,
            frozen_until_us: 0,
            cut_until_us: 0,
            deaf_until_us: 0,
            streams: Default::default(),
            life: Life::default(),
            gave_away: false,
            told_to_end: false,
            ungrouped: false,
            standing: None,
            services: None,
            barred_from_us: None,
            lately: VecDeque::new(),
            renewed: None,
            eligible: false,
            eligible_since_us: None,
        }
    }

    pub(super) fn uid(&self) -> &str {
        &self.identity.uid
    }

    pub(super) fn stream(&mut self, kind: Kind) -> &mut Stream {
        &mut self.streams[kind as usize]
    }

    /// Whether the time of the request in flight is up.
    pub(super) fn in_flight_over(&self, now_us: u64) -> bool {
        self.in_flight
            .is_some_and(|(_, deadline)| self.clock.read(now_us) >= deadline)
    }

    /// Where it believes to stand at a true time; `None` without a process.
    pub(super) fn standing_at(&self, now_us: u64) -> Option<Standing> {
        self.elector
            .as_ref()
            .map(|elector| elector.standing(self.clock.read(now_us)))
    }

    /// Whether it believes to lead at a true time. What it said after its last step holds until
    /// the next one, which is checked at each step.
    pub(super) fn leads_at(&self, now_us: u64) -> bool {
        self.standing.is_some_and(|standing| {
            standing.role.leads() && self.clock.read(now_us) < standing.valid_until
        })
    }

    /// Whether it has seen that its pod is being deleted.
    pub(super) fn knows_deletion(&self) -> bool {
        let own = self.own_peer();
        own.is_some_and(|own| own.ineligible == Some(Ineligible::Terminating))
    }

    /// Whether it has seen its pod, and not that it is being deleted.
    pub(super) fn believes_to_stay(&self) -> bool {
        let own = self.own_peer();
        own.is_some_and(|own| own.ineligible != Some(Ineligible::Terminating))
    }

    fn own_peer(&self) -> Option<Peer> {
        let mut peers = self.elector.iter().flat_map(Elector::peers);
        peers.find(|peer| peer.uid == self.identity.uid)
    }

    /// Whether its process runs and reaches the API server.
    pub(super) fn reachable_at(&self, now_us: u64) -> bool {
        self.elector.is_some() && self.frozen_until_us <= now_us && !self.unheard_at(now_us)
    }

    /// Whether no answer and no news reach it.
    pub(super) fn unheard_at(&self, now_us: u64) -> bool {
        self.unheard_until_us() > now_us
    }

    /// Until when no answer and no news reach it.
    pub(super) fn unheard_until_us(&self) -> u64 {
        self.cut_until_us.max(self.deaf_until_us)
    }

    /// Counts a request: whether there have been too many lately.
    pub(super) fn hurries(&mut self, now_us: u64) -> bool {
        self.lately.push_back(now_us);
        let old_us = now_us.saturating_sub(10 * SECOND);
        while self.lately.front().is_some_and(|at_us| *at_us < old_us) {
            self.lately.pop_front();
        }
        self.lately.len() > REQUESTS_MAX
    }

    /// Notes which Services a piece of news shows.
    pub(super) fn note_services(&mut self, news: &Input, now_us: u64) {
        match news {
            Input::ServicesForbidden => {
                let none = self.services.as_ref().is_none_or(BTreeSet::is_empty);
                let from_us = if none { now_us } else { now_us + BARRED_US };
                self.barred_from_us.get_or_insert(from_us);
            }
            Input::ServicesListed(services) => {
                self.barred_from_us = None;
                self.services = Some(services.iter().map(|it| it.name.clone()).collect());
            }
            Input::ServiceSeen(service) => {
                let shown = self.services.get_or_insert_default();
                shown.insert(service.name.clone());
            }
            Input::ServiceGone(name, _) => {
                self.services.iter_mut().for_each(|shown| {
                    shown.remove(name);
                });
            }
            _ => {}
        }
    }

    /// Only what is forbidden to a leader counts as out of its hands.
    pub(super) fn note_barred(&mut self, now_us: u64) {
        let leads = self.standing.is_some_and(|standing| standing.role.leads());
        if let Some(from_us) = &mut self.barred_from_us
            && *from_us > now_us
            && !leads
        {
            *from_us = now_us + BARRED_US;
        }
    }

    /// Whether Services are out of its hands: it never was shown any, or has been forbidden to see
    /// them for long.
    pub(super) fn barred_at(&self, now_us: u64) -> bool {
        self.barred_from_us.is_some_and(|from_us| now_us >= from_us)
    }

    /// Whether it could know that there is a Service of this name: it has asked, and was told.
    pub(super) fn answers_for(&self, service: &str) -> bool {
        let shown = self.services.as_ref();
        shown.is_none_or(|shown| shown.contains(service))
    }

    /// Ends the process; the next one is another incarnation.
    pub(super) fn stop_process(&mut self) {
        self.elector = None;
        self.standing = None;
        self.told_to_end = false;
        self.in_flight = None;
        self.last_request = None;
        self.answered_us = None;
        // The next process slows down by what it meets itself.
        self.lately.clear();
        self.frozen_until_us = 0;
        self.incarnation += 1;
        self.services = None;
        self.barred_from_us = None;
        self.streams.iter_mut().for_each(Stream::break_off);
    }
}

/// The uid of a pod.
pub(super) fn uid(id: HostId) -> String {
    format!("u{id}")
}

/// The number of the pod with this uid.
pub(super) fn number(uid: &str) -> Option<HostId> {
    uid.strip_prefix('u')?.parse().ok()
}

/// The object of a new pod.
pub(super) fn new_pod(
    identity: &Identity,
    priority: i32,
    owner: String,
    revision: u64,
    now_us: u64,
) -> PodView {
    PodView {
        uid: identity.uid.clone(),
        name: identity.name.clone(),
        version: Version::default(),
        role: election::RoleLabel::Other,
        term: None,
        started: false,
        ready: false,
        terminating: false,
        disrupted: false,
        priority,
        revision: format!("r{revision}"),
        created_s: i64::try_from(now_us / SECOND).unwrap_or(i64::MAX),
        owner: Some(owner),
    }
}

/// Whether a pod could become active, as far as its object shows.
pub(super) fn eligible(pod: &PodView) -> bool {
    pod.started && pod.ready && !pod.terminating && !pod.disrupted && pod.priority >= 0
}

//! Watch streams: what one sidecar is told of one kind of object, in order, late.

use super::api::Api;
use super::objects::{Change, Object, Pod, Service};
use election::{Input, Version};
use std::collections::VecDeque;

/// The three kinds that a sidecar watches. Streams of different kinds know nothing of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants say it")]
pub enum Kind {
    Lease,
    Pods,
    Services,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lease, Self::Pods, Self::Services];
}

/// One stream. What is queued here is delivered in this order, whatever delays it.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Rises with every break, so that deliveries of a broken stream are known as such.
    pub(super) epoch: u32,
    /// Changes are queued; between a break and the next list they are missed.
    pub(super) open: bool,
    pub(super) queue: VecDeque<Input>,
    /// The newest version that was delivered.
    pub(super) told: Version,
}

impl Stream {
    /// Ends the stream; what was on its way is lost.
    pub(super) fn break_off(&mut self) {
        self.epoch += 1;
        self.open = false;
        self.queue.clear();
        self.told = Version::default();
    }
}

/// The version of the object that a piece of news shows; `None` for lists and for what is gone.
pub(super) fn shown_version(input: &Input) -> Option<Version> {
    match input {
        Input::LeaseSeen(lease) => Some(lease.version),
        Input::PodSeen(pod) => Some(pod.version),
        Input::ServiceSeen(service) => Some(service.version),
        _ => None,
    }
}

/// What a stream of this kind begins with.
pub(super) fn list(api: &Api, kind: Kind) -> Input {
    match kind {
        Kind::Lease => match api.lease() {
            Some(lease) => Input::LeaseSeen(lease.clone()),
            None => Input::LeaseAbsent(api.version()),
        },
        Kind::Pods => Input::PodsListed(api.pods().filter_map(Pod::shown).collect()),
        Kind::Services => {
            Input::ServicesListed(api.services().filter_map(Service::shown).collect())
        }
    }
}

/// What a change is to those who watch its kind; `None` if they do not see it.
pub(super) fn news(change: &Change) -> Option<(Kind, Input)> {
    match &change.object {
        Object::Lease {
            after: Some(lease), ..
        } => Some((Kind::Lease, Input::LeaseSeen(lease.clone()))),
        Object::Lease { after: None, .. } => {
            Some((Kind::Lease, Input::LeaseAbsent(change.version)))
        }
        Object::Pod { before, after } => {
            let shown = |pod: &Option<Pod>| pod.as_ref().and_then(Pod::shown);
            let input = match (shown(before), shown(after)) {
                (_, Some(view)) => Input::PodSeen(view),
                (Some(view), None) => Input::PodGone(view.uid),
                (None, None) => return None,
            };
            Some((Kind::Pods, input))
        }
        Object::Service { before, after } => {
            let shown = |service: &Option<Service>| service.as_ref().and_then(Service::shown);
            let input = match (shown(before), shown(after)) {
                (_, Some(view)) => Input::ServiceSeen(view),
                (Some(view), None) => Input::ServiceGone(view.name, change.version),
                (None, None) => return None,
            };
            Some((Kind::Services, input))
        }
    }
}

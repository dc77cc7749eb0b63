//! Requests that are held open: a bounded number in all, and fewer of one address, so that no other
//! pod takes them from the containers of this one or from the kubelet.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// How many requests of a kind are held at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// In all.
    pub(crate) all_max: usize,
    /// From other addresses than this pod's own.
    pub(crate) others_max: usize,
    /// From one of those.
    pub(crate) one_max: usize,
}

/// The requests of a kind that are held. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    bounds: Bounds,
    sources: Arc<Mutex<Vec<IpAddr>>>,
}

/// A request that is held, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    held: Held,
    source: IpAddr,
}

impl Held {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            sources: Arc::default(),
        }
    }

    /// A place for a request of `source`, if there is one left for it. Containers of this pod ask
    /// through the loopback address.
    pub(crate) fn take(&self, source: IpAddr) -> Option<Place> {
        let source = source.to_canonical();
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let others = sources.iter().filter(|held| !held.is_loopback()).count();
        let same = sources.iter().filter(|held| **held == source).count();
        let free = sources.len() < self.bounds.all_max;
        let fair = others < self.bounds.others_max && same < self.bounds.one_max;
        if !free || !(source.is_loopback() || fair) {
            return None;
        }
        sources.push(source);
        Some(Place {
            held: self.clone(),
            source,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let sources = &self.held.sources;
        let mut sources = sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = sources.iter().position(|held| *held == self.source) {
            sources.swap_remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn other(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn others_take_no_place_from_this_pod_and_one_takes_few() {
        let held = Held::new(Bounds {
            all_max: 4,
            others_max: 3,
            one_max: 2,
        });
        let first = held.take(other(1)).unwrap();
        let _second = held.take(other(1)).unwrap();
        assert!(held.take(other(1)).is_none(), "it has its two");
        let _third = held.take(other(2)).unwrap();
        assert!(held.take(other(3)).is_none(), "others have their three");
        let _own = held.take(HERE).unwrap();
        assert!(held.take(HERE).is_none(), "all are held");
        drop(first);
        let mapped = IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x0a00, 1]);
        assert!(held.take(mapped).is_some(), "10.0.0.1, as IPv6 has it");
    }
}

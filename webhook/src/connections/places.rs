//! Who has a place, and whose place a newcomer gets.

use common::crowd::gives_way;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    places_max: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    taken: HashMap<u64, Taken>,
    /// Counts connections and their uses: a higher number is later.
    clock: u64,
}

#[derive(Debug)]
struct Taken {
    source: IpAddr,
    used_at: u64,
    requests: u32,
    give_away: oneshot::Sender<()>,
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub struct Place {
    number: u64,
    state: Arc<Mutex<State>>,
}

/// A request that is worked on, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct InUse<'a>(&'a Place);

impl Places {
    /// So many places.
    pub(super) fn new(places_max: usize) -> Self {
        Self {
            places_max,
            state: Arc::default(),
        }
    }

    /// A place for a connection from `source`, and the news that it was given away to another. None
    /// if there is no place, and none that is idle.
    pub(super) fn take(&self, source: IpAddr) -> Option<(Place, oneshot::Receiver<()>)> {
        let mut state = lock(&self.state);
        if state.taken.len() >= self.places_max {
            let idle = state.most_idle()?;
            let taken = state.taken.remove(&idle)?;
            // Its connection may have ended in this moment.
            taken.give_away.send(()).ok();
        }
        let number = state.tick();
        let (give_away, given_away) = oneshot::channel();
        let taken = Taken {
            source,
            used_at: number,
            requests: 0,
            give_away,
        };
        state.taken.insert(number, taken);
        let place = Place {
            number,
            state: self.state.clone(),
        };
        Some((place, given_away))
    }
}

impl State {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Of the connections without a request: of the source that has most of them, the one that was
    /// used longest ago.
    fn most_idle(&self) -> Option<u64> {
        let idle = self.taken.iter().filter(|(_, taken)| taken.requests == 0);
        let ranked = idle.map(|(number, taken)| (taken.source, (taken.used_at, *number)));
        gives_way(ranked).map(|(_, number)| number)
    }
}

impl Place {
    /// Notes that a request is worked on.
    pub fn in_use(&self) -> InUse<'_> {
        self.note(1);
        InUse(self)
    }

    fn note(&self, requests: i32) {
        let mut state = lock(&self.state);
        let now = state.tick();
        // It may have been given away.
        if let Some(taken) = state.taken.get_mut(&self.number) {
            taken.used_at = now;
            taken.requests = taken.requests.saturating_add_signed(requests);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.state).taken.remove(&self.number);
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.0.note(-1);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // The state is valid after every statement: a panic elsewhere does not spoil it.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 66));
    const API_SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    #[test]
    fn the_longest_idle_of_the_largest_source_goes() {
        let places = Places::new(4);
        let (_api, mut api_gone) = places.take(API_SERVER).unwrap();
        let mut hostile: Vec<_> = (0..3).map(|_| places.take(HOSTILE).unwrap()).collect();
        hostile[0].0.note(1);
        hostile[0].0.note(-1);
        let (_late, mut late_gone) = places.take(HOSTILE).unwrap();
        let gone: Vec<bool> = hostile
            .iter_mut()
            .map(|(_, gone)| gone.try_recv().is_ok())
            .collect();
        assert_eq!(gone, [false, true, false]);
        assert!(api_gone.try_recv().is_err() && late_gone.try_recv().is_err());
    }

    #[test]
    fn what_is_in_use_stays() {
        let places = Places::new(1);
        let (place, mut gone) = places.take(API_SERVER).unwrap();
        let in_use = place.in_use();
        assert!(places.take(HOSTILE).is_none());
        assert!(gone.try_recv().is_err());
        drop(in_use);
        assert!(places.take(HOSTILE).is_some(), "the place was left");
    }

    #[test]
    fn an_ended_connection_leaves_its_place() {
        let places = Places::new(1);
        let first = places.take(HOSTILE).unwrap();
        drop(first);
        let (_second, mut gone) = places.take(API_SERVER).unwrap();
        assert!(gone.try_recv().is_err());
    }
}

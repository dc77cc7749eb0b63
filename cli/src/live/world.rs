//! All that was seen, and the groups that it makes. Pure: equal news and times, equal groups.

use super::Key;
use super::contact::Contacts;
use super::face::face;
use super::kind::{News, Object, Source, key};
use super::snapshot::{Shown, Snapshot};
use super::tracks::{Track, observe, seeded};
use crate::doubts::doubts;
use crate::group::{Group, Seen, groups};
use crate::lease::Lease;
use crate::visible;
use common::contract;
use common::pod::Pod;
use common::service::Service;
use k8s_openapi::jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Words of a doubt tell how long ago something was: said anew every so many ticks.
const DOUBTS_EVERY: u64 = 5;

/// Objects, and the groups that they make.
#[derive(Debug, Default)]
pub(super) struct World {
    leases: Kept<Lease>,
    pods: Kept<Pod>,
    services: Kept<Service>,
    shown: BTreeMap<Key, Arc<Shown>>,
    tracks: BTreeMap<Key, Vec<Track>>,
    contacts: Contacts,
    /// When Leases were listed, where they may not be watched.
    listed_at: Option<Timestamp>,
    last_version: u64,
    ticks: u64,
}

/// Objects of one kind.
#[derive(Debug)]
struct Kept<T> {
    sight: Sight,
    objects: BTreeMap<Key, T>,
    /// Names of the objects of each group.
    of: BTreeMap<Key, BTreeSet<String>>,
}

/// Whether a kind can be seen.
#[derive(Debug, Default)]
enum Sight {
    /// Nobody knows yet.
    #[default]
    Unknown,
    Seen,
    /// It may not be: why.
    Refused(String),
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self {
            sight: Sight::default(),
            objects: BTreeMap::new(),
            of: BTreeMap::new(),
        }
    }
}

/// An object that belongs to a group.
trait Belongs: Clone {
    fn key(&self) -> Key;
    /// Name of its group.
    fn group(&self) -> Option<&str>;
}

impl Belongs for Lease {
    fn key(&self) -> Key {
        key(&self.metadata)
    }

    fn group(&self) -> Option<&str> {
        Some(&self.metadata.name)
    }
}

impl Belongs for Pod {
    fn key(&self) -> Key {
        key(&self.metadata)
    }

    fn group(&self) -> Option<&str> {
        self.metadata.label(contract::GROUP)
    }
}

impl Belongs for Service {
    fn key(&self) -> Key {
        key(&self.metadata)
    }

    fn group(&self) -> Option<&str> {
        Self::group(self)
    }
}

impl<T: Belongs> Kept<T> {
    /// Replaces all; returns the groups that had or have one.
    fn replace(&mut self, objects: impl Iterator<Item = T>) -> BTreeSet<Key> {
        let mut touched: BTreeSet<Key> = std::mem::take(&mut self.of).into_keys().collect();
        self.objects.clear();
        self.sight = Sight::Seen;
        for object in objects {
            touched.extend(self.put(object));
        }
        touched
    }

    fn put(&mut self, object: T) -> BTreeSet<Key> {
        let key = object.key();
        let mut touched = self.remove(&key);
        if let Some(group) = object.group() {
            let group = (key.0.clone(), group.to_owned());
            self.of
                .entry(group.clone())
                .or_default()
                .insert(key.1.clone());
            touched.insert(group);
            self.objects.insert(key, object);
        }
        touched
    }

    fn remove(&mut self, key: &Key) -> BTreeSet<Key> {
        let removed = self.objects.remove(key);
        let group = removed.as_ref().and_then(Belongs::group);
        let group = group.map(|name| (key.0.clone(), name.to_owned()));
        if let Some(group) = &group
            && let Some(names) = self.of.get_mut(group)
        {
            names.remove(&key.1);
            if names.is_empty() {
                self.of.remove(group);
            }
        }
        group.into_iter().collect()
    }

    fn refuse(&mut self, why: String) -> BTreeSet<Key> {
        let touched = self.replace(std::iter::empty());
        self.sight = Sight::Refused(why);
        touched
    }

    /// What a group has of it; `None` if it cannot be seen.
    fn belonging(&self, group: &Key) -> Option<Vec<T>> {
        let Sight::Seen = self.sight else { return None };
        let names = self.of.get(group).into_iter().flatten();
        let object = |name: &String| self.objects.get(&(group.0.clone(), name.clone())).cloned();
        Some(names.filter_map(object).collect())
    }
}

impl World {
    /// Takes in what was seen.
    pub(super) fn take(&mut self, news: News, now: Timestamp) {
        let was_complete = self.is_complete();
        let touched = match news {
            News::Listed(source, objects) => {
                self.contacts.heard(source, now);
                self.replace(source, objects)
            }
            News::Changed(object) => {
                self.contacts.sign(now);
                match *object {
                    Object::Lease(lease) => self.leases.put(lease),
                    Object::Pod(pod) => self.pods.put(pod),
                    Object::Service(service) => self.services.put(service),
                }
            }
            News::Deleted(source, key) => {
                self.contacts.sign(now);
                match source {
                    Source::Leases => self.leases.remove(&key),
                    Source::Pods => self.pods.remove(&key),
                    Source::Services | Source::Pulse => self.services.remove(&key),
                }
            }
            News::Refused(source, why) => {
                self.contacts.heard(source, now);
                match source {
                    Source::Leases => self.leases.refuse(why),
                    Source::Pods => self.pods.refuse(why),
                    Source::Services | Source::Pulse => self.services.refuse(why),
                }
            }
            News::Heard(source) => {
                if source == Source::Leases {
                    self.listed_at = None;
                }
                self.contacts.heard(source, now);
                return;
            }
            News::Unwatched(source) => {
                if source == Source::Leases {
                    self.listed_at = Some(now);
                }
                return;
            }
            News::Lost(source, why) => {
                self.contacts.lost(source, why);
                return;
            }
        };
        if !self.is_complete() {
            return;
        }
        if was_complete {
            touched.iter().for_each(|key| self.put_together(key, now));
        } else {
            self.put_all_together(now);
        }
    }

    fn replace(&mut self, source: Source, objects: Vec<Object>) -> BTreeSet<Key> {
        let (mut leases, mut pods, mut services) = (Vec::new(), Vec::new(), Vec::new());
        for object in objects {
            match object {
                Object::Lease(lease) => leases.push(lease),
                Object::Pod(pod) => pods.push(pod),
                Object::Service(service) => services.push(service),
            }
        }
        let seen_again = matches!(self.sight(source), Sight::Refused(_));
        let touched = match source {
            Source::Leases => self.leases.replace(leases.into_iter()),
            Source::Pods => self.pods.replace(pods.into_iter()),
            Source::Services | Source::Pulse => self.services.replace(services.into_iter()),
        };
        if seen_again {
            // What every group is said to be depends on what can be seen.
            return self.shown.keys().cloned().chain(touched).collect();
        }
        touched
    }

    fn sight(&self, source: Source) -> &Sight {
        match source {
            Source::Leases => &self.leases.sight,
            Source::Pods => &self.pods.sight,
            Source::Services | Source::Pulse => &self.services.sight,
        }
    }

    fn sights(&self) -> [&Sight; 3] {
        [Source::Leases, Source::Pods, Source::Services].map(|source| self.sight(source))
    }

    /// Whether each kind was seen, or refused.
    fn is_complete(&self) -> bool {
        self.sights()
            .iter()
            .all(|sight| !matches!(sight, Sight::Unknown))
    }

    /// Looks whether a Lease has run out; sometimes says anew what tells a time.
    pub(super) fn tick(&mut self, now: Timestamp) {
        self.ticks += 1;
        let at = self.leases_seen_until();
        let anew = self.ticks.is_multiple_of(DOUBTS_EVERY);
        let due = |shown: &&Arc<Shown>| {
            let turned = is_leaderless(&shown.group, at) != shown.leaderless;
            turned || anew && !doubts(&shown.group, at).is_empty()
        };
        let due: Vec<Key> = self.shown.values().filter(due).map(|it| it.key()).collect();
        due.iter().for_each(|key| self.put_together(key, now));
    }

    fn put_all_together(&mut self, now: Timestamp) {
        let of = [&self.leases.of, &self.pods.of, &self.services.of];
        let keys: BTreeSet<Key> = of.iter().flat_map(|of| of.keys().cloned()).collect();
        keys.iter().for_each(|key| self.put_together(key, now));
    }

    fn put_together(&mut self, key: &Key, now: Timestamp) {
        let made = groups(Seen {
            leases: self.leases.belonging(key),
            pods: self.pods.belonging(key),
            services: self.services.belonging(key),
        });
        let Some(group) = made.into_iter().next() else {
            self.shown.remove(key);
            self.tracks.remove(key);
            return;
        };
        let tracks = self
            .tracks
            .entry(key.clone())
            .and_modify(|tracks| observe(tracks, &group, now))
            .or_insert_with(|| seeded(&group, now))
            .clone();
        let at = self.leases_seen_until();
        let leaderless = is_leaderless(&group, at);
        let face = face(&group, &tracks, leaderless, at);
        let before = self.shown.get(key).filter(|before| before.face == face);
        let version = before.map_or(self.last_version + 1, |before| before.version);
        self.last_version = self.last_version.max(version);
        let shown = Shown {
            group,
            tracks,
            face,
            version,
            leaderless,
        };
        self.shown.insert(key.clone(), Arc::new(shown));
    }

    /// A sign of the API server is none of Leases that are listed now and then.
    fn leases_seen_until(&self) -> Timestamp {
        let sign = self.contacts.seen_until();
        self.listed_at.map_or(sign, |listed| listed.min(sign))
    }

    /// What is known now.
    pub(super) fn snapshot(&self) -> Snapshot {
        let refused = |sight: &&Sight| match sight {
            Sight::Refused(why) => Some(visible::line(why)),
            Sight::Unknown | Sight::Seen => None,
        };
        Snapshot {
            complete: self.is_complete(),
            contact: self.contacts.contact(),
            listed_at: self.listed_at,
            unseen: self.sights().iter().filter_map(refused).collect(),
            groups: self.shown.values().cloned().collect(),
        }
    }
}

/// Whether nobody leads, as far as that can be seen.
fn is_leaderless(group: &Group, at: Timestamp) -> bool {
    group.sees.leases && group.lease_left_s(at).is_none_or(|left_s| left_s < 0)
}

#[cfg(test)]
mod tests;

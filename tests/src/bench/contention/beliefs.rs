//! Who believed when to hold the Lease, whether two did at once, and who of them was at fault.

use std::fmt::Write as _;
use std::fs;

use super::logs::{Book, Note};
use crate::cluster::{Doing, Result};
use crate::project_root;
use crate::system::System;

/// How long a renewal of the peer's entitles it, milliseconds: its lease duration.
const PEER_LEASE_MS: u64 = 15_000;

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) from_ms: u64,
    pub(super) until_ms: u64,
}

impl Span {
    pub(super) fn ms(self) -> u64 {
        self.until_ms.saturating_sub(self.from_ms)
    }
}

/// One elector believed to hold the Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Belief {
    pub(super) system: System,
    pub(super) pod: String,
    pub(super) uid: String,
    pub(super) span: Span,
    /// How it ended.
    pub(super) end: End,
    /// What its process wrote: when it was sent, and whether it gave the Lease away.
    writes: Vec<(u64, bool)>,
}

/// How a belief ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It said so.
    Said,
    /// It was killed: a process that is gone believes nothing.
    Killed,
    /// All was over.
    Over,
}

/// Two believed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overlap {
    pub(super) span: Span,
    pub(super) fault: Fault,
}

/// Why two believed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// One of ours began too early, or went on too long.
    Ours,
    /// One of the others went on after its Lease had run out.
    PeerOutlived,
    /// One of the others went on after it had freed its Lease itself.
    PeerReleased,
    /// One of the others began while another of them was entitled.
    PeerEarly,
}

/// The beliefs that `books` tell of, within `span`, by their begin. `kills`: uid of the pod whose
/// process was killed, and when it was over.
pub(super) fn of(books: &[Book], kills: &[(String, u64)], span: Span) -> Vec<Belief> {
    let mut beliefs: Vec<Belief> = Vec::new();
    for book in books {
        let ends = |from_ms: u64| {
            let own = kills.iter().filter(|(uid, _)| *uid == book.uid);
            let after = own.map(|(_, at_ms)| *at_ms).filter(|ms| *ms >= from_ms);
            match after.min() {
                Some(at_ms) => (at_ms, End::Killed),
                None => (span.until_ms, End::Over),
            }
        };
        let mut begun: Option<u64> = None;
        let mut put = |from_ms: u64, (until_ms, end): (u64, End)| {
            beliefs.push(Belief {
                system: book.system,
                pod: book.pod.clone(),
                uid: book.uid.clone(),
                span: Span { from_ms, until_ms },
                end,
                writes: writes(book),
            });
        };
        for note in &book.notes {
            match (*note, begun) {
                // Ours says more than once that it is active.
                (Note::Begins(at_ms), None) => begun = Some(at_ms.max(span.from_ms)),
                (Note::Ends(at_ms), Some(from_ms)) => {
                    put(from_ms, (at_ms, End::Said));
                    begun = None;
                }
                _ => {}
            }
        }
        if let Some(from_ms) = begun {
            put(from_ms, ends(from_ms));
        }
    }
    beliefs.retain(|belief| belief.span.until_ms > span.from_ms);
    beliefs.sort_by_key(|belief| belief.span);
    beliefs
}

fn writes(book: &Book) -> Vec<(u64, bool)> {
    let write = |note: &Note| match note {
        Note::Renewed(at_ms) => Some((*at_ms, false)),
        Note::Released(at_ms) => Some((*at_ms, true)),
        Note::Begins(_) | Note::Ends(_) => None,
    };
    book.notes.iter().filter_map(write).collect()
}

/// All overlaps of `beliefs`, which are sorted.
pub(super) fn overlaps(beliefs: &[Belief]) -> Vec<Overlap> {
    let mut overlaps = Vec::new();
    for (index, earlier) in beliefs.iter().enumerate() {
        for later in &beliefs[index + 1..] {
            if later.span.from_ms >= earlier.span.until_ms {
                continue;
            }
            let until_ms = earlier.span.until_ms.min(later.span.until_ms);
            overlaps.push(Overlap {
                span: Span {
                    from_ms: later.span.from_ms,
                    until_ms,
                },
                fault: fault(earlier, later),
            });
        }
    }
    overlaps
}

/// Whose fault it is that `later` began while `earlier` believed. Ours is taken to be in the wrong
/// unless what its predecessor wrote shows the opposite.
fn fault(earlier: &Belief, later: &Belief) -> Fault {
    if earlier.system == System::Ours {
        return Fault::Ours;
    }
    let begun_ms = later.span.from_ms;
    let before = earlier.writes.iter().filter(|(at_ms, _)| *at_ms < begun_ms);
    match (before.max_by_key(|(at_ms, _)| *at_ms), later.system) {
        (Some((_, true)), _) => Fault::PeerReleased,
        (Some((at_ms, false)), _) if at_ms + PEER_LEASE_MS <= begun_ms => Fault::PeerOutlived,
        (_, System::Ours) => Fault::Ours,
        (_, System::Peer) => Fault::PeerEarly,
    }
}

/// Longest time in which nobody believed, from the first belief to the end of `span`.
pub(super) fn longest_without_ms(beliefs: &[Belief], span: Span) -> u64 {
    let Some(first) = beliefs.first() else {
        return span.ms();
    };
    let (mut covered_ms, mut longest_ms) = (first.span.until_ms, 0);
    for belief in beliefs {
        longest_ms = longest_ms.max(belief.span.from_ms.saturating_sub(covered_ms));
        covered_ms = covered_ms.max(belief.span.until_ms);
    }
    longest_ms.max(span.until_ms.saturating_sub(covered_ms))
}

/// How often one of `system` took over from another pod.
pub(super) fn takeovers(beliefs: &[Belief], system: System) -> usize {
    let pairs = beliefs.iter().zip(beliefs.iter().skip(1));
    pairs
        .filter(|(before, after)| before.uid != after.uid && after.system == system)
        .count()
}

/// Writes all beliefs and overlaps to `target/bench/contention.txt`.
///
/// # Errors
/// If it cannot be written.
pub(super) fn keep(beliefs: &[Belief], span: Span) -> Result<()> {
    let path = project_root().join("target/bench/contention.txt");
    let since = |ms: u64| i128::from(ms) - i128::from(span.from_ms);
    let mut text = String::new();
    for belief in beliefs {
        let Span { from_ms, until_ms } = belief.span;
        // Writing to a String does not fail.
        let _written = writeln!(
            text,
            "{:>7} to {:>7} ms {} {} {:?}",
            since(from_ms),
            since(until_ms),
            belief.system.name(),
            belief.pod,
            belief.end
        );
    }
    for Overlap { span, fault } in overlaps(beliefs) {
        let (from, until) = (since(span.from_ms), since(span.until_ms));
        let _written = writeln!(text, "two from {from} to {until} ms: {fault:?}");
    }
    let action = || format!("write {}", path.display());
    fs::create_dir_all(project_root().join("target/bench")).doing(action)?;
    fs::write(&path, text).doing(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Span = Span {
        from_ms: 0,
        until_ms: 100_000,
    };

    fn book(system: System, uid: &str, notes: &[Note]) -> Book {
        Book {
            system,
            pod: uid.to_owned(),
            uid: uid.to_owned(),
            notes: notes.to_vec(),
        }
    }

    fn faults(books: &[Book]) -> Vec<(u64, Fault)> {
        let overlaps = overlaps(&of(books, &[], ALL));
        overlaps.iter().map(|it| (it.span.ms(), it.fault)).collect()
    }

    #[test]
    fn a_belief_ends_with_a_word_or_with_the_process() {
        let books = [
            book(System::Ours, "a", &[Note::Begins(10), Note::Ends(20)]),
            book(System::Ours, "a", &[Note::Begins(30)]),
            book(System::Peer, "b", &[Note::Begins(60), Note::Begins(70)]),
        ];
        let beliefs = of(&books, &[("a".to_owned(), 25), ("a".to_owned(), 40)], ALL);
        let seen: Vec<(u64, u64, End)> = beliefs
            .iter()
            .map(|it| (it.span.from_ms, it.span.until_ms, it.end))
            .collect();
        let wanted = [
            (10, 20, End::Said),
            (30, 40, End::Killed),
            (60, ALL.until_ms, End::Over),
        ];
        assert_eq!(seen, wanted);
        assert_eq!(longest_without_ms(&beliefs, ALL), 20);
        assert_eq!(takeovers(&beliefs, System::Ours), 0);
        assert_eq!(takeovers(&beliefs, System::Peer), 1);
    }

    #[test]
    fn one_after_the_other_is_no_overlap() {
        let books = [
            book(System::Ours, "a", &[Note::Begins(10), Note::Ends(20)]),
            book(System::Peer, "b", &[Note::Begins(20), Note::Ends(30)]),
        ];
        assert_eq!(faults(&books), []);
    }

    #[test]
    fn who_outlives_its_lease_is_at_fault() {
        let peer = [Note::Renewed(5), Note::Begins(10), Note::Ends(30_000)];
        let after = |ours_ms: u64| {
            let ours = [Note::Begins(ours_ms), Note::Ends(40_000)];
            faults(&[
                book(System::Peer, "b", &peer),
                book(System::Ours, "a", &ours),
            ])
        };
        assert_eq!(after(15_004), [(14_996, Fault::Ours)]);
        assert_eq!(after(15_005), [(14_995, Fault::PeerOutlived)]);
        let released = [&peer[..2], &[Note::Released(90), Note::Ends(120)]].concat();
        let ours = book(System::Ours, "a", &[Note::Begins(100), Note::Ends(200)]);
        let books = [book(System::Peer, "b", &released), ours];
        assert_eq!(faults(&books), [(20, Fault::PeerReleased)]);
    }

    #[test]
    fn ours_is_at_fault_whenever_another_begins_while_it_believes() {
        let ours = book(System::Ours, "a", &[Note::Begins(10), Note::Ends(50)]);
        for system in [System::Ours, System::Peer] {
            let next = book(system, "b", &[Note::Begins(49), Note::Ends(60)]);
            assert_eq!(faults(&[ours.clone(), next]), [(1, Fault::Ours)]);
        }
    }
}

//! The history of moves that the Lease keeps as an annotation.

use common::history::{ENTRIES_MAX, Entry, TEXT_BYTES_MAX};
use election::{HistoryNote, MoveKind};
use k8s_openapi::jiff::Timestamp;

/// The annotation after `note` was added to `known`, oldest entry first. What cannot be read is
/// dropped: the history explains, it decides nothing.
pub(crate) fn noted(
    known: Option<&str>,
    note: HistoryNote,
    term: u64,
    pod: &str,
    at: Timestamp,
) -> String {
    let mut entries = known.map(Entry::read).unwrap_or_default();
    let entry = |kind: MoveKind, duration_ms: Option<u64>| Entry {
        term,
        pod: pod.to_owned(),
        at: format!("{at:.3}"),
        kind: kind.as_str().to_owned(),
        duration_ms,
    };
    match note {
        HistoryNote::Directed(kind) => entries.push(entry(kind, None)),
        HistoryNote::Taken { kind, took_ms } => entries.push(entry(kind, took_ms)),
        HistoryNote::Confirmed { took_ms } => {
            if let Some(entry) = entries.iter_mut().rfind(|entry| entry.term == term) {
                entry.duration_ms = Some(took_ms);
            }
        }
    }
    let surplus = entries.len().saturating_sub(ENTRIES_MAX);
    entries.drain(..surplus);
    loop {
        let text = Entry::write(&entries);
        if text.len() <= TEXT_BYTES_MAX || entries.is_empty() {
            return text;
        }
        entries.remove(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Timestamp {
        "2026-02-03T04:05:06.7894Z".parse().unwrap()
    }

    #[test]
    fn a_directed_move_is_noted_and_then_completed() {
        let directed = HistoryNote::Directed(MoveKind::Drain);
        let text = noted(None, directed, 5, "web-2", at());
        let expected =
            r#"[{"term":5,"pod":"web-2","at":"2026-02-03T04:05:06.789Z","kind":"drain"}]"#;
        assert_eq!(text, expected);

        let confirmed = HistoryNote::Confirmed { took_ms: 7 };
        let text = noted(Some(&text), confirmed, 5, "web-2", at());
        assert!(
            text.ends_with(r#""kind":"drain","duration_ms":7}]"#),
            "{text}"
        );

        // A renewal knows when all was written.
        let measured = HistoryNote::Confirmed { took_ms: 62 };
        let text = noted(Some(&text), measured, 5, "web-2", at());
        assert!(
            text.ends_with(r#""kind":"drain","duration_ms":62}]"#),
            "{text}"
        );
    }

    #[test]
    fn the_oldest_entries_go_first() {
        let mut text = None;
        for term in 1..=30 {
            let kind = MoveKind::Expired;
            let note = HistoryNote::Taken {
                kind,
                took_ms: Some(15_000),
            };
            // Pod names of 253 characters meet the bound in bytes before the bound in entries.
            let pod = if term > 25 {
                "p".repeat(253)
            } else {
                "web-1".to_owned()
            };
            text = Some(noted(text.as_deref(), note, term, &pod, at()));
        }
        let text = text.unwrap();
        assert!(text.len() <= TEXT_BYTES_MAX, "{}", text.len());
        let entries = Entry::read(&text);
        assert_eq!(entries.last().map(|entry| entry.term), Some(30));
        assert_eq!(entries.len(), ENTRIES_MAX);
    }

    #[test]
    fn what_somebody_else_wrote_there_does_no_harm() {
        let note = HistoryNote::Taken {
            kind: MoveKind::First,
            took_ms: None,
        };
        for known in ["", "null", "[1, {\"term\": true}]", "{}"] {
            let text = noted(Some(known), note, 1, "web-1", at());
            assert_eq!(Entry::read(&text).len(), 1, "{known}: {text}");
        }
    }
}

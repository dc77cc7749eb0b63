//! "Did you mean ...?": the known key nearest to a mistyped one.

/// A key further away than this many edits is another key, not a typing error.
const EDITS_MAX: usize = 3;
/// Longer texts are not compared: the table below grows with their product.
const CHARS_MAX: usize = 128;

/// The known key that is fewest edits away from `key`, if any is near enough to suggest.
pub fn nearest<'a>(key: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if key.chars().count() > CHARS_MAX {
        return None;
    }
    known
        .into_iter()
        .map(|candidate| (edits(key, candidate), candidate))
        .filter(|(edits, _)| *edits <= EDITS_MAX)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_the_nearest_key_only_when_near() {
        let known = ["active-passive.dev/group", "active-passive.dev/priority"];
        assert_eq!(nearest("active-passive.dev/gruop", known), Some(known[0]));
        assert_eq!(nearest("active-passive.dev/prio", known), None);
        assert_eq!(nearest("active-passive.dev/priorty", known), Some(known[1]));
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
    }
}

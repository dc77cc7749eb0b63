//! Which connection gives way where all places of a server are taken.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;

/// Of the source that has most of these connections, the one that is least by `T`, such as the
/// oldest; `None` of none. So whoever opens many loses theirs, and never those of others.
pub fn gives_way<T: Ord>(connections: impl Iterator<Item = (IpAddr, T)> + Clone) -> Option<T> {
    let mut of_source: HashMap<IpAddr, usize> = HashMap::new();
    for (source, _) in connections.clone() {
        *of_source.entry(source).or_default() += 1;
    }
    let ranked = connections.map(|(source, it)| (Reverse(of_source.get(&source).copied()), it));
    ranked.min().map(|(_, it)| it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_the_source_that_has_most_gives_way() {
        let [a, b] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        let oldest = |sources: &[IpAddr]| gives_way(sources.iter().copied().zip(0..));
        assert_eq!(oldest(&[a, b, b, a, b]), Some(1));
        assert_eq!(oldest(&[b, a, b, a]), Some(0));
        assert_eq!(oldest(&[]), None);
    }
}

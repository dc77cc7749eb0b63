//! Reviews with bytes changed at random, for as many seconds as `FUZZ_S` says (1 by default): the
//! fuzz target `review` without its tools. Corpus: the golden pods, and `fuzz/corpus/review`.
//! A body that fails is printed; put it into the corpus.
#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(
    clippy::disallowed_methods,
    reason = "reads files, the clock and FUZZ_S; the library does not"
)]

#[path = "common/bytes.rs"]
mod bytes;
#[path = "common/review.rs"]
mod review;

use review::review;
use serde_json::Value;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest run of bytes that one change takes or copies.
const RUN_BYTES_MAX: usize = 64;
/// Changes of one body.
const CHANGES_MAX: u64 = 8;

/// Xorshift: the same bodies in every run of the same length.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = |folder: &str| {
        let mut paths: Vec<_> = std::fs::read_dir(root.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        paths
    };
    let mut bodies: Vec<Vec<u8>> = files("fuzz/corpus/review")
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    for case in files("testdata") {
        let pod = std::fs::read_to_string(case.join("pod.yaml")).unwrap();
        let pod: Value = serde_saphyr::from_str(&pod).unwrap();
        bodies.push(review(&pod).to_string().into_bytes());
    }
    bodies
}

/// One change: a byte, a run taken out, a run copied, a piece of another body.
fn change(body: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    const TOKENS: [&str; 12] = [
        "null",
        "{}",
        "[]",
        "\"\"",
        "-1",
        "1e400",
        "true",
        "\\u0000",
        "\"active-passive\"",
        ",",
        "\"false\"",
        "{\"name\":\"active-passive\"}",
    ];
    let at = random.below(body.len());
    let run = random.below(RUN_BYTES_MAX).min(body.len() - at);
    match random.below(5) {
        0 if !body.is_empty() => body[at] = random.next().to_le_bytes()[0],
        1 => drop(body.drain(at..at + run)),
        2 => {
            let copied = body[at..at + run].to_vec();
            let to = random.below(body.len());
            body.splice(to..to, copied);
        }
        3 => {
            let other = &corpus[random.below(corpus.len())];
            let from = random.below(other.len());
            let run = random.below(RUN_BYTES_MAX).min(other.len() - from);
            body.splice(at..at, other[from..from + run].iter().copied());
        }
        _ => {
            let token = TOKENS[random.below(TOKENS.len())];
            body.splice(at..at + run.min(token.len()), token.bytes());
        }
    }
}

#[test]
fn any_bytes_get_an_answer_or_none() {
    let seconds = std::env::var("FUZZ_S").map_or(1, |text| text.parse().unwrap());
    let corpus = corpus();
    for body in &corpus {
        bytes::check(body);
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (start, mut bodies) = (Instant::now(), 0_u64);
    while start.elapsed() < Duration::from_secs(seconds) {
        let mut body = corpus[random.below(corpus.len())].clone();
        for _ in 0..=random.next() % CHANGES_MAX {
            change(&mut body, &corpus, &mut random);
        }
        bodies += 1;
        assert!(
            catch_unwind(|| bytes::check(&body)).is_ok(),
            "body {bodies} fails: {}",
            String::from_utf8_lossy(&body)
        );
    }
    println!("{bodies} bodies in {:?}", start.elapsed());
}

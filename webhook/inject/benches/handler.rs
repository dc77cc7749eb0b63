//! What one review costs between its bytes and those of its answer: parse, decide, write.
//! `cargo bench -p inject --bench handler`; with a path as `RESULT` it writes the figures there.
#![allow(clippy::unwrap_used, clippy::print_stdout)]
#![allow(
    clippy::disallowed_methods,
    reason = "measures time and writes a file; the library does not"
)]

use common::contract::INJECT;
use inject::review::{Answer, Resource, Review};
use inject::{Settings, decide};
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long each size is measured.
const MEASURE: Duration = Duration::from_secs(3);
/// Runs before that.
const WARM_UP: usize = 100;
/// Variables of each container of the large review: 1.5 MB in all.
const LARGE_VARIABLES: usize = 8_000;

/// A review as an API server sent it, of a pod that asks for the sidecar.
fn review(bytes: &[u8]) -> Value {
    let mut review: Value = serde_json::from_slice(bytes).unwrap();
    let annotations = &mut review["request"]["object"]["metadata"]["annotations"];
    annotations[INJECT] = json!("true");
    review
}

/// The typical review with many variables.
fn large(mut review: Value) -> Value {
    let containers = review["request"]["object"]["spec"]["containers"].as_array_mut();
    for container in containers.unwrap() {
        container["env"] = (0..LARGE_VARIABLES)
            .map(|number| json!({"name": format!("VARIABLE_{number}"), "value": "0123"}))
            .collect();
    }
    review
}

fn answer(body: &[u8], settings: &Settings) -> String {
    let review = Review::parse(body, Resource::Pod).unwrap();
    let decision = decide(&review.object, &review.info(), settings);
    Answer::of(&review.uid, &decision).unwrap().text().unwrap()
}

fn measure(name: &str, review: &Value, settings: &Settings) -> Value {
    // In the order in which an API server writes them, which a map here does not keep.
    let body = in_order(review).into_bytes();
    for _ in 0..WARM_UP {
        assert!(answer(&body, settings).len() > 1_000, "it is not injected");
    }
    let (start, mut times) = (Instant::now(), Vec::new());
    while start.elapsed() < MEASURE {
        let began = Instant::now();
        black_box(answer(black_box(&body), settings));
        times.push(began.elapsed());
    }
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    let (p50_ms, p99_ms) = (at(0.5), at(0.99));
    let bytes = body.len();
    println!("{name}: {bytes} bytes, p50 {p50_ms:.4} ms, p99 {p99_ms:.4} ms");
    json!({
        "review": name, "bytes": bytes, "runs": times.len(), "p50_ms": p50_ms, "p99_ms": p99_ms,
    })
}

/// JSON with the keys that decide what is skipped in front, as in what Go writes.
fn in_order(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            const FIRST: [&str; 3] = ["uid", "kind", "name"];
            let first = FIRST.iter().filter_map(|key| map.get_key_value(*key));
            let rest = map.iter().filter(|(key, _)| !FIRST.contains(&key.as_str()));
            let entries: Vec<String> = first
                .chain(rest)
                .map(|(key, value)| format!("{}:{}", json!(key), in_order(value)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(in_order).collect();
            format!("[{}]", items.join(","))
        }
        scalar => scalar.to_string(),
    }
}

fn main() {
    let settings = Settings {
        image: "registry.example/active-passive-sidecar:0.1.0".to_owned(),
        image_pull_policy: "IfNotPresent".to_owned(),
        version: "0.1.0".to_owned(),
    };
    let small = review(include_bytes!("bodies/review-small.json"));
    let typical = review(include_bytes!("bodies/review-typical.json"));
    let figures = json!([
        measure("small", &small, &settings),
        measure("typical", &typical, &settings),
        measure("large", &large(typical), &settings),
    ]);
    if let Some(path) = std::env::var_os("RESULT") {
        std::fs::write(path, format!("{figures:#}\n")).unwrap();
    }
}

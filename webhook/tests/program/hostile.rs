//! Clients that do harm, and honest ones beside them.

use crate::hook::{API_SERVER, HANGS, HONEST, HOSTILE, REVIEW, answer, ask, start, start_limited};
use std::process::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Memory of its own that the program may have, kB. The code of a debug build is not counted.
const ANONYMOUS_KB_MAX: u64 = 30_000;
/// Connections in all, where the limit of open files lets a process have them.
const FLOOD: usize = 10_000;
/// Files that the tests of this process may have open at once.
const OPEN_FILES: usize = FLOOD + 4_000;
/// Of the flood, so many shake hands.
const GREETED: usize = 200;

/// Lets this process have the open files that it needs, as far as its hard limit goes, and says how
/// many it may have.
fn raise_open_files() -> usize {
    let (pid, limit) = (
        std::process::id().to_string(),
        format!("--nofile={OPEN_FILES}:"),
    );
    // Where this does not work, what is read then says so.
    let _raised = Command::new("prlimit")
        .args(["--pid", &pid, &limit])
        .status();
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let mut lines = limits.lines();
    let open_files = lines.find_map(|line| line.strip_prefix("Max open files"));
    let soft = open_files.and_then(|line| line.split_whitespace().next());
    soft.unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_flood_of_connections_takes_no_place_and_no_memory_from_honest_clients() {
    let hook = start("flood").await;
    let mut kept = hook.greet(API_SERVER).await.unwrap();
    let open_files = raise_open_files();
    let flood = FLOOD.min(open_files.saturating_sub(4_000));
    assert!(
        flood > 2_000,
        "ulimit -Hn is {open_files}: raise it to {OPEN_FILES}"
    );
    let mut silent = Vec::new();
    let mut greeted = Vec::new();
    for number in 0..flood {
        if number % (flood / GREETED) == 0 {
            // Its place may be given away while it shakes hands.
            if let Ok(mut stream) = hook.greet(HOSTILE).await {
                // A header that never ends.
                let begun = stream
                    .write_all(b"POST /inject HTTP/1.1\r\nHost: h\r\nX: ")
                    .await;
                greeted.extend(begun.ok().map(|()| stream));
            }
        } else {
            let mut stream = hook.connect(HOSTILE).await.unwrap();
            // Every other one begins a handshake and goes no further.
            if number % 2 == 0 {
                let _begun = stream.write_all(&[0x16, 3, 1, 0]).await;
            }
            silent.push(stream);
        }
    }
    hook.serves().await;
    hook.serves_on(&mut kept).await;
    let anonymous_kb = hook.anonymous_kb();
    assert!(anonymous_kb < ANONYMOUS_KB_MAX, "{anonymous_kb} kB");
    drop((silent, greeted));
    hook.serves().await;
}

/// More connections than there are places where 1024 files may be open, and than that.
const FEW: usize = 1_100;

#[tokio::test]
async fn slow_bodies_keep_no_place_from_honest_clients() {
    let hook = start_limited("slow", "1024:1024").await;
    raise_open_files();
    let mut kept = hook.greet(API_SERVER).await.unwrap();
    let mut slow = Vec::new();
    for _ in 0..FEW {
        // Its place may be given away while it shakes hands.
        let greeted = timeout(HONEST, hook.greet(HOSTILE)).await;
        slow.extend(greeted.expect("it accepts no more").ok());
    }
    // All at once, since each is given up after some seconds.
    for stream in &mut slow {
        let _sent = ask(stream, b"{", 64 * 1024).await;
    }
    // Newcomers who would need a place that nobody gives.
    for _ in 0..64 {
        drop(timeout(HONEST, hook.greet(HOSTILE)).await);
    }
    hook.serves().await;
    hook.serves_on(&mut kept).await;
    let anonymous_kb = hook.anonymous_kb();
    assert!(anonymous_kb < 2 * ANONYMOUS_KB_MAX, "{anonymous_kb} kB");
}

#[tokio::test]
async fn few_open_files_are_enough_for_honest_clients() {
    for open_files in ["1024:", "1024:1024"] {
        let hook = start_limited("files", open_files).await;
        raise_open_files();
        let mut idle = Vec::new();
        for _ in 0..FEW {
            let taken = timeout(HONEST, hook.connect(HOSTILE)).await;
            idle.push(taken.expect("it accepts no more").unwrap());
        }
        hook.serves().await;
        assert!(hook.lives().await, "{open_files}: no answer to a probe");
    }
}

#[tokio::test]
async fn hostile_bodies_are_refused_and_leave_nothing() {
    let hook = start("bodies").await;
    let deep = "[".repeat(1_000_000);
    let other = REVIEW.replace("\"Pod\"", "\"Node\"");
    for (body, expected) in [
        ("", "HTTP/1.1 400"),
        ("no JSON", "HTTP/1.1 400"),
        ("{}", "HTTP/1.1 400"),
        (deep.as_str(), "HTTP/1.1 400"),
        (other.as_str(), "HTTP/1.1 400"),
    ] {
        let beginning: String = body.chars().take(20).collect();
        assert_eq!(
            hook.status(HOSTILE, body.as_bytes()).await,
            expected,
            "{beginning}"
        );
    }
    let large = vec![b' '; 8 * 1024 * 1024];
    assert_eq!(hook.status(HOSTILE, &large).await, "HTTP/1.1 413");
    hook.serves().await;
    let anonymous_kb = hook.anonymous_kb();
    assert!(anonymous_kb < ANONYMOUS_KB_MAX, "{anonymous_kb} kB");
}

#[tokio::test]
async fn who_sends_half_of_something_is_given_up() {
    let hook = start("halves").await;
    // As many large bodies as there is room for, of which the end never comes.
    let mut slow = Vec::new();
    for _ in 0..16 {
        let mut stream = hook.greet(HOSTILE).await.unwrap();
        ask(&mut stream, b"{", 7 * 1024 * 1024).await.unwrap();
        slow.push(stream);
    }
    // One that says nothing more, and one that ends its side in the middle of the handshake.
    let mut half_closed = hook.greet(HOSTILE).await.unwrap();
    half_closed.get_mut().0.shutdown().await.unwrap();
    let mut silent = hook.connect(HOSTILE).await.unwrap();
    silent.write_all(&[0x16, 3, 1, 0]).await.unwrap();
    silent.shutdown().await.unwrap();
    hook.serves().await;
    let mut rest = Vec::new();
    let ended = timeout(HANGS, half_closed.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "a half-closed connection stays");
    let ended = timeout(HANGS, silent.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "a half-closed handshake stays");
    for stream in &mut slow {
        let answer = answer(stream).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer:?}");
    }
    hook.serves().await;
}

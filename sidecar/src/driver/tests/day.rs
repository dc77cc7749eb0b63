//! A day of renewals at high speed: what is kept must not grow.

use super::*;
use std::process::Command;

/// Says to this program that it is the one to be measured: nothing else may run beside it.
const ALONE: &str = "ACTIVE_PASSIVE_TEST_ALONE";
const HOUR_MS: u64 = 3_600_000;
/// By then the allocator has found its size, hours.
const WARM_UP_H: u64 = 8;
/// What it may keep more after the day, kB: 45 bytes a renewal.
const GROWTH_KB_MAX: u64 = 512;

#[test]
fn a_day_of_renewals_leaves_the_memory_as_it_was() {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        return runtime.block_on(a_day());
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "driver::tests::day::a_day_of_renewals_leaves_the_memory_as_it_was",
        ])
        .args(["--test-threads=1", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("1 passed"), "{said}{errors}");
}

async fn a_day() {
    let mut running = start();
    let (mut count, mut before_kb) = (0, 0);
    for hour in 0..24 {
        if hour == WARM_UP_H {
            while running.events.try_recv().is_ok() {}
            before_kb = resident_kb();
        }
        tokio::time::sleep(Duration::from_millis(HOUR_MS)).await;
        let writes = std::mem::take(&mut running.server.lock().unwrap().writes);
        count += writes
            .iter()
            .filter(|write| write.starts_with("PUT "))
            .count();
    }
    let after_kb = resident_kb();
    println!("{count} renewals, {before_kb} kB and then {after_kb} kB resident");
    assert!((17_000..17_600).contains(&count), "{count} renewals");
    assert_eq!(running.states.borrow().standing.role, Role::Leader);
    assert!(
        running.events.try_recv().is_err(),
        "a group at rest says nothing"
    );
    assert!(
        after_kb <= before_kb + GROWTH_KB_MAX,
        "{before_kb} kB, then {after_kb} kB"
    );
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

//! What a process of this machine takes.

use std::fs;

use crate::cluster::{Doing, Error, Result};

/// CPU time of all threads of the process so far, microseconds, as the scheduler has counted it.
///
/// # Errors
/// If the process has ended.
pub fn cpu_us(pid: i32) -> Result<u64> {
    let action = || format!("read the CPU time of process {pid}");
    let mut sum_ns = 0_u64;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).doing(action)? {
        let path = thread.doing(action)?.path().join("schedstat");
        let text = fs::read_to_string(path).doing(action)?;
        sum_ns += number(text.split_whitespace().next(), action)?;
    }
    Ok(sum_ns / 1_000)
}

/// How often the threads of the process have gone to sleep so far, to be woken by something. Unlike its
/// CPU time this does not depend on the machine.
///
/// # Errors
/// If the process has ended.
pub fn wakeups(pid: i32) -> Result<u64> {
    let action = || format!("read how often process {pid} slept");
    let mut sum = 0_u64;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).doing(action)? {
        let path = thread.doing(action)?.path().join("status");
        let text = fs::read_to_string(path).doing(action)?;
        let count = text
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sum += number(count.map(str::trim), action)?;
    }
    Ok(sum)
}

/// Resident set of the process, kB, as smaps_rollup has it.
///
/// # Errors
/// If the process has ended.
pub fn rss_kb(pid: i32) -> Result<u64> {
    let action = || format!("read the memory of process {pid}");
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).doing(action)?;
    let line = rollup.lines().find(|line| line.starts_with("Rss:"));
    number(line.and_then(|line| line.split_whitespace().nth(1)), action)
}

/// The most that [`rss_kb`] ever was.
///
/// # Errors
/// If the process has ended.
pub fn peak_rss_kb(pid: i32) -> Result<u64> {
    let action = || format!("read the memory of process {pid}");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).doing(action)?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    number(line.and_then(|line| line.split_whitespace().nth(1)), action)
}

fn number(text: Option<&str>, action: impl Fn() -> String) -> Result<u64> {
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| Error::new(action(), "the kernel wrote no number"))
}

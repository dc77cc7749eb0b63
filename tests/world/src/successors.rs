//! Scenarios about who follows: by priority, and by workload.

use super::faults::{Operation, Target};
use super::scenario::{OWNER, Plan, Scenario, Settings, Workload};
use election::Handover::Seamless;

/// All of them.
pub(super) const ALL: &[Scenario] = &[
    Scenario::new("priority", |_| delete(&[9, 0, 5, 0], &[OWNER])),
    Scenario::new("never", |_| delete(&[0, -1, -1, -1], &[OWNER])),
    Scenario::new("other-workload", |_| {
        delete(
            &[0],
            &[OWNER, OWNER, "Deployment/other", "Deployment/other"],
        )
    }),
];

/// Four pods that nobody replaces, with these priorities and workloads; the leader is deleted.
fn delete(priorities: &[i32], owners: &[&'static str]) -> Plan {
    let mut settings = Settings::usual(Seamless);
    settings.pods = 4;
    settings.workload = Workload::Bare;
    settings.priorities = priorities.to_vec();
    settings.owners = owners.to_vec();
    Plan {
        settings,
        bursts: vec![vec![(0, Operation::Delete(Target::Leader))]],
    }
}

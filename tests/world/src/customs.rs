//! Scenarios of electors that share their pods with another kind: no terms on pods, and a Lease that is
//! freed instead of directed.

use super::admission::Rules;
use super::faults::{Operation, Target};
use super::scenario::{Plan, Scenario, Settings};
use common::role::Giving::{self, Freed, StrippedAndFreed};
use election::{Customs, Handover};

/// All of them.
pub(super) const ALL: &[Scenario] = &[
    Scenario::new("freed-delete", |_| plan(Freed, delete())),
    Scenario::new("freed-rollout", |_| plan(Freed, Operation::Rollout)),
    Scenario::new("freed-unready", |_| plan(Freed, unready())),
    Scenario::new("freed-node-crash", |_| plan(Freed, crash())),
    Scenario::new("stripped-delete", |_| plan(StrippedAndFreed, delete())),
    Scenario::new("stripped-rollout", |_| {
        plan(StrippedAndFreed, Operation::Rollout)
    }),
    Scenario::new("stripped-unready", |_| plan(StrippedAndFreed, unready())),
    Scenario::new("stripped-node-crash", |_| plan(StrippedAndFreed, crash())),
];

fn delete() -> Operation {
    Operation::Delete(Target::Leader)
}

fn unready() -> Operation {
    Operation::Unready {
        target: Target::Leader,
        for_ms: 60_000,
    }
}

fn crash() -> Operation {
    Operation::CrashNode(Target::Leader)
}

fn plan(giving: Giving, operation: Operation) -> Plan {
    let mut settings = Settings::usual(Handover::Seamless);
    settings.customs = Customs {
        giving,
        terms: false,
        ..Customs::default()
    };
    settings.services = 0;
    settings.rules = Rules {
        fencing: false,
        route: false,
    };
    Plan {
        settings,
        bursts: vec![vec![(0, operation)]],
    }
}

//! Scenarios that hit one narrow window each, which chance seldom does.

use super::faults::{Mishap, Operation, ServiceEdit, Target, Weather};
use super::scenario::{Plan, Scenario, Settings, Workload};
use super::watch::Kind;
use common::contract::default;
use election::Handover::{self, Exclusive, Seamless};

/// All of them.
pub(super) const ALL: &[Scenario] = &[
    Scenario::new("late-service-write", |_| late_service_write()),
    Scenario::new("lost-label-answer", |_| lost_label_answer()),
    Scenario::new("blind-restart", |_| blind_restart()),
    Scenario::new("blind-takeover", |_| blind_takeover()),
    Scenario::new("outbid-service", |_| outbid_service()),
    Scenario::new("restart-exclusive", |_| restart_exclusive()),
    Scenario::new("paused-delete", |_| paused_delete()),
    Scenario::new("foreigner-takes", |_| foreigner_takes()),
    Scenario::new("services-forbidden", |_| services_forbidden(100, 25_000)),
    Scenario::new("outside-exclusive", |_| taken_out(Exclusive, false)),
    Scenario::new("outside-exclusive-fenced", |_| taken_out(Exclusive, true)),
    Scenario::new("outside-seamless", |_| taken_out(Seamless, false)),
    Scenario::new("blind-to-the-last", |_| blind_to_the_last()),
    Scenario::new("lease-deleted-twice", |_| lease_deleted_twice()),
    Scenario::new("services-taken-away", |_| {
        services_forbidden(40_000, 600_000)
    }),
];

fn script(handover: Handover, operations: Vec<(u64, Operation)>) -> Plan {
    Plan {
        settings: Settings::usual(handover),
        bursts: vec![operations],
    }
}

/// Each leader is deleted as soon as it leads, and the writes that point the Service take longer
/// than their deadline: that of the one arrives while the next one leads.
fn late_service_write() -> Plan {
    let slow = Operation::Trip {
        what: "point service",
        mishap: Mishap::Slow(4_500),
        times: 2,
    };
    let delete = || Operation::Delete(Target::Leader);
    script(Exclusive, vec![(0, slow), (0, delete()), (1_500, delete())])
}

/// A new leader gets no answer to the write of its own label and no news of pods, and is asked to
/// hand the role on.
fn lost_label_answer() -> Plan {
    let lost = Operation::Trip {
        what: "label self",
        mishap: Mishap::AnswerLost,
        times: 1,
    };
    let blind = |standby| {
        let blind = Operation::BreakWatch {
            target: Target::Standby(standby),
            kind: Kind::Pods,
            for_ms: 10_000,
        };
        (300, blind)
    };
    let operations = vec![
        (0, lost),
        (0, Operation::Delete(Target::Leader)),
        blind(0),
        blind(1),
        (1_500, Operation::Switchover(None)),
    ];
    script(Exclusive, operations)
}

/// The sidecar of a leader that is being deleted has just started and learns of Services late.
fn blind_restart() -> Plan {
    let target = Target::Leader;
    let crash = Operation::CrashSidecar {
        target,
        down_ms: 100,
    };
    let blind = Operation::BreakWatch {
        target,
        kind: Kind::Services,
        for_ms: 8_000,
    };
    let delete = Operation::Delete(target);
    script(Exclusive, vec![(0, crash), (50, delete), (101, blind)])
}

/// The leader's node dies, and those who could follow have just started and do not know of Services.
fn blind_takeover() -> Plan {
    let mut operations = vec![(2_000, Operation::CrashNode(Target::Leader))];
    for target in [Target::Standby(0), Target::Standby(1)] {
        let crash = Operation::CrashSidecar {
            target,
            down_ms: 100,
        };
        let blind = Operation::BreakWatch {
            target,
            kind: Kind::Services,
            for_ms: 30_000,
        };
        operations.extend([(0, crash), (101, blind)]);
    }
    script(Exclusive, operations)
}

/// Somebody raises the term of the Service that points at a leader which is about to be cut off: when
/// it comes back it strips, and must not lower what it finds.
fn outbid_service() -> Plan {
    let target = Target::Leader;
    let for_ms = default::LEASE_DURATION_MS * 2;
    let weather = Weather {
        error: 600,
        ..Weather::FAIR
    };
    let fail = Operation::Weather {
        target: None,
        weather,
        for_ms: 10_000,
    };
    let mut plan = script(
        Seamless,
        vec![
            (0, fail),
            (50, Operation::EditService(ServiceEdit::Outbid(50))),
            (60, Operation::Delete(target)),
            (70, Operation::Cut { target, for_ms }),
        ],
    );
    plan.settings.rules.fencing = false;
    plan
}

/// A pod is made and gets the role while the watch of another tells nothing; that one follows.
fn blind_to_the_last() -> Plan {
    let blind = Operation::BreakWatch {
        target: Target::Standby(0),
        kind: Kind::Pods,
        for_ms: 90_000,
    };
    let mut plan = script(
        Exclusive,
        vec![
            (0, blind),
            (0, Operation::Delete(Target::Leader)),
            (20_000, Operation::CrashNode(Target::Leader)),
        ],
    );
    plan.settings.pods = 2;
    plan.settings.priorities = vec![5, 0];
    plan.settings.app_stops_in_ms = (8_000, 8_000);
    plan
}

/// The sidecar of an exclusive leader gets SIGTERM while its pod stays: its app runs on.
fn restart_exclusive() -> Plan {
    let restart = Operation::RestartSidecar {
        target: Target::Leader,
        down_ms: 2_000,
    };
    script(Exclusive, vec![(0, restart)])
}

/// The Lease is deleted while its holder stands still, and again while that is cut off: no watch of
/// the Lease shows what its holder has made in between.
fn lease_deleted_twice() -> Plan {
    let leader = Target::Leader;
    let freeze = Operation::Freeze {
        target: leader,
        for_ms: 1_000,
    };
    let cut = Operation::Cut {
        target: leader,
        for_ms: 60_000,
    };
    let mut operations = vec![
        (0, freeze),
        (100, Operation::DeleteLease),
        (12_000, cut),
        (12_001, Operation::DeleteLease),
    ];
    // Without a holder, all pods are standbys.
    operations.extend([0, 1, 2].map(|standby| {
        let blind = Operation::BreakWatch {
            target: Target::Standby(standby),
            kind: Kind::Lease,
            for_ms: 12_000,
        };
        (150, blind)
    }));
    script(Exclusive, operations)
}

/// The right to see and write Services is missing, and the leader's node dies.
fn services_forbidden(crash_after_ms: u64, for_ms: u64) -> Plan {
    let operations = vec![
        (0, Operation::ForbidServices { for_ms }),
        (crash_after_ms, Operation::CrashNode(Target::Leader)),
    ];
    script(Exclusive, operations)
}

/// Somebody takes the label of the group off the leader's pod.
fn taken_out(handover: Handover, fencing: bool) -> Plan {
    let (target, for_ms) = (Target::Leader, 0);
    let leave = Operation::LeaveGroup { target, for_ms };
    let mut plan = script(handover, vec![(0, leave)]);
    plan.settings.rules.fencing = fencing;
    plan
}

/// The leader of a paused group is deleted: it keeps the role to its end, and nobody follows.
fn paused_delete() -> Plan {
    let operations = vec![
        (0, Operation::Pause { for_ms: 60_000 }),
        (5_000, Operation::Delete(Target::Leader)),
    ];
    script(Seamless, operations)
}

/// The only pod is cut off while a program that elects by client-go wants the Lease.
fn foreigner_takes() -> Plan {
    let foreigner = Operation::Foreigner {
        for_ms: 60_000,
        releases: true,
    };
    let cut = Operation::Cut {
        target: Target::Leader,
        for_ms: 25_000,
    };
    let mut plan = script(Seamless, vec![(0, foreigner), (10, cut)]);
    plan.settings.rules.fencing = false;
    plan.settings.pods = 1;
    plan.settings.workload = Workload::Bare;
    plan
}

//! Scenarios with a fixed meaning. Chance decides latencies and clocks only.

use super::admission::Term;
use super::faults::{Operation, ServiceEdit, Target, Weather};
use super::random::Random;
use super::scenario::{Plan, Scenario, Settings, Workload};
use super::watch::Kind;
use election::Handover::{self, Exclusive, Seamless};
use election::{LeaseWriteKind, RoleLabel};

/// All of them.
pub(super) const ALL: &[Scenario] = &[
    Scenario::new("delete-seamless", |_| {
        usual(Seamless, Operation::Delete(Target::Leader))
    }),
    Scenario::new("delete-exclusive", |_| {
        usual(Exclusive, Operation::Delete(Target::Leader))
    }),
    Scenario::new("rollout-seamless", |_| usual(Seamless, Operation::Rollout)),
    Scenario::new("rollout-exclusive", |_| {
        usual(Exclusive, Operation::Rollout)
    }),
    Scenario::new("node-crash", |_| {
        usual(Seamless, Operation::CrashNode(Target::Leader))
    }),
    Scenario::new("node-crash-exclusive", |_| {
        usual(Exclusive, Operation::CrashNode(Target::Leader))
    }),
    Scenario::new("node-crash-short-lease", |_| node_crash_short_lease()),
    Scenario::new("freeze", |_| {
        usual(
            Exclusive,
            Operation::Freeze {
                target: Target::Leader,
                for_ms: 30_000,
            },
        )
    }),
    Scenario::new("cut", |_| {
        usual(
            Exclusive,
            Operation::Cut {
                target: Target::Leader,
                for_ms: 60_000,
            },
        )
    }),
    Scenario::new("sidecar-crash", |_| {
        let target = Target::Leader;
        usual(
            Seamless,
            Operation::CrashSidecar {
                target,
                down_ms: 1_000,
            },
        )
    }),
    Scenario::new("unready", |_| {
        usual(
            Seamless,
            Operation::Unready {
                target: Target::Leader,
                for_ms: 60_000,
            },
        )
    }),
    Scenario::new("unready-briefly", |_| {
        usual(
            Seamless,
            Operation::Unready {
                target: Target::Leader,
                for_ms: 4_000,
            },
        )
    }),
    Scenario::new("unready-all", |_| unready_all()),
    Scenario::new("cordon-seamless", |_| cordon(Seamless, 3)),
    Scenario::new("cordon-exclusive", |_| cordon(Exclusive, 3)),
    Scenario::new("cordon-alone", |_| cordon(Seamless, 1)),
    Scenario::new("drain-timeout-seamless", |_| drain_alone(Seamless)),
    Scenario::new("drain-timeout-exclusive", |_| drain_alone(Exclusive)),
    Scenario::new("outage-briefly", |_| {
        usual(Seamless, Operation::Outage { for_ms: 6_000 })
    }),
    Scenario::new("outage", |_| {
        usual(Seamless, Operation::Outage { for_ms: 30_000 })
    }),
    Scenario::new("bad-road", |_| bad_road()),
    Scenario::new("successor-dies", |_| successor_dies()),
    Scenario::new("handover-answer-lost", |_| handover_lost(true)),
    Scenario::new("handover-request-lost", |_| handover_lost(false)),
    Scenario::new("label-removed", |_| {
        let (target, role) = (Target::Leader, RoleLabel::Other);
        usual(Seamless, Operation::EditRole { target, role })
    }),
    Scenario::new("label-forged", |_| {
        let (target, role) = (Target::Standby(0), RoleLabel::Active);
        usual(Seamless, Operation::EditRole { target, role })
    }),
    Scenario::new("stray-terms", |_| stray_terms()),
    Scenario::new("switchover", |_| {
        usual(Seamless, Operation::Switchover(Some(Target::Standby(1))))
    }),
    Scenario::new("switchover-underived", |_| switchover_underived()),
    Scenario::new("paused-crash", |_| paused_crash()),
    Scenario::new("lease-deleted", |_| usual(Seamless, Operation::DeleteLease)),
    Scenario::new("steady", |_| steady()),
    Scenario::new("blind-watch", |_| blind_watch()),
    Scenario::new("busy-lease", |_| busy_lease()),
    Scenario::new("successor-deleted", successor_deleted),
    Scenario::new("wall-clocks", |_| wall_clocks()),
    Scenario::new("deaf", |_| {
        let (target, for_ms) = (Target::Leader, 60_000);
        usual(Exclusive, Operation::Deafen { target, for_ms })
    }),
    Scenario::new("partition", |_| {
        let (which, for_ms) = (u64::MAX, 60_000);
        usual(Exclusive, Operation::Partition { which, for_ms })
    }),
    Scenario::new("restore", |random| {
        let bumped = random.chance(500);
        restore(bumped)
    }),
    Scenario::new("restore-unseen", |random| {
        let (pods, bumped) = (random.pick(&[1, 3]), random.chance(500));
        restore_unseen(pods, bumped)
    }),
    Scenario::new("service-joins", |_| {
        usual(Exclusive, Operation::EditService(ServiceEdit::Join))
    }),
    Scenario::new("service-fight", |_| {
        let fight = ServiceEdit::Fight {
            target: Target::Standby(0),
            every_ms: 20,
            times: 1_500,
        };
        usual(Seamless, Operation::EditService(fight))
    }),
];

/// The usual group, and one thing that is done to it.
fn usual(handover: Handover, operation: Operation) -> Plan {
    Plan {
        settings: Settings::usual(handover),
        bursts: vec![vec![(0, operation)]],
    }
}

fn node_crash_short_lease() -> Plan {
    let mut plan = usual(Seamless, Operation::CrashNode(Target::Leader));
    plan.settings.lease_duration_ms = 3_000;
    plan
}

/// For ten minutes an answer takes half a second, three times that on a new connection, and every
/// tenth request has none.
fn bad_road() -> Plan {
    let weather = Weather {
        lose_request: 50,
        lose_answer: 50,
        round_trip_ms: 500,
        ..Weather::FAIR
    };
    let road = Operation::Weather {
        target: None,
        weather,
        for_ms: 600_000,
    };
    usual(Seamless, road)
}

/// Nobody is ready: the leader keeps the role.
fn unready_all() -> Plan {
    let unready = |target| {
        (
            0,
            Operation::Unready {
                target,
                for_ms: 30_000,
            },
        )
    };
    let operations = vec![
        unready(Target::Standby(0)),
        unready(Target::Standby(1)),
        (
            100,
            Operation::Unready {
                target: Target::Leader,
                for_ms: 30_000,
            },
        ),
    ];
    Plan {
        settings: Settings::usual(Seamless),
        bursts: vec![operations],
    }
}

/// The leader's node is cordoned, and not drained.
fn cordon(handover: Handover, pods: usize) -> Plan {
    let (target, for_ms) = (Target::Leader, 120_000);
    let mut plan = usual(handover, Operation::Disrupt { target, for_ms });
    plan.settings.pods = pods;
    plan
}

/// The only pod is deleted, and its app eats the whole grace period.
fn drain_alone(handover: Handover) -> Plan {
    let mut plan = usual(handover, Operation::Delete(Target::Leader));
    plan.settings.pods = 1;
    plan.settings.workload = Workload::Bare;
    plan.settings.app_stops_in_ms = (100_000, 100_000);
    plan
}

/// The leader is deleted while the node of each other pod but one has just died: the successor
/// that it names may be a dead one.
fn successor_dies() -> Plan {
    let mut settings = Settings::usual(Seamless);
    settings.workload = Workload::Bare;
    settings.pods = 4;
    let operations = vec![
        (0, Operation::CrashNode(Target::Standby(0))),
        (0, Operation::CrashNode(Target::Standby(0))),
        (1_000, Operation::Delete(Target::Leader)),
    ];
    Plan {
        settings,
        bursts: vec![operations],
    }
}

fn handover_lost(done: bool) -> Plan {
    let lose = Operation::LoseNext {
        kind: LeaseWriteKind::Handover,
        done,
    };
    let operations = vec![(0, lose), (10, Operation::Delete(Target::Leader))];
    Plan {
        settings: Settings::usual(Seamless),
        bursts: vec![operations],
    }
}

/// Terms and roles are edited while every second request fails: the leader may have to write pods
/// before it could raise its own term.
fn stray_terms() -> Plan {
    let mut settings = Settings::usual(Seamless);
    settings.rules.fencing = false;
    let weather = Weather {
        error: 500,
        ..Weather::FAIR
    };
    let fail = Operation::Weather {
        target: None,
        weather,
        for_ms: 8_000,
    };
    let edit = |standby, more, role| {
        let target = Target::Standby(standby);
        let term = Term::Number(more);
        let edit_term = Operation::EditTerm { target, term };
        [edit_term, Operation::EditRole { target, role }]
    };
    let edits = edit(0, 50, RoleLabel::Active)
        .into_iter()
        .chain(edit(1, 70, RoleLabel::Other));
    let mut operations = vec![(0, fail)];
    operations.extend(edits.map(|edit| (100, edit)));
    Plan {
        settings,
        bursts: vec![operations],
    }
}

/// The role goes to and fro where nothing derives the selector key, and a write of the annotations
/// alone is refused.
fn switchover_underived() -> Plan {
    let mut plan = usual(Seamless, Operation::Switchover(None));
    plan.bursts = vec![plan.bursts[0].clone(); 4];
    plan.settings.pods = 2;
    plan.settings.rules.route = false;
    plan
}

/// The group is paused, and its leader's node dies: nobody takes over until it is resumed.
fn paused_crash() -> Plan {
    let operations = vec![
        (0, Operation::Pause { for_ms: 60_000 }),
        (5_000, Operation::CrashNode(Target::Leader)),
    ];
    Plan {
        settings: Settings::usual(Seamless),
        bursts: vec![operations],
    }
}

/// Nothing happens for five minutes.
fn steady() -> Plan {
    let nothing = Operation::LoseNext {
        kind: LeaseWriteKind::Handover,
        done: true,
    };
    Plan {
        settings: Settings::usual(Seamless),
        bursts: vec![vec![(300_000, nothing)]],
    }
}

/// The leader's node dies while somebody else writes the Lease (its labels, say) before every second
/// write, and watches are late.
fn busy_lease() -> Plan {
    let mut plan = usual(Exclusive, Operation::CrashNode(Target::Leader));
    let weather = Weather {
        touch: 500,
        watch_late_ms: 500,
        ..Weather::FAIR
    };
    let busy = Operation::Weather {
        target: None,
        weather,
        for_ms: 20_000,
    };
    plan.bursts[0].push((0, busy));
    plan
}

/// All pods are deleted at almost the same time: the leader names a successor that goes as well.
fn successor_deleted(random: &mut Random) -> Plan {
    let mut plan = usual(Seamless, Operation::Delete(Target::Leader));
    for number in 0..2 {
        let after_ms = random.between(1, 20);
        plan.bursts[0].push((after_ms, Operation::Delete(Target::Standby(number))));
    }
    plan
}

/// Everybody's clock on the wall is set, by seconds and by years, while nothing else happens.
fn wall_clocks() -> Plan {
    let targets = [Target::Leader, Target::Standby(0), Target::Standby(1)];
    let steps = [-15, 3_600, -40_000_000, 40_000_000, -3_585];
    let operations = steps.iter().enumerate().flat_map(|(number, by_s)| {
        targets.map(|target| {
            let step = Operation::StepWallClock {
                target,
                by_s: *by_s,
            };
            (number as u64 * 7_000, step)
        })
    });
    Plan {
        settings: Settings::usual(Seamless),
        bursts: vec![operations.collect()],
    }
}

/// A backup is taken, the role moves, and the backup is restored.
fn restore(bumped: bool) -> Plan {
    let down_ms = 5_000;
    Plan {
        settings: Settings::usual(Seamless),
        bursts: vec![
            vec![(0, Operation::Backup)],
            vec![(0, Operation::Delete(Target::Leader))],
            vec![(0, Operation::Restore { down_ms, bumped })],
        ],
    }
}

/// The leader's watches break right after a backup, so that it knows by answers alone what it has
/// written since; then the backup is restored, and what watches show is what they showed last.
fn restore_unseen(pods: usize, bumped: bool) -> Plan {
    let mut settings = Settings::usual(Seamless);
    settings.pods = pods;
    settings.workload = Workload::Bare;
    let target = Target::Leader;
    let edit = Operation::EditRole {
        target,
        role: RoleLabel::Other,
    };
    let restore = Operation::Restore {
        down_ms: 3_000,
        bumped,
    };
    let mut operations = vec![(0, Operation::Backup), (20, edit), (12_000, restore)];
    operations.extend(Kind::ALL.map(|kind| {
        let blind = Operation::BreakWatch {
            target,
            kind,
            for_ms: 11_000,
        };
        (50, blind)
    }));
    Plan {
        settings,
        bursts: vec![operations],
    }
}

/// A standby does not see the Lease for long while the leader goes on renewing.
fn blind_watch() -> Plan {
    let (target, kind) = (Target::Standby(0), Kind::Lease);
    usual(
        Exclusive,
        Operation::BreakWatch {
            target,
            kind,
            for_ms: 40_000,
        },
    )
}

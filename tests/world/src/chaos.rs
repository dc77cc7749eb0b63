//! Random scenarios: settings, faults and their times by seed.

use super::admission::{Rules, Term};
use super::faults::{Operation, ServiceEdit, Target, Weather};
use super::random::Random;
use super::scenario::{OWNER, Plan, Scenario, Settings, Workload};
use super::watch::Kind;
use election::{Customs, Handover, LeaseWriteKind, RoleLabel};

/// Bursts of one run.
const BURSTS_MAX: u64 = 2;
/// Operations of one burst.
const OPERATIONS_MAX: u64 = 6;

/// What happens, as chance has it.
pub(super) type Choice = fn(&mut Random, &Settings) -> Operation;

/// Anything may happen; the hardest case for clocks; and, with nothing broken, whatever people do
/// every day.
pub(super) const ALL: [Scenario; 3] = [
    Scenario::new("chaos", |random| plan(random, any_operation)),
    Scenario::new("slow-then-silent", slow_then_silent),
    Scenario::new("everyday", |random| plan(random, planned_operation)),
];

pub(super) fn plan(random: &mut Random, operation: Choice) -> Plan {
    plan_of(random, operation, BURSTS_MAX, OPERATIONS_MAX)
}

/// A plan of so many bursts, and so many operations in each, at most.
pub(super) fn plan_of(
    random: &mut Random,
    operation: Choice,
    bursts_max: u64,
    operations_max: u64,
) -> Plan {
    let settings = settings(random);
    // Operations that follow each other closely meet each other's effects.
    let within_ms = random.pick(&[500, 5_000, settings.lease_duration_ms * 2]);
    let bursts = (0..random.between(1, bursts_max)).map(|_| {
        let count = random.between(1, operations_max);
        let mut one = |_| (random.between(0, within_ms), operation(random, &settings));
        (0..count).map(&mut one).collect()
    });
    let bursts = bursts.collect();
    Plan { settings, bursts }
}

/// A leader whose last answers are slow, and which then falls silent: the time from which it counts
/// is put to the proof.
fn slow_then_silent(random: &mut Random) -> Plan {
    let mut settings = settings(random);
    settings.unready_grace_ms = 5_000;
    let ld_ms = settings.lease_duration_ms;
    let weather = Weather {
        slow_answer: 800,
        slow_request: 200,
        ..Weather::FAIR
    };
    let silent_from_ms = random.between(ld_ms / 3, ld_ms);
    let (target, for_ms) = (Target::Leader, ld_ms * 3 / 2);
    let silence = if random.chance(500) {
        Operation::Cut { target, for_ms }
    } else {
        Operation::Freeze { target, for_ms }
    };
    let slow = Operation::Weather {
        target: Some(target),
        weather,
        for_ms: silent_from_ms,
    };
    Plan {
        settings,
        bursts: vec![vec![(0, slow), (silent_from_ms, silence)]],
    }
}

fn settings(random: &mut Random) -> Settings {
    let handover = random.pick(&[Handover::Seamless, Handover::Exclusive]);
    let grace_ms = random.pick(&[2_000, 10_000, 30_000]);
    let slow_apps = random.chance(200);
    let priorities: &[i32] = random.pick(&[&[0], &[0], &[5, 0], &[0, -1], &[0, 0, 7]]);
    Settings {
        pods: random.between(2, 5) as usize,
        workload: random.pick(&[Workload::Bare, Workload::Deployment, Workload::StatefulSet]),
        handover,
        lease_duration_ms: random.pick(&[3_000, 5_000, 15_000, 15_000]),
        drain_timeout_ms: if grace_ms > 5_000 {
            grace_ms - 3_000
        } else {
            0
        },
        unready_grace_ms: random.pick(&[0, 1_000, 5_000]),
        priorities: priorities.to_vec(),
        owners: vec![OWNER],
        rules: Rules {
            fencing: random.chance(500),
            route: random.chance(700),
        },
        services: random.between(0, 2) as usize,
        bare_service: random.chance(100),
        grace_ms,
        app_stops_in_ms: if slow_apps {
            (1_000, 40_000)
        } else {
            (10, 3_000)
        },
        hold_app: random.chance(700),
        drift_ppm_max: random.pick(&[0, 200, 10_000]),
        customs: Customs::default(),
    }
}

pub(super) fn target(random: &mut Random) -> Target {
    let standby = Target::Standby(random.between(0, 9));
    random.pick(&[Target::Leader, standby])
}

/// Up to somewhat more than a lease duration; often little.
pub(super) fn for_ms(random: &mut Random, settings: &Settings) -> u64 {
    let longest_ms = random.pick(&[300, 2_000, settings.lease_duration_ms * 3 / 2]);
    random.between(10, longest_ms)
}

/// What people and controllers do.
fn planned_operation(random: &mut Random, settings: &Settings) -> Operation {
    let target = target(random);
    let for_ms = for_ms(random, settings);
    match random.between(0, 9) {
        0..=3 => Operation::Delete(target),
        4 => Operation::Rollout,
        5 | 6 => Operation::Unready {
            target,
            for_ms: for_ms * 3,
        },
        7 => Operation::Disrupt {
            target,
            for_ms: for_ms * 3,
        },
        8 => Operation::Pause { for_ms: for_ms * 2 },
        _ => {
            let to = target;
            Operation::Switchover(random.pick(&[None, Some(to), Some(Target::Standby(1))]))
        }
    }
}

/// What people do wrong.
fn wrong_operation(random: &mut Random, settings: &Settings) -> Operation {
    let target = target(random);
    let for_ms = for_ms(random, settings);
    match random.between(0, 9) {
        0 | 1 => Operation::DeleteLease,
        2..=4 => {
            let role = random.pick(&[RoleLabel::Active, RoleLabel::Passive, RoleLabel::Other]);
            Operation::EditRole { target, role }
        }
        5 | 6 => {
            let more = random.pick(&[0, 1, 2, 50]);
            // Where writes are fenced, no sidecar can write a pod whose term is no number until a
            // leader has put it right; nor could a person who is no administrator have made it so.
            let junk = if settings.rules.fencing {
                Term::Absent
            } else {
                Term::Junk
            };
            let huge = if settings.rules.fencing {
                more
            } else {
                2_000_000_000
            };
            let terms = [Term::Absent, junk, Term::Number(more), Term::Number(huge)];
            let term = random.pick(&terms);
            Operation::EditTerm { target, term }
        }
        7 => Operation::EditOwnLabel(target),
        _ => {
            let leave = ServiceEdit::Leave { for_ms };
            let recreate = ServiceEdit::Recreate { after_ms: for_ms };
            let point = ServiceEdit::Point(target);
            Operation::EditService(random.pick(&[ServiceEdit::Strip, point, leave, recreate]))
        }
    }
}

/// What breaks.
pub(super) fn accident(random: &mut Random, settings: &Settings) -> Operation {
    let target = target(random);
    let for_ms = for_ms(random, settings);
    match random.between(0, 17) {
        0 => Operation::ForceDelete(target),
        1 => Operation::CrashNode(target),
        2 | 3 => Operation::CrashSidecar {
            target,
            down_ms: for_ms,
        },
        4 => Operation::RestartSidecar {
            target,
            down_ms: for_ms,
        },
        5..=7 => Operation::Freeze { target, for_ms },
        8..=10 => Operation::Cut { target, for_ms },
        11 => Operation::Outage { for_ms },
        12 | 13 => {
            let kind = random.pick(&Kind::ALL);
            Operation::BreakWatch {
                target,
                kind,
                for_ms: for_ms / 4,
            }
        }
        14 => {
            let kind = random.pick(&[
                LeaseWriteKind::Acquire,
                LeaseWriteKind::Confirm,
                LeaseWriteKind::Renew,
                LeaseWriteKind::Handover,
                LeaseWriteKind::Release,
                LeaseWriteKind::Recreate,
            ]);
            Operation::LoseNext {
                kind,
                done: random.chance(500),
            }
        }
        _ => {
            let target = random.pick(&[None, Some(target)]);
            Operation::Weather {
                target,
                weather: weather(random, settings),
                for_ms: for_ms * 2,
            }
        }
    }
}

pub(super) fn any_operation(random: &mut Random, settings: &Settings) -> Operation {
    match random.between(0, 9) {
        0..=3 => planned_operation(random, settings),
        4..=8 => accident(random, settings),
        _ => wrong_operation(random, settings),
    }
}

/// Each kind of bad luck is off, rare or frequent.
fn weather(random: &mut Random, settings: &Settings) -> Weather {
    let mut often = || random.pick(&[0, 0, 50, 400]);
    Weather {
        lose_request: often(),
        lose_answer: often(),
        slow_request: often(),
        slow_answer: often(),
        duplicate: often(),
        throttle: often(),
        error: often(),
        error_done: often(),
        touch: often(),
        watch_late_ms: random.pick(&[0, 100, settings.lease_duration_ms / 2]),
        round_trip_ms: 0,
    }
}

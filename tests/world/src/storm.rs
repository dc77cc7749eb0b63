//! A second kind of chaos, with what the first does not know: partitions, deaf sidecars, wall clocks
//! that are set, Services that join or are fought for, and an API server that goes back in time.
//!
//! It stands beside the first so that the seeds of that one go on meaning what they mean.

use super::chaos::{accident, any_operation, for_ms, plan, plan_of, target};
use super::faults::{Operation, ServiceEdit, Target, Weather};
use super::random::Random;
use super::scenario::{Plan, Scenario, Settings};

/// The scenarios of this module.
pub(super) const ALL: [Scenario; 7] = [
    Scenario::new("storm", |random| plan(random, operation)),
    Scenario::new("tempest", |random| plan_of(random, operation, 3, 16)),
    Scenario::new("restored", restored),
    Scenario::new("foreigner", foreigner),
    Scenario::new("flickering-service", flickering_service),
    Scenario::new("forbidden", forbidden),
    Scenario::new("outside", outside),
];

fn operation(random: &mut Random, settings: &Settings) -> Operation {
    if random.chance(600) {
        return any_operation(random, settings);
    }
    let target = target(random);
    let for_ms = for_ms(random, settings);
    match random.between(0, 9) {
        0..=2 => Operation::Deafen { target, for_ms },
        3 | 4 => {
            let which = random.bits();
            Operation::Partition { which, for_ms }
        }
        5 | 6 => {
            let by_s = random.pick(&[-100_000, -15, -1, 1, 15, 100_000]);
            Operation::StepWallClock { target, by_s }
        }
        7 => {
            let outbid = ServiceEdit::Outbid(random.pick(&[0, 1, 50]));
            Operation::EditService(random.pick(&[ServiceEdit::Join, outbid]))
        }
        8 => Operation::EditService(ServiceEdit::Fight {
            target,
            every_ms: random.between(5, 500),
            times: random.between(2, 60),
        }),
        _ => accident(random, settings),
    }
}

/// The role moves while somebody takes the annotation off a Service and puts it on again, faster
/// than watches tell.
fn flickering_service(random: &mut Random) -> Plan {
    let mut plan = plan(random, any_operation);
    plan.settings.services = plan.settings.services.max(1);
    let weather = Weather {
        watch_late_ms: random.pick(&[0, 100, 1_000]),
        ..Weather::FAIR
    };
    let late = Operation::Weather {
        target: None,
        weather,
        for_ms: 5_000,
    };
    let within_ms = random.pick(&[50, 1_000, 4_000]);
    let mut burst = vec![
        (0, late),
        (random.between(0, 500), Operation::Delete(Target::Leader)),
    ];
    for _ in 0..random.between(1, 4) {
        let for_ms = random.between(1, 60);
        let flicker = Operation::EditService(ServiceEdit::Leave { for_ms });
        burst.push((random.between(0, within_ms), flicker));
    }
    plan.bursts.push(burst);
    plan
}

/// The right to see Services is missing for a while, while anything happens.
fn forbidden(random: &mut Random) -> Plan {
    let mut plan = plan(random, operation);
    plan.settings.services = plan.settings.services.max(1);
    for burst in &mut plan.bursts {
        let longest_ms = random.pick(&[1_000, 20_000, 90_000]);
        let forbid = Operation::ForbidServices {
            for_ms: random.between(10, longest_ms),
        };
        burst.push((random.between(0, 10_000), forbid));
    }
    plan
}

/// People take pods out of the group, for a while or for good, while anything happens.
fn outside(random: &mut Random) -> Plan {
    let mut plan = plan(random, operation);
    for burst in &mut plan.bursts {
        for _ in 0..random.between(1, 2) {
            let longest_ms = random.pick(&[0, 50, 5_000, 40_000]);
            let leave = Operation::LeaveGroup {
                target: target(random),
                for_ms: random.between(0, longest_ms),
            };
            burst.push((random.between(0, 5_000), leave));
        }
    }
    plan
}

/// A program that elects by client-go wants the same Lease while anything happens.
fn foreigner(random: &mut Random) -> Plan {
    let mut plan = plan(random, operation);
    plan.settings.rules.fencing = false;
    for burst in &mut plan.bursts {
        let foreigner = Operation::Foreigner {
            for_ms: random.between(1_000, 90_000),
            releases: random.chance(500),
        };
        burst.push((random.between(0, 10_000), foreigner));
    }
    plan
}

/// Some time after a backup, whatever has happened meanwhile, it is restored.
fn restored(random: &mut Random) -> Plan {
    let mut plan = plan(random, operation);
    let within_ms = plan.settings.lease_duration_ms * 2;
    let backup = (random.between(0, within_ms), Operation::Backup);
    let restore = Operation::Restore {
        down_ms: random.between(1_000, within_ms),
        bumped: random.chance(500),
    };
    let restore = (random.between(0, within_ms), restore);
    if let Some(burst) = plan.bursts.first_mut() {
        burst.push(backup);
    }
    // What follows has to be right again, so the last burst is one of another kind.
    plan.bursts.push(vec![restore]);
    plan.bursts
        .push(vec![(0, any_operation(random, &plan.settings))]);
    plan
}

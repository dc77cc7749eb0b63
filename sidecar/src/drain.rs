//! `/drain`, the preStop hook that holds an app's SIGTERM until traffic has moved away.
//!
//! It waits and does nothing: what makes the role move is the pod's deletion, which the driver
//! sees for itself.

use crate::clock::Clock;
use crate::published::Published;
use election::{Handover, Mono, Role};
use tokio::sync::watch;
use tokio::time::sleep;

/// How long a leader that knows of no reason to leave holds a hook, milliseconds. The kubelet runs
/// hooks as soon as a pod is deleted, which may be before the watch has brought the news; but it
/// also runs them when it restarts a container whose probe fails, where nothing will move.
const NOTICE_MS: u64 = 5_000;

/// What bounds a wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) handover: Handover,
    pub(crate) drain_timeout_ms: u64,
    pub(crate) settle_ms: u64,
}

/// Returns once traffic has moved away and settled, or nothing is to be waited for.
pub(crate) async fn wait(mut states: watch::Receiver<Published>, clock: Clock, limits: Limits) {
    let since = clock.now();
    loop {
        let look_again_at = look(&states.borrow_and_update(), clock.now(), since, limits);
        let Some(at) = look_again_at else { return };
        tokio::select! {
            () = sleep(clock.until(at)) => {}
            changed = states.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

/// `None`: go. Otherwise when to look again, if nothing changes before.
fn look(published: &Published, now: Mono, since: Mono, limits: Limits) -> Option<Mono> {
    let give_up_at = since + limits.drain_timeout_ms + limits.settle_ms;
    // Under exclusive the successor starts only after this app has stopped.
    if limits.handover == Handover::Exclusive || now >= give_up_at {
        return None;
    }
    let leads = published.leads(now);
    if !leads && !published.standing.holds_traffic {
        let settled_at = published.left_at? + limits.settle_ms;
        return (now < settled_at).then(|| settled_at.min(give_up_at));
    }
    let noticed = !leads || published.standing.role == Role::Draining;
    let notice_at = since + NOTICE_MS;
    match (noticed, now < notice_at) {
        (true, _) => Some(give_up_at),
        (false, true) => Some(notice_at.min(give_up_at)),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::published::Publisher;
    use crate::published::tests::leading;

    const LIMITS: Limits = Limits {
        handover: Handover::Seamless,
        drain_timeout_ms: 27_000,
        settle_ms: 2_000,
    };

    fn at(ms: u64) -> Mono {
        Mono::from_ms(ms)
    }

    fn draining() -> Published {
        let mut published = leading(100_000);
        published.standing.role = Role::Draining;
        published
    }

    fn left(at_ms: u64) -> Published {
        let mut published = Published::nothing();
        published.standing.role = Role::Standby;
        published.left_at = Some(at(at_ms));
        published
    }

    #[test]
    fn a_standby_is_not_held() {
        let mut standby = left(0);
        standby.left_at = None;
        assert_eq!(look(&standby, at(1_000), at(1_000), LIMITS), None);
    }

    #[test]
    fn a_draining_leader_is_held_until_the_move_has_settled() {
        assert_eq!(
            look(&draining(), at(1_000), at(1_000), LIMITS),
            Some(at(30_000))
        );
        assert_eq!(
            look(&left(1_200), at(1_200), at(1_000), LIMITS),
            Some(at(3_200))
        );
        assert_eq!(look(&left(1_200), at(3_200), at(1_000), LIMITS), None);
    }

    #[test]
    fn traffic_without_the_role_is_waited_for() {
        let mut labelled = left(1_200);
        labelled.standing.holds_traffic = true;
        assert_eq!(
            look(&labelled, at(1_500), at(1_000), LIMITS),
            Some(at(30_000))
        );
    }

    #[test]
    fn nothing_is_held_for_ever() {
        assert_eq!(look(&draining(), at(30_000), at(1_000), LIMITS), None);
    }

    #[test]
    fn a_container_that_is_merely_restarted_is_held_briefly() {
        let leader = leading(100_000);
        assert_eq!(look(&leader, at(1_000), at(1_000), LIMITS), Some(at(6_000)));
        assert_eq!(look(&leader, at(6_000), at(1_000), LIMITS), None);
    }

    #[test]
    fn exclusive_holds_nothing() {
        let exclusive = Limits {
            handover: Handover::Exclusive,
            ..LIMITS
        };
        assert_eq!(look(&draining(), at(1_000), at(1_000), exclusive), None);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_as_long_as_it_looks() {
        let clock = Clock::tokio();
        let (publisher, began) = (Publisher::new(15_000), clock.now());
        // Nothing was ever here: at once.
        wait(publisher.subscribe(), clock, LIMITS).await;
        assert_eq!(clock.now(), began);
        let states = watch::Sender::new(left(began.as_ms()));
        wait(states.subscribe(), clock, LIMITS).await;
        assert!((2_000..2_010).contains(&clock.now().ms_since(began)));
    }
}

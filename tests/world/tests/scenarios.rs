//! What a group of electors does, second by second, and that seeds which once found something find
//! nothing now. That no invariant is violated whatever happens is for `sim` to show.

use crate::check::{check, mark, moved_once, stayed, stayed_for};
use world::{MS, Run, SECOND, SHARES, World, random_scenarios, scenario};

/// Clocks run wrong by up to one part in a hundred.
const DRIFT: u64 = 100;

#[test]
fn deleting_the_active_pod_moves_role_and_traffic_at_once() {
    check("delete-seamless", |run| {
        moved_once(run, "delete", 0, 100 * MS);
        let (at_us, pod) = mark(run, "delete");
        assert!(run.routed_us(at_us, pod).is_some_and(|us| us < 120 * MS));
        assert_eq!(run.longest_without_active_us(), 0);
        assert_eq!(run.most_active(), 2);
        assert_eq!(
            run.sent_after(at_us, "read lease"),
            0,
            "no news is old news"
        );
    });
}

#[test]
fn an_exclusive_move_waits_until_the_app_has_stopped() {
    check("delete-exclusive", |run| {
        // The app takes up to 0.5 s, then the kubelet 0.3 to 0.5 s.
        moved_once(run, "delete", 350 * MS, 1_100 * MS);
        assert_eq!(run.most_active(), 1);
    });
}

#[test]
fn a_rollout_moves_the_role_once() {
    check("rollout-seamless", |run| {
        let (at_us, _) = mark(run, "rollout");
        assert_eq!(run.moves_after(at_us), 1);
        assert_eq!(run.longest_without_active_us(), 0);
    });
    check("rollout-exclusive", |run| {
        let (at_us, _) = mark(run, "rollout");
        assert_eq!(run.moves_after(at_us), 1);
        assert_eq!(run.most_active(), 1);
    });
}

#[test]
fn a_dead_node_costs_one_lease_duration() {
    let ld_us = 15 * SECOND;
    check("node-crash", |run| {
        // The last renewal was up to LD/3 ago.
        let least_us = ld_us * 2 / 3 - ld_us / DRIFT;
        moved_once(
            run,
            "crash node",
            least_us,
            ld_us + ld_us / DRIFT + 200 * MS,
        );
    });
    check("node-crash-short-lease", |run| {
        moved_once(run, "crash node", 1_900 * MS, 3_300 * MS);
    });
}

/// kube-proxy holds a second change back for up to a second.
#[test]
fn an_exclusive_takeover_moves_traffic_in_one_write() {
    check("node-crash-exclusive", |run| {
        let (at_us, old) = mark(run, "crash node");
        let moved: Vec<_> = run.routed.iter().filter(|(us, _)| *us > at_us).collect();
        let [(_, Some(new))] = moved[..] else {
            panic!("the Service points nowhere in between: {moved:?}");
        };
        assert_ne!(Some(new.as_str()), old);
        assert_eq!(run.most_active(), 1);
        assert_eq!(run.sent_after(at_us, "read pod"), 0, "no news is old news");
    });
}

#[test]
fn a_woken_leader_makes_nobody_active() {
    check("freeze", |run| {
        moved_once(run, "freeze", 0, 15_400 * MS);
        let (at_us, pod) = mark(run, "freeze");
        // It may try to take the Lease back, which its old version refuses.
        let roles = ["label self", "mark passive", "point service", "renew"];
        let wrote = |kind| {
            run.sent.iter().any(|sent| {
                sent.at_us > at_us && Some(sent.pod.as_str()) == pod && sent.what == kind
            })
        };
        assert!(!roles.into_iter().any(wrote));
        assert_eq!(run.most_active(), 1);
    });
}

#[test]
fn a_cut_off_leader_is_replaced_and_comes_back_as_standby() {
    check("cut", |run| {
        moved_once(run, "cut", 0, 15_400 * MS);
        assert_eq!(run.most_active(), 1);
    });
}

#[test]
fn a_restarted_sidecar_keeps_the_role() {
    check("sidecar-crash", |run| {
        let (at_us, pod) = mark(run, "crash sidecar");
        assert_eq!(run.moves_after(at_us), 0);
        // One second until the process is back, and the first lists.
        assert_eq!(run.leader_at(at_us + 1_200 * MS), pod);
        assert_eq!(run.longest_without_active_us(), 0);
    });
}

#[test]
fn a_leader_that_is_not_ready_for_long_hands_over() {
    check("unready", |run| {
        moved_once(run, "unready", 4_950 * MS, 5_150 * MS)
    });
    check("unready-briefly", |run| stayed(run, "unready"));
    // All come back after 30 s, and then the role may move.
    check("unready-all", |run| stayed_for(run, "unready", 29 * SECOND));
}

#[test]
fn a_cordon_moves_the_role_early_unless_exclusive() {
    check("cordon-seamless", |run| {
        moved_once(run, "disrupt", 0, 100 * MS);
        assert_eq!(run.longest_without_active_us(), 0);
    });
    // Exclusive waits for the eviction, since only then the app stops.
    check("cordon-exclusive", |run| stayed(run, "disrupt"));
    check("cordon-alone", |run| stayed(run, "disrupt"));
}

#[test]
fn a_leader_without_successor_drains_to_the_end() {
    check("drain-timeout-seamless", |run| {
        let (at_us, _) = mark(run, "delete");
        let (off_us, pods) = run.active.last().expect("a pod was active");
        assert!(pods.is_empty());
        let after_us = off_us - at_us;
        let drain_us = 27 * SECOND;
        assert!(
            after_us.abs_diff(drain_us) < drain_us / DRIFT + 50 * MS,
            "{after_us}"
        );
        assert_eq!(run.sent_after(*off_us, "release"), 1);
    });
    check("drain-timeout-exclusive", |run| {
        let (at_us, _) = mark(run, "delete");
        assert_eq!(run.sent_after(at_us, "release"), 1);
        assert_eq!(run.sent_after(at_us + 30 * SECOND - 1, "release"), 1);
    });
}

#[test]
fn an_outage_of_six_seconds_changes_nothing() {
    check("outage-briefly", |run| stayed(run, "outage"));
}

/// By the arithmetic of docs/safety.md one run in a thousand may lose it.
#[test]
fn a_bad_road_to_the_api_server_does_not_cost_the_role() {
    const RUNS: u64 = 500;
    let scenario = scenario("bad-road").expect("the scenario exists");
    let lost = (0..RUNS).filter(|seed| {
        let run = World::run(*seed, scenario).unwrap_or_else(|violation| panic!("{violation}"));
        let (at_us, _) = mark(&run, "weather");
        assert!(run.leader_at(at_us).is_some());
        let during = at_us + 1..at_us + 600 * SECOND;
        run.leader.iter().any(|(us, _)| during.contains(us))
    });
    let lost: Vec<u64> = lost.collect();
    assert!(lost.len() <= 3, "lost with the seeds {lost:?}");
}

#[test]
fn after_a_long_outage_one_leads_within_three_seconds() {
    check("outage", |run| {
        let (at_us, _) = mark(run, "outage");
        let validity_us = 14_250 * MS;
        assert_eq!(
            run.leader_at(at_us + validity_us + validity_us / DRIFT),
            None
        );
        assert!(run.leader_at(at_us + 33 * SECOND).is_some());
        assert_eq!(
            run.longest_without_active_us(),
            0,
            "labels stay while nobody can write"
        );
    });
}

#[test]
fn a_dead_successor_costs_the_directed_two_seconds() {
    check("successor-dies", |run| {
        moved_once(run, "delete", 0, 2_500 * MS)
    });
}

#[test]
fn a_lost_handover_is_done_or_repeated() {
    // What became of it is read, once.
    let reads = |run: &Run| run.sent_after(mark(run, "delete").0, "read lease");
    check("handover-answer-lost", |run| {
        moved_once(run, "delete", 0, 100 * MS);
        assert_eq!(reads(run), 1);
    });
    check("handover-request-lost", |run| {
        // A request may take LD/5.
        moved_once(run, "delete", 0, 3_200 * MS);
        assert_eq!(reads(run), 1);
    });
}

#[test]
fn no_write_lowers_a_term_that_somebody_raised() {
    check("stray-terms", |run| {
        let (at_us, _) = mark(run, "edit role");
        assert_eq!(run.moves_after(at_us), 0);
    });
}

#[test]
fn an_edited_role_label_is_put_right() {
    check("label-removed", |run| {
        stayed(run, "edit role");
        assert!(run.longest_without_active_us() < 50 * MS);
    });
    check("label-forged", |run| {
        stayed(run, "edit role");
        let (at_us, _) = mark(run, "edit role");
        let (right_us, pods) = run.active.last().expect("a pod is active");
        assert_eq!(pods.len(), 1);
        assert!(right_us - at_us < 50 * MS);
    });
}

#[test]
fn a_switchover_goes_to_the_pod_it_names() {
    check("switchover", |run| {
        let (at_us, pod) = mark(run, "switchover");
        assert_eq!(run.moves_after(at_us), 1);
        assert_eq!(run.leader_at(at_us + 200 * MS), pod);
        assert_eq!(run.longest_without_active_us(), 0);
        assert_eq!(
            run.sent_after(at_us, "read lease"),
            0,
            "no news is old news"
        );
    });
}

#[test]
fn where_nothing_derives_the_selector_a_move_still_is_one_write() {
    check("switchover-underived", |run| {
        let moves = run.marks.iter().filter(|mark| mark.what == "switchover");
        let written: Vec<usize> = moves
            .map(|mark| run.sent_after(mark.at_us, "point service"))
            .collect();
        // The first leader's first write left the key behind. Who has not seen that learns it by a
        // refusal.
        assert!(written[0] <= 5, "{written:?}");
        assert_eq!(written[1..], [3, 2, 1]);
    });
}

#[test]
fn a_paused_group_promotes_nobody() {
    check("paused-crash", |run| {
        let (at_us, _) = mark(run, "pause");
        let (crash_us, pod) = mark(run, "crash node");
        assert_eq!(run.leader_at(at_us + 59 * SECOND), None);
        let moved_us = run
            .moved_us(crash_us, pod)
            .expect("the role moves once resumed");
        assert!(crash_us + moved_us - at_us < 60_500 * MS, "{moved_us}");
    });
}

#[test]
fn a_deleted_lease_is_made_again_by_its_holder() {
    check("lease-deleted", |run| stayed(run, "delete lease"));
}

#[test]
fn a_steady_group_writes_the_lease_once_in_a_third_of_its_duration() {
    check("steady", |run| {
        let quiet_us = run.end_us - 240 * SECOND;
        let sent = run.sent.iter().filter(|sent| sent.at_us > quiet_us);
        let renewals = sent.clone().filter(|sent| sent.what == "renew").count();
        assert!((46..=49).contains(&renewals), "{renewals} in 240 s");
        assert_eq!(sent.count(), renewals, "nothing else is asked");
    });
}

#[test]
fn a_standby_that_sees_no_renewals_asks_before_it_takes() {
    check("blind-watch", |run| stayed(run, "break watch"));
}

#[test]
fn a_lease_that_others_write_as_well_is_taken_once() {
    check("busy-lease", |run| {
        let ld_us = 15 * SECOND;
        moved_once(run, "crash node", 0, ld_us + ld_us / DRIFT + SECOND);
    });
}

#[test]
fn a_successor_that_is_deleted_as_well_does_not_take_the_role() {
    check("successor-deleted", |run| {
        let (at_us, _) = mark(run, "delete");
        let doomed: Vec<_> = run
            .marks
            .iter()
            .filter_map(|mark| mark.pod.as_deref())
            .collect();
        assert_eq!(doomed.len(), 3);
        // The new pods take some seconds until they are ready.
        let leader = run.leader_at(at_us + 30 * SECOND);
        assert!(
            leader.is_some_and(|leader| !doomed.contains(&leader)),
            "{leader:?}"
        );
    });
}

#[test]
fn clocks_on_the_wall_do_not_matter() {
    check("wall-clocks", |run| stayed(run, "step wall clock"));
}

#[test]
fn a_leader_that_hears_nothing_is_replaced() {
    check("deaf", |run| {
        // Its renewals arrive; it does not know, gives the role up, and goes on asking.
        let (at_us, pod) = mark(run, "deafen");
        let validity_us = 14_250 * MS;
        let lost_us = at_us + validity_us + validity_us / DRIFT;
        assert_eq!(
            run.leader_at(lost_us).filter(|leader| Some(*leader) == pod),
            None
        );
        assert_eq!(run.most_active(), 1);
    });
}

#[test]
fn a_group_that_is_cut_off_has_one_leader_soon_after_it_heals() {
    check("partition", |run| {
        let (at_us, _) = mark(run, "partition");
        assert_eq!(run.leader_at(at_us + 59 * SECOND), None);
        assert!(run.leader_at(at_us + 65 * SECOND).is_some());
        assert_eq!(run.most_active(), 1);
    });
}

#[test]
fn a_restored_backup_is_put_right_within_a_lease() {
    check("restore", |run| {
        let (at_us, _) = mark(run, "restore");
        let (down_us, ld_us) = (5 * SECOND, 15 * SECOND);
        let right_us = at_us + down_us + ld_us + ld_us / DRIFT + SECOND;
        assert!(run.leader_at(right_us).is_some());
        let (last_us, pods) = run.active.last().expect("a pod is active");
        assert_eq!(pods.len(), 1);
        assert!(*last_us <= right_us, "{last_us} {right_us}");
    });
}

#[test]
fn a_restored_backup_is_known_though_the_watch_shows_nothing_new() {
    check("restore-unseen", |run| {
        let (at_us, _) = mark(run, "restore");
        let right_us = at_us + 3 * SECOND + 15 * SECOND + 15 * SECOND / DRIFT + SECOND;
        assert!(run.leader_at(right_us).is_some());
    });
}

#[test]
fn a_service_that_joins_is_pointed_at_the_leader() {
    check("service-joins", |run| {
        stayed(run, "service joins");
        let (at_us, _) = mark(run, "service joins");
        assert_eq!(run.sent_after(at_us, "point service"), 1);
    });
}

#[test]
fn another_writer_of_a_service_is_answered_ever_more_slowly() {
    check("service-fight", |run| {
        stayed(run, "fight for service");
        let (at_us, _) = mark(run, "fight for service");
        let last = run
            .marks
            .iter()
            .rfind(|mark| mark.what == "fight for service");
        let for_s = (last.map_or(at_us, |mark| mark.at_us) - at_us) / SECOND;
        let written = run.sent_after(at_us, "point service");
        assert!(written as u64 <= 10 + for_s * 2, "{written} in {for_s} s");
    });
}

#[test]
fn the_same_seed_is_the_same_run() {
    for scenario in random_scenarios() {
        assert_eq!(World::replay(5, scenario), World::replay(5, scenario));
        assert_ne!(World::replay(5, scenario).0, World::replay(6, scenario).0);
    }
}

#[test]
fn every_random_scenario_has_its_share_of_fresh_runs() {
    let shares: Vec<_> = SHARES.iter().map(|(name, _)| *name).collect();
    assert!(random_scenarios().all(|scenario| shares.contains(&scenario.name)));
    assert_eq!(SHARES.iter().map(|(_, share)| share).sum::<u64>(), 100);
}

/// Seeds that once found something, with a word what.
#[rustfmt::skip] // One line each.
const REGRESSIONS: &[(&str, u64, &str)] = &[
    ("chaos", 19, "a selector key that nothing derives was left behind"),
    ("chaos", 42, "fencing refused a write of the annotations alone, for ever"),
    ("chaos", 697, "a pod whose object was gone left Services pointing at it"),
    ("chaos", 1066, "a Service edited within the term was fenced against its leader"),
    ("chaos", 2821, "a leader without object of its own waited for others' labels"),
    ("chaos", 5466, "the Lease was given away before Services were known"),
    ("chaos", 6137, "a second move began before the first was complete"),
    ("chaos", 9783, "a Service left the group and came back within the lag of a watch"),
    ("chaos", 10964, "a late view of a Service was taken for its state"),
    ("chaos", 14764, "a new pod did not wait for a leader whose traces went away"),
    ("chaos", 27707, "a lost answer left it open whether the own label was on"),
    ("chaos", 88329, "a list without the own pod did not say that it was gone"),
    ("everyday", 19, "a selector key that nothing derives was left behind"),
    ("everyday", 191, "a cordoned exclusive leader was passive and kept the Lease"),
    ("everyday", 3388, "a cordoned leader without successor freed the Lease"),
    ("everyday", 8379, "a second move began before the first was complete"),
    ("everyday", 54233, "others were stripped while the own label had to wait"),
    ("restored", 9398, "a successor named after a restore took its record for a restored one"),
    ("slow-then-silent", 1, "validity counted from the answer, as a mutant did"),
    ("tempest", 1_795_275_805_009_024, "the own pod was missed by a write, and by no watch"),
    ("flickering-service", 1_795_276_092_001_075, "late news that a Service had left, after it was back"),
    ("tempest", 16_484, "a sidecar that was restarted took its Lease back without a pod"),
    ("tempest", 1_795_284_008_002_233, "a restarted sidecar was blamed for its predecessor's requests"),
    ("storm", 1_795_271_277_001_904, "a lost write to a pod that was gone was waited for, for ever"),
    ("storm", 1_795_290_335_001_235, "a person's selector stays by hand until it is written"),
    ("restored", 1_795_288_602_000_968, "the Lease was freed though the own label may have been on"),
    ("outside", 45_680, "two pods outside of the group handed the role to and fro"),
    ("outside", 1_795_291_724_001_653, "who is outside cannot know that its own pod is gone"),
    ("tempest", 1_795_289_385_001_052, "each edit of a Service had every pod written at once"),
    ("foreigner", 1_795_276_745_002_193, "a deleted Lease was made anew before a longer lease was over"),
];

#[test]
fn seeds_that_once_found_something_find_nothing_now() {
    for (name, seed, what) in REGRESSIONS {
        let scenario = scenario(name).expect("the scenario exists");
        if let Err(violation) = World::run(*seed, scenario) {
            panic!("{what}\n{violation}");
        }
    }
}

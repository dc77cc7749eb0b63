//! The plan by table, and rotations by several replicas that see everything late.

use super::*;
use proptest::prelude::*;

const NOW_S: i64 = 1_800_000_000;
const DAY_S: i64 = 24 * HOUR_S;

#[track_caller]
fn check(ca_age_days: i64, leaf_age_days: i64, rotation: Rotation, expected: &Plan) {
    let lives = Lives::default();
    let ca = Validity::starting(NOW_S - ca_age_days * DAY_S, lives.authority.life_s);
    let leaf = Validity::starting(NOW_S - leaf_age_days * DAY_S, lives.serving.life_s);
    let found = Found::Certificates { ca, leaf, rotation };
    let plan = plan(&found, Some(7_200), &lives, NOW_S);
    assert_eq!(
        &plan, expected,
        "authority {ca_age_days} days old, leaf {leaf_age_days}, {rotation:?}"
    );
}

#[test]
fn certificates_are_renewed_before_they_end() {
    let none = Rotation::None;
    check(0, 0, none, &Plan::Serve);
    check(59, 59, none, &Plan::Serve);
    check(61, 61, none, &Plan::RenewLeaf);
    check(200, 100, none, &Plan::RenewLeaf);
    check(2_433, 1, none, &Plan::Serve);
    check(2_435, 1, none, &Plan::Announce);
    check(-1, -1, none, &Plan::Serve);
    let why = "the authority has expired".to_owned();
    check(3_651, 10, none, &Plan::Replace { why });
}

#[test]
fn a_rotation_takes_its_steps_one_overlap_apart() {
    let announced = |ago_s: i64| Rotation::Announced {
        since_s: NOW_S - ago_s,
    };
    let switched = |ago_s: i64| Rotation::Switched {
        since_s: NOW_S - ago_s,
    };
    check(2_500, 1, announced(3_599), &Plan::Serve);
    check(2_500, 1, announced(3_600), &Plan::Switch);
    check(0, 0, switched(3_599), &Plan::Serve);
    check(0, 0, switched(3_600), &Plan::Prune);
    // A leaf that is due does not wait for the rotation.
    check(2_500, 70, announced(10), &Plan::RenewLeaf);
}

#[test]
fn nothing_switches_before_the_next_authority_is_published_for_long() {
    let lives = Lives::default();
    let found = Found::Certificates {
        ca: Validity::starting(NOW_S, lives.authority.life_s),
        leaf: Validity::starting(NOW_S, lives.serving.life_s),
        rotation: Rotation::Announced {
            since_s: NOW_S - 10 * DAY_S,
        },
    };
    for published_s in [None, Some(0), Some(3_599)] {
        let plan = plan(&found, published_s, &lives, NOW_S);
        assert_eq!(plan, Plan::Serve, "{published_s:?}");
    }
}

#[test]
fn what_is_missing_or_torn_is_made() {
    let lives = Lives::default();
    assert_eq!(plan(&Found::Absent, None, &lives, NOW_S), Plan::Create);
    let why = "tls.key is missing".to_owned();
    let found = Found::Unusable { why: why.clone() };
    assert_eq!(plan(&found, None, &lives, NOW_S), Plan::Replace { why });
}

#[test]
fn lives_that_leave_no_time_for_a_rotation_are_refused() {
    assert_eq!(Lives::default().checked(), Ok(Lives::default()));
    let mut lives = Lives::default();
    lives.serving.renew_before_s = lives.serving.life_s;
    let error = lives.checked().unwrap_err().to_string();
    assert!(
        error.starts_with("the serving certificate is renewed"),
        "{error}"
    );
    let mut lives = Lives::default();
    lives.overlap_s = lives.authority.renew_before_s;
    let error = lives.checked().unwrap_err().to_string();
    assert!(error.contains("two steps of its rotation"), "{error}");
}

/// Everything in seconds: an authority of two minutes, and whatever is seen is seen up to 9 s late.
const LAG_S_MAX: i64 = 9;
const LIVES: Lives = Lives {
    authority: Life {
        life_s: 120,
        renew_before_s: 60,
    },
    serving: Life {
        life_s: 40,
        renew_before_s: 15,
    },
    overlap_s: 20,
};

/// The Secret: authorities by number, the one that signs first.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Secret {
    authorities: Vec<usize>,
    leaf_by: usize,
    leaf: Validity,
    rotation: Rotation,
}

/// What was written when; whoever looks sees a state that is a few seconds old.
struct History<T>(Vec<(i64, T)>);

impl<T> History<T> {
    fn last(&self) -> &T {
        &self.0.last().unwrap().1
    }

    fn as_of(&self, at_s: i64) -> &T {
        let seen = self
            .0
            .iter()
            .rev()
            .find(|(written_s, _)| *written_s <= at_s);
        &seen.unwrap_or(&self.0[0]).1
    }
}

struct Replica {
    as_of_s: i64,
    serves: Secret,
    published_since_s: Option<i64>,
    down_until_s: i64,
}

struct World {
    authorities: Vec<Validity>,
    secret: History<Secret>,
    bundle: History<Vec<usize>>,
    replicas: Vec<Replica>,
    /// Steps that were seen, for the proof that this test plays rotations.
    switches: usize,
}

impl World {
    fn new() -> Self {
        let first = Secret {
            authorities: vec![0],
            leaf_by: 0,
            leaf: Validity::starting(NOW_S, LIVES.serving.life_s),
            rotation: Rotation::None,
        };
        let replica = || Replica {
            as_of_s: NOW_S,
            serves: first.clone(),
            published_since_s: None,
            down_until_s: 0,
        };
        Self {
            authorities: vec![Validity::starting(NOW_S, LIVES.authority.life_s)],
            replicas: (0..3).map(|_| replica()).collect(),
            secret: History(vec![(NOW_S, first)]),
            bundle: History(vec![(NOW_S, vec![0])]),
            switches: 0,
        }
    }

    /// One replica looks and acts once.
    fn act(&mut self, now_s: i64, index: usize, lag_s: i64) {
        let replica = &mut self.replicas[index];
        if now_s < replica.down_until_s {
            return;
        }
        // A view never goes back.
        replica.as_of_s = replica.as_of_s.max(now_s - lag_s);
        let at_s = replica.as_of_s;
        let seen = self.secret.as_of(at_s).clone();
        replica.serves = seen.clone();
        let bundle_seen = self.bundle.as_of(at_s);
        let published = *bundle_seen == seen.authorities;
        let is_last_bundle = bundle_seen == self.bundle.last();
        replica.published_since_s = if published {
            replica.published_since_s.or(Some(now_s))
        } else {
            None
        };
        let published_s = replica.published_since_s.map(|since_s| now_s - since_s);
        if !published && is_last_bundle {
            self.bundle.0.push((now_s, seen.authorities.clone()));
        }
        if seen == *self.secret.last() {
            self.write(now_s, seen, published_s);
        }
    }

    /// The write that the plan asks for; the Secret is as it was seen.
    fn write(&mut self, now_s: i64, mut secret: Secret, published_s: Option<i64>) {
        let ca = self.authorities[secret.authorities[0]];
        let found = Found::Certificates {
            ca,
            leaf: secret.leaf,
            rotation: secret.rotation,
        };
        match plan(&found, published_s, &LIVES, now_s) {
            Plan::Serve => return,
            Plan::RenewLeaf => {}
            Plan::Announce => {
                let next = Validity::starting(now_s, LIVES.authority.life_s);
                self.authorities.push(next);
                secret.authorities.push(self.authorities.len() - 1);
                secret.rotation = Rotation::Announced { since_s: now_s };
            }
            Plan::Switch => {
                secret.authorities.swap(0, 1);
                secret.rotation = Rotation::Switched { since_s: now_s };
                self.switches += 1;
            }
            Plan::Prune => {
                secret.authorities.truncate(1);
                secret.rotation = Rotation::None;
            }
            plan @ (Plan::Create | Plan::Replace { .. }) => panic!("{plan:?} of {secret:?}"),
        }
        secret.leaf_by = secret.authorities[0];
        let signer = self.authorities[secret.leaf_by];
        secret.leaf = Validity::starting(now_s, LIVES.serving.life_s);
        secret.leaf.not_after_s = secret.leaf.not_after_s.min(signer.not_after_s);
        self.secret.0.push((now_s, secret));
    }

    /// Every API server, however late it is, takes what every replica serves.
    fn check(&self, now_s: i64) {
        for lag_s in 0..=LAG_S_MAX {
            let trusted = self.bundle.as_of(now_s - lag_s);
            for replica in self.replicas.iter().filter(|r| now_s >= r.down_until_s) {
                let served = &replica.serves;
                let by = served.leaf_by;
                assert!(
                    trusted.contains(&by),
                    "{served:?} against {trusted:?}, {lag_s}s late"
                );
                assert!(!served.leaf.is_over(now_s), "an expired leaf is served");
                assert!(
                    !self.authorities[by].is_over(now_s),
                    "its authority is over"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn each_served_leaf_verifies_against_each_published_bundle(
        choices in prop::collection::vec((0..3_usize, 0..=LAG_S_MAX, 0..=255_u8), 1_800),
    ) {
        let mut world = World::new();
        for (tick, turns) in choices.chunks(3).enumerate() {
            let now_s = NOW_S + tick as i64;
            for &(index, lag_s, luck) in turns {
                if luck == 0 {
                    // A crash; what starts again sees what is.
                    world.replicas[index].down_until_s = now_s + 5;
                    world.replicas[index].published_since_s = None;
                    world.replicas[index].as_of_s = now_s + 5;
                }
                world.act(now_s, index, lag_s);
            }
            for index in 0..3 {
                // Nobody is later than the most that is assumed.
                world.act(now_s, index, LAG_S_MAX);
            }
            world.check(now_s);
        }
        prop_assert!(world.switches >= 3, "only {} rotations", world.switches);
    }
}

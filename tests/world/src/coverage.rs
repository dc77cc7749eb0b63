//! Which faults and which moves a run has met. A fault that no seed meets proves nothing.

use std::fmt;

/// Declares the enum and the list of its variants in one place.
macro_rules! met {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Something that a run can meet.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Met { $($(#[$doc])* $name,)* }

        impl Met {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

met! {
    /// A candidate wrote itself into a Lease that did not exist.
    AcquireAbsent,
    /// A pod made a deleted Lease again, in nobody's name.
    Recreate,
    /// A candidate took one that was made so.
    AcquireUnheld,
    /// A candidate took a Lease that its holder had freed.
    AcquireFree,
    /// A candidate took a Lease whose holder had not renewed it.
    AcquireExpired,
    /// A candidate took a Lease whose named successor had not confirmed.
    AcquireUnconfirmed,
    /// A holder took its own Lease back: its sidecar was restarted, or it had lost the role.
    Retake,
    /// A successor confirmed.
    Confirm,
    /// A leader renewed.
    Renew,
    /// A leader renewed in a higher term, above a stray one.
    RaiseTerm,
    /// A leader named a successor.
    Handover,
    /// A leader freed the Lease.
    Release,
    /// A pod labelled itself active.
    LabelSelf,
    /// A pod took its own active label off.
    UnlabelSelf,
    /// A leader stripped another pod of its active label.
    Strip,
    /// A leader wrote role or term of another pod that was not active.
    MarkPassive,
    /// A pod wrote its own uid as label.
    OwnLabel,
    /// A Service was pointed at the writer.
    Point,
    /// A Service was pointed at no pod.
    PointNowhere,
    /// A sidecar wrote the selector key itself.
    WithSelector,
    /// A switchover was answered.
    SwitchoverAnswered,
    /// A leader lost the role because it could not renew.
    Expired,
    /// A leader learned that the Lease names somebody else.
    Usurped,
    /// A leader was on its way out and still led.
    Draining,
    /// A process ended after SIGTERM by itself.
    Finished,
    /// A read or write was refused by a fencing policy.
    Refused,
    /// A write met another version than it was based on.
    Conflict,
    /// An object was not there.
    NotFound,
    /// A request was lost before it was done.
    LostRequest,
    /// An answer was lost.
    LostAnswer,
    /// A request was slow on the way there.
    SlowRequest,
    /// An answer was slow on the way back.
    SlowAnswer,
    /// A request was done after its deadline.
    DoneLate,
    /// An answer came after its deadline.
    LateAnswer,
    /// An answer came twice.
    DuplicateAnswer,
    /// A request was refused with 429.
    Throttled,
    /// A request failed with 5xx.
    ServerError,
    /// A request failed with 5xx though it was done.
    ServerErrorDone,
    /// Another writer came before a write.
    Touched,
    /// A watch event came late.
    LateWatch,
    /// A watch event came twice.
    RepeatedWatch,
    /// A watch broke.
    BrokenWatch,
    /// Something happened while a watch was broken.
    WatchGap,
    /// Two streams told of two changes in the wrong order.
    Reordered,
    /// A sidecar was cut off.
    Cut,
    /// Several sidecars were cut off at once.
    Partitioned,
    /// A sidecar was heard and heard nothing.
    Deaf,
    /// A clock on the wall was set.
    WallClockStepped,
    /// A sidecar stood still.
    Frozen,
    /// The API server was down.
    Outage,
    /// The API server went back to an older state.
    Restored,
    /// A pod that was over came back with an older state.
    Resurrected,
    /// A sidecar crashed.
    SidecarCrash,
    /// A sidecar was restarted by SIGTERM.
    SidecarRestart,
    /// A node died.
    NodeCrash,
    /// A pod was deleted.
    Deleted,
    /// The active pod was deleted.
    LeaderDeleted,
    /// A pod was removed at once.
    ForceDeleted,
    /// An app ate its whole grace period.
    GraceEaten,
    /// All pods were replaced.
    Rollout,
    /// An app was not ready.
    Unready,
    /// A node was cordoned.
    Disrupted,
    /// The Lease was deleted.
    LeaseDeleted,
    /// A role label was edited.
    RoleEdited,
    /// A term was edited.
    TermEdited,
    /// The own label was removed.
    OwnLabelEdited,
    /// A pod was taken out of the group.
    PodLeft,
    /// A Service was edited.
    ServiceEdited,
    /// A Service left the group.
    ServiceLeft,
    /// A Service was deleted and made again.
    ServiceRecreated,
    /// The term of a Service was edited.
    ServiceOutbid,
    /// Another writer pointed a Service elsewhere again and again.
    ServiceFought,
    /// A Service that was there joined the group.
    ServiceJoined,
    /// There was no right to see Services.
    ServicesForbidden,
    /// The role was frozen.
    Paused,
    /// A switchover was asked for.
    SwitchoverAsked,
    /// A program of another kind wanted the Lease.
    Foreigner,
    /// It took the Lease.
    ForeignerTook,
    /// It renewed the Lease.
    ForeignerRenewed,
    /// The world was quiet long enough for all to be in order.
    Quiet,
}

/// How often each was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage([u64; Met::ALL.len()]);

impl Coverage {
    /// Nothing was met.
    pub const NONE: Self = Self([0; Met::ALL.len()]);

    /// Counts one.
    pub fn met(&mut self, met: Met) {
        self.0[met as usize] += 1;
    }

    /// How often `met` was met.
    pub fn count(&self, met: Met) -> u64 {
        self.0[met as usize]
    }

    /// Adds another run.
    pub fn add(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum += count;
        }
    }

    /// What was never met.
    pub fn missing(&self) -> Vec<Met> {
        Met::ALL
            .iter()
            .copied()
            .filter(|met| self.count(*met) == 0)
            .collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for met in Met::ALL {
            writeln!(f, "{:>10}  {met:?}", self.count(*met))?;
        }
        Ok(())
    }
}

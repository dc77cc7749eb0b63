//! The Lease of Service mode's replicas: read, and written back with what else is in it.
//!
//! Nobody else takes part in this election, so it needs no more of the Lease than its claim.

use election::{LeaseView, LeaseWrite, LeaseWriteKind, Record, Version};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;

/// What the elector sees of it; `None` without a version, which no API server leaves out.
pub(crate) fn view(lease: &Lease) -> Option<LeaseView> {
    let version = lease.metadata.resource_version.as_deref()?.parse().ok()?;
    let spec = lease.spec.clone().unwrap_or_default();
    let whole = |number: Option<i32>| number.and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
    let record = Record {
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        term: whole(spec.lease_transitions),
        duration_ms: whole(spec.lease_duration_seconds) * 1_000,
        renew_time_us: spec.renew_time.map_or(0, |time| time.0.as_microsecond()),
        ..Record::default()
    };
    Some(LeaseView {
        version: Version(version),
        record,
    })
}

/// The Lease to send: `base` with what the write changes, or a new one of this name.
pub(crate) fn written(write: &LeaseWrite, base: Option<Lease>, name: &str, at: Timestamp) -> Lease {
    let mut lease = base.unwrap_or_default();
    lease.metadata.name = Some(name.to_owned());
    lease.metadata.resource_version = write.base.map(|version| version.0.to_string());
    lease.metadata.managed_fields = None;
    let spec = lease.spec.get_or_insert_default();
    let holder = write.holder.as_ref().map(ToString::to_string);
    spec.holder_identity = Some(holder.unwrap_or_default());
    spec.lease_transitions = i32::try_from(write.term).ok();
    spec.lease_duration_seconds = i32::try_from(write.duration_ms / 1_000).ok();
    let acquires = matches!(
        write.kind,
        LeaseWriteKind::Acquire | LeaseWriteKind::Confirm | LeaseWriteKind::Handover
    );
    let renews = matches!(write.kind, LeaseWriteKind::Renew | LeaseWriteKind::Release);
    if acquires {
        spec.acquire_time = Some(MicroTime(at));
    }
    if acquires || renews {
        spec.renew_time = Some(MicroTime(at));
    }
    lease
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::ids::Identity;
    use serde_json::json;

    #[test]
    fn what_is_written_is_read_again() {
        let write = LeaseWrite {
            kind: LeaseWriteKind::Acquire,
            base: Some(Version(7)),
            holder: Some(Identity::new("replica-1", "u-1")),
            term: 4,
            duration_ms: 5_000,
            owner: None,
            history: None,
            answer: None,
        };
        let base = json!({"metadata": {"labels": {"team": "a"}, "resourceVersion": "3"}});
        let base = serde_json::from_value(base).unwrap();
        let at = "2026-11-21T12:00:00.000007Z".parse().unwrap();
        let lease = written(&write, Some(base), "service-mode", at);
        let read = view(&lease).unwrap();
        assert_eq!(read.version, Version(7));
        assert_eq!(read.record.holder.as_deref(), Some("replica-1_u-1"));
        assert_eq!((read.record.term, read.record.duration_ms), (4, 5_000));
        assert_eq!(read.record.renew_time_us, at.as_microsecond());
        assert_eq!(lease.metadata.labels.unwrap()["team"], "a");
    }

    #[test]
    fn a_freed_lease_is_free() {
        let write = LeaseWrite {
            kind: LeaseWriteKind::Release,
            base: Some(Version(7)),
            holder: None,
            term: 4,
            duration_ms: 5_000,
            owner: None,
            history: None,
            answer: None,
        };
        let lease = written(&write, None, "service-mode", Timestamp::UNIX_EPOCH);
        assert_eq!(view(&lease).unwrap().record.holder, None);
        assert_eq!(lease.spec.unwrap().holder_identity.as_deref(), Some(""));
    }
}

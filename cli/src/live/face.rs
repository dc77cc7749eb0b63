//! A group as the page gets it: what `status -o json` says, less what the page counts by itself, and
//! what its pods did. Pure.

use super::tracks::{Phase, Track};
use crate::group::Group;
use crate::report::GroupReport;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

/// Whether how long the last move took is still what its first write could know: the next renewal, a
/// third of the Lease's duration later, says it for good.
pub(super) fn is_settling(group: &Group) -> bool {
    let (Some(lease), Some(entry)) = (&group.lease, group.last_move()) else {
        return false;
    };
    let moved = entry.at.parse::<Timestamp>().ok();
    let Some((renewed, moved)) = lease.renewed_at().zip(moved) else {
        return false;
    };
    let since_ms = renewed.as_millisecond() - moved.as_millisecond();
    since_ms < i64::try_from(lease.duration_s()).unwrap_or(0) * 1_000 / 4
}

/// The JSON. It stays the same while the Lease is merely renewed.
pub(super) fn face(group: &Group, tracks: &[Track], leaderless: bool, at: Timestamp) -> String {
    let report = serde_json::to_value(GroupReport::new(group, at));
    // A report always has a JSON form.
    let mut face = report.unwrap_or_default();
    if let Some(fields) = face.as_object_mut() {
        // Counted where it is shown, from the renewals.
        fields.remove("lease_left_s");
        let id = format!("{}/{}", group.namespace, group.name);
        fields.insert("id".to_owned(), json!(id));
        fields.insert("leaderless".to_owned(), json!(leaderless));
        fields.insert("settling".to_owned(), json!(is_settling(group)));
        fields.insert("sees_leases".to_owned(), json!(group.sees.leases));
        fields.insert("tracks".to_owned(), json!(tracks));
    }
    let pods = face["pods"].as_array_mut();
    for (pod, member) in pods.into_iter().flatten().zip(&group.members) {
        let created_ms = member.created_at.map(Timestamp::as_millisecond);
        pod["phase"] = json!(Phase::of(member));
        pod["created_ms"] = created_ms.map_or(Value::Null, |ms| json!(ms));
    }
    face.to_string()
}

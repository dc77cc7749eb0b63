//! The annotations of a pod template, each parsed to a type; all errors of a pod at once.

use crate::reason::BadValue;
use crate::values;
use common::contract::{self, default};
use common::duration::format_ms;
use common::ids::Group;
use common::nearest::nearest;
use common::role::RoleLabelNames;
use common::seeds::{KeyRule, Seed};
use serde_json::{Map, Value};

/// Longest value that is looked at, bytes: the longest sensible one is `resources`.
const VALUE_BYTES_MAX: usize = 1024;
/// Characters of a value that an error repeats.
const SHOWN_CHARS_MAX: usize = 80;
/// Shortest renew deadline and retry period, milliseconds.
const PERIOD_MS_MIN: u64 = 100;

/// What a pod asks for, with defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The system whose names are spoken; none: the usual ones.
    pub profile: Option<&'static Seed>,
    /// How long the Lease is valid after its last renewal, milliseconds; whole seconds.
    pub lease_duration_ms: u64,
    /// How long a leader tries to renew, milliseconds.
    pub renew_deadline_ms: u64,
    /// First retry after a failed renewal, milliseconds.
    pub retry_period_ms: u64,
    /// Key of the role label.
    pub role_label: String,
    /// Its value on the active pod.
    pub active_value: String,
    /// Its value on passive pods; empty: the label is absent.
    pub passive_value: String,
    /// In which order a planned move writes the two pods.
    pub handover: Handover,
    /// How long a draining leader waits, milliseconds; none: what the grace period leaves.
    pub drain_timeout_ms: Option<u64>,
    /// Whether app containers without a preStop hook get one.
    pub hold_app: bool,
    /// How long after the last routing write `/drain` holds, milliseconds.
    pub settle_ms: u64,
    /// Containers whose readiness counts; none: all.
    pub containers: Option<Vec<String>>,
    /// How long the leader's app may be not ready, milliseconds.
    pub unready_grace_ms: u64,
    /// Rank among successors; negative: never leads.
    pub priority: i32,
    /// Folder of the role file in the app containers.
    pub status_dir: Option<String>,
    /// Where each role change is posted.
    pub notify_url: Option<String>,
    /// Whether app containers get variables that say where to ask who leads.
    pub elector_env: bool,
    /// Which account the pod runs as.
    pub service_account: ServiceAccountMode,
    /// Resources of the sidecar; none: the defaults, fitted to the pod.
    pub resources: Option<Value>,
}

/// The order of a planned move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handover {
    /// Never zero active pods: the new one first.
    Seamless,
    /// Never two: the old one first.
    Exclusive,
}

impl Handover {
    const WORDS: [(&'static str, Self); 2] =
        [("seamless", Self::Seamless), ("exclusive", Self::Exclusive)];

    /// The word of the annotation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seamless => Self::WORDS[0].0,
            Self::Exclusive => Self::WORDS[1].0,
        }
    }
}

/// What becomes of the pod's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceAccountMode {
    /// `default` is replaced by the group's own.
    Auto,
    /// It stays.
    Keep,
}

const YES_NO: [(&str, bool); 2] = [("true", true), ("false", false)];
const ACCOUNT_WORDS: [(&str, ServiceAccountMode); 2] = [
    ("auto", ServiceAccountMode::Auto),
    ("keep", ServiceAccountMode::Keep),
];

/// Whether the pod asks for the sidecar.
///
/// # Errors
/// If the value is neither "true" nor "false".
pub(crate) fn asks(inject: &Value) -> Result<bool, BadValue> {
    let key = contract::INJECT;
    text(inject)
        .and_then(|text| values::word(text, &YES_NO))
        .map_err(|problem| BadValue { key, problem })
}

/// The group that the pod names, if it names one.
///
/// # Errors
/// If the name is no DNS label.
pub(crate) fn group(annotations: &Map<String, Value>) -> Result<Option<Group>, BadValue> {
    let mut read = Reader {
        annotations,
        errors: Vec::new(),
    };
    let group = read.optional(contract::GROUP, |text| {
        Group::parse(text).map_err(|error| error.to_string())
    });
    read.errors.pop().map_or(Ok(group), Err)
}

impl Options {
    /// Reads all annotations of ours but the group's. A default stands for each one that is absent.
    ///
    /// # Errors
    /// Every annotation whose value does not parse, or does not go with another's.
    pub fn parse(annotations: &Map<String, Value>) -> Result<Self, Vec<BadValue>> {
        let mut read = Reader {
            annotations,
            errors: Vec::new(),
        };
        let profile = read.profile();
        let (lease_duration_ms, renew_deadline_ms, retry_period_ms) = read.timing();
        let (role_label, active_value, passive_value) = read.role(profile);
        let up_to_1h_ms = || 0..=default::DRAIN_TIMEOUT_MS_MAX;
        let duration = |text: &str| values::duration_ms(text, up_to_1h_ms());
        let folder = profile.and_then(|seed| seed.status_dir).map(str::to_owned);
        let options = Self {
            profile,
            lease_duration_ms,
            renew_deadline_ms,
            retry_period_ms,
            role_label,
            active_value,
            passive_value,
            handover: read
                .optional(contract::HANDOVER, |text| {
                    values::word(text, &Handover::WORDS)
                })
                .unwrap_or(Handover::Seamless),
            drain_timeout_ms: read.optional(contract::DRAIN_TIMEOUT, duration),
            hold_app: read
                .optional(contract::HOLD_APP, |text| values::word(text, &YES_NO))
                .unwrap_or(true),
            settle_ms: read
                .optional(contract::SETTLE, duration)
                .unwrap_or(default::SETTLE_MS),
            containers: read
                .optional(contract::CONTAINERS, values::containers)
                .flatten(),
            unready_grace_ms: read
                .optional(contract::UNREADY_GRACE, duration)
                .unwrap_or(default::UNREADY_GRACE_MS),
            priority: read
                .optional(contract::PRIORITY, values::whole_number)
                .unwrap_or(0),
            status_dir: read
                .optional(contract::STATUS_DIR, values::folder)
                .or(folder),
            notify_url: read.optional(contract::NOTIFY_URL, values::local_url),
            elector_env: read
                .optional(contract::ELECTOR_ENV, |text| values::word(text, &YES_NO))
                .unwrap_or(false),
            service_account: read
                .optional(contract::SERVICE_ACCOUNT, |text| {
                    values::word(text, &ACCOUNT_WORDS)
                })
                .unwrap_or(ServiceAccountMode::Auto),
            resources: read.optional(contract::RESOURCES, values::resources),
        };
        if read.errors.is_empty() {
            Ok(options)
        } else {
            Err(read.errors)
        }
    }
}

impl Options {
    /// Fills in what follows from the name of the election.
    pub(crate) fn named_after(mut self, election: &str) -> Self {
        if self.role_label.is_empty()
            && let Some(role) = self.profile.and_then(|seed| seed.role)
        {
            self.role_label = role.key.of(election);
        }
        self
    }
}

/// Warnings for keys under our prefix that mean nothing on a pod.
pub(crate) fn unknown_keys(annotations: &Map<String, Value>) -> Vec<String> {
    let read_by_us = contract::TEMPLATE_ANNOTATIONS.map(|key| key.key);
    let written_by_us = [contract::INJECTED, contract::INJECTED_BY, contract::TERM];
    let known = || read_by_us.into_iter().chain(written_by_us);
    annotations
        .keys()
        .filter(|key| key.starts_with(contract::PREFIX) && known().all(|known| known != *key))
        .map(|key| match (elsewhere(key), nearest(key, known())) {
            (Some(kind), _) => format!("{key} means nothing on a pod: write it on the {kind}"),
            (None, Some(nearest)) => {
                format!("{key} is unknown and ignored: did you mean {nearest}?")
            }
            (None, None) => {
                format!("{key} is unknown and ignored: docs/annotations.md lists all keys")
            }
        })
        .collect()
}

/// The kind of object on which a key that means nothing on a pod means something.
fn elsewhere(key: &str) -> Option<&'static str> {
    let in_table = |table: &[contract::Key]| table.iter().any(|known| known.key == key);
    if in_table(&contract::SERVICE_ANNOTATIONS) {
        Some("Service")
    } else {
        in_table(&contract::LEASE_ANNOTATIONS).then_some("Lease")
    }
}

/// Reads annotations and gathers what is wrong with them.
struct Reader<'a> {
    annotations: &'a Map<String, Value>,
    errors: Vec<BadValue>,
}

impl Reader<'_> {
    /// The value of `key`; none if it is absent, or wrong and noted.
    fn optional<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.annotations.get(key).filter(|value| !value.is_null())?;
        match text(value).and_then(parse) {
            Ok(value) => Some(value),
            Err(problem) => {
                let problem = shortened(problem, value);
                self.errors.push(BadValue { key, problem });
                None
            }
        }
    }

    /// The profile, but for the default one.
    fn profile(&mut self) -> Option<&'static Seed> {
        let [default, others @ ..] = contract::PROFILES;
        let seed = self.optional(contract::PROFILE, |text| match Seed::named(text) {
            Some(seed) => Ok(Some(seed)),
            None if text == default => Ok(None),
            None => Err(format!(
                "{text:?} is unknown: write {default} or one of {}",
                others.join(", ")
            )),
        });
        seed.flatten()
    }

    /// Lease duration, renew deadline and retry period, in the relations that client-go demands.
    fn timing(&mut self) -> (u64, u64, u64) {
        let wrong_before = self.errors.len();
        let lease_range = default::LEASE_DURATION_MS_MIN..=default::LEASE_DURATION_MS_MAX;
        let lease_ms = self
            .optional(contract::LEASE_DURATION, |text| {
                let ms = values::duration_ms(text, lease_range)?;
                if ms % 1000 == 0 {
                    Ok(ms)
                } else {
                    Err(format!("{text:?} is refused: a Lease counts whole seconds"))
                }
            })
            .unwrap_or(default::LEASE_DURATION_MS);
        let period =
            |text: &str| values::duration_ms(text, PERIOD_MS_MIN..=default::LEASE_DURATION_MS_MAX);
        let deadline_ms = self
            .optional(contract::RENEW_DEADLINE, period)
            .unwrap_or(lease_ms * 2 / 3);
        let retry_ms = self
            .optional(contract::RETRY_PERIOD, period)
            .unwrap_or(lease_ms * 2 / 15);
        if self.errors.len() == wrong_before {
            self.relations(lease_ms, deadline_ms, retry_ms);
        }
        (lease_ms, deadline_ms, retry_ms)
    }

    fn relations(&mut self, lease_ms: u64, deadline_ms: u64, retry_ms: u64) {
        let (lease, deadline, retry) = (
            format_ms(lease_ms),
            format_ms(deadline_ms),
            format_ms(retry_ms),
        );
        if deadline_ms >= lease_ms {
            let problem = format!(
                "{deadline} is not less than the lease-duration {lease}: write less, such as {}",
                format_ms(lease_ms * 2 / 3)
            );
            self.errors.push(BadValue {
                key: contract::RENEW_DEADLINE,
                problem,
            });
        }
        if deadline_ms * 5 <= retry_ms * 6 {
            let problem = format!(
                "{retry} times 1.2 is {}, which is not less than the renew-deadline {deadline}: \
                 write {} or less",
                format_ms(retry_ms * 6 / 5),
                format_ms((deadline_ms * 5 - 1) / 6)
            );
            self.errors.push(BadValue {
                key: contract::RETRY_PERIOD,
                problem,
            });
        }
    }

    /// Key and values of the role label. The key is empty where it follows from the election, see
    /// [`Options::named_after`].
    fn role(&mut self, profile: Option<&Seed>) -> (String, String, String) {
        let usual = RoleLabelNames {
            key: contract::ROLE.to_owned(),
            active: default::ACTIVE_VALUE.to_owned(),
            passive: Some(default::PASSIVE_VALUE.to_owned()),
        };
        let usual = profile
            .and_then(|seed| seed.role_label(""))
            .unwrap_or(usual);
        let label = self
            .optional(contract::ROLE_LABEL, |text| {
                let key = values::label_key(text)?;
                if key.starts_with(contract::PREFIX) && key != contract::ROLE {
                    Err(format!(
                        "{text:?} is a key of ours with another meaning: choose another"
                    ))
                } else {
                    Ok(key)
                }
            })
            .unwrap_or_else(|| match profile.and_then(|seed| seed.role) {
                Some(role) if matches!(role.key, KeyRule::OfElection(_)) => String::new(),
                _ => usual.key,
            });
        let active = self
            .optional(contract::ACTIVE_VALUE, |text| match text {
                "" => Err("\"\" cannot mark the active pod: write a label value".to_owned()),
                text => values::label_value(text),
            })
            .unwrap_or(usual.active);
        let passive = self
            .optional(contract::PASSIVE_VALUE, values::label_value)
            .unwrap_or_else(|| usual.passive.unwrap_or_default());
        if active == passive {
            let problem = format!("{passive:?} is the active-value too: choose another");
            self.errors.push(BadValue {
                key: contract::PASSIVE_VALUE,
                problem,
            });
        }
        (label, active, passive)
    }
}

/// The text of an annotation. YAML makes `true` and `5` other things than text.
fn text(value: &Value) -> Result<&str, String> {
    let text = match value {
        Value::String(text) => text,
        Value::Bool(_) | Value::Number(_) => {
            return Err(format!("{value} is no text: write it in quotes"));
        }
        _ => return Err("the value is no text".to_owned()),
    };
    if text.len() > VALUE_BYTES_MAX {
        return Err(format!(
            "the value has {} bytes: at most {VALUE_BYTES_MAX}",
            text.len()
        ));
    }
    Ok(text)
}

/// An error with its value cut short: with all errors of a pod at once, the cures must be found.
fn shortened(problem: String, value: &Value) -> String {
    let Some(text) = value.as_str() else {
        return problem;
    };
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        None => problem,
        Some((end, _)) => problem.replace(&format!("{text:?}"), &format!("{:?}...", &text[..end])),
    }
}

#[cfg(test)]
mod tests;

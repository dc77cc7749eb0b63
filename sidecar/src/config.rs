//! The settings, read from the environment once and typed from then on.

use common::contract::{self, default, env};
use common::duration::{format_ms, parse_ms};
use common::hash::fnv1a;
use common::ids::{Group, Identity};
use common::role::{Containers, RoleLabelNames};
use common::seeds::{Route, Seed};
use election::{Customs, Handover, Params};
use std::path::PathBuf;

use crate::lease::{Fence, LeaseForm};
use crate::members::{Mark, Members};
use crate::notify::NotifyUrl;
use crate::role_files::RoleFiles;
use crate::selector_route::SelectorRoute;
use crate::sight::Sight;

/// Duration of a Lease that was freed, as electors on client-go write it, seconds.
pub(crate) const FREE_S: u64 = 1;

/// All settings of one sidecar.
#[derive(Debug, Clone)]
pub struct Config {
    /// Election group of the pod.
    pub group: Group,
    /// Namespace of the pod.
    pub namespace: String,
    /// Settings of the elector.
    pub params: Params,
    /// The role label and its values.
    pub role_label: RoleLabelNames,
    /// Whose readiness makes a pod eligible.
    pub containers: Containers,
    /// Port of the HTTP server.
    pub port: u16,
    /// How long `/drain` holds after traffic was routed away, milliseconds.
    pub settle_ms: u64,
    /// Folder of the role file.
    pub status_dir: Option<PathBuf>,
    /// Files named after the role.
    pub role_files: Option<RoleFiles>,
    /// Where role changes are posted.
    pub notify_url: Option<NotifyUrl>,
    /// How the Lease is called and written.
    pub lease: LeaseForm,
    /// Which pods belong to the group.
    pub members: Members,
    /// By which label a pod says that its sidecar has started.
    pub mark: Mark,
    /// Whether pods carry the role as a label.
    pub shows_role: bool,
    /// The Service that is pointed at the leader by its selector alone.
    pub route: Option<SelectorRoute>,
    /// How the Lease and the pods are seen.
    pub sight: Sight,
    /// Whether it may do without its port, if that is taken.
    pub port_is_spare: bool,
    /// Whether SIGTERM comes with the app's, at the beginning of the end: a leader then goes on until
    /// another pod is there to follow.
    pub lingers: bool,
    /// What is answered besides the own routes.
    pub routes: &'static [Route],
}

/// Why the environment does not make a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A variable without default is absent.
    #[error(
        "environment variable {name} is missing: the webhook sets it on the containers it injects; \
         to run in the place of another elector, name that in {}",
        env::PERSONALITY
    )]
    Missing {
        /// The variable.
        name: &'static str,
    },
    /// A variable has a value that it cannot have.
    #[error("environment variable {name} is {value:?}, but must be {expected}")]
    Bad {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
}

impl Config {
    /// Reads the settings through `lookup`, which is the process's environment but for tests.
    ///
    /// # Errors
    /// [`ConfigError`] for the first variable that is missing or cannot be what it is.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let vars = Vars(&lookup);
        let group = vars.required(env::GROUP)?;
        let group = Group::parse(&group).map_err(|_| ConfigError::Bad {
            name: env::GROUP,
            value: group,
            expected: "a DNS label of at most 63 characters",
        })?;
        let passive = lookup(env::PASSIVE_VALUE);
        let profile = vars.profile()?;
        let config = Self {
            role_files: None,
            lease: LeaseForm {
                name: group.to_string(),
                fence: Fence::On,
                free_s: None,
            },
            members: Members::of_group(&group),
            mark: Mark::Uid,
            shows_role: true,
            route: None,
            sight: Sight::default(),
            port_is_spare: false,
            lingers: false,
            routes: &[],
            group,
            namespace: vars.required(env::POD_NAMESPACE)?,
            params: params(&vars)?,
            role_label: RoleLabelNames {
                key: vars.text(env::ROLE_LABEL, contract::ROLE),
                active: vars.text(env::ACTIVE_VALUE, default::ACTIVE_VALUE),
                // Set and empty: passive pods go without the label.
                passive: Some(passive.unwrap_or_else(|| default::PASSIVE_VALUE.to_owned()))
                    .filter(|value| !value.is_empty()),
            },
            containers: Containers::parse(vars.optional(env::CONTAINERS).as_deref()),
            port: port(&lookup)?,
            settle_ms: vars.duration_ms(env::SETTLE, default::SETTLE_MS)?,
            status_dir: vars.optional(env::STATUS_DIR).map(PathBuf::from),
            notify_url: vars
                .optional(env::NOTIFY_URL)
                .map(|url| {
                    NotifyUrl::parse(&url).ok_or(ConfigError::Bad {
                        name: env::NOTIFY_URL,
                        value: url,
                        expected: "an http URL on localhost, like http://127.0.0.1:8080/role",
                    })
                })
                .transpose()?,
        };
        Ok(match profile {
            Some(seed) => config.in_the_manner_of(seed),
            None => config,
        })
    }

    /// Written, answered and shown in files as that system does it. What moves the role stays.
    fn in_the_manner_of(mut self, seed: &'static Seed) -> Self {
        self.params.customs.holder = seed.holder;
        self.lease.fence = Fence::Off;
        self.lease.free_s = Some(FREE_S);
        self.routes = seed.routes;
        let role = seed.role.filter(|_| seed.status_dir.is_some());
        self.role_files = self
            .status_dir
            .clone()
            .zip(role)
            .map(|(folder, role)| RoleFiles {
                folder,
                active: role.active.to_owned(),
                passive: role.passive.map(str::to_owned),
                content: self.params.identity.name.clone(),
            });
        self
    }

    /// Longest time from an attempt to connect to the API server until it is given up: requests
    /// get a fifth of the lease duration, and a retry on another connection must fit in.
    pub fn connect_timeout_ms(&self) -> u64 {
        (self.params.lease_duration_ms / 10).clamp(250, 3_000)
    }
}

/// The port of the HTTP server, which the probe needs as well.
///
/// # Errors
/// [`ConfigError`] if the variable holds something else than a port.
pub fn port(lookup: impl Fn(&str) -> Option<String>) -> Result<u16, ConfigError> {
    let Some(value) = Vars(&lookup).optional(env::PORT) else {
        return Ok(contract::SIDECAR_PORT);
    };
    let port = value.parse().ok().filter(|port| *port > 0);
    port.ok_or(ConfigError::Bad {
        name: env::PORT,
        value,
        expected: "a port, 1 to 65535",
    })
}

fn params<F: Fn(&str) -> Option<String>>(vars: &Vars<'_, F>) -> Result<Params, ConfigError> {
    let uid = vars.required(env::POD_UID)?;
    let lease_ms = vars.duration_ms(env::LEASE_DURATION, default::LEASE_DURATION_MS)?;
    let lease_range = default::LEASE_DURATION_MS_MIN..=default::LEASE_DURATION_MS_MAX;
    let bad = |name, ms, expected| ConfigError::Bad {
        name,
        value: format_ms(ms),
        expected,
    };
    if !lease_range.contains(&lease_ms) || lease_ms % 1_000 != 0 {
        return Err(bad(
            env::LEASE_DURATION,
            lease_ms,
            "whole seconds, 3s to 1h",
        ));
    }
    let deadline_ms = vars.duration_ms(env::RENEW_DEADLINE, lease_ms * 2 / 3)?;
    let retry_ms = vars.duration_ms(env::RETRY_PERIOD, lease_ms * 2 / 15)?;
    if deadline_ms >= lease_ms {
        return Err(bad(
            env::RENEW_DEADLINE,
            deadline_ms,
            "shorter than the lease duration",
        ));
    }
    if retry_ms == 0 || retry_ms * 6 >= deadline_ms * 5 {
        let expected = "longer than 0, and 1.2 times it below the renew deadline";
        return Err(bad(env::RETRY_PERIOD, retry_ms, expected));
    }
    let grace_ms = default::GRACE_PERIOD_S * 1_000 - default::DRAIN_RESERVE_MS;
    let handover = match vars.text(env::HANDOVER, "seamless").as_str() {
        "seamless" => Handover::Seamless,
        "exclusive" => Handover::Exclusive,
        other => {
            return Err(ConfigError::Bad {
                name: env::HANDOVER,
                value: other.to_owned(),
                expected: "seamless or exclusive",
            });
        }
    };
    Ok(Params {
        // The pods of a group retry at different instants.
        jitter_seed: fnv1a(uid.as_bytes()),
        identity: Identity::new(vars.required(env::POD_NAME)?, uid),
        owner: vars.optional(env::OWNER),
        lease_duration_ms: lease_ms,
        renew_deadline_ms: deadline_ms,
        retry_period_ms: retry_ms,
        handover,
        drain_timeout_ms: vars.duration_ms(env::DRAIN_TIMEOUT, grace_ms)?,
        unready_grace_ms: vars.duration_ms(env::UNREADY_GRACE, default::UNREADY_GRACE_MS)?,
        customs: Customs::default(),
    })
}

struct Vars<'a, F>(&'a F);

impl<F: Fn(&str) -> Option<String>> Vars<'_, F> {
    fn optional(&self, name: &'static str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    fn required(&self, name: &'static str) -> Result<String, ConfigError> {
        self.optional(name).ok_or(ConfigError::Missing { name })
    }

    fn text(&self, name: &'static str, default: &str) -> String {
        self.optional(name).unwrap_or_else(|| default.to_owned())
    }

    /// The system in whose manner it acts, if that is not its own.
    fn profile(&self) -> Result<Option<&'static Seed>, ConfigError> {
        let Some(value) = self.optional(env::PROFILE) else {
            return Ok(None);
        };
        let expected = "one of the profiles of docs/annotations.md, but for default";
        Seed::named(&value).map(Some).ok_or(ConfigError::Bad {
            name: env::PROFILE,
            value,
            expected,
        })
    }

    fn duration_ms(&self, name: &'static str, default_ms: u64) -> Result<u64, ConfigError> {
        let Some(value) = self.optional(name) else {
            return Ok(default_ms);
        };
        let expected = "a duration like 15s, 1m30s or 500ms";
        parse_ms(&value).map_err(|_| ConfigError::Bad {
            name,
            value,
            expected,
        })
    }
}

#[cfg(test)]
mod tests;

//! What becomes of a pod that is about to be created.

use crate::account::{Account, AccountKind};
use crate::container::Sidecar;
use crate::drain::Drain;
use crate::group;
use crate::json::Json;
use crate::options::{self, Options};
use crate::patch::{Add, Patch, Pointer};
use crate::pod::{self, Pod};
use crate::reason::{BadValue, Reason, Reasons};
use crate::shapes::Volume;
use crate::{apps, elector_env, port, preset, volumes};
use common::contract;
use common::hash::by_words;
use common::ids::Group;
use common::owner::Owner;
use serde_json::{Map, Value};

/// What the text of most containers of ours needs, bytes.
const CONTAINER_BYTES: usize = 4 * 1024;
/// Names of one message.
const NAMES_MAX: usize = 10;

/// The answer to one review.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Decision {
    /// The pod is injected.
    Patch(Box<Injection>),
    /// The pod is none of ours.
    Skip(Reason),
    /// The pod asked for something that it cannot have.
    Deny {
        /// All that stands against it.
        reasons: Reasons,
        /// What may explain it.
        warnings: Vec<String>,
    },
}

impl Decision {
    /// A name for programs; it never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Patch(injection) if injection.ops.is_empty() => "unchanged",
            Self::Patch(_) => "injected",
            Self::Skip(_) => "skipped",
            Self::Deny { .. } => "denied",
        }
    }
}

/// How a pod is injected.
#[derive(Debug, Clone, PartialEq)]
pub struct Injection {
    /// The patch; empty for a pod that has everything.
    pub ops: Vec<Add>,
    /// What whoever made the pod should know.
    pub warnings: Vec<String>,
    /// The election group.
    pub group: Group,
    /// The account that the pod will run as. It must exist, and be bound, before the pod is let in.
    pub account: Account,
}

/// What the review says besides the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestInfo<'a> {
    /// Namespace that the pod is created in; its own metadata may not say.
    pub namespace: &'a str,
    /// Whether this is a creation.
    pub is_create: bool,
    /// The group's account does not exist and will not be made, since this is a dry run.
    pub account_missing: bool,
}

/// What the installation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Image of the sidecar.
    pub image: String,
    /// `Always`, `IfNotPresent` or `Never`.
    pub image_pull_policy: String,
    /// Version of this program.
    pub version: String,
}

/// Decides about a pod. Total: it answers on any JSON.
pub fn decide(pod: &Value, request: &RequestInfo<'_>, settings: &Settings) -> Decision {
    match asks(pod, request) {
        Ok(None) => {}
        Ok(Some(reason)) => return Decision::Skip(reason),
        Err(bad) => return deny(Reason::BadValue(bad)),
    }
    match Pod::read(pod) {
        Ok(pod) if pod.windows() => deny(Reason::Windows),
        Ok(pod) => inject(&pod, request, settings),
        Err(reason) => deny(reason),
    }
}

fn deny(reason: Reason) -> Decision {
    Decision::Deny {
        reasons: reason.into(),
        warnings: Vec::new(),
    }
}

/// Why the pod is left alone, if it is.
fn asks(pod: &Value, request: &RequestInfo<'_>) -> Result<Option<Reason>, BadValue> {
    let Some(inject) = pod::inject_annotation(pod) else {
        return Ok(Some(Reason::NotAsked));
    };
    if pod::is_mirror(pod) {
        return Ok(Some(Reason::MirrorPod));
    }
    if !request.is_create {
        return Ok(Some(Reason::NotCreate));
    }
    Ok((!options::asks(inject)?).then_some(Reason::NotAsked))
}

/// Builds the patch, or says everything that stands against it.
fn inject(pod: &Pod<'_>, request: &RequestInfo<'_>, settings: &Settings) -> Decision {
    let none = Map::new();
    let annotations = pod.annotations.unwrap_or(&none);
    let warnings = options::unknown_keys(annotations);
    let mut reasons = Vec::new();
    if pod.has_foreign_container() {
        reasons.push(Reason::ForeignContainer);
    }
    let owner = group::owner(pod);
    let options = Options::parse(annotations);
    let profile = options.as_ref().ok().and_then(|options| options.profile);
    let group = group::group(pod, owner.as_ref(), profile);
    match (options, group) {
        (Ok(options), Ok((election, group))) => {
            let options = options.named_after(&election);
            let plan = Plan {
                pod,
                request,
                settings,
                options: &options,
                group: &group,
            };
            plan.decide(owner.as_ref(), reasons, warnings)
        }
        (options, group) => {
            reasons.extend(options.err().into_iter().flatten().map(Reason::BadValue));
            reasons.extend(group.err());
            Decision::Deny {
                reasons: Reasons(reasons),
                warnings,
            }
        }
    }
}

/// A pod whose annotations have parsed.
struct Plan<'a> {
    pod: &'a Pod<'a>,
    request: &'a RequestInfo<'a>,
    settings: &'a Settings,
    options: &'a Options,
    group: &'a Group,
}

impl Plan<'_> {
    fn decide(
        &self,
        owner: Option<&Owner>,
        mut reasons: Vec<Reason>,
        mut warnings: Vec<String>,
    ) -> Decision {
        let (pod, options) = (self.pod, self.options);
        let mut patch = Patch::default();
        reasons.extend(group::label_conflict(pod, self.group));
        reasons.extend(self.unknown_containers().map(Reason::BadValue));

        let refused = preset::refused(pod, options);
        let drain = Drain::of(pod, options);
        let sidecar = self.sidecar(owner, &drain);
        let container = Json::sized(CONTAINER_BYTES, &sidecar.container());
        let wanted_volumes = volumes::wanted(options, &drain);
        reasons.extend(volumes::foreign(pod, &wanted_volumes));

        let mark = self.mark(&container, &wanted_volumes);
        let current = pod.annotation(contract::INJECTED) == Some(mark.as_str());
        self.label_and_annotate(&mark, &mut patch);
        if refused.is_empty() {
            warnings.extend(preset::overwrite(pod, options, &mut patch));
        }
        reasons.extend(refused);
        sidecar.provide(container, current, &mut patch);
        volumes::provide(pod, wanted_volumes, &mut patch);
        if let Some(dir) = &options.status_dir {
            reasons.extend(apps::mount_status(pod, dir, &mut patch));
        }
        // What was said in the first call is not said again in a second one, where the hook may be
        // ours, rewritten by a mesh.
        let mut say = |more: Vec<String>| warnings.extend(more.into_iter().filter(|_| !current));
        if options.elector_env {
            say(elector_env::provide(pod, sidecar.port, &mut patch));
        }
        if options.hold_app && sidecar.holds() {
            say(apps::hold(pod, sidecar.port, &mut patch));
        } else if !current {
            apps::release(pod, &mut patch);
        }
        if drain.raised {
            let at = Pointer::to(&["spec", "terminationGracePeriodSeconds"]);
            patch.set(at, &drain.grace_s);
        }
        say(Vec::from_iter(drain.warning));

        match Account::of(pod, self.group, options.service_account) {
            Ok(account) if reasons.is_empty() => {
                warnings.extend(self.assign(&account, &mut patch));
                let (ops, group) = (patch.into_ops(), self.group.clone());
                Decision::Patch(Box::new(Injection {
                    ops,
                    warnings,
                    group,
                    account,
                }))
            }
            account => {
                reasons.extend(account.err());
                Decision::Deny {
                    reasons: Reasons(reasons),
                    warnings,
                }
            }
        }
    }

    fn sidecar<'a>(&'a self, owner: Option<&'a Owner>, drain: &'a Drain) -> Sidecar<'a> {
        Sidecar {
            options: self.options,
            settings: self.settings,
            group: self.group,
            owner,
            drain,
            port: port::choose(self.pod, self.request.namespace, self.group),
            pod: self.pod,
        }
    }

    /// The label and annotations by which sidecars, Services and policies know the pod.
    fn label_and_annotate(&self, mark: &str, patch: &mut Patch) {
        let labels = [(contract::GROUP, self.group.as_str())];
        let at = Pointer::to(&["metadata", "labels"]);
        patch.merge(&at, self.pod.labels, &labels);
        let annotations = [
            (contract::ACTIVE_VALUE, self.options.active_value.as_str()),
            (contract::INJECTED, mark),
            (contract::PASSIVE_VALUE, &self.options.passive_value),
            (contract::ROLE_LABEL, &self.options.role_label),
        ];
        let at = Pointer::to(&["metadata", "annotations"]);
        patch.merge(&at, self.pod.annotations, &annotations);
    }

    /// A container that is waited for and does not exist would keep the pod from ever leading.
    fn unknown_containers(&self) -> Option<BadValue> {
        let names: Vec<&str> = self.pod.other_containers().filter_map(pod::name).collect();
        let unknown = |wanted: &&String| !names.contains(&wanted.as_str());
        let unknown = self.options.containers.iter().flatten().find(unknown)?;
        let more = match names.len().saturating_sub(NAMES_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let names = names[..names.len().min(NAMES_MAX)].join(", ");
        let problem = format!("the pod has no container {unknown:?}: it has {names}{more}");
        Some(BadValue {
            key: contract::CONTAINERS,
            problem,
        })
    }

    /// Lets the pod run as `account`, unless that does not exist yet and must not be made.
    fn assign(&self, account: &Account, patch: &mut Patch) -> Option<String> {
        let missing = self.request.account_missing && account.kind == AccountKind::Group;
        if missing && account.differs(self.pod) {
            return Some(format!(
                "dry run: account {} does not exist yet and is not made now, so this pod keeps \
                 its own",
                account.name
            ));
        }
        account.assign(self.pod, patch);
        None
    }

    /// Version and hash of what is injected. Resources count as they were asked for: the defaults
    /// follow those of other containers, which may be filled in later.
    fn mark(&self, container: &Json, volumes: &[Volume]) -> String {
        let text = container.text();
        // In a text, the quotes would be escaped. They are the last: it is looked for from the end.
        let (text, _) = text.rsplit_once("\"resources\":").unwrap_or((text, ""));
        let more = Json::of(&(&self.options.resources, volumes));
        let hash = by_words([text, more.text()].concat().as_bytes());
        format!("{}+{hash:016x}", self.settings.version)
    }
}

#[cfg(test)]
mod tests;

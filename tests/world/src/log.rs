//! The log of a run, one line an event, in words that a person reads quickly.

use super::clock::SECOND;
use super::objects::{Change, Object};
use election::{
    Action, Input, LeaseView, Mono, Outcome, PodRole, PodView, Request, ServiceView, Step,
};
use std::fmt::{self, Display, Formatter, Result};

/// The lines so far, or nothing where nobody reads them.
#[derive(Debug)]
pub(super) struct Log(Option<Vec<String>>);

impl Log {
    pub(super) fn off() -> Self {
        Self(None)
    }

    pub(super) fn on() -> Self {
        Self(Some(Vec::new()))
    }

    /// Adds a line; costs nothing when the log is off.
    pub(super) fn line(&mut self, at_us: u64, text: fmt::Arguments<'_>) {
        if let Some(lines) = &mut self.0 {
            lines.push(format!("{:>12.6}  {text}", at_us as f64 / SECOND as f64));
        }
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.0.unwrap_or_default()
    }
}

/// News for an elector.
pub(super) struct Told<'a>(pub(super) &'a Input);

impl Display for Told<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0 {
            Input::Wake => write!(f, "wake"),
            Input::LeaseSeen(view) => write!(f, "watch: {}", Lease(view)),
            Input::LeaseAbsent(version) => write!(f, "watch: no lease v{}", version.0),
            Input::PodsListed(pods) => {
                write!(f, "list of pods:")?;
                pods.iter().try_for_each(|pod| write!(f, " [{}]", Pod(pod)))
            }
            Input::PodSeen(pod) => write!(f, "watch: {}", Pod(pod)),
            Input::PodGone(uid) => write!(f, "watch: pod {uid} is gone"),
            Input::ServicesListed(services) => {
                write!(f, "list of services:")?;
                services
                    .iter()
                    .try_for_each(|service| write!(f, " [{}]", Service(service)))
            }
            Input::ServiceSeen(service) => write!(f, "watch: {}", Service(service)),
            Input::ServiceGone(name, version) => {
                write!(f, "watch: service {name} is gone, v{}", version.0)
            }
            Input::ServicesForbidden => write!(f, "watch: services are forbidden"),
            Input::Done(id, outcome) => write!(f, "#{}: {}", id.0, Answered(outcome)),
            Input::Terminate => write!(f, "SIGTERM"),
        }
    }
}

/// What an elector asks for, at an instant of its clock.
pub(super) struct Asked<'a>(pub(super) &'a Step, pub(super) Mono);

impl Display for Asked<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self(step, now) = self;
        let standing = step.standing;
        write!(f, "{:?} t{}", standing.role, standing.term)?;
        if standing.role.leads() {
            write!(f, " for {} ms", standing.valid_until.ms_since(*now))?;
        }
        if standing.holds_traffic {
            write!(f, ", holds traffic")?;
        }
        if standing.finished {
            write!(f, ", finished")?;
        }
        write!(f, ", wake in {} ms", step.wake_at.ms_since(*now))?;
        if let Some(Request {
            id,
            deadline,
            action,
        }) = &step.request
        {
            let within_ms = deadline.ms_since(*now);
            write!(
                f,
                "; asks #{} within {within_ms} ms: {}",
                id.0,
                Wanted(action)
            )?;
        }
        Ok(())
    }
}

/// A request.
pub(super) struct Wanted<'a>(pub(super) &'a Action);

impl Display for Wanted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0 {
            Action::ReadLease => write!(f, "read lease"),
            Action::WriteLease(write) => {
                let holder = write.holder.as_ref().map_or("nobody", |holder| &holder.uid);
                let (term, duration_ms) = (write.term, write.duration_ms);
                write!(
                    f,
                    "{:?} lease: {holder} t{term} for {duration_ms} ms",
                    write.kind
                )?;
                write!(f, " on {}", Base(write.base))
            }
            Action::ReadPod { uid, .. } => write!(f, "read pod {uid}"),
            Action::WritePod(write) => {
                write!(f, "write pod {}", write.uid)?;
                if let Some((role, term)) = write.role {
                    let active = role == PodRole::Active;
                    write!(f, " {} t{term}", if active { "ACTIVE" } else { "passive" })?;
                }
                if write.own_label {
                    write!(f, " own label")?;
                }
                write!(f, " on v{}", write.base.0)
            }
            Action::ReadService { name } => write!(f, "read service {name}"),
            Action::WriteService(write) => {
                let to = write.active.as_deref().unwrap_or("none");
                write!(f, "write service {} to {to} t{}", write.name, write.term)?;
                if write.with_selector {
                    write!(f, " with selector")?;
                }
                write!(f, " on v{}", write.base.0)
            }
        }
    }
}

struct Base(Option<election::Version>);

impl Display for Base {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0 {
            Some(version) => write!(f, "v{}", version.0),
            None => write!(f, "nothing"),
        }
    }
}

/// An answer.
pub(super) struct Answered<'a>(pub(super) &'a Outcome);

impl Display for Answered<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0 {
            Outcome::Lease(view) => write!(f, "{}", Lease(view)),
            Outcome::NoLease => write!(f, "no lease"),
            Outcome::Pod(view) => write!(f, "{}", Pod(view)),
            Outcome::PodLeft(view) => write!(f, "outside of the group: {}", Pod(view)),
            Outcome::Service(Some(view)) => write!(f, "{}", Service(view)),
            Outcome::Service(None) => write!(f, "service of another group"),
            Outcome::Failed(failure) => write!(f, "failed: {failure:?}"),
        }
    }
}

/// A committed write.
pub(super) struct Changed<'a>(pub(super) &'a Change);

impl Display for Changed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.0.object {
            Object::Lease {
                after: Some(after), ..
            } => write!(f, "{}", Lease(after)),
            Object::Lease { after: None, .. } => write!(f, "the lease is deleted"),
            Object::Pod {
                after: Some(after), ..
            } => write!(f, "{}", Pod(&after.view)),
            Object::Pod { before, .. } => {
                let uid = before
                    .as_ref()
                    .map(super::objects::Pod::uid)
                    .unwrap_or_default();
                write!(f, "pod {uid} is gone")
            }
            Object::Service {
                after: Some(after), ..
            } => {
                let out = if after.annotated {
                    ""
                } else {
                    " (not annotated)"
                };
                write!(f, "{}{out}", Service(&after.view))
            }
            Object::Service { before, .. } => {
                let name = before.as_ref().map(|service| service.view.name.as_str());
                write!(f, "service {} is gone", name.unwrap_or_default())
            }
        }
    }
}

struct Lease<'a>(&'a LeaseView);

impl Display for Lease<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let LeaseView { version, record } = self.0;
        let holder = record.holder.as_deref().unwrap_or("nobody");
        let (term, duration_ms) = (record.term, record.duration_ms);
        write!(
            f,
            "lease v{}: {holder} t{term} for {duration_ms} ms",
            version.0
        )?;
        if record.paused {
            write!(f, ", paused")?;
        }
        if let Some(to) = &record.switchover {
            write!(f, ", switchover to {to}")?;
        }
        Ok(())
    }
}

struct Pod<'a>(&'a PodView);

impl Display for Pod<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let pod = self.0;
        write!(
            f,
            "pod {} v{}: {:?} {}",
            pod.uid,
            pod.version.0,
            pod.role,
            Term(pod.term)
        )?;
        let facts = [
            (!pod.started, "not started"),
            (!pod.ready, "not ready"),
            (pod.terminating, "terminating"),
            (pod.disrupted, "disrupted"),
            (pod.priority < 0, "never"),
        ];
        let facts = facts.iter().filter(|(holds, _)| *holds);
        facts
            .into_iter()
            .try_for_each(|(_, fact)| write!(f, ", {fact}"))
    }
}

struct Service<'a>(&'a ServiceView);

impl Display for Service<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let ServiceView {
            name,
            version,
            active,
            term,
            selected,
            ..
        } = self.0;
        let active = active.as_deref().unwrap_or("-");
        write!(
            f,
            "service {name} v{}: active {active} {}",
            version.0,
            Term(*term)
        )?;
        write!(f, ", selects {}", selected.as_deref().unwrap_or("all"))
    }
}

struct Term(Option<u64>);

impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0 {
            Some(term) => write!(f, "t{term}"),
            None => write!(f, "no term"),
        }
    }
}

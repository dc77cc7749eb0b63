//! A way through the states, as text.

use super::event::Event;
use super::process::Progress;
use super::scope::identity;
use super::state::State;
use election::{Action, LeaseWrite, Outcome, PodRole, PodWrite};
use std::fmt::Write;

/// One line an event, with what there is after it.
pub(super) fn trace(path: Vec<(State, Option<Event>)>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut states = path.into_iter().peekable();
    while let Some((before, event)) = states.next() {
        let after = states.peek().map_or(&before, |(after, _)| after);
        if let Some(event) = event {
            let what = what(&before, event);
            lines.push(format!("{:<62} {}", what, summary(after)));
        } else if let Some(broken) = before.broken {
            lines.push(format!("rule broken: {broken}"));
        }
    }
    lines
}

fn what(state: &State, event: Event) -> String {
    let request = |pod: usize| match state.processes[pod].exchange.as_ref() {
        Some(exchange) => match &exchange.progress {
            Progress::Sent(action) => request_name(action),
            Progress::Answered(Outcome::Failed(failure)) => format!("{failure:?}"),
            Progress::Answered(_) => "done".to_owned(),
        },
        None => String::new(),
    };
    let name = |pod: usize| identity(pod).name;
    match event {
        Event::Exchange(pod) => format!("{}: {}", name(pod), request(pod)),
        Event::Commit(pod) => format!("{}: {}, answer pending", name(pod), request(pod)),
        Event::Answer(pod) => format!("{}: late answer: {}", name(pod), request(pod)),
        Event::CommitLate(pod, index) => {
            let write = state.processes[pod].late.get(index);
            let write = write.map(request_name).unwrap_or_default();
            format!("{}: committed late: {write}", name(pod))
        }
        Event::TickAll | Event::DeleteLease | Event::AskForSwitchover => format!("{event:?}"),
        Event::Deliver(pod, kind) => format!("{}: sees {kind:?}", name(pod)),
        Event::Tick(pod)
        | Event::Wake(pod)
        | Event::Start(pod)
        | Event::FallBehind(pod)
        | Event::Crash(pod)
        | Event::Freeze(pod)
        | Event::Thaw(pod)
        | Event::Cut(pod)
        | Event::Heal(pod)
        | Event::Delete(pod)
        | Event::Unready(pod)
        | Event::Terminate(pod)
        | Event::Exit(pod) => {
            let verb = format!("{event:?}");
            let verb = verb.split('(').next().unwrap_or_default();
            format!("{}: {verb}", name(pod))
        }
    }
}

fn request_name(action: &Action) -> String {
    match action {
        Action::ReadLease => "read lease".to_owned(),
        Action::WriteLease(LeaseWrite {
            kind, term, holder, ..
        }) => {
            let holder = holder.as_ref().map_or("nobody", |holder| &holder.name);
            format!("{kind:?} {holder} in term {term}")
        }
        Action::ReadPod { name, .. } => format!("read pod {name}"),
        Action::WritePod(PodWrite { name, role, .. }) => match role {
            Some((PodRole::Active, term)) => format!("label {name} active in term {term}"),
            Some((PodRole::Passive, term)) => format!("label {name} passive in term {term}"),
            None => format!("own label of {name}"),
        },
        Action::ReadService { .. } => "read service".to_owned(),
        Action::WriteService(write) => {
            let to = write.active.as_deref().unwrap_or("none");
            format!("point service at {to} in term {}", write.term)
        }
    }
}

fn summary(state: &State) -> String {
    let mut text = String::new();
    let names = |pods: &mut dyn Iterator<Item = usize>| -> String {
        pods.map(|pod| identity(pod).name).collect()
    };
    let clocks: Vec<String> = state
        .processes
        .iter()
        .map(|process| process.clock.to_string())
        .collect();
    let lease = state.api.lease().map(|lease| &lease.record);
    let holder = lease.and_then(|record| record.holder.as_deref());
    let term = lease.map_or(0, |record| record.term);
    let seconds = lease.map_or(0, |record| record.duration_ms / 1_000);
    let written = write!(
        text,
        "@{} leads [{}] active [{}] lease {}/{term}/{seconds}s",
        clocks.join(","),
        names(&mut state.leaders()),
        names(&mut state.active()),
        holder.unwrap_or("-"),
    );
    debug_assert!(written.is_ok(), "a String takes what is written");
    if let Some(service) = state.api.service() {
        text.push_str(" service ");
        text.push_str(service.selected.as_deref().unwrap_or("-"));
    }
    text
}

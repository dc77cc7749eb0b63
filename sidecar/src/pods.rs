//! Pods: what the elector sees of them, and the patches that it asks for.

use crate::config::Config;
use crate::object::{Reading, Unreadable};
use common::contract;
use common::pod::Pod;
use election::{PodRole, PodView, PodWrite, RoleLabel, Version};
use serde_json::{Map, Value, json};

/// The pod as the elector sees it.
pub(crate) fn view(pod: &Pod, config: &Config) -> Result<PodView, Unreadable> {
    let meta = &pod.metadata;
    Ok(PodView {
        version: meta.version()?,
        term: meta.term(),
        created_s: meta.created_s(),
        started: config.mark.is_on(meta),
        ..PodView::of(pod, &config.role_label, &config.containers)
    })
}

/// The own pod where there is no right to see it: there, ready, and what it was last written as.
pub(crate) fn imagined(config: &Config) -> PodView {
    PodView::imagined(&config.params.identity)
}

/// The same, once `write` is done.
pub(crate) fn imagined_after(write: &PodWrite, config: &Config) -> PodView {
    let role = match write.role {
        Some((PodRole::Active, _)) => RoleLabel::Active,
        Some((PodRole::Passive, _)) | None => RoleLabel::Passive,
    };
    PodView {
        version: Version(write.base.0 + 1),
        role,
        ..imagined(config)
    }
}

/// The labels and annotations that a write sets; null removes.
pub(crate) fn changes(write: &PodWrite, config: &Config) -> Value {
    let names = &config.role_label;
    let mut labels = Map::new();
    let mut annotations = Map::new();
    if let Some((role, term)) = write.role.filter(|_| config.shows_role) {
        let value = match role {
            PodRole::Active => Some(&names.active),
            PodRole::Passive => names.passive.as_ref(),
        };
        labels.insert(names.key.clone(), json!(value));
        if config.params.customs.terms {
            annotations.insert(contract::TERM.to_owned(), json!(term.to_string()));
        }
    }
    let mark = config.mark.label(&write.uid).filter(|_| write.own_label);
    if let Some((key, value)) = mark {
        labels.insert(key.to_owned(), json!(value));
    }
    json!({"labels": labels, "annotations": annotations})
}

/// The merge patch of a write. uid and version are preconditions.
pub(crate) fn patch(write: &PodWrite, config: &Config) -> Value {
    let mut metadata = changes(write, config);
    metadata["uid"] = json!(write.uid);
    metadata["resourceVersion"] = json!(write.base.0.to_string());
    json!({"metadata": metadata})
}

#[cfg(test)]
mod tests;

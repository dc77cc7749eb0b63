//! Volumes that were there for an elector: the folder that it shared with the app, and those that
//! nobody else mounts.

use super::elector::Elector;
use super::object::{list, text};
use serde_json::Value;

/// The lists of a pod's `spec` that hold containers.
const LISTS: [&str; 2] = ["containers", "initContainers"];

/// What goes.
#[derive(Debug, Default)]
pub(super) struct Freed {
    /// JSON Pointers, each right after those before it are gone.
    pub(super) gone: Vec<String>,
    pub(super) told: Vec<String>,
    /// Where the app sees the folder that says the role.
    pub(super) folder: Option<String>,
}

/// What goes with an elector, of the pod's `spec` that stands at `at`. `folder` is the one that says
/// the role, as the elector sees it.
///
/// # Errors
/// If the app could not go on seeing that folder.
pub(super) fn freed(
    spec: &Value,
    at: &str,
    elector: &Elector<'_>,
    folder: Option<&str>,
) -> Result<Freed, String> {
    let mut freed = Freed::default();
    let shared = folder
        .map(|folder| shared(spec, elector, folder))
        .transpose()?;
    let shared = shared.unwrap_or_default();
    for (key, index, container) in others(spec, elector) {
        let mounts = list(container, "volumeMounts");
        let goes = |mount: &Value| shared.replaced.is_some() && mounted(mount) == shared.replaced;
        let at = format!("{at}/{key}/{index}/volumeMounts");
        freed.elements(&at, mounts, goes);
    }
    let name = |volume: &Value| text(volume, "name").unwrap_or_default().to_owned();
    let own: Vec<_> = list(elector.container, "volumeMounts")
        .iter()
        .filter_map(mounted)
        .collect();
    let goes = |volume: &Value| {
        let name = name(volume);
        let stays = |mount: &Value| {
            let mounted = mounted(mount);
            mounted == Some(&name) && mounted != shared.replaced
        };
        let used =
            others(spec, elector).any(|(_, _, it)| list(it, "volumeMounts").iter().any(stays));
        own.contains(&name.as_str()) && !used
    };
    let volumes = list(spec, "volumes");
    let told = volumes.iter().filter(|volume| goes(volume));
    let told = told.map(|it| format!("dropped volume {}: nobody else needs it", name(it)));
    freed.told.extend(told);
    freed.elements(&format!("{at}/volumes"), volumes, goes);
    freed.folder = shared.folder;
    Ok(freed)
}

/// A folder that elector and app share.
#[derive(Debug, Default)]
struct Shared<'a> {
    /// As the app sees it.
    folder: Option<String>,
    /// The volume that is this folder and nothing else: the injected one takes its place.
    replaced: Option<&'a str>,
}

fn shared<'a>(spec: &'a Value, elector: &Elector<'a>, folder: &str) -> Result<Shared<'a>, String> {
    let folder = folder.trim_end_matches('/');
    let within = |mount: &&&Value| {
        let rest = folder.strip_prefix(path(mount));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let mounts = list(elector.container, "volumeMounts");
    let holding = mounts.iter().collect::<Vec<_>>();
    let Some(mount) = holding
        .iter()
        .filter(within)
        .max_by_key(|it| path(it).len())
    else {
        return Ok(Shared {
            folder: Some(folder.to_owned()),
            replaced: None,
        });
    };
    let volume = mounted(mount);
    let below = &folder[path(mount).len()..];
    let mut seen: Vec<String> = Vec::new();
    for (_, _, container) in others(spec, elector) {
        for other in list(container, "volumeMounts") {
            if mounted(other) == volume {
                seen.push(format!("{}{below}", path(other)));
            }
            if mounted(other) == volume && other.get("subPath").is_some() {
                return Err(format!(
                    "{folder} is shared by a subPath; mount the volume itself"
                ));
            }
        }
    }
    seen.sort();
    seen.dedup();
    if seen.len() > 1 {
        return Err(format!(
            "containers see {folder} at {}; an injected sidecar puts it at one path for all",
            seen.join(" and ")
        ));
    }
    Ok(Shared {
        folder: Some(seen.pop().unwrap_or_else(|| folder.to_owned())),
        replaced: volume.filter(|_| below.is_empty()),
    })
}

impl Freed {
    /// Elements of a list; the list itself if nothing is left.
    fn elements(&mut self, at: &str, list: &[Value], goes: impl Fn(&Value) -> bool) {
        let found = list.iter().filter(|it| goes(it)).count();
        if found > 0 && found == list.len() {
            self.gone.push(at.to_owned());
            return;
        }
        for (index, _) in list.iter().enumerate().rev().filter(|(_, it)| goes(it)) {
            self.gone.push(format!("{at}/{index}"));
        }
    }
}

/// All containers but the elector: list, index, container.
pub(super) fn others<'a>(
    spec: &'a Value,
    elector: &Elector<'a>,
) -> impl Iterator<Item = (&'static str, usize, &'a Value)> {
    let own = (elector.list, elector.index);
    LISTS.into_iter().flat_map(move |key| {
        let containers = list(spec, key).iter().enumerate();
        let containers = containers.filter(move |(index, _)| (key, *index) != own);
        containers.map(move |(index, container)| (key, index, container))
    })
}

/// The volume of a mount.
fn mounted(mount: &Value) -> Option<&str> {
    text(mount, "name")
}

fn path(mount: &Value) -> &str {
    text(mount, "mountPath")
        .unwrap_or_default()
        .trim_end_matches('/')
}

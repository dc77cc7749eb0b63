//! Reads what groups consist of: one LIST a kind, in pages. Pods of Services in Service mode are read
//! where there are such Services, and somebody wants to see them.

use crate::connect::Cluster;
use crate::failure::Failure;
use crate::group::{Group, Seen, groups};
use crate::service_mode::{Listed as ListedService, Served, asks, served};
use common::contract;
use common::nearest::nearest;
use common::pod::Pod;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

/// Objects of one page.
const PAGE_OBJECTS: u32 = 500;
/// Pages of one list; a kind with more objects is not listed to its end.
const PAGES_MAX: usize = 1_000;
/// Namespaces whose pods are listed one by one; where there are more, all pods are.
const NAMESPACES_MAX: usize = 10;

/// The groups that were found, and what may not be seen.
pub(crate) struct Gathered {
    pub(crate) groups: Vec<Group>,
    /// Services that ask for Service mode.
    pub(crate) asking: Vec<ListedService>,
    /// Kinds that may not be listed, as sentences.
    pub(crate) unseen: Vec<String>,
}

/// Reads the groups of a namespace, or of all.
pub(crate) async fn gather(
    cluster: &Cluster,
    namespace: Option<&str>,
) -> Result<Gathered, Failure> {
    let place = namespace.map_or_else(String::new, |name| format!("/namespaces/{name}"));
    let mut unseen = Vec::new();
    let leases = format!("/apis/coordination.k8s.io/v1{place}/leases");
    let leases = seen(list(cluster, "list leases", &leases, "").await, &mut unseen)?;
    let selector = format!("&labelSelector={}", contract::GROUP.replace('/', "%2F"));
    let pods = format!("/api/v1{place}/pods");
    let pods = seen(
        list(cluster, "list pods", &pods, &selector).await,
        &mut unseen,
    )?;
    let services = format!("/api/v1{place}/services");
    let services: Option<Vec<ListedService>> = seen(
        list(cluster, "list services", &services, "").await,
        &mut unseen,
    )?;
    if let (None, None) = (&leases, &pods) {
        let message = unseen.join("; ");
        let what = "show groups".to_owned();
        return Err(Failure::Forbidden { what, message });
    }
    let all = services.iter().flatten();
    let asking = all.filter(|it| asks(&it.service)).cloned().collect();
    let services = services.map(|all| all.into_iter().map(|it| it.service).collect());
    let groups = groups(Seen {
        leases,
        pods,
        services,
    });
    Ok(Gathered {
        groups,
        asking,
        unseen,
    })
}

impl Gathered {
    /// The Services that ask for Service mode, with their pods: one LIST a namespace that has some.
    pub(crate) async fn served(&mut self, cluster: &Cluster) -> Result<Vec<Served>, Failure> {
        if self.asking.is_empty() {
            return Ok(Vec::new());
        }
        let namespaces = self.asking.iter().map(|it| &it.service.metadata.namespace);
        let namespaces: BTreeSet<&String> = namespaces.collect();
        let places: Vec<String> = if namespaces.len() > NAMESPACES_MAX {
            vec![String::new()]
        } else {
            let places = namespaces.into_iter();
            places.map(|name| format!("/namespaces/{name}")).collect()
        };
        // Those of groups are known.
        let selector = format!("&labelSelector=%21{}", contract::GROUP.replace('/', "%2F"));
        let mut pods: Option<Vec<Pod>> = Some(Vec::new());
        for place in places {
            let path = format!("/api/v1{place}/pods");
            let listed = list(cluster, "list pods", &path, &selector).await;
            let mut unseen = Vec::new();
            let listed = seen(listed, &mut unseen)?;
            // Without the right in one namespace, none is taken for complete.
            pods = pods.zip(listed).map(|(mut pods, listed)| {
                pods.extend(listed);
                pods
            });
            unseen.retain(|line| !self.unseen.contains(line));
            self.unseen.extend(unseen);
        }
        let asking = std::mem::take(&mut self.asking);
        Ok(served(asking, pods.as_deref(), &self.groups))
    }

    /// A line about the Service in Service mode that has the name of a group.
    pub(crate) fn beside(&self, name: &str) -> Option<String> {
        let mut names = self.asking.iter().map(|it| &it.service.metadata.name);
        names.any(|it| it == name).then(|| {
            format!(
                "Service {name} asks for Service mode besides: `kubectl active-passive status \
                 service/{name}` shows it"
            )
        })
    }

    /// Why there is no group of this name in the namespace that is meant.
    fn no_group(&self, cluster: &Cluster, name: &str) -> Failure {
        let mut asking = self.asking.iter().map(|it| &it.service.metadata.name);
        if asking.any(|it| it == name) {
            let hint = format!(
                "; Service {name} is in Service mode, without a group: \
                 `kubectl active-passive status` shows which pod is active"
            );
            return no_group(cluster, name, hint);
        }
        let names = self.groups.iter().map(|group| group.name.as_str());
        no_group(cluster, name, hint(name, &names.collect::<Vec<_>>()))
    }

    /// Why neither a group nor one of these Services of this name can be shown.
    pub(crate) fn nothing(&self, cluster: &Cluster, name: &str, served: &[Served]) -> Failure {
        let groups = self.groups.iter().map(|group| group.name.as_str());
        let names: BTreeSet<&str> = groups.chain(served.iter().map(Served::name)).collect();
        let names: Vec<&str> = names.into_iter().collect();
        no_group(cluster, name, hint(name, &names))
    }
}

fn no_group(cluster: &Cluster, name: &str, hint: String) -> Failure {
    Failure::NoGroup {
        group: name.to_owned(),
        namespace: cluster.namespace.clone(),
        hint,
    }
}

/// One group of the namespace that is meant.
pub(crate) async fn group(cluster: &Cluster, name: &str) -> Result<Group, Failure> {
    let mut gathered = gather(cluster, Some(&cluster.namespace)).await?;
    let mut groups = gathered.groups.iter();
    match groups.position(|group| group.name == name) {
        Some(index) => Ok(gathered.groups.swap_remove(index)),
        None => Err(gathered.no_group(cluster, name)),
    }
}

fn hint(name: &str, names: &[&str]) -> String {
    match nearest(name, names.iter().copied()) {
        Some(near) => format!("; did you mean {near}?"),
        None if names.is_empty() => {
            "; there is none at all: `kubectl active-passive status -A` looks everywhere".to_owned()
        }
        None => format!("; there are {}", names.join(", ")),
    }
}

/// What may not be listed is absent, and said; every other failure ends the command.
pub(crate) fn seen<T>(
    listed: Result<Vec<T>, Failure>,
    unseen: &mut Vec<String>,
) -> Result<Option<Vec<T>>, Failure> {
    match listed {
        Ok(objects) => Ok(Some(objects)),
        Err(Failure::Forbidden { what, message }) => {
            unseen.push(format!("you may not {what}: {message}"));
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

#[derive(Deserialize)]
struct Page<T> {
    metadata: PageMeta,
    // An empty list may be null.
    items: Option<Vec<T>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMeta {
    #[serde(default)]
    resource_version: String,
    r#continue: Option<String>,
}

/// All objects of a kind, and the version of the list.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    pub(crate) objects: Vec<T>,
    pub(crate) version: String,
}

/// Lists objects in pages. `selector` is a part of the query that begins with `&`.
pub(crate) async fn list<T: DeserializeOwned>(
    cluster: &Cluster,
    what: &str,
    path: &str,
    selector: &str,
) -> Result<Vec<T>, Failure> {
    let listed = list_all(cluster, what, path, selector).await?;
    Ok(listed.objects)
}

/// Like [`list`], with the version from which a watch goes on.
pub(crate) async fn list_all<T: DeserializeOwned>(
    cluster: &Cluster,
    what: &str,
    path: &str,
    selector: &str,
) -> Result<Listed<T>, Failure> {
    let mut objects = Vec::new();
    let mut version = String::new();
    let mut token = String::new();
    for _ in 0..PAGES_MAX {
        let url = format!("{path}?limit={PAGE_OBJECTS}{selector}{token}");
        let page: Page<T> = cluster.get(what, &url).await?;
        objects.extend(page.items.into_iter().flatten());
        version = page.metadata.resource_version;
        match page.metadata.r#continue.filter(|next| !next.is_empty()) {
            Some(next) => token = format!("&continue={next}"),
            None => break,
        }
    }
    Ok(Listed { objects, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_there_is_put_right() {
        let names = ["web", "database"];
        assert_eq!(hint("wbe", &names), "; did you mean web?");
        assert_eq!(hint("something", &names), "; there are web, database");
        assert!(hint("web", &[]).contains("status -A"));
    }
}

//! Reads what groups consist of: one LIST a kind, in pages.

use crate::connect::Cluster;
use crate::failure::Failure;
use crate::group::{Group, Seen, groups};
use common::contract;
use common::nearest::nearest;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Objects of one page.
const PAGE_OBJECTS: u32 = 500;
/// Pages of one list; a kind with more objects is not listed to its end.
const PAGES_MAX: usize = 1_000;

/// The groups that were found, and what may not be seen.
pub(crate) struct Gathered {
    pub(crate) groups: Vec<Group>,
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
    let services = seen(
        list(cluster, "list services", &services, "").await,
        &mut unseen,
    )?;
    if let (None, None) = (&leases, &pods) {
        let message = unseen.join("; ");
        let what = "show groups".to_owned();
        return Err(Failure::Forbidden { what, message });
    }
    let groups = groups(Seen {
        leases,
        pods,
        services,
    });
    Ok(Gathered { groups, unseen })
}

/// One group of the namespace that is meant.
pub(crate) async fn group(cluster: &Cluster, name: &str) -> Result<(Group, Vec<String>), Failure> {
    let Gathered { groups, unseen } = gather(cluster, Some(&cluster.namespace)).await?;
    let names: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
    let found = groups.into_iter().find(|group| group.name == name);
    let found = found.ok_or_else(|| Failure::NoGroup {
        group: name.to_owned(),
        namespace: cluster.namespace.clone(),
        hint: hint(name, &names),
    })?;
    Ok((found, unseen))
}

fn hint(name: &str, names: &[String]) -> String {
    match nearest(name, names.iter().map(String::as_str)) {
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
        let names = ["web".to_owned(), "database".to_owned()];
        assert_eq!(hint("wbe", &names), "; did you mean web?");
        assert_eq!(hint("something", &names), "; there are web, database");
        assert!(hint("web", &[]).contains("status -A"));
    }
}

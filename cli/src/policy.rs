//! `policy plan`: what policies would come to, before anything is applied. The rules are the
//! webhook's own; what is read is what it would look at. Nothing is written.

mod plan;

use crate::args::{PlanArgs, PolicyArgs, PolicyCommand};
use crate::check;
use crate::connect::Cluster;
use crate::exit;
use crate::failure::Failure;
use crate::gather::list;
use crate::manifests;
use crate::output::{Said, data};
use crate::visible;
use crate::yaml::Text;
use ::inject::policy::{Labels, Policy, ServiceRoute, WorkloadKind};
use common::contract::{self, POLICY_GROUP, POLICY_KIND, POLICY_PLURAL, POLICY_VERSION};
use common::objects::Meta;
use plan::{Plan, World};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Policies by their names.
type Policies = BTreeMap<String, Arc<Policy>>;

/// Runs it.
pub(crate) async fn run(cluster: &Cluster, args: &PolicyArgs) -> Result<Said, Failure> {
    let PolicyCommand::Plan(args) = &args.command;
    let planned = planned(&args.files)?;
    let plan = Plan::of(&planned, &world(cluster, &planned).await?);
    said(&plan, args)
}

fn said(plan: &Plan, args: &PlanArgs) -> Result<Said, Failure> {
    let text = match args.output {
        Some(format) => data(plan, format)?,
        None => plan.text(),
    };
    let code = match plan.refused {
        0 => exit::DONE,
        _ => exit::REFUSING,
    };
    Ok(Said {
        code,
        ..Said::from(visible::text(&text))
    })
}

/// The policies of files.
fn planned(files: &[PathBuf]) -> Result<Policies, Failure> {
    let mut planned = Policies::new();
    for manifest in manifests::read(files)? {
        let refused = |why: String| Failure::Manifest {
            manifest: manifest.source.clone(),
            why,
        };
        let text = Text::parse(&manifest.text).map_err(refused)?;
        for index in 0..text.len() {
            let object = text.value(index).map_err(refused)?;
            if object.is_null() {
                continue;
            }
            if object["kind"] != POLICY_KIND {
                let kind = object["kind"].as_str().unwrap_or("an object without kind");
                return Err(refused(format!("{kind} is no {POLICY_KIND}")));
            }
            let policy = Policy::read(&object).map_err(|problems| refused(problems.join("; ")))?;
            planned.insert(policy.name().to_owned(), Arc::new(policy));
        }
    }
    Ok(planned)
}

/// What of the cluster these policies are about.
async fn world(cluster: &Cluster, planned: &Policies) -> Result<World, Failure> {
    let path = format!("/apis/{POLICY_GROUP}/{POLICY_VERSION}/{POLICY_PLURAL}");
    let before = match list::<Value>(cluster, "list policies", &path, "").await {
        Ok(objects) => objects,
        // The kind is not installed yet.
        Err(Failure::NotFound { .. }) => Vec::new(),
        Err(failure) => return Err(failure),
    };
    // One that is not in force has no effect.
    let before = before.iter().filter_map(|object| Policy::read(object).ok());
    let before: Policies = before
        .map(|policy| (policy.name().to_owned(), Arc::new(policy)))
        .collect();
    let excluded = check::excluded_namespaces(cluster).await?;
    let namespaces = list::<Object>(cluster, "list namespaces", "/api/v1/namespaces", "").await?;
    let namespaces: BTreeMap<String, Labels> = namespaces
        .into_iter()
        .filter(|it| !excluded.contains(&it.metadata.name))
        .map(|it| (it.metadata.name, it.metadata.labels.unwrap_or_default()))
        .collect();
    let all = || planned.values().chain(before.values());
    let injected = all().any(|policy| policy.injects());
    let kinds: BTreeSet<WorkloadKind> = match injected {
        // Whoever has the name of a workload may be of any kind.
        true => WorkloadKind::ALL.into(),
        false => all().flat_map(|it| it.kinds().iter().copied()).collect(),
    };
    let mut workloads = Vec::new();
    for kind in kinds {
        let path = format!("/apis/{}/v1/{}", kind.group(), kind.plural());
        let what = format!("list {}", kind.plural());
        let objects = list::<Value>(cluster, &what, &path, "").await?;
        workloads.extend(objects.into_iter().map(|object| (kind, object)));
    }
    let mut services: BTreeMap<String, Vec<ServiceRoute>> = BTreeMap::new();
    if all().any(|policy| policy.spec().constraints.require_routed_service) {
        for service in list::<Service>(cluster, "list services", "/api/v1/services", "").await? {
            let route = ServiceRoute {
                group: service
                    .metadata
                    .annotation(contract::GROUP)
                    .map(str::to_owned),
                selector: service.spec.selector.unwrap_or_default(),
            };
            services
                .entry(service.metadata.namespace)
                .or_default()
                .push(route);
        }
    }
    let mut leases = BTreeMap::new();
    if injected {
        let path = "/apis/coordination.k8s.io/v1/leases";
        for lease in list::<Object>(cluster, "list leases", path, "").await? {
            let Meta {
                namespace, name, ..
            } = &lease.metadata;
            leases.insert((namespace.clone(), name.clone()), lease.metadata);
        }
    }
    Ok(World {
        before,
        namespaces,
        workloads,
        services,
        leases,
    })
}

#[derive(Deserialize)]
struct Object {
    metadata: Meta,
}

#[derive(Deserialize)]
struct Service {
    metadata: Meta,
    #[serde(default)]
    spec: ServiceSpec,
}

#[derive(Default, Deserialize)]
struct ServiceSpec {
    selector: Option<BTreeMap<String, String>>,
}

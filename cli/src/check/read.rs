//! Reads what a check looks at. A right that is missing is noted, and the rest still read.

use crate::check::facts::{CheckedPod, Installation, Policies, Policy, Read, Trial, Workloads};
use crate::check::{installation, names};
use crate::connect::Cluster;
use crate::failure::Failure;
use crate::gather::{list, seen};
use crate::group::{Seen, groups};
use crate::service_mode::asks;
use common::contract;
use common::objects::Meta;
use common::service::Service;
use common::trial::container;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Image of containers that are created as a dry run.
pub(crate) const NO_IMAGE: &str = "none";
const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
/// What the API server says to who lacks the right to create a pod; refusals by admission say
/// something else.
const NO_RIGHT: &str = "cannot create resource";
/// Status codes from here on are failures of the server.
const SERVER_ERROR: u16 = 500;

/// What was read, absent or not allowed; every other failure ends the command.
pub(crate) fn read<T>(answer: Result<T, Failure>) -> Result<Read<T>, Failure> {
    match answer {
        Ok(seen) => Ok(Read::Seen(seen)),
        Err(Failure::NotFound { .. }) => Ok(Read::Absent),
        Err(Failure::Forbidden { what, message }) => {
            Ok(Read::Unseen(format!("you may not {what}: {message}")))
        }
        Err(failure) => Err(failure),
    }
}

async fn object<T: DeserializeOwned>(
    cluster: &Cluster,
    what: &str,
    path: &str,
) -> Result<Read<T>, Failure> {
    read(cluster.get(&format!("read {what}"), path).await)
}

async fn objects<T: DeserializeOwned>(
    cluster: &Cluster,
    kind: &str,
    path: &str,
    selector: &str,
) -> Result<Read<Vec<T>>, Failure> {
    read(list(cluster, &format!("list {kind}"), path, selector).await)
}

/// The webhook's configuration.
pub(crate) async fn configuration(
    cluster: &Cluster,
) -> Result<Read<MutatingWebhookConfiguration>, Failure> {
    let path = format!(
        "{ADMISSION}/mutatingwebhookconfigurations/{}",
        names::CONFIGURATION
    );
    object(cluster, "the webhook's configuration", &path).await
}

/// Namespaces in which nothing is injected and that no policy is about: as the configuration says, or
/// those of the chart's defaults.
pub(crate) async fn excluded_namespaces(cluster: &Cluster) -> Result<Vec<String>, Failure> {
    let configuration = configuration(cluster).await?;
    let entries = configuration
        .seen()
        .into_iter()
        .flat_map(installation::entries);
    let selectors = entries.filter_map(|entry| entry.namespace_selector.as_ref());
    let requirements = selectors.flat_map(|it| it.match_expressions.iter().flatten());
    let excluded = requirements
        .filter(|it| it.operator == "NotIn")
        .find_map(|it| it.values.clone());
    let usual = || {
        let names = [
            "kube-system",
            "kube-node-lease",
            "kube-public",
            names::NAMESPACE,
        ];
        names.map(str::to_owned).to_vec()
    };
    Ok(excluded.unwrap_or_else(usual))
}

/// Where the webhook is: as asked, as the configuration says, or where the chart has it.
pub(crate) fn namespace(
    asked: Option<&str>,
    configuration: &Read<MutatingWebhookConfiguration>,
) -> String {
    let entries = configuration.seen().into_iter();
    let mut services = entries
        .flat_map(installation::entries)
        .filter_map(|entry| entry.client_config.service.as_ref());
    let named = services.next().map(|service| service.namespace.as_str());
    asked.or(named).unwrap_or(names::NAMESPACE).to_owned()
}

/// The webhook's Deployment.
pub(crate) async fn deployment(
    cluster: &Cluster,
    namespace: &str,
) -> Result<Read<Deployment>, Failure> {
    let name = names::WEBHOOK;
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
    object(cluster, "the webhook's Deployment", &path).await
}

/// Everything that the chart has installed, and a pod in a dry run.
pub(crate) async fn installation(
    cluster: &Cluster,
    system_namespace: Option<&str>,
) -> Result<Installation, Failure> {
    let configuration = configuration(cluster).await?;
    let namespace = namespace(system_namespace, &configuration);
    let deployment = deployment(cluster, &namespace).await?;
    let secret_name = secret_name(&deployment);
    let secret = format!("/api/v1/namespaces/{namespace}/secrets/{secret_name}");
    let slices = format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices");
    let of_service = format!(
        "&labelSelector=kubernetes.io%2Fservice-name%3D{}",
        names::WEBHOOK
    );
    let role = |name: &str| format!("{RBAC}/clusterroles/{name}");
    let (sidecar, router) = (
        contract::SIDECAR_CLUSTER_ROLE,
        contract::ROUTER_CLUSTER_ROLE,
    );
    Ok(Installation {
        secret: object(cluster, "the webhook's Secret", &secret).await?,
        endpoints: objects(cluster, "endpoints of the webhook", &slices, &of_service).await?,
        roles: [
            (
                sidecar,
                object(cluster, "the sidecars' ClusterRole", &role(sidecar)).await?,
            ),
            (
                router,
                object(cluster, "the routers' ClusterRole", &role(router)).await?,
            ),
        ],
        fencing: policies(cluster, "validatingadmissionpolicies").await?,
        routing: policies(cluster, "mutatingadmissionpolicies").await?,
        trial: trial(cluster).await?,
        trial_namespace: cluster.namespace.clone(),
        namespace,
        configuration,
        secret_name,
        deployment,
    })
}

/// The Secret that the webhook is told of.
fn secret_name(deployment: &Read<Deployment>) -> String {
    let spec = deployment.seen().and_then(|it| it.spec.as_ref());
    let template = spec.and_then(|spec| spec.template.spec.as_ref());
    let containers = template.iter().flat_map(|spec| spec.containers.iter());
    let mut arguments = containers.flat_map(|it| it.args.iter().flatten());
    let named = arguments.find_map(|it| it.strip_prefix(names::CERTIFICATE_ARGUMENT));
    named.unwrap_or(names::CERTIFICATE).to_owned()
}

async fn policies(cluster: &Cluster, kind: &str) -> Result<Policies, Failure> {
    // Bindings are the policies' name with another end.
    let bindings = kind.replace("policies", "policybindings");
    let (of, bound) = (
        format!("{ADMISSION}/{kind}"),
        format!("{ADMISSION}/{bindings}"),
    );
    let policies: Read<Vec<Policy>> = objects(cluster, kind, &of, "").await?;
    Ok(Policies {
        policies,
        bindings: objects(cluster, &bindings, &bound, "").await?,
    })
}

/// A pod as it comes back from a dry run.
#[derive(Debug, Deserialize)]
pub(crate) struct Tried {
    metadata: Meta,
    spec: TriedSpec,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TriedSpec {
    init_containers: Option<Vec<TriedContainer>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TriedContainer {
    name: String,
    restart_policy: Option<String>,
}

impl Tried {
    /// Whether it has this init container, and whether that one is a native sidecar.
    pub(crate) fn native(&self, name: &str) -> Option<bool> {
        let mut containers = self.spec.init_containers.iter().flatten();
        let found = containers.find(|it| it.name == name)?;
        Some(found.restart_policy.as_deref() == Some("Always"))
    }
}

/// Why a pod was not made.
pub(crate) enum Untried {
    /// The server failed, or did not answer.
    Failed(String),
    /// Admission refused it.
    Refused(String),
    /// The user may not.
    NotAllowed(String),
}

/// Creates a pod as a dry run, which leaves nothing.
pub(crate) async fn dry_run(
    cluster: &Cluster,
    pod: &Value,
) -> Result<Result<Tried, Untried>, Failure> {
    let path = format!("/api/v1/namespaces/{}/pods?dryRun=All", cluster.namespace);
    let what = "create a pod as a dry run";
    let failure = match cluster.ask(what, &path, pod).await {
        Ok(tried) => return Ok(Ok(tried)),
        Err(failure) => failure,
    };
    let untried = match failure {
        Failure::Forbidden { what, message } if message.contains(NO_RIGHT) => {
            Untried::NotAllowed(format!("you may not {what}: {message}"))
        }
        Failure::Forbidden { message, .. } => Untried::Refused(message),
        Failure::Late { waited_ms, .. } => {
            Untried::Failed(format!("no answer within {waited_ms} ms"))
        }
        Failure::Api { what, source } => match *source {
            kube::Error::Api(status) if status.code >= SERVER_ERROR => {
                Untried::Failed(status.message)
            }
            kube::Error::Api(status) => Untried::Refused(status.message),
            other => {
                let source = Box::new(other);
                return Err(Failure::Api { what, source });
            }
        },
        other => return Err(other),
    };
    Ok(Err(untried))
}

async fn trial(cluster: &Cluster) -> Result<Trial, Failure> {
    let name = "active-passive-check";
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "annotations": {contract::INJECT: "true", contract::GROUP: name},
        },
        "spec": {"containers": [container("app", NO_IMAGE)]},
    });
    Ok(match dry_run(cluster, &pod).await? {
        Ok(tried) => match tried.native(contract::CONTAINER) {
            Some(native) => Trial::Injected {
                version: injected(&tried.metadata),
                native,
            },
            None => Trial::Untouched,
        },
        Err(Untried::Failed(why)) => Trial::Failed(why),
        Err(Untried::Refused(why)) => Trial::Refused(why),
        Err(Untried::NotAllowed(why)) => Trial::NotAllowed(why),
    })
}

/// Version of what was injected: it and a hash are joined by a plus.
fn injected(pod: &Meta) -> Option<String> {
    let version = pod.annotation(contract::INJECTED)?.split('+').next();
    version.map(str::to_owned)
}

/// Everything that runs in a namespace, or in all.
pub(crate) async fn workloads(
    cluster: &Cluster,
    namespace: Option<&str>,
    installation: &Installation,
) -> Result<Workloads, Failure> {
    let place = namespace.map_or_else(String::new, |name| format!("/namespaces/{name}"));
    let mut unseen = Vec::new();
    let path = format!("/apis/coordination.k8s.io/v1{place}/leases");
    let leases = seen(list(cluster, "list leases", &path, "").await, &mut unseen)?;
    let path = format!("/api/v1{place}/pods");
    let pods = list(cluster, "list pods", &path, "").await;
    let pods: Option<Vec<CheckedPod>> = seen(pods, &mut unseen)?;
    let path = format!("/api/v1{place}/services");
    let services = list(cluster, "list services", &path, "").await;
    let services: Option<Vec<Service>> = seen(services, &mut unseen)?;
    let accounts = format!("/api/v1{place}/serviceaccounts");
    let accounts: Read<Vec<Named>> = objects(cluster, "serviceaccounts", &accounts, "").await?;
    let bindings = format!("{RBAC}{place}/rolebindings");
    let in_group = pods.as_ref().map(|pods| {
        let of_groups = pods.iter().map(|it| &it.pod);
        of_groups
            .filter(|pod| pod.metadata.label(contract::GROUP).is_some())
            .cloned()
            .collect()
    });
    let by_role = |service: &&Service| {
        let selector = service.selector();
        service.group().is_none() && selector.is_some_and(|it| it.contains_key(contract::ROLE))
    };
    let sees_pods = pods.is_some();
    Ok(Workloads {
        namespace: namespace.map(str::to_owned),
        role_services: services
            .iter()
            .flatten()
            .filter(|_| sees_pods)
            .filter(by_role)
            .cloned()
            .collect(),
        asking: services
            .iter()
            .flatten()
            .filter(|service| asks(service))
            .cloned()
            .collect(),
        service_mode_off: is_service_mode_off(installation),
        groups: groups(Seen {
            leases,
            pods: in_group,
            services,
        }),
        unseen,
        pods: pods.unwrap_or_default(),
        accounts: accounts.map(|all| all.into_iter().map(|it| it.metadata).collect()),
        bindings: objects(cluster, "rolebindings", &bindings, "").await?,
        excluded: installation::excluded(&installation.configuration),
        version: version(installation),
    })
}

/// A policy tells whoever asks for it; there is none where it is on.
fn is_service_mode_off(installation: &Installation) -> bool {
    let mut policies = installation.fencing.policies.seen().into_iter().flatten();
    policies.any(|policy| policy.metadata.name == names::SERVICE_MODE_OFF)
}

#[derive(Debug, Deserialize)]
struct Named {
    metadata: Meta,
}

/// What the webhook injects now: as the dry run showed, or as it is labelled.
fn version(installation: &Installation) -> Option<String> {
    match &installation.trial {
        Trial::Injected { version, .. } => version.clone(),
        _ => installation.deployment.seen().and_then(labelled_version),
    }
}

/// Version of the webhook, as the chart labels it.
pub(crate) fn labelled_version(deployment: &Deployment) -> Option<String> {
    let labels = deployment.metadata.labels.as_ref()?;
    labels.get(names::VERSION_LABEL).cloned()
}

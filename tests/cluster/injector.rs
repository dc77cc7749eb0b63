//! What the API server makes of injected pods: every pod of the golden folder is created, or
//! refused, as the folder says, and is the one that `kubectl active-passive inject` writes without a
//! cluster; and where a bare pod passes, the injected one passes too.
//!
//! All of it with dry runs: an API server does everything then but write.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use common::contract;
use http::Request;
use inject::{Decision, RequestInfo, Settings, decide};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{Api, PostParams};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tests::cluster::images::Kind;
use tests::scene::SYSTEM_NAMESPACE;

use crate::cli::Plugin;
use crate::context::{Case, Context, eventually};

/// What the API server puts before the webhook's own words.
const DENIED: &str = "admission webhook \"inject.active-passive.dev\" denied the request: ";
/// Longest time until a controller has taken up an object.
const TAKEN_UP_MS: u64 = 10_000;
/// Longest time until a pod that was created leads, milliseconds.
const LEADS_MS: u64 = 60_000;
/// A user as OpenShift chooses one: no image knows it.
const ANY_USER: i64 = 1_000_650_000;
/// Variables of the large pod, 64 bytes each at least.
const VARIABLES: usize = 16_384;
/// Accounts that pods of the golden folder name.
const ACCOUNTS: [&str; 2] = ["shop", "active-passive-group-shop"];

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "injector: every golden pod is created or refused as the folder says",
        run: |context| Box::pin(golden(context)),
    },
    Case {
        name: "injector: where a bare pod passes, the injected one passes",
        run: |context| Box::pin(policies(context)),
    },
    Case {
        name: "injector: a mebibyte of variables passes, and any user leads",
        run: |context| Box::pin(shapes(context)),
    },
];

/// What an API server answered to the creation of a pod.
#[derive(Debug)]
pub(crate) enum Created {
    /// The pod as it would be.
    Pod(Box<Value>),
    /// Code and message.
    Refused(u16, String),
}

/// Has a pod created, or only looked at, in the namespace of the test. Unknown fields pass, as they
/// do where kubectl is newer than the API server.
pub(crate) async fn create(context: &Context<'_>, pod: &Value, dry_run: bool) -> Result<Created> {
    let dry_run = if dry_run { "dryRun=All&" } else { "" };
    let uri = format!(
        "/api/v1/namespaces/{}/pods?{dry_run}fieldValidation=Ignore",
        context.namespace
    );
    let request = Request::post(uri)
        .header("Content-Type", "application/json")
        .body(pod.to_string().into_bytes())?;
    match context.cluster.client().request::<Value>(request).await {
        Ok(pod) => Ok(Created::Pod(Box::new(pod))),
        Err(kube::Error::Api(status)) => Ok(Created::Refused(status.code, status.message.clone())),
        Err(error) => Err(error.into()),
    }
}

/// What the webhook of this cluster injects.
pub(crate) async fn settings(context: &Context<'_>) -> Result<Settings> {
    let deployments: Api<Deployment> = Api::namespaced(context.cluster.client(), SYSTEM_NAMESPACE);
    let deployment = deployments.get("active-passive-webhook").await?;
    let spec = deployment.spec.and_then(|spec| spec.template.spec);
    let args = spec
        .and_then(|spec| spec.containers.into_iter().next()?.args)
        .context("the webhook has no arguments")?;
    let value = |flag: &str| {
        let value = args.iter().find_map(|arg| arg.strip_prefix(flag));
        value
            .map(str::to_owned)
            .with_context(|| format!("no {flag}"))
    };
    Ok(Settings {
        image: value("--sidecar-image=")?,
        image_pull_policy: value("--sidecar-image-pull-policy=")?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

async fn golden(context: &Context<'_>) -> Result<()> {
    for account in ACCOUNTS {
        context
            .kubectl(&["create", "serviceaccount", account])
            .await?;
    }
    // The first test after an installation: the Service's endpoints may not have reached every
    // kube-proxy.
    let first = gated_pod("first", true, &json!({}));
    eventually("the webhook answers", TAKEN_UP_MS, async || {
        Ok(match create(context, &first, true).await? {
            Created::Pod(_) => Ok(()),
            other => Err(format!("{other:?}")),
        })
    })
    .await?;
    let settings = settings(context).await?;
    let plugin = Plugin::new(context)?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../webhook/inject/testdata");
    let mut cases: Vec<_> = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    cases.sort();
    ensure!(cases.len() >= 60, "only {} golden pods", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let name = case.file_name().unwrap_or_default().to_string_lossy();
        let pod = std::fs::read_to_string(case.join("pod.yaml"))?;
        let mut pod: Value = serde_saphyr::from_str(&pod)?;
        // One stands there as an API server sent it, with the namespace that it came from.
        if let Some(metadata) = pod["metadata"].as_object_mut() {
            metadata.remove("namespace");
        }
        if let Err(error) = as_decided(&plugin, &pod, &settings).await {
            wrong.push(format!("{name}: {error:#}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    plugin.end()
}

/// Checks that the API server answers what is decided here, and that the pod as the plugin writes it
/// becomes the very same one, beside the account and the binding that it writes.
async fn as_decided(plugin: &Plugin<'_>, pod: &Value, settings: &Settings) -> Result<()> {
    let context = plugin.context();
    let request = RequestInfo {
        namespace: &context.namespace,
        is_create: true,
        account_missing: false,
    };
    let decision = decide(pod, &request, settings);
    let mut written = Value::Null;
    if matches!(decision, Decision::Patch(_)) {
        written = write(plugin, pod, settings).await?;
    }
    let created = create(context, pod, true).await?;
    match (decision, created) {
        (Decision::Patch(_), Created::Pod(live)) => {
            let again = create(context, &written, true).await?;
            let Created::Pod(again) = again else {
                bail!("the injected pod is refused: {again:?}");
            };
            let (live, again) = (timeless(*live), timeless(*again));
            let differences = differences(&live, &again, "");
            ensure!(
                differences.is_empty(),
                "there, and as patched here: {}",
                differences.join("; ")
            );
        }
        (Decision::Skip(_), Created::Pod(live)) => {
            let containers = &live["spec"]["initContainers"];
            ensure!(containers.is_null(), "a sidecar: {containers:#}");
        }
        // What the API server cannot read it refuses before anybody else sees it.
        (Decision::Deny { .. }, Created::Refused(400, _)) => {}
        (Decision::Deny { reasons, .. }, Created::Refused(403, message)) => {
            let said = message.split_once(DENIED).map(|(_, said)| said);
            ensure!(
                said == Some(reasons.to_string().as_str()),
                "it says: {message}"
            );
        }
        (decision, created) => bail!("{} here, {created:#?} there", decision.code()),
    }
    Ok(())
}

/// The pod as the plugin writes it, after the other objects that it writes have been made.
async fn write(plugin: &Plugin<'_>, pod: &Value, settings: &Settings) -> Result<Value> {
    let file = plugin.file("pod.json", &pod.to_string())?;
    let image = ["--sidecar-image", &settings.image];
    let policy = ["--sidecar-image-pull-policy", &settings.image_pull_policy];
    let inject = ["inject", "--mode", "full", "-o", "json", "-f", &file];
    let written = plugin.say(&[&inject[..], &image, &policy].concat()).await?;
    let mut pod = None;
    for object in serde_json::Deserializer::from_str(&written).into_iter() {
        let object: Value = object?;
        let items = object["items"].as_array().cloned();
        for object in items.unwrap_or_else(|| vec![object]) {
            match object["kind"].as_str() {
                Some("Pod") => pod = Some(object),
                Some("ServiceAccount") => make::<ServiceAccount>(plugin, object).await?,
                Some("RoleBinding") => make::<RoleBinding>(plugin, object).await?,
                kind => bail!("the plugin writes {kind:?}"),
            }
        }
    }
    let pod = pod.context("the plugin writes no pod")?;
    let asks = &pod["metadata"]["annotations"][contract::INJECT];
    ensure!(asks == "true", "the plugin writes a pod that does not ask");
    Ok(pod)
}

/// Creates an object, unless the last pod of its group has brought it.
async fn make<K>(plugin: &Plugin<'_>, object: Value) -> Result<()>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + DeserializeOwned,
    K::DynamicType: Default,
{
    let object: K = serde_json::from_value(object)?;
    let api = plugin.context().api::<K>();
    match api.create(&PostParams::default(), &object).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        made => Ok(made.map(drop)?),
    }
}

/// A pod without what is made up anew for each.
fn timeless(mut pod: Value) -> Value {
    for key in ["uid", "name", "creationTimestamp", "managedFields"] {
        if let Some(metadata) = pod["metadata"].as_object_mut() {
            metadata.remove(key);
        }
    }
    let text = pod.to_string();
    // The name of the account's token volume ends in five characters of chance.
    let Some((_, rest)) = text.split_once("kube-api-access-") else {
        return pod;
    };
    let chance = rest.get(..5).unwrap_or_default();
    let text = text.replace(&format!("kube-api-access-{chance}"), "kube-api-access-");
    serde_json::from_str(&text).unwrap_or(pod)
}

/// Where two pods differ, and how. Volumes and mounts have no order: some are added by the API
/// server, before ours in one case and after it in the other.
fn differences(there: &Value, here: &Value, path: &str) -> Vec<String> {
    match (there, here) {
        (Value::Object(there), Value::Object(here)) => {
            let keys: BTreeSet<&String> = there.keys().chain(here.keys()).collect();
            let of = |key: &String| {
                let value = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                differences(&value(there), &value(here), &format!("{path}/{key}"))
            };
            keys.into_iter().flat_map(of).collect()
        }
        (Value::Array(there), Value::Array(here)) if there.len() == here.len() => {
            let unordered = path.ends_with("/volumes") || path.ends_with("/volumeMounts");
            let sorted = |list: &[Value]| {
                let mut list = list.to_vec();
                if unordered {
                    list.sort_by_key(|item| item["name"].to_string());
                }
                list
            };
            let pairs = sorted(there).into_iter().zip(sorted(here)).enumerate();
            pairs
                .flat_map(|(index, (there, here))| {
                    differences(&there, &here, &format!("{path}/{index}"))
                })
                .collect()
        }
        (there, here) if there == here => Vec::new(),
        (there, here) => vec![format!("{path} is {there} and {here}")],
    }
}

/// A pod that runs nowhere, with these resources, as Pod Security wants it at its strictest.
pub(crate) fn gated_pod(name: &str, asks: bool, resources: &Value) -> Value {
    let annotations = match asks {
        true => json!({"active-passive.dev/inject": "true", "active-passive.dev/group": name}),
        false => json!({}),
    };
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {
            "schedulingGates": [{"name": "example.com/never"}],
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "app",
                "image": "app:1",
                "resources": resources,
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]},
                },
            }],
        },
    })
}

async fn policies(context: &Context<'_>) -> Result<()> {
    for level in ["enforce", "warn"] {
        let label = format!("pod-security.kubernetes.io/{level}=restricted");
        context
            .kubectl(&["label", "namespace", &context.namespace, &label])
            .await?;
    }
    let all = json!({"cpu": "1", "memory": "64Mi"});
    let limited = json!({"requests": {"cpu": "500m", "memory": "64Mi"}, "limits": all});
    passes(context, "restricted", &json!({})).await?;

    let hard = json!({
        "requests.cpu": "4", "requests.memory": "1Gi", "limits.cpu": "4", "limits.memory": "1Gi",
    });
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "all"}, "spec": {"hard": hard},
    });
    context.apply(&quota).await?;
    // Until the quota is counted, nothing is let in; then nothing without all four figures.
    let bare = gated_pod("unlimited", false, &json!({}));
    eventually("the quota is in force", TAKEN_UP_MS, async || {
        Ok(match create(context, &bare, true).await? {
            Created::Refused(_, message) if message.contains("must specify limits.cpu") => Ok(()),
            other => Err(format!("{other:?}")),
        })
    })
    .await?;
    passes(context, "quota", &limited).await?;
    let live = passes(context, "guaranteed", &json!({"limits": all})).await?;
    ensure!(
        live["status"]["qosClass"] == "Guaranteed",
        "{:#}",
        live["status"]
    );

    let range = json!({
        "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "all"},
        "spec": {"limits": [{
            "type": "Container",
            "default": {"cpu": "400m", "memory": "128Mi"},
            "defaultRequest": {"cpu": "100m", "memory": "64Mi"},
            "maxLimitRequestRatio": {"cpu": "4", "memory": "2"},
            "min": {"cpu": "10m", "memory": "16Mi"},
            "max": {"cpu": "2", "memory": "1Gi"},
        }]},
    });
    context.apply(&range).await?;
    eventually("the defaults are in force", TAKEN_UP_MS, async || {
        Ok(match create(context, &bare, true).await? {
            Created::Pod(_) => Ok(()),
            other => Err(format!("{other:?}")),
        })
    })
    .await?;
    passes(context, "defaults", &json!({})).await?;
    passes(context, "limits", &limited).await?;
    Ok(())
}

async fn shapes(context: &Context<'_>) -> Result<()> {
    let variable = |number| json!({"name": format!("VARIABLE_{number}"), "value": "0".repeat(32)});
    let variables: Vec<Value> = (0..VARIABLES).map(variable).collect();
    let mut large = gated_pod("large", true, &json!({}));
    large["spec"]["containers"][0]["env"] = json!(variables);
    ensure!(large.to_string().len() > 1 << 20, "it is not large");
    let Created::Pod(created) = create(context, &large, true).await? else {
        bail!("the large pod is refused");
    };
    let (app, sidecar) = (
        &created["spec"]["containers"][0],
        &created["spec"]["initContainers"][0],
    );
    ensure!(app["env"] == json!(variables), "variables are lost");
    ensure!(sidecar["name"] == contract::CONTAINER, "no sidecar");

    let mut any = gated_pod("any", true, &json!({}));
    any["spec"]["schedulingGates"] = Value::Null;
    any["spec"]["securityContext"]["runAsUser"] = json!(ANY_USER);
    any["spec"]["securityContext"]["runAsGroup"] = json!(0);
    any["spec"]["securityContext"]["fsGroup"] = json!(ANY_USER);
    any["spec"]["containers"][0]["image"] = json!(Kind::ExampleApp.name());
    context.apply(&any).await?;
    let pods: Api<Pod> = context.api();
    eventually("a pod of any user leads", LEADS_MS, async || {
        let labels = pods.get("any").await?.metadata.labels.unwrap_or_default();
        let role = labels.get(contract::ROLE).map(String::as_str);
        Ok(match role {
            Some("active") => Ok(()),
            role => Err(format!("its role is {role:?}")),
        })
    })
    .await
}

/// Creates a pod without and with the sidecar; both must pass, the second one with the sidecar.
async fn passes(context: &Context<'_>, name: &str, resources: &Value) -> Result<Value> {
    let bare = create(context, &gated_pod(name, false, resources), true).await?;
    ensure!(
        matches!(bare, Created::Pod(_)),
        "{name}: not even bare: {bare:?}"
    );
    let injected = create(context, &gated_pod(name, true, resources), true).await?;
    let Created::Pod(pod) = injected else {
        bail!("{name}: injected it is refused: {injected:?}");
    };
    ensure!(
        pod["spec"]["initContainers"][0]["name"] == "active-passive",
        "{name}: no sidecar: {pod:#}"
    );
    Ok(*pod)
}

//! Another mutating webhook, which does to pods what others have been seen to do. A process of its
//! own in the hub's network, where the API server is.

use std::io::Read;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Json;
use axum::Router;
use axum::extract::Path;
use axum::routing::post;
use axum_server::tls_rustls::RustlsConfig;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tests::cluster::Cluster;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

/// The role of this program.
const ROLE: &str = "--meddle";
/// Annotation that tells a pod was seen, and what was done to it.
pub(crate) const MEDDLED: &str = "example.com/meddled";

/// The running webhook; dropping it ends it.
pub(crate) struct Meddler {
    _process: Child,
    port: u16,
    ca_bundle: String,
}

impl Meddler {
    /// Starts it and waits until it listens.
    pub(crate) async fn start(cluster: &Cluster) -> Result<Self> {
        let own = format!("/proc/{}/exe", std::process::id());
        let mut process = cluster
            .hub_command(own)
            .arg(ROLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(process.stdout.take().context("no output")?).lines();
        let mut next = async || lines.next_line().await?.context("the meddler ended");
        let (port, ca_bundle) = (next().await?.parse()?, next().await?);
        Ok(Self {
            _process: process,
            port,
            ca_bundle,
        })
    }

    /// An entry of a configuration: pods of `namespace` are done `what` to.
    pub(crate) fn configuration(
        &self,
        name: &str,
        what: &str,
        again: bool,
        namespace: &str,
    ) -> Value {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [{
                "name": format!("{what}.example.com"),
                "admissionReviewVersions": ["v1"],
                "clientConfig": {
                    "url": format!("https://127.0.0.1:{}/{what}", self.port),
                    "caBundle": self.ca_bundle,
                },
                "rules": [{
                    "apiGroups": [""], "apiVersions": ["v1"],
                    "operations": ["CREATE"], "resources": ["pods"],
                }],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "reinvocationPolicy": if again { "IfNeeded" } else { "Never" },
                "failurePolicy": "Fail",
                "sideEffects": "None",
            }],
        })
    }
}

/// Runs the webhook if this process is it.
pub(crate) fn divert() -> Option<ExitCode> {
    if std::env::args().nth(1)? != ROLE {
        return None;
    }
    // It lives as long as its standard input.
    std::thread::spawn(|| {
        let _ended = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let served = tokio::runtime::Runtime::new()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(serve()));
    eprintln!("{served:?}");
    Some(ExitCode::FAILURE)
}

async fn serve() -> Result<()> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?.port());
    println!("{}", BASE64.encode(made.cert.pem()));
    let router = Router::new().route("/{what}", post(meddle));
    axum_server::from_tcp_rustls(listener, RustlsConfig::from_config(Arc::new(config)))?
        .serve(router.into_make_service())
        .await?;
    Ok(())
}

async fn meddle(Path(what): Path<String>, Json(review): Json<Value>) -> Json<Value> {
    let request = &review["request"];
    let mut ops = match what.as_str() {
        "strip" => stripped(&request["object"]),
        "add" => added(&request["object"]),
        "probes" => rewritten(&request["object"]),
        _ => Vec::new(),
    };
    if request["object"]["metadata"]["annotations"][MEDDLED].is_null() {
        let path = format!("/metadata/annotations/{}", MEDDLED.replace('/', "~1"));
        ops.push(json!({"op": "add", "path": path, "value": what}));
    }
    Json(json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {
            "uid": request["uid"],
            "allowed": true,
            "patchType": "JSONPatch",
            "patch": BASE64.encode(json!(ops).to_string()),
        },
    }))
}

fn containers<'a>(pod: &'a Value, list: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    pod["spec"][list]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
}

/// What comes of types that do not know the field.
fn stripped(pod: &Value) -> Vec<Value> {
    containers(pod, "initContainers")
        .filter(|(_, container)| !container["restartPolicy"].is_null())
        .map(|(index, _)| {
            let path = format!("/spec/initContainers/{index}/restartPolicy");
            json!({"op": "remove", "path": path})
        })
        .collect()
}

/// A container with the sidecar's usual port, once.
fn added(pod: &Value) -> Vec<Value> {
    if containers(pod, "containers").any(|(_, container)| container["name"] == "late") {
        return Vec::new();
    }
    let late = json!({"name": "late", "image": "late:1", "ports": [{"containerPort": 4280}]});
    vec![json!({"op": "add", "path": "/spec/containers/-", "value": late})]
}

/// Probes and hooks by way of an agent, as a mesh wants them.
fn rewritten(pod: &Value) -> Vec<Value> {
    let mut ops = Vec::new();
    for list in ["initContainers", "containers"] {
        for (index, container) in containers(pod, list) {
            for place in ["livenessProbe", "lifecycle/preStop"] {
                if container.pointer(&format!("/{place}/httpGet")).is_some() {
                    let at = format!("/spec/{list}/{index}/{place}/httpGet");
                    let get = json!({"path": format!("/agent/{place}"), "port": 15020});
                    ops.push(json!({"op": "replace", "path": at, "value": get}));
                }
            }
        }
    }
    ops
}

//! The cluster that all tests share, and what one test gets of it.

use std::future::Future;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use futures_util::stream::{self, StreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{Api, ListParams};
use serde_json::json;
use tests::cluster::images::Kind;
use tests::cluster::{Cluster, ClusterOptions};
use tests::scene;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep, timeout};

use crate::beside::{AT_A_TIME, Outcomes};

/// Longest time of one test.
const CASE_S: u64 = 300;
const NAMESPACE_BYTES_MAX: usize = 50;
/// How often something is asked again, milliseconds.
const ASK_MS: u64 = 50;
/// Longest time until pods are ready, as kubectl takes it.
const ROLLOUT: &str = "--timeout=60s";

/// A test that runs.
pub(crate) type Running<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// One test.
pub(crate) struct Case {
    /// Unique; also says what must hold.
    pub(crate) name: &'static str,
    /// The test.
    pub(crate) run: for<'a> fn(&'a Context<'a>) -> Running<'a>,
}

/// What a test gets: the cluster, and a namespace of its own.
pub(crate) struct Context<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) namespace: String,
}

/// Started by the first test that runs; a failed start fails every test.
#[derive(Default)]
pub(crate) struct Shared(Mutex<Option<Result<Started>>>);

struct Started {
    runtime: Runtime,
    cluster: Cluster,
}

impl Shared {
    /// Runs one test in a namespace of its own, and tells of it if the test fails.
    pub(crate) fn run(&self, case: &'static Case) -> Result<(), String> {
        let mut outcomes = self.run_beside(&[case]);
        let outcome = outcomes.remove(case.name);
        outcome.unwrap_or_else(|| Err("it did not run".to_owned()))
    }

    /// Runs tests beside each other.
    pub(crate) fn run_beside(&self, cases: &[&'static Case]) -> Outcomes {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Started { runtime, cluster } = match shared.get_or_insert_with(start) {
            Ok(started) => started,
            Err(error) => {
                let error = format!("the cluster did not start: {error:#}");
                let failed = |case: &&'static Case| (case.name, Err(error.clone()));
                return cases.iter().map(failed).collect();
            }
        };
        let cluster = &*cluster;
        let runs = cases.iter().map(|case| async move {
            let context = Context {
                cluster,
                namespace: namespace_of(case),
            };
            (case.name, context.judge(case).await)
        });
        let runs = stream::iter(runs).buffer_unordered(AT_A_TIME);
        runtime.block_on(runs.collect())
    }

    /// Ends the cluster, if there is one.
    pub(crate) fn end(&self) {
        let shared = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Ok(Started { runtime, cluster })) = shared {
            drop(runtime);
            cluster.stop().expect("the cluster ends");
        }
    }
}

/// The name of the test, as far as it goes into the name of a namespace.
fn namespace_of(case: &Case) -> String {
    let name = case
        .name
        .to_ascii_lowercase()
        .replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    name[..name.len().min(NAMESPACE_BYTES_MAX)]
        .trim_matches('-')
        .to_string()
}

fn start() -> Result<Started> {
    let runtime = Runtime::new()?;
    let cluster = runtime.block_on(async {
        let cluster = Cluster::start(ClusterOptions::default()).await?;
        scene::install(&cluster, &[]).await?;
        anyhow::Ok(cluster)
    })?;
    Ok(Started { runtime, cluster })
}

impl Context<'_> {
    /// How a test ends, with what a person would look at if it fails.
    async fn judge(&self, case: &Case) -> Result<(), String> {
        let test = timeout(Duration::from_secs(CASE_S), self.run(case)).await;
        match test.unwrap_or_else(|_| Err(anyhow!("it took more than {CASE_S} s"))) {
            Ok(()) => Ok(()),
            Err(error) => Err(format!("{error:#}\n{}", self.describe().await)),
        }
    }

    async fn run(&self, case: &Case) -> Result<()> {
        self.kubectl(&["create", "namespace", &self.namespace])
            .await?;
        (case.run)(self).await?;
        self.kubectl(&["delete", "namespace", &self.namespace, "--wait=false"])
            .await?;
        Ok(())
    }

    /// What a person would look at after a failure.
    async fn describe(&self) -> String {
        let mut text = String::new();
        for args in [
            &["get", "pods,leases,services", "--output=wide"][..],
            &["events"],
        ] {
            let shown = self.kubectl(args).await;
            text.push_str(&shown.unwrap_or_else(|error| format!("{error:#}")));
        }
        text
    }

    /// kubectl in the namespace of the test.
    pub(crate) async fn kubectl(&self, args: &[&str]) -> Result<String> {
        let args = [&["--namespace", &self.namespace], args].concat();
        Ok(self.cluster.kubectl(&args).await?)
    }

    /// What kubectl answers to a person, failed or not, in the namespace of the test.
    pub(crate) async fn kubectl_answer(&self, args: &[&str], input: &str) -> Result<Answer> {
        let mut command = Command::new(self.cluster.binaries().path("kubectl"));
        let mut child = command
            .arg("--kubeconfig")
            .arg(self.cluster.kubeconfig())
            .args(["--namespace", &self.namespace])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut stdin = child.stdin.take().context("no input")?;
        stdin.write_all(input.as_bytes()).await?;
        drop(stdin);
        let output = child.wait_with_output().await?;
        Ok(Answer {
            succeeded: output.status.success(),
            stderr: String::from_utf8(output.stderr)?,
        })
    }

    /// Applies an object, given as JSON.
    pub(crate) async fn apply(&self, object: &serde_json::Value) -> Result<()> {
        let args = ["--namespace", &self.namespace, "apply", "-f", "-"];
        self.cluster
            .kubectl_with_input(&args, &object.to_string())
            .await?;
        Ok(())
    }

    /// API of a kind of object in the namespace of the test.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.cluster.client(), &self.namespace)
    }

    /// Starts the example app under a name, without anything of ours, and waits until it is ready.
    pub(crate) async fn deploy_app(&self, name: &str, replicas: u32) -> Result<Deployment> {
        let labels = json!({"app": name});
        self.apply(&json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "terminationGracePeriodSeconds": 1,
                        "containers": [{
                            "name": "app",
                            "image": Kind::ExampleApp.name(),
                            "env": [{
                                "name": "POD_NAME",
                                "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}},
                            }],
                            "readinessProbe": {
                                "httpGet": {"path": "/healthz", "port": 8080},
                                "periodSeconds": 1,
                            },
                        }],
                        "topologySpreadConstraints": [{
                            "maxSkew": 1,
                            "topologyKey": "kubernetes.io/hostname",
                            "whenUnsatisfiable": "DoNotSchedule",
                            "labelSelector": {"matchLabels": labels},
                        }],
                    },
                },
            },
        }))
        .await?;
        self.kubectl(&["rollout", "status", &format!("deployment/{name}"), ROLLOUT])
            .await?;
        Ok(self.api::<Deployment>().get(name).await?)
    }

    /// Makes a Service for the app of that name and returns `<ClusterIP>:<port>`.
    pub(crate) async fn expose_app(&self, name: &str) -> Result<String> {
        self.apply(&json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
        }))
        .await?;
        let service = self.api::<Service>().get(name).await?;
        let address = service.spec.and_then(|spec| spec.cluster_ip);
        Ok(format!(
            "{}:80",
            address.context("the Service has no ClusterIP")?
        ))
    }

    /// Pods with the label `app`.
    pub(crate) async fn pods(&self, app: &str) -> Result<Vec<PodView>> {
        let selector = ListParams::default().labels(&format!("app={app}"));
        let pods = self.api::<Pod>().list(&selector).await?;
        pods.items.into_iter().map(PodView::new).collect()
    }

    /// The pod with the label `app` that runs on `node`.
    pub(crate) async fn pod_on(&self, app: &str, node: &str) -> Result<PodView> {
        let pods = self.pods(app).await?;
        let Some(pod) = pods.into_iter().find(|pod| pod.node == node) else {
            bail!("no pod of {app} runs on {node}");
        };
        Ok(pod)
    }
}

/// Asks until there is an answer: what other programs have taken up sends no event. `ask` gives what
/// is there instead, for the case that it stays so.
pub(crate) async fn eventually<T>(
    what: &str,
    deadline_ms: u64,
    mut ask: impl AsyncFnMut() -> Result<Result<T, String>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        let instead = match ask().await? {
            Ok(answer) => return Ok(answer),
            Err(instead) => instead,
        };
        let waited = start.elapsed() > Duration::from_millis(deadline_ms);
        ensure!(
            !waited,
            "{what}: not within {deadline_ms} ms, instead {instead}"
        );
        sleep(Duration::from_millis(ASK_MS)).await;
    }
}

/// What kubectl answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) succeeded: bool,
    pub(crate) stderr: String,
}

/// What tests ask of a pod.
#[derive(Debug, Clone)]
pub(crate) struct PodView {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) node: String,
    pub(crate) address: String,
    pub(crate) restarts: i32,
}

impl PodView {
    fn new(pod: Pod) -> Result<Self> {
        let status = pod.status.context("the pod has no status")?;
        let containers = status.container_statuses.unwrap_or_default();
        Ok(Self {
            name: pod.metadata.name.context("the pod has no name")?,
            uid: pod.metadata.uid.context("the pod has no uid")?,
            node: pod
                .spec
                .and_then(|spec| spec.node_name)
                .context("the pod has no node")?,
            address: status.pod_ip.context("the pod has no address")?,
            restarts: containers
                .iter()
                .map(|container| container.restart_count)
                .sum(),
        })
    }
}

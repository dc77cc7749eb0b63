//! A group on a real cluster with a watcher beside it: installed, settled, disturbed, judged.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams};

use crate::clock;
use crate::cluster::images::{self, Image};
use crate::cluster::{Cluster, Doing, Error, Kube, Result};
use crate::load::{Load, LoadOptions, Request};
use crate::observe::{Answer, Signs, Timeline, Verdict, Watcher, is_ready, judge};
use crate::project_root;
use example_app::load::{Clock, wall_ms};

/// Namespace that the chart is installed into.
pub const SYSTEM_NAMESPACE: &str = "active-passive-system";
/// Name of the Helm release.
pub const RELEASE: &str = "active-passive";
/// Load before the trigger of an event, milliseconds: enough to see that all is well.
const LEAD_IN_MS: u64 = 1_000;
/// How long a group may take to settle, milliseconds: a lease duration, image start and probes.
const SETTLE_DEADLINE_MS: u64 = 60_000;
const SETTLE_POLL_MS: u64 = 100;
/// How long a rollout may take, as kubectl takes it.
const ROLLOUT: &str = "--timeout=90s";

/// Builds and loads the images and installs the chart with `values` (as of `helm --set`); returns
/// when the webhook is ready.
///
/// # Errors
/// If a step fails.
pub async fn install(cluster: &Cluster, values: &[&str]) -> Result<Vec<Image>> {
    let images = images::build(&images::Kind::ALL).await?;
    load_images(cluster, &images).await?;
    install_chart(cluster.kube(), values).await?;
    Ok(images)
}

/// Loads images into every node.
///
/// # Errors
/// If a node refuses one.
pub async fn load_images(cluster: &Cluster, images: &[Image]) -> Result<()> {
    for image in images {
        cluster.load_image(&image.archive).await?;
    }
    Ok(())
}

/// Installs the chart with `values` (as of `helm --set`) and, unless they name others, the images of
/// the project; returns when the webhook is ready.
///
/// # Errors
/// If it does not become ready, with what its pods say.
pub async fn install_chart(kube: &Kube, values: &[&str]) -> Result<()> {
    let chart = project_root().join("charts/active-passive");
    let chart = chart.to_string_lossy();
    let mut args = vec!["upgrade", "--install", RELEASE, &chart];
    args.extend(["--namespace", SYSTEM_NAMESPACE, "--create-namespace"]);
    // Without it, values of the installation that is there would stay where none is given.
    args.extend(["--reset-values", "--wait", "--timeout", "90s"]);
    let images = images::chart_values();
    for value in images
        .iter()
        .map(String::as_str)
        .chain(values.iter().copied())
    {
        args.extend(["--set", value]);
    }
    match kube.helm(&args).await {
        Ok(_) => Ok(()),
        Err(error) => Err(error.output(&kube.describe(SYSTEM_NAMESPACE).await)),
    }
}

/// The active pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Active {
    /// Its uid.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// Its node.
    pub node: String,
}

/// Where requests come from.
#[derive(Clone)]
pub enum Source<'a> {
    /// A process in the hub's network of a cluster of our own. One machine has one clock.
    Hub(&'a Cluster),
    /// A pod of this image in the group's namespace. Clocks are taken to be synchronised.
    Pod {
        /// Name of the example app's image.
        image: String,
    },
}

impl Source<'_> {
    /// The clock of requests from here.
    fn clock(&self) -> Clock {
        match self {
            Self::Hub(_) => clock::now_ms,
            Self::Pod { .. } => wall_ms,
        }
    }
}

/// A group named like its Service, in a namespace of its own.
pub struct Scene<'a> {
    /// Where it plays.
    pub kube: &'a Kube,
    /// Its namespace.
    pub namespace: String,
    /// Name of the group, of its Service and of its app container.
    pub group: String,
    /// What was seen of it.
    pub watcher: Watcher,
    /// Its clock: that of the watcher and of the requests.
    pub clock: Clock,
    source: Source<'a>,
    /// Label selector of its pods.
    selector: String,
    replicas: usize,
}

/// What a scene is made of.
#[derive(Debug, Clone)]
pub struct Cast {
    /// Its namespace, which exists.
    pub namespace: String,
    /// Name of the group, of its Service and of its app container.
    pub group: String,
    /// How its pods and its active pod are told from others.
    pub signs: Signs,
    /// What is applied.
    pub manifest: String,
    /// How many pods that makes.
    pub replicas: usize,
}

impl<'a> Scene<'a> {
    /// Applies `manifest` in a namespace of `cluster` that exists and waits until the group has
    /// settled.
    ///
    /// # Errors
    /// If it does not settle.
    pub async fn open(
        cluster: &'a Cluster,
        namespace: &str,
        group: &str,
        manifest: &str,
        replicas: usize,
    ) -> Result<Self> {
        let source = Source::Hub(cluster);
        Self::open_at(cluster.kube(), source, namespace, group, manifest, replicas).await
    }

    /// Like [`Self::open`], on any cluster, with requests from `source`.
    ///
    /// # Errors
    /// If it does not settle.
    pub async fn open_at(
        kube: &'a Kube,
        source: Source<'a>,
        namespace: &str,
        group: &str,
        manifest: &str,
        replicas: usize,
    ) -> Result<Self> {
        let cast = Cast {
            namespace: namespace.to_owned(),
            group: group.to_owned(),
            signs: Signs::of_group(group),
            manifest: manifest.to_owned(),
            replicas,
        };
        Self::open_cast(kube, source, &cast).await
    }

    /// Like [`Self::open_at`], of any group that is active and passive, ours or not.
    ///
    /// # Errors
    /// If it does not settle.
    pub async fn open_cast(kube: &'a Kube, source: Source<'a>, cast: &Cast) -> Result<Self> {
        let (clock, namespace) = (source.clock(), &cast.namespace);
        let client = kube.client();
        let watcher = Watcher::start(&client, namespace, &cast.group, &cast.signs, clock);
        let apply = ["apply", "-n", namespace, "-f", "-"];
        kube.kubectl_with_input(&apply, &cast.manifest).await?;
        let scene = Self {
            kube,
            namespace: namespace.clone(),
            group: cast.group.clone(),
            watcher,
            clock,
            source,
            selector: cast.signs.pods.clone(),
            replicas: cast.replicas,
        };
        match scene.settled().await {
            Ok(_) => Ok(scene),
            Err(error) => Err(error.output(&kube.describe(namespace).await)),
        }
    }

    /// The example that users apply first.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn example() -> Result<String> {
        let path = project_root().join("deploy/examples/web.yaml");
        std::fs::read_to_string(&path).doing(|| format!("read {}", path.display()))
    }

    /// Waits until all pods are ready and none is terminating, exactly one is labelled active and
    /// the Service selects that one; returns it.
    ///
    /// # Errors
    /// If that does not happen in time, with what is there instead.
    pub async fn settled(&self) -> Result<Active> {
        let start_ms = clock::now_ms();
        loop {
            let pods = self.pods().await?;
            let unsettled = match self.find_active(&pods) {
                Ok(active) => return Ok(active),
                Err(unsettled) => unsettled,
            };
            if clock::now_ms() > start_ms + SETTLE_DEADLINE_MS {
                return Err(Error::new(
                    format!("wait until one pod of group {} is active", self.group),
                    unsettled,
                ));
            }
            tokio::time::sleep(Duration::from_millis(SETTLE_POLL_MS)).await;
        }
    }

    /// The active pod of a settled group, or what is not settled.
    fn find_active(&self, pods: &[Pod]) -> std::result::Result<Active, String> {
        let timeline = self.watcher.timeline();
        let going = pods
            .iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_some())
            .count();
        let ready = pods.iter().filter(|pod| is_ready(pod)).count();
        if ready != self.replicas || pods.len() != self.replicas || going > 0 {
            let all = pods.len();
            return Err(format!(
                "{ready} of {all} pods are ready, {going} are terminating"
            ));
        }
        let labelled: Vec<&str> = timeline.labelled().into_iter().collect();
        let routed = timeline.routed(&self.group);
        match (labelled.as_slice(), routed) {
            ([uid], Some(routed)) if *uid == routed => pods
                .iter()
                .find(|pod| pod.uid().as_deref() == Some(uid))
                .map(|pod| Active {
                    uid: (*uid).to_owned(),
                    name: pod.name_any(),
                    node: node(pod),
                })
                .ok_or_else(|| "the labelled pod is not there".to_owned()),
            _ => Err(format!(
                "labelled active: {labelled:?}, selected: {routed:?}"
            )),
        }
    }

    /// The pods of the group.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn pods(&self) -> Result<Vec<Pod>> {
        let api: Api<Pod> = Api::namespaced(self.kube.client(), &self.namespace);
        let list = ListParams::default().labels(&self.selector);
        Ok(api
            .list(&list)
            .await
            .doing(|| format!("list the pods of {}", self.group))?
            .items)
    }

    /// `<ClusterIP>:<port>` of the group's Service.
    ///
    /// # Errors
    /// If it has none.
    pub async fn address(&self) -> Result<String> {
        let action = || format!("find the address of Service {}", self.group);
        let api: Api<Service> = Api::namespaced(self.kube.client(), &self.namespace);
        let spec = api
            .get(&self.group)
            .await
            .doing(action)?
            .spec
            .unwrap_or_default();
        let port = spec
            .ports
            .as_ref()
            .and_then(|ports| ports.first())
            .map(|port| port.port);
        match (spec.cluster_ip, port) {
            // An IPv6 address needs brackets.
            (Some(ip), Some(port)) if ip.contains(':') => Ok(format!("[{ip}]:{port}")),
            (Some(ip), Some(port)) => Ok(format!("{ip}:{port}")),
            _ => Err(Error::new(action(), "it has no ClusterIP or no port")),
        }
    }

    /// Deletes a pod as `kubectl delete` does.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn delete(&self, pod: &str) -> Result<()> {
        let api: Api<Pod> = Api::namespaced(self.kube.client(), &self.namespace);
        let deleted = api.delete(pod, &DeleteParams::default()).await;
        deleted.map(drop).doing(|| format!("delete pod {pod}"))
    }

    /// Waits until the Service selects another pod than `old`; returns the name of the new one.
    ///
    /// # Errors
    /// If it does not within `deadline_ms`.
    pub async fn moved_from(&mut self, old: &Active, deadline_ms: u64) -> Result<String> {
        let (group, uid) = (self.group.clone(), old.uid.clone());
        let moved = |timeline: &Timeline| {
            let routed = timeline.routed(&group).filter(|routed| *routed != uid)?;
            Some(timeline.name(routed).unwrap_or(routed).to_owned())
        };
        self.watcher.until(deadline_ms, moved).await.ok_or_else(|| {
            Error::new(
                "wait for another active pod",
                format!("none within {deadline_ms} ms"),
            )
        })
    }

    /// Waits until the object of `pod` is gone.
    ///
    /// # Errors
    /// If it is not within `deadline_ms`.
    pub async fn gone(&mut self, pod: &Active, deadline_ms: u64) -> Result<()> {
        let gone = |timeline: &Timeline| timeline.is_gone(&pod.uid).then_some(());
        self.watcher.until(deadline_ms, gone).await.ok_or_else(|| {
            Error::new(
                format!("wait for the end of {}", pod.name),
                format!("not within {deadline_ms} ms"),
            )
        })
    }

    /// Waits until `pod` no longer carries the active label.
    ///
    /// # Errors
    /// If it still does after `deadline_ms`.
    pub async fn stripped(&mut self, pod: &Active, deadline_ms: u64) -> Result<()> {
        let stripped =
            |timeline: &Timeline| (!timeline.labelled().contains(pod.uid.as_str())).then_some(());
        self.watcher
            .until(deadline_ms, stripped)
            .await
            .ok_or_else(|| {
                Error::new(
                    format!("wait until {} is passive", pod.name),
                    format!("not within {deadline_ms} ms"),
                )
            })
    }

    /// `kubectl rollout restart` of a Deployment; returns when the rollout is complete.
    ///
    /// # Errors
    /// If it does not complete.
    pub async fn rollout_restart(&self, deployment: &str) -> Result<()> {
        self.restart(deployment).await?;
        self.rolled_out(deployment).await
    }

    /// Begins to replace the pods of a Deployment, as `kubectl rollout restart` does.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn restart(&self, deployment: &str) -> Result<()> {
        let target = format!("deployment/{deployment}");
        let args = ["rollout", "restart", "-n", &self.namespace, &target];
        self.kube.kubectl(&args).await.map(drop)
    }

    /// Waits until all pods of a Deployment are replaced.
    ///
    /// # Errors
    /// If they are not in time.
    pub async fn rolled_out(&self, deployment: &str) -> Result<()> {
        let target = format!("deployment/{deployment}");
        let status = ["rollout", "status", "-n", &self.namespace, &target, ROLLOUT];
        self.kube.kubectl(&status).await.map(drop)
    }

    /// Starts requests to the group's Service, and returns once they are answered.
    ///
    /// # Errors
    /// If they are not.
    pub async fn load(&self) -> Result<Load> {
        let options = LoadOptions::new(self.address().await?);
        let load = match &self.source {
            Source::Hub(cluster) => Load::start(cluster, &options)?,
            Source::Pod { image } => {
                let pods = Api::namespaced(self.kube.client(), &self.namespace);
                Load::start_pod(pods, image, &options).await?
            }
        };
        load.answered(None, SETTLE_DEADLINE_MS).await?;
        tokio::time::sleep(Duration::from_millis(LEAD_IN_MS)).await;
        Ok(load)
    }

    /// Judges what `load` saw of an event that was triggered at `trigger_ms` while `old` was
    /// active. Requests from before the load was answered do not count.
    pub fn judge(
        &self,
        event: &str,
        old: &Active,
        trigger_ms: u64,
        requests: &[Request],
    ) -> Verdict {
        let from_ms = trigger_ms.saturating_sub(LEAD_IN_MS);
        let counted = requests.iter().filter(|request| request.sent_ms >= from_ms);
        let answers: Vec<Answer> = counted.map(Answer::of).collect();
        judge(
            event,
            &self.watcher.timeline(),
            &self.group,
            &old.uid,
            trigger_ms,
            &answers,
        )
    }
}

/// Name of the pod's node; "" before it has one.
#[must_use]
pub fn node(pod: &Pod) -> String {
    pod.spec
        .as_ref()
        .and_then(|spec| spec.node_name.clone())
        .unwrap_or_default()
}

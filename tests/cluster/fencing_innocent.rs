//! Whoever means no harm is unhindered under `fencing.mode=Deny`, while roles move: a GitOps
//! controller that applies again and again, people who label, scale and clean up, kubelets, and the
//! controllers of the control plane.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::ResourceExt;
use kube::api::ListParams;
use tests::clock;
use tests::cluster::images::{self, Kind};
use tests::cluster::{AuditEvent, Kube};
use tests::observe::Change;
use tests::scene::{self, Cast, Scene, Source};
use tests::system::System;
use tokio::task::JoinHandle;

use crate::context::{Case, Context, eventually};
use crate::fencing::REFUSED;
use crate::fencing_cast::{developer, gitops};

const MOVE_MS: u64 = 5_000;
/// Others wait for the Lease to expire.
const PEER_MOVE_MS: u64 = 25_000;
const GONE_MS: u64 = 20_000;
/// How long controllers may take to let pods go and take them up again, milliseconds.
const ADOPTED_MS: u64 = 10_000;
/// Rounds of a controller that works all the time; fewer mean that it was held up.
const ROUNDS_MIN: usize = 5;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "fencing: whoever means no harm is unhindered while the role moves",
        run: |context| Box::pin(unhindered(context)),
    },
    Case {
        name: "fencing: a group on an account of its own moves, and its namespace can be deleted",
        run: |context| Box::pin(own_account(context)),
    },
    Case {
        name: "fencing: an elector on client-go that is none of ours moves its own label",
        run: |context| Box::pin(peer(context)),
    },
];

async fn unhindered(context: &Context<'_>) -> Result<()> {
    let manifest = Scene::example()?;
    let namespace = &context.namespace;
    let mut scene = Scene::open(context.cluster, namespace, "web", &manifest, 3).await?;
    let developer = developer(context).await?;
    let controller = Controller::start(gitops(context).await?, namespace, &manifest)?;
    let mut audit = context.cluster.audit();
    audit.skip()?;
    let start_ms = clock::now_ms();

    let old = scene.settled().await?;
    scene.delete(&old.name).await?;
    scene.moved_from(&old, MOVE_MS).await?;
    scene.gone(&old, GONE_MS).await?;

    let old = scene.settled().await?;
    let switchover = "active-passive.dev/switchover=any";
    let ask = ["annotate", "lease", "web", switchover, "-n", namespace];
    developer.kubectl(&ask).await?;
    scene.moved_from(&old, MOVE_MS).await?;

    adopted(context, &developer).await?;
    // One that scales, and the controller, who knows better.
    let scale = [
        "scale",
        "deployment",
        "web",
        "--replicas=4",
        "-n",
        namespace,
    ];
    developer.kubectl(&scale).await?;
    scene.settled().await?;
    scene.rollout_restart("web").await?;
    scene.settled().await?;

    let rounds = controller.stop().await?;
    ensure!(
        rounds >= ROUNDS_MIN,
        "the controller came {rounds} times round"
    );
    let timeline = scene.watcher.timeline();
    let (fewest, _) = timeline.labelled_range(start_ms, clock::now_ms());
    ensure!(fewest >= 1, "nobody was labelled: {timeline:#?}");
    let mut since = timeline.since(start_ms);
    let lost = since.find(|event| matches!(&event.change, Change::Route { uid: None, .. }));
    ensure!(lost.is_none(), "the Service pointed nowhere: {lost:?}");
    nobody_was_refused(&audit.read()?, namespace)
}

/// Lets a ReplicaSet go without its pods: the garbage collector takes its name off them, and the
/// Deployment's next ReplicaSet puts its own on.
async fn adopted(context: &Context<'_>, developer: &Kube) -> Result<()> {
    let sets = context.api::<ReplicaSet>();
    let of_app = ListParams::default().labels("app=web");
    let old = sets.list(&of_app).await?.items;
    let old = old.first().context("there is no ReplicaSet")?.name_any();
    let namespace = &context.namespace;
    let orphan = [
        "delete",
        "replicaset",
        &old,
        "--cascade=orphan",
        "-n",
        namespace,
    ];
    developer.kubectl(&orphan).await?;
    eventually("the pods have an owner again", ADOPTED_MS, async || {
        let now = sets.list(&of_app).await?.items;
        let uids: Vec<String> = now.iter().filter_map(ResourceExt::uid).collect();
        let pods = context
            .api::<k8s_openapi::api::core::v1::Pod>()
            .list(&of_app)
            .await?;
        let owners = pods.items.iter().map(|pod| pod.owner_references());
        let of_these = |owner: &&[_]| matches!(owner, [owner] if is_one_of(owner, &uids));
        let orphans = owners.filter(|owner| !of_these(owner)).count();
        Ok(if orphans == 0 {
            Ok(())
        } else {
            Err(format!("{orphans} have none"))
        })
    })
    .await
}

fn is_one_of(
    owner: &k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference,
    uids: &[String],
) -> bool {
    uids.contains(&owner.uid)
}

async fn own_account(context: &Context<'_>) -> Result<()> {
    let namespace = format!("{}-own", context.namespace);
    let cluster = context.cluster;
    cluster
        .kubectl(&["create", "namespace", &namespace])
        .await?;
    let account = ["create", "serviceaccount", "shop", "-n", &namespace];
    cluster.kubectl(&account).await?;
    let mut audit = cluster.audit();
    audit.skip()?;
    let manifest = Scene::example()?;
    let asks = "active-passive.dev/inject: \"true\"";
    // No pod is left to wait for once all of them go.
    let briefly = format!("{asks}\n        active-passive.dev/drain-timeout: 1s");
    let secured = "      securityContext:\n        runAsNonRoot: true\n        seccomp";
    let named = format!("      serviceAccountName: shop\n{secured}");
    ensure!(
        manifest.contains(secured),
        "the example has no pod security context"
    );
    let manifest = manifest.replace(asks, &briefly).replace(secured, &named);
    let mut scene = Scene::open(cluster, &namespace, "web", &manifest, 3).await?;
    let pods = scene.pods().await?;
    let accounts: Vec<_> = pods
        .iter()
        .filter_map(|pod| pod.spec.as_ref()?.service_account_name.as_deref())
        .collect();
    ensure!(accounts == ["shop"; 3], "the pods run as {accounts:?}");

    let old = scene.settled().await?;
    scene.delete(&old.name).await?;
    scene.moved_from(&old, MOVE_MS).await?;
    scene.settled().await?;
    cluster
        .kubectl(&["delete", "namespace", &namespace, "--timeout=60s"])
        .await?;
    nobody_was_refused(&audit.read()?, &namespace)
}

async fn peer(context: &Context<'_>) -> Result<()> {
    let (cluster, namespace) = (context.cluster, &context.namespace);
    scene::load_images(cluster, &images::build(&[Kind::Peer]).await?).await?;
    let mut audit = cluster.audit();
    audit.skip()?;
    let cast = Cast {
        namespace: namespace.clone(),
        group: System::Peer.group().to_owned(),
        signs: System::Peer.signs(),
        manifest: System::Peer.manifest()?,
        replicas: 3,
    };
    let mut scene = Scene::open_cast(cluster.kube(), Source::Hub(cluster), &cast).await?;
    let old = scene.settled().await?;
    scene.delete(&old.name).await?;
    scene.moved_from(&old, PEER_MOVE_MS).await?;
    nobody_was_refused(&audit.read()?, namespace)
}

/// No policy of ours has refused anybody anything, and all of these have written.
fn nobody_was_refused(events: &[AuditEvent], namespace: &str) -> Result<()> {
    let mut writers: BTreeMap<&str, usize> = BTreeMap::new();
    for event in events
        .iter()
        .filter(|event| event.stage == "ResponseComplete")
    {
        let object = event.object_ref.clone().unwrap_or_default();
        if object.namespace != namespace || ["get", "list", "watch"].contains(&&*event.verb) {
            continue;
        }
        let status = event.response_status.clone().unwrap_or_default();
        ensure!(
            !status.message.contains(REFUSED),
            "a policy refused {event:#?}"
        );
        let user = event.user.username.as_str();
        *writers.entry(user).or_default() += usize::from(status.code < 300);
    }
    for writer in ["system:node:", "system:serviceaccount:kube-system:"] {
        let wrote = writers.keys().any(|user| user.starts_with(writer));
        ensure!(wrote, "{writer} wrote nothing: {writers:?}");
    }
    Ok(())
}

/// Applies and labels again and again, like a controller that keeps a repository and a namespace
/// alike.
struct Controller {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<usize>>,
}

impl Controller {
    fn start(kube: Kube, namespace: &str, manifest: &str) -> Result<Self> {
        let (_, service) = manifest
            .split_once("\n---\n")
            .context("the example has one object")?;
        let (service, namespace) = (service.to_owned(), namespace.to_owned());
        let all = manifest.to_owned();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut rounds = 0;
            while !stopped.load(Ordering::Relaxed) {
                rounds += 1;
                let at = ["-n", &namespace];
                // As Flux and Argo CD do: what somebody applied before is theirs now.
                let server_side = [
                    "apply",
                    "--server-side",
                    "--field-manager=gitops",
                    "--force-conflicts",
                    "-f",
                    "-",
                ];
                kube.kubectl_with_input(&[&server_side[..], &at].concat(), &all)
                    .await?;
                let client_side = ["apply", "-f", "-"];
                kube.kubectl_with_input(&[&client_side[..], &at].concat(), &service)
                    .await?;
                let round = format!("example.com/round={rounds}");
                let label = [
                    "label",
                    "pods,services",
                    "-l",
                    "app=web",
                    "--overwrite",
                    &round,
                ];
                match kube.kubectl(&[&label[..], &at].concat()).await {
                    // A pod went between look and write. What a policy refuses is in the audit log.
                    Err(error) if error.to_string().contains("(NotFound)") => {}
                    labelled => drop(labelled?),
                }
            }
            Ok(rounds)
        });
        Ok(Self { stop, task })
    }

    /// How many times it came round, if it never failed.
    async fn stop(self) -> Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?
    }
}

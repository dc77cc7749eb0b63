//! Service mode: one ready pod of an annotated Service gets its traffic, without any sidecar.
//!
//! A program of its own, in pods of its own: it may label pods in the whole cluster, which the
//! webhook may not. Of its replicas one acts ([`elect`]); all of them watch, so that the next one
//! begins with what it knows. What is written is planned from what is known ([`known`], [`plan`]),
//! both without IO.

mod act;
mod control;
mod elect;
mod facts;
mod feed;
mod figures;
mod known;
mod lease;
mod plan;

use crate::client::connect;
use crate::run::RunError;
use crate::serve;
use crate::service_mode::control::{Controller, Shared};
use crate::service_mode::elect::Candidate;
use crate::service_mode::facts::{Name, PodFacts, ServiceFacts};
use crate::service_mode::feed::Everywhere;
use crate::service_mode::figures::Figures;
use crate::service_mode::known::Known;
use crate::watch::{Scope, Seen, Single, Whole, follow, follow_one};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use clap::Args;
use common::ids::Identity;
use common::objects::Meta;
use common::pod::Pod;
use common::service::Service;
use common::shutdown::Shutdown;
use election::Mono;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

/// Arguments of the program.
#[derive(Debug, Clone, Args)]
pub struct ServiceModeArgs {
    /// Own namespace.
    #[arg(long, env = "POD_NAMESPACE")]
    pub namespace: String,
    /// Name of the own pod.
    #[arg(long, env = "POD_NAME")]
    pub pod_name: String,
    /// uid of the own pod.
    #[arg(long, env = "POD_UID")]
    pub pod_uid: String,
    /// Lease of the replicas, in the own namespace.
    #[arg(long, default_value = "active-passive-service-mode")]
    pub lease: String,
    /// Namespaces in which nothing is done, besides the own one.
    #[arg(
        long,
        default_value = "kube-system,kube-node-lease,kube-public",
        value_delimiter = ','
    )]
    pub excluded_namespaces: Vec<String>,
    /// Address of /livez, /readyz and /metrics.
    #[arg(long, default_value = "[::]:8080")]
    pub admin_listen: SocketAddr,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// If the program cannot start, or a part of it breaks.
pub async fn run(args: ServiceModeArgs) -> Result<(), RunError> {
    let mut shutdown = Shutdown::register().map_err(RunError::Signals)?;
    let listener = serve::listen(args.admin_listen)?;
    let client = connect().await?;
    let figures = Arc::new(Figures::default());
    let mut excluded = args.excluded_namespaces.clone();
    excluded.push(args.namespace.clone());
    let shared = Arc::new(Shared::new(Known::new(excluded)));

    let mut tasks = JoinSet::new();
    let pods = keep_pods(&client, &shared, &mut tasks);
    let services = keep_services(&client, &shared, &mut tasks);
    let router = admin(pods.clone(), services.clone(), figures.clone());
    tasks.spawn(async move {
        let ended = serve::plain(listener, router).await;
        tracing::error!(?ended, "the server of probes ended");
    });
    tracing::info!(admin = %args.admin_listen, "Service mode");

    // Whoever does not know the cluster yet cannot do better than the one who acts.
    for mut listed in [pods, services] {
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            // The sender lives as long as its task.
            _ = listed.wait_for(|listed| *listed) => {}
            ended = broken(&mut tasks) => return ended,
        }
    }
    let acting = act(&client, args, shared, figures, &mut tasks);
    tokio::select! {
        () = shutdown.requested() => {}
        ended = broken(&mut tasks) => return ended,
    }
    tracing::info!("ending: another replica takes over");
    acting.end().await;
    Ok(())
}

/// The first end of a task that should have none.
async fn broken(tasks: &mut JoinSet<()>) -> Result<(), RunError> {
    match tasks.join_next().await {
        Some(Err(error)) => Err(RunError::Task(error)),
        Some(Ok(())) | None => Ok(()),
    }
}

/// What has to end in order: first the work, then the role, so that no write of ours is under way
/// when another replica begins.
struct Acting {
    work: (oneshot::Sender<()>, oneshot::Receiver<()>),
    role: (oneshot::Sender<()>, oneshot::Receiver<()>),
}

impl Acting {
    async fn end(self) {
        for (end, ended) in [self.work, self.role] {
            // A task that has ended already needs to be told nothing.
            end.send(()).ok();
            ended.await.ok();
        }
    }
}

/// Contends, and works while elected.
fn act(
    client: &Client,
    args: ServiceModeArgs,
    shared: Arc<Shared>,
    figures: Arc<Figures>,
    tasks: &mut JoinSet<()>,
) -> Acting {
    let leases: Api<Lease> = Api::namespaced(client.clone(), &args.namespace);
    let (lease, seen) = watch::channel(Single::Unknown);
    let scope = Scope::named("the Lease of Service mode", &args.lease);
    let feed = Whole(leases.clone());
    tasks.spawn(async move {
        let end: Infallible = follow_one(feed, scope, lease).await;
        match end {}
    });

    let (office, elected) = watch::channel(Mono::ZERO);
    let candidate = Candidate {
        leases,
        name: args.lease,
        identity: Identity::new(&args.pod_name, &args.pod_uid),
    };
    let (end_role, role_ends) = oneshot::channel();
    let (role_ended, role_end) = oneshot::channel();
    tasks.spawn(async move {
        candidate.stand(seen, &office, role_ends).await;
        role_ended.send(()).ok();
    });

    let controller = Controller::new(client.clone(), shared, figures);
    let (end_work, work_ends) = oneshot::channel();
    let (work_ended, work_end) = oneshot::channel();
    tasks.spawn(async move {
        controller.run(elected, work_ends).await;
        work_ended.send(()).ok();
    });
    Acting {
        work: (end_work, work_end),
        role: (end_role, role_end),
    }
}

/// Follows all pods. The receiver says whether they were listed.
fn keep_pods(
    client: &Client,
    shared: &Arc<Shared>,
    tasks: &mut JoinSet<()>,
) -> watch::Receiver<bool> {
    let (listed, receiver) = watch::channel(false);
    let (feed, shared) = (Everywhere::<Pod>::new(client.clone()), shared.clone());
    let scope = Scope {
        what: "pods",
        ..Scope::default()
    };
    tasks.spawn(async move {
        let end: Infallible = follow(
            feed,
            scope,
            |pod| PodFacts::of(&pod),
            |seen| {
                shared.change(|known| match seen {
                    Seen::All(pods) => known.list_pods(pods.into_iter().flatten().collect()),
                    Seen::Applied(pod) => pod.into_iter().for_each(|pod| known.see_pod(pod)),
                    Seen::Deleted(Some(pod)) => known.lose_pod(&pod.name.namespace, &pod.uid),
                    Seen::Deleted(None) => {}
                });
                listed.send_replace(true);
            },
        )
        .await;
        match end {}
    });
    receiver
}

/// Follows all Services, and keeps those that Service mode has to do with. The receiver says whether
/// they were listed.
fn keep_services(
    client: &Client,
    shared: &Arc<Shared>,
    tasks: &mut JoinSet<()>,
) -> watch::Receiver<bool> {
    let (listed, receiver) = watch::channel(false);
    let (feed, shared) = (Everywhere::<Service>::new(client.clone()), shared.clone());
    let scope = Scope {
        what: "Services",
        ..Scope::default()
    };
    tasks.spawn(async move {
        let end: Infallible = follow(
            feed,
            scope,
            |service| (name(&service.metadata), ServiceFacts::of(&service)),
            |seen| {
                shared.change(|known| match seen {
                    Seen::All(all) => {
                        let ours = all.into_iter().filter_map(|(_, service)| service);
                        known.list_services(ours.collect());
                    }
                    Seen::Applied((_, Some(service))) => known.see_service(service),
                    Seen::Applied((name, None)) | Seen::Deleted((name, _)) => {
                        known.lose_service(&name);
                    }
                });
                listed.send_replace(true);
            },
        )
        .await;
        match end {}
    });
    receiver
}

fn name(meta: &Meta) -> Name {
    Name {
        namespace: meta.namespace.as_str().into(),
        name: meta.name.as_str().into(),
    }
}

type Listed = watch::Receiver<bool>;

/// Liveness, readiness and figures.
fn admin(pods: Listed, services: Listed, figures: Arc<Figures>) -> Router {
    let ready = move || async move {
        if *pods.borrow() && *services.borrow() {
            (StatusCode::OK, "ok\n")
        } else {
            let what = "pods and Services are not listed yet\n";
            (StatusCode::SERVICE_UNAVAILABLE, what)
        }
    };
    let page = |State(figures): State<Arc<Figures>>| async move {
        let page = figures.page();
        page.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")))
    };
    Router::new()
        // All tasks of the program end together, and the program with them: who answers is alive.
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(page).with_state(figures))
}

//! From the arguments to a running program, and to its orderly end.

use crate::args::{Args, CertificateOrigin};
use crate::certificate::bundle::{Names, Served};
use crate::certificate::resolver::Resolver;
use crate::certificate::{Keeper, Origin};
use crate::client::{ConnectError, connect};
use crate::configuration::Publisher;
use crate::handlers::App;
use crate::load::Load;
use crate::metrics::Metrics;
use crate::policy::entries::There;
use crate::policy::known::Known;
use crate::policy::{entries, status};
use crate::provision::{Bounds, ClusterRoles, Provisioner};
use crate::readiness::{Part, Readiness};
use crate::watch::{Scope, Single, Whole, follow_one};
use crate::{handshake, rights, routes, serve};
use common::shutdown::Shutdown;
use inject::Settings;
use inject::certs::NoLives;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinError, JoinSet};

/// What no review needs begins after this at the latest: the certificate may be somebody else's to
/// make.
const LATER: Duration = Duration::from_secs(1);

/// Why the program ends by itself, as the webhook or in Service mode.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The lives of certificates do not go together.
    #[error(transparent)]
    Lives(#[from] NoLives),
    /// The kernel gives no threads or timers.
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] std::io::Error),
    /// Signals cannot be received.
    #[error("cannot register for signals: {0}")]
    Signals(#[source] std::io::Error),
    /// There is no way to the API server.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A server cannot start or ended.
    #[error(transparent)]
    Serve(#[from] serve::ServeError),
    /// A task that runs for ever has ended: the program is not whole any more.
    #[error("a task of the program ended: {0}")]
    Task(#[source] JoinError),
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// If the program cannot start, or a part of it breaks.
pub async fn run(args: Args) -> Result<(), RunError> {
    let origin = match args.certificate {
        CertificateOrigin::Own => Origin::Own(args.lives().checked()?),
        CertificateOrigin::Given => Origin::Given,
    };
    let mut shutdown = Shutdown::register().map_err(RunError::Signals)?;
    let listener = serve::listen(args.listen)?;
    let admin_listener = serve::listen(args.admin_listen)?;
    let listening = serve::address(&listener)?;
    let client = connect().await?;

    let metrics = Arc::new(Metrics::default());
    let readiness = Arc::new(Readiness::default());
    let resolver = Arc::new(Resolver::default());
    let roles = ClusterRoles {
        sidecar: args.sidecar_cluster_role.clone(),
        router: args.router_cluster_role.clone(),
    };
    let bounds = Bounds {
        excluded_namespaces: excluded_namespaces(&args),
        groups_max: args.groups_max,
    };
    let policies = Arc::new(Known::new(bounds.excluded_namespaces.clone()));
    let provisioner = Provisioner::new(client.clone(), roles.clone(), bounds, metrics.clone());
    let provisioner = Arc::new(provisioner);

    let mut tasks = Tasks(JoinSet::new());
    let parts = Parts {
        client: &client,
        args: &args,
        metrics: &metrics,
        readiness: &readiness,
    };
    let there = parts.keep_certificate(&mut tasks, listening, resolver.clone(), origin);
    let rights = rights::watch(client.clone(), roles, readiness.clone());
    tasks.spawn(once_served(there.served.clone(), rights));
    parts.follow_policies(&mut tasks, &policies, there);
    tasks.spawn(provisioner.clone().follow());

    let app = App {
        settings: Arc::new(settings(&args)),
        provisioner,
        policies,
        metrics: metrics.clone(),
    };
    let admission = routes::Admission::new(app, Load::new(args.reviews_max), readiness.clone());
    let (end, ends) = oneshot::channel();
    let ends = async { ends.await.unwrap_or_default() };
    let mut server = tokio::spawn(serve::tls(listener, resolver, admission, ends));
    let admin_router = routes::admin(readiness.clone(), metrics);
    let mut admin = tokio::spawn(serve::plain(admin_listener, admin_router));
    tracing::info!(%listening, admin = %args.admin_listen, "listening");

    // Each is polled to its end at most once, and the first end decides.
    tokio::select! {
        () = shutdown.requested() => {}
        ended = tasks.0.join_next() => {
            return ended.map_or(Ok(()), |ended| ended.map(|_| ()).map_err(RunError::Task));
        }
        ended = &mut server => return Ok(ended.map_err(RunError::Task)??),
        ended = &mut admin => return Ok(ended.map_err(RunError::Task)??),
    }

    let delay = args.shutdown_delay;
    tracing::info!(?delay, "ending: not ready any more, still serving");
    readiness.end();
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        () = shutdown.requested() => tracing::info!("asked again: ending at once"),
    }
    // A server that has ended by itself says why below.
    end.send(args.drain_deadline).ok();
    server.await.map_err(RunError::Task)??;
    tracing::info!("ended");
    Ok(())
}

fn excluded_namespaces(args: &Args) -> Vec<String> {
    let own = std::iter::once(&args.namespace);
    own.chain(&args.excluded_namespaces).cloned().collect()
}

fn settings(args: &Args) -> Settings {
    Settings {
        image: args.sidecar_image.clone(),
        image_pull_policy: args.sidecar_image_pull_policy.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// What the background tasks share.
struct Parts<'a> {
    client: &'a Client,
    args: &'a Args,
    metrics: &'a Arc<Metrics>,
    readiness: &'a Arc<Readiness>,
}

impl Parts<'_> {
    /// The certificate from the Secret to the server, to the configuration, and to the proof. What is
    /// returned is for whoever else writes configurations.
    fn keep_certificate(
        &self,
        tasks: &mut Tasks,
        listening: std::net::SocketAddr,
        resolver: Arc<Resolver>,
        origin: Origin,
    ) -> There {
        let args = self.args;
        let names = Names::new(&args.service, &args.namespace);
        let (served, now_served) = watch::channel(None);
        let (published, now_published) = watch::channel(None);

        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &args.namespace);
        let (secret, secret_state) = watch::channel(Single::Unknown);
        let scope = Scope::named("the Secret of the certificate", &args.certificate_secret);
        tasks.spawn(follow_one(Whole(secrets.clone()), scope, secret));
        let keeper = Keeper {
            secrets,
            name: args.certificate_secret.clone(),
            names: names.clone(),
            origin,
            published: now_published,
            resolver,
            served,
            readiness: self.readiness.clone(),
            metrics: self.metrics.clone(),
        };
        tasks.spawn(keeper.keep(secret_state));

        let configurations: Api<MutatingWebhookConfiguration> = Api::all(self.client.clone());
        let (configuration, configuration_state) = watch::channel(Single::Unknown);
        let scope = Scope::named("the webhook configuration", &args.configuration);
        let follow = follow_one(Whole(configurations.clone()), scope, configuration);
        tasks.spawn(once_served(now_served.clone(), follow));
        let publisher = Publisher {
            configurations,
            name: args.configuration.clone(),
            service: (args.service.clone(), args.namespace.clone()),
            readiness: self.readiness.clone(),
            metrics: self.metrics.clone(),
            published,
        };
        tasks.spawn(publisher.publish(configuration_state.clone(), now_served.clone()));
        tasks.spawn(handshake::verify(
            listening,
            names,
            now_served.clone(),
            self.readiness.clone(),
        ));
        There {
            mutating: configuration_state,
            validating: watch::channel(Single::Unknown).1,
            served: now_served,
        }
    }

    /// Policies from the API server to decisions, to their entries, and to their status.
    fn follow_policies(&self, tasks: &mut Tasks, known: &Arc<Known>, mut there: There) {
        let args = self.args;
        if !args.policies {
            self.readiness.set(Part::Policies, true);
            // What a time with policies may have left.
            known.none();
            tasks.spawn(self.entries_keeper(known).keep(there));
            return;
        }
        let validating: Api<ValidatingWebhookConfiguration> = Api::all(self.client.clone());
        let (configuration, state) = watch::channel(Single::Unknown);
        let scope = Scope::named("the configuration of policies", &args.configuration);
        let follow = follow_one(Whole(validating), scope, configuration);
        tasks.spawn(once_served(there.served.clone(), follow));
        there.validating = state;
        tasks.spawn(self.entries_keeper(known).keep(there));
        let writer = status::Writer {
            client: self.client.clone(),
            known: known.clone(),
            period: args.policy_status_period,
        };
        tasks.spawn(writer.run());
        let (client, readiness) = (self.client.clone(), self.readiness.clone());
        tasks.spawn(known.clone().follow(client, readiness));
    }

    fn entries_keeper(&self, known: &Arc<Known>) -> entries::Keeper {
        let args = self.args;
        entries::Keeper {
            mutating: Api::all(self.client.clone()),
            validating: Api::all(self.client.clone()),
            name: args.configuration.clone(),
            service: (args.service.clone(), args.namespace.clone()),
            known: known.clone(),
        }
    }
}

/// A task that no review waits for: at the start its requests, each on a connection of its own, would
/// stand in the way of the one for the certificate.
async fn once_served(
    mut served: watch::Receiver<Option<Arc<Served>>>,
    task: impl Future<Output = Infallible>,
) -> Infallible {
    // Served, too late, or the program ends: there is nothing to tell apart.
    let waited = tokio::time::timeout(LATER, served.wait_for(Option::is_some));
    drop(waited.await);
    task.await
}

/// Tasks that run for ever; when one panics, the program ends and is started again.
struct Tasks(JoinSet<()>);

impl Tasks {
    fn spawn<F>(&mut self, task: F)
    where
        F: Future<Output = Infallible> + Send + 'static,
    {
        self.0.spawn(async move {
            task.await;
        });
    }
}

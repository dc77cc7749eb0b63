//! What the chart's values `fencing.mode` and `fencing.exemptGroups` change.

use anyhow::{Result, bail, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tests::cluster::Kube;
use tests::scene::{self, Scene};

use crate::context::{Case, Context, eventually};
use crate::fencing::REFUSED;

const MOVE_MS: u64 = 5_000;
const GONE_MS: u64 = 20_000;
/// How long the API server may take to take up a changed policy, milliseconds.
const IN_FORCE_MS: u64 = 10_000;
/// What the API server notes in its audit log about a violation that it lets pass.
const NOTED: &str = "validation.policy.admission.k8s.io/validation_failure";

pub(crate) const CASES: &[Case] = &[Case {
    name: "fencing: Off and Audit refuse nothing and roles move, and exceptions are the chart's",
    run: |context| Box::pin(modes(context)),
}];

async fn modes(context: &Context<'_>) -> Result<()> {
    let result = under_each_mode(context).await;
    // Other tests need the defaults, however this one ended.
    scene::install_chart(context.cluster.kube(), &[]).await?;
    result?;
    let operator = context.cluster.kube().with_user("operator", "ops").await?;
    refused(
        context,
        &operator,
        "one of a group that is not exempt any more",
    )
    .await
}

async fn under_each_mode(context: &Context<'_>) -> Result<()> {
    let kube = context.cluster.kube();
    let manifest = Scene::example()?.replace("replicas: 3", "replicas: 2");
    let mut scene = Scene::open(context.cluster, &context.namespace, "web", &manifest, 2).await?;
    let binding = [
        "create",
        "rolebinding",
        "ops",
        "--clusterrole=edit",
        "--group=ops",
    ];
    context.kubectl(&binding).await?;
    let operator = kube.with_user("operator", "ops").await?;
    let master = kube.with_user("administrator", "system:masters").await?;
    refused(context, &operator, "somebody under Deny").await?;

    scene::install_chart(kube, &["fencing.mode=Off"]).await?;
    admitted(context, &operator, "somebody under Off").await?;
    let old = scene.settled().await?;
    scene.delete(&old.name).await?;
    scene.moved_from(&old, MOVE_MS).await?;
    scene.gone(&old, GONE_MS).await?;

    scene::install_chart(kube, &["fencing.mode=Audit"]).await?;
    noted(context, &operator).await?;
    let old = scene.settled().await?;
    let ask = [
        "annotate",
        "lease",
        "web",
        "active-passive.dev/switchover=any",
    ];
    context.kubectl(&ask).await?;
    scene.moved_from(&old, MOVE_MS).await?;
    scene.settled().await?;

    scene::install_chart(kube, &["fencing.exemptGroups={ops}"]).await?;
    refused(context, &master, "a master who is not exempt").await?;
    admitted(context, &operator, "one of an exempt group").await
}

/// Writes a role of a pod of the group, as a dry run; the policies' words if they refuse it.
async fn attempt(context: &Context<'_>, by: &Kube) -> Result<Result<(), String>> {
    let pods = context.api::<Pod>().list(&Default::default()).await?;
    let Some(pod) = pods.items.into_iter().find_map(|pod| pod.metadata.name) else {
        bail!("there is no pod");
    };
    let api: Api<Pod> = Api::namespaced(by.client(), &context.namespace);
    let edit = json!({"metadata": {"labels": {"active-passive.dev/role": "edited"}}});
    let dry = PatchParams::default().dry_run();
    match api.patch(&pod, &dry, &Patch::Merge(&edit)).await {
        Ok(_) => Ok(Ok(())),
        Err(kube::Error::Api(status)) if status.message.contains(REFUSED) => {
            Ok(Err(status.message.clone()))
        }
        Err(error) => Err(error.into()),
    }
}

async fn admitted(context: &Context<'_>, by: &Kube, who: &str) -> Result<()> {
    let what = format!("{who} writes a role");
    eventually(&what, IN_FORCE_MS, async || attempt(context, by).await).await
}

async fn refused(context: &Context<'_>, by: &Kube, who: &str) -> Result<()> {
    let what = format!("{who} is refused a role");
    eventually(&what, IN_FORCE_MS, async || {
        Ok(match attempt(context, by).await? {
            Ok(()) => Err("it was written".to_owned()),
            Err(_) => Ok(()),
        })
    })
    .await
}

/// The write is done, and the audit log says what is wrong with it.
async fn noted(context: &Context<'_>, by: &Kube) -> Result<()> {
    let mut audit = context.cluster.audit();
    eventually("a violation is noted", IN_FORCE_MS, async || {
        audit.skip()?;
        let answer = attempt(context, by).await?;
        ensure!(answer.is_ok(), "Audit refuses: {answer:?}");
        let events = audit.read()?;
        let mut notes = events
            .iter()
            .filter_map(|event| event.annotations.get(NOTED));
        let found = notes.any(|note| note.contains("role.active-passive.dev"));
        Ok(if found {
            Ok(())
        } else {
            Err("nothing".to_owned())
        })
    })
    .await
}

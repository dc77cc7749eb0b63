//! Other mutating webhooks before and after ours: the pod is repaired, or refused aloud, and never
//! one that would hang in Init.

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::context::{Case, Context, eventually};
use crate::injector::{Created, create, gated_pod};
use crate::injector_meddler::{MEDDLED, Meddler};

/// Longest time until an API server has heard of a configuration.
const HEARD_MS: u64 = 15_000;

pub(crate) const CASES: &[Case] = &[Case {
    name: "injector: what other webhooks do is repaired, kept, or refused aloud",
    run: |context| Box::pin(others(context)),
}];

async fn others(context: &Context<'_>) -> Result<()> {
    let meddler = Meddler::start(context.cluster).await?;
    // The API server calls webhooks in the order of their names; ours is "active-passive".
    for (name, what, again, check) in [
        (
            "a-meddler",
            "add",
            false,
            port_given_up as fn(&Value) -> Result<()>,
        ),
        ("z-meddler", "add", false, port_given_up),
        ("z-meddler", "add", true, port_given_up),
        ("a-meddler", "strip", true, whole),
        ("z-meddler", "strip", false, whole),
        ("z-meddler", "probes", false, probes_kept),
        ("z-meddler", "probes", true, probes_kept),
    ] {
        let created = with(context, &meddler, (name, what, again)).await?;
        let Created::Pod(pod) = created else {
            bail!("{name} {what} {again}: {created:?}");
        };
        if let Err(error) = whole(&pod).and_then(|()| check(&pod)) {
            bail!("{name} {what} {again}: {error:#}\n{pod:#}");
        }
    }
    // Nobody repairs what is broken last: the API server must not take it.
    let created = with(context, &meddler, ("z-meddler", "strip", true)).await?;
    let Created::Refused(422, message) = &created else {
        bail!("a pod that would hang in Init: {created:?}");
    };
    let why = "livenessProbe: Forbidden: may not be set for init containers without restartPolicy";
    ensure!(message.contains(why), "{message}");
    Ok(())
}

/// A pod as it comes out with such a webhook in the cluster, which is taken away again.
async fn with(
    context: &Context<'_>,
    meddler: &Meddler,
    (name, what, again): (&str, &str, bool),
) -> Result<Created> {
    let configuration = meddler.configuration(name, what, again, &context.namespace);
    context.apply(&configuration).await?;
    let mut pod = gated_pod("probe", false, &json!({}));
    pod["metadata"]["annotations"] = json!({"example.com/any": ""});
    eventually("the meddler is called", HEARD_MS, async || {
        Ok(match create(context, &pod, true).await? {
            Created::Pod(pod) if pod["metadata"]["annotations"][MEDDLED] == what => Ok(()),
            other => Err(format!("{other:?}")),
        })
    })
    .await?;
    let created = create(context, &gated_pod("web", true, &json!({})), true).await;
    let resource = "mutatingwebhookconfigurations";
    context.kubectl(&["delete", resource, name]).await?;
    eventually("the meddler is forgotten", HEARD_MS, async || {
        Ok(match create(context, &pod, true).await? {
            Created::Pod(pod) if pod["metadata"]["annotations"][MEDDLED].is_null() => Ok(()),
            other => Err(format!("{other:?}")),
        })
    })
    .await?;
    created
}

/// One sidecar, which is one, and is watched.
fn whole(pod: &Value) -> Result<()> {
    let containers = pod["spec"]["initContainers"].as_array();
    let mut sidecars = containers.into_iter().flatten();
    let Some(sidecar) = sidecars.next() else {
        bail!("no sidecar");
    };
    ensure!(sidecars.next().is_none(), "more than one");
    ensure!(
        sidecar["restartPolicy"] == "Always",
        "it would be waited for"
    );
    ensure!(
        sidecar["livenessProbe"].is_object(),
        "nobody would notice its end"
    );
    Ok(())
}

/// The container that came has the port; ours has the next one, and all know it.
fn port_given_up(pod: &Value) -> Result<()> {
    let sidecar = &pod["spec"]["initContainers"][0];
    ensure!(
        sidecar["ports"][0]["containerPort"] == 4281,
        "the port stayed"
    );
    ensure!(
        sidecar["livenessProbe"]["httpGet"]["port"] == 4281,
        "the probe stayed"
    );
    let containers = pod["spec"]["containers"].as_array();
    let hook = |container: &Value| container["lifecycle"]["preStop"]["httpGet"]["port"].clone();
    let hooks: Vec<Value> = containers.into_iter().flatten().map(hook).collect();
    ensure!(hooks == [json!(4281), json!(4281)], "hooks {hooks:?}");
    Ok(())
}

/// The agent of a mesh answers for us.
fn probes_kept(pod: &Value) -> Result<()> {
    let path = |container: &Value, place: &str| {
        let path = container.pointer(&format!("/{place}/httpGet/path"));
        path.cloned().unwrap_or_default()
    };
    let sidecar = &pod["spec"]["initContainers"][0];
    ensure!(
        path(sidecar, "livenessProbe") == "/agent/livenessProbe",
        "the probe"
    );
    let app = &pod["spec"]["containers"][0];
    ensure!(
        path(app, "lifecycle/preStop") == "/agent/lifecycle/preStop",
        "the hook"
    );
    Ok(())
}

//! What the account of Service mode may do, and what the API server refuses it under
//! `fencing.mode=Deny`, whoever holds its token.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};
use common::contract;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
};
use serde_json::{Value, json};
use tests::cluster::Kube;
use tests::scene::SYSTEM_NAMESPACE;

use crate::context::{Case, Context};
use crate::fencing::REFUSED;
use crate::fencing_cast::{developer, service, token};
use crate::install_rights::rights;
use crate::service_mode::{FOLLOWS_MS, NAME, Stage, acting, in_service_mode};

pub(crate) const CASES: &[Case] = &[Case {
    name: "fencing: every attempt with the account of Service mode ends as it must",
    run: |context| Box::pin(attempts_end(context)),
}];

/// In every namespace.
const EVERYWHERE: [&str; 4] = [
    "list watch pods",
    "patch pods/status",
    "list patch watch services",
    "create events.events.k8s.io",
];
/// In its own one, beside that.
const AT_HOME: [&str; 2] = [
    "get list update watch leases.coordination.k8s.io/active-passive-service-mode",
    "create leases.coordination.k8s.io",
];

/// How an attempt ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Done,
    /// By a policy, in these words.
    Refused(&'static str),
    /// By RBAC.
    Forbidden,
}

use End::{Done, Forbidden, Refused};

/// A dry run of a merge patch.
struct Attempt {
    what: &'static str,
    by: &'static str,
    namespace: String,
    /// Kind, name, and whether it is the status that is patched.
    object: (&'static str, String, bool),
    patch: Value,
    end: End,
}

async fn attempts_end(context: &Context<'_>) -> Result<()> {
    let mut stage = Stage::open(context, contract::ROLE).await?;
    context.apply(&in_service_mode("web")).await?;
    let (active, _) = stage.designated("web", None, FOLLOWS_MS).await?;
    may_what_is_written(context).await?;
    let mut plain = service("plain", "nobody", None);
    plain["metadata"]["annotations"] = json!({"example.com/kept": "yes"});
    context.apply(&plain).await?;
    context
        .apply(&service("led", "nobody", Some("web")))
        .await?;
    context
        .apply(&json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "grouped", "labels": {contract::GROUP: "web"}},
            "spec": {
                "schedulingGates": [{"name": "example.com/never"}],
                "containers": [{"name": "app", "image": "example.com/app"}],
            },
        }))
        .await?;

    let people = people(context).await?;
    let pod = stage.pod(&active).await?.metadata.name.unwrap_or_default();
    let attempts = attempts(&context.namespace, &pod);
    let mut wrong = Vec::new();
    for attempt in &attempts {
        let (_, kube) = people
            .iter()
            .find(|(who, _)| *who == attempt.by)
            .expect("it is there");
        if let Err(error) = perform(kube, attempt).await {
            wrong.push(format!("{}, by {}: {error:#}", attempt.what, attempt.by));
        }
    }
    println!("{} attempts", attempts.len());
    ensure!(
        wrong.is_empty(),
        "{} ended otherwise: {wrong:#?}",
        wrong.len()
    );
    Ok(())
}

/// Who holds a token of the replica that acts, one that is bound to no pod, and a person who may edit
/// the namespace.
async fn people(context: &Context<'_>) -> Result<[(&'static str, Kube); 3]> {
    let client = context.cluster.client();
    let accounts = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let pods: Api<Pod> = Api::namespaced(client, SYSTEM_NAMESPACE);
    let (acting, _) = acting(context).await?;
    let pod = pods.get(&acting).await?;
    let bound = token(&accounts, NAME, Some(&pod)).await?;
    let unbound = token(&accounts, NAME, None).await?;
    let kube = context.cluster.kube();
    Ok([
        (
            "Service mode",
            kube.with_token("service-mode", &bound).await?,
        ),
        (
            "a stolen token",
            kube.with_token("service-mode-stolen", &unbound).await?,
        ),
        ("a developer", developer(context).await?),
    ])
}

/// SECURITY.md has the same list.
async fn may_what_is_written(context: &Context<'_>) -> Result<()> {
    let account = format!("{SYSTEM_NAMESPACE}:{NAME}");
    for (at, more) in [(&*context.namespace, &[][..]), (SYSTEM_NAMESPACE, &AT_HOME)] {
        let everybody = rights(context.cluster, "default:nobody", at).await?;
        let found = rights(context.cluster, &account, at).await?;
        let found: BTreeSet<&str> = found.difference(&everybody).map(String::as_str).collect();
        let written: BTreeSet<&str> = EVERYWHERE.iter().chain(more).copied().collect();
        ensure!(
            found == written,
            "in {at} it may {found:#?}, and SECURITY.md says {written:#?}"
        );
    }
    Ok(())
}

fn attempts(namespace: &str, pod: &str) -> Vec<Attempt> {
    let labels = |labels: Value| json!({"metadata": {"labels": labels}});
    let points = |uid: &str| json!({"metadata": {"annotations": {contract::ACTIVE: uid}}});
    let of = |what, by, object: (&'static str, &str, bool), patch, end| Attempt {
        what,
        by,
        namespace: namespace.to_owned(),
        object: (object.0, object.1.to_owned(), object.2),
        patch,
        end,
    };
    let service_mode = "Service mode";
    let status = ("Pod", pod, true);
    let (web, plain) = (("Service", "web", false), ("Service", "plain", false));
    let only = Refused("Service mode writes only the labels of the designated pod");
    let nothing_else = Refused("Service mode may change where a Service points, nothing else");
    let its_pod = Refused("active-passive.dev/pod is the pod's own uid");
    let role = labels(json!({contract::ROLE: Value::Null}));
    let more = |mut attempt: Attempt, namespace: &str| {
        attempt.namespace = namespace.to_owned();
        attempt
    };
    vec![
        of(
            "a label is taken off",
            service_mode,
            status,
            role.clone(),
            Done,
        ),
        of(
            "a Service is pointed",
            service_mode,
            web,
            points("uid-1"),
            Done,
        ),
        of(
            "the key of one that asks for nothing",
            service_mode,
            plain,
            json!({"spec": {"selector": {contract::POD: ""}}}),
            nothing_else,
        ),
        of(
            "the other key of one that asks for nothing",
            service_mode,
            plain,
            json!({"spec": {"selector": {contract::COMPAT_DESIGNATION: "active"}}}),
            nothing_else,
        ),
        of(
            "another label",
            service_mode,
            status,
            labels(json!({"app": "x"})),
            only,
        ),
        of(
            "another annotation",
            service_mode,
            status,
            json!({"metadata": {"annotations": {"example.com/a": "b"}}}),
            only,
        ),
        of(
            "another's uid",
            service_mode,
            status,
            labels(json!({contract::POD: "x"})),
            its_pod,
        ),
        of(
            "a status",
            service_mode,
            status,
            json!({"status": {"podIP": "192.0.2.1"}}),
            Refused("never writes a pod's status"),
        ),
        of(
            "a finalizer of a pod",
            service_mode,
            status,
            json!({"metadata": {"finalizers": ["example.com/kept"]}}),
            Refused("never writes a pod's status, spec, finalizers"),
        ),
        of(
            "a group's pod",
            service_mode,
            ("Pod", "grouped", true),
            labels(json!({contract::COMPAT_DESIGNATION: "active"})),
            Refused("the role of a pod with the sidecar is its group's"),
        ),
        of(
            "what a pod runs",
            service_mode,
            ("Pod", pod, false),
            role.clone(),
            Forbidden,
        ),
        of(
            "outside of a pod",
            "a stolen token",
            status,
            role,
            Refused("inside a pod"),
        ),
        of(
            "a Service outside of a pod",
            "a stolen token",
            web,
            points("x"),
            Refused("inside a pod"),
        ),
        of(
            "a port",
            service_mode,
            web,
            json!({"spec": {"ports": [{"port": 81}]}}),
            nothing_else,
        ),
        of(
            "a type",
            service_mode,
            web,
            json!({"spec": {"type": "NodePort"}}),
            nothing_else,
        ),
        of(
            "the selector of its owner",
            service_mode,
            web,
            json!({"spec": {"selector": {"app": "x"}}}),
            nothing_else,
        ),
        of(
            "a Service's annotation",
            service_mode,
            plain,
            json!({"metadata": {"annotations": {"example.com/kept": null}}}),
            nothing_else,
        ),
        of(
            "a Service that does not ask",
            service_mode,
            plain,
            points("uid-1"),
            Refused("points no Service that does not ask for it"),
        ),
        of(
            "a group's Service",
            service_mode,
            ("Service", "led", false),
            points("uid-1"),
            // By this policy and by the one of groups.
            Refused(""),
        ),
        more(
            of(
                "a Service of an excluded namespace",
                service_mode,
                ("Service", "active-passive-webhook", false),
                points("uid-1"),
                Refused("Service mode does nothing in this namespace"),
            ),
            SYSTEM_NAMESPACE,
        ),
        more(
            of(
                "a Secret",
                service_mode,
                ("Secret", "any", false),
                json!({}),
                Forbidden,
            ),
            SYSTEM_NAMESPACE,
        ),
        of(
            "a person points the Service",
            "a developer",
            web,
            points("uid-1"),
            Refused("where this Service points is written by Service mode"),
        ),
        of(
            "a person changes a port",
            "a developer",
            web,
            json!({"spec": {"type": "NodePort"}}),
            Done,
        ),
        of(
            "a person takes it away",
            "a developer",
            web,
            points_nowhere(),
            Done,
        ),
    ]
}

/// As whoever replaces the Service does.
fn points_nowhere() -> Value {
    json!({"metadata": {"annotations": {contract::ACTIVE: null}}})
}

async fn perform(kube: &Kube, attempt: &Attempt) -> Result<()> {
    let (kind, name, is_status) = &attempt.object;
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", kind));
    let api: Api<DynamicObject> =
        Api::namespaced_with(kube.client(), &attempt.namespace, &resource);
    let (dry, patch) = (
        PatchParams::default().dry_run(),
        Patch::Merge(&attempt.patch),
    );
    let answer = if *is_status {
        api.patch_status(name, &dry, &patch).await
    } else {
        api.patch(name, &dry, &patch).await
    };
    match (attempt.end, answer) {
        (Done, Ok(_)) => Ok(()),
        (Refused(words), Err(kube::Error::Api(status))) => {
            let by_policy = status.code == 422 && status.message.contains(REFUSED);
            ensure!(
                by_policy && status.message.contains(words),
                "{}",
                status.message
            );
            Ok(())
        }
        (Forbidden, Err(kube::Error::Api(status))) => {
            ensure!(status.code == 403, "{}: {}", status.code, status.message);
            Ok(())
        }
        // Before Kubernetes 1.36 the webhook has taken a key out again that leads nowhere, and no policy
        // sees a change.
        (end @ Refused(_), Ok(done)) => {
            let one = ListParams::default().fields(&format!("metadata.name={name}"));
            let found = api.list(&one).await?.items.into_iter().next();
            let same = |it: &DynamicObject| {
                let metadata = &it.metadata;
                let (labels, annotations) = (&metadata.labels, &metadata.annotations);
                json!([labels, annotations, metadata.finalizers, it.data])
            };
            ensure!(
                Some(same(&done)) == found.as_ref().map(same),
                "it was done instead of {end:?}"
            );
            Ok(())
        }
        (end, Ok(_)) => bail!("it was done instead of {end:?}"),
        (end, Err(error)) => bail!("instead of {end:?}: {error}"),
    }
}

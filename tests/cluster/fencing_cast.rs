//! A group that stands still, for attempts on its objects: its pods were injected, have their real
//! accounts and tokens that are bound to them, and are never scheduled. So no sidecar runs beside
//! the attempts and undoes what they did.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::ResourceExt;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use tests::cluster::Kube;
use tests::cluster::images::Kind;

use crate::context::{Context, eventually};

/// How long the webhook may take to be reached, milliseconds.
const MADE_MS: u64 = 10_000;
/// How long the webhook and the API server may take to give an account its rights, milliseconds.
const RIGHTS_MS: u64 = 10_000;
/// Groups of people: one may edit the namespace, the other is the chart's default exception.
const DEVELOPERS: &str = "developers";
const MASTERS: &str = "system:masters";
/// Account of a controller that applies what is in a repository, and of the pod that it runs in.
const GITOPS: &str = "gitops";
/// A namespace that is called like an account of a group, and an account in it.
const NEIGHBOURHOOD: &str = "active-passive-group-web";
const NEIGHBOUR: &str = "neighbour";

/// Whose rights a request uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// The sidecar of pod `one` or `two` of group `web`.
    One,
    /// See [`Who::One`].
    Two,
    /// The sidecar of the pod `outsider` of group `web-admin`.
    Outsider,
    /// Who holds a token of group `web` that is bound to no pod.
    Unbound,
    /// A controller in a pod of its own that may change everything in the namespace.
    GitOps,
    /// An account of [`NEIGHBOURHOOD`] that may edit the namespace, and runs in no pod.
    Neighbour,
    /// A person who may edit the namespace.
    Developer,
    /// A person of `system:masters`.
    Admin,
}

/// The pods, and everybody who tries something.
pub(crate) struct Cast {
    /// Namespace of all of it.
    pub(crate) namespace: String,
    uids: BTreeMap<String, String>,
    people: BTreeMap<Who, Kube>,
}

impl Cast {
    /// Makes the pods, accounts and Services in the namespace of the test.
    pub(crate) async fn gather(context: &Context<'_>) -> Result<Self> {
        let namespace = context.namespace.clone();
        // Nodes may not know the way to the webhook yet.
        eventually("pods and Services are made", MADE_MS, async || {
            let made = context.apply(&objects(&namespace)).await;
            Ok(made.map_err(|error| format!("{error:#}")))
        })
        .await?;
        let mut cast = Self {
            namespace,
            uids: BTreeMap::new(),
            people: BTreeMap::new(),
        };
        for (name, who) in [
            ("one", Some(Who::One)),
            ("two", Some(Who::Two)),
            ("outsider", Some(Who::Outsider)),
            (GITOPS, Some(Who::GitOps)),
            ("plain", None),
        ] {
            let pod = context.api::<Pod>().get(name).await?;
            if let Some(who) = who {
                cast.people.insert(who, holder_of(context, &pod).await?);
            }
            let uid = pod.metadata.uid.context("the pod has no uid")?;
            cast.uids.insert(name.to_owned(), uid);
        }
        let kube = context.cluster.kube();
        let unbound = token(&context.api(), "active-passive-group-web", None).await?;
        let unbound = kube.with_token("unbound", &unbound).await?;
        let people = &mut cast.people;
        people.insert(Who::Unbound, unbound);
        people.insert(Who::Neighbour, neighbour(context).await?);
        people.insert(Who::Developer, developer(context).await?);
        people.insert(Who::Admin, kube.with_user("administrator", MASTERS).await?);
        may(context, "active-passive-group-web", "services", "patch").await?;
        may(
            context,
            "active-passive-group-web-admin",
            "leases",
            "update",
        )
        .await?;
        Ok(cast)
    }

    /// Takes away what is outside the namespace of the test.
    pub(crate) async fn dismiss(self, context: &Context<'_>) -> Result<()> {
        let delete = ["delete", "namespace", NEIGHBOURHOOD, "--wait=false"];
        context.cluster.kubectl(&delete).await?;
        Ok(())
    }

    /// uid of a pod.
    pub(crate) fn uid<'a>(&'a self, pod: &'a str) -> &'a str {
        self.uids.get(pod).map_or(pod, String::as_str)
    }

    /// holderIdentity of a pod.
    pub(crate) fn identity(&self, pod: &str) -> String {
        format!("{pod}_{}", self.uid(pod))
    }

    /// The cluster as this one sees it.
    pub(crate) fn seen_by(&self, who: Who) -> Result<&Kube> {
        self.people
            .get(&who)
            .with_context(|| format!("{who:?} is nobody"))
    }
}

/// Somebody who may edit the namespace of the test, and is judged like everybody.
pub(crate) async fn developer(context: &Context<'_>) -> Result<Kube> {
    let group = format!("--group={DEVELOPERS}");
    let binding = [
        "create",
        "rolebinding",
        DEVELOPERS,
        "--clusterrole=edit",
        &group,
    ];
    context.kubectl(&binding).await?;
    let kube = context.cluster.kube();
    Ok(kube.with_user("developer", DEVELOPERS).await?)
}

/// An account of another namespace that may edit the namespace of the test.
async fn neighbour(context: &Context<'_>) -> Result<Kube> {
    let cluster = context.cluster;
    cluster
        .kubectl(&["create", "namespace", NEIGHBOURHOOD])
        .await?;
    let account = ["create", "serviceaccount", NEIGHBOUR, "-n", NEIGHBOURHOOD];
    cluster.kubectl(&account).await?;
    let account = format!("--serviceaccount={NEIGHBOURHOOD}:{NEIGHBOUR}");
    let edit = "--clusterrole=edit";
    let binding = ["create", "rolebinding", NEIGHBOUR, edit, &account];
    context.kubectl(&binding).await?;
    let accounts = Api::namespaced(cluster.client(), NEIGHBOURHOOD);
    let token = token(&accounts, NEIGHBOUR, None).await?;
    Ok(cluster.kube().with_token(NEIGHBOUR, &token).await?)
}

/// A controller in a pod of its own that may change everything in the namespace of the test.
pub(crate) async fn gitops(context: &Context<'_>) -> Result<Kube> {
    let items = gitops_objects(&context.namespace);
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    context.apply(&list).await?;
    let pod = context.api::<Pod>().get(GITOPS).await?;
    holder_of(context, &pod).await
}

/// The cluster as a program in this pod sees it.
async fn holder_of(context: &Context<'_>, pod: &Pod) -> Result<Kube> {
    let spec = pod.spec.as_ref().context("the pod has no spec")?;
    let account = spec.service_account_name.as_deref();
    let account = account.context("the pod has no account")?;
    let token = token(&context.api(), account, Some(pod)).await?;
    let kube = context.cluster.kube();
    Ok(kube.with_token(&pod.name_any(), &token).await?)
}

/// A token of an account, bound to a pod like those that kubelets mount.
pub(crate) async fn token(
    accounts: &Api<ServiceAccount>,
    account: &str,
    pod: Option<&Pod>,
) -> Result<String> {
    let bound_object_ref = pod.map(|pod| BoundObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Pod".into()),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
    });
    let request = TokenRequest {
        spec: TokenRequestSpec {
            bound_object_ref,
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let post = PostParams::default();
    let answer = accounts.create_token_request(account, &post, &request);
    Ok(answer.await?.status.context("no token was given")?.token)
}

/// Waits until the account may do this in the namespace of the test.
async fn may(context: &Context<'_>, account: &str, resource: &str, verb: &str) -> Result<()> {
    let review: SubjectAccessReview = serde_json::from_value(json!({
        "spec": {
            "user": format!("system:serviceaccount:{}:{account}", context.namespace),
            "resourceAttributes": {
                "namespace": context.namespace,
                "group": if resource == "leases" { "coordination.k8s.io" } else { "" },
                "resource": resource,
                "verb": verb,
            },
        },
    }))?;
    let reviews: Api<SubjectAccessReview> = Api::all(context.cluster.client());
    let right = format!("{account} may {verb} {resource}");
    eventually(&right, RIGHTS_MS, async || {
        let answer = reviews.create(&PostParams::default(), &review).await?;
        let allowed = answer.status.as_ref().is_some_and(|status| status.allowed);
        Ok(if allowed {
            Ok(())
        } else {
            Err(format!("{:?}", answer.status))
        })
    })
    .await
}

/// A pod that no scheduler looks at.
fn pod(name: &str, labels: &Value, annotations: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "spec": {
            "schedulingGates": [{"name": "example.com/never"}],
            "containers": [{"name": "app", "image": Kind::ExampleApp.name()}],
        },
    })
}

/// A pod that the webhook makes a member of `group`.
fn member(name: &str, group: &str) -> Value {
    let asks = json!({"active-passive.dev/inject": "true", "active-passive.dev/group": group});
    pod(name, &json!({"app": group}), &asks)
}

/// A Service without anything of ours but, perhaps, the annotation.
pub(crate) fn service(name: &str, app: &str, group: Option<&str>) -> Value {
    let annotations = group.map(|group| json!({"active-passive.dev/group": group}));
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"selector": {"app": app}, "ports": [{"port": 80, "targetPort": 8080}]},
    })
}

fn gitops_objects(namespace: &str) -> [Value; 4] {
    let mut pod = pod(GITOPS, &json!({"app": GITOPS}), &json!({}));
    pod["spec"]["serviceAccountName"] = json!(GITOPS);
    [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": GITOPS}}),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": GITOPS},
            "rules": [{
                "apiGroups": ["", "apps", "coordination.k8s.io"],
                "resources": ["*"],
                "verbs": ["*"],
            }],
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": GITOPS},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": GITOPS,
            },
            "subjects": [
                {"kind": "ServiceAccount", "name": GITOPS, "namespace": namespace},
            ],
        }),
        pod,
    ]
}

fn objects(namespace: &str) -> Value {
    let mut items = gitops_objects(namespace).to_vec();
    items.extend([
        member("one", "web"),
        member("two", "web"),
        member("outsider", "web-admin"),
        // Not even a label.
        pod("plain", &Value::Null, &Value::Null),
        service("web", "web", Some("web")),
        service("plain", "plain", None),
    ]);
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

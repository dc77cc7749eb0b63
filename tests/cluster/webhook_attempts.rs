//! What the API server refuses the webhook's own account under `fencing.mode=Deny`, whoever holds its
//! token. Every attempt is a dry run.

use anyhow::{Context as _, Result, bail, ensure};
use http::{Method, Request};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};
use tests::cluster::Kube;
use tests::scene::SYSTEM_NAMESPACE;

use crate::context::{Case, Context};
use crate::fencing::REFUSED;
use crate::fencing_cast::token;
use crate::webhook_bindings::{about_bindings, there};
use crate::webhook_entries::{about_pods, about_workloads};

pub(crate) const CASES: &[Case] = &[Case {
    name: "fencing: every attempt with the account of the webhook ends as it must",
    run: |context| Box::pin(attempts_end(context)),
}];

pub(crate) const ACCOUNT: &str = "active-passive-webhook";
const SECRET: &str = "active-passive-webhook-certificate";
pub(crate) const MUTATING: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/active-passive";

const INSIDE: &str = "used only from inside a pod";
pub(crate) const HANDS: &str = "the webhook writes no owners, finalizers";
pub(crate) const OF_GROUPS: &str =
    "the webhook makes accounts and bindings of groups, where something is injected";

/// How an attempt ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Done,
    /// By a policy, in these words.
    Refused(&'static str),
    /// By RBAC.
    Forbidden,
}

use End::{Done, Forbidden, Refused};

pub(crate) struct Attempt {
    pub(crate) what: &'static str,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) end: End,
}

async fn attempts_end(context: &Context<'_>) -> Result<()> {
    let client = context.cluster.client();
    let accounts = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let pods: Api<Pod> = Api::namespaced(client, SYSTEM_NAMESPACE);
    let webhook = ListParams::default().labels("app.kubernetes.io/component=webhook");
    let pod = pods.list(&webhook).await?.items.into_iter().next();
    let pod = pod.context("no pod of the webhook")?;
    let bound = token(&accounts, ACCOUNT, Some(&pod)).await?;
    let unbound = token(&accounts, ACCOUNT, None).await?;
    let kube = context.cluster.kube();
    let bound = kube.with_token("webhook", &bound).await?;
    let unbound = kube.with_token("webhook-unbound", &unbound).await?;
    for binding in there(&context.namespace) {
        context.apply(&binding).await?;
    }

    let mut attempts = about_pods(&read(&bound, MUTATING).await?);
    attempts.extend(about_workloads());
    attempts.extend(accounts_of_groups(&context.namespace));
    attempts.extend(about_bindings(&context.namespace));
    let secret = format!("/api/v1/namespaces/{SYSTEM_NAMESPACE}/secrets");
    attempts.extend(of_the_certificate(
        &read(&bound, &format!("{secret}/{SECRET}")).await?,
    ));
    let mut wrong = Vec::new();
    for attempt in &attempts {
        if let Err(error) = judge(attempt, &perform(&bound, attempt).await?) {
            wrong.push(format!("{}: {error:#}", attempt.what));
        }
        // Whatever may be done is done from inside a pod.
        if let (Done, Ok(_)) = (attempt.end, perform(&unbound, attempt).await?) {
            wrong.push(format!("{}: with a token of no pod", attempt.what));
        }
    }
    println!("{} attempts", attempts.len());
    ensure!(
        wrong.is_empty(),
        "{} ended otherwise: {wrong:#?}",
        wrong.len()
    );
    let first = &attempts[0];
    let outside = Attempt {
        what: "outside of a pod",
        method: first.method.clone(),
        path: first.path.clone(),
        body: first.body.clone(),
        end: Refused(INSIDE),
    };
    judge(&outside, &perform(&unbound, &outside).await?)
}

/// An owner that is not there.
pub(crate) fn owner() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "uid": "1"})
}

fn accounts_of_groups(namespace: &str) -> Vec<Attempt> {
    let account = |name: &str, more: &Value| {
        let mut account =
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
        json_patch::merge(&mut account, more);
        account
    };
    let of_group = "active-passive-group-attempt";
    let none = json!({});
    let annotated = json!({"metadata": {"annotations": {"cloud.example.com/role": "admin"}}});
    let accounts = |what, place: &str, body, end| Attempt {
        what,
        method: Method::POST,
        path: format!("/api/v1/namespaces/{place}/serviceaccounts"),
        body,
        end,
    };
    vec![
        accounts(
            "a group's account",
            namespace,
            account(of_group, &none),
            Done,
        ),
        accounts(
            "another account",
            namespace,
            account("other", &none),
            Refused(OF_GROUPS),
        ),
        accounts(
            "an account where nothing is injected",
            "kube-system",
            account(of_group, &none),
            Refused(OF_GROUPS),
        ),
        accounts(
            "an account with rights in a cloud",
            namespace,
            account(of_group, &annotated),
            Refused("has no annotations, and no Secrets"),
        ),
    ]
}

fn of_the_certificate(found: &Value) -> Vec<Attempt> {
    let path = format!("/api/v1/namespaces/{SYSTEM_NAMESPACE}/secrets");
    let post = |what, name: &str, of_type: &str, end| Attempt {
        what,
        method: Method::POST,
        path: path.clone(),
        body: json!({
            "apiVersion": "v1", "kind": "Secret", "type": of_type, "metadata": {"name": name},
        }),
        end,
    };
    let put = |what, more: Value, end| {
        let mut body = found.clone();
        json_patch::merge(&mut body, &more);
        let (method, path) = (Method::PUT, format!("{path}/{SECRET}"));
        Attempt {
            what,
            method,
            path,
            body,
            end,
        }
    };
    let only = Refused("the webhook writes the Secret of its certificate, and no other");
    // Without the annotation there would be no token, and so nothing to refuse.
    let token_type = "kubernetes.io/service-account-token";
    let mut token = post(
        "a token in place of its certificate",
        SECRET,
        token_type,
        Refused(""),
    );
    let account = json!({"kubernetes.io/service-account.name": ACCOUNT});
    token.body["metadata"]["annotations"] = account;
    vec![
        put("its certificate", json!({"data": {"more": "Cg=="}}), Done),
        put(
            "an owner of its certificate",
            json!({"metadata": {"ownerReferences": [owner()]}}),
            Refused(HANDS),
        ),
        put(
            "a finalizer of its certificate",
            json!({"metadata": {"finalizers": ["example.com/kept"]}}),
            Refused(HANDS),
        ),
        post("another Secret", "other", "Opaque", only),
        token,
    ]
}

async fn read(kube: &Kube, path: &str) -> Result<Value> {
    let request = Request::get(path).body(Vec::new())?;
    Ok(kube.client().request(request).await?)
}

async fn perform(kube: &Kube, attempt: &Attempt) -> Result<kube::Result<Value>> {
    let content = match attempt.method {
        Method::PATCH => "application/merge-patch+json",
        _ => "application/json",
    };
    let request = Request::builder()
        .method(attempt.method.clone())
        .uri(format!("{}?dryRun=All", attempt.path))
        .header("Content-Type", content)
        .body(attempt.body.to_string().into_bytes())?;
    Ok(kube.client().request(request).await)
}

fn judge(attempt: &Attempt, answer: &kube::Result<Value>) -> Result<()> {
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
            let by_policy = status.message.contains(REFUSED);
            ensure!(
                status.code == 403 && !by_policy,
                "{}: {}",
                status.code,
                status.message
            );
            Ok(())
        }
        (end, Ok(_)) => bail!("it was done instead of {end:?}"),
        (end, Err(error)) => bail!("instead of {end:?}: {error}"),
    }
}

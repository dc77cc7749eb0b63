//! What the API server refuses under `fencing.mode=Deny`, and that nobody else is hindered.

use anyhow::{Context as _, Result, bail, ensure};
use common::contract;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::context::{Case, Context};
use crate::fencing_attempts::{Act, Attempt, End, attempts};
use crate::fencing_cast::Cast;

/// How every refusal of a policy of ours begins, after the policy's name.
pub(crate) const REFUSED: &str = ".active-passive.dev' with binding '";
const MERGE_PATCH: &str = "application/merge-patch+json";
const JSON: &str = "application/json";

pub(crate) const CASES: &[Case] = &[Case {
    name: "fencing: every attempt on a group ends as it must",
    run: |context| Box::pin(attempts_end(context)),
}];

async fn attempts_end(context: &Context<'_>) -> Result<()> {
    let cast = Cast::gather(context).await?;
    let attempts = attempts();
    let mut wrong = Vec::new();
    for attempt in &attempts {
        let answer = perform(&cast, attempt)
            .await
            .with_context(|| attempt.name)?;
        if let Err(error) = judge(&cast, attempt, &answer) {
            wrong.push(format!("{}, by {:?}: {error:#}", attempt.name, attempt.by));
        }
    }
    println!("{} attempts", attempts.len());
    ensure!(
        wrong.is_empty(),
        "{} ended otherwise: {wrong:#?}",
        wrong.len()
    );
    cast.dismiss(context).await
}

/// Sends the request of an attempt; some take a look first.
async fn perform(cast: &Cast, attempt: &Attempt) -> Result<kube::Result<Value>> {
    let client = cast.seen_by(attempt.by)?.client();
    let role = |value: &str, term: &str| {
        let labels = json!({contract::ROLE: value});
        json!({"metadata": {"labels": labels, "annotations": {contract::TERM: term}}})
    };
    let (method, path, body) = match &attempt.act {
        Act::Role(pod, value, term) => (
            Method::PATCH,
            format!("pods/{pod}/status"),
            role(value, term),
        ),
        Act::OwnLabel(pod) => (
            Method::PATCH,
            format!("pods/{pod}/status"),
            json!({"metadata": {"labels": {contract::POD: cast.uid(pod)}}}),
        ),
        Act::Route(pod, term) => (
            Method::PATCH,
            "services/web".to_owned(),
            json!({"metadata": {"annotations": {
                contract::ACTIVE: cast.uid(pod),
                contract::TERM: term,
            }}}),
        ),
        Act::NewLease(holder, patch) => {
            let mut lease = new_lease(&cast.identity(holder));
            json_patch::merge(&mut lease, patch);
            (Method::POST, "leases".to_owned(), lease)
        }
        Act::Lease(..) | Act::MergedLease(_) | Act::Replace => {
            let (path, object) = changed(cast, &client, &attempt.act).await?;
            (Method::PUT, path, object)
        }
        Act::Patch(path, body) => (Method::PATCH, (*path).to_owned(), body.clone()),
        Act::Create(path, body) => (Method::POST, (*path).to_owned(), body.clone()),
        Act::Delete(path) => (Method::DELETE, (*path).to_owned(), Value::Null),
    };
    let request = request(&cast.namespace, method, &path, &body)?;
    Ok(client.request(request).await)
}

/// The Lease as its first leader makes it.
fn new_lease(holder: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "web", "labels": {contract::LEASE: "true"}},
        "spec": {"holderIdentity": holder, "leaseTransitions": 1},
    })
}

/// What is there, as the attempt wants it to be.
async fn changed(cast: &Cast, client: &kube::Client, act: &Act) -> Result<(String, Value)> {
    let replaced = matches!(act, Act::Replace);
    let path = if replaced {
        "services/web"
    } else {
        "leases/web"
    };
    let get = request(&cast.namespace, Method::GET, path, &Value::Null)?;
    let mut object: Value = client.request(get).await?;
    match act {
        Act::Lease(holder, term) => {
            let identity = if holder.is_empty() {
                String::new()
            } else {
                cast.identity(holder)
            };
            object["spec"]["holderIdentity"] = json!(identity);
            object["spec"]["leaseTransitions"] = json!(term);
        }
        Act::MergedLease(patch) => json_patch::merge(&mut object, patch),
        _ => {
            remove(&mut object, "/spec/selector", contract::POD)?;
            remove(&mut object, "/metadata/annotations", contract::ACTIVE)?;
            remove(&mut object, "/metadata/annotations", contract::TERM)?;
        }
    }
    Ok((path.to_owned(), object))
}

fn remove(object: &mut Value, parent: &str, key: &str) -> Result<Value> {
    let parent = object.pointer_mut(parent).and_then(Value::as_object_mut);
    let removed = parent.and_then(|parent| parent.remove(key));
    removed.with_context(|| format!("there is no {key} to take away"))
}

/// A request about an object in a namespace.
fn request(namespace: &str, method: Method, path: &str, body: &Value) -> Result<Request<Vec<u8>>> {
    let api = if path.starts_with("leases") {
        "/apis/coordination.k8s.io/v1"
    } else {
        "/api/v1"
    };
    let kind = if method == Method::PATCH {
        MERGE_PATCH
    } else {
        JSON
    };
    let body = match body {
        Value::Null => Vec::new(),
        body => serde_json::to_vec(body)?,
    };
    Ok(Request::builder()
        .method(method)
        .uri(format!("{api}/namespaces/{namespace}/{path}"))
        .header(http::header::CONTENT_TYPE, kind)
        .body(body)?)
}

/// Whether the attempt ended as it must.
fn judge(cast: &Cast, attempt: &Attempt, answer: &kube::Result<Value>) -> Result<()> {
    let status = match answer {
        Ok(_) => None,
        Err(kube::Error::Api(status)) => Some(status),
        Err(error) => bail!("no answer: {error}"),
    };
    match (&attempt.end, answer, status) {
        (End::Done, Ok(_), _) => Ok(()),
        (End::Points(pod), Ok(service), _) => {
            let selector = &service["spec"]["selector"][contract::POD];
            let wanted = cast.uid(pod);
            let points = selector.as_str().unwrap_or_default() == wanted;
            ensure!(points, "the key is {selector} instead of {wanted:?}");
            Ok(())
        }
        (End::Refused(words), _, Some(status)) => {
            let by_policy = status.code == 422 && status.message.contains(REFUSED);
            ensure!(by_policy, "{}: {}", status.code, status.message);
            ensure!(status.message.contains(words), "{}", status.message);
            Ok(())
        }
        (End::Forbidden, _, Some(status)) => {
            ensure!(status.code == 403, "{}: {}", status.code, status.message);
            Ok(())
        }
        (_, Ok(_), _) => bail!("it was done"),
        (_, _, Some(status)) => bail!("{}: {}", status.code, status.message),
        (_, Err(error), None) => bail!("no answer: {error}"),
    }
}

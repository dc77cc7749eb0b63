//! Does what the chart installed do its work? The webhook, from its configuration to a pod that
//! comes back with the sidecar.

use crate::check::facts::{Installation, Read, Trial};
use crate::check::finding::{AGAIN, Finding, page};
use crate::check::{certificate, fences, names};
use common::contract;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhook, MutatingWebhookConfiguration};
use k8s_openapi::jiff::Timestamp;

/// Label that every namespace has: its name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// What the API server says of an init container with what only a native sidecar may have.
const NOT_NATIVE: &str = "for init containers without restartPolicy";

/// All that is to be said.
pub(crate) fn findings(facts: &Installation, now: Timestamp) -> Vec<Finding> {
    if let (Read::Absent, Read::Absent) = (&facts.configuration, &facts.deployment) {
        return vec![nothing(facts)];
    }
    let mut findings = vec![configuration(facts)];
    findings.extend(certificate::findings(facts, now));
    findings.push(deployment(facts));
    findings.push(endpoints(facts));
    findings.push(trial(facts));
    findings.extend(roles(facts));
    findings.push(fences::fencing(&facts.fencing));
    findings.push(fences::routing(&facts.routing, &facts.configuration));
    findings
}

/// The entries of a configuration.
pub(crate) fn entries(
    configuration: &MutatingWebhookConfiguration,
) -> impl Iterator<Item = &MutatingWebhook> {
    configuration.webhooks.iter().flatten()
}

/// Namespaces that the webhook leaves alone.
pub(crate) fn excluded(configuration: &Read<MutatingWebhookConfiguration>) -> Vec<String> {
    let Some(configuration) = configuration.seen() else {
        return Vec::new();
    };
    let pods = entries(configuration).filter(|entry| path(entry) == Some(contract::INJECT_PATH));
    let selectors = pods.filter_map(|entry| entry.namespace_selector.as_ref());
    let expressions = selectors.flat_map(|selector| selector.match_expressions.iter().flatten());
    let named = expressions.filter(|it| it.key == NAMESPACE_NAME && it.operator == "NotIn");
    named
        .flat_map(|it| it.values.iter().flatten().cloned())
        .collect()
}

/// The path at which an entry asks.
pub(crate) fn path(entry: &MutatingWebhook) -> Option<&str> {
    entry.client_config.service.as_ref()?.path.as_deref()
}

/// One finding says more than ten that all mean the same.
fn nothing(facts: &Installation) -> Finding {
    let text = format!(
        "active-passive is not installed here: there is no MutatingWebhookConfiguration {}, and no \
         Deployment {} in namespace {}",
        names::CONFIGURATION,
        names::WEBHOOK,
        facts.namespace
    );
    Finding::error("Installed", text)
        .cure("`kubectl active-passive check --pre` says whether it can be; then install the chart")
        .docs(page::INSTALL)
}

fn configuration(facts: &Installation) -> Finding {
    let check = "Configuration";
    match &facts.configuration {
        Read::Unseen(why) => Finding::unseen(check, why),
        Read::Absent => Finding::error(
            check,
            format!(
                "there is no MutatingWebhookConfiguration {}: annotated pods start without sidecar",
                names::CONFIGURATION
            ),
        )
        .cure(AGAIN)
        .docs(page::INSTALL),
        Read::Seen(configuration) => {
            let injects = |entry: &MutatingWebhook| path(entry) == Some(contract::INJECT_PATH);
            if entries(configuration).any(injects) {
                return Finding::ok(check, "API servers are told to ask the webhook about pods");
            }
            let text = format!(
                "no entry of MutatingWebhookConfiguration {} asks about pods: annotated pods \
                 start without sidecar",
                names::CONFIGURATION
            );
            Finding::error(check, text).cure(AGAIN).docs(page::INSTALL)
        }
    }
}

fn deployment(facts: &Installation) -> Finding {
    let check = "WebhookReady";
    let (namespace, name) = (&facts.namespace, names::WEBHOOK);
    let deployment = match &facts.deployment {
        Read::Unseen(why) => return Finding::unseen(check, why),
        Read::Absent => {
            let text = format!("there is no Deployment {name} in namespace {namespace}");
            let cure = "install the chart again; --system-namespace names another namespace";
            return Finding::error(check, text).cure(cure).docs(page::INSTALL);
        }
        Read::Seen(deployment) => deployment,
    };
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    let wanted = wanted.unwrap_or(1);
    let status = deployment.status.as_ref();
    let ready = status.and_then(|it| it.ready_replicas).unwrap_or(0);
    let look = format!("`kubectl -n {namespace} get pods,events` says why");
    if wanted == 0 {
        let text = format!("the webhook is scaled to 0: annotated pods cannot start ({name})");
        let cure = format!("`kubectl -n {namespace} scale deployment {name} --replicas=2`");
        return Finding::error(check, text).cure(cure).docs(page::WEBHOOK);
    }
    match ready {
        0 => Finding::error(
            check,
            format!("none of {wanted} pods of the webhook is ready: annotated pods cannot start"),
        )
        .cure(look)
        .docs(page::WEBHOOK),
        _ if ready < wanted => Finding::warning(
            check,
            format!("{ready} of {wanted} pods of the webhook are ready"),
        )
        .cure(look)
        .docs(page::WEBHOOK),
        _ => Finding::ok(
            check,
            format!("pods of the webhook that are ready: {ready}"),
        ),
    }
}

fn endpoints(facts: &Installation) -> Finding {
    let check = "WebhookEndpoints";
    let (namespace, name) = (&facts.namespace, names::WEBHOOK);
    let slices = match &facts.endpoints {
        Read::Unseen(why) => return Finding::unseen(check, why),
        Read::Absent => &Vec::new(),
        Read::Seen(slices) => slices,
    };
    let endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter());
    let is_ready = |conditions: &k8s_openapi::api::discovery::v1::EndpointConditions| {
        conditions.ready.unwrap_or(true)
    };
    let ready = endpoints.filter(|it| it.conditions.as_ref().is_none_or(is_ready));
    match ready.count() {
        0 => Finding::error(
            check,
            format!("Service {name} has no endpoints: API servers reach no webhook"),
        )
        .cure(format!(
            "make pods of the webhook ready, and look whether its selector fits them: \
             `kubectl -n {namespace} get service,endpointslices,pods --show-labels`"
        ))
        .docs(page::WEBHOOK),
        count => Finding::ok(check, format!("Service {name} has endpoints: {count}")),
    }
}

fn trial(facts: &Installation) -> Finding {
    let check = "Injection";
    let namespace = &facts.trial_namespace;
    let tried = format!("a pod with the annotation in namespace {namespace} (a dry run)");
    match &facts.trial {
        Trial::Injected { native: true, .. } => {
            Finding::ok(check, format!("{tried} gets the sidecar"))
        }
        Trial::Injected { native: false, .. } => stripped(format!(
            "{tried} gets the sidecar without its restartPolicy: it would never start"
        )),
        // Its liveness probe is one that only native sidecars may have.
        Trial::Refused(message) if message.contains(NOT_NATIVE) => stripped(format!(
            "{tried} is refused, since its sidecar lost its restartPolicy: {message}"
        )),
        Trial::Untouched if excluded(&facts.configuration).contains(namespace) => {
            Finding::warning(check, format!("namespace {namespace} is left alone"))
                .cure("choose another by -n, or change `webhook.excludedNamespaces` of the chart")
                .docs(page::INSTALL)
        }
        Trial::Untouched => Finding::error(check, format!("{tried} comes back without sidecar"))
            .cure(
                "the webhook was not asked (the lines above say why), or another webhook took the \
                 container out: `kubectl get mutatingwebhookconfigurations`",
            )
            .docs(page::WRONG),
        Trial::Failed(message) => {
            let (cure, docs) = cure_of_call(message, &facts.namespace);
            let text = format!("the API server cannot ask the webhook: {message}");
            Finding::error(check, text).cure(cure).docs(docs)
        }
        Trial::Refused(message) => {
            Finding::warning(check, format!("{tried} was refused: {message}"))
                .cure("choose a namespace by -n whose quotas and policies let such a pod pass")
                .docs(page::CHECK)
        }
        Trial::NotAllowed(why) => Finding::unseen(check, why),
    }
}

/// Somebody between the webhook and the API server's own checks has taken the field away.
fn stripped(text: String) -> Finding {
    Finding::error("Injection", text)
        .cure(
            "another webhook that does not know the field drops it: `kubectl active-passive check \
             --pre` lists them; update that one, or have it leave these pods out",
        )
        .docs(page::WRONG)
}

/// What to do about a webhook that cannot be asked, by what the API server says, and where to read on.
fn cure_of_call(message: &str, namespace: &str) -> (String, &'static str) {
    if message.contains("x509") || message.contains("certificate") {
        let cure = format!(
            "its certificate is not trusted: `kubectl -n {namespace} logs deployment/{}` says why \
             the authority is not published",
            names::WEBHOOK
        );
        return (cure, page::TRUST);
    }
    if message.contains("no endpoints") || message.contains("connection refused") {
        let cure = "make pods of the webhook ready: see the lines above";
        return (cure.to_owned(), page::WEBHOOK);
    }
    let cure = format!(
        "port {} of the webhook's pods must be open from the control plane, and a NetworkPolicy \
         must let it in",
        contract::WEBHOOK_PORT
    );
    (cure, page::WRONG)
}

/// The cluster roles of groups: bindings to what is not there give nothing.
fn roles(facts: &Installation) -> Vec<Finding> {
    let check = "GroupRoles";
    let mut findings = Vec::new();
    for (name, role) in &facts.roles {
        match role {
            Read::Seen(_) => {}
            Read::Unseen(why) => findings.push(Finding::unseen(check, why)),
            Read::Absent => findings.push(
                Finding::error(
                    check,
                    format!("there is no ClusterRole {name}: sidecars lose what it grants"),
                )
                .cure(AGAIN)
                .docs(page::FORBIDDEN),
            ),
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok(check, "the cluster roles of groups are there"));
    }
    findings
}

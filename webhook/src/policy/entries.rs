//! The webhook entries that policies need: for each that injects by default one about pods, for each
//! that warns or refuses one about workloads. They are there only while a policy needs them.
//!
//! The API server keeps them to the namespaces and workloads of their policy by itself, so that one
//! that is labelled a moment ago is judged at once, and no list of names has to follow. All ignore
//! failures: who did not ask for the sidecar never waits for it.

use crate::certificate::bundle::Served;
use crate::client::patch;
use crate::policy::known::{Known, Policies};
use crate::watch::Single;
use common::contract::{self, INJECT_PATH, POLICY_ENTRY_SUFFIX, POLICY_PATH};
use inject::policy::{Policy, Selector};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations,
    ServiceReference, ValidatingWebhook, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::Api;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Between two writes: what a write has come to is seen by then.
const PAUSE: Duration = Duration::from_secs(1);
/// Seconds that the API server waits for an answer, where our own entry says nothing.
const TIMEOUT_S: i32 = 5;
const PORT: i32 = 443;

/// Keeps the entries.
#[derive(Debug)]
pub struct Keeper {
    /// All configurations about pods.
    pub mutating: Api<MutatingWebhookConfiguration>,
    /// All configurations about workloads.
    pub validating: Api<ValidatingWebhookConfiguration>,
    /// Name of ours, of both kinds.
    pub name: String,
    /// Our Service and its namespace.
    pub service: (String, String),
    /// The policies.
    pub known: Arc<Known>,
}

/// What is there.
#[derive(Debug)]
pub struct There {
    /// Our configuration about pods.
    pub mutating: watch::Receiver<Single<MutatingWebhookConfiguration>>,
    /// Our configuration about workloads.
    pub validating: watch::Receiver<Single<ValidatingWebhookConfiguration>>,
    /// Whom API servers shall trust.
    pub served: watch::Receiver<Option<Arc<Served>>>,
}

impl Keeper {
    /// Runs for ever.
    pub async fn keep(self, mut there: There) -> Infallible {
        let mut policies = self.known.policies();
        loop {
            let known = policies.borrow_and_update().clone();
            let mutating = there.mutating.borrow_and_update().clone();
            let validating = there.validating.borrow_and_update().clone();
            let served = there.served.borrow_and_update().clone();
            let wrote = match &served {
                Some(served) if known.listed => {
                    let pods = self.about_pods(&mutating, &known, served).await;
                    let workloads = self.about_workloads(&validating, &known, served).await;
                    pods || workloads
                }
                _ => false,
            };
            if wrote {
                sleep(PAUSE).await;
            }
            // Later another authority has to go.
            let again = wrote || served.is_some_and(|served| served.settles());
            // All are cancel-safe. What nobody follows never changes; the policies are our own.
            tokio::select! {
                Ok(()) = policies.changed() => {}
                Ok(()) = there.mutating.changed() => {}
                Ok(()) = there.validating.changed() => {}
                Ok(()) = there.served.changed() => {}
                () = sleep(PAUSE), if again => {}
            }
        }
    }

    /// Returns whether something was written, or could not be.
    async fn about_pods(
        &self,
        state: &Single<MutatingWebhookConfiguration>,
        policies: &Policies,
        served: &Served,
    ) -> bool {
        let Single::Present(configuration) = state else {
            return false;
        };
        let all = configuration.webhooks.as_deref().unwrap_or_default();
        let ours = |entry: &&MutatingWebhook| entry.name.ends_with(POLICY_ENTRY_SUFFIX);
        let timeout_s = all
            .iter()
            .find(|entry| !ours(entry))
            .and_then(|it| it.timeout_seconds);
        let injecting = policies.in_force.iter().filter(|policy| policy.injects());
        let there = all.iter().map(|it| (it.name.as_str(), &it.client_config));
        let maker = self.maker(served, there.collect(), timeout_s);
        let wanted: Vec<MutatingWebhook> = injecting.map(|it| maker.injects(it)).collect();
        if all.iter().filter(ours).eq(&wanted) {
            return false;
        }
        let stale = all.iter().enumerate().filter(|(_, entry)| ours(entry));
        let removed = stale.map(|(index, _)| index).rev();
        let mut ops: Vec<Value> = removed
            .map(|index| json!({"op": "remove", "path": format!("/webhooks/{index}")}))
            .collect();
        ops.extend(
            wanted
                .iter()
                .map(|entry| json!({"op": "add", "path": "/webhooks/-", "value": entry})),
        );
        let version = configuration.metadata.resource_version.as_deref();
        self.write(&self.mutating, version, ops).await;
        true
    }

    /// The same, in the configuration that holds nothing else.
    async fn about_workloads(
        &self,
        state: &Single<ValidatingWebhookConfiguration>,
        policies: &Policies,
        served: &Served,
    ) -> bool {
        let Single::Present(configuration) = state else {
            return false;
        };
        let judging = policies.in_force.iter().filter(|policy| policy.judges());
        let all = configuration.webhooks.as_deref().unwrap_or_default();
        let there = all.iter().map(|it| (it.name.as_str(), &it.client_config));
        let maker = self.maker(served, there.collect(), None);
        let wanted: Vec<ValidatingWebhook> = judging.map(|it| maker.judges(it)).collect();
        if all == wanted {
            return false;
        }
        let ops = vec![json!({"op": "add", "path": "/webhooks", "value": wanted})];
        let version = configuration.metadata.resource_version.as_deref();
        self.write(&self.validating, version, ops).await;
        true
    }

    async fn write<K>(&self, api: &Api<K>, version: Option<&str>, ops: Vec<Value>)
    where
        K: Clone + DeserializeOwned + Debug,
    {
        let version = version.unwrap_or_default();
        let mut all = vec![json!({
            "op": "test", "path": "/metadata/resourceVersion", "value": version,
        })];
        all.extend(ops);
        let configuration = &self.name;
        match patch(api, &self.name, all).await {
            Ok(_) => tracing::info!(configuration, "the entries of policies are in order"),
            // Another replica was first; the watch shows it.
            Err(error) if error.is_conflict() || error.is_unprocessable() => {
                tracing::debug!(configuration, %error, "the entries of policies are not written");
            }
            Err(error) => {
                tracing::warn!(configuration, %error, "cannot write the entries of policies; retrying");
            }
        }
    }

    fn maker<'a>(
        &'a self,
        served: &'a Served,
        there: HashMap<&'a str, &'a WebhookClientConfig>,
        timeout_s: Option<i32>,
    ) -> Maker<'a> {
        Maker {
            service: &self.service,
            excluded: self.known.excluded(),
            served,
            there,
            timeout_s: timeout_s.unwrap_or(TIMEOUT_S),
        }
    }
}

/// Makes entries, with every field that the API server would fill in: what was written is what is
/// read.
#[derive(Debug)]
struct Maker<'a> {
    service: &'a (String, String),
    excluded: &'a [String],
    served: &'a Served,
    /// How the entries that are there, by name, reach their webhooks.
    there: HashMap<&'a str, &'a WebhookClientConfig>,
    timeout_s: i32,
}

impl Maker<'_> {
    /// About pods that a policy asks for.
    fn injects(&self, policy: &Policy) -> MutatingWebhook {
        let name = policy.name();
        // Who asks is none of this entry's. Who was given the annotation by it is looked at again
        // after other webhooks.
        let (inject, by) = (contract::INJECT, contract::INJECTED_BY);
        let annotation = |key: &str| format!("object.metadata.?annotations[?'{key}']");
        let undecided = MatchCondition {
            name: "does-not-say".to_owned(),
            expression: format!(
                "!{}.hasValue() || {}.orValue('') == '{name}'",
                annotation(inject),
                annotation(by)
            ),
        };
        let rule = rule("", "pods".to_owned(), &["CREATE"]);
        let entry = format!("{name}{POLICY_ENTRY_SUFFIX}");
        MutatingWebhook {
            client_config: self.client(&entry, INJECT_PATH.to_owned()),
            name: entry,
            admission_review_versions: vec!["v1".to_owned()],
            failure_policy: Some("Ignore".to_owned()),
            match_conditions: Some(vec![undecided]),
            match_policy: Some("Equivalent".to_owned()),
            namespace_selector: Some(self.namespaces(policy)),
            object_selector: Some(selector(&policy.spec().workload_selector)),
            reinvocation_policy: Some("IfNeeded".to_owned()),
            rules: Some(vec![rule]),
            side_effects: "NoneOnDryRun".to_owned(),
            timeout_seconds: Some(self.timeout_s),
        }
    }

    /// About workloads that are applied.
    fn judges(&self, policy: &Policy) -> ValidatingWebhook {
        let name = policy.name();
        let conditions = [
            // Controllers write metadata and status of workloads that are there.
            (
                "changes",
                "oldObject == null || object.spec != oldObject.spec",
            ),
            // A CronJob is judged when it is applied, and its runs go on. Who else says that an object
            // is a run of one does not pass by.
            (
                "no-run-of-a-cron-job",
                "!(object.metadata.?ownerReferences.orValue([]).exists(o, \
                 o.?controller.orValue(false) && o.kind == 'CronJob') && \
                 (request.userInfo.username == 'system:kube-controller-manager' || \
                 request.userInfo.username.startsWith('system:serviceaccount:kube-system:')))",
            ),
        ];
        let condition = |(name, expression): (&str, &str)| MatchCondition {
            name: name.to_owned(),
            expression: expression.to_owned(),
        };
        let of_kind = |kind: &inject::policy::WorkloadKind| {
            rule(
                kind.group(),
                kind.plural().to_owned(),
                &["CREATE", "UPDATE"],
            )
        };
        let entry = format!("{name}{POLICY_ENTRY_SUFFIX}");
        ValidatingWebhook {
            client_config: self.client(&entry, format!("{POLICY_PATH}/{name}")),
            name: entry,
            admission_review_versions: vec!["v1".to_owned()],
            failure_policy: Some("Ignore".to_owned()),
            match_conditions: Some(conditions.map(condition).to_vec()),
            match_policy: Some("Equivalent".to_owned()),
            namespace_selector: Some(self.namespaces(policy)),
            object_selector: Some(LabelSelector::default()),
            rules: Some(policy.kinds().iter().map(of_kind).collect()),
            side_effects: "None".to_owned(),
            timeout_seconds: Some(self.timeout_s),
        }
    }

    /// How an entry reaches us. Its authority stays as it was found, where that will do: replicas that
    /// know different ones beside the present one would otherwise write by turns.
    fn client(&self, entry: &str, path: String) -> WebhookClientConfig {
        let (name, namespace) = self.service.clone();
        let found = self.there.get(entry).and_then(|it| it.ca_bundle.as_ref());
        let found = found.filter(|found| self.served.is_published_as(&found.0));
        let ours = || ByteString(self.served.ca_bundle().to_vec());
        WebhookClientConfig {
            ca_bundle: Some(found.cloned().unwrap_or_else(ours)),
            service: Some(ServiceReference {
                name,
                namespace,
                path: Some(path),
                port: Some(PORT),
            }),
            url: None,
        }
    }

    /// Those of the policy, less those that none is about.
    fn namespaces(&self, policy: &Policy) -> LabelSelector {
        let mut namespaces = selector(&policy.spec().namespace_selector);
        let excluded = LabelSelectorRequirement {
            key: super::known::NAME_LABEL.to_owned(),
            operator: "NotIn".to_owned(),
            values: Some(self.excluded.to_vec()),
        };
        namespaces
            .match_expressions
            .get_or_insert_default()
            .push(excluded);
        namespaces
    }
}

fn rule(group: &str, resource: String, operations: &[&str]) -> RuleWithOperations {
    RuleWithOperations {
        api_groups: Some(vec![group.to_owned()]),
        api_versions: Some(vec!["v1".to_owned()]),
        operations: Some(operations.iter().map(|&it| it.to_owned()).collect()),
        resources: Some(vec![resource]),
        scope: Some("Namespaced".to_owned()),
    }
}

fn selector(selector: &Selector) -> LabelSelector {
    let requirement = |it: &inject::policy::Requirement| LabelSelectorRequirement {
        key: it.key.clone(),
        operator: it.operator.as_str().to_owned(),
        values: Some(it.values.clone()).filter(|values| !values.is_empty()),
    };
    let (labels, expressions) = (&selector.match_labels, &selector.match_expressions);
    let expressions: Vec<_> = expressions.iter().map(requirement).collect();
    LabelSelector {
        match_labels: Some(labels.clone()).filter(|labels| !labels.is_empty()),
        match_expressions: Some(expressions).filter(|all| !all.is_empty()),
    }
}

#[cfg(test)]
mod tests;

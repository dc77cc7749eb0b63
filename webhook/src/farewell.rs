//! The last thing that an installation does: Services get back the selectors that their owners gave
//! them.
//!
//! It is done once the rest is gone. Before, whoever derives our key would put it back; after, a
//! Service that kept it would lose its traffic together with one pod. The annotation of the group and
//! the term stay, so that the next installation finds both.

use crate::client::{ApiError, REQUEST_DEADLINE, patch, within};
use common::contract;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// Looks for the end of the installation.
const WAITS_MAX: usize = 15;
/// Looks at all Services.
const ROUNDS_MAX: usize = 15;
/// So many looks in a row find nothing to do: API servers and sidecars have learned by then that the
/// installation is gone.
const QUIET_ROUNDS: usize = 2;
/// Services of one page, and pages of one look.
const PAGE: u32 = 500;
const PAGES_MAX: usize = 200;

/// Why Services were not released.
#[derive(Debug, thiserror::Error)]
pub enum FarewellError {
    /// The installation is there.
    #[error(
        "active-passive is installed (MutatingWebhookConfiguration {0} exists), so Services keep \
         pointing at their active pods: uninstall it first"
    )]
    Installed(String),
    /// The API server did not do what it was asked.
    #[error("cannot {action}: {source}")]
    Api {
        /// What was tried.
        action: String,
        /// What the API server says.
        source: ApiError,
    },
    /// Somebody puts the key back.
    #[error(
        "somebody puts {key} back into the selectors of {0}: see who writes them (kubectl get \
         service -o yaml --show-managed-fields), and take the key out by hand",
        key = contract::POD
    )]
    Contested(String),
}

/// Takes our key out of the selector of every Service; returns how many had it.
///
/// # Errors
/// If the installation is still there, or a Service keeps the key.
pub async fn release(client: Client, configuration: &str) -> Result<usize, FarewellError> {
    wait_for_the_end(&client, configuration).await?;
    let (mut released, mut quiet) = (0, 0);
    let mut found = Vec::new();
    for _ in 0..ROUNDS_MAX {
        found = routed(&client).await?;
        quiet = if found.is_empty() { quiet + 1 } else { 0 };
        if quiet == QUIET_ROUNDS {
            tracing::info!(released, "every Service has the selector of its owner");
            return Ok(released);
        }
        for service in &found {
            released += usize::from(release_one(&client, service).await?);
        }
        sleep(PAUSE).await;
    }
    if found.is_empty() {
        return Ok(released);
    }
    let names: Vec<String> = found.iter().take(10).map(full_name).collect();
    Err(FarewellError::Contested(names.join(", ")))
}

async fn wait_for_the_end(client: &Client, configuration: &str) -> Result<(), FarewellError> {
    let configurations: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    for _ in 0..WAITS_MAX {
        let request = configurations.get_opt(configuration);
        let found = within(REQUEST_DEADLINE, request).await;
        let action = || format!("see whether MutatingWebhookConfiguration {configuration} is gone");
        if found.map_err(failed(action))?.is_none() {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
    Err(FarewellError::Installed(configuration.to_owned()))
}

/// Services that our key, or what it is derived from, makes point at one pod.
async fn routed(client: &Client) -> Result<Vec<Service>, FarewellError> {
    let services: Api<Service> = Api::all(client.clone());
    let mut params = ListParams::default().limit(PAGE);
    let mut found = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = within(REQUEST_DEADLINE, services.list(&params)).await;
        let page = page.map_err(failed(|| "list Services".to_owned()))?;
        found.extend(page.items.into_iter().filter(is_routed));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    Ok(found)
}

fn selects_by_us(service: &Service) -> bool {
    selects_by(service, contract::POD)
}

fn selects_by(service: &Service, wanted: &str) -> bool {
    let selector = service.spec.iter().flat_map(|spec| &spec.selector);
    selector.flatten().any(|(key, _)| key == wanted)
}

/// In Service mode, another system's key is ours as well.
fn selects_by_compat(service: &Service) -> bool {
    let asks = service.annotations().contains_key(contract::COMPAT_MODE);
    asks && selects_by(service, contract::COMPAT_DESIGNATION)
}

fn is_routed(service: &Service) -> bool {
    selects_by_us(service) || service.annotations().contains_key(contract::ACTIVE)
}

/// Whether it was done; a Service that has changed or gone meanwhile is looked at again.
async fn release_one(client: &Client, service: &Service) -> Result<bool, FarewellError> {
    let version = service.resource_version().unwrap_or_default();
    let mut ops = vec![json!({
        "op": "test", "path": "/metadata/resourceVersion", "value": version,
    })];
    if service.annotations().contains_key(contract::ACTIVE) {
        ops.push(json!({"op": "remove", "path": path("/metadata/annotations", contract::ACTIVE)}));
    }
    if selects_by_us(service) {
        ops.push(json!({"op": "remove", "path": path("/spec/selector", contract::POD)}));
    }
    if selects_by_compat(service) {
        let at = path("/spec/selector", contract::COMPAT_DESIGNATION);
        ops.push(json!({"op": "remove", "path": at}));
    }
    let name = full_name(service);
    let action = || format!("take our key out of the selector of Service {name}");
    let services: Api<Service> =
        Api::namespaced(client.clone(), &service.namespace().unwrap_or_default());
    match patch(&services, &service.name_any(), ops).await {
        Ok(_) => {
            tracing::info!(service = name, "has the selector of its owner again");
            Ok(true)
        }
        Err(error) if error.is_conflict() || error.is_not_found() || error.is_unprocessable() => {
            Ok(false)
        }
        Err(error) => Err(failed(action)(error)),
    }
}

/// JSON Pointer to a key of a map.
fn path(map: &str, key: &str) -> String {
    format!("{map}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn full_name(service: &Service) -> String {
    let namespace = service.namespace().unwrap_or_default();
    format!("{namespace}/{}", service.name_any())
}

fn failed(action: impl Fn() -> String) -> impl Fn(ApiError) -> FarewellError {
    move |source| FarewellError::Api {
        action: action(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_api::{FakeApi, failure};
    use serde_json::Value;

    const CONFIGURATION: &str =
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/active-passive";
    const WEB: &str = "/api/v1/namespaces/shop/services/web";
    const PLAIN: &str = "/api/v1/namespaces/shop/services/plain";

    fn service(annotations: &Value, selector: &Value) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"annotations": annotations}, "spec": {"selector": selector},
        })
    }

    fn cluster() -> FakeApi {
        let api = FakeApi::new();
        let annotations = json!({
            contract::GROUP: "web", contract::ACTIVE: "u-1", contract::TERM: "4",
        });
        api.put(
            WEB,
            service(&annotations, &json!({"app": "web", contract::POD: "u-1"})),
        );
        api.put(PLAIN, service(&json!({}), &json!({"app": "plain"})));
        api
    }

    #[tokio::test(start_paused = true)]
    async fn services_get_back_the_selectors_of_their_owners() {
        let api = cluster();
        let plain = api.get(PLAIN);
        assert_eq!(release(api.client(), "active-passive").await.unwrap(), 1);
        let web = api.get(WEB).unwrap();
        assert_eq!(web["spec"]["selector"], json!({"app": "web"}));
        let kept = json!({contract::GROUP: "web", contract::TERM: "4"});
        assert_eq!(web["metadata"]["annotations"], kept);
        assert_eq!(api.get(PLAIN), plain, "no business of ours");
        assert_eq!(release(api.client(), "active-passive").await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn so_do_those_in_service_mode() {
        let api = cluster();
        let annotations = json!({contract::COMPAT_MODE: "active-standby", contract::ACTIVE: "u-1"});
        let selector = json!({
            "app": "web", contract::POD: "u-1", contract::COMPAT_DESIGNATION: "active",
        });
        api.put(WEB, service(&annotations, &selector));
        assert_eq!(release(api.client(), "active-passive").await.unwrap(), 1);
        let web = api.get(WEB).unwrap();
        assert_eq!(web["spec"]["selector"], json!({"app": "web"}));
    }

    #[tokio::test(start_paused = true)]
    async fn while_it_is_installed_nothing_is_released() {
        let api = cluster();
        api.put(
            CONFIGURATION,
            json!({"apiVersion": "admissionregistration.k8s.io/v1",
                   "kind": "MutatingWebhookConfiguration", "metadata": {}}),
        );
        let before = api.get(WEB);
        let error = release(api.client(), "active-passive").await.unwrap_err();
        assert!(error.to_string().contains("uninstall it first"), "{error}");
        assert_eq!(api.get(WEB), before);
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_has_changed_meanwhile_is_looked_at_again() {
        let api = cluster();
        api.refuse(&format!("PATCH {WEB}"), failure(409, "Conflict"));
        let error = release(api.client(), "active-passive").await.unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("somebody puts") && error.contains("shop/web"),
            "{error}"
        );
        api.refuse_nothing();
        assert_eq!(release(api.client(), "active-passive").await.unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_right_is_named() {
        let api = cluster();
        api.refuse(&format!("PATCH {WEB}"), failure(403, "Forbidden"));
        let error = release(api.client(), "active-passive").await.unwrap_err();
        assert!(
            error.to_string().contains("selector of Service shop/web"),
            "{error}"
        );
    }
}

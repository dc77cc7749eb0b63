//! The Event on a certificate's Secret that had to be made anew: somebody damaged it, and shall know.

use crate::client::{ApiError, FIELD_MANAGER, REQUEST_DEADLINE, post, within};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::{Api, Client};

/// Reason of the Event.
const REASON: &str = "CertificateMadeAnew";

/// Sends the Event; best effort, as Events are.
///
/// # Errors
/// If the API server does not take it.
pub(super) async fn tell(
    client: Client,
    namespace: &str,
    secret: &str,
    why: &str,
) -> Result<(), ApiError> {
    let events: Api<Event> = Api::namespaced(client, namespace);
    let event = event(namespace, secret, why, Timestamp::now());
    let params = post();
    within(REQUEST_DEADLINE, events.create(&params, &event)).await?;
    Ok(())
}

fn event(namespace: &str, secret: &str, why: &str, now: Timestamp) -> Event {
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{secret}.{:x}", now.as_nanosecond())),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        type_: Some("Warning".to_owned()),
        reason: Some(REASON.to_owned()),
        action: Some("Heal".to_owned()),
        note: Some(format!(
            "The certificate of the webhook was put back: {why}. Leave this Secret to the webhook."
        )),
        reporting_controller: Some(FIELD_MANAGER.to_owned()),
        reporting_instance: Some(FIELD_MANAGER.to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Secret".to_owned()),
            namespace: Some(namespace.to_owned()),
            name: Some(secret.to_owned()),
            ..ObjectReference::default()
        }),
        ..Event::default()
    }
}

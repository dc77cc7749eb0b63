//! Policies of administrators, on the side of the server.
//!
//! - [`known`]: which there are, and the namespaces that they are about;
//! - [`entries`]: the webhook entries that they need, there only while a policy needs them;
//! - [`rivals`], [`lookups`]: who else has the name of a workload, and how often that is asked;
//! - [`judge`]: what is said to whoever applies a workload;
//! - [`survey`], [`status`]: how far each policy has got.
//!
//! What a policy makes of a pod or a workload is decided in `inject`. Without a policy nothing here
//! does anything: namespaces are not watched, nothing is listed, and a review asks once whether there
//! is one.

pub mod entries;
pub mod judge;
pub mod known;
pub mod lookups;
pub mod places;
pub mod rivals;
pub mod status;
pub mod survey;

use common::contract::{POLICY_GROUP, POLICY_KIND, POLICY_PLURAL, POLICY_VERSION};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client};

/// Policies of the cluster.
pub fn api(client: Client) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: POLICY_GROUP.to_owned(),
        version: POLICY_VERSION.to_owned(),
        api_version: format!("{POLICY_GROUP}/{POLICY_VERSION}"),
        kind: POLICY_KIND.to_owned(),
        plural: POLICY_PLURAL.to_owned(),
    };
    Api::all_with(client, &resource)
}

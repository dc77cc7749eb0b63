//! Services whose traffic follows the role: what the elector sees of them, and its patches.

use crate::object::{Reading, Unreadable};
use common::contract;
use common::service::Service;
use election::{ServiceView, ServiceWrite};
use serde_json::{Value, json};

/// The Service as the elector sees it.
pub(crate) fn view(service: &Service) -> Result<ServiceView, Unreadable> {
    let meta = &service.metadata;
    let selector = service.selector();
    Ok(ServiceView {
        name: meta.name.clone(),
        version: meta.version()?,
        active: meta.annotation(contract::ACTIVE).map(str::to_owned),
        term: meta.term(),
        selected: selector
            .and_then(|selector| selector.get(contract::POD))
            .cloned(),
        has_selector: selector.is_some(),
    })
}

/// The merge patch of a write. The version is a precondition.
pub(crate) fn patch(write: &ServiceWrite) -> Value {
    let active = write.active.as_deref().unwrap_or(contract::NO_POD);
    let mut patch = json!({"metadata": {
        "resourceVersion": write.base.0.to_string(),
        "annotations": {contract::ACTIVE: active, contract::TERM: write.term.to_string()},
    }});
    if write.with_selector {
        patch["spec"] = json!({"selector": {contract::POD: active}});
    }
    patch
}

#[cfg(test)]
mod tests {
    use super::*;
    use election::Version;

    #[test]
    fn reads_what_the_elector_needs() {
        let service: Service = crate::object::read(
            json!({
                "metadata": {
                    "name": "web", "resourceVersion": "9",
                    "annotations": {
                        contract::GROUP: "web", contract::ACTIVE: "u-1", contract::TERM: "3"
                    },
                },
                "spec": {"selector": {"app": "web", contract::POD: "u-1"}, "ports": []},
            })
            .to_string()
            .as_bytes(),
        )
        .unwrap();
        assert_eq!(service.group(), Some("web"));
        assert_eq!(
            view(&service).unwrap(),
            ServiceView {
                name: "web".to_owned(),
                version: Version(9),
                active: Some("u-1".to_owned()),
                term: Some(3),
                selected: Some("u-1".to_owned()),
                has_selector: true,
            }
        );
    }

    #[test]
    fn a_service_without_selector_is_seen_as_such() {
        for spec in [
            json!({}),
            json!({"selector": null}),
            json!({"selector": {}}),
        ] {
            let json = json!({"metadata": {"name": "a", "resourceVersion": "1"}, "spec": spec});
            let service: Service = crate::object::read(json.to_string().as_bytes()).unwrap();
            assert!(!view(&service).unwrap().has_selector, "{json}");
        }
    }

    #[test]
    fn the_selector_is_written_only_where_admission_does_not() {
        let mut write = ServiceWrite {
            name: "web".to_owned(),
            base: Version(9),
            active: Some("u-2".to_owned()),
            term: 4,
            with_selector: false,
        };
        let metadata = json!({
            "resourceVersion": "9",
            "annotations": {contract::ACTIVE: "u-2", contract::TERM: "4"},
        });
        assert_eq!(patch(&write), json!({"metadata": metadata}));
        write.with_selector = true;
        assert_eq!(
            patch(&write)["spec"],
            json!({"selector": {contract::POD: "u-2"}})
        );
        write.active = None;
        assert_eq!(
            patch(&write)["spec"],
            json!({"selector": {contract::POD: "none"}})
        );
    }
}

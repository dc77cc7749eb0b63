//! Services that ask for Service mode.

use super::groups::workloads;
use crate::check::finding::Level;
use crate::check::service_mode::finding;
use crate::service_mode::asks;
use common::contract;
use common::service::Service;
use serde_json::{Value, json};

fn said(off: bool, annotations: &Value) -> Option<(Level, String)> {
    let service = json!({
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "annotations": annotations},
        "spec": {"selector": {"app": "web"}},
    });
    let mut facts = workloads(&[]);
    let service: Service = serde_json::from_value(service).unwrap();
    facts.asking = Some(service).filter(asks).into_iter().collect();
    facts.service_mode_off = off;
    finding(&facts).map(|it| (it.level, it.text))
}

#[test]
fn whoever_asks_in_vain_is_named() {
    let asks = json!({contract::MODE: "active-passive"});
    let compat = json!({contract::COMPAT_MODE: "active-standby"});
    for annotations in [&asks, &compat] {
        let (level, text) = said(true, annotations).unwrap();
        assert_eq!(level, Level::Warning);
        assert!(
            text.contains("it is off") && text.contains("shop/web"),
            "{text}"
        );
        let (_, text) = said(false, annotations).unwrap();
        assert_eq!(text, "no pod is designated for shop/web");
    }
    let served = json!({contract::MODE: "active-passive", contract::ACTIVE: "uid-1"});
    assert_eq!(said(false, &served).unwrap().0, Level::Ok);
    assert_eq!(said(true, &json!({})), None);
}

//! Services that ask for Service mode and do not get it.

use crate::check::facts::Workloads;
use crate::check::finding::{Finding, page};
use common::contract;
use common::service::Service;

/// One for all of them: none asks, or Service mode is off, or some have no designated pod.
pub(crate) fn finding(facts: &Workloads) -> Option<Finding> {
    let check = "ServiceMode";
    let names = |of: &dyn Fn(&Service) -> bool| {
        let found = facts.asking.iter().filter(|service| of(service));
        let names = found.map(|it| format!("{}/{}", it.metadata.namespace, it.metadata.name));
        names.collect::<Vec<_>>().join(", ")
    };
    if facts.asking.is_empty() {
        return None;
    }
    if facts.service_mode_off {
        let all = names(&|_| true);
        let text = format!("it is off, and Services ask for it: {all}");
        let cure = "install the chart with serviceMode.enabled=true, or take the annotation off";
        return Some(
            Finding::warning(check, text)
                .cure(cure)
                .docs(page::SERVICE_MODE),
        );
    }
    let active = |it: &Service| {
        it.metadata
            .annotation(contract::ACTIVE)
            .is_some_and(|it| !it.is_empty())
    };
    let without = names(&|it| !active(it));
    if without.is_empty() {
        let count = facts.asking.len();
        return Some(Finding::ok(
            check,
            format!("{count} Services point at their pod"),
        ));
    }
    let text = format!("no pod is designated for {without}");
    let cure =
        "see why: kubectl events --for service/NAME; if there is no Event, no pod of it is ready";
    Some(
        Finding::warning(check, text)
            .cure(cure)
            .docs(page::SERVICE_MODE),
    )
}

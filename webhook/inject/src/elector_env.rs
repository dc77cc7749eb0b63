//! What the app containers get to find out who leads: the variables that nais' elector has.

use crate::json::Json;
use crate::patch::{Patch, Pointer};
use crate::pod::{Pod, name};
use crate::shapes::Variable;
use common::contract::{elector_env, path};
use serde_json::Value;

const NAMES: [&str; 3] = [
    elector_env::PATH,
    elector_env::GET_URL,
    elector_env::SSE_URL,
];

/// Gives each app container the variables that it has not. Returns warnings about those that it has.
pub(crate) fn provide(pod: &Pod<'_>, port: u16, patch: &mut Patch) -> Vec<String> {
    let mut warnings = Vec::new();
    for (index, container) in pod.containers.iter().enumerate() {
        let given = container.get("env").and_then(Value::as_array);
        let has = |variable: &str| {
            given
                .into_iter()
                .flatten()
                .any(|it| name(it) == Some(variable))
        };
        let missing = NAMES.into_iter().filter(|variable| !has(variable));
        let variables: Vec<Variable<'_>> = missing.map(|it| variable(it, port)).collect();
        let at = Pointer::to(&["spec", "containers"]).index(index).key("env");
        patch.append(&at, given.is_some(), &variables);
        let kept: Vec<&str> = NAMES.into_iter().filter(|variable| has(variable)).collect();
        if !kept.is_empty() {
            warnings.push(format!(
                "container {:?} keeps its own {}",
                name(container).unwrap_or_default(),
                kept.join(", ")
            ));
        }
    }
    warnings
}

/// Whether a variable is one of these, for the sidecar's own port.
pub(crate) fn is_provided(item: &Value, port: u16) -> bool {
    let wanted = |it| Json::of(&variable(it, port)).value();
    NAMES.into_iter().any(|it| *item == wanted(it))
}

fn variable(name: &'static str, port: u16) -> Variable<'static> {
    let host = format!("localhost:{port}");
    let value = match name {
        elector_env::GET_URL => format!("http://{host}/"),
        elector_env::SSE_URL => format!("http://{host}{}", path::SSE),
        _ => host,
    };
    let value = value.into();
    Variable::Text { name, value }
}

//! What a container of another elector is told, by its environment and its arguments.

use super::elector;
use super::object::{list, text};
use serde_json::Value;

/// The pod's own namespace, as the downward API names it.
const OWN_NAMESPACE: &str = "metadata.namespace";

/// What a container is told.
pub(super) struct Settings<'a> {
    container: &'a Value,
    namespace: &'a str,
}

impl<'a> Settings<'a> {
    /// Of a container whose pod goes to this namespace.
    pub(super) fn of(container: &'a Value, namespace: &'a str) -> Self {
        Self {
            container,
            namespace,
        }
    }

    /// The text of a variable; none if it is absent or empty.
    ///
    /// # Errors
    /// If its value is not in the manifest.
    pub(super) fn variable(&self, name: &str) -> Result<Option<String>, String> {
        let Some(entry) = self.entry(name) else {
            return if list(self.container, "envFrom").is_empty() {
                Ok(None)
            } else {
                Err(format!("variable {name} may come from envFrom; {WRITE_IT}"))
            };
        };
        if entry.get("valueFrom").is_some_and(|from| !from.is_null()) {
            return Err(format!(
                "variable {name} has its value elsewhere; {WRITE_IT}"
            ));
        }
        let value = self.expanded(text(entry, "value").unwrap_or_default());
        known(name, value).map(|value| Some(value).filter(|value| !value.is_empty()))
    }

    /// Makes sure that a variable, if it is there, names the pod's own namespace.
    ///
    /// # Errors
    /// If it names another one.
    pub(super) fn at_home(&self, variable: &str) -> Result<(), String> {
        let field = self.field(variable);
        if field == Some(OWN_NAMESPACE) {
            return Ok(());
        }
        let value = self.variable(variable)?;
        self.is_home(variable, value.as_deref())
    }

    /// The same for a flag.
    ///
    /// # Errors
    /// If it names another one.
    pub(super) fn is_home(&self, setting: &str, value: Option<&str>) -> Result<(), String> {
        let reference = value.and_then(|value| value.strip_prefix("$(")?.strip_suffix(')'));
        if reference.is_some_and(|name| self.field(name) == Some(OWN_NAMESPACE)) {
            return Ok(());
        }
        match value {
            Some(value) if value != self.namespace => Err(format!(
                "{setting} is {value:?}: its Lease is in another namespace than its pods ({}), and \
                 ours never is",
                self.namespace
            )),
            _ => Ok(()),
        }
    }

    /// What it is started with, variables filled in as far as they are known.
    pub(super) fn arguments(&self) -> Vec<String> {
        let arguments = elector::arguments(self.container);
        arguments.map(|argument| self.expanded(argument)).collect()
    }

    /// The field of the pod that a variable takes its value from.
    fn field(&self, name: &str) -> Option<&'a str> {
        self.entry(name)?
            .pointer("/valueFrom/fieldRef/fieldPath")?
            .as_str()
    }

    /// Of several, the last one counts.
    fn entry(&self, name: &str) -> Option<&'a Value> {
        let variables = list(self.container, "env").iter().rev();
        variables
            .into_iter()
            .find(|it| text(it, "name") == Some(name))
    }

    /// `$(NAME)` is the value of a variable where that is a text.
    fn expanded(&self, text_with: &str) -> String {
        let mut expanded = text_with.to_owned();
        for variable in list(self.container, "env") {
            if let (Some(name), Some(value)) = (text(variable, "name"), text(variable, "value")) {
                expanded = expanded.replace(&format!("$({name})"), value);
            }
        }
        expanded
    }
}

const WRITE_IT: &str = "write it into the manifest";

/// A value without references that nothing here can follow.
///
/// # Errors
/// If there are some.
pub(super) fn known(name: &str, value: String) -> Result<String, String> {
    if value.contains("$(") {
        return Err(format!(
            "{name} is {value:?}, which is not known here; {WRITE_IT}"
        ));
    }
    Ok(value)
}

//! Label selectors, as Kubernetes reads them.

use crate::syntax;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A label selector. Everything in it must hold; an empty one takes everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selector {
    /// Labels with these values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// More conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<Requirement>,
}

/// One condition on one label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// Key of the label.
    pub key: String,
    /// How it is compared.
    pub operator: Operator,
    /// With what; for `Exists` and `DoesNotExist` with nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    /// It is there, with one of the values.
    In,
    /// It is absent, or has none of the values.
    NotIn,
    /// It is there.
    Exists,
    /// It is absent.
    DoesNotExist,
}

impl Operator {
    /// The word in a selector.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "In",
            Self::NotIn => "NotIn",
            Self::Exists => "Exists",
            Self::DoesNotExist => "DoesNotExist",
        }
    }
}

impl Selector {
    /// Whether these labels are selected.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        let equal = |(key, value): (&String, &String)| label(key) == Some(value.as_str());
        self.match_labels.iter().all(equal)
            && self
                .match_expressions
                .iter()
                .all(|it| it.holds(label(&it.key)))
    }

    /// What an API server would say against it.
    pub(crate) fn problems(&self, at: &str) -> Vec<String> {
        let mut problems = Vec::new();
        for (key, value) in &self.match_labels {
            problems.extend(bad_key(at, key));
            problems.extend(bad_value(at, value));
        }
        for Requirement {
            key,
            operator,
            values,
        } in &self.match_expressions
        {
            problems.extend(bad_key(at, key));
            problems.extend(values.iter().filter_map(|value| bad_value(at, value)));
            let operator_s = operator.as_str();
            match operator {
                Operator::In | Operator::NotIn if values.is_empty() => problems.push(format!(
                    "{at}: {operator_s} of {key:?} has no values to compare with: add values"
                )),
                Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                    problems.push(format!(
                        "{at}: {operator_s} of {key:?} compares with nothing: remove its values"
                    ));
                }
                _ => {}
            }
        }
        problems
    }
}

impl Requirement {
    fn holds(&self, label: Option<&str>) -> bool {
        let among = |label: &str| self.values.iter().any(|value| value == label);
        match self.operator {
            Operator::In => label.is_some_and(among),
            Operator::NotIn => !label.is_some_and(among),
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
        }
    }
}

fn bad_key(at: &str, key: &str) -> Option<String> {
    let problem =
        || format!("{at}: {key:?} is no label key: write it like team or example.com/team");
    (!syntax::is_label_key(key)).then(problem)
}

fn bad_value(at: &str, value: &str) -> Option<String> {
    let problem = || format!("{at}: {value:?} is no label value");
    (!syntax::is_label_value(value)).then(problem)
}

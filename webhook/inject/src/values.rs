//! One reader for each kind of annotation value. An error is the half sentence that follows the
//! annotation's key: the value, and what is allowed.

use crate::syntax;
use common::duration::{format_ms, parse_ms};
use serde_json::Value;
use std::ops::RangeInclusive;

/// Schemes, hosts: where a role change may be posted.
const NOTIFY_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// One of the words that are allowed here.
pub(crate) fn word<T: Copy>(text: &str, allowed: &[(&str, T)]) -> Result<T, String> {
    allowed
        .iter()
        .find_map(|(word, value)| (*word == text).then_some(*value))
        .ok_or_else(|| {
            let words: Vec<String> = allowed
                .iter()
                .map(|(word, _)| format!("{word:?}"))
                .collect();
            format!("{text:?} is not allowed: write {}", words.join(" or "))
        })
}

/// A duration within limits, milliseconds.
pub(crate) fn duration_ms(text: &str, allowed_ms: RangeInclusive<u64>) -> Result<u64, String> {
    let ms = parse_ms(text).map_err(|error| error.to_string())?;
    if allowed_ms.contains(&ms) {
        return Ok(ms);
    }
    let (least, most) = (format_ms(*allowed_ms.start()), format_ms(*allowed_ms.end()));
    Err(format!("{text:?} is out of range: write {least} to {most}"))
}

/// A whole number.
pub(crate) fn whole_number(text: &str) -> Result<i32, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no whole number: write it like 0, 10 or -1"))
}

/// A label key.
pub(crate) fn label_key(text: &str) -> Result<String, String> {
    if syntax::is_label_key(text) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is no label key: write it like role or example.com/role"
        ))
    }
}

/// A label value.
pub(crate) fn label_value(text: &str) -> Result<String, String> {
    if syntax::is_label_value(text) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is no label value: at most 63 letters, digits, '-', '_' and '.', beginning \
             and ending with a letter or digit"
        ))
    }
}

/// `all` as none, or container names separated by commas.
pub(crate) fn containers(text: &str) -> Result<Option<Vec<String>>, String> {
    if text == "all" {
        return Ok(None);
    }
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    if names.iter().all(|name| common::ids::is_dns_label(name)) {
        Ok(Some(names.into_iter().map(str::to_owned).collect()))
    } else {
        Err(format!(
            "{text:?} is no list of containers: write all, or names like app,proxy"
        ))
    }
}

/// A folder in the app containers.
pub(crate) fn folder(text: &str) -> Result<String, String> {
    let refused = || {
        format!("{text:?} is no folder to mount: write an absolute path like /run/active-passive")
    };
    let path = text.strip_suffix('/').unwrap_or(text);
    let steps = path.strip_prefix('/').ok_or_else(refused)?;
    let good = |step: &str| !["", ".", ".."].contains(&step) && !step.contains([':', '\0']);
    if steps.split('/').all(good) {
        Ok(path.to_owned())
    } else {
        Err(refused())
    }
}

/// An http URL on this pod.
pub(crate) fn local_url(text: &str) -> Result<String, String> {
    let refused =
        || format!("{text:?} is no URL on localhost: write it like http://localhost:8080/role");
    let rest = text.strip_prefix("http://").ok_or_else(refused)?;
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    let port = NOTIFY_HOSTS
        .iter()
        .find_map(|host| authority.strip_prefix(host))
        .ok_or_else(refused)?;
    let good_port = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.parse::<u16>().is_ok_and(|n| n > 0));
    let good_text = text.bytes().all(|b| b.is_ascii_graphic()) && !text.contains('#');
    if good_port && good_text {
        Ok(text.to_owned())
    } else {
        Err(refused())
    }
}

/// ResourceRequirements as JSON: requests and limits, each of quantities.
pub(crate) fn resources(text: &str) -> Result<Value, String> {
    let example = common::contract::default::RESOURCES;
    let refused = |why: &str| format!("{text:?} {why}: write it like {example}");
    let value: Value = serde_json::from_str(text).map_err(|_| refused("is no JSON"))?;
    let sections = value
        .as_object()
        .ok_or_else(|| refused("is no JSON object"))?;
    for (section, quantities) in sections {
        if !["requests", "limits"].contains(&section.as_str()) {
            return Err(refused(&format!(
                "has {section:?}, which is neither requests nor limits"
            )));
        }
        let quantities = quantities
            .as_object()
            .ok_or_else(|| refused("is no ResourceRequirements"))?;
        for (resource, quantity) in quantities {
            let good = match quantity {
                Value::String(quantity) => syntax::is_quantity(quantity),
                Value::Number(number) => syntax::is_quantity(&number.to_string()),
                _ => false,
            };
            if !good {
                return Err(refused(&format!(
                    "has no quantity for {section} of {resource:?}"
                )));
            }
        }
    }
    Ok(value)
}

//! Reads of an object only what this crate looks at.
//!
//! A pod may carry a mebibyte of variables, and a hostile body may grow twentyfold as a tree. What
//! is not looked at is checked to be JSON and skipped: it costs time for its bytes, and no memory.
//! For what is kept there is a budget. The patch only adds, so nothing is lost.
//!
//! A test holds this against the decisions: `decide` of a sifted pod is `decide` of the whole one.

mod pick;

use crate::pod::MIRROR;
use common::contract::{COMPAT_MODE, CONTAINER, PREFIX, VOLUME_PREFIX, elector_env};
use pick::Pick;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};
use std::fmt;
use std::marker::PhantomData;

/// What the kept part of one object may cost, bytes. Ten thousand declared ports are 8 MiB.
const BUDGET_BYTES: usize = 16 * 1024 * 1024;
/// What an object costs before its entries: the smallest node of a map.
const OBJECT_BYTES: usize = 640;
/// What an entry, an element or a text costs beside its characters.
const ENTRY_BYTES: usize = 64;

/// Which part of a value is kept. A value of another type than expected keeps its type and loses
/// what is in it: enough to say that it is malformed.
#[derive(Debug)]
pub(crate) enum Keep {
    /// Everything.
    All,
    /// The value itself, if it is neither object nor list.
    Scalar,
    /// Of an object, these entries.
    Fields(&'static [(&'static str, Self)]),
    /// Of an object, the entries whose key the function takes, as scalars.
    Keys(fn(&str) -> bool),
    /// Of a list, each element in part.
    Each(&'static Self),
    /// Of a list, the names of elements whose name begins so.
    Picked(&'static str),
    /// Everything of an object with a name that the function takes; of others these entries.
    Named(fn(&str) -> bool, &'static [(&'static str, Self)]),
}

use Keep::{All, Each, Fields, Keys, Named, Picked, Scalar};

/// What `decide` reads of a pod.
pub(crate) const POD: Keep = Fields(&[
    (
        "metadata",
        Fields(&[
            ("name", Scalar),
            ("labels", Keys(|_| true)),
            ("annotations", Keys(is_annotation)),
            (
                "ownerReferences",
                Each(&Fields(&[
                    ("controller", Scalar),
                    ("kind", Scalar),
                    ("name", Scalar),
                ])),
            ),
        ]),
    ),
    (
        "spec",
        Fields(&[
            ("containers", Each(&CONTAINERS)),
            ("initContainers", Each(&CONTAINERS)),
            (
                "volumes",
                Each(&Named(|name| name.starts_with(VOLUME_PREFIX), &SOURCES)),
            ),
            ("terminationGracePeriodSeconds", Scalar),
            ("hostNetwork", Scalar),
            ("os", Fields(&[("name", Scalar)])),
            (
                "nodeSelector",
                Keys(|key| key.ends_with("kubernetes.io/os")),
            ),
            ("affinity", Fields(&[("nodeAffinity", All)])),
            (
                "securityContext",
                Fields(&[
                    ("runAsUser", Scalar),
                    ("appArmorProfile", Fields(&[("type", Scalar)])),
                    ("windowsOptions", Fields(&[])),
                ]),
            ),
            ("resources", QUANTITIES),
            ("serviceAccountName", Scalar),
            ("serviceAccount", Scalar),
        ]),
    ),
]);

const CONTAINERS: Keep = Named(
    |name| name == CONTAINER,
    &[
        ("ports", Each(&Fields(&[("containerPort", Scalar)]))),
        ("env", Picked(elector_env::PREFIX)),
        ("lifecycle", All),
        (
            "volumeMounts",
            Each(&Fields(&[
                ("name", Scalar),
                ("mountPath", Scalar),
                ("readOnly", Scalar),
            ])),
        ),
        ("resources", QUANTITIES),
    ],
);

const QUANTITIES: Keep = Fields(&[("requests", Keys(|_| true)), ("limits", Keys(|_| true))]);

/// Of a volume, only what kind it is.
const SOURCES: [(&str, Keep); 4] = [
    ("configMap", Fields(&[])),
    ("downwardAPI", Fields(&[])),
    ("projected", Fields(&[])),
    ("secret", Fields(&[])),
];

/// What `route` reads of a Service.
pub(crate) const SERVICE: Keep = Fields(&[
    (
        "metadata",
        Fields(&[("annotations", Keys(is_service_annotation))]),
    ),
    (
        "spec",
        Fields(&[("selector", Keys(|_| true)), ("clusterIP", Scalar)]),
    ),
]);

/// What policies read of a workload.
pub(crate) const WORKLOAD: Keep = Fields(&[
    (
        "metadata",
        Fields(&[("name", Scalar), ("generateName", Scalar)]),
    ),
    (
        "spec",
        Fields(&[
            ("replicas", Scalar),
            ("template", POD),
            (
                "jobTemplate",
                Fields(&[("spec", Fields(&[("template", POD)]))]),
            ),
        ]),
    ),
]);

fn is_annotation(key: &str) -> bool {
    key.starts_with(PREFIX) || key == MIRROR
}

fn is_service_annotation(key: &str) -> bool {
    key.starts_with(PREFIX) || key == COMPAT_MODE
}

/// A kind of object and what is kept of it.
pub(crate) trait Kept {
    /// What is kept.
    const KEEP: &'static Keep;
}

/// An object, sifted while it is read.
#[derive(Debug)]
pub(crate) struct Sifted<K>(pub(crate) Value, PhantomData<K>);

impl<K> Default for Sifted<K> {
    fn default() -> Self {
        Self(Value::Null, PhantomData)
    }
}

impl<'de, K: Kept> Deserialize<'de> for Sifted<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut left_bytes = BUDGET_BYTES;
        let sieve = Sieve {
            keep: K::KEEP,
            left_bytes: &mut left_bytes,
        };
        Ok(Self(sieve.deserialize(deserializer)?, PhantomData))
    }
}

/// Reads one value.
struct Sieve<'a> {
    keep: &'static Keep,
    left_bytes: &'a mut usize,
}

impl Sieve<'_> {
    fn inner(&mut self, keep: &'static Keep) -> Sieve<'_> {
        Sieve {
            keep,
            left_bytes: self.left_bytes,
        }
    }

    /// Nearly no list has anything to pick, which its text tells: nobody writes letters as escapes.
    fn picked<E: de::Error>(
        &mut self,
        keep: &'static Keep,
        start: &str,
        list: &RawValue,
    ) -> Result<Value, E> {
        let text = list.get();
        if text.starts_with('[') && !text.contains(start) {
            return Ok(Value::Array(Vec::new()));
        }
        let mut text = serde_json::Deserializer::from_str(text);
        self.inner(keep).deserialize(&mut text).map_err(E::custom)
    }

    fn spend<E: de::Error>(&mut self, bytes: usize) -> Result<(), E> {
        let left = self.left_bytes.checked_sub(bytes);
        *self.left_bytes = left.ok_or_else(|| {
            E::custom("the object holds more than an API server lets any object hold")
        })?;
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Sieve<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Sieve<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: de::Error>(mut self, value: &str) -> Result<Value, E> {
        self.spend(value.len())?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Value, A::Error> {
        let keep = match self.keep {
            All => &All,
            Each(each) => each,
            Picked(start) => {
                let mut items = Vec::new();
                while let Some(found) = list.next_element_seed(Pick::Element(start))? {
                    if let Some(name) = found {
                        self.spend(OBJECT_BYTES + ENTRY_BYTES + name.len())?;
                        items.push(named(name));
                    }
                }
                return Ok(Value::Array(items));
            }
            Scalar | Fields(_) | Keys(_) | Named(..) => {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(Value::Array(Vec::new()));
            }
        };
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self.inner(keep))? {
            self.spend(ENTRY_BYTES)?;
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Value, A::Error> {
        self.spend(OBJECT_BYTES)?;
        let mut entries = Map::new();
        // Whether something was read as a whole while it was not known that it is not kept.
        let mut ahead = false;
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let key = key.0.as_ref();
            // The API server writes the name first. Where it does not come first, everything is
            // read until it is known, and given away in the end.
            let named = entries.get("name").and_then(Value::as_str);
            let early = match self.keep {
                Named(whole, _) => named.is_none_or(whole),
                _ => false,
            };
            let value = match self.keep.entry(key, named) {
                None => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                Some(keep @ Picked(start)) => self.picked(keep, start, map.next_value()?)?,
                Some(keep) => {
                    ahead |= early && matches!(keep, All);
                    map.next_value_seed(self.inner(keep))?
                }
            };
            self.spend(ENTRY_BYTES + key.len())?;
            entries.insert(key.to_owned(), value);
        }
        if let Named(whole, fields) = self.keep {
            let name = entries.get("name").and_then(Value::as_str);
            if ahead && !name.is_some_and(whole) {
                return Ok(only(entries, fields));
            }
        }
        Ok(Value::Object(entries))
    }
}

impl Keep {
    /// What is kept of the entry `key` of an object with this name; none: nothing.
    fn entry(&self, key: &str, name: Option<&str>) -> Option<&'static Self> {
        let field = |fields: &'static [(&'static str, Self)]| {
            let found = fields.iter().find(|(field, _)| *field == key);
            found.map(|(_, keep)| keep)
        };
        match self {
            All => Some(&All),
            Scalar | Each(_) | Picked(_) => None,
            Fields(fields) => field(fields),
            Keys(takes) => takes(key).then_some(&Scalar),
            Named(..) if key == "name" => Some(&Scalar),
            Named(whole, fields) => match name {
                Some(name) if !whole(name) => field(fields),
                _ => Some(&All),
            },
        }
    }
}

/// Of the entries of an object that was read as a whole, those that are kept.
fn only(entries: Map<String, Value>, fields: &'static [(&'static str, Keep)]) -> Value {
    let kept = entries.into_iter().filter_map(|(key, value)| {
        let keep = if key == "name" {
            &Scalar
        } else {
            &fields.iter().find(|(field, _)| *field == key)?.1
        };
        Some((key, sift(value, keep)))
    });
    Value::Object(kept.collect())
}

/// What is kept of a value that was read as a whole.
pub(crate) fn sift(value: Value, keep: &'static Keep) -> Value {
    match (value, keep) {
        (value, All) => value,
        (Value::Array(items), Each(each)) => {
            items.into_iter().map(|item| sift(item, each)).collect()
        }
        (Value::Array(items), Picked(start)) => {
            let name = |item: &Value| Some(item.get("name")?.as_str()?.to_owned());
            let names = items
                .iter()
                .filter_map(name)
                .filter(|name| name.starts_with(start));
            names.map(named).collect()
        }
        (Value::Array(_), _) => Value::Array(Vec::new()),
        (Value::Object(entries), Named(whole, fields)) => {
            let name = entries.get("name").and_then(Value::as_str);
            if name.is_some_and(whole) {
                Value::Object(entries)
            } else {
                only(entries, fields)
            }
        }
        (Value::Object(entries), keep) => {
            let kept = entries.into_iter().filter_map(|(key, value)| {
                let keep = keep.entry(&key, None)?;
                Some((key, sift(value, keep)))
            });
            Value::Object(kept.collect())
        }
        (scalar, _) => scalar,
    }
}

/// An object with nothing but its name.
fn named(name: String) -> Value {
    Value::Object(Map::from_iter([("name".to_owned(), Value::String(name))]))
}

/// A key, borrowed where it holds no escapes.
struct Key<'de>(std::borrow::Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(key.into()))
            }

            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(key.to_owned().into()))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

#[cfg(test)]
mod tests;

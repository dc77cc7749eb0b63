//! Pod templates with an elector in them, rewritten.

use super::elector::{self, Elector, Which};
use super::object::{Object, list, text};
use super::plan::{Edit, What};
use super::settings::Settings;
use super::volumes;
use super::wanted::{self, Wanted};
use ::inject::offline;
use ::inject::{Add, Json};
use common::contract;
use common::role::RoleLabelNames;
use common::seeds::{LeaseRule, SERVICE_LEADER_ELECTION, Seed};
use serde_json::{Value, json};

/// The account of a pod that names none.
const DEFAULT_ACCOUNT: &str = "default";
/// Where a pod names its account; the second key is an old one for the same.
const ACCOUNT_KEYS: [&str; 2] = ["serviceAccountName", "serviceAccount"];

/// A pod template.
pub(super) struct Pods<'a> {
    pub(super) object: &'a Object<'a>,
    /// JSON Pointer of the template in its document.
    at: String,
    template: &'a Value,
    pub(super) electors: Vec<Elector<'a>>,
}

/// A template that was rewritten.
pub(super) struct Migrated {
    /// The group, which is also the name of its Lease.
    pub(super) group: String,
    /// Its role label.
    pub(super) role: Option<RoleLabelNames>,
    /// The Service that the elector pointed at the leader, and its key in the selector.
    pub(super) service: Option<(String, String)>,
    pub(super) edits: Vec<Edit>,
    pub(super) lines: Vec<String>,
}

/// The pod templates of all objects.
pub(super) fn all<'a>(objects: &'a [Object<'a>]) -> Vec<Pods<'a>> {
    let of = |object: &'a Object<'a>| {
        let templates = offline::templates(object.value).into_iter();
        templates.filter_map(move |found| {
            let template = object.value.pointer(&found.at)?;
            Some(Pods {
                object,
                at: format!("{}{}", object.place.at, found.at),
                template,
                electors: elector::all(template),
            })
        })
    };
    objects.iter().flat_map(of).collect()
}

impl<'a> Pods<'a> {
    /// The account that they run as.
    pub(super) fn account(&self) -> &'a str {
        let spec = self.spec();
        let named = ACCOUNT_KEYS.iter().find_map(|key| text(spec, key));
        named.filter(|it| !it.is_empty()).unwrap_or(DEFAULT_ACCOUNT)
    }

    /// How many containers there are.
    pub(super) fn containers(&self) -> usize {
        list(self.spec(), "containers").len()
    }

    /// The default account in the place of the named one, in so many words: the API server keeps an
    /// account whose name is merely left out of what is applied.
    pub(super) fn without_account(&self) -> Vec<Edit> {
        let at = format!("{}/spec", self.at);
        let [name, old_name] = ACCOUNT_KEYS;
        let add = What::Add(Add {
            path: format!("{at}/{name}"),
            value: Json::of(&json!(DEFAULT_ACCOUNT)),
        });
        let has_old = self.spec().get(old_name).is_some();
        let remove = has_old.then(|| What::Remove(format!("{at}/{old_name}")));
        let edits = [add].into_iter().chain(remove);
        edits.map(|what| self.edit(what)).collect()
    }

    fn spec(&self) -> &'a Value {
        self.template.get("spec").unwrap_or(&Value::Null)
    }

    fn labels(&self) -> Vec<&'a str> {
        let labels = self
            .template
            .pointer("/metadata/labels")
            .and_then(Value::as_object);
        labels
            .into_iter()
            .flatten()
            .map(|(key, _)| key.as_str())
            .collect()
    }

    fn edit(&self, what: What) -> Edit {
        Edit {
            place: self.object.place.clone(),
            what,
        }
    }

    /// The template with annotations in the place of its elector.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(super) fn migrated(&self) -> Result<Migrated, String> {
        let [elector] = self.electors[..] else {
            return Err(
                "it has more than one elector; leave one, or migrate it by hand".to_owned(),
            );
        };
        let Which::Sidecar(seed) = elector.which else {
            return Err("active-standby-controller stands beside other containers".to_owned());
        };
        if volumes::others(self.spec(), &elector).all(|(list, ..)| list != "containers") {
            return Err(
                "there is no container but the elector: nothing that could be active".into(),
            );
        }
        let settings = Settings::of(elector.container, self.object.namespace);
        let wanted = wanted::read(seed, &settings, &self.labels())?;
        if *seed == SERVICE_LEADER_ELECTION {
            self.nobody_asks(&elector, wanted.port.as_deref())?;
        }
        let at = format!("{}/spec", self.at);
        let freed = volumes::freed(self.spec(), &at, &elector, wanted.folder.as_deref())?;
        let mut annotations = self.annotations(seed, &wanted);
        let usual = seed.status_dir.map(str::to_owned);
        if let Some(folder) = freed.folder.filter(|it| usual.as_ref() != Some(it)) {
            annotations.push((contract::STATUS_DIR, folder));
        }
        let name = text(elector.container, "name").unwrap_or_default();
        let mut lines = vec![format!(
            "dropped container {name}: the webhook adds the sidecar"
        )];
        let told = |(key, value): &(&str, String)| format!("added {key}: {value:?}");
        lines.extend(annotations.iter().map(told));
        lines.extend(wanted.told.iter().cloned().chain(freed.told));
        let adds = self.adds(&annotations).into_iter().map(What::Add);
        let alone = list(self.spec(), elector.list).len() == 1;
        let index = if alone {
            String::new()
        } else {
            format!("/{}", elector.index)
        };
        let container = format!("{at}/{}{index}", elector.list);
        let gone = freed.gone.into_iter().chain([container]).map(What::Remove);
        Ok(Migrated {
            group: self.group(seed, &wanted),
            role: role(seed, &wanted, self.object.name),
            service: wanted.service,
            edits: adds.chain(gone).map(|what| self.edit(what)).collect(),
            lines,
        })
    }

    /// Profile, group and the rest.
    fn annotations(&self, seed: &Seed, wanted: &Wanted) -> Vec<(&'static str, String)> {
        let mut annotations = vec![
            (contract::INJECT, "true".to_owned()),
            (contract::PROFILE, seed.name.to_owned()),
        ];
        // What has no owner gets its group from nowhere else.
        let is_owned = self.object.kind != "Pod";
        let election = wanted.election.as_ref();
        let named = election.filter(|it| !is_owned || it.as_str() != self.object.name);
        annotations.extend(named.map(|it| (contract::GROUP, it.clone())));
        annotations.extend(wanted.annotations.iter().cloned());
        annotations
    }

    fn group(&self, seed: &Seed, wanted: &Wanted) -> String {
        let labels = self.template.pointer("/metadata/labels");
        let election = wanted.election.as_deref().unwrap_or(self.object.name);
        seed.lease_name(election, |key| labels?.get(key)?.as_str())
    }

    /// Whoever asks the elector by HTTP gets no answer from one that is injected.
    fn nobody_asks(&self, elector: &Elector<'_>, port: Option<&str>) -> Result<(), String> {
        for (_, _, container) in volumes::others(self.spec(), elector) {
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                let asked = container.pointer(&format!("/{probe}/httpGet/port"));
                let asked =
                    asked.map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
                if asked.as_deref().is_some_and(|asked| Some(asked) == port) {
                    let name = text(container, "name").unwrap_or_default();
                    return Err(format!(
                        "the {probe} of container {name} asks the elector; let it ask the app"
                    ));
                }
            }
        }
        Ok(())
    }

    /// The annotations, with whatever must hold them.
    fn adds(&self, annotations: &[(&str, String)]) -> Vec<Add> {
        let add = |path: String, value: Value| Add {
            path,
            value: Json::of(&value),
        };
        let map = || {
            let entries = annotations.iter();
            entries
                .map(|(key, value)| ((*key).to_owned(), json!(value)))
                .collect::<Value>()
        };
        let metadata = format!("{}/metadata", self.at);
        let at = format!("{metadata}/annotations");
        match self.template.get("metadata").filter(|it| it.is_object()) {
            None => vec![add(metadata, json!({"annotations": map()}))],
            Some(it) if !it.get("annotations").is_some_and(Value::is_object) => {
                vec![add(at, map())]
            }
            Some(_) => {
                let one = |(key, value): &(&str, String)| {
                    add(format!("{at}/{}", key.replace('/', "~1")), json!(value))
                };
                annotations.iter().map(one).collect()
            }
        }
    }
}

fn role(seed: &Seed, wanted: &Wanted, name: &str) -> Option<RoleLabelNames> {
    let election = match seed.lease {
        LeaseRule::Labels(..) => "",
        _ => wanted.election.as_deref().unwrap_or(name),
    };
    let names = seed.role_label(election)?;
    let own = wanted
        .annotations
        .iter()
        .find(|(key, _)| *key == contract::ROLE_LABEL);
    let key = own.map_or_else(|| names.key.clone(), |(_, key)| key.clone());
    Some(RoleLabelNames { key, ..names })
}

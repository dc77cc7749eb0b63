//! What is changed in which document, and what is said about it. Pure: from objects to edits.

use super::elector::Which;
use super::object::{self, Object, Place};
use super::rights::{self, Rights};
use super::service;
use super::workload::{self, Migrated, Pods};
use ::inject::Add;
use serde_json::Value;
use std::collections::BTreeMap;

/// A change of one document.
#[derive(Debug)]
pub(super) struct Edit {
    /// The object.
    pub(super) place: Place,
    pub(super) what: What,
}

/// What is changed; paths from the root of the document.
#[derive(Debug)]
pub(super) enum What {
    Add(Add),
    Remove(String),
    /// The object goes.
    Drop,
}

/// What is said about one object.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) object: String,
    /// Index of the file that it is in.
    pub(super) file: usize,
    pub(super) lines: Vec<String>,
}

/// A pod template that was changed.
#[derive(Debug)]
pub(super) struct Template {
    file: usize,
    document: usize,
    title: String,
    /// Index of what is said about it.
    pub(super) note: usize,
}

impl Template {
    /// Whether it is the one of this object of this document.
    pub(super) fn is(&self, file: usize, document: usize, title: &str) -> bool {
        (self.file, self.document, self.title.as_str()) == (file, document, title)
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) edits: Vec<Edit>,
    pub(super) templates: Vec<Template>,
    pub(super) notes: Vec<Note>,
    /// What is left to do, in order.
    pub(super) next: Vec<String>,
    /// Why something cannot be done.
    pub(super) problems: Vec<String>,
}

/// Plans for all documents, as `(file, document, value)`. `namespace` is where objects go that name
/// none.
pub(super) fn of(values: &[(usize, usize, Value)], namespace: &str) -> Plan {
    let objects = object::all(values, namespace);
    let pods = workload::all(&objects);
    let rights = rights::of(&objects, &pods);
    let mut plan = Plan::default();
    let mut migrated = Vec::new();
    for pods in pods.iter().filter(|pods| !pods.electors.is_empty()) {
        if pods.is_controller() {
            let why = "dropped: Service mode does the same";
            plan.drop(pods.object, why.to_owned());
            continue;
        }
        match pods.migrated() {
            Ok(done) => plan.pods(pods, done, &rights, &mut migrated),
            Err(why) => plan
                .problems
                .push(format!("{}: {why}", pods.object.title())),
        }
    }
    for object in objects.iter().filter(|object| object.kind == "Service") {
        plan.service(object, &migrated);
    }
    for object in &rights.dropped {
        plan.drop(
            object,
            "dropped: it was there for the elector alone".to_owned(),
        );
    }
    for (object, why) in &rights.kept {
        plan.note(object, vec![format!("kept: {why}")]);
    }
    plan.steps(&objects, &pods, &migrated, &rights);
    plan
}

impl Plan {
    fn note(&mut self, object: &Object<'_>, lines: Vec<String>) -> usize {
        self.notes.push(Note {
            object: object.title(),
            file: object.place.file,
            lines,
        });
        self.notes.len() - 1
    }

    fn drop(&mut self, object: &Object<'_>, why: String) {
        self.note(object, vec![why]);
        self.edits.push(Edit {
            place: object.place.clone(),
            what: What::Drop,
        });
    }

    fn pods<'a>(
        &mut self,
        pods: &Pods<'a>,
        mut done: Migrated,
        rights: &Rights<'_>,
        migrated: &mut Vec<(&'a str, Migrated)>,
    ) {
        let mut edits = std::mem::take(&mut done.edits);
        let mut lines = std::mem::take(&mut done.lines);
        let is_own = |object: &Object<'_>| {
            object.is("ServiceAccount", pods.object.namespace, pods.account())
        };
        if rights.dropped.iter().any(|object| is_own(object)) {
            edits.extend(pods.without_account());
            let account = pods.account();
            lines.push(format!(
                "account {account} becomes default, in whose place the group gets one of its own"
            ));
        }
        let note = self.note(pods.object, lines);
        self.templates.push(Template {
            file: pods.object.place.file,
            document: pods.object.place.document,
            title: pods.object.title(),
            note,
        });
        self.edits.extend(edits);
        migrated.push((pods.object.namespace, done));
    }

    fn service(&mut self, object: &Object<'_>, migrated: &[(&str, Migrated)]) {
        let mut lines: Vec<String> = service::compatible(object).into_iter().collect();
        let here = migrated
            .iter()
            .filter(|(namespace, _)| *namespace == object.namespace);
        for (_, migrated) in here {
            match &migrated.service {
                Some((name, key)) if name == object.name => {
                    match service::pointed(object, key, &migrated.group) {
                        Ok(routed) => {
                            self.edits.extend(routed.edits);
                            lines.push(routed.line);
                        }
                        Err(why) => self.problems.push(format!("{}: {why}", object.title())),
                    }
                }
                _ => lines.extend(service::selecting(object, migrated)),
            }
        }
        if !lines.is_empty() {
            self.note(object, lines);
        }
    }

    fn steps(
        &mut self,
        objects: &[Object<'_>],
        pods: &[Pods<'_>],
        migrated: &[(&str, Migrated)],
        rights: &Rights<'_>,
    ) {
        let controllers: Vec<&Object<'_>> = pods
            .iter()
            .filter(|it| it.is_controller())
            .map(|it| it.object)
            .collect();
        let mut gone: Vec<&Object<'_>> = rights.dropped.clone();
        if !controllers.is_empty() {
            // Sidecars need their rights until the last one is gone.
            let rights = if migrated.is_empty() {
                std::mem::take(&mut gone)
            } else {
                Vec::new()
            };
            let all: Vec<&Object<'_>> = controllers.into_iter().chain(rights).collect();
            self.next.push(format!(
                "Delete the controller; traffic stays where it is:{}",
                deletions(&all)
            ));
            self.next.push(
                "Turn Service mode on in the chart: --set serviceMode.enabled=true".to_owned(),
            );
        }
        if !migrated.is_empty() {
            self.next
                .push("Apply the manifests, with the chart installed".to_owned());
        }
        for (namespace, migrated) in migrated {
            let Some((name, key)) = &migrated.service else {
                continue;
            };
            if !objects.iter().any(|it| it.is("Service", namespace, name)) {
                self.next
                    .push(service::absent(name, namespace, &migrated.group));
            }
            self.next.push(service::freeing(name, namespace, key));
        }
        if !gone.is_empty() {
            self.next.push(format!(
                "When no old pod is left, delete what is not in the manifests any more:{}",
                deletions(&gone)
            ));
        }
    }
}

impl Pods<'_> {
    /// Whether this is active-standby-controller, alone.
    fn is_controller(&self) -> bool {
        let is = |it: &super::elector::Elector<'_>| it.which == Which::Controller;
        self.electors.iter().any(is) && self.containers() == 1
    }
}

/// A command a namespace, and one for what is in none.
fn deletions(objects: &[&Object<'_>]) -> String {
    let namespace = |object: &Object<'_>| {
        let is_in_none = object.kind.starts_with("Cluster");
        (!is_in_none).then(|| object.namespace.to_owned())
    };
    let mut commands: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
    for object in objects {
        let name = format!("{}/{}", object.kind.to_lowercase(), object.name);
        commands.entry(namespace(object)).or_default().push(name);
    }
    let command = |(namespace, names): (Option<String>, Vec<String>)| {
        let namespace = namespace.map(|it| format!("-n {it} ")).unwrap_or_default();
        format!("\n     kubectl delete {namespace}{}", names.join(" "))
    };
    commands.into_iter().map(command).collect()
}

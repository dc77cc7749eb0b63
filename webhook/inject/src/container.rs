//! The sidecar's container, and how an earlier injection of it is put right.

use crate::decision::Settings;
use crate::drain::Drain;
use crate::options::{Handover, Options};
use crate::patch::{Patch, Pointer};
use crate::pod::Pod;
use crate::{repair, resources};
use common::contract::{self, env, path};
use common::duration::format_ms;
use common::ids::Group;
use common::owner::Owner;
use serde_json::{Map, Value, json};

/// Name of the sidecar's port, for monitors that name ports.
const PORT_NAME: &str = "active-passive";
/// The program in the image, for probes that run it.
const PROGRAM: &str = "/active-passive-sidecar";
/// Any user that is not root; only where the pod says root.
const NOT_ROOT: u32 = 65_532;
/// Fields in which a difference means an older injection, unless the version says otherwise: a
/// registry rewriter, LimitRanger or a mesh may have changed them since.
const OTHERS_MAY_CHANGE: [&str; 5] = [
    "image",
    "imagePullPolicy",
    "resources",
    "livenessProbe",
    "lifecycle",
];

/// All that the container follows from.
pub(crate) struct Sidecar<'a> {
    /// What the pod asks for.
    pub(crate) options: &'a Options,
    /// What the installation says.
    pub(crate) settings: &'a Settings,
    /// The election group.
    pub(crate) group: &'a Group,
    /// The workload, if any.
    pub(crate) owner: Option<&'a Owner>,
    /// Times of a drain.
    pub(crate) drain: &'a Drain,
    /// Port of the HTTP server.
    pub(crate) port: u16,
    /// The pod that it goes into.
    pub(crate) pod: &'a Pod<'a>,
}

impl Sidecar<'_> {
    /// Whether a preStop hook holds: it does in seamless, where there is time.
    pub(crate) fn holds(&self) -> bool {
        self.options.handover == Handover::Seamless && self.drain.timeout_ms > 0
    }

    /// The whole container.
    ///
    /// A liveness probe is always there: the API server refuses it on a container whose
    /// restartPolicy some other webhook has dropped, where the pod would hang in Init instead.
    /// There is no readiness probe, since it would count for the pod's readiness, which never
    /// depends on the role; and no startup probe, since the app need not wait for us.
    pub(crate) fn container(&self) -> Map<String, Value> {
        let mut container = Map::new();
        let mut set = |key: &str, value: Value| container.insert(key.to_owned(), value);
        set("name", json!(contract::CONTAINER));
        set("image", json!(self.settings.image));
        set("imagePullPolicy", json!(self.settings.image_pull_policy));
        set("restartPolicy", json!("Always"));
        set("env", Value::Array(self.env()));
        set(
            "resources",
            resources::resources(self.pod, self.options.resources.as_ref()),
        );
        set("livenessProbe", self.liveness_probe());
        set("securityContext", self.security_context());
        set("volumeMounts", Value::Array(self.volume_mounts()));
        if self.holds() {
            set("lifecycle", json!({"preStop": drain_hook(self.port)}));
        }
        // On the host's network a declared port would become a host port, and keep a second pod off
        // the node.
        if !self.pod.host_network() {
            set(
                "ports",
                json!([
                    {"name": PORT_NAME, "containerPort": self.port, "protocol": "TCP"}
                ]),
            );
        }
        container
    }

    /// Adds the container, first in the list so that it starts first and stops last; or puts an
    /// earlier injection right, where it stands. `current`: it was made by this version.
    pub(crate) fn provide(&self, container: Map<String, Value>, current: bool, patch: &mut Patch) {
        let at = Pointer::to(&["spec", "initContainers"]);
        let Some((index, found)) = self.pod.sidecar() else {
            let exists = self.pod.init_containers.is_some();
            patch.prepend(&at, exists, Value::Object(container));
            return;
        };
        let at = at.index(index);
        for (key, wanted) in repair::uncovered(found, &container) {
            let tolerated = current && found.contains_key(key);
            if !(tolerated && OTHERS_MAY_CHANGE.contains(&key.as_str())) {
                let value = match wanted {
                    Value::Array(_) if key != "ports" => repair::merged(found.get(key), wanted),
                    wanted => wanted.clone(),
                };
                patch.set(at.key(key), value);
            }
        }
        // JSON null is as good as absent, and can be added.
        let hook = found.get("lifecycle").and_then(|all| all.get("preStop"));
        let stale_hook = !current && hook.is_some_and(|hook| !hook.is_null());
        if stale_hook && !container.contains_key("lifecycle") {
            patch.set(at.key("lifecycle"), Value::Null);
        }
    }

    fn env(&self) -> Vec<Value> {
        let options = self.options;
        let field = |name: &str, path: &str| {
            let field = json!({"apiVersion": "v1", "fieldPath": path});
            json!({"name": name, "valueFrom": {"fieldRef": field}})
        };
        let mut vars = vec![
            field(env::POD_NAME, "metadata.name"),
            field(env::POD_UID, "metadata.uid"),
            field(env::POD_NAMESPACE, "metadata.namespace"),
            field(env::NODE_NAME, "spec.nodeName"),
        ];
        let containers = options.containers.as_ref().map(|names| names.join(","));
        let settings = [
            (env::GROUP, Some(self.group.to_string())),
            (env::OWNER, self.owner.map(Owner::to_string)),
            (env::PORT, Some(self.port.to_string())),
            (
                env::LEASE_DURATION,
                Some(format_ms(options.lease_duration_ms)),
            ),
            (
                env::RENEW_DEADLINE,
                Some(format_ms(options.renew_deadline_ms)),
            ),
            (env::RETRY_PERIOD, Some(format_ms(options.retry_period_ms))),
            (env::ROLE_LABEL, Some(options.role_label.clone())),
            (env::ACTIVE_VALUE, Some(options.active_value.clone())),
            (env::PASSIVE_VALUE, Some(options.passive_value.clone())),
            (env::HANDOVER, Some(options.handover.as_str().to_owned())),
            (env::DRAIN_TIMEOUT, Some(format_ms(self.drain.timeout_ms))),
            (env::SETTLE, Some(format_ms(options.settle_ms))),
            (
                env::CONTAINERS,
                Some(containers.unwrap_or_else(|| "all".to_owned())),
            ),
            (
                env::UNREADY_GRACE,
                Some(format_ms(options.unready_grace_ms)),
            ),
            (
                env::STATUS_DIR,
                options
                    .status_dir
                    .as_ref()
                    .map(|_| contract::STATUS_PATH.to_owned()),
            ),
            (env::NOTIFY_URL, options.notify_url.clone()),
        ];
        vars.extend(settings.into_iter().filter_map(|(name, value)| {
            // The kubelet expands $(NAME) and reads $$ as $.
            Some(json!({"name": name, "value": value?.replace('$', "$$")}))
        }));
        vars
    }

    /// Through the pod's address, which is the kubelet's own choice: a probe that names a host is
    /// refused by Pod Security. On the host's network the port may answer for another pod.
    fn liveness_probe(&self) -> Value {
        let mut probe = json!({"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3});
        if self.pod.host_network() {
            probe["exec"] = json!({"command": [PROGRAM, "probe", "livez"]});
        } else {
            probe["httpGet"] = json!({"path": path::LIVEZ, "port": self.port, "scheme": "HTTP"});
        }
        probe
    }

    /// What the restricted Pod Security level asks of a container, and no user: OpenShift chooses
    /// one, and the image has one. A pod that says root would contradict `runAsNonRoot`, and a
    /// profile that was written for the app's programs would stop ours.
    fn security_context(&self) -> Value {
        let mut context = json!({
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
            "runAsNonRoot": true,
            "seccompProfile": {"type": "RuntimeDefault"},
        });
        if self.pod.security("/runAsUser").and_then(Value::as_i64) == Some(0) {
            context["runAsUser"] = json!(NOT_ROOT);
        }
        let app_armor = self.pod.security("/appArmorProfile/type");
        if app_armor.and_then(Value::as_str) == Some("Localhost") {
            context["appArmorProfile"] = json!({"type": "RuntimeDefault"});
        }
        context
    }

    fn volume_mounts(&self) -> Vec<Value> {
        let mut mounts = vec![json!({
            "name": contract::TOKEN_VOLUME,
            "mountPath": contract::TOKEN_PATH,
            "readOnly": true,
        })];
        if self.options.status_dir.is_some() {
            mounts
                .push(json!({"name": contract::STATUS_VOLUME, "mountPath": contract::STATUS_PATH}));
        }
        mounts
    }
}

/// The hook that returns once traffic has moved away.
pub(crate) fn drain_hook(port: u16) -> Value {
    json!({"httpGet": {"path": path::DRAIN, "port": port, "scheme": "HTTP"}})
}

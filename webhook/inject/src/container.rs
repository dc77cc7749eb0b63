//! The sidecar's container, and how an earlier injection of it is put right.

use crate::decision::Settings;
use crate::drain::Drain;
use crate::json::Json;
use crate::options::{Handover, Options};
use crate::patch::{Patch, Pointer};
use crate::pod::Pod;
use crate::shapes::{
    Capabilities, Container, Exec, FieldRef, FieldSource, Hook, HttpGet, Lifecycle, Mount, Port,
    Probe, Profile, SecurityContext, Variable,
};
use crate::{repair, resources};
use common::contract::{self, env, path};
use common::duration::format_ms;
use common::ids::Group;
use common::owner::Owner;
use serde_json::Value;
use std::borrow::Cow;

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
    pub(crate) fn container(&self) -> Container<'_> {
        // On the host's network a declared port would become a host port, and keep a second pod off
        // the node.
        let port = (!self.pod.host_network()).then_some([Port {
            name: PORT_NAME,
            container_port: self.port,
            protocol: "TCP",
        }]);
        let hook = self.holds().then(|| Lifecycle {
            pre_stop: drain_hook(self.port),
        });
        Container {
            name: contract::CONTAINER,
            image: &self.settings.image,
            image_pull_policy: &self.settings.image_pull_policy,
            restart_policy: "Always",
            env: self.env(),
            liveness_probe: self.liveness_probe(),
            lifecycle: hook,
            security_context: self.security_context(),
            volume_mounts: self.volume_mounts(),
            ports: port,
            resources: resources::resources(self.pod, self.options.resources.as_ref()),
        }
    }

    /// Adds the container, first in the list so that it starts first and stops last; or puts an
    /// earlier injection right, where it stands. `current`: it was made by this version.
    pub(crate) fn provide(&self, container: Json, current: bool, patch: &mut Patch) {
        let at = Pointer::to(&["spec", "initContainers"]);
        let Some((index, found)) = self.pod.sidecar() else {
            let exists = self.pod.init_containers.is_some();
            patch.prepend(at, exists, container);
            return;
        };
        let at = at.index(index);
        let container = container.value();
        for (key, wanted) in repair::uncovered(found, &container) {
            let tolerated = current && found.contains_key(key);
            if !(tolerated && OTHERS_MAY_CHANGE.contains(&key.as_str())) {
                let value = match wanted {
                    Value::Array(_) if key != "ports" => repair::merged(found.get(key), wanted),
                    wanted => wanted.clone(),
                };
                patch.set(at.key(key), &value);
            }
        }
        // JSON null is as good as absent, and can be added.
        let hook = found.get("lifecycle").and_then(|all| all.get("preStop"));
        let stale_hook = !current && hook.is_some_and(|hook| !hook.is_null());
        if stale_hook && container.get("lifecycle").is_none() {
            patch.set(at.key("lifecycle"), &Value::Null);
        }
    }

    fn env(&self) -> Vec<Variable<'_>> {
        let options = self.options;
        let field = |name, path| Variable::Field {
            name,
            from: FieldSource {
                field_ref: FieldRef::to(path),
            },
        };
        let fields = [
            field(env::POD_NAME, "metadata.name"),
            field(env::POD_UID, "metadata.uid"),
            field(env::POD_NAMESPACE, "metadata.namespace"),
            field(env::NODE_NAME, "spec.nodeName"),
        ];
        let containers = options.containers.as_ref().map(|names| names.join(","));
        let containers = containers.map_or(Cow::Borrowed("all"), Cow::Owned);
        let time = |ms| Some(Cow::Owned(format_ms(ms)));
        let text = |text| Some(Cow::Borrowed(text));
        let settings: [(_, Option<Cow<'_, str>>); 17] = [
            (env::GROUP, text(self.group.as_str())),
            (
                env::PROFILE,
                options.profile.map(|seed| Cow::Borrowed(seed.name)),
            ),
            (
                env::OWNER,
                self.owner.map(|owner| Cow::Owned(owner.to_string())),
            ),
            (env::PORT, Some(Cow::Owned(self.port.to_string()))),
            (env::LEASE_DURATION, time(options.lease_duration_ms)),
            (env::RENEW_DEADLINE, time(options.renew_deadline_ms)),
            (env::RETRY_PERIOD, time(options.retry_period_ms)),
            (env::ROLE_LABEL, text(&options.role_label)),
            (env::ACTIVE_VALUE, text(&options.active_value)),
            (env::PASSIVE_VALUE, text(&options.passive_value)),
            (env::HANDOVER, text(options.handover.as_str())),
            (env::DRAIN_TIMEOUT, time(self.drain.timeout_ms)),
            (env::SETTLE, time(options.settle_ms)),
            (env::CONTAINERS, Some(containers)),
            (env::UNREADY_GRACE, time(options.unready_grace_ms)),
            (
                env::STATUS_DIR,
                options
                    .status_dir
                    .is_some()
                    .then_some(Cow::Borrowed(contract::STATUS_PATH)),
            ),
            (
                env::NOTIFY_URL,
                options.notify_url.as_deref().map(Cow::Borrowed),
            ),
        ];
        let settings = settings.into_iter().filter_map(|(name, value)| {
            let mut value = value?;
            // The kubelet expands $(NAME) and reads $$ as $.
            if value.contains('$') {
                value = value.replace('$', "$$").into();
            }
            Some(Variable::Text { name, value })
        });
        fields.into_iter().chain(settings).collect()
    }

    /// Through the pod's address, which is the kubelet's own choice: a probe that names a host is
    /// refused by Pod Security. On the host's network the port may answer for another pod.
    fn liveness_probe(&self) -> Probe {
        let on_host = self.pod.host_network();
        let exec = || Exec {
            command: [PROGRAM, "probe", "livez"],
        };
        Probe {
            period_seconds: 10,
            timeout_seconds: 5,
            failure_threshold: 3,
            exec: on_host.then(exec),
            http_get: (!on_host).then(|| HttpGet::of(path::LIVEZ, self.port)),
        }
    }

    /// What the restricted Pod Security level asks of a container, and no user: OpenShift chooses
    /// one, and the image has one. A pod that says root would contradict `runAsNonRoot`, and a
    /// profile that was written for the app's programs would stop ours.
    fn security_context(&self) -> SecurityContext {
        let root = self.pod.security("/runAsUser").and_then(Value::as_i64) == Some(0);
        let app_armor = self.pod.security("/appArmorProfile/type");
        let custom = app_armor.and_then(Value::as_str) == Some("Localhost");
        let runtime_default = || Profile {
            kind: "RuntimeDefault",
        };
        SecurityContext {
            allow_privilege_escalation: false,
            capabilities: Capabilities { drop: ["ALL"] },
            read_only_root_filesystem: true,
            run_as_non_root: true,
            run_as_user: root.then_some(NOT_ROOT),
            seccomp_profile: runtime_default(),
            app_armor_profile: custom.then(runtime_default),
        }
    }

    fn volume_mounts(&self) -> Vec<Mount<'static>> {
        let token = Mount {
            name: contract::TOKEN_VOLUME,
            mount_path: contract::TOKEN_PATH,
            read_only: Some(true),
        };
        let status = self.options.status_dir.as_ref().map(|_| Mount {
            name: contract::STATUS_VOLUME,
            mount_path: contract::STATUS_PATH,
            read_only: None,
        });
        std::iter::once(token).chain(status).collect()
    }
}

/// The hook that returns once traffic has moved away.
pub(crate) fn drain_hook(port: u16) -> Hook {
    Hook {
        http_get: HttpGet::of(path::DRAIN, port),
    }
}

//! The contract: every label, annotation, env name, port, path and default, once.
//!
//! `docs/annotations.md` is generated from the tables at the end of this file.

/// The prefix of every key that is ours.
pub const PREFIX: &str = "active-passive.dev/";

// --- What users write on a pod template ------------------------------------------------------

/// "true" asks for the sidecar; "false" wins over any policy.
pub const INJECT: &str = "active-passive.dev/inject";
/// The election group, which is the name of its Lease. Also written as a label on every pod of the
/// group, and by users as an annotation on a Service whose traffic follows the role.
pub const GROUP: &str = "active-passive.dev/group";
/// Which system's labels, Lease name, files and HTTP to speak.
pub const PROFILE: &str = "active-passive.dev/profile";
/// How long a Lease is valid after its last renewal.
pub const LEASE_DURATION: &str = "active-passive.dev/lease-duration";
/// How long a leader tries to renew before it gives up.
pub const RENEW_DEADLINE: &str = "active-passive.dev/renew-deadline";
/// The first retry after a failed renewal.
pub const RETRY_PERIOD: &str = "active-passive.dev/retry-period";
/// Key of the label that carries the role.
pub const ROLE_LABEL: &str = "active-passive.dev/role-label";
/// Value of the role label on the active pod.
pub const ACTIVE_VALUE: &str = "active-passive.dev/active-value";
/// Value of the role label on a passive pod; "" means that the label is absent.
pub const PASSIVE_VALUE: &str = "active-passive.dev/passive-value";
/// `seamless` or `exclusive`.
pub const HANDOVER: &str = "active-passive.dev/handover";
/// How long a draining leader waits for a ready successor.
pub const DRAIN_TIMEOUT: &str = "active-passive.dev/drain-timeout";
/// Whether the SIGTERM of app containers waits until traffic has moved.
pub const HOLD_APP: &str = "active-passive.dev/hold-app";
/// How long after the last routing write `/drain` still holds.
pub const SETTLE: &str = "active-passive.dev/settle";
/// Whose readiness makes a pod eligible.
pub const CONTAINERS: &str = "active-passive.dev/containers";
/// How long the leader's app may be not ready before the role moves.
pub const UNREADY_GRACE: &str = "active-passive.dev/unready-grace";
/// Rank among successors.
pub const PRIORITY: &str = "active-passive.dev/priority";
/// Folder in the app containers that holds the role file.
pub const STATUS_DIR: &str = "active-passive.dev/status-dir";
/// Where each role change is posted.
pub const NOTIFY_URL: &str = "active-passive.dev/notify-url";
/// "true": app containers get the variables of [`elector_env`].
pub const ELECTOR_ENV: &str = "active-passive.dev/elector-env";
/// `auto` or `keep`.
pub const SERVICE_ACCOUNT: &str = "active-passive.dev/service-account";
/// Resources of the sidecar, as JSON.
pub const RESOURCES: &str = "active-passive.dev/resources";

// --- What users write on a Service ------------------------------------------------------------

/// `active-passive`: Service mode, without sidecars. Also the mark on pods that it has labelled.
pub const MODE: &str = "active-passive.dev/mode";
/// Of active-standby-controller, taken as well: any value but "" asks for Service mode.
pub const COMPAT_MODE: &str = "qoqo.dev/service-mode";
/// `none` or `all`: whom a Service of a group serves before the group has its first leader.
pub const BEFORE_LEADER: &str = "active-passive.dev/before-leader";

// --- What we write ----------------------------------------------------------------------------

/// Default key of the role label.
pub const ROLE: &str = "active-passive.dev/role";
/// Label on a pod: its own uid, written by its own sidecar or Service mode. The selector key of
/// annotated Services.
pub const POD: &str = "active-passive.dev/pod";
/// Annotation on pods and Services: the term in which their role was last written.
pub const TERM: &str = "active-passive.dev/term";
/// Annotation on a Service: uid of the active pod, or [`NO_POD`].
pub const ACTIVE: &str = "active-passive.dev/active";
/// Label on the pod that Service mode has designated for a Service with [`COMPAT_MODE`], and key of
/// that Service's selector; the value is [`default::ACTIVE_VALUE`].
pub const COMPAT_DESIGNATION: &str = "qoqo.dev/pod-designation";
/// Annotation on a pod: version and hash of what was injected.
pub const INJECTED: &str = "active-passive.dev/injected";
/// Annotation on a pod: name of the ActivePassivePolicy that asked for the sidecar in its place.
pub const INJECTED_BY: &str = "active-passive.dev/injected-by";
/// Label on a Lease: "true" means that the API server fences it, "false" that another system's
/// electors may take part.
pub const LEASE: &str = "active-passive.dev/lease";
/// Annotation on a Lease: kind/name of the workload that the group belongs to.
pub const OWNER: &str = "active-passive.dev/owner";
/// Annotation on a Lease: "true" freezes the role.
pub const PAUSED: &str = "active-passive.dev/paused";
/// Annotation on a Lease: name of the pod that shall become active, or `any`.
pub const SWITCHOVER: &str = "active-passive.dev/switchover";
/// Annotation on a Lease: JSON list of the last moves.
pub const HISTORY: &str = "active-passive.dev/history";

/// Value of [`ACTIVE`] while no pod is active.
pub const NO_POD: &str = "none";

// --- Fixed names ------------------------------------------------------------------------------

/// Name of the injected container.
pub const CONTAINER: &str = "active-passive";
/// Prefix of every volume that is ours.
pub const VOLUME_PREFIX: &str = "active-passive-";
/// Volume with the sidecar's own token.
pub const TOKEN_VOLUME: &str = "active-passive-token";
/// Volume shared with the app containers, for [`STATUS_DIR`].
pub const STATUS_VOLUME: &str = "active-passive-status";
/// Where the sidecar's container mounts [`TOKEN_VOLUME`]: where every client looks for it.
pub const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Where the sidecar's own container mounts [`STATUS_VOLUME`].
pub const STATUS_PATH: &str = "/var/run/active-passive";
/// Prefix of the service account of each group.
pub const GROUP_ACCOUNT_PREFIX: &str = "active-passive-group-";
/// ClusterRole of every group's account.
pub const SIDECAR_CLUSTER_ROLE: &str = "active-passive-sidecar";
/// ClusterRole of the accounts of groups that have an annotated Service.
pub const ROUTER_CLUSTER_ROLE: &str = "active-passive-router";
/// Port of the sidecar's HTTP server; where a pod has it taken, the next free one.
pub const SIDECAR_PORT: u16 = 4280;
/// First port of sidecars in pods that share their node's network; which one of the following
/// [`HOST_PORTS`] follows from the pod. Below the ports of nodes and of outgoing connections.
pub const HOST_PORT_FIRST: u16 = 14_280;
/// See [`HOST_PORT_FIRST`].
pub const HOST_PORTS: u16 = 500;
/// Port of the webhook's TLS server. 10250 is open from control planes where others are not.
pub const WEBHOOK_PORT: u16 = 10250;
/// Port of the webhook's /livez, /readyz and /metrics.
pub const WEBHOOK_ADMIN_PORT: u16 = 8080;
/// These two in the network of a node, where 10250 is the kubelet's: below those of sidecars there.
pub const WEBHOOK_HOST_PORTS: [u16; 2] = [14_270, 14_271];
/// Path at which the webhook takes admission reviews of pods.
pub const INJECT_PATH: &str = "/inject";
/// Path at which the webhook takes admission reviews of Services.
pub const ROUTE_PATH: &str = "/route";
/// Path at which the webhook takes admission reviews of workloads; the name of a policy follows it.
pub const POLICY_PATH: &str = "/policy";
/// API group of ActivePassivePolicies.
pub const POLICY_GROUP: &str = "active-passive.dev";
/// Version of that group.
pub const POLICY_VERSION: &str = "v1alpha1";
/// Kind of policies.
pub const POLICY_KIND: &str = "ActivePassivePolicy";
/// Their resource.
pub const POLICY_PLURAL: &str = "activepassivepolicies";
/// What the names of the webhook entries end in that policies need; the name of one comes before it.
pub const POLICY_ENTRY_SUFFIX: &str = ".policy.active-passive.dev";

/// Paths of the sidecar's HTTP server.
pub mod path {
    /// 200 while the loop completes cycles.
    pub const LIVEZ: &str = "/livez";
    /// 200 once the sidecar can take part in the election.
    pub const READYZ: &str = "/readyz";
    /// 200 on the leader only.
    pub const LEADER: &str = "/leader";
    /// 200 on every other pod only.
    pub const REPLICA: &str = "/replica";
    /// The whole view, as JSON.
    pub const STATUS: &str = "/status";
    /// Role changes as server-sent events.
    pub const EVENTS: &str = "/events";
    /// Who leads, again with each change, as server-sent events.
    pub const SSE: &str = "/sse";
    /// Prometheus metrics.
    pub const METRICS: &str = "/metrics";
    /// A preStop hook: returns once traffic has moved away.
    pub const DRAIN: &str = "/drain";
}

/// Environment of app containers, as nais' elector has it; see [`ELECTOR_ENV`].
pub mod elector_env {
    /// What the names of all of them begin with.
    pub const PREFIX: &str = "ELECTOR_";
    /// Host and port.
    pub const PATH: &str = "ELECTOR_PATH";
    /// URL whose answer is who leads.
    pub const GET_URL: &str = "ELECTOR_GET_URL";
    /// URL of a stream of that.
    pub const SSE_URL: &str = "ELECTOR_SSE_URL";
}

/// Environment of the sidecar, as the webhook writes it.
pub mod env {
    /// What the names of our variables begin with.
    pub const PREFIX: &str = "ACTIVE_PASSIVE_";
    /// Name of the pod (downward API).
    pub const POD_NAME: &str = "POD_NAME";
    /// uid of the pod (downward API).
    pub const POD_UID: &str = "POD_UID";
    /// Namespace of the pod (downward API).
    pub const POD_NAMESPACE: &str = "POD_NAMESPACE";
    /// Node of the pod (downward API).
    pub const NODE_NAME: &str = "NODE_NAME";
    /// Election group.
    pub const GROUP: &str = "ACTIVE_PASSIVE_GROUP";
    /// See [`super::PROFILE`]; absent: the default one.
    pub const PROFILE: &str = "ACTIVE_PASSIVE_PROFILE";
    /// Owner of the pod, as kind/name.
    pub const OWNER: &str = "ACTIVE_PASSIVE_OWNER";
    /// Port of the HTTP server.
    pub const PORT: &str = "ACTIVE_PASSIVE_PORT";
    /// See [`super::LEASE_DURATION`].
    pub const LEASE_DURATION: &str = "ACTIVE_PASSIVE_LEASE_DURATION";
    /// See [`super::RENEW_DEADLINE`].
    pub const RENEW_DEADLINE: &str = "ACTIVE_PASSIVE_RENEW_DEADLINE";
    /// See [`super::RETRY_PERIOD`].
    pub const RETRY_PERIOD: &str = "ACTIVE_PASSIVE_RETRY_PERIOD";
    /// See [`super::ROLE_LABEL`].
    pub const ROLE_LABEL: &str = "ACTIVE_PASSIVE_ROLE_LABEL";
    /// See [`super::ACTIVE_VALUE`].
    pub const ACTIVE_VALUE: &str = "ACTIVE_PASSIVE_ACTIVE_VALUE";
    /// See [`super::PASSIVE_VALUE`].
    pub const PASSIVE_VALUE: &str = "ACTIVE_PASSIVE_PASSIVE_VALUE";
    /// See [`super::HANDOVER`].
    pub const HANDOVER: &str = "ACTIVE_PASSIVE_HANDOVER";
    /// See [`super::DRAIN_TIMEOUT`].
    pub const DRAIN_TIMEOUT: &str = "ACTIVE_PASSIVE_DRAIN_TIMEOUT";
    /// See [`super::SETTLE`].
    pub const SETTLE: &str = "ACTIVE_PASSIVE_SETTLE";
    /// See [`super::CONTAINERS`]: `all`, or names separated by commas.
    pub const CONTAINERS: &str = "ACTIVE_PASSIVE_CONTAINERS";
    /// See [`super::UNREADY_GRACE`].
    pub const UNREADY_GRACE: &str = "ACTIVE_PASSIVE_UNREADY_GRACE";
    /// Folder of the role file, in the sidecar's own file system; absent: no file.
    pub const STATUS_DIR: &str = "ACTIVE_PASSIVE_STATUS_DIR";
    /// See [`super::NOTIFY_URL`].
    pub const NOTIFY_URL: &str = "ACTIVE_PASSIVE_NOTIFY_URL";
    /// The system in whose place the sidecar runs, when that does not show by itself.
    pub const PERSONALITY: &str = "ACTIVE_PASSIVE_PERSONALITY";
    /// What is logged: a level, or levels by module, such as `info,sidecar=debug`.
    pub const LOG: &str = "ACTIVE_PASSIVE_LOG";
}

/// Defaults and limits.
pub mod default {
    /// Lease duration, milliseconds.
    pub const LEASE_DURATION_MS: u64 = 15_000;
    /// Shortest lease duration, milliseconds.
    pub const LEASE_DURATION_MS_MIN: u64 = 3_000;
    /// Longest lease duration, milliseconds.
    pub const LEASE_DURATION_MS_MAX: u64 = 3_600_000;
    /// Longest drain timeout, milliseconds.
    pub const DRAIN_TIMEOUT_MS_MAX: u64 = 3_600_000;
    /// Part of the grace period that is no drain time, milliseconds.
    pub const DRAIN_RESERVE_MS: u64 = 3_000;
    /// kube-proxy's min-sync period (1 s) and its work, milliseconds.
    pub const SETTLE_MS: u64 = 2_000;
    /// Grace for an app that is not ready, milliseconds.
    pub const UNREADY_GRACE_MS: u64 = 5_000;
    /// Value of the role label on the active pod.
    pub const ACTIVE_VALUE: &str = "active";
    /// Value of the role label on passive pods.
    pub const PASSIVE_VALUE: &str = "passive";
    /// Resources of the sidecar.
    pub const RESOURCES: &str =
        r#"{"requests":{"cpu":"5m","memory":"16Mi"},"limits":{"memory":"32Mi"}}"#;
    /// What Kubernetes gives a pod that names no grace period, seconds.
    pub const GRACE_PERIOD_S: u64 = 30;
    /// Duration of a record that directs the Lease to a successor, seconds.
    pub const DIRECTED_S: u64 = 2;
}

/// Profiles, in the order of the documentation.
pub const PROFILES: [&str; 6] = [
    "default",
    "apsc",
    "service-leader-election",
    "leader-labeler",
    "leader-labeler-v0.3",
    "leader-elector",
];

/// One line of the documentation of the contract.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The whole key.
    pub key: &'static str,
    /// The default as a reader sees it; "-" where there is none.
    pub default: &'static str,
    /// What it means, as a sentence or two.
    pub meaning: &'static str,
}

const fn key(key: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key {
        key,
        default,
        meaning,
    }
}

/// Annotations that users write on a pod template.
pub const TEMPLATE_ANNOTATIONS: [Key; 21] = [
    key(
        INJECT,
        "-",
        "`\"true\"`: gets the sidecar. `\"false\"`: does not, whatever a policy says. Absent: does not, unless a policy with `inject: Default` is about it.",
    ),
    key(
        GROUP,
        "from the owner",
        "Election group: the pods of which one is active. Also the name of their Lease, so a DNS label of at most 63 characters. By default the name of the pod's owner: Deployment, Argo Rollout, StatefulSet, Job or another. A pod without owner needs the annotation.",
    ),
    key(
        PROFILE,
        "default",
        "Whose labels, Lease name, files and HTTP to speak. `default` are those of this page; `apsc`, `service-leader-election`, `leader-labeler`, `leader-labeler-v0.3` and `leader-elector` are those of the system of that name, derived from the pod by its rule, with this election beneath; see docs/migrate.md. Such a Lease is written as that system writes it, and is not fenced.",
    ),
    key(
        LEASE_DURATION,
        "15s",
        "How long the Lease is valid after its last renewal: the time after which a standby takes over from a pod or node that vanished. Whole seconds, 3s to 1h. All other times of the election follow from it.",
    ),
    key(
        RENEW_DEADLINE,
        "2/3 of lease-duration",
        "How long the active pod tries to renew. Accepted so that values of client-go carry over; lease-duration > renew-deadline > 1.2 × retry-period must hold.",
    ),
    key(
        RETRY_PERIOD,
        "2/15 of lease-duration",
        "Time until a renewal that failed is tried again; one without an answer is repeated sooner.",
    ),
    key(ROLE_LABEL, ROLE, "Key of the label that carries the role."),
    key(
        ACTIVE_VALUE,
        default::ACTIVE_VALUE,
        "Value of the role label on the active pod.",
    ),
    key(
        PASSIVE_VALUE,
        default::PASSIVE_VALUE,
        "Value of the role label on passive pods; `\"\"`: the label is absent.",
    ),
    key(
        HANDOVER,
        "seamless",
        "`seamless`: planned moves never leave zero active pods (the new one is labelled, then the old one is stripped). `exclusive`: never two (the old one is stripped, its app has stopped, then the new one).",
    ),
    key(
        DRAIN_TIMEOUT,
        "grace period less 3s",
        "How long an active pod that is being deleted or evicted waits for a ready successor; at most 1h. The default leaves `settle` and 1s, and not less than 3s, of the grace period. If the pod's grace period is too short for it, the grace period is raised, with a warning.",
    ),
    key(
        HOLD_APP,
        "true",
        "`true`: an app container without preStop hook gets the sidecar's `/drain` as its preStop, so that its SIGTERM waits until traffic has moved. A container that has a preStop keeps it, with a warning. Without effect under `exclusive`.",
    ),
    key(
        SETTLE,
        "2s",
        "How long `/drain` holds on after traffic was routed away: kube-proxy may apply a change up to a second late.",
    ),
    key(
        CONTAINERS,
        "all",
        "`all`, or names separated by commas: the containers that must be ready for a pod to be chosen.",
    ),
    key(
        UNREADY_GRACE,
        "5s",
        "If the active pod's app is not ready for this long and a ready peer exists, the role moves. Without such a peer it stays: a degraded pod is better than none.",
    ),
    key(
        PRIORITY,
        "0",
        "Whole number. The pod with the highest is preferred as successor; one with a negative number is never active.",
    ),
    key(
        STATUS_DIR,
        "-",
        "Absolute path at which app containers see a folder with the file `role` (role, term, valid-until), replaced atomically.",
    ),
    key(
        NOTIFY_URL,
        "-",
        "URL on localhost (`http://127.0.0.1:PORT/PATH`) that each role change is posted to, as JSON.",
    ),
    key(
        ELECTOR_ENV,
        "false",
        "`true`: app containers get `ELECTOR_GET_URL`, whose answer `{\"name\": POD}` says who leads, `ELECTOR_SSE_URL`, which says it again with each change, as server-sent events, and `ELECTOR_PATH`, host and port of both: what programs written for nais or contrib's elector look for. A variable that a container has stays as it is, with a warning.",
    ),
    key(
        SERVICE_ACCOUNT,
        "auto",
        "`auto`: a pod on the account `default` gets the group's own, `active-passive-group-` and the group's name; another account stays and is given the rights. `keep`: the template's account stays in any case.",
    ),
    key(
        RESOURCES,
        default::RESOURCES,
        "Resources of the sidecar: ResourceRequirements as JSON. The default has a CPU limit too where every container of the pod has one, has requests equal to limits in a pod of class Guaranteed, and leaves out what `spec.resources` states for the whole pod.",
    ),
];

/// Annotations that users write on a Service.
pub const SERVICE_ANNOTATIONS: [Key; 4] = [
    key(
        GROUP,
        "-",
        "Election group, in the same namespace, whose active pod gets this Service's traffic.",
    ),
    key(
        BEFORE_LEADER,
        "none",
        "Whom the Service serves before the group has had an active pod. `none`: nobody. `all`: every pod of its selector.",
    ),
    key(
        MODE,
        "-",
        "`active-passive`: [Service mode](service-mode.md). One ready pod of the selector gets the traffic, without any sidecar. The chart has it off (`serviceMode.enabled`).",
    ),
    key(
        COMPAT_MODE,
        "-",
        "Any value but `\"\"`: the same, with the label and selector key of active-standby-controller, `qoqo.dev/pod-designation: active`.",
    ),
];

/// Annotations that users write on a Lease.
pub const LEASE_ANNOTATIONS: [Key; 2] = [
    key(
        PAUSED,
        "-",
        "`\"true\"`: the role stays where it is; the active pod keeps renewing, nobody else is made active.",
    ),
    key(
        SWITCHOVER,
        "-",
        "Name of the pod that shall become active, or `any`; removed when answered.",
    ),
];

/// What the programs write, and where. Users read these keys and never set them.
pub const WRITTEN_KEYS: [Key; 13] = [
    key(
        GROUP,
        "pod label, by the webhook",
        "The election group of the pod.",
    ),
    key(
        INJECTED,
        "pod annotation, by the webhook",
        "Version and hash of what was injected.",
    ),
    key(
        INJECTED_BY,
        "pod annotation, by the webhook",
        "The ActivePassivePolicy that asked for the sidecar in the pod's place.",
    ),
    key(
        ROLE_LABEL,
        "pod annotation, by the webhook",
        "Key of the role label, with its default filled in; `active-value` and `passive-value` likewise.",
    ),
    key(
        ROLE,
        "pod label, by the leader or Service mode",
        "The role: `active` or `passive`, or the values of the annotations.",
    ),
    key(
        POD,
        "pod label, by its own sidecar or Service mode",
        "The pod's uid. Annotated Services select by this key.",
    ),
    key(
        TERM,
        "pod and Service annotation, by the leader",
        "Term in which the role was last written: `leaseTransitions` of the Lease, which rises with every change of the holder. A write in a lower term is stale.",
    ),
    key(
        ACTIVE,
        "Service annotation, by the leader or Service mode",
        "uid of the active pod, or `none`.",
    ),
    key(
        COMPAT_DESIGNATION,
        "pod label, by Service mode",
        "`active` on the pod that has the traffic of a Service with `qoqo.dev/service-mode`, which selects by it too.",
    ),
    key(
        MODE,
        "pod annotation, by Service mode",
        "`active-passive`: Service mode has labelled this pod, and takes its labels off when no Service asks for it.",
    ),
    key(
        LEASE,
        "Lease label",
        "`\"true\"`: the fencing policies judge who writes this Lease. `\"false\"`: they do not, because the group has the profile of another system.",
    ),
    key(
        OWNER,
        "Lease annotation",
        "kind/name of the workload that the group belongs to.",
    ),
    key(
        HISTORY,
        "Lease annotation",
        "The last 20 moves of the role as JSON, at most 8 KiB: `[{term, pod, at, kind, duration_ms}]`, newest last.",
    ),
];

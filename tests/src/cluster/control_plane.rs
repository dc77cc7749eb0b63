//! etcd, the API server, the controllers and the scheduler, all in the hub.

use std::fs;

use serde_json::json;

use super::binaries::Binaries;
use super::error::{Doing, Result};
use super::machine::Machine;
use super::network::{API_PORT, HUB_ADDRESS, PODS, SERVICES};
use super::pki::Pki;
use super::state::HUB;

/// Name of the program, where tests stop and start it.
pub(crate) const API_SERVER: &str = "kube-apiserver";
/// Makes what others only ask for, such as the accounts of a namespace.
pub(crate) const CONTROLLERS: &str = "kube-controller-manager";
/// Makes ClusterIPs work.
pub(crate) const PROXY: &str = "kube-proxy";
const ETCD: &str = "http://127.0.0.1:2379";

/// Starts etcd.
pub(crate) async fn start_etcd(hub: &Machine, binaries: &Binaries) -> Result<()> {
    let data = hub.folder.join("etcd");
    let arguments = vec![
        format!("--data-dir={}", data.display()),
        format!("--listen-client-urls={ETCD}"),
        format!("--advertise-client-urls={ETCD}"),
        "--listen-peer-urls=http://127.0.0.1:2380".into(),
        "--unsafe-no-fsync".into(),
    ];
    hub.start(binaries, "etcd", arguments).await
}

/// Issues what the API server needs, and returns its arguments.
pub(crate) fn prepare_api_server(
    hub: &Machine,
    pki: &Pki,
    extra: &[String],
) -> Result<Vec<String>> {
    pki.issue_api_server()?;
    pki.issue(
        "kubelet-client",
        &[("O", "system:masters"), ("CN", "kubelet-client")],
        &[],
    )?;
    let policy = hub.folder.join("audit-policy.json");
    let text = json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata"}],
    });
    fs::write(&policy, text.to_string()).doing(|| format!("write {}", policy.display()))?;

    let mut arguments = vec![
        format!("--etcd-servers={ETCD}"),
        format!("--secure-port={API_PORT}"),
        "--bind-address=0.0.0.0".into(),
        format!("--advertise-address={HUB_ADDRESS}"),
        format!("--service-cluster-ip-range={SERVICES}"),
        format!("--client-ca-file={}", pki.path("ca.crt")),
        format!("--tls-cert-file={}", pki.path("apiserver.crt")),
        format!("--tls-private-key-file={}", pki.path("apiserver.key")),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-account-key-file={}", pki.path("sa.pub")),
        format!("--service-account-signing-key-file={}", pki.path("sa.key")),
        "--authorization-mode=Node,RBAC".into(),
        "--enable-admission-plugins=NodeRestriction".into(),
        "--allow-privileged=true".into(),
        // Else `kubectl logs` and `exec` look the names of nodes up in a DNS that is not there.
        "--kubelet-preferred-address-types=InternalIP".into(),
        format!(
            "--kubelet-client-certificate={}",
            pki.path("kubelet-client.crt")
        ),
        format!("--kubelet-client-key={}", pki.path("kubelet-client.key")),
        format!("--audit-policy-file={}", policy.display()),
        format!(
            "--audit-log-path={}",
            hub.logs.join(super::audit::FILE).display()
        ),
        "--audit-log-maxsize=500".into(),
        "--audit-log-mode=batch".into(),
    ];
    arguments.extend_from_slice(extra);
    Ok(arguments)
}

/// Starts the controllers and the scheduler. The API server must answer.
pub(crate) async fn start_controllers(
    hub: &Machine,
    binaries: &Binaries,
    pki: &Pki,
    extra: &[String],
) -> Result<()> {
    let name = CONTROLLERS;
    let kubeconfig = pki.kubeconfig(name, &[("CN", "system:kube-controller-manager")])?;
    let mut arguments = vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--service-account-private-key-file={}", pki.path("sa.key")),
        format!("--root-ca-file={}", pki.path("ca.crt")),
        format!("--cluster-signing-cert-file={}", pki.path("ca.crt")),
        format!("--cluster-signing-key-file={}", pki.path("ca.key")),
        "--use-service-account-credentials=true".into(),
        // It makes an account for each controller first: at its default of 20 requests a second
        // that would take half of the start of the cluster.
        "--kube-api-qps=500".into(),
        "--kube-api-burst=500".into(),
        "--leader-elect=false".into(),
        "--bind-address=127.0.0.1".into(),
    ];
    arguments.extend_from_slice(extra);
    hub.start(binaries, name, arguments).await?;

    let name = "kube-scheduler";
    let kubeconfig = pki.kubeconfig(name, &[("CN", "system:kube-scheduler")])?;
    let arguments = vec![
        format!("--kubeconfig={kubeconfig}"),
        "--leader-elect=false".into(),
        "--bind-address=127.0.0.1".into(),
    ];
    hub.start(binaries, name, arguments).await
}

/// Starts kube-proxy with the defaults that users run it with. It waits for its node to exist;
/// the hub, from where the API server calls webhooks by ClusterIP, borrows the name of a node.
pub(crate) async fn start_proxy(
    machine: &Machine,
    binaries: &Binaries,
    pki: &Pki,
    node: &str,
) -> Result<()> {
    let name = format!("kube-proxy-{}", machine.name);
    let kubeconfig = pki.kubeconfig(&name, &[("CN", "system:kube-proxy")])?;
    let mut arguments = vec![
        format!("--kubeconfig={kubeconfig}"),
        "--proxy-mode=nftables".into(),
        format!("--hostname-override={node}"),
        // Limits of the whole machine: not ours to change.
        "--conntrack-max-per-core=0".into(),
        "--conntrack-tcp-timeout-established=0".into(),
        "--conntrack-tcp-timeout-close-wait=0".into(),
        "--metrics-bind-address=127.0.0.1:10249".into(),
    ];
    // Who is no pod gets another address and a port by chance. At hundreds of connections a second
    // from the hub, chance would soon choose a port that a pod still remembers, and drops.
    if machine.name != HUB {
        arguments.push(format!("--cluster-cidr={PODS}"));
    }
    machine.start(binaries, PROXY, arguments).await
}

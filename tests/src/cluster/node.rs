//! One node: containerd, kubelet and kube-proxy in a namespace of their own.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::net::UnixStream;
use tokio::time::{Duration, sleep};

use super::binaries::Binaries;
use super::error::{Doing, Result};
use super::machine::Machine;
use super::network::{DNS_ADDRESS, node_address, node_pods};
use super::packages::CNI_FOLDER;
use super::pki::Pki;

/// Name under which nodes have the sandbox image.
pub(crate) const PAUSE_IMAGE: &str = "registry.invalid/active-passive/pause:test";
/// Runs the pods of a node.
pub(crate) const KUBELET: &str = "kubelet";
/// Folder with the logs of the node's pods.
pub(crate) const POD_LOGS: &str = "pods";
const CONTAINERD: &str = "containerd";
const SOCKET_TRIES: u32 = 1_500;
const SOCKET_RETRY_MS: u64 = 20;

/// Socket of the node's containerd.
pub(crate) fn socket(machine: &Machine) -> PathBuf {
    machine.folder.join("containerd.sock")
}

/// Starts containerd and waits until it serves.
pub(crate) async fn start_containerd(
    machine: &Machine,
    binaries: &Binaries,
    index: usize,
) -> Result<()> {
    let action = || format!("configure containerd of {}", machine.name);
    let folder = &machine.folder;
    let network = folder.join("cni");
    fs::create_dir_all(&network).doing(action)?;
    let conflist = json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [{
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": true,
            "ipMasq": false,
            "hairpinMode": true,
            "ipam": {
                "type": "host-local",
                "dataDir": folder.join("addresses"),
                "ranges": [[{"subnet": node_pods(index)}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    });
    fs::write(network.join("10-pods.conflist"), conflist.to_string()).doing(action)?;
    let config = folder.join("containerd.toml");
    fs::write(&config, containerd_config(machine, &network)).doing(action)?;
    machine
        .start(
            binaries,
            CONTAINERD,
            vec![format!("--config={}", config.display())],
        )
        .await?;
    let socket = socket(machine);
    for _ in 0..SOCKET_TRIES {
        if UnixStream::connect(&socket).await.is_ok() {
            return Ok(());
        }
        sleep(Duration::from_millis(SOCKET_RETRY_MS)).await;
    }
    Err(machine.failure(CONTAINERD, "its socket does not answer"))
}

fn containerd_config(machine: &Machine, network: &Path) -> String {
    let folder = machine.folder.display();
    let network = network.display();
    let socket = socket(machine);
    let socket = socket.display();
    // restrict_oom_score_adj: without CAP_SYS_RESOURCE, as in many containers, runc would die.
    format!(
        r#"version = 3
root = "{folder}/containerd/root"
state = "{folder}/containerd/state"
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{PAUSE_IMAGE}"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{CNI_FOLDER}"]
    conf_dir = "{network}"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"#
    )
}

/// Starts the kubelet. The API server must answer.
pub(crate) async fn start_kubelet(
    machine: &Machine,
    binaries: &Binaries,
    pki: &Pki,
    index: usize,
) -> Result<()> {
    let name = &machine.name;
    let action = || format!("configure the kubelet of {name}");
    let account = format!("system:node:{name}");
    let subject = [("O", "system:nodes"), ("CN", account.as_str())];
    let address = node_address(index);
    let kubeconfig = pki.kubeconfig(name, &subject)?;
    let serving = format!("{name}-serving");
    pki.issue(&serving, &subject, &[name, &address])?;

    let folder = &machine.folder;
    let config = folder.join("kubelet.json");
    let settings = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": pki.path("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": format!("unix://{}", socket(machine).display()),
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": false,
        "enforceNodeAllocatable": [],
        "failSwapOn": false,
        "failCgroupV1": false,
        "tlsCertFile": pki.path(&format!("{serving}.crt")),
        "tlsPrivateKeyFile": pki.path(&format!("{serving}.key")),
        "podLogsDir": folder.join(POD_LOGS),
        "resolvConf": "",
        "clusterDomain": "cluster.local",
        // Nobody answers there. Without it, every pod gets an event about it every second.
        "clusterDNS": [DNS_ADDRESS],
        "evictionHard": {"memory.available": "10Mi", "nodefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "nodeStatusUpdateFrequency": "5s",
        "maxPods": 200,
        "registryPullQPS": 0,
    });
    fs::write(&config, settings.to_string()).doing(action)?;
    let arguments = vec![
        format!("--config={}", config.display()),
        format!("--kubeconfig={kubeconfig}"),
        format!("--root-dir={}", folder.join("kubelet").display()),
        format!("--cert-dir={}", folder.join("kubelet/pki").display()),
        format!("--hostname-override={name}"),
        format!("--node-ip={address}"),
    ];
    machine.start(binaries, KUBELET, arguments).await
}

//! Addresses, bridges and routes. No namespace has a default route: nothing leaves the machine.

use std::fmt::Write;

use tokio::process::Command;

use super::error::Result;
use super::run;

/// Address of the hub, where the API server listens.
pub(crate) const HUB_ADDRESS: &str = "172.30.0.1";
/// Port of the API server.
pub(crate) const API_PORT: u16 = 6443;
/// ClusterIPs.
pub(crate) const SERVICES: &str = "10.96.0.0/16";
/// Address of the API server's own Service.
pub(crate) const API_SERVICE_ADDRESS: &str = "10.96.0.1";
/// Where pods would ask for names; the cluster has no DNS.
pub(crate) const DNS_ADDRESS: &str = "10.96.0.10";
/// All pods.
pub(crate) const PODS: &str = "10.244.0.0/16";
/// What [`node_address`] has room for.
pub(crate) const NODES_MAX: usize = 50;

const NODE_ADDRESS_OFFSET: usize = 10;
const DEADLINE_MS: u64 = 5_000;

/// Address of the node `index`, counted from 1.
pub(crate) fn node_address(index: usize) -> String {
    format!("172.30.0.{}", NODE_ADDRESS_OFFSET + index)
}

/// Addresses of the pods on the node `index`.
pub(crate) fn node_pods(index: usize) -> String {
    format!("10.244.{index}.0/24")
}

/// A command that runs in the network of the process `init`, with the files of this machine.
pub(crate) fn command(init: i32, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--net=/proc/{init}/ns/net"))
        .arg("--")
        .arg(program);
    command
}

/// Joins the nodes, given by their first processes, to a bridge in the hub.
pub(crate) async fn connect(hub: i32, nodes: &[i32]) -> Result<()> {
    let mut batch = format!(
        "link set lo up\n\
         link add br0 type bridge\n\
         addr add {HUB_ADDRESS}/24 dev br0\n\
         link set br0 up\n"
    );
    batch.push_str(&service_route(HUB_ADDRESS));
    for (index, node) in (1..).zip(nodes) {
        let (address, pods) = (node_address(index), node_pods(index));
        // Writing to a String does not fail.
        let _written = write!(
            batch,
            "link add {port} type veth peer name eth0 netns {node}\n\
             link set {port} master br0 up\n\
             route add {pods} via {address}\n",
            port = port(index),
        );
    }
    ip(hub, &batch).await?;

    for (index, node) in (1..).zip(nodes) {
        let address = node_address(index);
        let mut batch = format!(
            "link set lo up\n\
             addr add {address}/24 dev eth0\n\
             link set eth0 up\n"
        );
        batch.push_str(&service_route(&address));
        for other in (1..=nodes.len()).filter(|other| *other != index) {
            let (pods, via) = (node_pods(other), node_address(other));
            let _written = writeln!(batch, "route add {pods} via {via}");
        }
        ip(*node, &batch).await?;
    }
    Ok(())
}

/// Cuts the node `index` off from all others.
pub(crate) async fn cut(hub: i32, index: usize) -> Result<()> {
    ip(hub, &format!("link set {} down\n", port(index))).await
}

/// Joins the node `index`, given by its first process, to the others again. Packets pass from then on:
/// without forgetting whom it looked for in vain, it would ask for the hub's address again only when
/// its kernel's second is over, which is nothing of what is measured here.
pub(crate) async fn heal(hub: i32, index: usize, node: i32) -> Result<()> {
    let (port, address) = (port(index), node_address(index));
    ip(
        hub,
        &format!("link set {port} up\nneigh flush to {address} dev br0\n"),
    )
    .await?;
    ip(node, "neigh flush dev eth0\n").await
}

/// Takes the hub's ways to the pods of the first `nodes` nodes; it still reaches the nodes.
pub(crate) async fn hide_pods(hub: i32, nodes: usize) -> Result<()> {
    let routes =
        (1..=nodes).map(|index| format!("route replace unreachable {}\n", node_pods(index)));
    ip(hub, &routes.collect::<String>()).await
}

/// Lets a machine, given by its first process, forget closed connections after a second instead of
/// two minutes. kube-proxy gives connections from the hub a source port by chance: at hundreds a
/// second from one address, new ones would meet old ones and get no answer.
pub(crate) async fn forget_closed(init: i32) -> Result<()> {
    let setting = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait";
    let mut shell = command(init, "sh");
    shell.args(["-c", &format!("echo 1 > {setting}")]);
    run::output("let closed connections be forgotten", shell, DEADLINE_MS).await?;
    Ok(())
}

fn port(index: usize) -> String {
    format!("v{index}")
}

/// A packet for a ClusterIP needs a route before kube-proxy gets to rewrite its target.
fn service_route(source: &str) -> String {
    format!(
        "link add svc0 type bridge\n\
         link set svc0 up\n\
         route add {SERVICES} dev svc0 src {source}\n"
    )
}

async fn ip(init: i32, batch: &str) -> Result<()> {
    let mut ip = command(init, "ip");
    ip.args(["-batch", "-"]);
    run::output_with_input("set up the network", ip, batch, DEADLINE_MS).await?;
    Ok(())
}

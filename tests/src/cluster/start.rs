//! From nothing to ready nodes, as much as possible at the same time.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::binaries::Binaries;
use super::control_plane::{self, API_SERVER};
use super::error::{Doing, Error, Result};
use super::machine::Machine;
use super::network::{API_PORT, HUB_ADDRESS, NODES_MAX};
use super::pki::Pki;
use super::state::{self, HUB, Record};
use super::{
    Cluster, ClusterOptions, Keeper, Kube, containers, helper, images, keeper, limits, namespace,
    network, node, ready, relay,
};
use futures_util::future::{try_join, try_join_all};

/// Folder of the logs, in the folder of the cluster.
pub(crate) const LOGS: &str = "logs";
/// A socket's path has 107 bytes; the kubelet's longest below this folder has 62.
const TEMPORARY_BYTES_MAX: usize = 40;
const KUBECONFIG: &str = "kubeconfig";
const ADMIN: &str = "admin";

pub(crate) async fn start(binaries: Binaries, options: &ClusterOptions) -> Result<Cluster> {
    if !(1..=NODES_MAX).contains(&options.nodes) {
        let cause = format!(
            "{} nodes were asked for, 1 to {NODES_MAX} are possible",
            options.nodes
        );
        return Err(Error::new("start a cluster", cause));
    }
    check_places(&binaries)?;
    limits::ensure()?;
    state::sweep()?;
    let pause = images::pause().await?;
    let names: Vec<String> = (1..=options.nodes)
        .map(|index| format!("n{index}"))
        .collect();
    let (folder, id) = state::create()?;
    let (keeper, namespaces) = start_keeper(&folder, &id, &names).inspect_err(|_| {
        // The keeper removes it, if there is one.
        let _gone = fs::remove_dir_all(&folder);
    })?;
    let record = Record {
        id,
        namespaces,
        nodes: names,
        api_server_arguments: Vec::new(),
    };
    let mut start = Start::new(binaries, folder, record)?;
    let kube = start.start_api(&options.api_server_args).await?;
    start
        .start_rest(&kube.client(), &pause, &options.controller_manager_args)
        .await?;
    let Start {
        binaries,
        folder,
        record,
        hub,
        nodes,
        ..
    } = start;
    Ok(Cluster {
        id: record.id,
        folder,
        kube,
        binaries,
        hub,
        nodes,
        api_server_arguments: record.api_server_arguments,
        keeper: Some(keeper),
    })
}

/// Nodes hide some folders, and the path of a socket has an end.
fn check_places(binaries: &Binaries) -> Result<()> {
    let temporary = std::env::temp_dir();
    for path in binaries.folders().iter().chain([&temporary]) {
        if !namespace::sees(path) {
            let cause = format!("nodes have a {} of their own", path.display());
            return Err(Error::new("start a cluster", cause)
                .cure("set TMPDIR and XDG_CACHE_HOME to folders elsewhere, such as /tmp"));
        }
    }
    if temporary.as_os_str().len() > TEMPORARY_BYTES_MAX {
        let cause = format!(
            "{} is too long for the paths of sockets",
            temporary.display()
        );
        return Err(Error::new("start a cluster", cause).cure("set TMPDIR=/tmp"));
    }
    Ok(())
}

/// Starts the keeper, and learns the first process of each namespace from it.
fn start_keeper(
    folder: &Path,
    id: &str,
    nodes: &[String],
) -> Result<(Keeper, BTreeMap<String, i32>)> {
    let action = || format!("start the namespaces of cluster {id}");
    let logs = folder.join(LOGS);
    fs::create_dir(&logs).doing(action)?;
    let log_path = logs.join("keeper.log");
    let log = File::create(&log_path).doing(action)?;
    let mut process = helper::command(keeper::HELPER)
        .arg(folder)
        .args([id, HUB])
        .args(nodes)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log.try_clone().doing(action)?)
        .spawn()
        .doing(action)?;
    let answers = process.stdout.take();
    let keeper = Keeper {
        lifeline: process.stdin.take(),
        process,
    };
    let mut line = String::new();
    if let Some(answers) = answers {
        BufReader::new(answers).read_line(&mut line).doing(action)?;
    }
    // The log file is gone with the folder once the keeper has given up; the open file is not.
    let failed = |cause: serde_json::Error| {
        Error::new(action(), cause)
            .output(&read_again(&log))
            .cure("root and its rights are needed")
    };
    let namespaces = serde_json::from_str(&line).map_err(failed)?;
    Ok((keeper, namespaces))
}

fn read_again(log: &File) -> String {
    use std::os::unix::fs::FileExt;
    const SIZE_BYTES: usize = 16 * 1024;
    let mut buffer = vec![0; SIZE_BYTES];
    let size = log.read_at(&mut buffer, 0).unwrap_or(0);
    String::from_utf8_lossy(&buffer[..size]).into_owned()
}

/// A cluster on its way.
struct Start {
    binaries: Binaries,
    folder: PathBuf,
    record: Record,
    hub: Machine,
    nodes: Vec<Machine>,
    pki: Pki,
}

impl Start {
    fn new(binaries: Binaries, folder: PathBuf, record: Record) -> Result<Self> {
        let hub = machine(&folder, &record, HUB)?;
        let nodes = machines(&folder, &record)?;
        let pki = Pki::create(&folder.join("pki"))?;
        Ok(Self {
            binaries,
            folder,
            record,
            hub,
            nodes,
            pki,
        })
    }

    /// Starts etcd and the API server, which become ready later.
    async fn start_api(&mut self, extra: &[String]) -> Result<Kube> {
        let Self {
            binaries,
            folder,
            record,
            hub,
            nodes,
            pki,
        } = self;
        let inits: Vec<i32> = nodes.iter().map(|node| node.init).collect();
        network::connect(hub.init, &inits).await?;
        let arguments = control_plane::prepare_api_server(hub, pki, extra)?;
        control_plane::start_etcd(hub, binaries).await?;
        hub.start(binaries, API_SERVER, arguments.clone()).await?;

        let target = format!("{HUB_ADDRESS}:{API_PORT}");
        let outside = "127.0.0.1:0";
        let port = hub
            .serve(binaries, relay::HELPER, &[&target], outside)
            .await?;
        record.api_server_arguments = arguments;
        record.write(folder)?;
        pki.issue(ADMIN, &[("O", "system:masters"), ("CN", ADMIN)], &[])?;
        let kubeconfig = folder.join(KUBECONFIG);
        pki.write_kubeconfig(ADMIN, &kubeconfig, &format!("https://127.0.0.1:{port}"))?;
        kube(folder, binaries).await
    }

    /// Starts everything else and waits until all of it is ready.
    async fn start_rest(
        &self,
        client: &kube::Client,
        pause: &Path,
        extra: &[String],
    ) -> Result<()> {
        let Self {
            binaries,
            hub,
            nodes,
            pki,
            ..
        } = self;
        let numbered = || (1..).zip(nodes);
        let runtimes = try_join_all(numbered().map(async |(index, node)| {
            node::start_containerd(node, binaries, index).await?;
            containers::load(node, binaries, pause).await
        }));
        try_join(runtimes, ready::api_server(client, hub)).await?;
        let kubelets =
            numbered().map(|(index, node)| node::start_kubelet(node, binaries, pki, index));
        let controllers = control_plane::start_controllers(hub, binaries, pki, extra);
        try_join(try_join_all(kubelets), controllers).await?;
        try_join_all(nodes.iter().map(|node| ready::node(client, node))).await?;

        // A kube-proxy is quickest when its node exists already.
        let hub_as_node = nodes.first().map(|node| (hub, &node.name));
        let proxies = nodes
            .iter()
            .map(|node| (node, &node.name))
            .chain(hub_as_node);
        try_join_all(proxies.map(async |(machine, node)| {
            control_plane::start_proxy(machine, binaries, pki, node).await?;
            ready::proxy(machine).await
        }))
        .await?;
        ready::default_account(client, hub).await
    }
}

pub(crate) async fn attach(binaries: Binaries, id: Option<&str>) -> Result<Cluster> {
    let action = "find the cluster";
    let alive = state::find()?.alive;
    let id = match (id, alive.as_slice()) {
        (Some(id), alive) if alive.iter().any(|one| one == id) => id,
        (Some(id), _) => return Err(Error::new(action, format!("there is none with id {id}"))),
        (None, [only]) => only,
        (None, []) => return Err(Error::new(action, "none is running")),
        (None, several) => {
            let cause = format!("several are running: {}", several.join(", "));
            return Err(Error::new(action, cause).cure("name one of them"));
        }
    };
    let folder = state::folder(id);
    let record = Record::read(&folder)?;
    Ok(Cluster {
        kube: kube(&folder, &binaries).await?,
        hub: machine(&folder, &record, HUB)?,
        nodes: machines(&folder, &record)?,
        id: record.id,
        folder,
        binaries,
        api_server_arguments: record.api_server_arguments,
        keeper: None,
    })
}

fn machines(folder: &Path, record: &Record) -> Result<Vec<Machine>> {
    record
        .nodes
        .iter()
        .map(|name| machine(folder, record, name))
        .collect()
}

fn machine(folder: &Path, record: &Record, name: &str) -> Result<Machine> {
    let init = record.namespaces.get(name).copied();
    Ok(Machine {
        name: name.into(),
        init: init.ok_or_else(|| Error::new(format!("find namespace {name}"), "it is missing"))?,
        group: state::group(&record.id, name),
        folder: folder.join(name),
        logs: folder.join(LOGS),
    })
}

async fn kube(folder: &Path, binaries: &Binaries) -> Result<Kube> {
    Kube::open(
        &folder.join(KUBECONFIG),
        binaries.clone(),
        folder.join("helm"),
    )
    .await
}

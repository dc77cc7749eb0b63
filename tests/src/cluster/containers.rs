//! Images and containers of a node, asked of its containerd.

use std::path::Path;

use tokio::process::Command;

use super::binaries::Binaries;
use super::error::Result;
use super::machine::Machine;
use super::{cgroup, node, run};

const LOAD_DEADLINE_MS: u64 = 60_000;
const ASK_DEADLINE_MS: u64 = 10_000;

/// Loads the images of an OCI archive.
pub(crate) async fn load(machine: &Machine, binaries: &Binaries, archive: &Path) -> Result<()> {
    let mut ctr = ctr(machine, binaries);
    ctr.args(["images", "import"]).arg(archive);
    let action = format!("load {} into {}", archive.display(), machine.name);
    run::output(&action, ctr, LOAD_DEADLINE_MS).await?;
    Ok(())
}

/// Process ids of a running container; none if it does not run on this node.
pub(crate) async fn processes(
    machine: &Machine,
    binaries: &Binaries,
    pod_uid: &str,
    container: &str,
) -> Result<Vec<i32>> {
    let mut ctr = ctr(machine, binaries);
    ctr.args(["containers", "list", "--quiet"]).arg(format!(
        "labels.\"io.kubernetes.pod.uid\"=={pod_uid},\
         labels.\"io.kubernetes.container.name\"=={container}"
    ));
    let action = format!("list the containers of {}", machine.name);
    let ids = run::output(&action, ctr, ASK_DEADLINE_MS).await?;
    // Earlier runs of the container are listed too: they have no process.
    let groups = ids
        .lines()
        .map(|id| cgroup::processes(&machine.group, &format!("k8s.io/{id}")));
    Ok(groups.flatten().collect())
}

fn ctr(machine: &Machine, binaries: &Binaries) -> Command {
    let mut ctr = Command::new(binaries.path("ctr"));
    ctr.arg("--address")
        .arg(node::socket(machine))
        .args(["--namespace", "k8s.io"]);
    ctr
}

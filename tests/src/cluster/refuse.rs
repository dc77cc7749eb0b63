//! An API server that refuses what comes from other machines, while it serves the hub.

use tokio::process::Command;

use super::error::Result;
use super::machine::Machine;
use super::network::API_PORT;
use super::run;

/// The table of the rules; it goes away as a whole.
const TABLE: &str = "inet harness-refuse";
const DEADLINE_MS: u64 = 5_000;

/// Whose requests are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Everybody's beyond the hub: kubelets, kube-proxies and pods.
    All,
    /// Those of pods with these addresses.
    Pods(Vec<String>),
}

/// Answers every packet that `whose` send to the API server with a reset, those of connections
/// that are open too.
pub(crate) async fn refuse(hub: &Machine, whose: &Whose) -> Result<()> {
    let source = match whose {
        Whose::All => String::new(),
        Whose::Pods(addresses) => format!("ip saddr {{ {} }} ", addresses.join(", ")),
    };
    let rules = format!(
        "table {TABLE} {{\n\
           chain input {{\n\
             type filter hook input priority -10;\n\
             iifname br0 {source}tcp dport {API_PORT} reject with tcp reset\n\
           }}\n\
         }}\n"
    );
    apply(hub, &rules, "refuse requests to the API server").await
}

/// Ends [`refuse`], if it was begun.
pub(crate) async fn serve(hub: &Machine) -> Result<()> {
    // Making the table first makes its end succeed where it was not there.
    let rules = format!("table {TABLE} {{}}\ndelete table {TABLE}\n");
    apply(hub, &rules, "serve requests to the API server").await
}

/// Applies rules of nft in the network of a machine, all or none.
pub(super) async fn apply(machine: &Machine, rules: &str, action: &str) -> Result<()> {
    let mut nft: Command = machine.command("nft");
    nft.args(["-f", "-"]);
    run::output_with_input(action, nft, rules, DEADLINE_MS).await?;
    Ok(())
}

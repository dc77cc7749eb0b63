//! `dashboard`: a page on this machine that shows groups live, and moves or pauses their roles.
//!
//! The page is a part of the program; it asks this server alone, which asks the cluster with its
//! user's rights. Credentials of the cluster stay here. Absent from it: whatever makes the page
//! reachable from elsewhere.

mod assets;
mod frames;
mod guard;
mod routes;
mod serve;

use crate::args::DashboardArgs;
use crate::connect::Cluster;
use crate::failure::Failure;
use crate::live;
use guard::{Guard, Key};
use routes::App;
use serde_json::Value;
use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Runs it until ctrl-c.
pub(crate) async fn run(cluster: Cluster, args: &DashboardArgs) -> Result<String, Failure> {
    // Whoever has given the wrong cluster hears of it here and not on the page.
    let _: Value = cluster.get("reach the API server", "/version").await?;
    let asked = (Ipv4Addr::LOCALHOST, args.port);
    let unbound = |source| Failure::Listen {
        port: args.port,
        source,
    };
    let listener = TcpListener::bind(asked).await.map_err(unbound)?;
    let port = listener.local_addr().map_err(unbound)?.port();
    let key = Key::random()?;
    let url = format!("http://127.0.0.1:{port}/#key={}", key.text());
    let cluster = Arc::new(cluster);
    let namespace = Some(cluster.namespace.clone()).filter(|_| !args.all_namespaces);
    let snapshots = live::start(&cluster, namespace.as_deref());
    let app = App::new(cluster, namespace, snapshots);
    say(&format!(
        "dashboard: {url}\nIt acts with your rights: the address is for you alone. Ctrl-c ends it.\n"
    ));
    if !args.no_open && open::that_detached(&url).is_err() {
        say("No browser was found: open that address in one on this machine.\n");
    }
    tokio::select! {
        () = serve::serve(listener, routes::router(app, Guard::new(port, key))) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(String::new())
}

/// Said at once, since the command does not end.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).ok();
    out.flush().ok();
}

#[cfg(test)]
mod tests;

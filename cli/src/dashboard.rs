//! `dashboard`: a page on this machine that shows groups live, and moves or pauses their roles.
//!
//! The page is a part of the program; it asks this server alone, which asks the cluster with its
//! user's rights. Credentials of the cluster stay here. Absent from it: whatever makes the page
//! reachable from elsewhere.

mod assets;
mod frames;
mod guard;
mod handoff;
mod routes;
mod serve;

use crate::args::DashboardArgs;
use crate::connect::Cluster;
use crate::failure::Failure;
use crate::live;
use guard::{Guard, Key};
use handoff::Handoff;
use routes::App;
use serde_json::Value;
use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Runs it until it is ended.
pub(crate) async fn run(cluster: Cluster, args: &DashboardArgs) -> Result<String, Failure> {
    let mut ended = signal(SignalKind::terminate()).map_err(Failure::Runtime)?;
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
    let guard = Guard::new(port, key);
    let used = guard.used();
    let handoff = (!args.no_open).then(|| open(&url)).flatten();
    // Ends with the others, and the file with it, also where no page was opened.
    let until_used = async move {
        used.notified().await;
        drop(handoff);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = serve::serve(listener, routes::router(app, guard)) => {}
        _ = tokio::signal::ctrl_c() => {}
        _ = ended.recv() => {}
        () = until_used => {}
    }
    Ok(String::new())
}

/// Has a browser open the page; returns what it needs for that.
fn open(url: &str) -> Option<Handoff> {
    let handed = Handoff::new(url).and_then(|handoff| {
        open::that_detached(handoff.file())?;
        Ok(handoff)
    });
    match handed {
        Ok(handoff) => Some(handoff),
        Err(why) => {
            say(&format!(
                "No browser was started ({why}): open that address in one on this machine.\n"
            ));
            None
        }
    }
}

/// Said at once, since the command does not end.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).ok();
    out.flush().ok();
}

#[cfg(test)]
mod tests;

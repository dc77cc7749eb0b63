//! Brings the API server, which lives in the hub's network, to a port of this machine.
//!
//! Standard input is the listening socket, opened outside the hub; connections are made inside.

use std::net::TcpListener;
use std::os::fd::AsFd;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::error::{Doing, Error, Result};

/// Helper: its argument is the address to connect to.
pub(crate) const HELPER: &str = "relay";
const CONNECTIONS_MAX: usize = 1024;

pub(crate) fn run(args: &[String]) -> Result<()> {
    let action = || "relay connections".to_string();
    let [target] = args else {
        return Err(Error::new(action(), "one argument is needed"));
    };
    let socket = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .doing(action)?;
    let listener = TcpListener::from(socket);
    listener.set_nonblocking(true).doing(action)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing(action)?
        .block_on(serve(listener, target.clone()))
        .doing(action)
}

/// Runs until the process ends with its namespace.
async fn serve(listener: TcpListener, target: String) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(permit) = room.clone().acquire_owned().await {
        let (mut outside, _) = listener.accept().await?;
        let target = target.clone();
        tokio::spawn(async move {
            let _permit = permit;
            // A peer that goes away, or an API server that is down, is a closed connection.
            if let Ok(mut inside) = TcpStream::connect(&target).await {
                let _nodelay = (outside.set_nodelay(true), inside.set_nodelay(true));
                let _closed = copy_bidirectional(&mut outside, &mut inside).await;
            }
        });
    }
    Ok(())
}

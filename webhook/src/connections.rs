//! A bound on open connections: whoever reaches the port may open as many as they like.

use axum_server::accept::Accept;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;

/// Connections at once. An API server keeps a handful.
pub const CONNECTIONS_MAX: usize = 1024;

/// Takes connections while there is room, and closes others at once.
#[derive(Debug, Clone)]
pub struct Bounded {
    room: Arc<Semaphore>,
}

impl Bounded {
    /// Room for this many connections.
    pub fn new(connections_max: usize) -> Self {
        Self {
            room: Arc::new(Semaphore::new(connections_max)),
        }
    }
}

impl<S> Accept<TcpStream, S> for Bounded {
    type Stream = TcpStream;
    type Service = Held<S>;
    type Future = std::future::Ready<io::Result<(TcpStream, Held<S>)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let full = |_| io::Error::other("too many connections");
        let accepted = self
            .room
            .clone()
            .try_acquire_owned()
            .map_err(full)
            .and_then(|permit| {
                // Answers are small and single: nothing is gained by waiting for more.
                stream.set_nodelay(true)?;
                Ok((
                    stream,
                    Held {
                        service,
                        _permit: Arc::new(permit),
                    },
                ))
            });
        std::future::ready(accepted)
    }
}

/// The service of one connection, with its place among the open ones.
#[derive(Debug, Clone)]
pub struct Held<S> {
    service: S,
    _permit: Arc<OwnedSemaphorePermit>,
}

impl<S: Service<R>, R> Service<R> for Held<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.service.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn there_is_room_for_so_many_and_no_more() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bounded = Bounded::new(1);
        let accept = async || {
            let client = TcpStream::connect(address).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            bounded
                .accept(stream, ())
                .await
                .map(|(stream, held)| (client, stream, held))
        };
        let first = accept().await.unwrap();
        assert_eq!(
            accept().await.unwrap_err().to_string(),
            "too many connections"
        );
        drop(first);
        assert!(accept().await.is_ok());
    }
}

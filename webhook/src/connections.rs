//! A bound on open connections: whoever reaches the port may open as many as they like.
//!
//! When all places are taken, a newcomer gets that of a connection which is idle: the one of the
//! source with the most connections that has waited longest. So thousands of idle connections cost
//! an API server nothing: it has few, and uses them.

mod open_files;
mod places;

use bytes::{Buf, BytesMut};
pub use open_files::connections_max;
use places::Places;
pub use places::{InUse, Place};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::io::poll_read_buf;

/// Connections at once. An API server keeps a handful.
const CONNECTIONS_MAX: usize = 1024;
/// Connections of the server that probes and figures come from.
pub const ADMIN_CONNECTIONS_MAX: usize = 64;
/// Connections that were accepted and have no place yet, or none any more.
const BETWEEN_MAX: usize = 32;

/// What is read from the kernel at once, bytes. TLS would ask it for 4 KiB each time, and for the
/// rest of a record: six calls for a review of 22 KB.
const READ_BYTES: usize = 32 * 1024;

/// Takes connections, and makes room for them.
#[derive(Debug, Clone)]
pub struct Bounded {
    places: Arc<Places>,
    open: Arc<Semaphore>,
}

impl Bounded {
    /// Room for this many connections.
    pub fn new(connections_max: usize) -> Self {
        Self {
            places: Arc::new(Places::new(connections_max)),
            open: Arc::new(Semaphore::new(connections_max + BETWEEN_MAX)),
        }
    }

    /// Waits until one more connection may be accepted; the permit is kept until it is closed.
    ///
    /// # Errors
    /// Never.
    pub async fn room(&self) -> io::Result<OwnedSemaphorePermit> {
        let room = self.open.clone().acquire_owned().await;
        room.map_err(io::Error::other)
    }

    /// Lets a connection converse for as long as it has a place.
    ///
    /// # Errors
    /// If there is none, it is given away, or the conversation fails.
    pub async fn seat<F>(
        &self,
        stream: TcpStream,
        converse: impl FnOnce(Seated, Arc<Place>) -> F,
    ) -> io::Result<()>
    where
        F: Future<Output = io::Result<()>>,
    {
        // Answers are small and single: nothing is gained by waiting for more.
        stream.set_nodelay(true)?;
        let (place, given_away) = self
            .places
            .take(stream.peer_addr()?.ip())
            .ok_or_else(|| io::Error::other("too many connections, and all of them in use"))?;
        let place = Arc::new(place);
        let seated = Seated {
            stream,
            read: BytesMut::new(),
        };
        // Whatever the conversation waits for: a place that is given away is left at once.
        tokio::select! {
            biased;
            _ = given_away => Err(io::ErrorKind::ConnectionAborted.into()),
            ended = converse(seated, place.clone()) => ended,
        }
    }
}

/// A connection that has a place.
#[derive(Debug)]
pub struct Seated {
    stream: TcpStream,
    /// What was read and nobody has taken yet. While a connection is idle it holds no memory.
    read: BytesMut,
}

impl Seated {
    fn stream(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(&mut self.stream)
    }
}

impl AsyncRead for Seated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            let mut read = BytesMut::with_capacity(READ_BYTES);
            ready!(poll_read_buf(self.stream(), cx, &mut read))?;
            self.read = read;
        }
        let taken = buffer.remaining().min(self.read.len());
        buffer.put_slice(&self.read[..taken]);
        self.read.advance(taken);
        if self.read.is_empty() {
            self.read = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Seated {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

/// A place of its own.
#[cfg(test)]
pub(crate) fn place() -> Arc<Place> {
    let (place, _) = Places::new(1).take([127, 0, 0, 1].into()).unwrap();
    Arc::new(place)
}

#[cfg(test)]
mod tests;

//! A bound on open connections: whoever reaches the port may open as many as they like.
//!
//! When all places are taken, a newcomer gets that of a connection which is idle: the one of the
//! source with the most connections that has waited longest. So thousands of idle connections cost
//! an API server nothing: it has few, and uses them.

mod places;

use bytes::{Buf, BytesMut};
pub use places::Place;
use places::Places;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_util::io::poll_read_buf;

/// Connections at once. An API server keeps a handful.
pub const CONNECTIONS_MAX: usize = 1024;

/// What is read from the kernel at once, bytes. TLS would ask it for 4 KiB each time, and for the
/// rest of a record: six calls for a review of 22 KB.
const READ_BYTES: usize = 32 * 1024;

/// Takes connections, and makes room for them.
#[derive(Debug, Clone)]
pub struct Bounded {
    places: Arc<Places>,
}

impl Bounded {
    /// Room for this many connections.
    pub fn new(connections_max: usize) -> Self {
        Self {
            places: Arc::new(Places::new(connections_max)),
        }
    }

    /// Gives a connection a place.
    ///
    /// # Errors
    /// If there is none, or the connection has ended.
    pub fn seat(&self, stream: TcpStream) -> io::Result<(Seated, Arc<Place>)> {
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
            given_away: Some(given_away),
            _place: place.clone(),
        };
        Ok((seated, place))
    }
}

/// A connection that ends when its place is given away.
#[derive(Debug)]
pub struct Seated {
    stream: TcpStream,
    /// What was read and nobody has taken yet. While a connection is idle it holds no memory.
    read: BytesMut,
    given_away: Option<oneshot::Receiver<()>>,
    _place: Arc<Place>,
}

impl Seated {
    /// The stream, unless its place has been given away.
    fn stream(&mut self, cx: &mut Context<'_>) -> io::Result<Pin<&mut TcpStream>> {
        let over = match &mut self.given_away {
            Some(given_away) => Pin::new(given_away).poll(cx).is_ready(),
            None => true,
        };
        if over {
            self.given_away = None;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(Pin::new(&mut self.stream))
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
            ready!(poll_read_buf(self.stream(cx)?, cx, &mut read))?;
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
        self.stream(cx)?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream(cx)?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream(cx)?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;

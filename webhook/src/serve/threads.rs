//! The threads that answer reviews, each with connections of its own.
//!
//! A connection stays with its thread: nothing of a review is handed from one to another, and no
//! thread wakes another one.

use memory::allocator::keep_in_this_thread;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread::{Builder, available_parallelism};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

/// Most threads. One answers some ten thousand reviews a second, which is more than all API servers
/// of a cluster ask.
const THREADS_MAX: usize = 4;
/// Cores for one thread. The other is for who asks, and for the rest of the node: with a thread on
/// each, every answer pushes aside a thread that works on another, and costs half as much again.
const CORES: usize = 2;

/// Connections that a thread looks after in turn before it asks the kernel which others have
/// something. What it reads of a few at once is still near the processor when all of a review is
/// there; of many it would have to be fetched again.
const IN_TURN: usize = 4;

/// The threads. They end when this is dropped, with the connections that they have.
pub(super) struct Threads {
    threads: Vec<Thread>,
    ended: Arc<Notify>,
}

/// Tells that a thread ends, also if it panics.
struct Ends(Arc<Notify>);

struct Thread {
    runtime: Handle,
    /// One more reference for each of its connections.
    connections: Arc<()>,
    _lives: oneshot::Sender<Infallible>,
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Threads {
    /// One for every two cores that this program may use, and one at least.
    ///
    /// # Errors
    /// If the kernel gives none.
    pub(super) fn start() -> io::Result<Self> {
        let count = available_parallelism().map_or(1, usize::from);
        let ended = Arc::default();
        let count = (count / CORES).clamp(1, THREADS_MAX);
        let threads = (0..count).map(|_| Thread::start(Ends(Arc::clone(&ended))));
        let threads = threads.collect::<io::Result<_>>()?;
        Ok(Self { threads, ended })
    }

    /// None but the one that asks.
    pub(super) fn none() -> Self {
        Self {
            threads: Vec::new(),
            ended: Arc::default(),
        }
    }

    /// Waits until one has ended: what it is given is not served any more.
    pub(super) async fn ended(&self) {
        self.ended.notified().await;
    }

    /// Ends one.
    #[cfg(test)]
    pub(super) fn end_one(&mut self) {
        self.threads[0]._lives = oneshot::channel().0;
    }

    /// Lets the thread with the fewest connections serve one more.
    pub(super) fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let least = |thread: &&Thread| Arc::strong_count(&thread.connections);
        let Some(thread) = self.threads.iter().min_by_key(least) else {
            tokio::spawn(connection);
            return;
        };
        let counted = thread.connections.clone();
        thread.runtime.spawn(async move {
            connection.await;
            drop(counted);
        });
    }
}

impl Thread {
    fn start(ends: Ends) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_io_events_per_tick(IN_TURN)
            .build()?;
        let handle = runtime.handle().clone();
        let (lives, ended) = oneshot::channel();
        Builder::new().name("reviews".to_owned()).spawn(move || {
            let _ends = ends;
            keep_in_this_thread();
            // It is never sent: this returns when the other end is dropped.
            runtime.block_on(ended).ok();
        })?;
        Ok(Self {
            runtime: handle,
            connections: Arc::default(),
            _lives: lives,
        })
    }
}

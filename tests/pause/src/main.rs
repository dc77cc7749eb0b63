//! The sandbox container of every pod: it holds the pod's namespaces and does nothing.
//!
//! containerd ends it with SIGKILL, so it needs no signal handler.

fn main() {
    loop {
        std::thread::park();
    }
}

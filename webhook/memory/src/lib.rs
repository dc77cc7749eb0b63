//! What musl is slow at: copies of a few bytes, and handing out memory.
//!
//! The webhook is a static program, with musl for its C library. A review is some thousand copies
//! of a few bytes each, and some hundred small pieces of memory, made and given back. musl is made
//! to be small: more than half of a review's time went into these.
//!
//! The only crate of the project with unsafe code, and the only one that may have any.

pub mod allocator;
#[cfg(all(target_arch = "x86_64", any(target_env = "musl", test)))]
mod copy;

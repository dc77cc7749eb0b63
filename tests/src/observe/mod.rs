//! What a watcher beside the cluster sees of a group, and what it follows from that: who was active
//! when, whether ever two or none, and how requests fared meanwhile.
//!
//! `overlap`, `timeline` and `verdict` are pure; `watcher` fills a timeline from a live API server.

pub mod overlap;
pub mod process;
pub mod signs;
pub mod timeline;
pub mod verdict;
pub mod watcher;

pub use signs::{Routing, Signs};
pub use timeline::{Change, Timeline};
pub use verdict::{Answer, Verdict, judge};
pub use watcher::{Watcher, is_ready};

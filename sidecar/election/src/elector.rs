//! stub
use crate::*;
/// The elector of one pod.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Elector { params: Params }
impl Elector {
    /// An elector that knows nothing yet.
    pub fn new(params: Params) -> Self { Self { params } }
    /// Takes one piece of news.
    pub fn step(&mut self, _now: Mono, _input: Input) -> Step { unimplemented!() }
    /// Where this pod stands at `now`.
    pub fn standing(&self, _now: Mono) -> Standing { unimplemented!() }
    /// The group as this pod sees it.
    pub fn peers(&self) -> Vec<Peer> { vec![] }
    /// holderIdentity of the Lease as last seen.
    pub fn holder(&self) -> Option<&str> { None }
    /// Milliseconds since the record of the Lease was first seen unchanged.
    pub fn observed_age_ms(&self, _now: Mono) -> Option<u64> { None }
}

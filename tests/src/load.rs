//! load (to come)
use crate::cluster::{Error, Result};
pub(crate) const HELPER: &str = "load";
pub(crate) fn run(_args: &[String]) -> Result<()> {
    Err(Error::new("a", "b"))
}

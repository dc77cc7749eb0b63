//! What an elector does differently where it shares its Lease or its pods with electors of another
//! kind. The default is what it does among its own.

use common::ids::HolderForm;
use common::role::Giving;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Customs {
    /// How holders write themselves into the Lease.
    pub holder: HolderForm,
    /// How a planned move gives the Lease away.
    pub giving: Giving,
    /// Whether every object that carries a role carries its term as well. Where nobody fences, nobody
    /// reads it.
    pub terms: bool,
}

impl Default for Customs {
    fn default() -> Self {
        Self {
            holder: HolderForm::NameAndUid,
            giving: Giving::Directed,
            terms: true,
        }
    }
}

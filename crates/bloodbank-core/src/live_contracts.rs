//! Contracts that a running process can swap.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::Contracts;

/// The contracts that are in force now. Cheap to clone; clones share them.
///
/// Everything that judges takes [`current`](LiveContracts::current) once for each piece of work, so
/// that what is in flight while they are swapped ends with the contracts it began with.
///
/// ```
/// use bloodbank_core::{Bundle, Contracts, LiveContracts};
///
/// let live = LiveContracts::from(Contracts::new(Bundle::default()));
/// let before = live.current();
/// live.replace(Contracts::new(Bundle::default()));
/// assert_eq!(before.bundle(), live.current().bundle());
/// ```
#[derive(Clone)]
pub struct LiveContracts {
    current: Arc<RwLock<Contracts>>,
}

impl LiveContracts {
    /// The contracts in force.
    pub fn current(&self) -> Contracts {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts other contracts in force, for all clones, and returns those that were.
    pub fn replace(&self, contracts: Contracts) -> Contracts {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut current, contracts)
    }
}

impl From<Contracts> for LiveContracts {
    fn from(contracts: Contracts) -> Self {
        LiveContracts { current: Arc::new(RwLock::new(contracts)) }
    }
}

impl fmt::Debug for LiveContracts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LiveContracts").field(&self.current()).finish()
    }
}

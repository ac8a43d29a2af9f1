//! Exchanges that somebody met missing when publishing.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bloodbank_bus::TransportError;

use crate::assert::is_exchange_there;
use crate::link::Generation;

/// The exchanges that were met missing on one connection.
#[derive(Default)]
pub(crate) struct Absent {
    /// By name: whether it was missing still when it was looked for afterwards.
    met: Mutex<BTreeMap<String, bool>>,
}

impl Absent {
    /// Somebody met it missing; it is looked for at the next look.
    pub(crate) fn meet(&self, exchange: &str) {
        let mut met = self.met();
        if !met.contains_key(exchange) {
            met.insert(exchange.to_owned(), false);
        }
    }

    /// Whether there is one that was looked for and not found.
    pub(crate) fn is_any(&self) -> bool {
        self.met().values().any(|absent| *absent)
    }

    /// Whether it was looked for and not found.
    pub(crate) fn holds(&self, exchange: &str) -> bool {
        self.met().get(exchange).copied().unwrap_or_default()
    }

    /// Looks for each; what is there again is forgotten.
    ///
    /// # Errors
    /// If the broker does not say; what was known before stays.
    pub(crate) async fn look(&self, generation: &Generation) -> Result<(), TransportError> {
        let names: Vec<String> = self.met().keys().cloned().collect();
        for name in names {
            if is_exchange_there(generation, &name).await? {
                self.met().remove(&name);
            } else {
                self.met().insert(name, true);
            }
        }
        Ok(())
    }

    fn met(&self) -> MutexGuard<'_, BTreeMap<String, bool>> {
        // No code that holds the lock can leave the names half changed.
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

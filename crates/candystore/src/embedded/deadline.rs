//! What is published has its outcome by its deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bloodbank_bus::{Outage, TransportError};
use tokio::time::{Instant, timeout_at};

use super::transport_error;
use crate::writer::Transaction;
use crate::{EventStore, StoreError};

/// How long a message may wait for its outcome, from the moment when there was room for it.
pub(super) const OUTCOME: Duration = Duration::from_secs(5);

/// Does something in a transaction of the store. What has not begun by the deadline is never done; of what
/// has begun and is not committed by then the outcome is unknown.
pub(super) async fn by<T, F>(
    deadline: Instant,
    store: &EventStore,
    job: F,
) -> Result<T, TransportError>
where
    T: Send + 'static,
    F: AsyncFnOnce(&mut Transaction) -> Result<T, StoreError> + Send + 'static,
{
    // Set by whoever is first: the job that begins, or the deadline.
    let is_decided = Arc::new(AtomicBool::new(false));
    let begins = is_decided.clone();
    let job = async move |transaction: &mut Transaction| {
        match begins.swap(true, Ordering::AcqRel) {
            false => job(transaction).await,
            // It was given up, and nobody hears this.
            true => Err(StoreError::Closed),
        }
    };
    match timeout_at(deadline, store.writer().run(job)).await {
        Ok(done) => done.map_err(transport_error),
        Err(_) if is_decided.swap(true, Ordering::AcqRel) => Err(TransportError::Unknown),
        Err(_) => Err(TransportError::Disconnected { outage: Outage::Silent { waited: OUTCOME } }),
    }
}

/// Whether it says that the store takes nothing at the moment, and has taken nothing.
pub(super) fn is_untaken(error: &TransportError) -> bool {
    matches!(error, TransportError::Unavailable { .. } | TransportError::Disconnected { .. })
}

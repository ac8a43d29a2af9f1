//! Looking whether retention is due, as long as a process has the store open to record or to consume.

use std::future::pending;
use std::time::Duration;

use tokio::time::sleep;

use super::RetentionRule;
use super::lease::random;
use crate::{EventStore, StoreError};

/// How often it is looked whether it is due; up to half of it later.
const LOOK: Duration = Duration::from_secs(60);

/// Carries retention out whenever it is due. Never ends; may be dropped whenever it waits, also in the
/// midst of a run, which another process then goes on with.
pub(crate) async fn keep(store: EventStore) {
    // Many processes are started to do one thing and end.
    sleep(jitter(Duration::from_secs(1))).await;
    loop {
        if RetentionRule::all_of(&store.contracts()).iter().any(|rule| rule.keep.is_some()) {
            match store.retain().await {
                Ok(_) => {}
                Err(StoreError::Denied { .. }) => {
                    tracing::info!("retention is left to processes that may delete events");
                    return pending().await;
                }
                Err(error) => tracing::warn!(%error, "retention has to wait"),
            }
        }
        sleep(LOOK + jitter(LOOK / 2)).await;
    }
}

/// Up to so long.
fn jitter(most: Duration) -> Duration {
    most.mul_f64(f64::from(random() % 1_000) / 1_000.0)
}

//! What a recorder counts.

use std::mem::discriminant;

use metrics::{Counter, counter};
use tokio::sync::watch;

use crate::{Appended, Position, StoreError};

/// The account of a recorder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// How many events and commands it has stored.
    pub stored: u64,
    /// How many came that were stored before.
    pub duplicates: u64,
    /// How many had the id of another event; they lie in quarantine.
    pub conflicts: u64,
    /// The last position that it gave; 0 if it gave none.
    pub position: Position,
    /// Why it waits for the store, as long as it does.
    pub trouble: Option<StoreError>,
}

/// The account, and the figures made of it.
pub(super) struct Counting {
    account: watch::Sender<Recorded>,
    stored: Counter,
    duplicates: Counter,
    conflicts: Counter,
}

impl Counting {
    pub(super) fn new(queue: &str) -> Self {
        let counter = |status: &'static str| {
            let queue = queue.to_owned();
            counter!("bloodbank_recorded_messages_total", "handler" => queue, "status" => status)
        };
        Counting {
            account: watch::channel(Recorded::default()).0,
            stored: counter("stored"),
            duplicates: counter("duplicate"),
            conflicts: counter("conflict"),
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Recorded> {
        self.account.subscribe()
    }

    pub(super) fn account(&self) -> Recorded {
        self.account.borrow().clone()
    }

    /// Counts what was committed, and says so if the store had failed before.
    pub(super) fn stored(&self, appended: &[Appended]) {
        let mut of_batch = Recorded::default();
        for one in appended {
            match one {
                Appended::Stored(position) => {
                    of_batch.stored += 1;
                    of_batch.position = *position;
                }
                Appended::Duplicate(_) => of_batch.duplicates += 1,
                Appended::Conflict(_) => of_batch.conflicts += 1,
            }
        }
        self.stored.increment(of_batch.stored);
        self.duplicates.increment(of_batch.duplicates);
        self.conflicts.increment(of_batch.conflicts);
        self.account.send_modify(|account| {
            account.stored += of_batch.stored;
            account.duplicates += of_batch.duplicates;
            account.conflicts += of_batch.conflicts;
            account.position = account.position.max(of_batch.position);
            if account.trouble.take().is_some() {
                tracing::info!(position = account.position, "the store takes events again");
            }
        });
    }

    /// Notes that the store has failed, and says so unless it is the same as before.
    pub(super) fn waits(&self, error: StoreError) {
        self.account.send_if_modified(|account| {
            let before = account.trouble.as_ref().map(discriminant);
            if before == Some(discriminant(&error)) {
                return false;
            }
            tracing::warn!(%error, "nothing is stored; what comes waits in its queues");
            account.trouble = Some(error);
            true
        });
    }
}

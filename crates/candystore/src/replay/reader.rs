//! Reading what is to be replayed, page by page, each event judged by the contracts of today.

use std::collections::VecDeque;

use bloodbank_core::Contracts;

use crate::record::violation;
use crate::{EventPages, EventStore, Filter, StoreError, StoredEvent};

/// An event, and the first thing wrong with it.
pub(super) struct Read {
    pub(super) event: StoredEvent,
    pub(super) violation: Option<String>,
}

/// Reads the events of a filter, oldest first.
///
/// The contracts are those in force when it begins, to the end.
pub(super) struct Reader {
    contracts: Contracts,
    pages: EventPages,
    page: VecDeque<Read>,
}

impl Reader {
    pub(super) async fn new(store: &EventStore, filter: Filter) -> Result<Self, StoreError> {
        let pages = store.pages(filter).await?;
        Ok(Reader { contracts: store.contracts(), pages, page: VecDeque::new() })
    }

    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// If the database cannot be asked; [`StoreError::Damaged`] if an event is not what was stored.
    pub(super) async fn next(&mut self) -> Result<Option<Read>, StoreError> {
        if self.page.is_empty() {
            let events = self.pages.next().await?;
            if let Some(damaged) = self.pages.take_damaged().into_iter().next() {
                return Err(damaged.error());
            }
            self.page = self.judge(events).await?;
        }
        Ok(self.page.pop_front())
    }

    async fn judge(&self, events: Vec<StoredEvent>) -> Result<VecDeque<Read>, StoreError> {
        let contracts = self.contracts.clone();
        let judge = move |event: StoredEvent| {
            let violation = violation(&contracts, &event);
            Read { event, violation }
        };
        let judging = tokio::task::spawn_blocking(move || events.into_iter().map(judge).collect());
        // An error means that the runtime ends.
        judging.await.map_err(|_| StoreError::Closed)
    }
}

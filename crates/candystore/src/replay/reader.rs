//! Reading what is to be replayed, part by part, each event judged by the contracts of today.

use std::collections::VecDeque;

use crate::record::violation;
use crate::{Cursor, EventStore, Filter, Order, StoreError, StoredEvent};

/// How many events are read at a time.
const PART: usize = 256;

/// An event, and the first thing wrong with it.
pub(super) struct Read {
    pub(super) event: StoredEvent,
    pub(super) violation: Option<String>,
}

/// Reads the events of a filter, oldest first.
pub(super) struct Reader {
    store: EventStore,
    filter: Filter,
    cursor: Option<Cursor>,
    is_at_end: bool,
    part: VecDeque<Read>,
}

impl Reader {
    pub(super) fn new(store: EventStore, filter: Filter) -> Self {
        Reader { store, filter, cursor: None, is_at_end: false, part: VecDeque::new() }
    }

    /// The next event; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Read>, StoreError> {
        while self.part.is_empty() && !self.is_at_end {
            let cursor = self.cursor.as_ref();
            let page = self.store.page(&self.filter, Order::Oldest, PART, cursor).await?;
            self.part = self.judge(page.events).await?;
            self.is_at_end = page.next.is_none();
            self.cursor = page.next;
        }
        Ok(self.part.pop_front())
    }

    async fn judge(&self, events: Vec<StoredEvent>) -> Result<VecDeque<Read>, StoreError> {
        let contracts = self.store.contracts();
        let judge = move |event: StoredEvent| {
            let violation = violation(contracts, &event.key, &event.body);
            Read { event, violation }
        };
        let judging = tokio::task::spawn_blocking(move || events.into_iter().map(judge).collect());
        // An error means that the runtime ends.
        judging.await.map_err(|_| StoreError::Closed)
    }
}

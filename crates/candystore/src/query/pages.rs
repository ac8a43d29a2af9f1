//! Everything that passes, a page at a time.

use super::scan::{Most, scan};
use crate::sql::Connection;
use crate::{DamagedEvents, EventStore, Filter, Order, Position, StoreError, StoredEvent};

/// How much there is in memory of what is read from one end to the other.
const PAGE: Most = Most { events: 500, bytes: 4 << 20 };

/// The events of a filter, oldest first, of which few are in memory at a time.
pub struct EventPages {
    store: EventStore,
    filter: Filter,
    /// Everything up to here was looked at.
    after: Option<Position>,
    is_at_end: bool,
    damaged: Vec<DamagedEvents>,
}

impl EventStore {
    /// The events that pass a filter, up to what is now the last one.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn pages(&self, mut filter: Filter) -> Result<EventPages, StoreError> {
        let head = self.position().await?;
        filter.last = Some(filter.last.map_or(head, |last| last.min(head)));
        Ok(EventPages {
            store: self.clone(),
            filter,
            after: None,
            is_at_end: false,
            damaged: Vec::new(),
        })
    }
}

impl EventPages {
    /// The next events: at least one, at most 500, and none behind the one that brings their bodies
    /// over 4 MiB. No event when there are no more.
    ///
    /// # Errors
    /// If the database cannot be asked, or what stands in it cannot be read.
    pub async fn next(&mut self) -> Result<Vec<StoredEvent>, StoreError> {
        while !self.is_at_end {
            let (filter, after) = (self.filter.clone(), self.after);
            let read =
                async move |c: &mut Connection| scan(c, &filter, Order::Oldest, PAGE, after).await;
            let scanned = self.store.readers().run(read).await?;
            (self.after, self.is_at_end) = (Some(scanned.to), scanned.is_all);
            self.damaged.extend(scanned.damaged);
            if !scanned.events.is_empty() {
                return Ok(scanned.events);
            }
        }
        Ok(Vec::new())
    }

    /// What was damaged among the events so far, as in [`Page::damaged`](crate::Page::damaged); each is
    /// told once.
    pub fn take_damaged(&mut self) -> Vec<DamagedEvents> {
        std::mem::take(&mut self.damaged)
    }
}

//! A part of a list.

use super::scan::{Most, scan};
use crate::sql::Connection;
use crate::{Cursor, DamagedEvents, EventStore, Filter, Order, StoreError, StoredEvent};

/// The event that brings the bodies of a page over so many bytes is its last one.
const MOST_BYTES: u64 = 16 << 20;

/// A part of a list.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Page {
    /// Events, in the order that was asked for.
    pub events: Vec<StoredEvent>,
    /// What of the page is damaged, whether or not it would pass the filter, in the same order. What is
    /// lost is told if the filter names at most times, positions, fields and events alone.
    pub damaged: Vec<DamagedEvents>,
    /// Where to go on; `None` at the end of what is stored.
    pub next: Option<Cursor>,
}

impl EventStore {
    /// The most events in one page.
    pub const MOST_IN_PAGE: usize = 1_000;

    /// A part of the events that pass a filter: up to `limit` of them (1 to
    /// [`MOST_IN_PAGE`](EventStore::MOST_IN_PAGE); anything else is taken for the nearest), behind the
    /// cursor.
    ///
    /// One call looks at so many events and no more, and the event that brings the bodies over 16 MiB
    /// is the last one. So where few of them pass or they are large, a page may have fewer events than
    /// the limit, or none, and still a [`next`](Page::next).
    ///
    /// # Errors
    /// [`StoreError::Cursor`] if the cursor goes with another order or filter; if the database cannot
    /// be asked.
    pub async fn page(
        &self,
        filter: &Filter,
        order: Order,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page, StoreError> {
        let after = cursor.map(|cursor| cursor.position(filter, order)).transpose()?;
        let limit = limit.clamp(1, EventStore::MOST_IN_PAGE);
        let asked = filter.clone();
        // One more tells whether there is more.
        let most = Most { events: limit + 1, bytes: MOST_BYTES };
        let scanned = self
            .readers()
            .run(async move |c: &mut Connection| scan(c, &asked, order, most, after).await);
        let mut scanned = scanned.await?;
        if scanned.events.len() > limit {
            scanned.events.truncate(limit);
            let last = scanned.events.last().map(|event| event.position);
            let next = last.map(|position| Cursor::new(filter, order, position));
            let mut damaged = scanned.damaged;
            damaged.retain(|damaged| match order {
                Order::Oldest => last > Some(damaged.last),
                Order::Newest => last < Some(damaged.first),
            });
            return Ok(Page { events: scanned.events, damaged, next });
        }
        let next = (!scanned.is_all).then(|| Cursor::new(filter, order, scanned.to));
        Ok(Page { events: scanned.events, damaged: scanned.damaged, next })
    }
}

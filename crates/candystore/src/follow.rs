//! What is stored, and then what comes.

use std::collections::VecDeque;

use bloodbank_bus::Start;
use tokio::sync::watch;

use crate::pruned;
use crate::query::{Most, first_since, scan};
use crate::sql::Connection;
use crate::{
    DamagedEvents, EventStore, Filter, Order, Position, PrunedRange, StoreError, StoredEvent,
};

/// How much is read ahead.
const AHEAD: Most = Most { events: 500, bytes: 16 << 20 };

/// What a follower is told.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "nearly all of them are events")]
pub enum Followed {
    /// An event that passes the filter.
    Event(StoredEvent),
    /// What comes next is damaged or lost. Whether it would have passed the filter is not known; of what
    /// is lost it is told if the filter names neither keys nor sources, sessions, correlations or
    /// validities.
    Damaged(DamagedEvents),
    /// Retention has let go of what would have come next: from here on, up to the last of these
    /// positions. Whether any of it would have passed the filter, nobody knows any more.
    Pruned(PrunedRange),
}

impl Followed {
    /// The position, or the first of several.
    fn position(&self) -> Position {
        match self {
            Followed::Event(event) => event.position,
            Followed::Damaged(damaged) => damaged.first,
            Followed::Pruned(range) => range.first,
        }
    }
}

/// Follows a store: history first, then what is written, by whichever process. In the order of
/// positions, without a gap and without a repeat.
///
/// Positions have no gaps and are in the order of commits, so what comes behind a position that was
/// seen was not there before.
pub struct Follow {
    store: EventStore,
    filter: Filter,
    /// Everything up to here was looked at.
    to: Position,
    ahead: VecDeque<Followed>,
    pulse: watch::Receiver<i64>,
    is_at_end: bool,
}

impl EventStore {
    /// Follows what passes a filter.
    ///
    /// # Errors
    /// If the database cannot be asked, or the machine has no thread for us.
    pub async fn follow(&self, filter: Filter, start: Start) -> Result<Follow, StoreError> {
        let pulse = self.pulse()?;
        let asked = async move |c: &mut Connection| before(c, start).await;
        let to = self.readers().run(asked).await?;
        let store = self.clone();
        Ok(Follow { store, filter, to, ahead: VecDeque::new(), pulse, is_at_end: false })
    }
}

/// The last position before the one to begin at.
pub(crate) async fn before(c: &mut Connection, start: Start) -> Result<Position, StoreError> {
    let head = c.query_one("SELECT position FROM head", &[]).await?.position(0)?;
    Ok(match start {
        Start::Beginning => 0,
        Start::Position(position) => position.saturating_sub(1),
        // What is stored while we ask has a position behind the head.
        Start::Time(time) => first_since(c, head, time).await?.map_or(head, |first| first - 1),
        _ => head,
    })
}

impl Follow {
    /// The next event. Waits for one, for as long as it takes.
    ///
    /// May be dropped while it waits, and called again after an error: nothing is lost.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn next(&mut self) -> Result<Followed, StoreError> {
        loop {
            if let Some(next) = self.next_stored().await? {
                return Ok(next);
            }
            self.pulse.changed().await.map_err(|_| StoreError::Closed)?;
        }
    }

    /// The next event that is stored by now; `None` where all of them are told.
    ///
    /// May be dropped while it reads, and called again after an error: nothing is lost.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn next_stored(&mut self) -> Result<Option<Followed>, StoreError> {
        loop {
            if let Some(next) = self.ahead.pop_front() {
                return Ok(Some(next));
            }
            self.pulse.borrow_and_update();
            match self.read().await? {
                Read::Pruned(range) => return Ok(Some(Followed::Pruned(range))),
                Read::All if self.ahead.is_empty() => {
                    self.is_at_end = true;
                    return Ok(None);
                }
                _ => {}
            }
        }
    }

    /// Everything up to here was looked at, and what passed is told or about to be.
    pub fn position(&self) -> Position {
        self.to
    }

    /// Whether all there was has been told when it was last looked.
    pub(crate) fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Reads ahead.
    async fn read(&mut self) -> Result<Read, StoreError> {
        let (filter, to) = (self.filter.clone(), self.to);
        let read = async move |c: &mut Connection| match pruned::at(c, to + 1).await? {
            Some(range) => Ok(Err(range)),
            None => scan(c, &filter, Order::Oldest, AHEAD, Some(to)).await.map(Ok),
        };
        match self.store.readers().run(read).await? {
            Ok(scanned) => {
                let events = scanned.events.into_iter().map(Followed::Event);
                let damaged = scanned.damaged.into_iter().map(Followed::Damaged);
                let mut ahead: Vec<Followed> = events.chain(damaged).collect();
                ahead.sort_by_key(Followed::position);
                self.ahead = ahead.into();
                self.is_at_end = false;
                self.to = self.to.max(scanned.to);
                Ok(if scanned.is_all { Read::All } else { Read::Some })
            }
            Err(range) => {
                let rest = PrunedRange { first: self.to + 1, ..range };
                self.to = range.last;
                Ok(Read::Pruned(rest))
            }
        }
    }
}

/// How much was read.
enum Read {
    /// All there is.
    All,
    /// There may be more.
    Some,
    /// What would have come next was pruned.
    Pruned(PrunedRange),
}

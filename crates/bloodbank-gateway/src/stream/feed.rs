//! What one stream is told, in the order of positions: first from the store, then as it passes.

use std::sync::Arc;

use bloodbank_bus::Start;
use candystore::{Filter, Follow, Position, StoreError};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::hub::{Passed, PassedEvent};
use crate::Gateway;

/// What comes next.
pub(super) enum Fed {
    /// Something that passes the filter.
    Passed(Arc<Passed>),
    /// Positions that passed while the reader was too slow.
    Gap {
        /// The first of them.
        first: Position,
        /// The last of them.
        last: Position,
    },
}

/// What is stored, and then what passes.
///
/// No position comes twice, and none is left out without a word.
pub(super) struct Feed {
    gateway: Gateway,
    filter: Filter,
    /// Whether what was missed is read from the store, instead of being told as a gap.
    refills: bool,
    /// Everything up to here was looked at.
    seen: Position,
    /// What is read from the store, before what passes is listened to.
    past: Option<Follow>,
    passing: Receiver<Arc<Passed>>,
    /// What was taken of what passes, and is not told yet.
    taken: Option<Arc<Passed>>,
    lag: Lag,
}

/// Whether something was missed of what passes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lag {
    /// Nothing.
    None,
    /// Nothing of what passes was taken yet: what is missed was missed while the past was read.
    Unread,
    /// What was missed ends where the next begins.
    Missed,
    /// The store is to be read again.
    Refill,
}

impl Feed {
    /// Begins there.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub(super) async fn open(
        gateway: &Gateway,
        filter: Filter,
        start: Start,
        refills: bool,
    ) -> Result<Self, StoreError> {
        let passing = subscribe(gateway).await?;
        let follow = gateway.store().follow(filter.clone(), start).await?;
        Ok(Feed {
            gateway: gateway.clone(),
            filter,
            refills,
            seen: follow.position(),
            past: Some(follow),
            passing,
            taken: None,
            lag: Lag::Unread,
        })
    }

    /// Everything up to here was looked at, and told if it was meant.
    pub(super) fn seen(&self) -> Position {
        self.seen
    }

    /// What comes next. May be dropped while it waits, and called again after an error: nothing is lost.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub(super) async fn next(&mut self) -> Result<Fed, StoreError> {
        loop {
            if self.lag == Lag::Refill {
                self.read_again().await?;
            }
            if let Some(passed) = self.stored().await? {
                return Ok(Fed::Passed(Arc::new(passed)));
            }
            let Some(passed) = self.take().await? else { continue };
            if self.lag == Lag::Missed && passed.first() > self.seen + 1 {
                let (first, last) = (self.seen + 1, passed.first() - 1);
                (self.seen, self.lag) = (last, Lag::None);
                return Ok(Fed::Gap { first, last });
            }
            let meant = self.meant(&passed).await?;
            (self.taken, self.lag) = (None, Lag::None);
            self.seen = self.seen.max(passed.last());
            if let Some(passed) = meant {
                return Ok(Fed::Passed(passed));
            }
        }
    }

    /// The next that is stored by now, as long as the past is read.
    async fn stored(&mut self) -> Result<Option<Passed>, StoreError> {
        while let Some(past) = &mut self.past {
            match past.next_stored().await? {
                Some(followed) => {
                    if let Some(passed) = Passed::of(followed) {
                        self.seen = passed.last();
                        return Ok(Some(passed));
                    }
                }
                None => {
                    self.seen = self.seen.max(past.position());
                    self.past = None;
                }
            }
        }
        Ok(None)
    }

    /// Takes the next of what passes; `None` where something was missed.
    async fn take(&mut self) -> Result<Option<Arc<Passed>>, StoreError> {
        if self.taken.is_none() {
            match self.passing.recv().await {
                Ok(passed) => self.taken = Some(passed),
                Err(RecvError::Lagged(_)) => {
                    let refills = self.refills || self.lag == Lag::Unread;
                    self.lag = if refills { Lag::Refill } else { Lag::Missed };
                    return Ok(None);
                }
                Err(RecvError::Closed) => {
                    self.lag = Lag::Refill;
                    return Ok(None);
                }
            }
        }
        Ok(self.taken.clone())
    }

    /// What has passed, if it is meant and is not known yet.
    async fn meant(&self, passed: &Arc<Passed>) -> Result<Option<Arc<Passed>>, StoreError> {
        if passed.last() <= self.seen {
            return Ok(None);
        }
        let Passed::Event(event) = &**passed else { return Ok(Some(passed.clone())) };
        if event.is_whole {
            return Ok(self.filter.matches(&event.event).then(|| passed.clone()));
        }
        // Too large to lie about in memory for everybody.
        let found = self.gateway.store().at(event.event.position).await?;
        let meant = found.filter(|event| self.filter.matches(event));
        Ok(meant.map(|event| Arc::new(Passed::Event(Box::new(PassedEvent::new(event))))))
    }

    async fn read_again(&mut self) -> Result<(), StoreError> {
        let passing = subscribe(&self.gateway).await?;
        let start = Start::Position(self.seen + 1);
        let past = self.gateway.store().follow(self.filter.clone(), start).await?;
        (self.passing, self.past, self.taken) = (passing, Some(past), None);
        self.lag = Lag::Unread;
        Ok(())
    }
}

async fn subscribe(gateway: &Gateway) -> Result<Receiver<Arc<Passed>>, StoreError> {
    gateway.hub().subscribe(gateway.store(), gateway.limits().stream_lag).await
}

//! Reading what a filter means, part by part.

use std::cmp::Reverse;

use super::scope::{Scope, Way};
use super::statement::{self, Statement, Window};
use crate::damaged::lost;
use crate::sql::Connection;
use crate::{DamagedEvents, Filter, Order, Position, StoreError, StoredEvent};

/// The most positions that one question looks up. A filter that almost nothing passes ends there, and
/// whoever asks goes on.
const MOST_LOOKED_UP: usize = 20_000;

/// The most bytes of events that one question reads for their fields.
const MOST_READ: u64 = 32 << 20;

/// The most events that are read at a time for their fields.
const CHUNK: usize = 128;

/// How much larger a window is than the one before that had too little.
const GROWTH: usize = 4;

/// How much may be in memory at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    pub(crate) events: usize,
    /// The event that brings the bodies over so many bytes is the last one.
    pub(crate) bytes: u64,
}

/// What was found, and how far was looked.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) events: Vec<StoredEvent>,
    /// What is not sound among what was looked at, in the order of the question. Of what is lost it is
    /// told only where every position is looked at.
    pub(crate) damaged: Vec<DamagedEvents>,
    /// In the order of the question, everything up to here was looked at.
    pub(crate) to: Position,
    /// Nothing is left to look at in this state of the store.
    pub(crate) is_all: bool,
}

/// Reads events behind `after`, as many as may be in memory, in one state of the store.
pub(crate) async fn scan(
    c: &mut Connection,
    filter: &Filter,
    order: Order,
    most: Most,
    after: Option<Position>,
) -> Result<Scanned, StoreError> {
    c.snapshot(async |c: &mut Connection| Scan::read(c, filter, order, most, after).await).await
}

struct Scan<'a> {
    filter: &'a Filter,
    scope: Scope,
    order: Order,
    most: Most,
    events: Vec<StoredEvent>,
    damaged: Vec<DamagedEvents>,
    /// How many bytes their bodies have.
    bytes: u64,
    /// How many bytes the bodies have that were read.
    read: u64,
}

impl<'a> Scan<'a> {
    async fn read(
        c: &mut Connection,
        filter: &'a Filter,
        order: Order,
        most: Most,
        after: Option<Position>,
    ) -> Result<Scanned, StoreError> {
        let mut scope = Scope::of(c, filter).await?;
        match (order, after) {
            (Order::Oldest, Some(after)) => scope.low = scope.low.max(after.saturating_add(1)),
            (Order::Newest, Some(after)) => scope.high = scope.high.min(after.saturating_sub(1)),
            (_, None) => {}
        }
        let (low, high) = (scope.low, scope.high);
        let (events, damaged) = (Vec::new(), Vec::new());
        let scan = Scan { filter, scope, order, most, events, damaged, bytes: 0, read: 0 };
        let is_of_all = scan.scope.way == Way::Position;
        let mut scanned = scan.all(c).await?;
        if is_of_all {
            let to = (!scanned.is_all).then_some(scanned.to);
            let (first, last) = match order {
                Order::Oldest => (low, to.unwrap_or(high).min(high)),
                Order::Newest => (to.unwrap_or(low).max(low), high),
            };
            let known = scanned.events.len() + scanned.damaged.len();
            scanned.damaged.extend(lost(c, first, last, known as u64).await?);
        }
        match order {
            Order::Oldest => scanned.damaged.sort_by_key(|damaged| damaged.first),
            Order::Newest => scanned.damaged.sort_by_key(|damaged| Reverse(damaged.first)),
        }
        Ok(scanned)
    }

    async fn all(mut self, c: &mut Connection) -> Result<Scanned, StoreError> {
        let arms = self.scope.arms();
        let (mut size, mut looked_up) = (self.first_size(), 0);
        loop {
            if self.scope.is_empty() {
                return Ok(self.done(None));
            }
            let most = (MOST_LOOKED_UP - looked_up) / arms;
            let (to, is_full) = self.step(c, size.min(most.max(1))).await?;
            let Some(to) = to else { return Ok(self.done(None)) };
            // A chunk that is full ends where its last event is.
            looked_up += arms * if is_full { CHUNK } else { size };
            let is_spent = looked_up + arms > MOST_LOOKED_UP || self.read > MOST_READ;
            if self.is_enough() || is_spent {
                return Ok(self.done(Some(to)));
            }
            match self.order {
                Order::Oldest => self.scope.low = to.saturating_add(1),
                Order::Newest => self.scope.high = to.saturating_sub(1),
            }
            size = if is_full { self.first_size() } else { size.saturating_mul(GROWTH) };
        }
    }

    /// Most often everything passes, so that a window of the limit's size has all that is asked for.
    fn first_size(&self) -> usize {
        if self.filter.fields.is_empty() { self.most.events } else { CHUNK }
    }

    fn is_enough(&self) -> bool {
        self.events.len() >= self.most.events || self.bytes > self.most.bytes
    }

    /// Looks up a window; gives the last position that was looked at, or `None` at the end, and
    /// whether more than fits passes in the window.
    async fn step(
        &mut self,
        c: &mut Connection,
        size: usize,
    ) -> Result<(Option<Position>, bool), StoreError> {
        let (low, high) = (self.scope.low, self.scope.high);
        let window = Window { order: self.order, low, high, size };
        let (end, is_full) = self.fitting(c, window).await?;
        if let Some(end) = end {
            let last = self.take(c, window.up_to(end)).await?;
            if is_full || self.is_enough() {
                return Ok((Some(last), true));
            }
        }
        let Statement { sql, values } = statement::edge(&self.scope, window);
        let edge = c.query_one(&sql, &values).await?;
        let is_end = edge.position(0)? < size as Position;
        Ok((if is_end { None } else { edge.maybe_position(1)? }, false))
    }

    /// The position of the last event of a window that still fits; `None` if none passes. And whether
    /// there may be more.
    async fn fitting(
        &self,
        c: &mut Connection,
        window: Window,
    ) -> Result<(Option<Position>, bool), StoreError> {
        let missing = self.most.events - self.events.len();
        let limit = if self.filter.fields.is_empty() { missing } else { CHUNK };
        let Statement { sql, values } = statement::sizes(&self.scope, window, limit);
        let rows = c.query(&sql, &values).await?;
        let (mut end, mut bytes) = (None, self.bytes);
        for row in &rows {
            end = Some(row.position(0)?);
            bytes += row.position(1)?;
            if bytes > self.most.bytes {
                return Ok((end, true));
            }
        }
        Ok((end, rows.len() >= limit))
    }

    /// Reads the events of a window until it is enough; gives the position of the last one.
    async fn take(&mut self, c: &mut Connection, window: Window) -> Result<Position, StoreError> {
        let Statement { sql, values } = statement::events(&self.scope, window);
        let mut last = 0;
        for row in &c.query(&sql, &values).await? {
            last = row.position(0)?;
            let event = match StoredEvent::sound(row)? {
                Ok(event) => event,
                Err(damaged) => {
                    self.damaged.push(damaged);
                    continue;
                }
            };
            let bytes = event.body.len() as u64;
            self.read += bytes;
            if self.filter.passes(&event) {
                self.bytes += bytes;
                self.events.push(event);
            }
            if self.is_enough() {
                break;
            }
        }
        Ok(last)
    }

    fn done(self, to: Option<Position>) -> Scanned {
        let end = match self.order {
            Order::Oldest => self.scope.head,
            Order::Newest => 0,
        };
        let (events, damaged) = (self.events, self.damaged);
        Scanned { events, damaged, to: to.unwrap_or(end), is_all: to.is_none() }
    }
}

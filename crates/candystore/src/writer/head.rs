//! What a writer must know before it writes, as the table `head` has it.

use crate::clock;
use crate::digest::Digest;
use crate::sql::Row;
use crate::summary::HeadRange;
use crate::{Position, StoreError};

/// What a writer must know before it writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    /// The last position that was given.
    pub(crate) position: Position,
    /// When that was, in microseconds since 1970.
    pub(crate) received: i64,
    /// How many events came again.
    pub(crate) duplicates: u64,
    /// How often something was committed that somebody may wait for.
    pub(super) commits: i64,
    /// That of the last position.
    pub(crate) digest: Digest,
    /// The figures that are kept are those of the events up to here.
    pub(crate) counted: Position,
    /// The last position that the table of events has room for.
    pub(crate) room: Position,
    /// When the transaction began, by the clock that is in force.
    now: i64,
}

impl Head {
    /// Before anything was read.
    pub(super) const UNKNOWN: Head = Head {
        position: 0,
        received: 0,
        duplicates: 0,
        commits: 0,
        digest: Digest::NONE,
        counted: 0,
        room: 0,
        now: 0,
    };

    /// What [`Head::of`] reads.
    pub(super) const COLUMNS: &str =
        "position, received, duplicates, commits, digest, counted, room";

    /// The next position, and when it is given.
    pub(crate) fn next(&mut self, received: Option<i64>) -> (Position, i64) {
        self.position += 1;
        self.received = clock::next(self.received, self.now, received);
        (self.position, self.received)
    }

    /// Now, in microseconds since 1970, as far as time has not gone back.
    pub(crate) fn now(&self) -> i64 {
        clock::next(self.received, self.now, None)
    }

    /// What the clock says, in microseconds since 1970.
    pub(crate) fn clock(&self) -> i64 {
        self.now
    }

    /// The same at another time.
    pub(super) fn at(self, now: i64) -> Self {
        Head { now, ..self }
    }

    /// How far events are counted, and how far there are any.
    pub(crate) fn range(&self) -> HeadRange {
        HeadRange { counted: self.counted, position: self.position }
    }

    /// Of a row of [`Head::COLUMNS`] and the time.
    pub(super) fn of(row: &Row, now: i64) -> Result<Self, StoreError> {
        let digest = row.text(4)?.parse();
        Ok(Head {
            position: row.position(0)?,
            received: row.int(1)?,
            duplicates: row.position(2)?,
            commits: row.int(3)?,
            digest: digest.map_err(|_| StoreError::column("head.digest"))?,
            counted: row.position(5)?,
            room: row.position(6)?,
            now,
        })
    }
}

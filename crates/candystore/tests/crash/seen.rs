//! What a reader has seen.

use uuid::Uuid;

use crate::made;

/// What somebody has read who follows by position.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// How many positions were read.
    pub(crate) read: u64,
    /// Positions that were not the next one, and events that were not new.
    pub(crate) disorder: u64,
    last: u64,
    numbers: Vec<bool>,
}

impl Seen {
    /// Nothing yet of so many events.
    pub(crate) fn new(events: u64) -> Self {
        Seen { numbers: vec![false; events as usize], ..Seen::default() }
    }

    /// Reads an event.
    pub(crate) fn event(&mut self, position: u64, id: Uuid) {
        let seen = self.numbers.get_mut(made::number(id) as usize);
        let is_new = seen.is_some_and(|seen| !std::mem::replace(seen, true));
        self.disorder += u64::from(!is_new || position != self.last + 1);
        self.last = position;
        self.read += 1;
    }

    /// The last position that was read.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// How many events were not read.
    pub(crate) fn missed(&self) -> u64 {
        self.numbers.iter().filter(|seen| !**seen).count() as u64
    }

    /// It finds what it is there to find.
    pub(crate) fn test() {
        for (positions, read, disorder, missed) in [
            (&[(1, 0), (2, 1), (3, 2)][..], 3, 0, 0),
            (&[(1, 0), (3, 2)], 2, 1, 1),
            (&[(1, 0), (3, 2), (2, 1)], 3, 2, 0),
            (&[(1, 0), (2, 1), (2, 1), (3, 2)], 4, 1, 0),
        ] {
            let mut seen = Seen::new(3);
            for (position, number) in positions {
                seen.event(*position, made::id(*number));
            }
            assert_eq!((seen.read, seen.disorder, seen.missed()), (read, disorder, missed));
        }
    }
}

//! Acknowledgements of one consumer, gathered: many in one frame, in order.

use std::collections::BTreeMap;

/// Which delivery tags of a channel are settled, and up to where the broker knows.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    /// Every tag up to this one is settled.
    settled: u64,
    /// The last of these that the broker does not know of; it takes no tag twice.
    last_untold: u64,
    /// How many of these the broker does not know of.
    untold: u64,
    /// Settled tags above `settled`, and whether the broker knows.
    ahead: BTreeMap<u64, bool>,
    /// The highest tag that was delivered.
    delivered: u64,
    /// The highest tag that somebody has begun with.
    started: u64,
}

impl Acks {
    /// Notes that a tag was delivered.
    pub(crate) fn deliver(&mut self, tag: u64) {
        self.delivered = self.delivered.max(tag);
    }

    /// Whether a tag is delivered and not settled.
    pub(crate) fn is_open(&self, tag: u64) -> bool {
        tag > self.settled && tag <= self.delivered && !self.ahead.contains_key(&tag)
    }

    /// Notes that somebody begins with a tag; false if it is not open.
    pub(crate) fn start(&mut self, tag: u64) -> bool {
        let is_open = self.is_open(tag);
        if is_open {
            self.started = self.started.max(tag);
        }
        is_open
    }

    /// How many tags are open.
    pub(crate) fn open(&self) -> u64 {
        self.delivered - self.settled - self.ahead.len() as u64
    }

    /// The same as [`give_up`](Acks::give_up) for those that nobody has begun with. Tags are begun
    /// with in order, so these are the last ones.
    pub(crate) fn give_up_rest(&mut self) -> Vec<u64> {
        let started = self.started;
        self.give_up_above(started)
    }

    /// Settles all that are open, as if the broker was told, and says which they were, in order.
    pub(crate) fn give_up(&mut self) -> Vec<u64> {
        self.give_up_above(0)
    }

    fn give_up_above(&mut self, tag: u64) -> Vec<u64> {
        let all = tag.max(self.settled) + 1..=self.delivered;
        let open: Vec<u64> = all.filter(|tag| self.is_open(*tag)).collect();
        for tag in &open {
            self.note(*tag, true);
        }
        open
    }

    /// Settles a tag; false if it is not open.
    pub(crate) fn settle(&mut self, tag: u64) -> bool {
        self.note(tag, false)
    }

    /// The same for a tag of which the broker was told.
    pub(crate) fn settle_told(&mut self, tag: u64) -> bool {
        self.note(tag, true)
    }

    fn note(&mut self, tag: u64, told: bool) -> bool {
        if !self.is_open(tag) {
            return false;
        }
        self.ahead.insert(tag, told);
        while let Some(told) = self.ahead.remove(&(self.settled + 1)) {
            self.settled += 1;
            if !told {
                self.last_untold = self.settled;
                self.untold += 1;
            }
        }
        true
    }

    /// How many settled tags the broker does not know of that one frame would tell.
    pub(crate) fn untold(&self) -> u64 {
        self.untold
    }

    /// Settled tags that wait behind an open one, for a frame each: one slow handler must not hold
    /// back the others.
    pub(crate) fn take_ahead(&mut self) -> Vec<u64> {
        let untold = self.ahead.iter_mut().filter(|(_, told)| !**told);
        untold
            .map(|(tag, told)| {
                *told = true;
                *tag
            })
            .collect()
    }

    /// Whether there are such tags that the broker does not know of.
    pub(crate) fn is_ahead(&self) -> bool {
        self.ahead.values().any(|told| !told)
    }

    /// The tag up to which to tell the broker now, if there is anything to tell.
    pub(crate) fn take(&mut self) -> Option<u64> {
        (self.untold > 0).then(|| {
            self.untold = 0;
            self.last_untold
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(count: u64) -> Acks {
        let mut acks = Acks::default();
        (1..=count).for_each(|tag| acks.deliver(tag));
        acks
    }

    #[test]
    fn one_frame_tells_all_that_are_settled_in_a_row() {
        let mut acks = delivered(5);
        for tag in [2, 1, 4] {
            assert!(acks.settle(tag));
        }
        assert_eq!((acks.untold(), acks.take(), acks.take()), (2, Some(2), None));
        assert_eq!((acks.take_ahead(), acks.take_ahead()), (vec![4], vec![]));
        assert!(acks.settle(3));
        // The broker was told of 4; to tell it again would be an error.
        assert_eq!(acks.take(), Some(3));
        assert!(acks.settle_told(5));
        assert_eq!((acks.take(), acks.is_open(5)), (None, false));
    }

    #[test]
    fn what_nobody_has_begun_with_is_given_up_and_not_begun_any_more() {
        let mut acks = delivered(5);
        assert!(acks.start(1) && acks.start(2) && acks.settle(1));
        assert_eq!(acks.give_up_rest(), [3, 4, 5]);
        assert!(!acks.start(3) && !acks.settle(4) && acks.is_open(2) && acks.open() > 0);
        assert_eq!(acks.open(), 1);
        acks.deliver(6);
        assert!(acks.start(6) && acks.settle(2) && acks.settle(6) && acks.open() == 0);
        // The broker was told of 3 to 5 in another way.
        assert_eq!((acks.take(), acks.give_up_rest()), (Some(6), vec![]));
    }

    #[test]
    fn what_was_never_delivered_or_is_settled_is_not_settled() {
        let mut acks = delivered(2);
        assert!(acks.settle(2) && !acks.settle(2) && !acks.settle(3) && !acks.settle(0));
    }
}

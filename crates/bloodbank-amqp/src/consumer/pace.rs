//! How much a consumer takes ahead, and what must be taken alone.
//!
//! The broker counts every message that was delivered to a consumer that is lost, begun or not. So a
//! message that was lost more than once is delivered alone: then only what was begun goes on being
//! counted, and what ends its process again and again can be told from what lay beside it.

use lapin::message::Delivery;
use lapin::types::AMQPValue;

/// The header in which a quorum queue says how often a message came back.
const COUNT: &str = "x-delivery-count";

/// How much is taken ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// One message: the next one comes when it is settled.
    Alone,
    /// As many as were asked for.
    Full,
}

/// What to do with a message that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    HandOut,
    /// It is no reason for caution any more.
    HandOutAndGo(Pace),
    /// It must not be begun beside others.
    TakeBackAndGo(Pace),
}

impl Pace {
    pub(super) fn prefetch(self, full: u16) -> u16 {
        match self {
            Pace::Alone => 1,
            Pace::Full => full.max(1),
        }
    }

    pub(super) fn step(self, lost: u32) -> Step {
        match (self, lost >= bloodbank_bus::Delivery::SUSPECT) {
            (Pace::Alone, false) => Step::HandOutAndGo(Pace::Full),
            (Pace::Full, true) => Step::TakeBackAndGo(Pace::Alone),
            _ => Step::HandOut,
        }
    }
}

/// How often a message came back to its queue. A count that the publisher wrote itself means nothing.
pub(super) fn lost(message: &Delivery) -> u32 {
    if !message.redelivered {
        return 0;
    }
    let headers = message.properties.headers().as_ref();
    let count = headers.and_then(|headers| headers.inner().get(COUNT)).and_then(number);
    // Queues that do not count say only that there was a time.
    count.unwrap_or(1).max(1)
}

fn number(value: &AMQPValue) -> Option<u32> {
    match value {
        AMQPValue::LongLongInt(number) => u32::try_from(*number).ok(),
        AMQPValue::LongInt(number) => u32::try_from(*number).ok(),
        AMQPValue::LongUInt(number) => Some(*number),
        AMQPValue::ShortInt(number) => u32::try_from(*number).ok(),
        AMQPValue::ShortUInt(number) => Some(u32::from(*number)),
        AMQPValue::ShortShortInt(number) => u32::try_from(*number).ok(),
        AMQPValue::ShortShortUInt(number) => Some(u32::from(*number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_twice_is_taken_alone_until_something_else_comes() {
        assert_eq!(Pace::Full.step(1), Step::HandOut);
        assert_eq!(Pace::Full.step(2), Step::TakeBackAndGo(Pace::Alone));
        assert_eq!(Pace::Alone.step(2), Step::HandOut);
        assert_eq!(Pace::Alone.step(1), Step::HandOutAndGo(Pace::Full));
    }
}

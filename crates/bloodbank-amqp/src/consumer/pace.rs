//! How much a consumer takes ahead, and what must be taken alone.
//!
//! The broker counts every message that was delivered to a consumer that is lost, begun or not; before
//! RabbitMQ 4.3 it counts every message that is given back, too. So a message that was lost more than
//! once is handed out alone: when everything that was taken with it is settled, and with nothing taken
//! after it. Such messages are not given back, so that they do not count without being begun. Where
//! several were taken at once, those that were lost less often go first, and what is held meanwhile
//! counts if the process ends; whoever starts anew takes one message at a time. A queue that keeps its
//! order cannot let others pass, and gives back everything: there each meeting counts once more.

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
    HoldAndGo(Pace),
}

impl Pace {
    pub(super) fn prefetch(self, full: u16) -> u16 {
        match self {
            Pace::Alone => 1,
            Pace::Full => full.max(1),
        }
    }

    pub(super) fn step(self, lost: u32) -> Step {
        match (self, is_suspect(lost)) {
            (Pace::Alone, false) => Step::HandOutAndGo(Pace::Full),
            (Pace::Full, true) => Step::HoldAndGo(Pace::Alone),
            _ => Step::HandOut,
        }
    }
}

/// Whether a message that was lost so often is taken alone.
pub(super) fn is_suspect(lost: u32) -> bool {
    lost >= bloodbank_bus::Delivery::SUSPECT
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
        assert_eq!(Pace::Full.step(2), Step::HoldAndGo(Pace::Alone));
        assert_eq!(Pace::Alone.step(2), Step::HandOut);
        assert_eq!(Pace::Alone.step(1), Step::HandOutAndGo(Pace::Full));
    }
}

//! What a handler makes of a message.

use std::any::Any;
use std::fmt;

/// What becomes of a message that was handled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It leaves the queue.
    Done,
    /// It comes again later, until the retries are used up; then it is parked.
    Retry(String),
    /// It goes to the dead letters now: trying again would not help.
    Park(String),
    /// It is of no use to anybody, and goes.
    Drop(String),
}

/// What handlers may return: nothing, a [`Verdict`], or a `Result` whose error means retry, unless it
/// is a verdict itself.
pub trait IntoVerdict {
    /// The verdict that it stands for.
    fn into_verdict(self) -> Verdict;
}

impl IntoVerdict for () {
    fn into_verdict(self) -> Verdict {
        Verdict::Done
    }
}

impl IntoVerdict for Verdict {
    fn into_verdict(self) -> Verdict {
        self
    }
}

impl<T: IntoVerdict, E: fmt::Display + 'static> IntoVerdict for Result<T, E> {
    fn into_verdict(self) -> Verdict {
        match self {
            Ok(value) => value.into_verdict(),
            Err(error) => Verdict::of_error(&error),
        }
    }
}

impl Verdict {
    /// An error that is a verdict is taken as it is, any other means retry.
    pub(crate) fn of_error<E: fmt::Display + 'static>(error: &E) -> Self {
        match (error as &dyn Any).downcast_ref::<Verdict>() {
            Some(verdict) => verdict.clone(),
            // The alternate form shows the causes of an `anyhow::Error`, too.
            None => Verdict::Retry(format!("{error:#}")),
        }
    }

    /// What the handler said.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Verdict::Done => "",
            Verdict::Retry(reason) | Verdict::Park(reason) | Verdict::Drop(reason) => reason,
        }
    }
}

/// What the handler said; so a verdict may be the error of a `Result`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Verdict {}

/// Why a message is among the dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// It is not an envelope as its schema wants it, or travelled under another key than it says.
    NoEnvelope,
    /// Its payload breaks its contract.
    BreaksContract,
    /// No contract has its key, or no handler takes it.
    NoHandler,
    /// Its handler failed as often as it may.
    Exhausted,
    /// Its handler said that it is of no use to try again.
    Parked,
    /// The broker gave up: it was delivered too often without an answer.
    DeliveryLimit,
    /// It was the oldest of a queue of events that was full.
    QueueFull,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 7] = [
        Reason::NoEnvelope,
        Reason::BreaksContract,
        Reason::NoHandler,
        Reason::Exhausted,
        Reason::Parked,
        Reason::DeliveryLimit,
        Reason::QueueFull,
    ];

    /// Its word in [`headers::REASON`](crate::headers::REASON).
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::NoEnvelope => "no-envelope",
            Reason::BreaksContract => "breaks-contract",
            Reason::NoHandler => "no-handler",
            Reason::Exhausted => "exhausted",
            Reason::Parked => "parked",
            Reason::DeliveryLimit => "delivery-limit",
            Reason::QueueFull => "queue-full",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

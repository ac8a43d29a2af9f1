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

/// What handlers of batches may return: what becomes of all messages of the batch, as for
/// [`IntoVerdict`], or a list that says it of each, in their order.
pub trait IntoVerdicts {
    /// A verdict for each of so many messages.
    fn into_verdicts(self, count: usize) -> Vec<Verdict>;
}

impl IntoVerdicts for () {
    fn into_verdicts(self, count: usize) -> Vec<Verdict> {
        vec![Verdict::Done; count]
    }
}

impl IntoVerdicts for Verdict {
    fn into_verdicts(self, count: usize) -> Vec<Verdict> {
        vec![self; count]
    }
}

/// As many as there are messages, or all of them are tried again.
impl<V: IntoVerdict> IntoVerdicts for Vec<V> {
    fn into_verdicts(self, count: usize) -> Vec<Verdict> {
        if self.len() == count {
            return self.into_iter().map(IntoVerdict::into_verdict).collect();
        }
        let verdicts = self.len();
        let reason =
            format!("the handler gave {verdicts} verdicts for a batch of {count} messages");
        Verdict::Retry(reason).into_verdicts(count)
    }
}

impl<T: IntoVerdicts, E: fmt::Display + 'static> IntoVerdicts for Result<T, E> {
    fn into_verdicts(self, count: usize) -> Vec<Verdict> {
        match self {
            Ok(verdicts) => verdicts.into_verdicts(count),
            Err(error) => Verdict::of_error(&error).into_verdicts(count),
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

    /// Whether the message was not handled.
    pub(crate) fn is_failure(&self) -> bool {
        !matches!(self, Verdict::Done)
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
    /// It was delivered too often without an answer: its consumers crashed, or were lost otherwise.
    DeliveryLimit,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 6] = [
        Reason::NoEnvelope,
        Reason::BreaksContract,
        Reason::NoHandler,
        Reason::Exhausted,
        Reason::Parked,
        Reason::DeliveryLimit,
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
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

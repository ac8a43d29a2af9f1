//! Why a transport did not do what it was asked.

use std::fmt;
use std::time::Duration;

use bloodbank_core::{Code, TopicPattern};
use uuid::Uuid;

/// Why a transport did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// A command or a replayed event that no queue takes. Nothing holds it.
    #[error("no queue takes `{key}`: no service that wants it has declared a queue for it")]
    Unroutable {
        /// The routing key.
        key: String,
    },
    /// A message is not due yet, and no scheduler keeps it. Nothing holds it.
    #[error("`{key}` is not due yet, and no scheduler has declared the queue that keeps it")]
    NoScheduler {
        /// The routing key.
        key: String,
    },
    /// An answer whose caller no longer waits: its deadline is over, its process is gone, or it has an
    /// answer. Nobody gets it.
    #[error("the caller no longer waits for the answer")]
    NoCaller,
    /// The bus refused to take it; nothing holds it, or not everything that should.
    #[error("the bus refused the message: {}", fullness(full.as_ref()))]
    Nacked {
        /// The queue that was full, where the bus says so.
        full: Option<FullQueue>,
    },
    /// The deadline passed without an answer: it may have been taken or not.
    #[error("no answer by the deadline; the message may have been taken or not")]
    Unknown,
    /// The broker takes nothing at the moment: an alarm.
    #[error("the broker takes no messages at the moment")]
    Blocked,
    /// The store beneath takes nothing at the moment, and may later. Nothing was taken.
    #[error("{reason}")]
    Unavailable {
        /// Why: the code of the store's error.
        code: Code,
        /// In its words.
        reason: String,
    },
    /// There is no connection. Nothing was taken.
    #[error("no connection to the broker: {outage}")]
    Disconnected {
        /// Why there is none, as far as it is known.
        outage: Outage,
    },
    /// The broker rejects us as we are configured. Where it took us before, it is asked again from time
    /// to time; otherwise nothing but another configuration helps.
    #[error("the broker refuses us: {reason}")]
    Refused {
        /// What it refuses.
        code: Code,
        /// What the connection says, in its words.
        reason: String,
        /// Whether it took us before, and is asked again from time to time.
        again: bool,
    },
    /// There is no such queue.
    #[error("there is no queue `{queue}`: it was not declared")]
    Undeclared {
        /// Its name.
        queue: String,
    },
    /// There is no such exchange, and it could not be declared again.
    #[error("there is no exchange `{exchange}`: it was not declared, or it was deleted")]
    NoExchange {
        /// Its name.
        exchange: String,
    },
    /// A queue, or an exchange, cannot be declared like this.
    #[error("`{name}` cannot be declared: {conflict}")]
    Conflict {
        /// Its name.
        name: String,
        /// What is in the way.
        conflict: Conflict,
    },
    /// A queue cannot be removed, as it is needed.
    #[error("queue `{queue}` cannot be removed: {}", usage(holds_dead_letters_of.as_deref()))]
    InUse {
        /// Its name.
        queue: String,
        /// The queue whose dead letters it holds; `None` if it is being consumed.
        holds_dead_letters_of: Option<String>,
    },
    /// The delivery was settled before, or its consumer is gone and the message is back in the queue.
    #[error("the delivery was settled before, or its consumer is gone")]
    Stale,
    /// The transport was closed.
    #[error("the transport is closed")]
    Closed,
    /// Another message has the id and says something else. The bus keeps it apart and gives it to
    /// nobody.
    #[error(
        "another message has the id {id}: the one at position {position} says something else; this \
         one lies in quarantine and goes to nobody"
    )]
    IdConflict {
        /// The id of both.
        id: Uuid,
        /// Where the other one is stored.
        position: u64,
    },
    /// A dead letter does not say which queue it was parked from.
    #[error(
        "the dead letter does not say which queue it was parked from ({})",
        crate::headers::PARKED_FROM
    )]
    NoOrigin,
    /// A message is to be tried again later, and no delays were declared for its queue.
    #[error("no delays were declared for queue `{queue}` to wait for")]
    NoDelays {
        /// Its name.
        queue: String,
    },
    /// A name is longer than the transport takes.
    #[error("a name of {bytes} bytes is too long; the bus takes {most}")]
    NameTooLong {
        /// Its length.
        bytes: usize,
        /// The longest that is taken.
        most: usize,
    },
    /// This transport does not know how to do it.
    #[error("this bus does not support {what}")]
    Unsupported {
        /// What was asked for: a destination, a settlement, the value of a header.
        what: String,
    },
    /// The system beneath says that something else is wrong.
    #[error("{reason}")]
    Other {
        /// What kind of error it is: [`Code::BrokerError`], or the code of the store's error.
        code: Code,
        /// In its words.
        reason: String,
    },
}

impl TransportError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            TransportError::Unroutable { .. } => Code::Unroutable,
            TransportError::NoScheduler { .. } => Code::NoScheduler,
            TransportError::NoCaller => Code::CallerGone,
            TransportError::Nacked { .. } => Code::Nacked,
            TransportError::Unknown => Code::OutcomeUnknown,
            TransportError::Blocked => Code::BusBlocked,
            TransportError::Disconnected { .. } => Code::Disconnected,
            TransportError::Refused { code, .. } => *code,
            TransportError::Unavailable { code, .. } => *code,
            TransportError::Undeclared { .. } => Code::QueueUndeclared,
            TransportError::NoExchange { .. } => Code::ExchangeMissing,
            TransportError::Conflict { .. } => Code::DeclarationConflict,
            TransportError::InUse { .. } => Code::QueueInUse,
            TransportError::Stale => Code::DeliveryStale,
            TransportError::Closed => Code::BusClosed,
            TransportError::IdConflict { .. } => Code::IdConflict,
            TransportError::NoOrigin => Code::OriginUnknown,
            TransportError::NoDelays { .. } => Code::NoRetryDelays,
            TransportError::NameTooLong { .. } => Code::NameTooLong,
            TransportError::Unsupported { .. } => Code::Unsupported,
            TransportError::Other { code, .. } => *code,
        }
    }

    /// Whether the same call may succeed later. Publish again with the same id only.
    pub fn is_retryable(&self) -> bool {
        match self {
            TransportError::Nacked { .. }
            | TransportError::Unknown
            | TransportError::Blocked
            | TransportError::Unavailable { .. }
            | TransportError::Disconnected { .. }
            | TransportError::NoExchange { .. } => true,
            TransportError::Refused { again, .. } => *again,
            _ => false,
        }
    }
}

/// A queue that takes no more messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullQueue {
    /// Its name.
    pub name: String,
    /// The most messages that it holds.
    pub limit: usize,
}

fn fullness(full: Option<&FullQueue>) -> String {
    match full {
        Some(FullQueue { name, limit }) => format!("queue `{name}` is full with {limit} messages"),
        None => "a queue that should get it is full, or failed".to_owned(),
    }
}

fn usage(holds_dead_letters_of: Option<&str>) -> String {
    match holds_dead_letters_of {
        Some(owner) => format!("it holds the dead letters of `{owner}`"),
        None => "a consumer reads it".to_owned(),
    }
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outage {
    /// There was none yet.
    NotYet,
    /// It is there, and the other side answers too slowly.
    Slow,
    /// There was no answer in this time.
    Silent {
        /// How long was waited.
        waited: Duration,
    },
    /// It broke.
    Lost,
    /// The other side has closed it.
    Closed,
    /// No host could be connected to.
    Unreachable {
        /// Each host, with what came of it, as the transport shows it.
        hosts: Vec<String>,
    },
    /// Something else, in the words of the other side or of the client library.
    Said {
        /// The words.
        reason: String,
    },
}

impl Outage {
    /// What the other side or the client library says.
    pub fn said(reason: impl fmt::Display) -> Self {
        Outage::Said { reason: reason.to_string() }
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outage::NotYet => f.write_str("not connected yet"),
            Outage::Slow => f.write_str("it answers too slowly"),
            Outage::Silent { waited } => write!(f, "no answer in {waited:?}"),
            Outage::Lost => f.write_str("it was lost"),
            Outage::Closed => f.write_str("it was closed"),
            Outage::Unreachable { hosts } => f.write_str(&hosts.join("; ")),
            Outage::Said { reason } => f.write_str(reason),
        }
    }
}

/// What is in the way of a declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conflict {
    /// The queue exists, and differs in these properties.
    Properties(Vec<QueueProperty>),
    /// The broker has a queue or an exchange of this name with other properties.
    Otherwise {
        /// `queue` or `exchange`.
        what: &'static str,
        /// What the broker says.
        reason: String,
    },
    /// Another connection has the queue for itself. It may go with that connection.
    Locked {
        /// What the broker says.
        reason: String,
    },
    /// A worker queue of commands is to be bound to a pattern.
    Pattern(TopicPattern),
    /// The command has another worker queue.
    SecondWorker {
        /// The command's key.
        key: TopicPattern,
        /// The queue that it has.
        worker: String,
    },
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Conflict::Properties(which) => {
                let which: Vec<&str> = which.iter().map(|property| property.as_str()).collect();
                write!(f, "it exists with other properties ({})", which.join(", "))
            }
            Conflict::Otherwise { what, reason } => {
                write!(f, "the {what} exists with other properties: {reason}")
            }
            Conflict::Locked { reason } => write!(f, "another connection has it: {reason}"),
            Conflict::Pattern(pattern) => {
                write!(f, "`{pattern}` is a pattern; a command queue names its commands")
            }
            Conflict::SecondWorker { key, worker } => {
                write!(f, "`{key}` has its worker queue, `{worker}`")
            }
        }
    }
}

/// What two declarations of a queue must agree in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum QueueProperty {
    /// Whether it is temporary.
    Durability,
    /// The most messages that it holds.
    Limit,
    /// Where its dead letters go.
    DeadLetters,
    /// Whether one consumer at a time gets everything, in order.
    Order,
    /// Whether it records what passes.
    Recorder,
}

impl QueueProperty {
    /// Its word in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            QueueProperty::Durability => "durability",
            QueueProperty::Limit => "limit",
            QueueProperty::DeadLetters => "dead letters",
            QueueProperty::Order => "order",
            QueueProperty::Recorder => "recorder",
        }
    }
}

//! What can be wrong with a subscriber before it runs.

use std::fmt;

use bloodbank_core::{KeyError, TopicPattern};

/// Why a subscriber cannot work as it was put together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupFault {
    /// A queue was to be bound to a text that is not a topic pattern.
    BadPattern {
        /// The text.
        pattern: String,
        /// What is wrong with it.
        error: KeyError,
    },
    /// Order was to be kept by something that is not a JSON pointer (RFC 6901).
    BadPointer {
        /// The text.
        pointer: String,
    },
    /// `bind` was called before `queue`.
    BindBeforeQueue {
        /// What was to be bound.
        pattern: TopicPattern,
    },
    /// It does not have a handler.
    NoHandler,
    /// It has two handlers for one key, or two for any event.
    TwoHandlers {
        /// The key; `None` for any event.
        key: Option<&'static str>,
    },
    /// Neither the code nor registry.yaml names a queue.
    NoQueue,
    /// A queue is to be consumed in strict order, and registry.yaml does not say that it is ordered.
    NotOrdered {
        /// The queue.
        queue: String,
    },
    /// It handles batches, and is to consume in strict order, one message at a time.
    BatchInOrder,
    /// It gets events and does not have a handler for them.
    Unhandled {
        /// Their routing keys.
        keys: Vec<String>,
    },
    /// It has handlers for events to which none of its queues is bound.
    Unheard {
        /// Their routing keys.
        keys: Vec<&'static str>,
    },
}

impl fmt::Display for SetupFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetupFault::BadPattern { pattern, error } => {
                write!(f, "`{pattern}` is not a topic pattern: {error}")
            }
            SetupFault::BadPointer { pointer } => {
                write!(f, "`{pointer}` is not a JSON pointer, such as `/meeting_id`")
            }
            SetupFault::BindBeforeQueue { pattern } => {
                write!(f, "bind(\"{pattern}\") before any queue(name)")
            }
            SetupFault::NoHandler => {
                f.write_str("it has no handler: add `.on(…)`, `.on_any(…)` or `.handle(…)`")
            }
            SetupFault::TwoHandlers { key } => {
                write!(f, "it has two handlers for {}", key.unwrap_or("any event"))
            }
            SetupFault::NoQueue => f.write_str(
                "it has no queue: name its `routing_keys:` in services/registry.yaml, or say \
                 `.queue(\"name\").bind(\"pattern\")`",
            ),
            SetupFault::NotOrdered { queue } => write!(
                f,
                "`{queue}` is to be consumed in strict order: say `ordered: true` of this service in \
                 services/registry.yaml, so that one process at a time gets all of it"
            ),
            SetupFault::BatchInOrder => f.write_str(
                "it has a handler of batches and consumes in strict order, one message at a time: \
                 leave out `.strict_order()` or `.on_batch(…)`",
            ),
            SetupFault::Unhandled { keys } => {
                let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
                write!(
                    f,
                    "it gets {} and has no handler for it: add `.on(…)`, `.on_any(…)`, or \
                     `.skip_others()`",
                    keys.join(", ")
                )
            }
            SetupFault::Unheard { keys } => {
                write!(f, "it handles {}, to which none of its queues is bound", keys.join(", "))
            }
        }
    }
}

//! Knowing what was handled before.

#[cfg(feature = "redis")]
mod breaker;
mod local;
#[cfg(feature = "redis")]
mod redis;

use std::sync::Arc;
use std::time::Duration;

use bloodbank_core::Code;

pub use self::local::LocalDedup;
#[cfg(feature = "redis")]
pub use self::redis::RedisDedup;
use crate::BoxFuture;

/// Remembers which messages were handled, so that a second copy is not handled again.
///
/// A name is a queue and an envelope's id. Between [`begin`](Dedup::begin) and
/// [`finish`](Dedup::finish) or [`release`](Dedup::release) a name is taken.
pub trait Dedup: Send + Sync + 'static {
    /// Takes a name.
    ///
    /// # Errors
    /// If the memory cannot be asked. The message is then handled: at least once is the promise.
    fn begin<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Claim, DedupError>>;

    /// A handler is still at it. Told every [`renewal`](Dedup::renewal), so that a name may be let go of that nobody
    /// speaks for any more.
    ///
    /// # Errors
    /// If it cannot be noted.
    fn renew<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), DedupError>> {
        let _ = name;
        Box::pin(std::future::ready(Ok(())))
    }

    /// How often [`renew`](Dedup::renew) is called while a handler is at it; every 5 seconds unless said.
    fn renewal(&self) -> Duration {
        Duration::from_secs(5)
    }

    /// Whether other processes ask the same memory. Where it is not shared, a message that comes to two
    /// processes, as a command that is sent twice may, is handled by both.
    fn is_shared(&self) -> bool {
        false
    }

    /// The message was handled, and this was the answer if somebody asked for one.
    ///
    /// # Errors
    /// If it cannot be noted.
    fn finish<'a>(
        &'a self,
        name: &'a str,
        answer: Option<Arc<[u8]>>,
    ) -> BoxFuture<'a, Result<(), DedupError>>;

    /// The message was not handled, and may come again.
    ///
    /// # Errors
    /// If it cannot be noted.
    fn release<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), DedupError>>;
}

/// What [`Dedup::begin`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Not handled yet; the name is now taken.
    New,
    /// Somebody is at it.
    Busy,
    /// Handled, with this answer.
    Done(Option<Arc<[u8]>>),
}

/// The memory of what was handled does not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the memory of handled messages cannot be reached: {reason}")]
pub struct DedupError {
    /// What the server or its client says.
    pub reason: String,
}

impl DedupError {
    /// Its code, [`Code::DedupUnavailable`].
    pub fn code(&self) -> Code {
        Code::DedupUnavailable
    }
}

/// No memory: every copy is handled.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDedup;

impl Dedup for NoDedup {
    fn begin<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Claim, DedupError>> {
        Box::pin(std::future::ready(Ok(Claim::New)))
    }

    fn finish<'a>(
        &'a self,
        _: &'a str,
        _: Option<Arc<[u8]>>,
    ) -> BoxFuture<'a, Result<(), DedupError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn release<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), DedupError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

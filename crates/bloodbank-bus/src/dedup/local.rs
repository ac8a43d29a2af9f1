//! The memory of one process.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use super::{Claim, Dedup, DedupError};
use crate::BoxFuture;

/// The memory of one process: the last names that were used.
///
/// Bounded: the name that was not used for the longest time is forgotten first.
pub struct LocalDedup {
    names: Mutex<Names>,
}

/// `Claim::Busy` or `Claim::Done` by name.
type Names = LruCache<String, Claim>;

impl LocalDedup {
    /// Remembers this many names.
    pub fn new(capacity: NonZeroUsize) -> Self {
        LocalDedup { names: Mutex::new(LruCache::new(capacity)) }
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Names) -> T) -> T {
        // Nothing that holds the lock can leave the map half changed.
        use_it(&mut self.names.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// 100,000 names, some 10 MB.
impl Default for LocalDedup {
    fn default() -> Self {
        LocalDedup::new(NonZeroUsize::new(100_000).unwrap_or(NonZeroUsize::MIN))
    }
}

impl fmt::Debug for LocalDedup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalDedup").field("names", &self.with(|names| names.len())).finish()
    }
}

impl Dedup for LocalDedup {
    fn begin<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Claim, DedupError>> {
        let claim = self.with(|names| match names.get(name) {
            Some(claim) => claim.clone(),
            None => {
                names.put(name.to_owned(), Claim::Busy);
                Claim::New
            }
        });
        Box::pin(std::future::ready(Ok(claim)))
    }

    fn finish<'a>(
        &'a self,
        name: &'a str,
        answer: Option<Arc<[u8]>>,
    ) -> BoxFuture<'a, Result<(), DedupError>> {
        self.with(|names| match names.get_mut(name) {
            Some(claim) => *claim = Claim::Done(answer),
            None => drop(names.put(name.to_owned(), Claim::Done(answer))),
        });
        Box::pin(std::future::ready(Ok(())))
    }

    fn release<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), DedupError>> {
        self.with(|names| names.pop(name));
        Box::pin(std::future::ready(Ok(())))
    }
}

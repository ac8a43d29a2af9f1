//! What was answered first to each idempotency key.

use std::sync::{Arc, Mutex, PoisonError};

use bloodbank_core::Envelope;
use lru::LruCache;
use uuid::Uuid;

use crate::Gateway;
use crate::problem::Answer;

/// The most bytes of envelopes that are remembered; what was forgotten stands in the store.
const MOST_BYTES: usize = 16 << 20;

/// An envelope that was answered, with its length in bytes.
type First = Option<(Arc<Envelope>, usize)>;

/// Held by one request at a time, so that two with one key do not both publish.
type Slot = Arc<tokio::sync::Mutex<First>>;

/// The last answers to messages with an idempotency key, by the ids that are made of the keys.
///
/// The store has them all, but on a broker only once they are recorded.
#[derive(Default)]
pub(crate) struct Firsts {
    slots: Mutex<Slots>,
}

struct Slots {
    by_id: LruCache<Uuid, Slot>,
    bytes: usize,
}

impl Default for Slots {
    fn default() -> Self {
        Slots { by_id: LruCache::unbounded(), bytes: 0 }
    }
}

/// What a slot costs besides the envelope in it.
const SLOT: usize = 256;

impl Firsts {
    /// Where the first answer stands, or will stand.
    pub(crate) fn slot(&self, id: Uuid) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if !slots.by_id.contains(&id) {
            slots.add(SLOT);
        }
        slots.by_id.get_or_insert(id, Slot::default).clone()
    }

    /// Remembers an answer.
    pub(crate) fn remember(&self, first: &mut First, envelope: &Envelope, bytes: usize) {
        *first = Some((Arc::new(envelope.clone()), bytes));
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).add(bytes);
    }
}

impl Slots {
    /// Makes room for so many bytes more. What is in use stays, for those who hold it.
    fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        while self.bytes > MOST_BYTES {
            let Some((_, slot)) = self.by_id.pop_lru() else { break };
            let held = slot.try_lock().ok().and_then(|first| first.as_ref().map(|first| first.1));
            self.bytes = self.bytes.saturating_sub(SLOT + held.unwrap_or(0));
        }
    }
}

/// The message of this id as it was first published, if it was.
pub(crate) async fn stored(gateway: &Gateway, id: Uuid) -> Answer<Option<Envelope>> {
    let found = gateway.store().get(id).await?;
    Ok(found.and_then(|event| Envelope::read_stored(&event.key, &event.body).ok()))
}

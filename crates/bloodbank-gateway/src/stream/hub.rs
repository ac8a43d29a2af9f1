//! One reader of the store for all streams: each event is read once, however many follow.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bloodbank_access::Caller;
use bloodbank_bus::Start;
use bloodbank_core::Contracts;
use candystore::{
    DamagedEvents, EventStore, Filter, Follow, Followed, Position, PrunedRange, StoreError,
    StoredEvent,
};
use tokio::sync::Mutex;
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio::time::sleep;

use crate::events::StoredBody;

/// Messages up to so many bytes are kept for those who follow; larger ones are read again for each.
const SMALL: usize = 4 << 10;

/// How long to leave a store alone that cannot be asked.
const PAUSE: Duration = Duration::from_millis(500);

/// Something that has passed, for all who follow.
pub(super) enum Passed {
    /// An event.
    Event(Box<PassedEvent>),
    /// Positions whose events are damaged.
    Damaged(DamagedEvents),
    /// Positions that were pruned before they were read.
    Pruned(PrunedRange),
}

/// An event that has passed.
pub(super) struct PassedEvent {
    /// The event; without its bytes if they are many.
    pub(super) event: StoredEvent,
    /// Whether its bytes are there.
    pub(super) is_whole: bool,
    /// As it is shown to who sees what is sensitive, and to who does not.
    shown: [OnceLock<Arc<str>>; 2],
}

impl PassedEvent {
    pub(super) fn new(event: StoredEvent) -> Self {
        PassedEvent { event, is_whole: true, shown: [OnceLock::new(), OnceLock::new()] }
    }

    fn kept(mut event: StoredEvent) -> Self {
        let is_whole = event.body.len() <= SMALL;
        if !is_whole {
            event.body = Arc::default();
        }
        PassedEvent { is_whole, ..PassedEvent::new(event) }
    }

    /// As JSON, as this caller may see it.
    pub(super) fn shown(&self, contracts: &Contracts, caller: &Caller) -> Arc<str> {
        let shown = &self.shown[usize::from(caller.sees_sensitive())];
        let write = || {
            let body = StoredBody::of(contracts, caller, self.event.clone());
            // It always has a JSON form.
            serde_json::to_string(&body).unwrap_or_default().into()
        };
        shown.get_or_init(write).clone()
    }
}

impl Passed {
    /// The position, or the last of several.
    pub(super) fn last(&self) -> Position {
        match self {
            Passed::Event(passed) => passed.event.position,
            Passed::Damaged(damaged) => damaged.last,
            Passed::Pruned(range) => range.last,
        }
    }

    /// The position, or the first of several.
    pub(super) fn first(&self) -> Position {
        match self {
            Passed::Event(passed) => passed.event.position,
            Passed::Damaged(damaged) => damaged.first,
            Passed::Pruned(range) => range.first,
        }
    }

    pub(super) fn of(followed: Followed) -> Option<Self> {
        Some(match followed {
            Followed::Event(event) => Passed::Event(Box::new(PassedEvent::new(event))),
            Followed::Damaged(damaged) => Passed::Damaged(damaged),
            Followed::Pruned(range) => Passed::Pruned(range),
            _ => return None,
        })
    }

    fn kept(followed: Followed) -> Option<Self> {
        match followed {
            Followed::Event(event) => Some(Passed::Event(Box::new(PassedEvent::kept(event)))),
            other => Passed::of(other),
        }
    }
}

/// Tells all streams what passes. Reads as long as somebody follows.
#[derive(Default)]
pub(crate) struct Hub {
    running: Mutex<Option<Sender<Arc<Passed>>>>,
}

impl Hub {
    /// What passes from now on: all that is stored behind the position at which this is done. At most
    /// `capacity` of it waits for who does not take it.
    ///
    /// # Errors
    /// If the store cannot be followed.
    pub(super) async fn subscribe(
        self: &Arc<Self>,
        store: &EventStore,
        capacity: usize,
    ) -> Result<Receiver<Arc<Passed>>, StoreError> {
        let mut running = self.running.lock().await;
        if let Some(sender) = &*running {
            return Ok(sender.subscribe());
        }
        let follow = store.follow(Filter::new(), Start::Now).await?;
        let (sender, receiver) = broadcast::channel(capacity.max(1));
        *running = Some(sender.clone());
        tokio::spawn(read(follow, sender, Arc::downgrade(self)));
        Ok(receiver)
    }
}

/// How often it is looked whether somebody follows, while nothing passes.
const LOOK: Duration = Duration::from_secs(5);

async fn read(mut follow: Follow, sender: Sender<Arc<Passed>>, hub: Weak<Hub>) {
    loop {
        let next = tokio::select! {
            next = follow.next() => Some(next),
            () = sleep(LOOK) => None,
        };
        match next {
            Some(Ok(followed)) => {
                let passed = Passed::kept(followed).map(Arc::new);
                if passed.is_none_or(|passed| sender.send(passed).is_ok()) {
                    continue;
                }
            }
            Some(Err(error)) => {
                tracing::warn!(code = error.code().as_str(), "the store is not followed");
                sleep(PAUSE).await;
            }
            None => {}
        }
        let Some(hub) = hub.upgrade() else { return };
        let mut running = hub.running.lock().await;
        if sender.receiver_count() == 0 {
            *running = None;
            return;
        }
    }
}

//! Places: how many handlers run at a time, of all kinds and of one.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Worker;
use crate::BoxFuture;

/// The right to run a handler, among all handlers.
pub(in crate::subscriber) type Place = OwnedSemaphorePermit;

/// A message's turn at a handler that runs for so many messages at a time.
pub(in crate::subscriber) enum Turn {
    /// Its handler has no limit of its own.
    Any,
    Now(OwnedSemaphorePermit),
    /// After those before it; never if no handler may begin any more.
    Later(BoxFuture<'static, Option<OwnedSemaphorePermit>>),
}

/// What a message holds while it is handled.
pub(super) struct Permits {
    _turn: Option<OwnedSemaphorePermit>,
    _place: Option<Place>,
}

impl Worker {
    /// Waits until a handler may begin; `None` if none may any more.
    pub(in crate::subscriber) async fn place(&self) -> Option<Place> {
        acquire(self.places.clone()).await
    }

    /// The turn of a message with this key, behind those that asked before. Where order is kept each
    /// attempt takes its own, as a message that gave up its place would let the next overtake it.
    pub(in crate::subscriber) async fn turn(&self, key: &str) -> Turn {
        if self.is_ordered() {
            return Turn::Any;
        }
        let Some(limit) = self.shared.handlers.limit(key) else { return Turn::Any };
        let mut turn: BoxFuture<'static, _> = Box::pin(acquire(limit.clone()));
        // Once it was asked, it stands in line.
        match poll_fn(|context| Poll::Ready(pin!(&mut turn).poll(context))).await {
            Poll::Ready(Some(turn)) => Turn::Now(turn),
            _ => Turn::Later(turn),
        }
    }

    /// Waits until a message may be handled, which may have a place already. Who waits for its turn, or
    /// for the others of a batch, takes nobody's place. `None` if no handler may begin any more.
    pub(super) async fn enter(
        &self,
        key: &str,
        turn: Turn,
        mut place: Option<Place>,
    ) -> Option<Permits> {
        let turn = match turn {
            Turn::Any => None,
            Turn::Now(turn) => Some(turn),
            Turn::Later(turn) => {
                drop(place.take());
                Some(turn.await?)
            }
        };
        let place = match place {
            _ if self.shared.handlers.is_batched(key) => None,
            Some(place) => Some(place),
            None => Some(self.place().await?),
        };
        Some(Permits { _turn: turn, _place: place })
    }

    /// From here on no handler begins; those that run go on.
    pub(in crate::subscriber) fn begin_no_more(&self) {
        self.places.close();
    }
}

async fn acquire(permits: Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    permits.acquire_owned().await.ok()
}

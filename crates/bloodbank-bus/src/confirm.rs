//! What a transport owes for a message it was given.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use crate::{BoxFuture, TransportError};

/// What became of one message, once it is known.
pub type Outcome = Result<(), TransportError>;

/// Done when the bus is responsible for a message, or has said why it is not.
///
/// A future, and two steps to those who want to keep the way full: first the transport has room for
/// the message and takes it ([`accepted`](Confirm::accepted)), later it has its outcome.
#[must_use = "whether the message was taken shows only when this is awaited"]
pub struct Confirm {
    state: State,
}

enum State {
    /// Taken out when it is told.
    Settled(Option<Outcome>),
    /// The transport has the message.
    Accepted(oneshot::Receiver<Outcome>),
    /// The transport has no room for it yet.
    Waiting(BoxFuture<'static, Result<oneshot::Receiver<Outcome>, TransportError>>),
}

impl Confirm {
    /// The outcome is known already.
    pub fn settled(outcome: Outcome) -> Self {
        Confirm { state: State::Settled(Some(outcome)) }
    }

    /// The transport has the message and will send its outcome.
    pub fn pending(outcome: oneshot::Receiver<Outcome>) -> Self {
        Confirm { state: State::Accepted(outcome) }
    }

    /// Whatever leads to the outcome, once this is polled.
    pub fn of(outcome: impl Future<Output = Outcome> + Send + 'static) -> Self {
        Confirm::waiting(async move {
            let (sender, receiver) = oneshot::channel();
            // The receiver is right here.
            let _ = sender.send(outcome.await);
            Ok(receiver)
        })
    }

    /// The transport takes the message when it has room.
    pub fn waiting(
        room: impl Future<Output = Result<oneshot::Receiver<Outcome>, TransportError>> + Send + 'static,
    ) -> Self {
        Confirm { state: State::Waiting(Box::pin(room)) }
    }

    /// Whether the transport has no room for the message yet.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting(_))
    }

    /// Waits until the transport has taken the message, or has said that it will not.
    ///
    /// Safe to drop before it is done.
    pub async fn accepted(&mut self) {
        poll_fn(|context| self.poll_accepted(context)).await;
    }

    fn poll_accepted(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let State::Waiting(room) = &mut self.state {
            self.state = match ready!(room.as_mut().poll(context)) {
                Ok(outcome) => State::Accepted(outcome),
                Err(error) => State::Settled(Some(Err(error))),
            };
        }
        Poll::Ready(())
    }
}

impl Future for Confirm {
    type Output = Outcome;

    /// Like any future, not to be polled again once it is done.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        ready!(self.poll_accepted(context));
        match &mut self.state {
            State::Settled(outcome) => outcome.take().map_or(Poll::Pending, Poll::Ready),
            State::Accepted(outcome) => Pin::new(outcome)
                .poll(context)
                .map(|outcome| outcome.unwrap_or(Err(TransportError::Closed))),
            State::Waiting(_) => Poll::Pending,
        }
    }
}

impl fmt::Debug for Confirm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Settled(_) => "settled",
            State::Accepted(_) => "accepted",
            State::Waiting(_) => "waiting for room",
        };
        f.debug_tuple("Confirm").field(&state).finish()
    }
}

/// A command that somebody waits on for an answer.
#[derive(Debug)]
pub struct Request {
    /// Whether its worker queue has it.
    pub confirm: Confirm,
    /// What the handler answers. Ends without an answer when the way back is lost.
    pub answer: oneshot::Receiver<Arc<[u8]>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_confirm_waits_until_the_transport_has_room() {
        let (_outcome, receiver) = oneshot::channel();
        assert!(!Confirm::settled(Ok(())).is_waiting());
        assert!(!Confirm::pending(receiver).is_waiting());
        let (room, free) = oneshot::channel();
        let mut confirm = Confirm::waiting(async move {
            free.await.unwrap();
            let (outcome, receiver) = oneshot::channel();
            outcome.send(Err(TransportError::Blocked)).unwrap();
            Ok(receiver)
        });
        assert!(confirm.is_waiting());
        room.send(()).unwrap();
        confirm.accepted().await;
        assert!(!confirm.is_waiting());
        assert_eq!(confirm.await, Err(TransportError::Blocked));
    }
}

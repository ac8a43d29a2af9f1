//! A message on its way.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bloodbank_core::Kind;
use uuid::Uuid;

use crate::{Confirm, Exchange, PublishError, TransportError, metrics};

/// The bus has taken a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The id of its envelope.
    pub id: Uuid,
}

/// A message on its way: already checked and with the transport, or refused; done when the bus is
/// responsible for it.
///
/// Await one after the other, or hold several at once to keep the way full. Dropping it does not
/// take the message back.
#[must_use = "whether the message was published shows only when this is awaited"]
pub struct Publishing {
    pub(super) state: State,
}

pub(super) enum State {
    /// The transport has not seen it. Taken when it is told.
    Failed(Option<PublishError>),
    UnderWay(UnderWay),
}

pub(super) struct UnderWay {
    pub(super) id: Uuid,
    pub(super) kind: Kind,
    pub(super) since: Instant,
    pub(super) confirm: Confirm,
}

impl Publishing {
    /// Waits until the transport has room for the message.
    ///
    /// # Errors
    /// Why it was refused, if that is known already.
    pub async fn accepted(mut self) -> Result<Self, PublishError> {
        match &mut self.state {
            State::Failed(error) => error.take().map_or(Ok(self), Err),
            State::UnderWay(under_way) => {
                under_way.confirm.accepted().await;
                Ok(self)
            }
        }
    }
}

impl UnderWay {
    fn report(&self, outcome: Result<(), TransportError>) -> Result<Receipt, PublishError> {
        let id = self.id;
        let destination = match self.kind {
            Kind::Event => Exchange::Events,
            Kind::Command => Exchange::Commands,
        };
        let status = if outcome.is_ok() { "success" } else { "error" };
        metrics::published(destination.name(), status, self.since.elapsed());
        match outcome {
            Ok(()) => Ok(Receipt { id }),
            Err(source) => Err(PublishError::Transport { id, source }),
        }
    }
}

impl Future for Publishing {
    type Output = Result<Receipt, PublishError>;

    /// Like any future, not to be polled again once it is done.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Failed(error) => {
                error.take().map_or(Poll::Pending, |error| Poll::Ready(Err(error)))
            }
            State::UnderWay(under_way) => Pin::new(&mut under_way.confirm)
                .poll(context)
                .map(|outcome| under_way.report(outcome)),
        }
    }
}

impl fmt::Debug for Publishing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Publishing");
        match &self.state {
            State::Failed(error) => debug.field("error", error).finish(),
            State::UnderWay(under_way) => debug.field("id", &under_way.id).finish_non_exhaustive(),
        }
    }
}

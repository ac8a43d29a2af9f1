//! What stands around handlers.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use bloodbank_core::codec::Payload;
use bloodbank_core::{Contracts, Envelope};
use tower_layer::Layer;
use tower_service::Service;

use crate::reading::{self, Fault};
use crate::subscriber::Calling;
use crate::{Answer, BoxFuture, Delivery, Extensions, Headers, Received, Verdict};

/// Any error of a layer or a handler.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A handler of any type.
pub(crate) type Handler =
    Arc<dyn Fn(Message) -> BoxFuture<'static, Result<Handled, BoxError>> + Send + Sync>;

/// A message on its way to its handler, as layers see it: an envelope whose payload was not read yet.
#[derive(Clone)]
pub struct Message {
    envelope: Arc<Envelope>,
    delivery: Arc<Delivery>,
    extensions: Extensions,
    contracts: Contracts,
    handler: Handler,
    calling: Calling,
}

impl Message {
    pub(crate) fn new(
        envelope: Arc<Envelope>,
        delivery: Arc<Delivery>,
        contracts: Contracts,
        handler: Handler,
        calling: Calling,
    ) -> Self {
        let extensions = Extensions::default();
        Message { envelope, delivery, extensions, contracts, handler, calling }
    }

    /// Who said it, when, and because of what.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// How it came: its queue, its attempt, and what travelled beside it.
    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// What travelled beside the envelope.
    pub fn headers(&self) -> &Headers {
        &self.delivery.headers
    }

    /// What layers gave it.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The same, to be changed. The handler reads it with
    /// [`Received::extension`](crate::Received::extension).
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }

    /// What judges it.
    pub(crate) fn contracts(&self) -> &Contracts {
        &self.contracts
    }

    /// How a handler is called that is given several messages.
    pub(crate) fn calling(&self) -> &Calling {
        &self.calling
    }

    /// As its handler wants it.
    pub(crate) fn read<P: Payload>(self) -> Result<Received<P>, Fault> {
        let payload = reading::payload(&self.contracts, &self.envelope)?;
        let received = Received::new(self.envelope, payload, self.delivery);
        Ok(received.with_extensions(self.extensions))
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Message");
        debug.field("id", &self.envelope.id).field("key", &self.envelope.event_type);
        debug.finish_non_exhaustive()
    }
}

/// What a handler made of a message.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Handled {
    /// What becomes of the message.
    pub verdict: Verdict,
    /// What its caller is told, where it is a command.
    pub answer: Option<Answer>,
}

impl From<Verdict> for Handled {
    fn from(verdict: Verdict) -> Self {
        Handled { verdict, answer: None }
    }
}

/// What a layer stands around: the next layer, and the handler in the end.
///
/// A [`tower_service::Service`] of [`Message`]s.
#[derive(Clone)]
pub struct Next(Handler);

impl Next {
    /// The handlers themselves.
    pub(crate) fn handlers() -> Self {
        Next(Arc::new(|message: Message| {
            let handler = message.handler.clone();
            handler(message)
        }))
    }

    /// This, with a layer around it.
    pub(crate) fn within<L>(self, layer: &L) -> Self
    where
        L: Layer<Self>,
        L::Service: Service<Message, Response = Handled, Error: Into<BoxError>, Future: Send>,
        L::Service: Clone + Send + Sync + 'static,
    {
        let service = layer.layer(self);
        Next(Arc::new(move |message| {
            let mut service = service.clone();
            Box::pin(async move {
                poll_fn(|context| service.poll_ready(context)).await.map_err(Into::into)?;
                service.call(message).await.map_err(Into::into)
            })
        }))
    }

    /// Hands a message on.
    ///
    /// # Errors
    /// Those of layers, and that the payload breaks its contract or is not what the handler takes. What
    /// a handler says is a [`Verdict`], also where it failed.
    pub async fn run(&self, message: Message) -> Result<Handled, BoxError> {
        (self.0)(message).await
    }
}

impl Service<Message> for Next {
    type Response = Handled;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Handled, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, message: Message) -> Self::Future {
        (self.0)(message)
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").finish_non_exhaustive()
    }
}

/// A layer that is a function.
pub(crate) struct Around<F>(pub(crate) Arc<F>);

impl<F, R> Around<F>
where
    F: Fn(Message, Next) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Handled, BoxError>> + Send + 'static,
{
    pub(crate) fn around(&self, next: Next) -> Next {
        let layer = self.0.clone();
        Next(Arc::new(move |message| Box::pin(layer(message, next.clone()))))
    }
}

/// From an error of a layer to why the message is parked, or else to a verdict.
pub(crate) fn verdict_of(error: BoxError) -> Result<Verdict, Fault> {
    let error = match error.downcast::<Fault>() {
        Ok(fault) => return Err(*fault),
        Err(error) => error,
    };
    Ok(match error.downcast::<Verdict>() {
        Ok(verdict) => *verdict,
        Err(error) => Verdict::Retry(with_causes(&*error)),
    })
}

/// An error with what caused it.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

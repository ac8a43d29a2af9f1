//! Layers around the handlers of a subscriber.

use std::sync::Arc;

use tower_layer::Layer;
use tower_service::Service;

use super::Subscriber;
use crate::layer::Around;
use crate::{BoxError, Handled, Message, Next};

/// Puts a layer around what is inside of it.
pub(super) type Wrap = Box<dyn Fn(Next) -> Next + Send + Sync>;

/// All layers, the outermost first, around the handlers.
pub(super) fn all(layers: &[Wrap]) -> Option<Next> {
    let around = |inner, wrap: &Wrap| wrap(inner);
    (!layers.is_empty()).then(|| layers.iter().rev().fold(Next::handlers(), around))
}

impl<S> Subscriber<S> {
    /// Puts a [tower](https://docs.rs/tower) layer around all handlers: a timeout, a limit, a trace. What
    /// was added first stands outermost, as with tower's `ServiceBuilder`.
    ///
    /// Each attempt at a message goes through the layers, unless it is not an envelope, has no handler,
    /// has expired or was handled before. Messages of a batch go through them one by one, and a timeout
    /// of tower counts their wait for the batch, too. A layer may answer by
    /// itself, change the [`Verdict`](crate::Verdict) of a handler, or fail: an error means retry, unless
    /// it is a verdict itself. Services are cloned for each message, so a layer shares what it keeps.
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<Next> + Send + Sync + 'static,
        L::Service: Service<Message, Response = Handled, Error: Into<BoxError>, Future: Send>,
        L::Service: Clone + Send + Sync + 'static,
    {
        self.layers.push(Box::new(move |next| next.within(&layer)));
        self
    }

    /// Puts a function around all handlers, where a [`layer`](Subscriber::layer) of tower would be much
    /// to write: it looks at the message, hands it on, and looks at what came of it.
    ///
    /// ```
    /// # use bloodbank_bus::{Message, Next, Subscriber, Verdict};
    /// struct Tenant(String);
    ///
    /// # fn example<S>(subscriber: Subscriber<S>) -> Subscriber<S> {
    /// subscriber.around(async |mut message: Message, next: Next| {
    ///     let tenant = message.headers().get("x-tenant").and_then(|value| value.as_str());
    ///     let Some(tenant) = tenant.map(str::to_owned) else {
    ///         return Ok(Verdict::Park("it does not say whose it is".to_owned()).into());
    ///     };
    ///     // Its handler reads it with `received.extension::<Tenant>()`.
    ///     message.extensions_mut().insert(Tenant(tenant));
    ///     next.run(message).await
    /// })
    /// # }
    /// ```
    pub fn around<F, R>(mut self, layer: F) -> Self
    where
        F: Fn(Message, Next) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Handled, BoxError>> + Send + 'static,
    {
        let layer = Around(Arc::new(layer));
        self.layers.push(Box::new(move |next| layer.around(next)));
        self
    }
}

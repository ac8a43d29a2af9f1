//! A message that is being put together.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use bloodbank_core::{Contract, Envelope, Kind, Meta, SealError, Sealer, Validated};
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::call;
use super::dynamic::DynamicPublisher;
use super::publishing::{Publishing, State};
use crate::{BoxFuture, CallError, Headers, PublishError, expiry, headers};

/// How long a call waits for its answer, unless it says otherwise.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A message that is being put together: `.await` sends it.
///
/// What is not said is minted: an id, and now. `M` is what awaiting it waits for: [`Confirmed`], that
/// the bus has it, or [`Answered`], what the handler of a command answers.
///
/// ```no_run
/// # async fn example(publisher: bloodbank_bus::DynamicPublisher, order: uuid::Uuid)
/// #     -> Result<(), bloodbank_bus::PublishError> {
/// let data = serde_json::json!({ "celsius": 220 });
/// publisher.publish("kitchen.oven.heated", data).correlation(order).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is published until this is awaited"]
pub struct Draft<'p, C, M = Confirmed> {
    publisher: &'p DynamicPublisher,
    content: C,
    meta: Meta,
    /// When it is due.
    not_before: Option<DateTime<Utc>>,
    /// After how long nobody waits for it any more.
    expires: Option<Duration>,
    wait: M,
}

/// Waits until the bus has the message.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Confirmed;

/// Waits until the handler has answered, with an `R`.
pub struct Answered<R> {
    within: Duration,
    answer: PhantomData<fn() -> R>,
}

/// What can be sealed: a reference to a contract's type, or [`Json`].
pub trait Sealable {
    /// Makes an envelope of it, if the contract and the registry accept it.
    ///
    /// # Errors
    /// See [`SealError`].
    fn seal(self, sealer: &Sealer, meta: Meta) -> Result<Validated<Envelope>, SealError>;
}

impl<T: Contract> Sealable for &T {
    fn seal(self, sealer: &Sealer, meta: Meta) -> Result<Validated<Envelope>, SealError> {
        sealer.seal_typed(self, meta)
    }
}

/// A payload whose contract is known at run time only.
#[derive(Clone)]
pub struct Json<'p> {
    kind: Kind,
    key: &'p str,
    data: Value,
}

impl<'p> Json<'p> {
    /// The payload of an event or a command, by its routing key.
    pub fn new(kind: Kind, key: &'p str, data: Value) -> Self {
        Json { kind, key, data }
    }
}

impl Sealable for Json<'_> {
    fn seal(self, sealer: &Sealer, meta: Meta) -> Result<Validated<Envelope>, SealError> {
        sealer.seal(self.kind, self.key, self.data, meta)
    }
}

impl<'p, C: Sealable> Draft<'p, C> {
    pub(super) fn new(publisher: &'p DynamicPublisher, content: C) -> Self {
        let (meta, wait) = (Meta::new(), Confirmed);
        Draft { publisher, content, meta, not_before: None, expires: None, wait }
    }

    /// Schedules it: no queue gets it before this time, which a restart does not change. A time that
    /// has passed means now.
    ///
    /// The embedded bus keeps it in its store. On RabbitMQ a scheduler keeps it, `bloodbank scheduled
    /// run`, in the store that `DATABASE_URL` names; while none has ever run there, publishing fails
    /// with [`TransportError::NoScheduler`](crate::TransportError::NoScheduler). What is scheduled can
    /// be listed and cancelled until it is due. When it is due it is validated once more, by the
    /// contracts of then.
    pub fn not_before(mut self, due: DateTime<Utc>) -> Self {
        self.not_before = Some(due);
        self
    }

    /// Waits only until the transport has room for the message; its outcome comes with the future
    /// that is handed back. So one task keeps the way full, and no further.
    ///
    /// # Errors
    /// Those that are known at once; else the future has them.
    pub async fn enqueue(self) -> Result<Publishing, PublishError> {
        self.into_future().accepted().await
    }

    pub(super) fn answered<R>(self) -> Draft<'p, C, Answered<R>> {
        let Draft { publisher, content, meta, not_before, expires, wait: Confirmed } = self;
        let wait = Answered { within: CALL_TIMEOUT, answer: PhantomData };
        Draft { publisher, content, meta, not_before, expires, wait }
    }
}

impl<C: Sealable, M> Draft<'_, C, M> {
    bloodbank_core::meta_setters!();

    /// Sets after how long nobody waits for the message any more, counted from when this is awaited, or
    /// from when it is [due](Draft::not_before). What comes to a handler later is not handled, but parked
    /// as [`Expired`](crate::Reason::Expired); who called is told. A call never outlives its own
    /// [`within`](Draft::within). Without it, a message does not expire, and a command whose caller is
    /// gone is carried out all the same.
    ///
    /// Two clocks are compared: that of the publisher and that of the subscriber. A replay of the
    /// message does not expire, nor does it once it was brought back from the dead letters.
    pub fn expires_in(mut self, time: Duration) -> Self {
        self.expires = Some(time);
        self
    }

    /// Validates it and seals its envelope, and sends nothing. What is sealed can be written down, or
    /// sent later with `publish_sealed`; the envelope does not say when it is due, or when it expires.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn seal(self) -> Result<Validated<Envelope>, SealError> {
        self.content.seal(&self.publisher.sealer, self.meta)
    }
}

impl<C: Sealable, R> Draft<'_, C, Answered<R>> {
    /// How long to wait for the answer; 30 s unless said, a day at the most.
    pub fn within(mut self, timeout: Duration) -> Self {
        self.wait.within = timeout;
        self
    }
}

impl<C: Sealable> IntoFuture for Draft<'_, C> {
    type Output = <Publishing as Future>::Output;
    type IntoFuture = Publishing;

    fn into_future(self) -> Publishing {
        let headers = beside(self.not_before, self.expires);
        let publisher = self.publisher;
        match self.seal() {
            Ok(envelope) => publisher.publish_with(envelope, headers),
            Err(error) => Publishing { state: State::Failed(Some(error.into())) },
        }
    }
}

impl<'p, C: Sealable, R: DeserializeOwned + 'p> IntoFuture for Draft<'p, C, Answered<R>> {
    type Output = Result<R, CallError>;
    type IntoFuture = BoxFuture<'p, Result<R, CallError>>;

    fn into_future(self) -> Self::IntoFuture {
        let (publisher, within) = (self.publisher, self.wait.within);
        let headers = beside(None, self.expires.map(|time| time.min(within)));
        let sealed = self.seal();
        Box::pin(async move {
            let command = sealed.map_err(PublishError::from)?;
            call::call(publisher, command, headers, within).await
        })
    }
}

/// What travels beside a message that is due at a time, or expires after a time.
fn beside(not_before: Option<DateTime<Utc>>, expires: Option<Duration>) -> Headers {
    let due = not_before.map(|due| (headers::NOT_BEFORE.to_owned(), headers::of_time(due)));
    let from = not_before.unwrap_or_default().max(Utc::now());
    let expiry = expires.and_then(|time| expiry::after(from, time));
    let expiry = expiry.map(|at| (headers::EXPIRES_AT.to_owned(), at));
    due.into_iter().chain(expiry).collect()
}

impl<C, M> fmt::Debug for Draft<'_, C, M> {
    /// Without the payload.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").field("meta", &self.meta).finish_non_exhaustive()
    }
}

impl<R> fmt::Debug for Answered<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answered").field("within", &self.within).finish_non_exhaustive()
    }
}

impl fmt::Debug for Json<'_> {
    /// Without the payload.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Json").field("key", &self.key).finish_non_exhaustive()
    }
}

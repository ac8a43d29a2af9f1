//! The traits that generated code implements: contracts, services, and who may do what.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{CheckError, Contracts, Kind};

/// A payload type that was generated from a contract.
///
/// The type is for ergonomics; [`Contracts`] decides what is valid. Whatever the contract accepts,
/// the type decodes, but a value of the type may still break the contract (a text that is too long),
/// which [`Contract::validate`] and every publisher find.
pub trait Contract: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Event or command.
    const KIND: Kind;
    /// The keys on the wire, with version: `theboard.meeting.created`, `llm.prompt.v2`.
    ///
    /// One, except for a contract whose key is an enum; never empty.
    const KEYS: &'static [&'static str];
    /// 1 unless the file name says `.v<N>`.
    const VERSION: u32;
    /// The schema's `$id`, else its path.
    const SCHEMA_ID: &'static str;

    /// The key on the wire of this value.
    fn key(&self) -> &'static str {
        Self::KEYS[0]
    }

    /// The contracts this one was generated with.
    fn contracts() -> Contracts;

    /// Checks this value against its contract, as publishing it would.
    ///
    /// # Errors
    /// [`CheckError::Refused`] with every violation; [`CheckError::Encode`] if the value has no
    /// JSON form.
    fn validate(&self) -> Result<(), CheckError> {
        let payload = serde_json::to_value(self).map_err(CheckError::Encode)?;
        Self::contracts().check(self.key(), &payload)
    }
}

/// A fact: published, and heard by any number of queues.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "events are published, commands are sent: `Publisher::send`"
)]
pub trait Event: Contract {}

/// A request: sent to the one worker queue of its key, and answered to who calls.
///
/// Its schema may say what it is answered with:
///
/// ```json
/// "x-bloodbank-reply": { "$ref": "../_common/types.v1.json#/$defs/merged" }
/// ```
///
/// Then that is [`Reply`](Command::Reply), callers and handlers have to keep to it when they are
/// compiled, and who answers and who is answered checks it against the schema. On the wire an answer is
/// `{"ok": <reply>}`, or `{"error": "<why there is none>"}`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command",
    label = "not a command",
    note = "commands are sent, events are published: `Publisher::publish`"
)]
pub trait Command: Contract {
    /// What it is answered with: the type of `x-bloodbank-reply`; any JSON where the schema does not
    /// say.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
}

/// This command may be answered with a `T`: with its [`Reply`](Command::Reply), or where its schema
/// names none, with what caller and handler agree on.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not answered with `{T}`",
    label = "`{T}` is not the answer that the schema of this command names",
    note = "`x-bloodbank-reply` in the schema of the command says what it is answered with: \
            `Command::Reply`"
)]
pub trait AnsweredWith<T> {}

/// A service of `services/registry.yaml`, as a marker type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a service",
    label = "not a service",
    note = "services come from services/registry.yaml; `services::Any` stands outside of it"
)]
pub trait Service: Send + Sync + 'static {
    /// Its name in the registry; the `source` of what it publishes.
    const NAME: &'static str;
    /// Whether the registry does not bind it. True for `services::Any` only.
    const UNRESTRICTED: bool = false;

    /// The contracts it was generated with.
    fn contracts() -> Contracts;
}

/// The registry lets this service publish `E`.
#[diagnostic::on_unimplemented(
    message = "service `{Self}` does not produce `{E}`",
    label = "`{E}` is not under `produces:` of this service",
    note = "add the event's key to `produces:` of this service in services/registry.yaml, or \
            publish as `services::Any`"
)]
pub trait Produces<E>: Service {}

/// The registry lets this service listen to `E`.
#[diagnostic::on_unimplemented(
    message = "service `{Self}` does not consume `{E}`",
    label = "`{E}` is not under `routing_keys:` of this service",
    note = "add the event's key to `routing_keys:` of this service in services/registry.yaml, or \
            subscribe as `services::Any`"
)]
pub trait Consumes<E>: Service {}

/// The registry lets this service send `C`.
#[diagnostic::on_unimplemented(
    message = "service `{Self}` does not send `{C}`",
    label = "`{C}` is not under `commands: sends:` of this service",
    note = "add the command's key to `commands: sends:` of this service in \
            services/registry.yaml, or send as `services::Any`"
)]
pub trait Sends<C>: Service {}

/// The registry lets this service carry out `C`.
#[diagnostic::on_unimplemented(
    message = "service `{Self}` does not handle `{C}`",
    label = "`{C}` is not under `commands: handles:` of this service",
    note = "add the command's key to `commands: handles:` of this service in \
            services/registry.yaml, or handle it as `services::Any`"
)]
pub trait Handles<C>: Service {}

/// [`Produces`], seen from the event; every `Produces` impl gives it.
///
/// Publishers ask for this one. Asked `S: Produces<_>`, the compiler takes the event of a service
/// that has only one for granted, and calls any other a type mismatch; asked `_: ProducedBy<S>`, it
/// looks at the argument first, and then says which service does not produce what.
pub trait ProducedBy<S> {}

impl<E, S: Produces<E>> ProducedBy<S> for E {}

/// [`Sends`], seen from the command; see [`ProducedBy`].
pub trait SentBy<S> {}

impl<C, S: Sends<C>> SentBy<S> for C {}

/// [`Consumes`], seen from the event; see [`ProducedBy`].
pub trait ConsumedBy<S> {}

impl<E, S: Consumes<E>> ConsumedBy<S> for E {}

/// [`Handles`], seen from the command; see [`ProducedBy`].
pub trait HandledBy<S> {}

impl<C, S: Handles<C>> HandledBy<S> for C {}

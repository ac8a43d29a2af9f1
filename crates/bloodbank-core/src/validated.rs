//! The proof that something passed its contract.

use std::ops::Deref;

use uuid::Uuid;

use crate::Kind;

/// A value that keeps its contract.
///
/// Only [`Contracts::validate`](crate::Contracts::validate) makes one, and nothing changes the
/// value inside, so whoever takes a `Validated` need not ask again.
///
/// ```compile_fail,E0451
/// # fn sneak(envelope: bloodbank_core::Envelope) {
/// let door = bloodbank_core::Validated { value: envelope, kind: bloodbank_core::Kind::Event };
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Validated<T> {
    value: T,
    kind: Kind,
    schema: Uuid,
}

impl<T> Validated<T> {
    /// For [`Contracts`](crate::Contracts) alone.
    pub(crate) fn new(value: T, kind: Kind, schema: Uuid) -> Self {
        Validated { value, kind, schema }
    }

    /// Whether the contract is that of an event or of a command.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The digest of the schema that judged it: [`Contracts::digest`](crate::Contracts::digest).
    pub fn schema(&self) -> Uuid {
        self.schema
    }

    /// The value.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// The value, without the proof.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Validated<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

//! A message that is being put together.

use std::fmt;
use std::future::Ready;
use std::pin::Pin;
use std::task::{Context, Poll};

use bloodbank_bus::{Encoded, Headers, Sealable};
use bloodbank_core::{Envelope, Meta, SealError, Validated};
use uuid::Uuid;

use crate::outbox::Desk;
use crate::{DatabaseError, OutboxError, Row, Tx};

/// A message that is being put together: `.await` validates it and writes it into the transaction.
///
/// What is not said is minted: an id, and now.
#[must_use = "nothing is written until this is awaited"]
pub struct Draft<'o, C, T = ()> {
    desk: &'o Desk,
    content: C,
    tx: T,
    meta: Meta,
}

/// A message stands in the transaction. It is sent once that is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// The id of its envelope.
    pub id: Uuid,
    /// Whether a message with this id waited already, and this one was therefore not written: an
    /// idempotency key was repeated.
    pub is_repeated: bool,
}

impl<'o, C: Sealable, T> Draft<'o, C, T> {
    pub(crate) fn new(desk: &'o Desk, content: C, tx: T) -> Self {
        Draft { desk, content, tx, meta: Meta::new() }
    }

    bloodbank_core::meta_setters!();

    /// Validates it and seals its envelope, and writes nothing.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn seal(self) -> Result<Validated<Envelope>, SealError> {
        self.content.seal(&self.desk.sealer, self.meta)
    }

    /// Validates it and gives its row, for the caller to write with
    /// [`Tables::insert`](crate::Tables::insert).
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn row(self) -> Result<Row, SealError> {
        let sealed = self.seal()?;
        let message = Encoded::new(sealed, Headers::new()).map_err(SealError::Encode)?;
        Row::of(message).map_err(SealError::Encode)
    }
}

impl<C: Sealable, T: Tx> Draft<'_, C, T> {
    fn begin(self) -> Writing<T::Executing> {
        let Draft { desk, content, tx, meta } = self;
        let row = match Draft::new(desk, content, ()).meta(meta).row() {
            Ok(row) => row,
            Err(error) => return Writing { state: State::Refused(Some(error)) },
        };
        let insert = desk.insert(tx.dialect());
        Writing { state: State::Executing(row.id, tx.execute(insert, row.values())) }
    }
}

impl<C, T> Draft<'_, C, T>
where
    C: Sealable,
    T: Tx<Executing = Ready<Result<u64, DatabaseError>>>,
{
    /// The same as awaiting it, for a client that blocks and code that is not async.
    ///
    /// # Errors
    /// See [`OutboxError`].
    pub fn now(self) -> Result<Written, OutboxError> {
        match self.begin().state {
            State::Refused(error) => Err(refused(error)),
            State::Executing(id, done) => Ok(written(id, done.into_inner()?)),
        }
    }
}

impl<C: Sealable, T: Tx> IntoFuture for Draft<'_, C, T> {
    type Output = Result<Written, OutboxError>;
    type IntoFuture = Writing<T::Executing>;

    fn into_future(self) -> Self::IntoFuture {
        self.begin()
    }
}

/// A message on its way into the transaction, or refused.
#[must_use = "nothing is written until this is awaited"]
pub struct Writing<F> {
    state: State<F>,
}

enum State<F> {
    /// Taken when it is told.
    Refused(Option<SealError>),
    Executing(Uuid, F),
}

fn refused(error: Option<SealError>) -> OutboxError {
    match error {
        Some(error) => error.into(),
        // Only who polls a future that is done gets here.
        None => DatabaseError::new("the outcome was told already").into(),
    }
}

fn written(id: Uuid, rows: u64) -> Written {
    Written { id, is_repeated: rows == 0 }
}

impl<F> Future for Writing<F>
where
    F: Future<Output = Result<u64, DatabaseError>> + Unpin,
{
    type Output = Result<Written, OutboxError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Refused(error) => Poll::Ready(Err(refused(error.take()))),
            State::Executing(id, executing) => {
                let id = *id;
                let done = Pin::new(executing).poll(context);
                done.map(|rows| Ok(written(id, rows?)))
            }
        }
    }
}

impl<C, T> fmt::Debug for Draft<'_, C, T> {
    /// Without the payload.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").field("meta", &self.meta).finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for Writing<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writing").finish_non_exhaustive()
    }
}

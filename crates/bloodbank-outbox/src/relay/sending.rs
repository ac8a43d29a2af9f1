//! A batch on its way to the bus.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bloodbank_bus::{Confirm, Encoded, Headers, Transport, Verbatim};
use bloodbank_core::{Contracts, Kind};

use super::failure::{Cause, Failure};
use crate::desk::Cells;
use crate::{DatabaseError, Value};

/// Publishes rows, many at a time, in order.
pub(super) struct Sending<'s> {
    transport: &'s dyn Transport,
    contracts: &'s Contracts,
    window: usize,
    flying: VecDeque<(Tracked, Confirm)>,
    sent: Sent,
}

/// What became of a batch.
#[derive(Default)]
pub(super) struct Sent {
    /// Confirmed, with everything before it.
    pub(super) done: Vec<i64>,
    /// Confirmed, behind what has failed.
    pub(super) behind: Vec<i64>,
    /// The first that has failed.
    pub(super) failure: Option<Failure>,
}

/// What of a row is needed once it is on its way.
struct Tracked {
    seq: i64,
    id: String,
    key: String,
    attempts: u32,
    last_error: Option<String>,
}

/// What of a row is published.
struct Content {
    kind: i64,
    envelope: Value,
    headers: Option<String>,
}

impl<'s> Sending<'s> {
    pub(super) fn new(
        transport: &'s dyn Transport,
        contracts: &'s Contracts,
        window: usize,
    ) -> Self {
        let (flying, sent) = (VecDeque::new(), Sent::default());
        Sending { transport, contracts, window, flying, sent }
    }

    /// Publishes until a row fails or the relay is stopped, and waits for every confirm.
    pub(super) async fn send(
        mut self,
        rows: Vec<Vec<Value>>,
        stopped: &AtomicBool,
    ) -> Result<Sent, DatabaseError> {
        for row in rows {
            while self.flying.len() >= self.window {
                self.settle_first().await;
            }
            if self.sent.failure.is_some() || stopped.load(Ordering::Relaxed) {
                break;
            }
            let (tracked, content) = read(row)?;
            let has_failed = tracked.last_error.is_some();
            let message =
                content.and_then(|content| encoded(self.contracts, &tracked.key, content));
            match message {
                Ok(message) => {
                    let mut confirm = self.transport.publish(message);
                    // The next one is published behind it.
                    confirm.accepted().await;
                    self.flying.push_back((tracked, confirm));
                    if has_failed {
                        // Else those behind it would be sent once more each time that it fails.
                        self.settle_all().await;
                    }
                }
                Err(cause) => {
                    self.settle_all().await;
                    self.fail(tracked, cause);
                    break;
                }
            }
        }
        self.settle_all().await;
        Ok(self.sent)
    }

    async fn settle_all(&mut self) {
        while !self.flying.is_empty() {
            self.settle_first().await;
        }
    }

    async fn settle_first(&mut self) {
        let Some((tracked, confirm)) = self.flying.pop_front() else { return };
        match (confirm.await, &self.sent.failure) {
            (Ok(()), None) => self.sent.done.push(tracked.seq),
            (Ok(()), Some(_)) => self.sent.behind.push(tracked.seq),
            (Err(error), _) => self.fail(tracked, Cause::Bus(error)),
        }
    }

    /// Keeps the first that fails; those behind it come again anyway.
    fn fail(&mut self, tracked: Tracked, cause: Cause) {
        let Tracked { seq, id, key, attempts, last_error } = tracked;
        self.sent.failure.get_or_insert(Failure { seq, id, key, attempts, last_error, cause });
    }
}

/// A row, and what of it is published, or the column in which it is damaged: a writer in another
/// language may have put anything there, and the relay goes on with the rows before it.
fn read(row: Vec<Value>) -> Result<(Tracked, Result<Content, Cause>), DatabaseError> {
    let mut cells = Cells(row.into_iter());
    let seq = cells.number()?;
    let (id, kind, key) = (text(cells.next()?), number(&cells.next()?), text(cells.next()?));
    let (envelope, headers) = (cells.next()?, cells.next()?);
    let (attempts, last_error) = (number(&cells.next()?), text(cells.next()?));
    let content = match (&id, kind, &key, headers) {
        (None, ..) => Err(Cause::Damaged("id")),
        (_, None, ..) => Err(Cause::Damaged("kind")),
        (_, _, None, _) => Err(Cause::Damaged("key")),
        (_, Some(kind), _, Value::Text(headers)) => Ok(Content { kind, envelope, headers }),
        _ => Err(Cause::Damaged("headers")),
    };
    let attempts = attempts.and_then(|attempts| u32::try_from(attempts).ok()).unwrap_or_default();
    let (id, key) = (id.unwrap_or_default(), key.unwrap_or_default());
    Ok((Tracked { seq, id, key, attempts, last_error }, content))
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Text(text) => text,
        _ => None,
    }
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        _ => None,
    }
}

/// The message of a row, if the contracts in force accept it.
fn encoded(contracts: &Contracts, key: &str, content: Content) -> Result<Encoded, Cause> {
    let kind = match content.kind {
        1 => Kind::Event,
        2 => Kind::Command,
        _ => return Err(Cause::Damaged("kind")),
    };
    let body: Arc<[u8]> = match content.envelope {
        Value::Bytes(bytes) => bytes,
        // SQLite keeps what others have written as text.
        Value::Text(Some(text)) => text.into_bytes().into(),
        _ => return Err(Cause::Damaged("envelope")),
    };
    let headers = match content.headers {
        None => Headers::new(),
        Some(text) => serde_json::from_str(&text).map_err(|_| Cause::Damaged("headers"))?,
    };
    Encoded::read_back(contracts, kind, Verbatim::stored(key, body, headers))
        .map_err(Cause::Refused)
}

//! What lies in a queue for anybody.

use chrono::Utc;

use super::claim::Claim;
use super::message::{self, COLUMNS, Place, Taken};
use crate::StoreError;
use crate::sql::{Connection, Value, time_to_micros};
use crate::writer::Transaction;

/// A message that lies in a queue.
pub(super) enum Lying {
    Message(Taken),
    /// Its event is gone.
    Gone,
    /// It cannot be read, for this reason.
    Damaged(String),
}

/// What lies there for a claim, in order.
pub(super) async fn read(
    connection: &mut Connection,
    claim: &Claim,
) -> Result<Vec<(Place, Lying)>, StoreError> {
    let (after, until) = claim.within.unwrap_or(((-1, 0), (i64::MAX, i64::MAX)));
    let sql = format!(
        "SELECT {COLUMNS} FROM messages m LEFT JOIN events e ON e.position = m.position \
         WHERE m.queue = $1 AND m.consumer IS NULL AND m.due IS NULL \
         AND (m.place, m.number) > ($2, $3) AND (m.place, m.number) <= ($4, $5) \
         ORDER BY m.place, m.number LIMIT $6"
    );
    let most = i64::try_from(claim.most).unwrap_or(i64::MAX);
    let values = [claim.queue, after.0, after.1, until.0, until.1, most].map(Value::Int);
    let rows = connection.query(&sql, &values).await?;
    let one = |row| {
        let place = message::place(row)?;
        Ok((place, message::lying(row, place)))
    };
    rows.iter().map(one).collect()
}

/// Everything that lies there for anybody, up to a place, goes to the consumer.
pub(super) async fn hand_over(
    transaction: &mut Transaction,
    claim: &Claim,
    last: Place,
) -> Result<(), StoreError> {
    let after = claim.within.map_or((-1, 0), |(after, _)| after);
    let sql = "UPDATE messages SET consumer = $1, since = $7 WHERE queue = $2 AND consumer IS NULL \
         AND due IS NULL AND (place, number) > ($3, $4) AND (place, number) <= ($5, $6)";
    let now = time_to_micros(Utc::now());
    let numbers = [claim.consumer, claim.queue, after.0, after.1, last.0, last.1, now];
    transaction.execute(sql, &numbers.map(Value::Int)).await.map(|_| ())
}

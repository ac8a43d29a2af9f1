//! Messages that cannot be read as they were stored: they are set aside, and their queues go on.

use std::sync::Arc;

use super::message::Place;
use crate::StoreError;
use crate::queues::QueueRow;
use crate::sql::Value;
use crate::writer::Transaction;

/// The consumer of what nobody gets.
const NOBODY: i64 = 0;

/// A message that cannot be read.
#[derive(Clone, Debug)]
pub(super) struct Damaged {
    pub(super) queue: Arc<QueueRow>,
    pub(super) place: Place,
    pub(super) reason: String,
}

/// Sets messages aside, whoever holds them.
pub(super) async fn set_aside(
    transaction: &mut Transaction,
    all: Vec<Damaged>,
) -> Result<(), StoreError> {
    let clock = transaction.connection().clock();
    let insert =
        format!("INSERT INTO damaged VALUES ($1, $2, $3, {clock}, $4) ON CONFLICT DO NOTHING");
    let update =
        "UPDATE messages SET consumer = $4 WHERE queue = $1 AND place = $2 AND number = $3";
    for Damaged { queue, place, reason } in all {
        tracing::warn!(
            queue = %queue.name,
            position = place.0,
            reason,
            "a message is damaged and set aside; `queues` of the store names it"
        );
        let mut values = [queue.number, place.0, place.1].map(Value::Int).to_vec();
        values.push(Value::text(reason));
        transaction.execute(&insert, &values).await?;
        values[3] = Value::Int(NOBODY);
        transaction.execute(update, &values).await?;
    }
    Ok(())
}

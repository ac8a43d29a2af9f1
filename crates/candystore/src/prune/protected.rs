//! What queues and replays still need.

use crate::queues::first_wanted;
use crate::sql::Connection;
use crate::{Position, StoreError};

/// Messages that have no bytes of their own, but for damaged ones, which nobody gets. Their place is their
/// position, and the index of places tells them without reading the bytes of many dead letters.
const OF_THE_LOG: &str = "number = 0 AND (consumer IS NULL OR consumer > 0)";

/// Queues of a broker that begin with the past, and have not had all of it.
const CATCHING_UP: &str = "done IS NULL OR reached < done";

/// Replays that run: each is heard of every second.
fn running(connection: &Connection) -> String {
    let clock = connection.clock();
    format!("state = 'running' AND updated > {clock} - 60000000 AND reached < last_position")
}

/// The lowest position that a queue still needs: what it wants and has not come to yet, and what it
/// holds to be handled, or handled again. Dead letters need nothing: they have their bytes with them.
pub(super) async fn needed(connection: &mut Connection) -> Result<Option<Position>, StoreError> {
    let wanted = first_wanted(connection).await?;
    let sql = format!("SELECT MIN(place) FROM messages WHERE {OF_THE_LOG}");
    let held = connection.query_one(&sql, &[]).await?.maybe_position(0)?;
    let sql = format!("SELECT MIN(reached) + 1 FROM replays WHERE {}", running(connection));
    let replayed = connection.query_one(&sql, &[]).await?.maybe_position(0)?;
    let sql = format!("SELECT MIN(reached) + 1 FROM catch_ups WHERE {CATCHING_UP}");
    let past = connection.query_one(&sql, &[]).await?.maybe_position(0)?;
    Ok(wanted.into_iter().chain(held).chain(replayed).chain(past).min())
}

/// The same without a look into the log, as if queues wanted everything behind their cursors: for
/// those who have [moved](crate::EventStore::pass_unwanted) these before. `None` where no queue
/// listens to the log.
pub(super) async fn protected(connection: &mut Connection) -> Result<Option<Position>, StoreError> {
    let sql = format!(
        "SELECT MIN(position) FROM (\
         SELECT cursor + 1 AS position FROM queues WHERE number IN (SELECT queue FROM bindings) \
         UNION ALL SELECT place FROM messages WHERE {OF_THE_LOG} \
         UNION ALL SELECT reached + 1 FROM catch_ups WHERE {CATCHING_UP} \
         UNION ALL SELECT reached + 1 FROM replays WHERE {}) AS needed",
        running(connection)
    );
    connection.query_one(&sql, &[]).await?.maybe_position(0)
}

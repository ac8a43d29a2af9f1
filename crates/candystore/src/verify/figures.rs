//! Whether the figures that are kept are those of the events.

use super::Verified;
use crate::sql::{Connection, micros_to_time};
use crate::summary::{day_is_right, days};
use crate::{Position, StoreError};

/// Notes the days whose figures are other ones. They are those of the events up to a position.
pub(super) async fn compare(
    connection: &mut Connection,
    counted: Position,
    found: &mut Verified,
) -> Result<(), StoreError> {
    for day in days(connection).await? {
        if !day_is_right(connection, day, counted).await? {
            let day = micros_to_time(day)?.format("%F");
            found.note(None, format!("the figures of {day} are not those of its events"));
        }
    }
    Ok(())
}

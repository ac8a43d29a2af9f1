//! Whether the figures that are kept are those of the events.

use super::Verified;
use crate::StoreError;
use crate::sql::{Connection, micros_to_time};
use crate::summary::{day_is_right, days};

/// Notes the days whose figures are other ones.
pub(super) async fn compare(
    connection: &mut Connection,
    found: &mut Verified,
) -> Result<(), StoreError> {
    for day in days(connection).await? {
        if !day_is_right(connection, day).await? {
            let day = micros_to_time(day)?.format("%F");
            found.note(None, format!("the figures of {day} are not those of its events"));
        }
    }
    Ok(())
}

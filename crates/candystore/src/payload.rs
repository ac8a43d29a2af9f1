//! Indexes on fields of the payload that somebody asks for often.

mod build;
mod expression;

use chrono::{DateTime, Utc};

pub(crate) use self::expression::{Expression, Expressions, wanted};
use crate::sql::{Connection, Value, micros_to_time};
use crate::{EventStore, Field, StoreError};

/// An index on a field of the payload.
///
/// Questions by [`Field`] look up their events in it where they ask for a text or for a whole number.
/// Texts that are a time (RFC 3339), which can be written in many ways, and other values are found by
/// reading the events one by one, as without an index.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PayloadIndex {
    /// The field's place in the payload, as a JSON pointer.
    pub pointer: String,
    /// When it was complete.
    pub made: DateTime<Utc>,
}

impl PayloadIndex {
    /// Of all indexes.
    pub(crate) async fn all(connection: &mut Connection) -> Result<Vec<Self>, StoreError> {
        let sql = "SELECT pointer, made FROM payload_indexes ORDER BY pointer";
        let rows = connection.query(sql, &[]).await?;
        let index = |row: &crate::sql::Row| {
            Ok(PayloadIndex {
                pointer: row.text(0)?.to_owned(),
                made: micros_to_time(row.int(1)?)?,
            })
        };
        rows.iter().map(index).collect()
    }

    /// The first of some fields that has an index which knows its value, and the values to look up.
    pub(crate) async fn of(
        connection: &mut Connection,
        fields: &[Field],
    ) -> Result<Option<(Expressions, Vec<Value>)>, StoreError> {
        if fields.iter().all(|field| wanted(field).is_none()) {
            return Ok(None);
        }
        let indexes = PayloadIndex::all(connection).await?;
        for field in fields {
            let is_of = |index: &&PayloadIndex| index.pointer == field.pointer();
            let (Some(_), Some(mut values)) = (indexes.iter().find(is_of), wanted(field)) else {
                continue;
            };
            if let Ok(expressions) = Expressions::of(connection.is_sqlite(), field.pointer()) {
                values.extend(expressions.unreadable());
                return Ok(Some((expressions, values)));
            }
        }
        Ok(None)
    }
}

impl EventStore {
    /// The indexes on fields of the payload, by pointer.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn payload_indexes(&self) -> Result<Vec<PayloadIndex>, StoreError> {
        self.readers().run(async |c: &mut Connection| PayloadIndex::all(c).await).await
    }

    /// Makes an index on the field of the payload that a JSON pointer names. Gives false if there is
    /// one.
    ///
    /// It takes long where much is stored. Others write meanwhile on PostgreSQL, and wait in a SQLite
    /// file.
    ///
    /// # Errors
    /// [`StoreError::Field`] if nothing can be indexed by the pointer; if the database does not do it.
    pub async fn add_payload_index(&self, pointer: &str) -> Result<bool, StoreError> {
        // Also where there is one of it by another hand.
        Expressions::of(true, pointer)?;
        build::add(self, pointer.to_owned()).await
    }

    /// Removes the index on a field of the payload. Gives false if there is none.
    ///
    /// # Errors
    /// If the database does not do it.
    pub async fn drop_payload_index(&self, pointer: &str) -> Result<bool, StoreError> {
        build::drop(self, pointer.to_owned()).await
    }
}

//! What goes into statements and comes out of them.

use std::sync::Arc;

use uuid::Uuid;

use crate::{Damage, Position, StoreError};

/// A value of a column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Arc<[u8]>),
    Id(Uuid),
}

impl Value {
    /// A position, which no store gets to 2^63 of.
    pub(crate) fn position(position: Position) -> Self {
        Value::Int(i64::try_from(position).unwrap_or(i64::MAX))
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Value::Text(text.into())
    }

    /// `None` is null.
    pub(crate) fn maybe<T>(value: Option<T>, some: impl FnOnce(T) -> Value) -> Self {
        value.map_or(Value::Null, some)
    }

    /// The same, borrowed.
    pub(crate) fn cell(&self) -> Cell<'_> {
        match self {
            Value::Null => Cell::Null,
            Value::Int(number) => Cell::Int(*number),
            Value::Text(text) => Cell::Text(text),
            Value::Bytes(bytes) => Cell::Bytes(bytes),
            Value::Id(id) => Cell::Id(*id),
        }
    }
}

/// A value on its way into a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell<'v> {
    Null,
    Int(i64),
    Text(&'v str),
    Bytes(&'v [u8]),
    Id(Uuid),
}

impl Cell<'_> {
    /// Roughly how many bytes it is on its way.
    pub(crate) fn size(&self) -> usize {
        match self {
            Cell::Null => 4,
            Cell::Int(_) => 12,
            Cell::Id(_) => 20,
            Cell::Text(text) => 4 + text.len(),
            Cell::Bytes(bytes) => 4 + bytes.len(),
        }
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Int,
    Text,
    Bytes,
    Id,
}

/// A table that many rows are inserted into at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [(&'static str, Type)],
    /// What to do with a row whose primary key is there.
    pub(crate) or_ignore: bool,
}

/// A statement for many rows of values.
#[derive(Debug)]
pub(crate) struct Each<'a> {
    /// For one row, with its values as `$1` and so on.
    pub(crate) one: &'a str,
    /// For all rows, with the arrays of their columns as `$1` and so on, in PostgreSQL's words.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "SQLite takes one at a time"))]
    pub(crate) all: &'a str,
    /// What the columns hold.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "SQLite takes one at a time"))]
    pub(crate) columns: &'a [Type],
}

/// A statement, and the rows it is for.
pub(crate) type Set<'a> = (&'a Each<'a>, &'a [Vec<Value>]);

/// One row of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row(pub(crate) Vec<Value>);

/// Reads a column, by its place in the question.
macro_rules! getter {
    ($name:ident, $maybe:ident, $type:ty, $what:literal, $($pattern:pat => $value:expr),+) => {
        pub(crate) fn $maybe(&self, column: usize) -> Result<Option<$type>, StoreError> {
            match self.0.get(column) {
                Some(Value::Null) => Ok(None),
                $(Some($pattern) => $value.map(Some),)+
                _ => Err(StoreError::Damaged(Damage::Type($what))),
            }
        }

        pub(crate) fn $name(&self, column: usize) -> Result<$type, StoreError> {
            self.$maybe(column)?.ok_or(StoreError::Damaged(Damage::Missing($what)))
        }
    };
}

impl Row {
    getter!(int, maybe_int, i64, "number", Value::Int(n) => Ok(*n));
    getter!(text, maybe_text, &str, "text", Value::Text(text) => Ok(text.as_str()));
    getter!(id, maybe_id, Uuid, "id",
        Value::Id(id) => Ok(*id),
        // SQLite has no type for it.
        Value::Bytes(bytes) => {
            Uuid::from_slice(bytes).map_err(|_| StoreError::Damaged(Damage::Type("id")))
        }
    );
    getter!(bytes, maybe_bytes, Arc<[u8]>, "bytes", Value::Bytes(bytes) => Ok(bytes.clone()));

    pub(crate) fn position(&self, column: usize) -> Result<Position, StoreError> {
        let number = self.int(column)?;
        Position::try_from(number).map_err(|_| StoreError::Damaged(Damage::Type("position")))
    }

    pub(crate) fn maybe_position(&self, column: usize) -> Result<Option<Position>, StoreError> {
        self.maybe_int(column)?.map(|_| self.position(column)).transpose()
    }
}

//! Tables as structs: a field is a column, and each is named once.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Cell, Row, Type, Value};
use crate::StoreError;

/// What can stand in a column.
pub(crate) trait Column: Sized {
    /// What the database takes it for.
    const TYPE: Type;

    /// As it is written.
    fn cell(&self) -> Cell<'_>;

    /// As it is read; `None` if this program does not write such a value.
    fn read(value: &Value) -> Option<Self>;
}

/// Makes a struct whose fields are the columns of a table, or some of them.
///
/// What names columns is derived from it: `TABLE` for inserting, `COLUMNS` for selecting, `of` for
/// reading a row that was selected so, `cells` for writing one.
macro_rules! table {
    (
        $(#[$doc:meta])*
        $name:ident in $table:literal {
            $(#[$first_doc:meta])* $first:ident: $first_type:ty,
            $($(#[$column_doc:meta])* $column:ident: $type:ty,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) struct $name {
            $(#[$first_doc])* pub(crate) $first: $first_type,
            $($(#[$column_doc])* pub(crate) $column: $type,)*
        }

        impl $name {
            /// The columns, as a question names them.
            pub(crate) const COLUMNS: &str =
                concat!(stringify!($first) $(, ", ", stringify!($column))*);

            /// Reads a row of `COLUMNS`.
            pub(crate) fn of(row: &$crate::sql::Row) -> Result<Self, $crate::StoreError> {
                let mut values = row.0.iter();
                Ok($name {
                    $first: $crate::sql::next(&mut values, stringify!($first))?,
                    $($column: $crate::sql::next(&mut values, stringify!($column))?,)*
                })
            }
        }

        impl $crate::sql::TableRow for $name {
            const TABLE: $crate::sql::Table = $crate::sql::Table {
                name: $table,
                columns: &[
                    (stringify!($first), <$first_type as $crate::sql::Column>::TYPE),
                    $((stringify!($column), <$type as $crate::sql::Column>::TYPE),)*
                ],
                or_ignore: false,
            };

            fn cells(&self) -> impl Iterator<Item = $crate::sql::Cell<'_>> {
                use $crate::sql::Column;
                [self.$first.cell(), $(self.$column.cell(),)*].into_iter()
            }
        }
    };
}
pub(crate) use table;

/// A row of a table, as it is inserted.
pub(crate) trait TableRow {
    /// The table.
    const TABLE: super::Table;

    /// What goes into the columns, in their order.
    fn cells(&self) -> impl Iterator<Item = Cell<'_>>;
}

/// The next column of a row.
pub(crate) fn next<'v, T: Column>(
    values: &mut impl Iterator<Item = &'v Value>,
    name: &'static str,
) -> Result<T, StoreError> {
    values.next().and_then(T::read).ok_or_else(|| StoreError::column(name))
}

/// A column of a row, by its name among those of a table.
pub(crate) fn find<'r, T: TableRow>(row: &'r Row, name: &str) -> Option<&'r Value> {
    let at = T::TABLE.columns.iter().position(|(column, _)| *column == name)?;
    row.0.get(at)
}

/// Null is `None`.
impl<T: Column> Column for Option<T> {
    const TYPE: Type = T::TYPE;

    fn cell(&self) -> Cell<'_> {
        self.as_ref().map_or(Cell::Null, T::cell)
    }

    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::read(value).map(Some),
        }
    }
}

impl Column for i64 {
    const TYPE: Type = Type::Int;

    fn cell(&self) -> Cell<'_> {
        Cell::Int(*self)
    }

    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }
}

/// A position or a number of events, of which no store gets to 2^63.
impl Column for u64 {
    const TYPE: Type = Type::Int;

    fn cell(&self) -> Cell<'_> {
        Cell::Int(i64::try_from(*self).unwrap_or(i64::MAX))
    }

    fn read(value: &Value) -> Option<Self> {
        i64::read(value)?.try_into().ok()
    }
}

impl Column for u32 {
    const TYPE: Type = Type::Int;

    fn cell(&self) -> Cell<'_> {
        Cell::Int((*self).into())
    }

    fn read(value: &Value) -> Option<Self> {
        i64::read(value)?.try_into().ok()
    }
}

impl Column for bool {
    const TYPE: Type = Type::Int;

    fn cell(&self) -> Cell<'_> {
        Cell::Int((*self).into())
    }

    fn read(value: &Value) -> Option<Self> {
        match i64::read(value)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

/// In microseconds since 1970.
impl Column for DateTime<Utc> {
    const TYPE: Type = Type::Int;

    fn cell(&self) -> Cell<'_> {
        Cell::Int(self.timestamp_micros())
    }

    fn read(value: &Value) -> Option<Self> {
        DateTime::from_timestamp_micros(i64::read(value)?)
    }
}

impl Column for String {
    const TYPE: Type = Type::Text;

    fn cell(&self) -> Cell<'_> {
        Cell::Text(self)
    }

    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
}

impl Column for Arc<[u8]> {
    const TYPE: Type = Type::Bytes;

    fn cell(&self) -> Cell<'_> {
        Cell::Bytes(self)
    }

    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => Some(bytes.clone()),
            _ => None,
        }
    }
}

impl Column for Uuid {
    const TYPE: Type = Type::Id;

    fn cell(&self) -> Cell<'_> {
        Cell::Id(*self)
    }

    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Id(id) => Some(*id),
            // SQLite has no type for it.
            Value::Bytes(bytes) => Uuid::from_slice(bytes).ok(),
            _ => None,
        }
    }
}

/// Makes columns of types that are written as one of a few words.
macro_rules! words {
    ($($type:ty: $read:expr),+ $(,)?) => {
        $(impl $crate::sql::Column for $type {
            const TYPE: $crate::sql::Type = $crate::sql::Type::Text;

            fn cell(&self) -> $crate::sql::Cell<'_> {
                $crate::sql::Cell::Text(self.as_str())
            }

            fn read(value: &$crate::sql::Value) -> Option<Self> {
                match value {
                    $crate::sql::Value::Text(word) => $read(word),
                    _ => None,
                }
            }
        })+
    };
}
pub(crate) use words;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ClockStep;
    use crate::event::EventRow;
    use crate::pruned::PrunedRow;
    use crate::replay::RunRow;
    use crate::sql::{Connection, Target};
    use crate::{StoreOptions, StoreUrl};

    async fn names<T: TableRow>(connection: &mut Connection) -> (Vec<String>, Vec<String>) {
        let sql = format!("SELECT name FROM pragma_table_info('{}') ORDER BY cid", T::TABLE.name);
        let there = connection.query(&sql, &[]).await.unwrap();
        let there = there.iter().map(|row| row.text(0).unwrap().to_owned()).collect();
        let known = T::TABLE.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        (known, there)
    }

    #[tokio::test]
    async fn structs_have_the_columns_of_their_tables() {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::file(folder.path().join("store.db"));
        let target = Target::of(StoreOptions::new(url));
        let (mut connection, _) = Connection::open_or_make(&target).await.unwrap();
        for (known, there) in [
            names::<EventRow>(&mut connection).await,
            names::<RunRow>(&mut connection).await,
            names::<ClockStep>(&mut connection).await,
            names::<PrunedRow>(&mut connection).await,
        ] {
            assert_eq!(known, there);
        }
    }
}

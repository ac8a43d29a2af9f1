//! What goes into statements, and what comes out of them.

use tokio_postgres::Error;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type as PgType, to_sql_checked};
use uuid::Uuid;

use super::errors::reason;
use crate::StoreError;
use crate::sql::{Cell, Row, Type, Value};

/// What goes into a statement. The types go with the values, so that a statement needs no name.
pub(super) type Params<'a> = Vec<(&'a (dyn ToSql + Sync), PgType)>;

pub(super) fn params(values: &[Value]) -> Params<'_> {
    let type_of = |value: &Value| match value {
        // The server finds out.
        Value::Null => PgType::UNKNOWN,
        Value::Int(_) => PgType::INT8,
        Value::Text(_) => PgType::TEXT,
        Value::Bytes(_) => PgType::BYTEA,
        Value::Id(_) => PgType::UUID,
    };
    values.iter().map(|value| (value as &(dyn ToSql + Sync), type_of(value))).collect()
}

/// The columns of rows of so many cells.
pub(super) fn columns<'v>(cells: &[Cell<'v>], width: usize) -> Vec<Vec<Cell<'v>>> {
    let column = |n: usize| cells.iter().copied().skip(n).step_by(width).collect();
    (0..width).map(column).collect()
}

/// The type of an array of such a column's values.
pub(super) fn array_of(column: Type) -> PgType {
    match column {
        Type::Int => PgType::INT8_ARRAY,
        Type::Text => PgType::TEXT_ARRAY,
        Type::Bytes => PgType::BYTEA_ARRAY,
        Type::Id => PgType::UUID_ARRAY,
    }
}

/// An array for each column.
pub(super) fn arrays<'a>(
    columns: &'a [Vec<Cell<'_>>],
    types: impl Iterator<Item = Type>,
) -> Params<'a> {
    let columns = columns.iter().map(|column| column as &(dyn ToSql + Sync));
    columns.zip(types.map(array_of)).collect()
}

pub(super) fn positions(rows: &[tokio_postgres::Row]) -> Result<Vec<(Uuid, i64)>, StoreError> {
    let known = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    known.collect::<Result<_, Error>>().map_err(|error| reason(&error))
}

pub(super) fn read(row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    let value = |column: usize| -> Result<Value, Error> {
        let maybe = |value: Option<Value>| value.unwrap_or(Value::Null);
        Ok(match *row.columns()[column].type_() {
            PgType::INT8 => maybe(row.try_get::<_, Option<i64>>(column)?.map(Value::Int)),
            PgType::INT4 => {
                maybe(row.try_get::<_, Option<i32>>(column)?.map(|n| Value::Int(n.into())))
            }
            PgType::BYTEA => {
                maybe(row.try_get::<_, Option<&[u8]>>(column)?.map(|b| Value::Bytes(b.into())))
            }
            PgType::UUID => maybe(row.try_get::<_, Option<Uuid>>(column)?.map(Value::Id)),
            _ => maybe(row.try_get::<_, Option<String>>(column)?.map(Value::Text)),
        })
    };
    let values = (0..row.len()).map(value).collect::<Result<_, Error>>();
    values.map(Row).map_err(|error| reason(&error))
}

impl ToSql for Value {
    fn to_sql(
        &self,
        column: &PgType,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.cell().to_sql(column, out)
    }

    fn accepts(_: &PgType) -> bool {
        true
    }

    fn encode_format(&self, _: &PgType) -> Format {
        Format::Binary
    }

    to_sql_checked!();
}

impl ToSql for Cell<'_> {
    fn to_sql(
        &self,
        column: &PgType,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Cell::Null => Ok(IsNull::Yes),
            Cell::Int(n) if *column == PgType::INT4 => i32::try_from(*n)?.to_sql(column, out),
            Cell::Int(n) => n.to_sql(column, out),
            Cell::Text(text) => text.to_sql(column, out),
            Cell::Bytes(bytes) => bytes.to_sql(column, out),
            Cell::Id(id) => id.to_sql(column, out),
        }
    }

    fn accepts(_: &PgType) -> bool {
        true
    }

    fn encode_format(&self, _: &PgType) -> Format {
        Format::Binary
    }

    to_sql_checked!();
}

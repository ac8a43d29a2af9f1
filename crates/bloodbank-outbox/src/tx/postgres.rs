//! tokio-postgres.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bloodbank_bus::BoxFuture;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, GenericClient, Row, Transaction};

use super::Tx;
use crate::{DatabaseError, Dialect, Value};

type Executing<'t> = BoxFuture<'t, Result<u64, DatabaseError>>;

impl<'t> Tx for &'t Transaction<'_> {
    type Executing = Executing<'t>;

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn execute(self, sql: Arc<str>, values: Vec<Value>) -> Self::Executing {
        Box::pin(async move { execute(self, &sql, &values).await })
    }
}

impl<'t> Tx for &'t Client {
    type Executing = Executing<'t>;

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn execute(self, sql: Arc<str>, values: Vec<Value>) -> Self::Executing {
        Box::pin(async move { execute(self, &sql, &values).await })
    }
}

/// Any [`GenericClient`] of tokio-postgres, for code that takes transactions and clients alike.
pub struct Pg<'t, C>(pub &'t C);

impl<'t, C: GenericClient + Sync> Tx for Pg<'t, C> {
    type Executing = Executing<'t>;

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn execute(self, sql: Arc<str>, values: Vec<Value>) -> Self::Executing {
        Box::pin(async move { execute(self.0, &sql, &values).await })
    }
}

impl<C> fmt::Debug for Pg<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pg")
    }
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Value::Int(number) => number.to_sql(kind, out),
            Value::Text(text) => text.to_sql(kind, out),
            Value::Bytes(bytes) => (&**bytes).to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A value with its type. With the types said, a statement takes one round trip, and needs no name on
/// the server, which some poolers do not keep.
fn typed(value: &Value) -> (&(dyn ToSql + Sync), Type) {
    let kind = match value {
        Value::Int(_) => Type::INT8,
        Value::Text(_) => Type::TEXT,
        Value::Bytes(_) => Type::BYTEA,
    };
    (value, kind)
}

/// Runs a statement.
pub(crate) async fn execute<C: GenericClient + Sync>(
    client: &C,
    sql: &str,
    values: &[Value],
) -> Result<u64, DatabaseError> {
    let values: Vec<_> = values.iter().map(typed).collect();
    client.execute_typed(sql, &values).await.map_err(DatabaseError::new)
}

/// Asks for rows whose columns are numbers, text or bytes.
pub(crate) async fn query(
    client: &Client,
    sql: &str,
    values: &[Value],
) -> Result<Vec<Vec<Value>>, DatabaseError> {
    let values: Vec<_> = values.iter().map(typed).collect();
    let rows = client.query_typed(sql, &values).await.map_err(DatabaseError::new)?;
    rows.iter().map(read).collect::<Result<_, _>>().map_err(DatabaseError::new)
}

fn read(row: &Row) -> Result<Vec<Value>, tokio_postgres::Error> {
    let value = |at: usize| {
        Ok(match *row.columns()[at].type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(at)?.map_or(Value::Text(None), Value::Int),
            Type::BYTEA => Value::Bytes(row.try_get::<_, &[u8]>(at)?.into()),
            _ => Value::Text(row.try_get(at)?),
        })
    };
    (0..row.len()).map(value).collect()
}

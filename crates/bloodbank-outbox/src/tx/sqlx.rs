//! sqlx, on PostgreSQL.

use std::sync::Arc;

use bloodbank_bus::BoxFuture;
use sqlx::{AssertSqlSafe, PgConnection};

use super::Tx;
use crate::{DatabaseError, Dialect, Value};

/// `&mut *tx`, or any connection.
impl<'t> Tx for &'t mut PgConnection {
    type Executing = BoxFuture<'t, Result<u64, DatabaseError>>;

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn execute(self, sql: Arc<str>, values: Vec<Value>) -> Self::Executing {
        Box::pin(async move {
            // It holds no value, only the names of the tables, and those are quoted.
            let query = sqlx::query(AssertSqlSafe(sql));
            let query = values.into_iter().fold(query, |query, value| match value {
                Value::Int(number) => query.bind(number),
                Value::Text(text) => query.bind(text),
                Value::Bytes(bytes) => query.bind(bytes.to_vec()),
            });
            let done = query.execute(self).await.map_err(DatabaseError::new)?;
            Ok(done.rows_affected())
        })
    }
}

//! Databases changed behind the store's back.

use candystore::StoreUrl;

use crate::databases::Database;

/// Runs statements that both databases understand, but for `BYTEA`.
pub(crate) async fn change(database: &Database, sql: &str) {
    match &database.url {
        StoreUrl::Sqlite(path) => {
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.execute_batch(&sql.replace("BYTEA", "BLOB")).unwrap();
        }
        StoreUrl::Postgres(url) => {
            let (client, connection) =
                tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            client.batch_execute(sql).await.unwrap();
        }
        _ => unreachable!(),
    }
}

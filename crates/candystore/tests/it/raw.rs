//! Databases changed behind the store's back.

use candystore::StoreUrl;

use crate::databases::Database;

/// A client of a server that is not ours.
pub(crate) async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Runs statements that both databases understand, but for `BYTEA`.
pub(crate) async fn change(database: &Database, sql: &str) {
    match &database.url {
        StoreUrl::Sqlite(path) => {
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.execute_batch(&sql.replace("BYTEA", "BLOB")).unwrap();
        }
        StoreUrl::Postgres(url) => {
            let client = connect(url).await;
            client.batch_execute(sql).await.unwrap();
        }
        _ => unreachable!(),
    }
}

/// Asks for one number.
pub(crate) async fn number(database: &Database, sql: &str) -> i64 {
    match &database.url {
        StoreUrl::Sqlite(path) => {
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.query_row(sql, [], |row| row.get(0)).unwrap()
        }
        StoreUrl::Postgres(url) => connect(url).await.query_one(sql, &[]).await.unwrap().get(0),
        _ => unreachable!(),
    }
}

/// Holds the lock of whoever writes, until it is dropped.
pub(crate) enum Held {
    Sqlite { _connection: rusqlite::Connection },
    Postgres { _client: tokio_postgres::Client },
}

/// Takes the lock of whoever writes.
pub(crate) async fn hold(database: &Database) -> Held {
    match &database.url {
        StoreUrl::Sqlite(path) => {
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            Held::Sqlite { _connection: connection }
        }
        StoreUrl::Postgres(url) => {
            let client = connect(url).await;
            let lock = "BEGIN; \
                SELECT pg_advisory_xact_lock(hashtext('candystore ' || current_schema()))";
            client.batch_execute(lock).await.unwrap();
            Held::Postgres { _client: client }
        }
        other => panic!("{other}"),
    }
}

//! What the databases do alone: a table of ten columns with a unique id and the indexes that the table
//! of events has, and rows that are ready. Nothing is parsed, judged, numbered or summed.

use std::path::Path;

use bloodbank::chrono::Utc;
use bloodbank::uuid::Uuid;
use rusqlite::{Connection, params};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

use crate::workflow::Event;

const INDEXES: &str = "
    CREATE UNIQUE INDEX bare_by_id ON bare (id);
    CREATE INDEX bare_by_key ON bare (key, position);
    CREATE INDEX bare_by_source ON bare (source, position);
    CREATE INDEX bare_by_received ON bare (received, position);
    CREATE INDEX bare_by_correlation ON bare (correlation_id, position)
        WHERE correlation_id IS NOT NULL;
    CREATE INDEX bare_by_causation ON bare (causation_id, position)
        WHERE causation_id IS NOT NULL;
    CREATE INDEX bare_by_session ON bare (session_id, position) WHERE session_id IS NOT NULL;
";

/// A file, synced with every commit.
pub(crate) struct Sqlite(Connection);

impl Sqlite {
    pub(crate) fn open(file: &Path) -> Self {
        let connection = Connection::open(file).expect("a file");
        let table = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             PRAGMA cache_size = -65536; \
             CREATE TABLE bare (position INTEGER PRIMARY KEY, id BLOB, key TEXT, source TEXT, \
             timestamp INTEGER, received INTEGER, correlation_id BLOB, causation_id BLOB, \
             session_id TEXT, body BLOB);";
        connection.execute_batch(table).expect("a table");
        connection.execute_batch(INDEXES).expect("indexes");
        Sqlite(connection)
    }

    /// A prepared statement for each row, in one transaction.
    pub(crate) fn insert(&mut self, events: &[Event]) {
        let transaction = self.0.transaction().expect("a transaction");
        let sql = "INSERT INTO bare (id, key, source, timestamp, received, correlation_id, \
             causation_id, session_id, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let mut statement = transaction.prepare_cached(sql).expect("a statement");
        let received = Utc::now().timestamp_micros();
        let id = |id: Option<Uuid>| id.map(Uuid::into_bytes);
        for Event { key, envelope, body } in events {
            let row = params![
                envelope.id.as_bytes(),
                &**key,
                envelope.source,
                envelope.timestamp.timestamp_micros(),
                received,
                id(envelope.correlation_id),
                id(envelope.causation_id),
                envelope.session_id,
                &**body,
            ];
            statement.execute(row).expect("inserted");
        }
        drop(statement);
        transaction.commit().expect("committed");
    }
}

/// A connection to a server.
pub(crate) struct Postgres {
    client: Client,
    statement: Statement,
}

impl Postgres {
    pub(crate) async fn open(url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a server");
        tokio::spawn(connection);
        let table = "CREATE TABLE bare (position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
             id UUID, key TEXT, source TEXT, timestamp BIGINT, received BIGINT, \
             correlation_id UUID, causation_id UUID, session_id TEXT, body BYTEA);";
        client.batch_execute(table).await.expect("a table");
        client.batch_execute(INDEXES).await.expect("indexes");
        let sql = "INSERT INTO bare (id, key, source, timestamp, received, correlation_id, \
             causation_id, session_id, body) SELECT * FROM unnest($1::uuid[], $2::text[], \
             $3::text[], $4::bigint[], $5::bigint[], $6::uuid[], $7::uuid[], $8::text[], \
             $9::bytea[]) ON CONFLICT DO NOTHING";
        let statement = client.prepare(sql).await.expect("a statement");
        Postgres { client, statement }
    }

    /// One statement with an array for each column, which is a transaction.
    pub(crate) async fn insert(&mut self, events: &[Event]) {
        let received = vec![Utc::now().timestamp_micros(); events.len()];
        let ids = column(events, |event| event.envelope.id);
        let keys = column(events, |event| &*event.key);
        let sources = column(events, |event| event.envelope.source.as_str());
        let times = column(events, |event| event.envelope.timestamp.timestamp_micros());
        let correlations = column(events, |event| event.envelope.correlation_id);
        let causes = column(events, |event| event.envelope.causation_id);
        let sessions = column(events, |event| event.envelope.session_id.as_deref());
        let bodies = column(events, |event| &*event.body);
        let rows: [&(dyn ToSql + Sync); 9] =
            [&ids, &keys, &sources, &times, &received, &correlations, &causes, &sessions, &bodies];
        self.client.execute(&self.statement, &rows).await.expect("inserted");
    }
}

fn column<'e, T>(events: &'e [Event], value: impl Fn(&'e Event) -> T) -> Vec<T> {
    events.iter().map(value).collect()
}

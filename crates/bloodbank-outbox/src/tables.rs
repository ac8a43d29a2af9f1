//! The two tables, and what is said about them in SQL.

use std::fmt;

/// Which SQL a database speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// PostgreSQL 11 and later.
    Postgres,
    /// SQLite 3.42 and later.
    Sqlite,
}

/// The names of the tables: `bloodbank_outbox` and `bloodbank_inbox` unless said. A name may have a
/// schema before it: `app.outbox`. Any name is quoted, so that none needs to be checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Tables {
    outbox: String,
    inbox: String,
}

impl Default for Tables {
    fn default() -> Self {
        Tables { outbox: "bloodbank_outbox".to_owned(), inbox: "bloodbank_inbox".to_owned() }
    }
}

impl Tables {
    /// The default names.
    pub fn new() -> Self {
        Tables::default()
    }

    /// Names the table of messages that wait to be sent.
    pub fn with_outbox(mut self, name: impl Into<String>) -> Self {
        self.outbox = name.into();
        self
    }

    /// Names the table of messages that were handled.
    pub fn with_inbox(mut self, name: impl Into<String>) -> Self {
        self.inbox = name.into();
        self
    }

    /// The name of the outbox, as it was given.
    pub fn outbox(&self) -> &str {
        &self.outbox
    }

    /// The name of the inbox, as it was given.
    pub fn inbox(&self) -> &str {
        &self.inbox
    }

    /// The statements that make both tables where they are not there: for a migration of the caller's.
    pub fn ddl(&self, dialect: Dialect) -> String {
        let (outbox, inbox) = (quoted(&self.outbox), quoted(&self.inbox));
        let index = quoted(&format!("{}_handled", last(&self.inbox)));
        let template = match dialect {
            Dialect::Postgres => include_str!("ddl/postgres.sql"),
            Dialect::Sqlite => include_str!("ddl/sqlite.sql"),
        };
        let schema = schema(&self.inbox).map(|schema| format!("{}.", quoted(schema)));
        // SQLite wants the schema before the index, PostgreSQL before the table.
        let (index, on) = match (dialect, schema) {
            (Dialect::Sqlite, Some(schema)) => (schema + &index, quoted(last(&self.inbox))),
            _ => (index, inbox.clone()),
        };
        let text = template.replace("{outbox}", &outbox).replace("{inbox}", &inbox);
        text.replace("{index}", &index).replace("{on}", &on)
    }

    /// The statement that writes a message, for clients that [`Tx`](crate::Tx) is not implemented for.
    /// Its values are those of [`Row::values`](crate::Row::values), in this order; it changes or returns
    /// one row, or none if a message with this id waits already. With `notify` a relay on PostgreSQL is
    /// woken at the commit.
    pub fn insert(&self, dialect: Dialect, notify: bool) -> String {
        let table = quoted(&self.outbox);
        let insert = |values: &str| {
            format!(
                "INSERT INTO {table} (id, kind, key, envelope, headers) VALUES ({values}) \
                 ON CONFLICT (id) DO NOTHING"
            )
        };
        match dialect {
            Dialect::Sqlite => insert("?1, ?2, ?3, ?4, ?5"),
            Dialect::Postgres => {
                let insert = insert(
                    "CAST(CAST($1 AS text) AS uuid), CAST(CAST($2 AS bigint) AS smallint), \
                     $3, $4, $5",
                );
                if !notify {
                    return insert;
                }
                let channel = self.channel().replace('\'', "''");
                format!(
                    "WITH written AS ({insert} RETURNING seq) \
                     SELECT pg_notify('{channel}', '') FROM written"
                )
            }
        }
    }

    /// What a relay listens to: the table's name, as far as PostgreSQL takes it.
    pub(crate) fn channel(&self) -> String {
        let mut channel = String::new();
        for c in last(&self.outbox).chars() {
            if channel.len() + c.len_utf8() > 63 {
                break;
            }
            channel.push(c);
        }
        channel
    }

    pub(crate) fn quoted_outbox(&self) -> String {
        quoted(&self.outbox)
    }

    pub(crate) fn quoted_inbox(&self) -> String {
        quoted(&self.inbox)
    }
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tables({}, {})", self.outbox, self.inbox)
    }
}

/// `app.outbox` as `"app"."outbox"`.
pub(crate) fn quoted(name: &str) -> String {
    let parts = name.split('.').map(|part| format!("\"{}\"", part.replace('"', "\"\"")));
    parts.collect::<Vec<_>>().join(".")
}

fn schema(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(schema, _)| schema)
}

fn last(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, last)| last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statements_for_a_migration_name_the_tables() {
        for dialect in [Dialect::Postgres, Dialect::Sqlite] {
            let ddl = Tables::new().ddl(dialect);
            assert!(ddl.contains("CREATE TABLE IF NOT EXISTS \"bloodbank_outbox\" ("), "{ddl}");
            assert!(ddl.contains("CREATE TABLE IF NOT EXISTS \"bloodbank_inbox\" ("), "{ddl}");
            assert!(ddl.contains(" ON \"bloodbank_inbox\" (handled);"), "{ddl}");
            assert!(!ddl.contains(['{', '}']), "{ddl}");
        }
    }

    #[test]
    fn any_name_is_quoted_with_its_schema() {
        let tables = Tables::new().with_outbox("app.o\"; DROP").with_inbox("app.in");
        assert_eq!(tables.quoted_outbox(), "\"app\".\"o\"\"; DROP\"");
        let ddl = tables.ddl(Dialect::Postgres);
        assert!(ddl.contains("\"in_handled\" ON \"app\".\"in\" "), "{ddl}");
        let ddl = tables.ddl(Dialect::Sqlite);
        assert!(ddl.contains("\"app\".\"in_handled\" ON \"in\" "), "{ddl}");
        let insert = Tables::new().with_outbox("it's").insert(Dialect::Postgres, true);
        assert!(insert.contains("pg_notify('it''s', '')"), "{insert}");
        assert!(!Tables::new().insert(Dialect::Postgres, false).contains("pg_notify"));
    }

    #[test]
    fn a_channel_is_no_longer_than_postgres_takes() {
        assert_eq!(Tables::new().with_outbox("app.outbox").channel(), "outbox");
        let long = "ä".repeat(40);
        assert_eq!(Tables::new().with_outbox(long).channel().len(), 62);
    }
}

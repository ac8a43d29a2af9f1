//! Statements that the server keeps under a name, so that it need not read them anew.
//!
//! Only where the session is our own: behind a pooler another client's session may have the name, or none
//! at all.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type as PgType};
use tokio_postgres::{Client, Error, Row, Statement};

use super::values::Params;

/// The most statements that have a name, and the most that are known to have come once.
const MOST: usize = 128;

/// A statement's text, and the types of its values.
type Key = (String, Vec<PgType>);

/// The statements of a session.
#[derive(Default)]
pub(super) struct Statements {
    /// Those that came once: most of them never come again.
    once: RefCell<HashSet<Key>>,
    named: RefCell<HashMap<Key, Statement>>,
}

impl Statements {
    /// A statement with values of these types. It gets a name when it comes for the second time.
    pub(super) async fn of<'a>(
        &self,
        client: &Client,
        sql: &'a str,
        types: Vec<PgType>,
    ) -> Result<Asked<'a>, Error> {
        let key = (sql.to_owned(), types);
        if let Some(statement) = self.named.borrow().get(&key) {
            return Ok(Asked { sql, named: Some(statement.clone()) });
        }
        if !self.once.borrow_mut().remove(&key) {
            let mut once = self.once.borrow_mut();
            if once.len() >= MOST {
                once.clear();
            }
            once.insert(key);
            return Ok(Asked::by_text(sql));
        }
        let statement = client.prepare_typed(sql, &key.1).await?;
        let mut named = self.named.borrow_mut();
        if named.len() >= MOST {
            named.clear();
        }
        named.insert(key, statement.clone());
        Ok(Asked { sql, named: Some(statement) })
    }

    /// Forgets all names if the server does not know one of them any more, or what it means.
    pub(super) fn failed(&self, error: &Error) {
        let codes = [&SqlState::INVALID_SQL_STATEMENT_NAME, &SqlState::FEATURE_NOT_SUPPORTED];
        if error.code().is_some_and(|code| codes.contains(&code)) {
            self.named.borrow_mut().clear();
        }
    }
}

/// A statement on its way, by its name or as a text.
pub(super) struct Asked<'a> {
    sql: &'a str,
    named: Option<Statement>,
}

impl<'a> Asked<'a> {
    pub(super) fn by_text(sql: &'a str) -> Self {
        Asked { sql, named: None }
    }

    /// Gives the number of rows that it changed. It is sent when this is first polled.
    pub(super) async fn execute(&self, client: &Client, params: &Params<'_>) -> Result<u64, Error> {
        match &self.named {
            Some(statement) => client.execute(statement, &values(params)).await,
            None => client.execute_typed(self.sql, params).await,
        }
    }

    /// Gives the rows of the answer. It is sent when this is first polled.
    pub(super) async fn query(
        &self,
        client: &Client,
        params: &Params<'_>,
    ) -> Result<Vec<Row>, Error> {
        match &self.named {
            Some(statement) => client.query(statement, &values(params)).await,
            None => client.query_typed(self.sql, params).await,
        }
    }
}

fn values<'a>(params: &Params<'a>) -> Vec<&'a (dyn ToSql + Sync)> {
    params.iter().map(|(value, _)| *value).collect()
}

pub(super) fn types(params: &Params<'_>) -> Vec<PgType> {
    params.iter().map(|(_, kind)| kind.clone()).collect()
}

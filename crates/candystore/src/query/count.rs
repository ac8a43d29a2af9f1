//! How many there are.

use bloodbank_core::Kind;

use super::scope::Scope;
use super::statement::{self, Statement};
use crate::sql::Connection;
use crate::{EventStore, Filter, StoreError};

impl EventStore {
    /// How many events pass a filter. They are counted, so this takes longer the more there are; with
    /// fields, each is read.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn count(&self, filter: &Filter) -> Result<u64, StoreError> {
        let filter = filter.clone();
        if !filter.fields.is_empty() {
            return self.count_one_by_one(filter).await;
        }
        let counted = self.readers().run(async move |c: &mut Connection| {
            c.snapshot(async move |c: &mut Connection| in_snapshot(c, filter).await).await
        });
        counted.await
    }

    /// Counts what is stored by now, page by page, so that others get to ask in between.
    async fn count_one_by_one(&self, filter: Filter) -> Result<u64, StoreError> {
        let mut pages = self.pages(filter).await?;
        let mut count = 0;
        loop {
            match pages.next().await?.len() {
                0 => return Ok(count),
                events => count += events as u64,
            }
        }
    }
}

/// Almost everything is an event, and commands have an index: what is no command is counted as the
/// difference, so that no event needs to be read for its kind.
async fn in_snapshot(c: &mut Connection, mut filter: Filter) -> Result<u64, StoreError> {
    if filter.kind != Some(Kind::Event) {
        return number(c, &filter).await;
    }
    filter.kind = None;
    let all = number(c, &filter).await?;
    filter.kind = Some(Kind::Command);
    Ok(all - number(c, &filter).await?)
}

async fn number(c: &mut Connection, filter: &Filter) -> Result<u64, StoreError> {
    let scope = Scope::of(c, filter).await?;
    if scope.is_empty() {
        return Ok(0);
    }
    let Statement { sql, values } = statement::count(&scope);
    c.query_one(&sql, &values).await?.position(0)
}

//! How many there are.

use super::scan::scan;
use super::scope::Scope;
use super::statement::{self, Statement};
use crate::sql::Connection;
use crate::{EventStore, Filter, Order, StoreError};

/// How many events are read at a time to look at their fields.
const PART: usize = 1_000;

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
            let scope = Scope::of(c, &filter).await?;
            if scope.is_empty() {
                return Ok(0);
            }
            let Statement { sql, values } = statement::count(&scope);
            c.query_one(&sql, &values).await?.position(0)
        });
        counted.await
    }

    /// Counts what is stored by now, part by part, so that others get to ask in between.
    async fn count_one_by_one(&self, mut filter: Filter) -> Result<u64, StoreError> {
        let head = self.position().await?;
        filter.last = Some(filter.last.map_or(head, |last| last.min(head)));
        let (mut count, mut after) = (0, None);
        loop {
            let asked = filter.clone();
            let scanned = self.readers().run(async move |c: &mut Connection| {
                scan(c, &asked, Order::Oldest, PART, after).await
            });
            let scanned = scanned.await?;
            count += scanned.events.len() as u64;
            if scanned.is_all {
                return Ok(count);
            }
            after = Some(scanned.to);
        }
    }
}

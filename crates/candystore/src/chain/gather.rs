//! Finding all that belongs to a chain.

use std::collections::{BTreeSet, HashSet};

use uuid::Uuid;

use super::{COLUMNS as LINK, Link};
use crate::sql::{Connection, Row, Value};
use crate::{Position, StoreError};

/// How many ids one question names.
const AT_A_TIME: usize = 200;

/// What is kept of each event while they are found.
const FOUND: &str = "position, id, correlation_id, causation_id";

/// Events that belong together.
#[derive(Default)]
pub(super) struct Gathered {
    positions: BTreeSet<Position>,
    pub(super) is_cut: bool,
    /// The correlation id of the first event that was found.
    correlation: Option<Uuid>,
    ids: HashSet<Uuid>,
    /// Ids whose event was looked for.
    sought: HashSet<Uuid>,
    /// Ids that were named as causes, to look for.
    causes: Vec<Uuid>,
    /// Ids whose effects are to be looked for.
    unfollowed: Vec<Uuid>,
    most: usize,
}

impl Gathered {
    /// Looks for everything that a correlation or a causation links to the id, at most so many.
    pub(super) async fn of(c: &mut Connection, id: Uuid, most: usize) -> Result<Self, StoreError> {
        let mut all = Gathered { most, ..Gathered::default() };
        all.seek(c, vec![id]).await?;
        let correlation = all.correlation.unwrap_or(id);
        all.seek(c, vec![correlation]).await?;
        all.add_where(c, "correlation_id", &[correlation]).await?;
        while !all.is_cut && all.is_open() {
            let causes = std::mem::take(&mut all.causes);
            all.seek(c, causes).await?;
            let followed = std::mem::take(&mut all.unfollowed);
            all.add_where(c, "causation_id", &followed).await?;
        }
        Ok(all)
    }

    /// Whether something is named that was not looked for.
    fn is_open(&self) -> bool {
        !self.causes.is_empty() || !self.unfollowed.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// The events behind a position, at most so many, and the last position of them if there are more.
    pub(super) async fn page(
        &self,
        c: &mut Connection,
        after: Position,
        limit: usize,
    ) -> Result<(Vec<Link>, Option<Position>), StoreError> {
        let behind = self.positions.range(after.saturating_add(1)..);
        let page: Vec<Position> = behind.clone().take(limit).copied().collect();
        let mut links = Vec::with_capacity(page.len());
        for positions in page.chunks(AT_A_TIME) {
            let sql = statement(LINK, "position", positions.len(), positions.len());
            let values: Vec<Value> = positions.iter().map(|at| Value::position(*at)).collect();
            for row in c.query(&sql, &values).await? {
                links.push(Link::of(&row)?);
            }
        }
        let next = page.last().copied().filter(|_| behind.count() > limit);
        Ok((links, next))
    }

    /// Whether the event with this id was looked for, and is not stored.
    pub(super) fn is_missing(&self, id: &Uuid) -> bool {
        self.sought.contains(id) && !self.ids.contains(id)
    }

    /// Looks for events by their ids, each once.
    async fn seek(&mut self, c: &mut Connection, mut ids: Vec<Uuid>) -> Result<(), StoreError> {
        ids.retain(|id| !self.ids.contains(id) && self.sought.insert(*id));
        self.add_where(c, "id", &ids).await
    }

    async fn add_where(
        &mut self,
        c: &mut Connection,
        column: &str,
        ids: &[Uuid],
    ) -> Result<(), StoreError> {
        for ids in ids.chunks(AT_A_TIME) {
            // One more tells whether there are more.
            let sql = statement(FOUND, column, ids.len(), self.most + 1);
            let values: Vec<Value> = ids.iter().map(|id| Value::Id(*id)).collect();
            for row in c.query(&sql, &values).await? {
                self.add(&row)?;
            }
        }
        Ok(())
    }

    /// Adds a row of [`FOUND`].
    fn add(&mut self, row: &Row) -> Result<(), StoreError> {
        let id = row.id(1)?;
        if self.ids.contains(&id) {
            return Ok(());
        }
        if self.positions.len() >= self.most {
            self.is_cut = true;
            // It was found, whether or not there is room for it.
            self.sought.remove(&id);
            return Ok(());
        }
        if self.positions.is_empty() {
            self.correlation = row.maybe_id(2)?;
        }
        self.ids.insert(id);
        self.causes.extend(row.maybe_id(3)?);
        self.unfollowed.push(id);
        self.positions.insert(row.position(0)?);
        Ok(())
    }
}

fn statement(columns: &str, column: &str, ids: usize, limit: usize) -> String {
    let names: Vec<String> = (1..=ids).map(|n| format!("${n}")).collect();
    format!(
        "SELECT {columns} FROM events WHERE {column} IN ({}) ORDER BY position LIMIT {limit}",
        names.join(", "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreUrl;
    use crate::sql::Target;

    #[tokio::test]
    async fn links_are_looked_up_in_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::file(folder.path().join("store.db"));
        let target = Target::of(crate::StoreOptions::new(url));
        let (mut connection, _) = Connection::open_or_make(&target).await.unwrap();
        for column in ["id", "correlation_id", "causation_id"] {
            let sql = format!("EXPLAIN QUERY PLAN {}", statement(FOUND, column, 2, 10));
            let values = vec![Value::Id(Uuid::nil()); 2];
            let plan = connection.query(&sql, &values).await.unwrap();
            let first = plan[0].text(3).unwrap();
            assert!(first.starts_with("SEARCH events USING INDEX"), "{column}: {first}");
        }
    }
}

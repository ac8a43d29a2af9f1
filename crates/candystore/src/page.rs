//! Many events, a page at a time.

use bloodbank_core::TopicPattern;

use crate::event::COLUMNS;
use crate::sql::{Connection, Row, Value};
use crate::{EventStore, Position, StoreError, StoredEvent};

/// The most events of a page.
const MOST_EVENTS: usize = 500;

/// A page ends with the event that brings its bodies over this many bytes.
const MOST_BYTES: i64 = 4 << 20;

/// Where the next page lies, before its events are read.
pub(crate) struct Page {
    /// The position of its last event.
    pub(crate) end: Position,
    /// The keys of its events, in their order.
    keys: Vec<String>,
}

impl Page {
    /// The page after a position, up to another; none where there is no event.
    pub(crate) async fn find(
        connection: &mut Connection,
        after: Position,
        until: Position,
    ) -> Result<Option<Self>, StoreError> {
        let sql = format!(
            "SELECT position, length(body), key FROM events \
             WHERE position > $1 AND position <= $2 ORDER BY position LIMIT {MOST_EVENTS}"
        );
        let between = [Value::position(after), Value::position(until)];
        let (mut page, mut bytes) = (None, 0);
        for row in connection.query(&sql, &between).await? {
            let page = page.get_or_insert(Page { end: after, keys: Vec::new() });
            page.end = row.position(0)?;
            page.keys.push(row.text(2)?.to_owned());
            bytes += row.int(1)?;
            if bytes > MOST_BYTES {
                break;
            }
        }
        Ok(page)
    }
}

/// The rows after a position up to another, in their order. Ask for the rows of a [`Page`]: more may
/// not fit into memory.
pub(crate) async fn rows(
    connection: &mut Connection,
    after: Position,
    until: Position,
) -> Result<Vec<Row>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM events WHERE position > $1 AND position <= $2 ORDER BY position"
    );
    connection.query(&sql, &[Value::position(after), Value::position(until)]).await
}

/// Events in the order of their positions, of which few are in memory at a time.
pub struct EventPages {
    store: EventStore,
    after: Position,
    until: Position,
    keys: Vec<TopicPattern>,
}

impl EventStore {
    /// The events after a position, up to another or to what is now the last one, whose keys match one
    /// of the patterns. No pattern: all of them.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn pages(
        &self,
        after: Position,
        until: Option<Position>,
        keys: Vec<TopicPattern>,
    ) -> Result<EventPages, StoreError> {
        let last = self.position().await?;
        let until = until.map_or(last, |until| until.min(last));
        Ok(EventPages { store: self.clone(), after, until, keys })
    }
}

impl EventPages {
    /// The next events, at least one; none when there are no more.
    ///
    /// # Errors
    /// If the database cannot be asked, or what stands in it cannot be read.
    pub async fn next(&mut self) -> Result<Vec<StoredEvent>, StoreError> {
        while self.after < self.until {
            let (after, until, keys) = (self.after, self.until, self.keys.clone());
            let read = async move |c: &mut Connection| read(c, after, until, &keys).await;
            let (end, events) = self.store.readers().run(read).await?;
            self.after = end;
            if !events.is_empty() {
                return Ok(events);
            }
        }
        Ok(Vec::new())
    }
}

/// The events of the next page that match, and where the page ends.
async fn read(
    connection: &mut Connection,
    after: Position,
    until: Position,
    patterns: &[TopicPattern],
) -> Result<(Position, Vec<StoredEvent>), StoreError> {
    let matches = |key: &str| is_one_of(key, patterns);
    let Some(page) = Page::find(connection, after, until).await? else {
        return Ok((until, Vec::new()));
    };
    if !page.keys.iter().any(|key| matches(key)) {
        return Ok((page.end, Vec::new()));
    }
    let mut events = Vec::new();
    for row in rows(connection, after, page.end).await? {
        if matches(row.text(3)?) {
            events.push(StoredEvent::of(&row)?);
        }
    }
    Ok((page.end, events))
}

/// Whether a key matches one of the patterns, of which none means all keys.
pub(crate) fn is_one_of(key: &str, patterns: &[TopicPattern]) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(key))
}

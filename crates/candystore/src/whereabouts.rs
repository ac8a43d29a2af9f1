//! Where a message is, and what became of it: everything that a store knows of one id.

use bloodbank_bus::Report;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::embedded::{InQueue, in_queues, moves_over};
use crate::event::EventRow;
use crate::sql::{Connection, Value};
use crate::stats::end;
use crate::{
    DamagedEvents, EventStore, Filter, Order, Position, PrunedRange, Quarantined, QueueMove,
    ReplayRun, Scheduled, StoreError, StoredEvent, pruned, quarantine, reports, scheduled,
};

/// The most replays that are looked through, of those that have gone over the event.
const MOST_REPLAYS: u32 = 1_000;

/// Everything that a store knows of one id.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Whereabouts {
    /// The id.
    pub id: Uuid,
    /// The event, if it is stored.
    pub event: Option<StoredEvent>,
    /// What came with the same id and is not the same.
    pub quarantined: Vec<Quarantined>,
    /// The message that is not due yet.
    pub scheduled: Option<Scheduled>,
    /// When a message that was not due yet was cancelled.
    pub cancelled: Option<DateTime<Utc>>,
    /// The queues of the bus in the store that want it, or hold it; by name.
    pub queues: Vec<InQueue>,
    /// What became of it, on whichever bus; the oldest first.
    pub reports: Vec<Report>,
    /// The replays that have come to it, newest first, of the last 1,000 over its position: each has sent
    /// it, or has skipped it as it broke its contract.
    pub replays: Vec<ReplayRun>,
    /// When queues were moved over it, back or on; the oldest first.
    pub moves: Vec<QueueMove>,
    /// Since when it is known what became of messages; `None` if nothing is known of any.
    pub reports_since: Option<DateTime<Utc>>,
    /// The oldest stored event, and when it was stored.
    pub oldest: Option<(Position, DateTime<Utc>)>,
    /// What retention has removed.
    pub pruned: Vec<PrunedRange>,
}

impl Whereabouts {
    /// Whether nothing at all is known of the id.
    pub fn is_unknown(&self) -> bool {
        self.event.is_none()
            && self.quarantined.is_empty()
            && self.scheduled.is_none()
            && self.cancelled.is_none()
            && self.queues.is_empty()
            && self.reports.is_empty()
    }
}

impl EventStore {
    /// Everything that is known of the message with this id, in one state of the store. Looks at all that
    /// lies in queues past the log.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn whereabouts(&self, id: Uuid) -> Result<Whereabouts, StoreError> {
        let asked = async move |c: &mut Connection| {
            c.snapshot(async move |c: &mut Connection| look(c, id).await).await
        };
        let mut found = self.long_reader()?.run(asked).await?;
        if let Some(position) = found.event.as_ref().map(|event| event.position) {
            found.replays = self.replays_of(position).await?;
        }
        Ok(found)
    }

    async fn replays_of(&self, position: Position) -> Result<Vec<ReplayRun>, StoreError> {
        let mut found = Vec::new();
        for run in self.replays_over(position, MOST_REPLAYS).await? {
            if self.is_in(&run.filter, position).await? {
                found.push(run);
            }
        }
        Ok(found)
    }

    async fn is_in(&self, filter: &Filter, position: Position) -> Result<bool, StoreError> {
        let only = filter.clone().with_first(position).with_last(position);
        Ok(self.count(&only).await? > 0)
    }
}

async fn look(c: &mut Connection, id: Uuid) -> Result<Whereabouts, StoreError> {
    let sql = format!("SELECT {} FROM events WHERE id = $1", EventRow::COLUMNS);
    let rows = c.query(&sql, &[Value::Id(id)]).await?;
    let event = rows.first().map(StoredEvent::sound).transpose()?;
    let event = event.transpose().map_err(DamagedEvents::error)?;
    let (scheduled, cancelled) = scheduled::with_id(c, id).await?;
    let head = c.query_one("SELECT position FROM head", &[]).await?.position(0)?;
    let moves = match &event {
        Some(event) => moves_over(c, event.position).await?,
        None => Vec::new(),
    };
    Ok(Whereabouts {
        id,
        moves,
        queues: in_queues(c, id, event.as_ref()).await?,
        event,
        quarantined: quarantine::with_id(c, id).await?,
        scheduled,
        cancelled,
        reports: reports::of(c, id).await?,
        replays: Vec::new(),
        reports_since: reports::since(c).await?,
        oldest: end(c, Order::Oldest).await?,
        pruned: pruned::between(c, 0, head + 1).await?,
    })
}

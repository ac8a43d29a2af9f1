//! One connection for two, where a server has few left.
//!
//! A process has a connection that writes, and one that reads, so that questions do not wait for
//! transactions. The second is opened only while half of the server's connections are left, so that more
//! processes can come. Without it, the connection that writes answers questions between transactions.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::pool::{Job, ready};
use super::{Connection, Mode, Target};
use crate::StoreError;

/// After how long it is looked again whether there is room for another connection.
const PAUSE: Duration = Duration::from_secs(30);

/// How long whoever writes may take to say that.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many connections there are, and how many there may be.
const CONNECTIONS: &str = "SELECT CAST(COALESCE(SUM(numbackends), 0) AS BIGINT), \
     CAST(current_setting('max_connections') AS BIGINT) FROM pg_stat_database";

/// A connection of somebody else's, who runs jobs on it between others.
#[derive(Clone, Debug)]
pub(crate) struct Spare {
    jobs: mpsc::UnboundedSender<Job>,
    /// Until then there is no room for another connection.
    until: Option<Instant>,
}

impl Spare {
    /// The jobs go to whoever has the connection.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Job>) {
        let (jobs, receiver) = mpsc::unbounded_channel();
        (Spare { jobs, until: None }, receiver)
    }

    /// Runs a job on the connection, opened if there is room for it on the server, or else on the spare
    /// one.
    pub(super) async fn run(&mut self, job: Job, slot: &mut Option<Connection>, target: &Target) {
        let is_open = slot.as_ref().is_some_and(|connection| !connection.is_lost());
        if !is_open && !self.is_room().await {
            return self.pass_on(job);
        }
        match ready(slot, target, Mode::Read).await {
            Err(StoreError::TooManyConnections { .. }) => {
                self.until = Some(Instant::now() + PAUSE);
                self.pass_on(job);
            }
            ready => job(ready).await,
        }
    }

    fn pass_on(&self, job: Job) {
        // If there is nobody, whoever has asked hears that.
        let _ = self.jobs.send(job);
    }

    /// Whether half of the connections are left. Where that cannot be said, it is tried.
    async fn is_room(&mut self) -> bool {
        if self.until.is_some_and(|until| Instant::now() < until) {
            return false;
        }
        let (tell, told) = oneshot::channel();
        self.pass_on(Box::new(move |connection| {
            Box::pin(async move {
                let is_room = match connection {
                    Ok(connection) => is_room(connection).await,
                    Err(error) => Err(error),
                };
                // Whoever has asked may have lost patience.
                let _ = tell.send(is_room);
            })
        }));
        let is_room = !matches!(timeout(PATIENCE, told).await, Ok(Ok(Ok(false))));
        self.until = (!is_room).then(|| Instant::now() + PAUSE);
        is_room
    }
}

async fn is_room(connection: &mut Connection) -> Result<bool, StoreError> {
    let row = connection.query_one(CONNECTIONS, &[]).await?;
    let (used, most) = (row.int(0)?, row.int(1)?);
    Ok(used < most / 2)
}

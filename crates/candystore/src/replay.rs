//! Events of the past, sent again as they were.

mod error;
mod options;
mod pacer;
mod plan;
mod reader;
mod run;
mod sending;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::Transport;
use chrono::Utc;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

pub use self::error::ReplayError;
pub use self::options::{Pace, ReplayOptions, ReplayTarget};
pub use self::plan::{Planned, ReplayPlan, Unfit};
#[cfg(test)]
pub(crate) use self::run::RunRow;
pub use self::run::{ReplayRun, ReplayState};
use self::sending::Sending;
use crate::{EventStore, StoreError};

/// How often the record is stored while a replay runs.
const SAVE: Duration = Duration::from_secs(1);

/// How often it is looked whether a replay is heard of.
const LOOK: Duration = Duration::from_millis(200);

/// How long a replay that is stopped waits for what is under way.
const LEAVE: Duration = Duration::from_secs(5);

/// Sends stored events again: bytes and ids as they were, marked with the replay's id and their
/// positions ([`headers::REPLAY`](bloodbank_bus::headers::REPLAY) and
/// [`POSITION`](bloodbank_bus::headers::POSITION)).
///
/// Commands are never replayed. Where the bus fails, events since the last one that it has confirmed are
/// sent again under the same id, by which deduplication knows them. A record is kept of each replay
/// ([`EventStore::replays`]); nothing else is written to the store.
pub struct Replay {
    store: EventStore,
    transport: Arc<dyn Transport>,
    run: watch::Sender<ReplayRun>,
}

/// How a replay ends that does not fail.
enum End {
    All,
    Cancelled,
}

impl Replay {
    /// A replay that was not heard of for so long does not run any more.
    pub const LEASE: Duration = Duration::from_secs(10);

    /// A new replay of what was planned. Its record is stored; nothing is sent yet.
    ///
    /// # Errors
    /// [`ReplayError::Unfit`] if events break their contract and are not to be skipped; if the record
    /// cannot be stored.
    pub async fn begin(
        store: EventStore,
        transport: Arc<dyn Transport>,
        plan: &ReplayPlan,
        options: ReplayOptions,
    ) -> Result<Self, ReplayError> {
        if let Some(first) = plan.unfit_named.first()
            && !options.skip_invalid
        {
            return Err(ReplayError::Unfit { count: plan.unfit, first: first.clone() });
        }
        Replay::of(store, transport, ReplayRun::new(plan, options)).await
    }

    /// Goes on with a replay that was cancelled, has failed or was killed: behind the position it has
    /// reached, under the same id. Its pace and `skip_invalid` may be other ones now.
    ///
    /// A process that is killed leaves it as running. So where it was heard of a short while ago, this
    /// waits for up to [`LEASE`](Replay::LEASE) whether it is heard of again.
    ///
    /// # Errors
    /// [`ReplayError::Over`]; [`ReplayError::Running`] if it is heard of; if the record cannot be read
    /// or stored.
    pub async fn resume(
        store: EventStore,
        transport: Arc<dyn Transport>,
        mut run: ReplayRun,
    ) -> Result<Self, ReplayError> {
        let until = Instant::now() + run.lease();
        while run.state == ReplayState::Running && Instant::now() < until {
            sleep(LOOK).await;
            let now = store.replay(run.id).await?.map(|now| (now.updated, now.state));
            if now.is_some_and(|now| now != (run.updated, run.state)) {
                return Err(ReplayError::Running { id: run.id });
            }
        }
        if run.state == ReplayState::Done {
            return Err(ReplayError::Over { id: run.id });
        }
        (run.state, run.finished, run.error) = (ReplayState::Running, None, None);
        Replay::of(store, transport, run).await
    }

    async fn of(
        store: EventStore,
        transport: Arc<dyn Transport>,
        mut run: ReplayRun,
    ) -> Result<Self, ReplayError> {
        run.save(&store).await?;
        Ok(Replay { store, transport, run: watch::channel(run).0 })
    }

    /// The record, whenever it changes.
    pub fn progress(&self) -> watch::Receiver<ReplayRun> {
        self.run.subscribe()
    }

    /// Sends until all is done, or until `cancelled` is. Gives the record, which says which of these.
    ///
    /// # Errors
    /// If it cannot go on. The record says how far it got, and it can be
    /// [resumed](Replay::resume).
    pub async fn run_until(
        self,
        cancelled: impl Future<Output = ()>,
    ) -> Result<ReplayRun, ReplayError> {
        let mut sending = Sending::new(&self.store, &*self.transport, &self.run);
        let ended = tokio::select! {
            biased;
            () = cancelled => Ok(End::Cancelled),
            done = sending.all() => done.map(|()| End::All),
            Err(error) = self.keep_saving() => Err(error.into()),
        };
        // What the bus does not confirm now is sent again by whoever resumes.
        let _ = timeout(LEAVE, sending.settle()).await;
        self.finish(ended).await
    }

    async fn keep_saving(&self) -> Result<Infallible, StoreError> {
        loop {
            sleep(SAVE).await;
            let mut run = self.run.borrow().clone();
            match run.save(&self.store).await {
                Err(error) if !error.is_retryable() => return Err(error),
                _ => {}
            }
        }
    }

    async fn finish(self, ended: Result<End, ReplayError>) -> Result<ReplayRun, ReplayError> {
        self.run.send_modify(|run| {
            run.finished = Some(Utc::now());
            run.error = ended.as_ref().err().map(ToString::to_string);
            run.state = match ended {
                Ok(End::All) => ReplayState::Done,
                Ok(End::Cancelled) => ReplayState::Cancelled,
                Err(_) => ReplayState::Failed,
            };
        });
        let mut run = self.run.borrow().clone();
        let saved = run.save(&self.store).await;
        ended?;
        saved?;
        Ok(run)
    }
}

//! The relay: from the outbox to the bus.

mod failure;
mod sending;
mod statements;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bloodbank_bus::{Transport, TransportError};
use bloodbank_core::LiveContracts;
use tokio::time::sleep;

use self::failure::{Cause, Failure};
use self::sending::Sent;
use self::statements::Statements;
use crate::desk::Cells;
use crate::metrics::Figures;
use crate::{DatabaseError, RelayError, Source, Value};

/// How often the backlog is counted.
const REPORT: Duration = Duration::from_secs(5);

/// Sends what waits in an outbox, in order, and deletes each message when the bus has confirmed it.
///
/// Of all relays on one table one sends, and the others wait to take its place. It has no cursor: it
/// reads all rows that are there, by number, as rows become visible in the order of commits, which is
/// not that of their numbers.
///
/// At least once: a relay that ends between a confirm and the deletion sends the message again, with the
/// same id and the same bytes. A message that fails holds up those behind it, unless
/// [`skip_after`](Relay::skip_after) says otherwise. An event that no queue wants is done; a command
/// that no queue takes has failed.
#[must_use = "nothing is sent until `run_until`"]
pub struct Relay<S> {
    transport: Arc<dyn Transport>,
    contracts: LiveContracts,
    source: S,
    options: Options,
    statements: Statements,
    figures: Figures,
    reported: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Options {
    batch: u32,
    window: usize,
    poll: Duration,
    retry: Duration,
    skip_after: Option<u32>,
}

/// What came of one look at the outbox.
enum Turn {
    /// Another relay sends.
    Standby,
    /// Nothing waits.
    Idle,
    /// Something was sent, or put aside; there may be more.
    Busy,
    /// The first message cannot be sent now.
    Blocked,
}

impl<S: Source> Relay<S> {
    /// A relay to a transport. `contracts` judge each message once more: they may be others than when it
    /// was written.
    pub fn new(
        transport: Arc<dyn Transport>,
        contracts: impl Into<LiveContracts>,
        source: S,
    ) -> Self {
        let options = Options {
            batch: 256,
            window: 256,
            poll: source.poll(),
            retry: Duration::from_secs(1),
            skip_after: None,
        };
        Relay {
            transport,
            contracts: contracts.into(),
            statements: Statements::new(source.dialect(), &source.tables().quoted_outbox(), 256),
            figures: Figures::new(source.tables().outbox()),
            source,
            options,
            reported: None,
        }
    }

    /// How many rows it reads at a time; 256 unless said.
    pub fn batch(mut self, rows: u32) -> Self {
        self.options.batch = rows.max(1);
        let (dialect, table) = (self.source.dialect(), self.source.tables().quoted_outbox());
        self.statements = Statements::new(dialect, &table, self.options.batch);
        self
    }

    /// How many messages are in flight at a time; 256 unless said. With 1 nothing overtakes a message
    /// that the bus rejects or loses; with more, what was in flight behind such a message arrives before
    /// it, and once more behind it. A message that has failed once is tried again alone.
    pub fn window(mut self, messages: usize) -> Self {
        self.options.window = messages.max(1);
        self
    }

    /// How often it looks for rows that nothing has told of. Unless said, each second on PostgreSQL,
    /// where a commit wakes it, and ten times a second on SQLite, where nothing does.
    pub fn poll(mut self, interval: Duration) -> Self {
        self.options.poll = interval;
        self
    }

    /// How long it waits before it tries again what has failed; 1 s unless said.
    pub fn retry(mut self, interval: Duration) -> Self {
        self.options.retry = interval;
        self
    }

    /// Puts a message aside when it has failed so often by itself, with its error, and goes on with the
    /// next one. Without it the relay waits for as long as the message fails. An outage of the bus is not
    /// a failure of the message.
    pub fn skip_after(mut self, attempts: u32) -> Self {
        self.options.skip_after = Some(attempts.max(1));
        self
    }

    /// Relays until `stop` is done: then sends nothing new, waits for the confirms of what is in flight,
    /// and returns.
    ///
    /// # Errors
    /// [`RelayError`], if the outbox cannot be read when it starts, or the bus is closed. Later outages
    /// of either are waited for.
    pub async fn run_until(mut self, stop: impl Future<Output = ()>) -> Result<(), RelayError> {
        let mut stop = pin!(stop);
        let stopped = AtomicBool::new(false);
        let mut has_begun = false;
        loop {
            let turn = {
                let mut turn = pin!(self.turn(&stopped));
                tokio::select! {
                    biased;
                    () = &mut stop => {
                        stopped.store(true, Ordering::Relaxed);
                        turn.await.map(|_| ())?;
                        return Ok(());
                    }
                    turn = &mut turn => turn,
                }
            };
            let retry = self.options.retry;
            let pause = match turn {
                Ok(Turn::Busy) => Pause::None,
                Ok(Turn::Idle) => Pause::ForNews(self.options.poll),
                Ok(Turn::Standby | Turn::Blocked) => Pause::For(retry),
                Err(RelayError::Database(error)) if has_begun => {
                    tracing::warn!(%error, "the outbox cannot be read");
                    Pause::For(retry)
                }
                Err(error) => return Err(error),
            };
            has_begun = true;
            tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                () = pause.over(&mut self.source) => {}
            }
        }
    }

    async fn turn(&mut self, stopped: &AtomicBool) -> Result<Turn, RelayError> {
        if !self.source.lead().await? {
            return Ok(Turn::Standby);
        }
        self.report().await?;
        let rows = self.source.query(self.statements.select(), Vec::new()).await?;
        if rows.is_empty() {
            return Ok(Turn::Idle);
        }
        let contracts = self.contracts.current();
        let sending = sending::Sending::new(&*self.transport, &contracts, self.options.window);
        let sent = sending.send(rows, stopped).await?;
        self.settle(sent).await
    }

    async fn settle(&mut self, sent: Sent) -> Result<Turn, RelayError> {
        let Sent { mut done, behind, failure } = sent;
        let parks = failure.as_ref().is_some_and(|failure| self.gives_up(failure));
        if parks {
            // They would only be sent again.
            done.extend(behind);
        }
        if !done.is_empty() {
            self.source.execute(&self.statements.delete(&done), Vec::new()).await?;
            self.figures.sent(done.len());
        }
        let Some(failure) = failure else { return Ok(Turn::Busy) };
        self.note(&failure, parks).await?;
        match failure.cause {
            Cause::Bus(TransportError::Closed) => Err(TransportError::Closed.into()),
            _ if parks => Ok(Turn::Busy),
            _ => Ok(Turn::Blocked),
        }
    }

    /// Whether a message has failed by itself as often as it may.
    fn gives_up(&self, failure: &Failure) -> bool {
        let most = self.options.skip_after;
        failure.cause.is_of_the_message() && most.is_some_and(|most| failure.attempt() >= most)
    }

    /// Notes on the row what came of it, where that is new, and tells the log.
    async fn note(&mut self, failure: &Failure, parks: bool) -> Result<(), DatabaseError> {
        let (code, text) = (failure.cause.code(), failure.cause.text());
        self.figures.failed(code);
        let is_news = failure.last_error.as_deref() != Some(&*text);
        if is_news || parks {
            let error = failure.cause.without_payload();
            let Failure { id, key, .. } = failure;
            let what = if parks { "parked" } else { "a message in the outbox waits" };
            tracing::warn!(%id, %key, %code, attempt = failure.attempt(), error, "{what}");
        }
        let counts = failure.cause.is_of_the_message();
        if counts || is_news {
            let sql = self.statements.fail(failure.seq, counts, parks);
            self.source.execute(&sql, vec![Value::text(text)]).await?;
        }
        Ok(())
    }

    /// Counts the backlog, from time to time.
    async fn report(&mut self) -> Result<(), DatabaseError> {
        if self.reported.is_some_and(|at| at.elapsed() < REPORT) {
            return Ok(());
        }
        let rows = self.source.query(self.statements.count(), Vec::new()).await?;
        let mut cells = Cells(rows.into_iter().next().unwrap_or_default().into_iter());
        let (waiting, parked, oldest) = (cells.number()?, cells.number()?, cells.count()?);
        self.figures.backlog(waiting, parked, Duration::from_millis(oldest.into()));
        self.reported = Some(Instant::now());
        Ok(())
    }
}

/// What to wait for before the next look.
enum Pause {
    None,
    For(Duration),
    ForNews(Duration),
}

impl Pause {
    async fn over(self, source: &mut impl Source) {
        match self {
            Pause::None => {}
            Pause::For(time) => sleep(time).await,
            Pause::ForNews(at_most) => source.wait(at_most).await,
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Relay<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Relay");
        debug.field("source", &self.source).field("options", &self.options).finish_non_exhaustive()
    }
}

//! Sending, with many events under way at a time, and all over again from where the bus has failed.

use std::collections::VecDeque;
use std::future::pending;
use std::time::Duration;

use bloodbank_bus::{Confirm, Outcome, Properties, Transport, Verbatim, headers};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::ReplayError;
use super::pacer::Pacer;
use super::plan::{Unfit, time_of};
use super::reader::{Read, Reader};
use super::run::ReplayRun;
use crate::record::stored_envelope;
use crate::{EventStore, Position};

/// The most events under way.
const WINDOW: usize = 256;

/// The most bytes of bodies under way; the event that brings them there is the last one.
const WINDOW_BYTES: usize = 16 << 20;

/// The first pause after a failure; each further one without progress is twice as long.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long it is tried without progress.
const PATIENCE: Duration = Duration::from_secs(60);

/// An event under way.
struct UnderWay {
    position: Position,
    /// How many bytes its body has.
    bytes: usize,
    /// What becomes of it; `None` if it is passed over.
    confirm: Option<Confirm>,
}

/// The sending of one replay.
pub(super) struct Sending<'a> {
    store: &'a EventStore,
    transport: &'a dyn Transport,
    run: &'a watch::Sender<ReplayRun>,
    window: VecDeque<UnderWay>,
}

impl<'a> Sending<'a> {
    pub(super) fn new(
        store: &'a EventStore,
        transport: &'a dyn Transport,
        run: &'a watch::Sender<ReplayRun>,
    ) -> Self {
        Sending { store, transport, run, window: VecDeque::new() }
    }

    /// Sends everything that is left. May be dropped at any time.
    pub(super) async fn all(&mut self) -> Result<(), ReplayError> {
        let (mut pause, mut reached, mut since) = (PAUSE, self.reached(), Instant::now());
        loop {
            let error = match self.pass().await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            self.settle().await;
            if self.reached() > reached {
                (pause, reached, since) = (PAUSE, self.reached(), Instant::now());
            }
            if !error.is_retryable() || since.elapsed() > PATIENCE {
                return Err(error);
            }
            tracing::warn!(%error, reached, "the replay is held up");
            sleep(pause).await;
            self.run.send_modify(|run| run.retries += 1);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Takes in the outcomes of all that is under way, up to the first failure.
    pub(super) async fn settle(&mut self) {
        // An error leaves nothing to wait for.
        let _ = self.all_confirmed().await;
    }

    fn reached(&self) -> Position {
        self.run.borrow().reached
    }

    /// Sends what is left, until something fails.
    async fn pass(&mut self) -> Result<(), ReplayError> {
        let (rest, options) = {
            let run = self.run.borrow();
            (run.rest(), run.options.clone())
        };
        let mut reader = self.meanwhile(Reader::new(self.store, rest)).await??;
        let mut pacer = Pacer::new(options.pace);
        while let Some(read) = self.meanwhile(reader.next()).await?? {
            let (position, bytes) = (read.event.position, read.event.body.len());
            match unfit(&read) {
                Some(_) if options.skip_invalid => {
                    self.window.push_back(UnderWay { position, bytes: 0, confirm: None });
                }
                Some(first) => {
                    self.all_confirmed().await?;
                    return Err(ReplayError::Unfit { count: 1, first });
                }
                None => {
                    self.wait(&mut pacer, &read).await?;
                    let message = self.message(read);
                    let mut confirm = self.transport.forward(message, options.target.destination());
                    confirm.accepted().await;
                    let confirm = Some(confirm);
                    self.window.push_back(UnderWay { position, bytes, confirm });
                }
            }
            while is_full(&self.window) {
                self.one_confirmed().await?;
            }
        }
        self.all_confirmed().await
    }

    async fn wait(&mut self, pacer: &mut Pacer, read: &Read) -> Result<(), ReplayError> {
        let now = Instant::now();
        let due = pacer.due(now, time_of(&read.event));
        // A timer takes a millisecond, also for what is due at once.
        if due > now { self.meanwhile(sleep_until(due)).await } else { Ok(()) }
    }

    fn message(&self, Read { event, .. }: Read) -> Verbatim {
        // Beside what its envelope says, where it is one.
        let envelope = stored_envelope(&event);
        let properties = event.properties.map(|said| match envelope {
            Ok(envelope) => Box::new(said.or(Properties::of(&envelope))),
            Err(_) => said,
        });
        Verbatim::stored(event.key, event.body, event.headers)
            .with_properties(properties)
            .with_header(headers::REPLAY, self.run.borrow().id.to_string())
            .with_header(headers::POSITION, event.position.to_string())
    }

    /// Waits for something, and takes in what the bus confirms meanwhile.
    async fn meanwhile<T>(&mut self, what: impl Future<Output = T>) -> Result<T, ReplayError> {
        tokio::pin!(what);
        loop {
            tokio::select! {
                biased;
                done = &mut what => return Ok(done),
                outcome = front(&mut self.window) => self.note(outcome)?,
            }
        }
    }

    async fn all_confirmed(&mut self) -> Result<(), ReplayError> {
        while !self.window.is_empty() {
            self.one_confirmed().await?;
        }
        Ok(())
    }

    async fn one_confirmed(&mut self) -> Result<(), ReplayError> {
        let outcome = front(&mut self.window).await;
        self.note(outcome)
    }

    /// Counts what became of the first event under way. If it failed, it and all behind it are to be
    /// sent again, in order.
    fn note(&mut self, outcome: Option<Outcome>) -> Result<(), ReplayError> {
        let Some(UnderWay { position, .. }) = self.window.pop_front() else { return Ok(()) };
        let mut failed = None;
        self.run.send_modify(|run| match outcome {
            Some(Ok(())) => (run.sent, run.reached) = (run.sent + 1, position),
            None => (run.skipped, run.reached) = (run.skipped + 1, position),
            Some(Err(error)) => failed = Some(ReplayError::of(error, &run.options.target)),
        });
        let Some(error) = failed else { return Ok(()) };
        self.window.clear();
        Err(error)
    }
}

fn is_full(window: &VecDeque<UnderWay>) -> bool {
    let bytes: usize = window.iter().map(|event| event.bytes).sum();
    window.len() >= WINDOW || bytes >= WINDOW_BYTES
}

/// What became of the first event under way, once it is known; `None` if it is passed over. Safe to
/// drop before it is done.
async fn front(window: &mut VecDeque<UnderWay>) -> Option<Outcome> {
    match window.front_mut() {
        Some(UnderWay { confirm: Some(confirm), .. }) => Some(confirm.await),
        Some(UnderWay { confirm: None, .. }) => None,
        None => pending().await,
    }
}

fn unfit(read: &Read) -> Option<Unfit> {
    let violation = read.violation.clone()?;
    Some(Unfit { position: read.event.position, key: read.event.key.clone(), violation })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_large_events_or_many_small_ones_are_under_way() {
        let filled_by = |bytes| {
            let mut window = VecDeque::new();
            while !is_full(&window) {
                window.push_back(UnderWay { position: 1, bytes, confirm: None });
            }
            window.len()
        };
        assert_eq!((filled_by(100), filled_by(1 << 20), filled_by(20 << 20)), (WINDOW, 16, 1));
    }
}

//! What runs beside the gateway: parts that are started again when they fail.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bloodbank::candystore::RecordError;
use bloodbank::{TransportError, Trouble};
use bloodbank_gateway::Part;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The first pause before a part that has failed is started again; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(500);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What runs beside the gateway.
pub(super) struct Crew {
    parts: Vec<Part>,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

/// How long a part that has failed must run until it counts as working.
const PROVEN: Duration = Duration::from_secs(5);

/// How a part is. Clones are of the same part.
#[derive(Clone, Default)]
struct State(Arc<Mutex<Account>>);

#[derive(Default)]
struct Account {
    /// Why it failed the last time, and since when it has not worked.
    failed: Option<(RecordError, Instant)>,
    /// Since when it runs, if it does.
    runs: Option<Instant>,
}

impl Crew {
    pub(super) fn new() -> Self {
        Crew { parts: Vec::new(), tasks: JoinSet::new(), stop: watch::Sender::new(false) }
    }

    /// Runs a part until all are stopped. `start` is called again where it has failed; what it gives ends
    /// when its argument is done.
    pub(super) fn add<F, R>(&mut self, name: &'static str, start: F)
    where
        F: Fn(Stopped) -> R + Send + 'static,
        R: Future<Output = Result<(), RecordError>> + Send,
    {
        let (state, stopped) = (State::default(), self.stop.subscribe());
        let shown = state.clone();
        self.parts.push(Part::new(name, move || shown.trouble()));
        self.tasks.spawn(async move {
            let mut pause = PAUSE;
            loop {
                state.begins();
                let Err(error) = start(Stopped(stopped.clone())).await else { return };
                tracing::error!(part = name, code = %error.code(), %error, "a part has failed");
                if state.has_failed(error) {
                    pause = PAUSE;
                }
                tokio::select! {
                    () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                    () = Stopped(stopped.clone()).wait() => return,
                }
            }
        });
    }

    /// The parts, as probes ask for them.
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Stops all, and gives whether they have ended in this time.
    pub(super) async fn stop(mut self, time: Duration) -> bool {
        self.stop.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        timeout(time, ended).await.is_ok()
    }
}

/// Done when all parts are to end.
pub(super) struct Stopped(watch::Receiver<bool>);

impl Stopped {
    pub(super) async fn wait(mut self) {
        // An error means that there is nobody left to work for.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}

impl State {
    fn begins(&self) {
        self.account().runs = Some(Instant::now());
    }

    /// Gives whether it has worked before.
    fn has_failed(&self, error: RecordError) -> bool {
        let mut account = self.account();
        let has_worked = account.works();
        let since = match (&account.failed, has_worked) {
            (Some((_, since)), false) => *since,
            _ => Instant::now(),
        };
        (account.failed, account.runs) = (Some((error, since)), None);
        has_worked
    }

    fn trouble(&self) -> Option<Trouble> {
        let account = self.account();
        let (error, since) = account.failed.as_ref().filter(|_| !account.works())?;
        let (code, reason) = (error.code(), error.to_string());
        Some(Trouble::new(TransportError::Unavailable { code, reason }, since.elapsed()))
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn works(&self) -> bool {
        self.runs.is_some_and(|since| self.failed.is_none() || since.elapsed() > PROVEN)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_part_that_fails_is_started_again_and_all_end_when_they_are_stopped() {
        let (mut crew, started) = (Crew::new(), Arc::new(AtomicU32::new(0)));
        let counted = started.clone();
        crew.add("recorder", move |stopped| {
            let number = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                match number {
                    0 | 1 => Err(RecordError::Ended { queue: "all".to_owned() }),
                    _ => {
                        stopped.wait().await;
                        Ok(())
                    }
                }
            }
        });
        let again = async {
            while started.load(Ordering::SeqCst) < 3 {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(30), again).await.unwrap();
        assert_eq!(started.load(Ordering::SeqCst), 3);
        assert_eq!(crew.parts().len(), 1);
        assert!(crew.stop(Duration::from_secs(1)).await);
    }

    #[test]
    fn a_part_works_until_it_fails() {
        let state = State::default();
        state.begins();
        assert!(state.trouble().is_none());
        assert!(state.has_failed(RecordError::Ended { queue: "all".to_owned() }));
        assert_eq!(state.trouble().unwrap().error.code(), bloodbank::Code::ConsumingEnded);
        state.begins();
        assert!(state.trouble().is_some(), "it must prove itself");
        assert!(!state.has_failed(RecordError::Ended { queue: "all".to_owned() }));
    }
}

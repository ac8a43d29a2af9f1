//! The replays that run in this process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use candystore::{Replay, ReplayRun, ReplayState};
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;
use uuid::Uuid;

use crate::Gateway;

/// How often the progress of a replay is told, at the most.
const STEP: Duration = Duration::from_secs(1);

/// A replay that runs here.
struct Run {
    progress: watch::Receiver<ReplayRun>,
    /// Stops it when it is dropped.
    _cancel: oneshot::Sender<()>,
}

/// The replays that run in this process.
#[derive(Default)]
pub(crate) struct Running(Mutex<HashMap<Uuid, Run>>);

impl Running {
    /// Carries a replay out, until it is done or cancelled, or the service ends.
    pub(super) fn start(&self, gateway: &Gateway, replay: Replay) -> ReplayRun {
        let (cancel, cancelled) = oneshot::channel::<()>();
        let progress = replay.progress();
        let run = progress.borrow().clone();
        self.runs().insert(run.id, Run { progress, _cancel: cancel });
        let (gateway, id) = (gateway.clone(), run.id);
        tokio::spawn(async move {
            let mut ending = gateway.ending();
            let stopped = async {
                tokio::select! {
                    _ = cancelled => {}
                    // An error means that the gateway is gone.
                    _ = ending.wait_for(|ending| *ending) => {}
                }
            };
            if let Err(error) = replay.run_until(stopped).await {
                let code = error.code().as_str();
                tracing::warn!(replay = %id, code, "a replay has failed");
            }
            gateway.running().runs().remove(&id);
        });
        run
    }

    /// How a replay stands that runs here.
    pub(super) fn run(&self, id: Uuid) -> Option<ReplayRun> {
        self.runs().get(&id).map(|run| run.progress.borrow().clone())
    }

    /// Stops a replay; whether it ran here.
    pub(super) fn cancel(&self, id: Uuid) -> bool {
        self.runs().remove(&id).is_some()
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<Uuid, Run>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A replay, step by step.
pub(super) struct Steps {
    gateway: Gateway,
    id: Uuid,
    next: Option<ReplayRun>,
    is_first: bool,
}

impl Steps {
    pub(super) fn new(gateway: &Gateway, run: ReplayRun) -> Self {
        Steps { gateway: gateway.clone(), id: run.id, next: Some(run), is_first: true }
    }

    /// The replay as it stands, a while after the step before; `None` behind its end.
    pub(super) async fn next(&mut self) -> Option<ReplayRun> {
        let last = self.next.take()?;
        if self.is_first {
            self.is_first = false;
            return Some(self.step(last));
        }
        sleep(STEP).await;
        let run = match self.gateway.running().run(self.id) {
            Some(run) => run,
            // What ended here, or runs elsewhere, stands in the store.
            None => self.gateway.store().replay(self.id).await.ok()??,
        };
        Some(self.step(run))
    }

    /// Goes on behind a step, if it is not the last one.
    fn step(&mut self, run: ReplayRun) -> ReplayRun {
        let is_ending = *self.gateway.ending().borrow();
        if run.state == ReplayState::Running && !is_ending {
            self.next = Some(run.clone());
        }
        run
    }
}

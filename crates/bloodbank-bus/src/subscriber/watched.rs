//! A subscriber, watched from outside.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Subscriber;
use super::worker::Worker;
use crate::{Phase, QueueStatus, SubscriberStatus};

/// Tells how a subscriber is doing, from before it runs until after it has ended. Cheap to clone.
#[derive(Clone)]
pub struct SubscriberWatch(Arc<Watched>);

struct Watched {
    service: &'static str,
    progress: Mutex<Progress>,
}

struct Progress {
    phase: Phase,
    workers: Vec<Weak<Worker>>,
}

impl SubscriberWatch {
    pub(super) fn new(service: &'static str) -> Self {
        let progress = Mutex::new(Progress { phase: Phase::Starting, workers: Vec::new() });
        SubscriberWatch(Arc::new(Watched { service, progress }))
    }

    /// How it is doing at the moment.
    pub fn status(&self) -> SubscriberStatus {
        let progress = self.progress();
        let workers = progress.workers.iter().filter_map(Weak::upgrade);
        let queues = workers.map(|worker| QueueStatus {
            queue: worker.queue().to_owned(),
            handling: worker.working(),
            oldest_handler: worker.oldest_handler(),
        });
        let (service, phase) = (self.0.service, progress.phase);
        SubscriberStatus { service, phase, queues: queues.collect() }
    }

    pub(super) fn consumes(&self, worker: &Arc<Worker>) {
        self.progress().workers.push(Arc::downgrade(worker));
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.progress().phase = phase;
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // Nothing that holds the lock can leave it half changed.
        self.0.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SubscriberWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SubscriberWatch").field(&self.status()).finish()
    }
}

/// Tells that a subscriber has ended, however it ends.
pub(super) struct UntilEnded(pub(super) SubscriberWatch);

impl Drop for UntilEnded {
    fn drop(&mut self) {
        self.0.enter(Phase::Ended);
    }
}

impl<S> Subscriber<S> {
    /// Tells how it is doing, also while it runs.
    pub fn watch(&self) -> SubscriberWatch {
        self.watched.0.clone()
    }
}

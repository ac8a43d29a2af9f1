//! The handlers that run, and who is told when one runs long.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bloodbank_core::Envelope;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::warn;

use crate::metrics::QueueMetrics;
use crate::reading::Escaped;

/// The age at which a handler is told of first; then at twice the age, and so on.
const LONG: Duration = Duration::from_secs(30);
/// How often somebody looks.
const LOOK: Duration = Duration::from_secs(1);

/// The handlers of one queue that run, in the order in which they began.
#[derive(Default)]
pub(super) struct Running(Mutex<Table>);

#[derive(Default)]
struct Table {
    last: u64,
    handlers: BTreeMap<u64, Handler>,
}

struct Handler {
    envelope: Arc<Envelope>,
    since: Instant,
    /// The age at which it is told of next.
    next: Duration,
}

/// A handler runs while this lives.
pub(super) struct Entry<'a> {
    running: &'a Running,
    number: u64,
}

impl Running {
    pub(super) fn begin(&self, envelope: Arc<Envelope>) -> Entry<'_> {
        let mut table = self.table();
        table.last += 1;
        let number = table.last;
        table.handlers.insert(number, Handler { envelope, since: Instant::now(), next: LONG });
        Entry { running: self, number }
    }

    /// How long the oldest has been running.
    pub(super) fn oldest(&self) -> Option<Duration> {
        let table = self.table();
        table.handlers.first_key_value().map(|(_, handler)| handler.since.elapsed())
    }

    /// Keeps the figure of the oldest, and tells of each that runs long; for ever.
    pub(super) async fn watch(&self, queue: &str, metrics: &QueueMetrics) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let oldest = self.oldest().unwrap_or_default();
            metrics.oldest.set(oldest.as_secs_f64());
            if oldest < LONG {
                continue;
            }
            for (envelope, age) in self.long() {
                warn!(
                    id = %envelope.id,
                    key = %Escaped(&envelope.event_type),
                    queue,
                    seconds = age.as_secs(),
                    "a handler is still running"
                );
            }
        }
    }

    /// Those that are to be told of now.
    fn long(&self) -> Vec<(Arc<Envelope>, Duration)> {
        let mut long = Vec::new();
        for handler in self.table().handlers.values_mut() {
            let age = handler.since.elapsed();
            if age >= handler.next {
                handler.next = age.saturating_mul(2);
                long.push((handler.envelope.clone(), age));
            }
        }
        long
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing that holds the lock can leave the table half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.running.table().handlers.remove(&self.number);
    }
}

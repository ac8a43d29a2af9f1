//! What is counted, under the names that users of FastStream know, with our prefix.
//!
//! Through the `metrics` facade: install an exporter before the first publisher and subscriber are
//! made. Labels are few and bounded: `handler` is a queue, `destination` an exchange.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// What one queue's subscriber counts. Registered once, so that counting costs an addition.
pub(crate) struct QueueMetrics {
    pub(crate) received: Counter,
    pub(crate) size: Histogram,
    pub(crate) in_process: Gauge,
    pub(crate) duration: Histogram,
    pub(crate) lag: Gauge,
    /// How long the oldest handler that runs has been running; 0 if none runs.
    pub(crate) oldest: Gauge,
    pub(crate) retries: Counter,
    pub(crate) duplicates: Counter,
    /// Those with the status of nearly all; like those with others it is there once there is one.
    acked: OnceLock<Counter>,
    queue: String,
}

impl QueueMetrics {
    pub(crate) fn new(queue: &str) -> Self {
        let label = || queue.to_owned();
        QueueMetrics {
            received: counter!("bloodbank_received_messages_total", "handler" => label()),
            size: histogram!("bloodbank_received_messages_size_bytes", "handler" => label()),
            in_process: gauge!("bloodbank_received_messages_in_process", "handler" => label()),
            duration: histogram!(
                "bloodbank_received_processed_messages_duration_seconds",
                "handler" => label()
            ),
            lag: gauge!("bloodbank_consumer_lag_seconds", "handler" => label()),
            oldest: gauge!("bloodbank_oldest_handler_seconds", "handler" => label()),
            retries: counter!("bloodbank_retries_total", "handler" => label()),
            duplicates: counter!("bloodbank_duplicates_total", "handler" => label()),
            acked: OnceLock::new(),
            queue: queue.to_owned(),
        }
    }

    /// Counts a message that was handled well.
    pub(crate) fn acked(&self) {
        self.acked.get_or_init(|| self.with_status("acked")).increment(1);
    }

    /// `status` is `retried`, `parked`, `dropped` or `skipped` (a duplicate).
    pub(crate) fn processed(&self, status: &'static str) {
        self.with_status(status).increment(1);
    }

    fn with_status(&self, status: &'static str) -> Counter {
        let queue = self.queue.clone();
        counter!(
            "bloodbank_received_processed_messages_total", "handler" => queue, "status" => status
        )
    }

    pub(crate) fn parked(&self, reason: &'static str) {
        let queue = self.queue.clone();
        counter!("bloodbank_parked_total", "handler" => queue, "reason" => reason).increment(1);
    }
}

/// Counts a message that was published or sent, or was not.
pub(crate) fn published(destination: &'static str, status: &'static str, took: Duration) {
    counter!(
        "bloodbank_published_messages_total", "destination" => destination, "status" => status
    )
    .increment(1);
    histogram!("bloodbank_published_messages_duration_seconds", "destination" => destination)
        .record(took.as_secs_f64());
}

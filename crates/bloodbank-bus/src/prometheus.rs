//! The figures of a process, as Prometheus reads them.

use std::fmt;
use std::time::Duration;

use bloodbank_core::Code;
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Bounds of durations, in seconds: from what a broker next door takes to what a handler may take.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 900.0];
/// Bounds of sizes, in bytes.
const BYTES: [f64; 8] =
    [256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 16_777_216.0];
/// How often figures are gathered that nobody fetches.
const GATHER: Duration = Duration::from_secs(5);

/// The figures of this process, as text for Prometheus.
///
/// ```no_run
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// // Before the first publisher and subscriber.
/// let figures = bloodbank_bus::Prometheus::install()?;
/// // In the handler of `GET /metrics`, of any web framework:
/// let body = figures.render();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Prometheus(PrometheusHandle);

impl Prometheus {
    /// Takes the figures of this process from now on, with histograms of durations and sizes: those of
    /// Bloodbank and all others that are counted through the `metrics` facade. Call it before the first
    /// publisher and subscriber are made, inside a tokio runtime if there may be nobody who fetches them.
    ///
    /// # Errors
    /// If something else takes the figures already.
    pub fn install() -> Result<Self, PrometheusError> {
        let wrong = |error: &dyn fmt::Display| PrometheusError { reason: error.to_string() };
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .and_then(|it| it.set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), &BYTES))
            .map_err(|error| wrong(&error))?
            .build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|error| wrong(&error))?;
        describe();
        // Without a runtime, figures are gathered when they are fetched.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(gather(handle.clone()));
        }
        Ok(Prometheus(handle))
    }

    /// All figures, in Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.render()
    }
}

impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prometheus").finish_non_exhaustive()
    }
}

/// Why there are no figures for Prometheus.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the figures of this process cannot be taken: {reason}")]
pub struct PrometheusError {
    /// What the exporter says.
    pub reason: String,
}

impl PrometheusError {
    /// Its code, [`Code::FiguresTaken`].
    pub fn code(&self) -> Code {
        Code::FiguresTaken
    }
}

/// Values of histograms lie in a list until they are gathered, which would grow if nobody fetched them.
async fn gather(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(GATHER).await;
        handle.run_upkeep();
    }
}

/// Says what each figure is.
fn describe() {
    for (name, what) in [
        ("bloodbank_received_messages_total", "Messages that a queue gave to be handled"),
        (
            "bloodbank_received_processed_messages_total",
            "Messages that were handled, by what became of them",
        ),
        ("bloodbank_retries_total", "Attempts that failed and were followed by another"),
        ("bloodbank_duplicates_total", "Messages that were handled before, and not again"),
        ("bloodbank_parked_total", "Messages that became dead letters, by the reason"),
        (
            "bloodbank_published_messages_total",
            "Messages that were published or sent, by what came of it",
        ),
        ("bloodbank_reconnects_total", "Connections to the broker that were made anew"),
        ("bloodbank_blocked_seconds_total", "Seconds in which the broker took no messages"),
        ("bloodbank_recorded_messages_total", "Messages that were recorded in the store"),
    ] {
        describe_counter!(name, what);
    }
    for (name, unit, what) in [
        ("bloodbank_received_messages_in_process", Unit::Count, "Messages that are being handled"),
        ("bloodbank_consumer_lag_seconds", Unit::Seconds, "Age of the message that was last taken"),
        ("bloodbank_oldest_handler_seconds", Unit::Seconds, "Age of the oldest handler that runs"),
        ("bloodbank_queue_depth", Unit::Count, "Messages that wait in a queue"),
    ] {
        describe_gauge!(name, unit, what);
    }
    for (name, unit, what) in [
        ("bloodbank_received_messages_size_bytes", Unit::Bytes, "Sizes of messages"),
        (
            "bloodbank_received_processed_messages_duration_seconds",
            Unit::Seconds,
            "How long messages took to be handled",
        ),
        (
            "bloodbank_published_messages_duration_seconds",
            Unit::Seconds,
            "How long messages took to be published",
        ),
    ] {
        describe_histogram!(name, unit, what);
    }
}

//! By what it shows that a fault was felt: the bus itself counts how often it connects anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// The figure of the bus that is read.
const RECONNECTS: &str = "bloodbank_reconnects_total";

static COUNT: std::sync::LazyLock<Arc<AtomicU64>> = std::sync::LazyLock::new(Arc::default);

/// Reads the bus's figures from now on. To be called once, before there is a bus.
pub(crate) fn listen() {
    metrics::set_global_recorder(Reconnects).expect("nobody else reads them");
}

/// How often any bus of this process has connected anew.
pub(crate) fn reconnects() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

struct Reconnects;

impl Recorder for Reconnects {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        if key.name() == RECONNECTS { Counter::from_arc(COUNT.clone()) } else { Counter::noop() }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

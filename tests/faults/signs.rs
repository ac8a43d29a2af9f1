//! By what it shows that a fault was felt: the bus itself counts how often it connects anew, and how
//! often it declares again what was deleted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// The figures of the bus that are read.
const RECONNECTS: &str = "bloodbank_reconnects_total";
const REPAIRS: &str = "bloodbank_topology_repaired_total";

static RECONNECTED: LazyLock<Arc<AtomicU64>> = LazyLock::new(Arc::default);
static REPAIRED: LazyLock<Arc<AtomicU64>> = LazyLock::new(Arc::default);

/// Reads the bus's figures from now on. To be called once, before there is a bus.
pub(crate) fn listen() {
    metrics::set_global_recorder(Figures).expect("nobody else reads them");
}

/// How often any bus of this process has connected anew.
pub(crate) fn reconnects() -> u64 {
    RECONNECTED.load(Ordering::Relaxed)
}

/// How often any bus of this process has declared again what was deleted.
pub(crate) fn repairs() -> u64 {
    REPAIRED.load(Ordering::Relaxed)
}

struct Figures;

impl Recorder for Figures {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match key.name() {
            RECONNECTS => Counter::from_arc(RECONNECTED.clone()),
            REPAIRS => Counter::from_arc(REPAIRED.clone()),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

//! Figures that a test reads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

/// Keeps every value, under the name of what it is a value of.
#[derive(Default)]
pub(crate) struct Figures(Mutex<BTreeMap<String, Arc<Kept>>>);

/// The values of one figure, in the order in which they came; a counter has the steps.
#[derive(Default)]
struct Kept(Mutex<Vec<f64>>);

impl Kept {
    fn push(&self, value: f64) {
        self.0.lock().unwrap().push(value);
    }

    /// The sum so far, for what counts up and down.
    fn add(&self, step: f64) {
        let mut values = self.0.lock().unwrap();
        let sum = values.last().unwrap_or(&0.0) + step;
        values.push(sum);
    }
}

impl CounterFn for Kept {
    fn increment(&self, value: u64) {
        self.add(value as f64);
    }

    fn absolute(&self, value: u64) {
        self.push(value as f64);
    }
}

impl GaugeFn for Kept {
    fn increment(&self, value: f64) {
        self.add(value);
    }

    fn decrement(&self, value: f64) {
        self.add(-value);
    }

    fn set(&self, value: f64) {
        self.push(value);
    }
}

impl HistogramFn for Kept {
    fn record(&self, value: f64) {
        self.push(value);
    }
}

impl Figures {
    /// Every value of every figure so far.
    pub(crate) fn all(&self) -> BTreeMap<String, Vec<f64>> {
        let figures = self.0.lock().unwrap();
        let values = |kept: &Kept| kept.0.lock().unwrap().clone();
        figures.iter().map(|(name, kept)| (name.clone(), values(kept))).collect()
    }

    /// What is kept of `name{label=value,…}`.
    fn of(&self, key: &Key) -> Arc<Kept> {
        let labels = key.labels().map(|label| format!("{}={}", label.key(), label.value()));
        let labels: Vec<String> = labels.collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        self.0.lock().unwrap().entry(name).or_default().clone()
    }
}

impl Recorder for Figures {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.of(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.of(key))
    }
}

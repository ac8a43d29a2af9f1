//! Any JSON as a schema, any JSON as a payload, a line each: saying why the payload is refused takes
//! no more steps than its size allows, no more time for each byte than a step may take, and lists no
//! more than a hundred violations.
#![no_main]

use std::time::{Duration, Instant};

use bloodbank_core::schema::Validator;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// Steps for any payload, and for each byte.
const STEPS: (u64, u64) = (500_000, 32);

/// Time for any payload, and for each byte. Fuzzed code is some twenty times slower than released.
const TIME: (Duration, Duration) = (Duration::from_millis(500), Duration::from_micros(4));

fuzz_target!(|text: &str| {
    let Some((schema, payload)) = text.split_once('\n') else { return };
    let Ok(schema) = serde_json::from_str::<Value>(schema) else { return };
    let Ok(payload) = serde_json::from_str::<Value>(payload) else { return };
    let Ok(validator) = Validator::new(&schema) else { return };
    if validator.is_valid(&payload) {
        return;
    }
    let bytes = text.len() as u32;
    let started = Instant::now();
    let (found, steps) = validator.explain(&payload);
    let taken = started.elapsed();
    assert!((1..=100).contains(&found.list.len()), "{} violations", found.list.len());
    assert!(steps <= STEPS.0 + STEPS.1 * u64::from(bytes), "{steps} steps for {bytes} bytes");
    assert!(taken <= TIME.0 + TIME.1 * bytes, "{taken:?} for {bytes} bytes");
    assert!(validator.check(&payload).is_err(), "explained and not refused");
});

//! The bus in memory does what every transport must do.

use std::sync::Arc;

use bloodbank_bus::{InMemory, Transport};

async fn in_memory() -> Option<Arc<dyn Transport>> {
    Some(Arc::new(InMemory::new()))
}

bloodbank_testkit::behaviours!(in_memory);

//! What the tests begin with.

use std::sync::Arc;

use bloodbank_bus::{Publisher, Subscriber, Transport};
use bloodbank_testkit::catalog::{Any, Parcel, contracts};

pub(crate) type Bus = Arc<dyn Transport>;

/// A subscriber to the queue `q`, which takes parcels.
pub(crate) fn on_q(bus: &Bus) -> Subscriber<Any> {
    Subscriber::<Any>::new(bus.clone(), contracts()).queue("q").bind("lot.parcel")
}

/// Publishes a parcel with this number.
pub(crate) async fn parcel(bus: &Bus, n: u32) {
    Publisher::<Any>::new(bus.clone(), contracts()).publish(&Parcel { n }).await.unwrap();
}

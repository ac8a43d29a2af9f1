//! The depot: a service of somebody else's, on whatever bus the environment names.
//!
//! It lifts no parcel over 20 kg until there is a file `lift`.

use std::path::Path;

use bloodbank::{Bus, Received, RetryPolicy};
use downstream::events::{self, parcel, services};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bus = Bus::from_env(events::contracts()).await?;
    bus.subscriber::<services::Depot>()
        .on(|delivered: Received<parcel::ParcelDelivered>| async move {
            let has_lift = Path::new("lift").exists();
            if delivered.payload.weight_grams > 20_000 && !has_lift {
                return Err("too heavy to lift");
            }
            let word = if delivered.replay().is_some() { "replayed" } else { "handled" };
            println!("{word} {}", delivered.envelope.id);
            Ok(())
        })
        .hear_replays()
        .retry(RetryPolicy::never())
        .run_until(std::future::pending())
        .await?;
    Ok(())
}

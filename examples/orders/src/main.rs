//! An order service: an order and the event of it are committed together, and what is ordered is reserved
//! once, whatever process is killed when.
//!
//! ```text
//! cargo run -p orders -- serve &       relays, and handles
//! cargo run -p orders -- place 10      takes ten orders
//! cargo run -p orders -- show          what was ordered, and what is reserved
//! ```
//!
//! `SHOP` names the shop's own database, `sqlite:shop.db` unless said, or `postgres://…`. The bus is
//! what the environment names, as for any service: RabbitMQ, or one in a file.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod shop;

/// The contracts of this folder, compiled.
#[allow(missing_docs)]
pub mod events {
    bloodbank::include_events!();
}

use std::env;
use std::error::Error;
use std::sync::Arc;

use bloodbank::{Bus, Received, Topology};

use crate::events::services;
use crate::events::shop::OrderPlaced;
use crate::shop::Shop;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let shop =
        Shop::open(&env::var("SHOP").unwrap_or_else(|_| "sqlite:shop.db".to_owned())).await?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => serve(shop).await,
        ["place", orders] => place(&shop, orders.parse()?).await,
        ["show"] => {
            let (ordered, reserved) = shop.totals().await?;
            println!("ordered {ordered}, reserved {reserved}");
            Ok(())
        }
        _ => Err("say `serve`, `place <orders>` or `show`".into()),
    }
}

/// Takes orders. No bus is needed for that.
async fn place(shop: &Shop, orders: u32) -> Result<(), Box<dyn Error + Send + Sync>> {
    for order in 0..orders {
        shop.place("teapot", 1 + order % 3).await?;
    }
    Ok(())
}

/// Relays the events of orders, and reserves what they say.
async fn serve(shop: Shop) -> Result<(), Box<dyn Error + Send + Sync>> {
    let bus = Bus::from_env(events::contracts()).await?;
    // Nothing is published before there is a queue that hears it.
    bus.transport().declare(&Topology::of(events::contracts().bundle())).await?;
    let relay = bus.relay(shop.outbox()?).run_until(stop());
    let shop = Arc::new(shop);
    let stock = bus.subscriber::<services::Stock>().on(move |placed: Received<OrderPlaced>| {
        let shop = shop.clone();
        async move { shop.reserve(&placed).await.map_err(|error| error.to_string()) }
    });
    let (relayed, handled) = tokio::join!(relay, stock.run_until(stop()));
    relayed?;
    handled?;
    bus.close().await;
    Ok(())
}

async fn stop() {
    if tokio::signal::ctrl_c().await.is_err() {
        // There are no signals: it runs until it is killed.
        std::future::pending::<()>().await;
    }
}

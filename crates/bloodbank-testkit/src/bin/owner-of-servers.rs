//! A process that owns the shared servers, for a test that kills it: they must end with it.
//!
//! Prints the broker's process, and the ports of the broker, Redis and PostgreSQL, 0 for one that is
//! missing. Then it waits to be killed.

use std::thread;
use std::time::Duration;

use bloodbank_testkit::{Broker, Postgres, Redis, postgres, redis};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let broker = Broker::shared().await;
    let redis = if redis() { Redis::shared().await.port() } else { 0 };
    let postgres = if postgres() { Postgres::shared().await.port() } else { 0 };
    println!("{} {} {redis} {postgres}", broker.pid(), broker.port());
    thread::sleep(Duration::from_secs(60));
}

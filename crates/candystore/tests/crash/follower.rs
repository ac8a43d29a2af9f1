//! Who follows a store while others write, by the store's own means.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use bloodbank_testkit::catalog;
use candystore::{EventStore, Filter, Followed, Start, StoreOptions};
use tokio::time::timeout;

use crate::seen::Seen;

/// How long to wait for the next event.
const LIMIT: Duration = Duration::from_secs(60);

/// Follows from the first position until so many events came, or none any more.
pub(crate) fn start(url: &str, events: u64) -> JoinHandle<Seen> {
    let url = url.to_owned();
    thread::spawn(move || tokio::runtime::Runtime::new().unwrap().block_on(follow(&url, events)))
}

async fn follow(url: &str, events: u64) -> Seen {
    let options = StoreOptions::new(url.parse().unwrap());
    let store = EventStore::open(options, catalog::contracts()).await.unwrap();
    let mut follow = store.follow(Filter::new(), Start::Position(1)).await.unwrap();
    let mut seen = Seen::new(events);
    while seen.read < events {
        match timeout(LIMIT, follow.next()).await {
            Ok(Ok(Followed::Event(event))) => seen.event(event.position, event.id),
            _ => break,
        }
    }
    seen
}

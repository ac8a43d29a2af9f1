//! A store with many events, and what of them questions are asked about.

use std::time::{Duration, Instant};

use bloodbank::candystore::{EventStore, StoreUrl};
use bloodbank::uuid::Uuid;
use tokio_postgres::NoTls;

use crate::append::pour;
use crate::place::{Backend, Places, delete, open};
use crate::workflow::Workflow;

/// Events that are made at a time, off the clock.
const CHUNK: usize = 65_536;
const BATCH: usize = 1_024;
/// Ids that are kept to ask for.
const SAMPLES: usize = 5_000;

pub(crate) struct Filled {
    pub(crate) backend: Backend,
    pub(crate) store: EventStore,
    pub(crate) events: usize,
    /// Ids of events, and of what they have in common with others.
    pub(crate) samples: Vec<(Uuid, Uuid)>,
    /// Bytes of all bodies.
    pub(crate) bodies: usize,
    /// How long appending took.
    pub(crate) took: Duration,
    url: StoreUrl,
}

impl Filled {
    pub(crate) async fn new(places: &Places, backend: Backend, events: usize) -> Filled {
        let url = places.url(backend).await;
        let store = open(&url).await;
        let every = (events / SAMPLES).max(1);
        let (samples, took) = (Vec::with_capacity(SAMPLES), Duration::ZERO);
        let mut filled = Filled { backend, store, events, samples, bodies: 0, took, url };
        let mut workflow = Workflow::new();
        for first in (0..events).step_by(CHUNK) {
            let chunk: Vec<_> = workflow.by_ref().take(CHUNK.min(events - first)).collect();
            let since = Instant::now();
            pour(&filled.store, &chunk, BATCH).await;
            filled.took += since.elapsed();
            for (event, number) in chunk.iter().zip(first..) {
                filled.bodies += event.body.len();
                let id = event.envelope.id;
                if number % every == 0 {
                    filled.samples.push((id, event.envelope.correlation_id.unwrap_or(id)));
                }
            }
        }
        filled
    }

    /// The bytes it takes on the disk, indexes and all.
    pub(crate) async fn size(&self) -> f64 {
        match &self.url {
            StoreUrl::Sqlite(file) => std::fs::metadata(file).expect("a file").len() as f64,
            StoreUrl::Postgres(url) => {
                let (client, connection) =
                    tokio_postgres::connect(url, NoTls).await.expect("a server");
                tokio::spawn(connection);
                let sql = "SELECT SUM(pg_total_relation_size(oid))::float8 FROM pg_class \
                     WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace";
                client.query_one(sql, &[]).await.expect("a size").get(0)
            }
            other => panic!("{other} is none of ours"),
        }
    }

    /// Ends it, and gives its room back.
    pub(crate) fn drop(self) {
        drop(self.store);
        if let StoreUrl::Sqlite(file) = &self.url {
            delete(file);
        }
    }
}

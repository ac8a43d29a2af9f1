//! The embedded bus does what every transport must do, on both databases.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use bloodbank_bus::Transport;
use bloodbank_testkit::{Postgres, catalog};
use candystore::{Embedded, EventStore, StoreOptions, StoreUrl};

async fn on(url: StoreUrl) -> Arc<dyn Transport> {
    let store = EventStore::open(StoreOptions::new(url), catalog::contracts()).await.unwrap();
    Arc::new(Embedded::new(store))
}

async fn on_sqlite() -> Option<Arc<dyn Transport>> {
    // Removed with the machine's other temporary files: the bus outlives this function.
    let folder = tempfile::tempdir().unwrap().keep();
    Some(on(StoreUrl::file(folder.join("store.db"))).await)
}

async fn on_postgres() -> Option<Arc<dyn Transport>> {
    if !bloodbank_testkit::postgres() {
        return None;
    }
    let url = Postgres::shared().await.fresh_url().await;
    Some(on(url.parse().unwrap()).await)
}

mod sqlite {
    use super::on_sqlite;

    bloodbank_testkit::behaviours!(on_sqlite);
}

mod postgres {
    use super::on_postgres;

    bloodbank_testkit::behaviours!(on_postgres);
}

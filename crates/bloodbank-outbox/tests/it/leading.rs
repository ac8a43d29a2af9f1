//! One relay of many sends.

use bloodbank_core::Code;
use bloodbank_outbox::{Dialect, Source, Tables};

use crate::place::{Connection, Place, Running, bus, numbers, places, until};

#[tokio::test]
async fn one_relay_sends_and_another_takes_over() {
    for place in places().await {
        let (bus, mut connection) = (bus().await, place.connect().await);
        let (mut one, mut two) = (place.source(), place.source());
        assert!(one.lead().await.unwrap());
        assert!(!two.lead().await.unwrap());
        assert!(one.lead().await.unwrap());
        // It reads nothing, as another one sends.
        let standby = Running::start(place.relay(&bus));
        connection.parcels([1]).await;
        assert!(!two.lead().await.unwrap());
        assert_eq!(bus.depth("q"), 0);
        drop(one);
        place.until_empty().await;
        assert_eq!(numbers(&bus).await, [1]);
        standby.abort().await;
        until(async || two.lead().await.unwrap()).await;
    }
}

#[tokio::test]
async fn two_tables_have_two_relays() {
    let place = Place::sqlite().await;
    let Place::Sqlite(folder) = &place else { unreachable!() };
    let Connection::Sqlite(connection) = place.connect().await else { unreachable!() };
    let tables = Tables::new().with_outbox("other");
    connection.execute_batch(&tables.ddl(Dialect::Sqlite)).unwrap();
    let path = folder.path().join("shop.db");
    let mut other = bloodbank_outbox::Sqlite::new(path).tables(tables);
    assert!(place.source().lead().await.unwrap() && other.lead().await.unwrap());
}

#[tokio::test]
async fn an_outbox_without_its_table_or_database_is_an_error_at_the_start() {
    for place in places().await {
        let bus = bus().await;
        place.connect().await.run("DROP TABLE bloodbank_outbox").await;
        let error = place.relay(&bus).run_until(std::future::pending()).await.unwrap_err();
        assert_eq!(error.code(), Code::DatabaseError);
        assert!(error.to_string().contains("bloodbank_outbox"), "{error}");
    }
    let nowhere = bloodbank_outbox::Sqlite::new("/nowhere/shop.db").lead().await;
    assert!(nowhere.is_err());
    let mut nobody = bloodbank_outbox::Postgres::from_url("postgres://u:secret@127.0.0.1:1/d");
    let error = nobody.as_mut().unwrap().lead().await.unwrap_err().to_string();
    assert!(!error.contains("secret"), "{error}");
}

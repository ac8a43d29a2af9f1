//! What is written, and what is not.

use bloodbank_bus::{Encoded, Headers, Verbatim};
use bloodbank_core::{Code, Kind, Meta};
use bloodbank_outbox::{Dialect, Outbox, OutboxError, Pg, Tables, create_tables, list};
use bloodbank_testkit::catalog::{self, Any, Board, CreateMooring, Parcel, mooring};
use serde_json::json;
use uuid::Uuid;

use crate::place::{Connection, Place, Running, bodies, bus, numbers, places};

#[tokio::test]
async fn what_is_rolled_back_is_not_published() {
    for place in places().await {
        let (bus, connection) = (bus().await, place.connect().await);
        let outbox = Outbox::<Any>::new(catalog::contracts());
        connection.run("CREATE TABLE orders (n integer)").await;
        for (n, end) in [(1, "ROLLBACK"), (2, "COMMIT")] {
            connection.run("BEGIN").await;
            connection.run(&format!("INSERT INTO orders VALUES ({n})")).await;
            connection.publish(&outbox, &Parcel { n }).await.unwrap();
            connection.run(end).await;
        }
        let relay = Running::start(place.relay(&bus));
        place.until_empty().await;
        relay.stop().await;
        assert_eq!(numbers(&bus).await, [2]);
    }
}

#[tokio::test]
async fn what_breaks_its_contract_is_refused_and_nothing_is_written() {
    for place in places().await {
        let connection = place.connect().await;
        let outbox = Outbox::<Board>::new(catalog::contracts());
        let (bad, good) = (mooring(""), mooring("Berth 9"));
        connection.run("BEGIN").await;
        let refused = match &connection {
            Connection::Sqlite(tx) => outbox.publish(tx, &bad).now(),
            Connection::Postgres(tx) => outbox.publish(&**tx, &bad).await,
        };
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::PayloadRefused);
        assert_eq!(refused.refusal().unwrap().violations.len(), 1);
        let not_its = match &connection {
            Connection::Sqlite(tx) => outbox.publish_json(tx, "lot.parcel", json!({})).now(),
            Connection::Postgres(tx) => outbox.publish_json(&**tx, "lot.parcel", json!({})).await,
        };
        assert_eq!(not_its.unwrap_err().code(), Code::NotAllowed);
        // The transaction can go on.
        let written = match &connection {
            Connection::Sqlite(tx) => outbox.publish(tx, &good).now(),
            Connection::Postgres(tx) => outbox.publish(&**tx, &good).await,
        };
        connection.run("COMMIT").await;
        let waiting = place.waiting().await;
        let ids: Vec<Uuid> = waiting.iter().map(|waiting| waiting.id).collect();
        assert_eq!(ids, [written.unwrap().id]);
        assert_eq!(waiting[0].key, "terminal.mooring.created");
        assert!(waiting[0].created.is_some() && waiting[0].parked.is_none());
    }
}

#[tokio::test]
async fn what_is_published_is_byte_for_byte_what_was_written() {
    for place in places().await {
        let (bus, connection) = (bus().await, place.connect().await);
        let outbox = Outbox::<Any>::new(catalog::contracts()).named("crane-7");
        let cause = catalog::envelope("lot.parcel", json!({ "n": 1 }));
        // Of a number only its text is exact; encoded once more it may be another.
        let data = json!({ "n": 2, "weight": 0.1_f64 + 0.2, "tiny": 5e-324, "text": "ä\u{0}\n" });
        let draft = |data| {
            let draft = outbox.publish_json((), "lot.parcel", data);
            draft.caused_by(&cause).session("s").traceparent(TRACE).tracestate("a=b")
        };
        let row = draft(data).row().unwrap();
        assert_eq!((row.key.as_str(), row.kind, row.kind_number()), ("lot.parcel", Kind::Event, 1));
        let insert = |dialect| Tables::new().insert(dialect, true);
        match &connection {
            // As with any other client: the statement, and the values in its order.
            Connection::Sqlite(tx) => {
                let values = rusqlite::params_from_iter(row.values());
                tx.execute(&insert(Dialect::Sqlite), values).unwrap();
            }
            Connection::Postgres(tx) => {
                let (id, body) = (row.id.to_string(), row.envelope.to_vec());
                let kind = row.kind_number();
                let sql = insert(Dialect::Postgres);
                tx.execute(&sql, &[&id, &kind, &row.key, &body, &row.headers]).await.unwrap();
            }
        }
        let relay = Running::start(place.relay(&bus));
        place.until_empty().await;
        relay.stop().await;
        let sent = bodies(&bus).await;
        assert_eq!(sent, std::slice::from_ref(&row.envelope));
        let kept = Verbatim::stored("lot.parcel", row.envelope, Headers::new());
        let read = Encoded::read_back(&catalog::contracts(), Kind::Event, kept);
        let envelope = read.unwrap().into_parts().0;
        assert_eq!((envelope.id, envelope.source.as_str()), (row.id, "crane-7"));
        assert_eq!(envelope.causation_id, Some(cause.id));
        assert_eq!(envelope.correlation_id, Some(cause.id));
        assert_eq!(envelope.session_id.as_deref(), Some("s"));
        assert_eq!(envelope.traceparent.as_deref(), Some(TRACE));
        assert_eq!(envelope.tracestate.as_deref(), Some("a=b"));
    }
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn a_repeated_idempotency_key_is_one_message() {
    for place in places().await {
        let connection = place.connect().await;
        let outbox = Outbox::<Any>::new(catalog::contracts());
        let mut written = Vec::new();
        for n in [1, 2] {
            let parcel = Parcel { n };
            let meta = Meta::new().with_idempotency_key("order 7");
            written.push(match &connection {
                Connection::Sqlite(tx) => outbox.publish(tx, &parcel).meta(meta).now().unwrap(),
                Connection::Postgres(tx) => {
                    outbox.publish(&**tx, &parcel).meta(meta).await.unwrap()
                }
            });
        }
        assert_eq!(written[0].id, written[1].id);
        assert_eq!([written[0].is_repeated, written[1].is_repeated], [false, true]);
        assert_eq!(place.waiting().await.len(), 1);
    }
}

#[tokio::test]
async fn tables_have_the_names_that_they_are_given() {
    let Place::Sqlite(folder) = Place::sqlite().await else { unreachable!() };
    let tables = Tables::new().with_outbox("main.out box").with_inbox("main.in box");
    let path = folder.path().join("shop.db");
    let mut source = bloodbank_outbox::Sqlite::new(&path).tables(tables.clone());
    create_tables(&mut source).await.unwrap();
    // Twice is once.
    create_tables(&mut source).await.unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    let outbox = Outbox::<Any>::new(catalog::contracts()).tables(tables);
    outbox.publish(&connection, &Parcel { n: 1 }).now().unwrap();
    assert_eq!(list(&mut source, 10).await.unwrap().len(), 1);
    let count = |sql: &str| connection.query_one(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT COUNT(*) FROM \"out box\""), 1);
    assert_eq!(count("SELECT COUNT(*) FROM bloodbank_outbox"), 0);

    let Some(Place::Postgres(url)) = Place::postgres().await else { return };
    let client = crate::place::connect(&url).await;
    client.batch_execute("CREATE SCHEMA shop").await.unwrap();
    let tables = Tables::new().with_outbox("shop.Out").with_inbox("shop.In");
    let mut source = bloodbank_outbox::Postgres::from_url(&url).unwrap().tables(tables.clone());
    create_tables(&mut source).await.unwrap();
    let outbox = Outbox::<Any>::new(catalog::contracts()).tables(tables);
    outbox.publish(&client, &Parcel { n: 1 }).await.unwrap();
    assert_eq!(list(&mut source, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_transaction_and_a_generic_client_take_messages_too() {
    let Place::Sqlite(folder) = Place::sqlite().await else { unreachable!() };
    let mut connection = rusqlite::Connection::open(folder.path().join("shop.db")).unwrap();
    let outbox = Outbox::<Board>::new(catalog::contracts());
    let command = CreateMooring { topic: "t".to_owned() };
    let tx = connection.transaction().unwrap();
    outbox.send(&tx, &command).now().unwrap();
    tx.commit().unwrap();

    let Some(place) = Place::postgres().await else { return };
    let Connection::Postgres(mut client) = place.connect().await else { unreachable!() };
    let tx = client.transaction().await.unwrap();
    // A future that can be moved to another thread.
    let written = is_send(outbox.send(&tx, &command).into_future()).await;
    written.unwrap();
    outbox.publish(Pg(&tx), &mooring("t")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(place.waiting().await.len(), 2);
}

fn is_send<F: Send>(future: F) -> F {
    future
}

#[tokio::test]
async fn the_error_of_the_client_is_at_hand() {
    let Some(place) = Place::postgres().await else { return };
    let Connection::Postgres(client) = place.connect().await else { unreachable!() };
    client.batch_execute("DROP TABLE bloodbank_outbox").await.unwrap();
    let outbox = Outbox::<Any>::new(catalog::contracts());
    let error = outbox.publish(&*client, &Parcel { n: 1 }).await.unwrap_err();
    assert!(error.to_string().contains("\"bloodbank_outbox\" does not exist"), "{error}");
    let OutboxError::Database(error) = error else { panic!("{error}") };
    let client = error.client_error().downcast_ref::<tokio_postgres::Error>().unwrap();
    assert_eq!(client.code().unwrap().code(), "42P01");
}

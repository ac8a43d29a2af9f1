//! Effects that happen once.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{
    Destination, Exchange, Headers, InMemory, Inbox as Messages, Received, Subscription, Transport,
    Verbatim, headers,
};
use bloodbank_outbox::{Inbox, Once, Tables};
use bloodbank_testkit::catalog::{self, Parcel, queue};
use serde_json::json;
use uuid::Uuid;

use crate::place::{Connection, places};

/// The messages of a queue, each taken as often as it comes.
async fn messages(bus: &InMemory, name: &str) -> Messages<Parcel> {
    let bus: Arc<dyn Transport> = Arc::new(bus.clone());
    Messages::open(bus, catalog::contracts(), Subscription::new(name)).await.unwrap()
}

async fn once(connection: &Connection, received: &Received<Parcel>) -> bool {
    match connection {
        Connection::Sqlite(tx) => received.once(tx).now().unwrap(),
        Connection::Postgres(tx) => received.once(&**tx).await.unwrap(),
    }
}

#[tokio::test]
async fn a_message_is_handled_the_first_time_it_is_committed() {
    for place in places().await {
        let queues = [queue("one", &["lot.parcel"]), queue("two", &["lot.parcel"])];
        let (bus, connection) = (catalog::bus(queues).await.0, place.connect().await);
        let (mut one, mut two) = (messages(&bus, "one").await, messages(&bus, "two").await);
        let event = catalog::envelope("lot.parcel", json!({ "n": 1 }));
        let body: Arc<[u8]> = event.to_bytes().unwrap().into();
        let replay = Headers::from([(headers::REPLAY.to_owned(), "again".into())]);
        for headers in [Headers::new(), Headers::new(), replay] {
            let message = Verbatim::stored("lot.parcel", body.clone(), headers);
            bus.forward(message, Destination::Exchange(Exchange::Events)).await.unwrap();
        }
        let first = one.next().await.unwrap().unwrap();
        assert_eq!(first.queue(), "one");
        let mut answers = Vec::new();
        for end in ["ROLLBACK", "COMMIT", "COMMIT"] {
            connection.run("BEGIN").await;
            answers.push(once(&connection, &first).await);
            connection.run(end).await;
        }
        assert_eq!(answers, [true, true, false]);
        let again = one.next().await.unwrap().unwrap();
        assert!(!once(&connection, &again).await);
        // Another queue is another consumer, and a replay another message.
        assert!(once(&connection, &two.next().await.unwrap().unwrap()).await);
        let replayed = one.next().await.unwrap().unwrap();
        assert_eq!(replayed.replay(), Some("again"));
        assert!(once(&connection, &replayed).await && !once(&connection, &replayed).await);
    }
}

#[tokio::test]
async fn what_was_handled_long_ago_is_forgotten() {
    for place in places().await {
        let connection = place.connect().await;
        let inbox = Inbox::new(&Tables::new());
        let note = async |id| match &connection {
            Connection::Sqlite(tx) => inbox.note(tx, "me", id).await.unwrap(),
            Connection::Postgres(tx) => inbox.note(&**tx, "me", id).await.unwrap(),
        };
        let (old, new) = (Uuid::now_v7(), Uuid::now_v7());
        assert!(note(old).await && note(new).await && !note(old).await);
        let sql = match &connection {
            Connection::Sqlite(_) => "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 days')",
            Connection::Postgres(_) => "now() - INTERVAL '2 days'",
        };
        connection
            .run(&format!("UPDATE bloodbank_inbox SET handled = {sql} WHERE id = '{old}'"))
            .await;
        let mut gone = Vec::new();
        for age in [Duration::MAX, Duration::from_secs(86_400)] {
            gone.push(match &connection {
                Connection::Sqlite(tx) => inbox.prune(tx, age).await.unwrap(),
                Connection::Postgres(tx) => inbox.prune(&**tx, age).await.unwrap(),
            });
        }
        assert_eq!(gone, [0, 1]);
        assert!(note(old).await && !note(new).await);
    }
}

/// Two transactions with the same message: the second waits, and is told what became of the first.
#[tokio::test]
async fn of_two_that_handle_a_message_at_once_one_does() {
    for (end, answer) in [("COMMIT", false), ("ROLLBACK", true)] {
        let Some(place) = crate::place::Place::postgres().await else { return };
        let Connection::Postgres(one) = place.connect().await else { unreachable!() };
        let Connection::Postgres(two) = place.connect().await else { unreachable!() };
        let (inbox, id) = (Inbox::default(), Uuid::now_v7());
        one.batch_execute("BEGIN").await.unwrap();
        assert!(inbox.note(&*one, "me", id).await.unwrap());
        let (asked, ended) =
            tokio::join!(inbox.note(&*two, "me", id), async { one.batch_execute(end).await });
        ended.unwrap();
        assert_eq!(asked.unwrap(), answer);
    }
}

//! The transaction is one of sqlx.

use bloodbank_core::Code;
use bloodbank_outbox::{Inbox, Outbox};
use bloodbank_testkit::catalog::{self, Board, CreateMooring, mooring};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::place::{Place, Running, bodies, bus};

#[tokio::test]
async fn a_transaction_of_sqlx_takes_messages_and_handles_once() {
    let Some(place) = Place::postgres().await else { return };
    let Place::Postgres(url) = &place else { unreachable!() };
    let mut connection = PgConnection::connect(url).await.unwrap();
    let outbox = Outbox::<Board>::new(catalog::contracts());
    let (inbox, id) = (Inbox::default(), Uuid::now_v7());
    let mut written = Vec::new();
    for commits in [false, true] {
        let mut tx = connection.begin().await.unwrap();
        let refused = outbox.publish(&mut *tx, &mooring("")).await.unwrap_err();
        assert_eq!(refused.code(), Code::PayloadRefused);
        written = vec![
            outbox.publish(&mut *tx, &mooring("Berth 9")).idempotency_key("9").await.unwrap(),
            outbox.publish(&mut *tx, &mooring("Berth 9")).idempotency_key("9").await.unwrap(),
            outbox.send(&mut *tx, &CreateMooring { topic: "t".to_owned() }).await.unwrap(),
        ];
        assert!(inbox.note(&mut *tx, "me", id).await.unwrap());
        assert!(!inbox.note(&mut *tx, "me", id).await.unwrap());
        match commits {
            true => tx.commit().await.unwrap(),
            false => tx.rollback().await.unwrap(),
        }
    }
    let repeated: Vec<bool> = written.iter().map(|written| written.is_repeated).collect();
    assert_eq!(repeated, [false, true, false]);
    let ids: Vec<Uuid> = place.waiting().await.iter().map(|waiting| waiting.id).collect();
    assert_eq!(ids, [written[0].id, written[2].id]);
    let bus = bus().await;
    let relay = Running::start(place.relay(&bus).skip_after(1));
    crate::place::until(async || place.waiting().await.len() == 1).await;
    relay.stop().await;
    assert_eq!(bodies(&bus).await.len(), 1);
}

//! Rows that are not any more what was stored.

use bloodbank_bus::{Settlement, Transport};
use bloodbank_testkit::catalog::queue;
use candystore::Prune;

use super::{PARCEL, bus, consume, declare, nothing, number, parcels, recv};
use crate::databases::{Database, on_both};
use crate::raw;

on_both!(
    a_damaged_message_is_set_aside_and_its_queues_go_on,
    an_event_of_no_kind_holds_up_nobody_who_has_looked,
    what_is_damaged_after_it_was_delivered_is_set_aside_when_it_comes_again,
);

async fn a_damaged_message_is_set_aside_and_its_queues_go_on(database: Database) {
    let bus = bus(&database).await;
    declare(&bus, queue("one", &[PARCEL])).await;
    declare(&bus, queue("two", &["lot.#"])).await;
    parcels(&bus, 0..6).await;
    raw::change(
        &database,
        "UPDATE events SET headers = 'not JSON' WHERE position = 2; \
         UPDATE events SET body = CAST('{}' AS BYTEA) WHERE position = 4; \
         UPDATE events SET kind = 'neither' WHERE position = 5",
    )
    .await;
    for name in ["one", "two"] {
        let mut deliveries = consume(&bus, name, 10).await;
        for n in [0, 2, 5] {
            let delivery = recv(&mut deliveries).await;
            assert_eq!(number(&delivery), n);
            bus.settle(&delivery, Settlement::Ack).await.unwrap();
        }
        nothing(&mut deliveries).await;
        deliveries.close().await;
    }
    for status in bus.queues().await.unwrap() {
        let damaged = status.damaged.iter().map(|message| message.position);
        let expected: &[u64] = if status.queue.name.ends_with(".dlq") { &[] } else { &[2, 4] };
        assert_eq!(damaged.collect::<Vec<_>>(), expected, "{}", status.queue.name);
        assert_eq!((status.lag, status.unsettled), (0, 0), "{}", status.queue.name);
    }
    // Retention does not wait for them.
    let plan = bus.store().plan_prune(Prune::new(Vec::new()).with_keep(0)).await.unwrap();
    assert_eq!((plan.held, plan.needed), (0, None));
    // They stay aside, whoever comes.
    let mut again = consume(&bus, "one", 10).await;
    nothing(&mut again).await;
    again.close().await;
    bus.remove_queue("one").await.unwrap();
    assert_eq!(bus.queues().await.unwrap().len(), 3);
}

async fn what_is_damaged_after_it_was_delivered_is_set_aside_when_it_comes_again(
    database: Database,
) {
    let bus = bus(&database).await;
    declare(&bus, queue("q", &[PARCEL]).ordered()).await;
    parcels(&bus, 0..3).await;
    let mut deliveries = consume(&bus, "q", 1).await;
    let first = recv(&mut deliveries).await;
    raw::change(&database, "UPDATE events SET body = CAST('{}' AS BYTEA) WHERE position = 1").await;
    bus.settle(&first, Settlement::Requeue).await.unwrap();
    for n in [1, 2] {
        let delivery = recv(&mut deliveries).await;
        assert_eq!(number(&delivery), n);
        bus.settle(&delivery, Settlement::Ack).await.unwrap();
    }
    let queues = bus.queues().await.unwrap();
    assert_eq!(queues[0].damaged[0].position, 1);
}

async fn an_event_of_no_kind_holds_up_nobody_who_has_looked(database: Database) {
    let bus = bus(&database).await;
    declare(&bus, queue("q", &[PARCEL])).await;
    let mut deliveries = consume(&bus, "q", 1).await;
    parcels(&bus, 0..2).await;
    let first = recv(&mut deliveries).await;
    // Its only place is taken, so that it has not looked at the second.
    raw::change(&database, "UPDATE events SET kind = 'neither' WHERE position = 2").await;
    bus.settle(&first, Settlement::Ack).await.unwrap();
    nothing(&mut deliveries).await;
    parcels(&bus, 2..3).await;
    assert_eq!(number(&recv(&mut deliveries).await), 2);
}

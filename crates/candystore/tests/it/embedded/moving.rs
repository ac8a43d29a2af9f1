//! Queues that are moved over the log, and what is kept of messages.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{
    Deliveries, Fate, Report, Settlement, Start, Transport, TransportError, headers,
};
use bloodbank_testkit::catalog::queue;
use candystore::{Embedded, EmbeddedOptions};
use chrono::TimeDelta;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{PARCEL, bus, consume, declare, nothing, number, parcels, recv};
use crate::databases::{Database, on_both};
use crate::raw;

on_both!(
    a_queue_goes_back_and_gives_again_what_it_gave,
    a_queue_goes_on_and_skips_what_waits,
    a_queue_that_goes_back_gives_what_waits_once,
    a_queue_that_is_consumed_is_not_moved,
    a_new_queue_begins_at_a_time,
    what_handlers_say_is_kept_without_what_a_database_cannot_hold,
    what_became_of_messages_is_kept_until_it_is_removed,
    what_is_handled_at_once_is_kept_in_few_rows,
);

/// Takes so many messages and acknowledges them.
async fn handle(bus: &Embedded, count: usize) -> Vec<u32> {
    let mut deliveries = consume(bus, "q", 100).await;
    let mut handled = Vec::new();
    for _ in 0..count {
        let delivery = recv(&mut deliveries).await;
        bus.settle(&delivery, Settlement::Ack).await.unwrap();
        handled.push(number(&delivery));
    }
    nothing(&mut deliveries).await;
    deliveries.close().await;
    handled
}

async fn a_queue_goes_back_and_gives_again_what_it_gave(database: Database) {
    let bus = bus(&database).await;
    parcels(&bus, 0..3).await;
    declare(&bus, queue("q", &[PARCEL])).await;
    parcels(&bus, 3..10).await;
    assert_eq!(handle(&bus, 7).await, (3..10).collect::<Vec<_>>());
    let plan = bus.plan_move("q", Start::Position(6)).await.unwrap();
    assert_eq!((plan.from, plan.to, plan.again, plan.skipped), (10, 5, 5, 0));
    assert!(handle(&bus, 0).await.is_empty(), "a plan changes nothing");
    bus.move_queue("q", Start::Position(6), "ada@host").await.unwrap();
    assert_eq!(handle(&bus, 5).await, (5..10).collect::<Vec<_>>());
    // Also what was there before the queue.
    let moved = bus.move_queue("q", Start::Beginning, "ada@host").await.unwrap();
    assert_eq!(moved.again, 10);
    assert_eq!(handle(&bus, 10).await, (0..10).collect::<Vec<_>>());
    let id = bus.store().at(7).await.unwrap().unwrap().id;
    let moves = bus.store().whereabouts(id).await.unwrap().moves;
    assert_eq!(moves.len(), 2);
    assert_eq!((&*moves[0].author, moves[0].to), ("ada@host", 5));
}

async fn a_queue_goes_on_and_skips_what_waits(database: Database) {
    let bus = bus(&database).await;
    declare(&bus, queue("q", &[PARCEL])).await;
    parcels(&bus, 0..10).await;
    let mut deliveries = consume(&bus, "q", 1).await;
    let first = recv(&mut deliveries).await;
    let after = Duration::from_secs(3_600);
    bus.settle(&first, Settlement::Retry { after, headers: Default::default() }).await.unwrap();
    deliveries.close().await;
    // The first one waits to be tried again, and goes, too.
    let plan = bus.plan_move("q", Start::Position(8)).await.unwrap();
    assert_eq!((plan.again, plan.skipped), (0, 7));
    bus.move_queue("q", Start::Position(8), "ada@host").await.unwrap();
    assert_eq!(handle(&bus, 3).await, [7, 8, 9]);
    parcels(&bus, 10..12).await;
    let moved = bus.move_queue("q", Start::Now, "ada@host").await.unwrap();
    assert_eq!((moved.to, moved.skipped), (12, 2));
    assert!(handle(&bus, 0).await.is_empty());
}

async fn a_queue_that_goes_back_gives_what_waits_once(database: Database) {
    let bus = bus(&database).await;
    declare(&bus, queue("q", &[PARCEL])).await;
    parcels(&bus, 0..3).await;
    let mut deliveries = consume(&bus, "q", 3).await;
    for _ in 0..3 {
        let delivery = recv(&mut deliveries).await;
        let settlement = match number(&delivery) {
            1 => Settlement::Retry { after: Duration::ZERO, headers: Default::default() },
            _ => Settlement::Ack,
        };
        bus.settle(&delivery, settlement).await.unwrap();
    }
    // The second one is held by nobody when the consumer has gone.
    deliveries.close().await;
    bus.move_queue("q", Start::Beginning, "ada@host").await.unwrap();
    assert_eq!(handle(&bus, 3).await, [0, 1, 2]);
}

async fn a_queue_that_is_consumed_is_not_moved(database: Database) {
    let bus = bus(&database).await;
    declare(&bus, queue("q", &[PARCEL])).await;
    parcels(&bus, 0..2).await;
    let deliveries = consume(&bus, "q", 1).await;
    let error = bus.move_queue("q", Start::Now, "ada@host").await.unwrap_err();
    assert!(matches!(error, TransportError::InUse { .. }), "{error}");
    deliveries.close().await;
    for wrong in ["q.dlq", "commands.terminal.mooring.create"] {
        if wrong.starts_with("commands") {
            declare(&bus, bloodbank_bus::Queue::of_command("terminal.mooring.create").unwrap())
                .await;
        }
        let error = bus.move_queue(wrong, Start::Beginning, "ada@host").await.unwrap_err();
        assert!(matches!(error, TransportError::Unsupported { .. }), "{wrong}: {error}");
    }
    let error = bus.move_queue("nobody", Start::Beginning, "ada@host").await.unwrap_err();
    assert!(matches!(error, TransportError::Undeclared { .. }), "{error}");
    assert_eq!(handle(&bus, 2).await, [0, 1]);
}

async fn what_handlers_say_is_kept_without_what_a_database_cannot_hold(database: Database) {
    let store = database.open().await;
    let id = Uuid::now_v7();
    let fate = Fate::Parked { reason: "failed".to_owned(), error: "no\0thing".to_owned() };
    let report = Report::new(id, "q", 1, chrono::Utc::now(), fate);
    store.keep_reports(vec![report]).await.unwrap();
    let kept = store.reports_of(id).await.unwrap();
    let Fate::Parked { error, .. } = &kept[0].fate else { panic!("{kept:?}") };
    assert_eq!(error, "no\u{fffd}thing");
}

async fn a_new_queue_begins_at_a_time(database: Database) {
    let bus = bus(&database).await;
    parcels(&bus, 0..5).await;
    let third = bus.store().at(3).await.unwrap().unwrap();
    declare(&bus, queue("q", &[PARCEL]).with_start(Start::Time(third.received))).await;
    let mut deliveries = consume(&bus, "q", 100).await;
    // Several may have been stored at one time.
    let first = recv(&mut deliveries).await;
    let first = bus.store().get(first.id().unwrap()).await.unwrap().unwrap();
    assert!(first.received >= third.received && first.position <= third.position, "{first:?}");
    deliveries.close().await;
}

async fn what_became_of_messages_is_kept_until_it_is_removed(database: Database) {
    let bus = bus(&database).await;
    declare(&bus, queue("q", &[PARCEL])).await;
    parcels(&bus, 0..3).await;
    assert_eq!(handle(&bus, 3).await.len(), 3);
    let store = bus.store();
    let id = store.at(3).await.unwrap().unwrap().id;
    let reports = store.reports_of(id).await.unwrap();
    assert_eq!((reports.len(), &*reports[0].queue, reports[0].attempt), (1, "q", 1));
    assert!(reports[0].by.as_ref().unwrap().contains(" pid "), "{reports:?}");
    // More than one step of pruning.
    let now = chrono::Utc::now();
    let old = |n| Report::new(Uuid::from_u128(n), "q", 1, now - TimeDelta::days(8), Fate::Handled);
    store.keep_reports((0..5_000).map(old).collect()).await.unwrap();
    assert_eq!(store.prune_reports(Duration::from_secs(7 * 86_400)).await.unwrap(), 5_000);
    assert_eq!(store.reports_of(id).await.unwrap(), reports);
    assert_eq!(store.prune_reports(Duration::ZERO).await.unwrap(), 3);
    assert_eq!(store.reports_since().await.unwrap(), None);
    bus.close().await;

    let options = EmbeddedOptions::default().with_reports(None);
    let silent = std::sync::Arc::new(Embedded::with_options(database.open().await, options));
    parcels(&silent, 0..1).await;
    assert_eq!(handle(&silent, 1).await, [0]);
    assert_eq!(silent.store().reports_since().await.unwrap(), None, "nothing is kept");
}

/// Settles so many messages together.
async fn settle_together(bus: &Arc<Embedded>, deliveries: &mut Deliveries, count: usize) {
    let mut settling = JoinSet::new();
    for _ in 0..count {
        let (bus, delivery) = (bus.clone(), recv(deliveries).await);
        settling.spawn(async move { bus.settle(&delivery, Settlement::Ack).await.unwrap() });
    }
    settling.join_all().await;
}

async fn what_is_handled_at_once_is_kept_in_few_rows(database: Database) {
    let bus = bus(&database).await;
    declare(&bus, queue("one", &[PARCEL])).await;
    declare(&bus, queue("two", &["lot.#"])).await;
    parcels(&bus, 0..1_500).await;
    let retried = {
        let mut deliveries = consume(&bus, "one", 1).await;
        let first = recv(&mut deliveries).await;
        let noted = [(headers::ATTEMPTS.to_owned(), "1".into())].into();
        let again = Settlement::Retry { after: Duration::ZERO, headers: noted };
        bus.settle(&first, again).await.unwrap();
        deliveries.close().await;
        first.id().unwrap()
    };
    for name in ["one", "two"] {
        let mut deliveries = consume(&bus, name, 500).await;
        for _ in 0..3 {
            settle_together(&bus, &mut deliveries, 500).await;
        }
        deliveries.close().await;
    }
    let store = bus.store();
    for position in [2, 700, 1_023, 1_024, 1_500] {
        let id = store.at(position).await.unwrap().unwrap().id;
        let reports = store.whereabouts(id).await.unwrap().reports;
        let said = reports.iter().map(|it| (&*it.queue, it.attempt, &it.fate));
        let expected = [("one", 1, &Fate::Handled), ("two", 1, &Fate::Handled)];
        assert_eq!(said.collect::<Vec<_>>(), expected, "{position}");
    }
    let reports = store.reports_of(retried).await.unwrap();
    let said = reports.iter().map(|it| (&*it.queue, it.attempt)).collect::<Vec<_>>();
    assert_eq!(said, [("one", 1), ("one", 2), ("two", 1)]);
    // Judged with another client: 3,000 messages, of which one was not handled at once.
    assert_eq!(raw::number(&database, "SELECT COUNT(*) FROM reports").await, 2);
    assert!(raw::number(&database, "SELECT COUNT(*) FROM handled").await < 100);
    let messages = "SELECT CAST(SUM(messages) AS BIGINT) FROM handled";
    assert_eq!(raw::number(&database, messages).await, 2_999);
}

//! Causes and effects.

use std::time::Duration;

use bloodbank_core::{Envelope, Kind, Meta};
use candystore::{Cause, Chain, EventStore, Incoming};
use chrono::TimeDelta;
use serde_json::json;
use uuid::Uuid;

use crate::databases::{Database, on_both};

on_both!(
    a_workflow_is_a_tree_from_wherever_it_is_asked,
    causes_are_found_where_the_correlation_is_missing,
    what_has_no_cause_in_the_store_is_an_orphan,
    events_that_cause_each_other_end,
    a_long_chain_comes_in_pages,
);

fn envelope(key: &str, meta: Meta) -> Envelope {
    Envelope::new(key, "test", json!({}), meta)
}

fn incoming(envelope: &Envelope) -> Incoming {
    let body = envelope.to_bytes().unwrap();
    Incoming::new(Kind::Event, envelope.event_type.as_str(), body)
}

async fn store_all(store: &EventStore, envelopes: &[&Envelope]) {
    store.append(envelopes.iter().map(|envelope| incoming(envelope)).collect()).await.unwrap();
}

async fn chain(store: &EventStore, id: Uuid) -> Chain {
    store.chain(id).await.unwrap().unwrap()
}

/// `depth position cause`, one a link.
fn drawn(chain: &Chain) -> Vec<String> {
    let line = |link: &candystore::Link| {
        let cause = match link.cause {
            Cause::None => "begins".to_owned(),
            Cause::Link(index) => format!("after {}", chain.links[index].position),
            other => format!("{other:?}").split('(').next().unwrap_or_default().to_owned(),
        };
        format!("{} {} {cause}", link.depth, link.position)
    };
    chain.links.iter().map(line).collect()
}

async fn a_workflow_is_a_tree_from_wherever_it_is_asked(database: Database) {
    let store = database.open().await;
    let root = envelope("a.begun", Meta::new());
    let after = |cause: &Envelope, millis| {
        let at = cause.timestamp + Duration::from_millis(millis);
        envelope("a.done", Meta::new().caused_by(cause).with_timestamp(at))
    };
    let (left, right) = (after(&root, 12), after(&root, 30));
    let below = after(&left, 5);
    let other = envelope("a.other", Meta::new());
    // In another order than they follow from each other.
    store_all(&store, &[&below, &root, &other, &right, &left]).await;
    let expected = ["0 2 begins", "1 4 after 2", "1 5 after 2", "2 1 after 5"];
    for id in [root.id, left.id, right.id, below.id] {
        let chain = chain(&store, id).await;
        assert_eq!(drawn(&chain), expected);
        assert!(!chain.is_cut);
        let times = chain.links.iter().map(|link| link.since_cause).collect::<Vec<_>>();
        let millis = |n| Some(TimeDelta::milliseconds(n));
        assert_eq!(times, [None, millis(30), millis(12), millis(5)]);
    }
    assert_eq!(drawn(&chain(&store, other.id).await), ["0 3 begins"]);
    assert_eq!(store.chain(Uuid::now_v7()).await.unwrap(), None);
}

async fn causes_are_found_where_the_correlation_is_missing(database: Database) {
    let store = database.open().await;
    let cause = |id| Meta::new().with_causation_id(id);
    let first = envelope("a.a", Meta::new());
    let second = envelope("a.b", cause(first.id));
    let third = envelope("a.c", cause(second.id).with_correlation_id(Uuid::now_v7()));
    let fourth = envelope("a.d", cause(third.id));
    store_all(&store, &[&first, &second, &third, &fourth]).await;
    let expected = ["0 1 begins", "1 2 after 1", "2 3 after 2", "3 4 after 3"];
    for id in [first.id, second.id, third.id, fourth.id] {
        assert_eq!(drawn(&chain(&store, id).await), expected);
    }
}

async fn what_has_no_cause_in_the_store_is_an_orphan(database: Database) {
    let store = database.open().await;
    let gone = envelope("a.gone", Meta::new());
    let orphan = envelope("a.a", Meta::new().caused_by(&gone));
    let child = envelope("a.b", Meta::new().caused_by(&orphan));
    let other = envelope("a.c", Meta::new().caused_by(&gone));
    store_all(&store, &[&orphan, &child, &other]).await;
    let expected = ["0 1 Missing", "1 2 after 1", "0 3 Missing"];
    // By the correlation id, too, which is the id of what is gone.
    for id in [gone.id, orphan.id, child.id] {
        let chain = chain(&store, id).await;
        assert_eq!(drawn(&chain), expected);
        assert_eq!(chain.links[0].cause, Cause::Missing(gone.id));
    }
}

async fn events_that_cause_each_other_end(database: Database) {
    let store = database.open().await;
    let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
    let named = |id, cause| envelope("a.a", Meta::new().with_id(id).with_causation_id(cause));
    let (first, second) = (named(one, two), named(two, one));
    let below = envelope("a.b", Meta::new().with_causation_id(two));
    let id = Uuid::now_v7();
    let itself = named(id, id);
    store_all(&store, &[&first, &second, &below, &itself]).await;
    let expected = ["0 1 Cycle", "1 2 after 1", "2 3 after 2"];
    assert_eq!(drawn(&chain(&store, one).await), expected);
    assert_eq!(drawn(&chain(&store, below.id).await), expected);
    assert_eq!(drawn(&chain(&store, id).await), ["0 4 Cycle"]);
}

async fn a_long_chain_comes_in_pages(database: Database) {
    let store = database.open().await;
    let most = EventStore::MOST_IN_CHAIN;
    let mut envelopes = vec![envelope("a.a", Meta::new())];
    for n in 0..most {
        let meta = Meta::new().caused_by(&envelopes[n]);
        envelopes.push(envelope("a.b", meta));
    }
    store.append(envelopes[..most].iter().map(incoming).collect()).await.unwrap();
    let whole = chain(&store, envelopes[most / 2].id).await;
    assert_eq!((whole.links.len(), whole.next), (most, None));
    assert_eq!(whole.links[most - 1].depth, most - 1);
    store_all(&store, &[&envelopes[most]]).await;
    let cut = chain(&store, envelopes[0].id).await;
    assert_eq!((cut.links.len(), cut.next, cut.is_cut), (most, Some(most as u64), false));
    let rest = store.chain_after(envelopes[0].id, most as u64, 10).await.unwrap().unwrap();
    assert_eq!((rest.links.len(), rest.next), (1, None));
    assert_eq!(rest.links[0].cause, Cause::LeftOut(envelopes[most - 1].id));
    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let page = store.chain_after(envelopes[7].id, after, 3_000).await.unwrap().unwrap();
        seen.extend(page.links.iter().map(|link| link.position));
        let Some(next) = page.next else { break };
        after = next;
    }
    assert_eq!(seen, (1..=most as u64 + 1).collect::<Vec<_>>());
    // Nobody is called an orphan whose cause was left out.
    let is_orphan = |link: &candystore::Link| matches!(link.cause, Cause::Missing(_));
    assert!(!cut.links.iter().any(is_orphan));
}

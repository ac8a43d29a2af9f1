//! Pages of what a filter means.

use bloodbank_core::{Code, Kind, Meta};
use bloodbank_testkit::catalog::mooring;
use candystore::{
    Cursor, CursorError, EventStore, Field, FieldError, Filter, Incoming, Order, Position,
    Standing, StoreError,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;
use uuid::Uuid;

use crate::databases::{Database, event, large, on_both, parcel};

on_both!(
    each_part_of_a_filter_passes_what_it_names,
    what_began_the_work_belongs_to_its_correlation,
    keys_are_found_by_patterns,
    a_time_is_a_position,
    a_page_begins_where_the_last_one_ended,
    a_cursor_goes_with_its_order_and_its_filter,
    pages_hold_each_event_once_while_others_write,
    a_filter_that_nothing_passes_ends_in_parts,
    a_field_of_the_payload_is_compared_as_contracts_do,
    a_page_of_large_events_has_few,
    a_text_is_looked_up_as_its_column_holds_it,
    an_index_on_a_field_finds_what_reading_finds,
);

/// Positions of all that passes, page by page.
async fn positions(store: &EventStore, filter: &Filter, order: Order) -> Vec<Position> {
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.page(filter, order, 7, cursor.as_ref()).await.unwrap();
        assert!(page.events.len() <= 7);
        found.extend(page.events.iter().map(|event| event.position));
        cursor = page.next;
        if cursor.is_none() {
            return found;
        }
    }
}

/// What passes, in both orders, and counted.
async fn found(store: &EventStore, filter: &Filter) -> Vec<Position> {
    let oldest = positions(store, filter, Order::Oldest).await;
    let mut newest = positions(store, filter, Order::Newest).await;
    newest.reverse();
    assert_eq!(newest, oldest, "{filter:?}");
    assert_eq!(store.count(filter).await.unwrap(), oldest.len() as u64, "{filter:?}");
    oldest
}

fn said_by(source: &str, key: &str, meta: Meta) -> Incoming {
    let envelope = bloodbank_core::Envelope::new(key, source, json!({}), meta);
    Incoming::new(Kind::Event, key, envelope.to_bytes().unwrap())
}

fn key(pattern: &str) -> Filter {
    Filter::new().with_key(pattern.parse().unwrap())
}

async fn each_part_of_a_filter_passes_what_it_names(database: Database) {
    let store = database.open().await;
    let work = Uuid::now_v7();
    let mut bad = json!(mooring("x"));
    bad["max_rounds"] = json!(99);
    let command = json!({"topic": "x"});
    let command = event("terminal.mooring.create", command, Meta::new());
    let batch = vec![
        said_by("ada", "lot.parcel", Meta::new().with_session_id("s1")),
        said_by("ada", "lot.session.started", Meta::new().with_correlation_id(work)),
        said_by("bob", "lot.parcel", Meta::new().with_session_id("s1").with_correlation_id(work)),
        event("terminal.mooring.created", bad, Meta::new()),
        Incoming::new(Kind::Command, command.key.clone(), command.body.clone()),
        Incoming::new(Kind::Event, "lot.parcel", *b"{"),
        said_by("bob", "no.such.key", Meta::new()),
    ];
    store.append(batch).await.unwrap();
    let all = Filter::new;
    for (filter, expected) in [
        (all(), vec![1, 2, 3, 4, 5, 6, 7]),
        (all().with_kind(Kind::Event), vec![1, 2, 3, 4, 6, 7]),
        (all().with_kind(Kind::Command), vec![5]),
        (all().with_source("ada"), vec![1, 2]),
        (all().with_source("nobody"), vec![]),
        (all().with_session("s1"), vec![1, 3]),
        (all().with_correlation(work), vec![2, 3]),
        (all().with_standing(Standing::Valid), vec![1, 2, 3, 5]),
        (all().with_standing(Standing::Invalid), vec![4]),
        (all().with_standing(Standing::Malformed), vec![6]),
        (all().with_standing(Standing::Unknown), vec![7]),
        (all().with_first(3).with_last(5), vec![3, 4, 5]),
        (all().with_first(6).with_last(99), vec![6, 7]),
        (all().with_first(5).with_last(4), vec![]),
        (all().with_first(u64::MAX), vec![]),
        (key("lot.parcel"), vec![1, 3, 6]),
        (key("lot.parcel").with_source("ada"), vec![1]),
        (key("lot.parcel").with_source("bob").with_session("s1").with_correlation(work), vec![3]),
        (key("lot.parcel").with_standing(Standing::Malformed), vec![6]),
        (key("not.there").with_correlation(work), vec![]),
        (key("not.*").with_correlation(work), vec![]),
        (key("terminal.#").with_kind(Kind::Command), vec![5]),
        (key("#").with_kind(Kind::Command), vec![5]),
    ] {
        assert_eq!(found(&store, &filter).await, expected, "{filter:?}");
    }
}

async fn what_began_the_work_belongs_to_its_correlation(database: Database) {
    let store = database.open().await;
    let work = Uuid::now_v7();
    let part = |n: u32| match n % 3 {
        0 => said_by("ada", "lot.parcel", Meta::new().with_correlation_id(work)),
        _ => parcel(n),
    };
    store.append((1..40).map(part).collect()).await.unwrap();
    let began = said_by("bob", "lot.session.started", Meta::new().with_id(work));
    store.append(vec![began]).await.unwrap();
    store.append((40..50).map(part).collect()).await.unwrap();
    let followed: Vec<Position> = (1..50).filter(|n| n % 3 == 0).collect();
    let followed = followed.into_iter().map(|n| if n < 40 { n } else { n + 1 });
    let mut expected: Vec<Position> = followed.chain([40]).collect();
    expected.sort_unstable();
    let all = || Filter::new().with_correlation(work);
    assert_eq!(found(&store, &all()).await, expected);
    assert_eq!(found(&store, &all().with_kind(Kind::Event).with_source("bob")).await, [40]);
    assert_eq!(found(&store, &key("lot.session.*").with_correlation(work)).await, [40]);
    assert_eq!(found(&store, &all().with_first(39).with_last(40)).await, [39, 40]);
    assert_eq!(found(&store, &all().with_first(41)).await, expected[14..]);
    // One that names itself comes once.
    let own = Uuid::now_v7();
    let own_meta = Meta::new().with_id(own).with_correlation_id(own);
    store.append(vec![said_by("ada", "lot.parcel", own_meta)]).await.unwrap();
    assert_eq!(found(&store, &Filter::new().with_correlation(own)).await, [51]);
}

async fn keys_are_found_by_patterns(database: Database) {
    let store = database.open().await;
    let keys = ["lot.parcel", "lot.session.started", "terminal.mooring.created"];
    let strange = Incoming::new(Kind::Event, "a key. %_'", *b"x");
    let mut batch: Vec<_> = (0..30).map(|n| event(keys[n % 3], json!({}), Meta::new())).collect();
    batch.push(strange);
    store.append(batch).await.unwrap();
    let of = |n: u64| (1..=30).filter(move |p| p % 3 == n % 3).collect::<Vec<Position>>();
    assert_eq!(found(&store, &key("lot.parcel")).await, of(1));
    assert_eq!(found(&store, &key("lot.*")).await, of(1));
    assert_eq!(found(&store, &key("terminal.#")).await, of(3));
    let both = [of(1), of(2)].concat();
    let mut sorted = both.clone();
    sorted.sort_unstable();
    assert_eq!(found(&store, &key("lot.#")).await, sorted);
    let twice = key("lot.#").with_key("lot.parcel".parse().unwrap());
    assert_eq!(found(&store, &twice).await, sorted);
    assert_eq!(found(&store, &key("#")).await.len(), 31);
    assert_eq!(found(&store, &key("*.*")).await.len(), 11, "what no pattern could name, too");
    // More keys than are looked up one by one.
    let many = (0..150).map(|n| event(&format!("many.k{n}"), json!({}), Meta::new()));
    store.append(many.collect()).await.unwrap();
    assert_eq!(found(&store, &key("many.*")).await, (32..=181).collect::<Vec<_>>());
    let few = (0..60).fold(Filter::new(), |filter, n| {
        filter.with_key(format!("many.k{}", n * 2).parse().unwrap())
    });
    assert_eq!(found(&store, &few).await.len(), 60);
}

async fn a_time_is_a_position(database: Database) {
    let store = database.open().await;
    for n in 0..4 {
        store.append(vec![parcel(n)]).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let mut times = Vec::new();
    for position in 1..=4 {
        times.push(store.at(position).await.unwrap().unwrap().received);
    }
    let since = |n: usize| Filter::new().with_since(times[n]);
    assert_eq!(found(&store, &since(1)).await, [2, 3, 4]);
    assert_eq!(found(&store, &since(1).with_until(times[3])).await, [2, 3]);
    assert_eq!(found(&store, &since(2).with_until(times[1])).await, Vec::<Position>::new());
    let later = times[3] + chrono::TimeDelta::nanoseconds(1);
    assert_eq!(found(&store, &Filter::new().with_since(later)).await, Vec::<Position>::new());
    assert_eq!(found(&store, &Filter::new().with_until(later)).await, [1, 2, 3, 4]);
    let before = times[0] - chrono::TimeDelta::days(1);
    assert_eq!(found(&store, &Filter::new().with_until(before)).await, Vec::<Position>::new());
}

async fn a_page_begins_where_the_last_one_ended(database: Database) {
    let store = database.open().await;
    store.append((0..5).map(parcel).collect()).await.unwrap();
    let filter = key("lot.parcel");
    let first = store.page(&filter, Order::Newest, 2, None).await.unwrap();
    let at = |page: &candystore::Page| page.events.iter().map(|e| e.position).collect::<Vec<_>>();
    assert_eq!(at(&first), [5, 4]);
    store.append((5..8).map(parcel).collect()).await.unwrap();
    // As text, as programs pass it on.
    let cursor: Cursor = first.next.unwrap().to_string().parse().unwrap();
    let second = store.page(&filter, Order::Newest, 2, Some(&cursor)).await.unwrap();
    assert_eq!(at(&second), [3, 2]);
    let third = store.page(&filter, Order::Newest, 2, second.next.as_ref()).await.unwrap();
    assert_eq!((at(&third), third.next), (vec![1], None));
    // A page that is just full says that it is the last one.
    let all = store.page(&filter, Order::Oldest, 8, None).await.unwrap();
    assert_eq!((all.events.len(), all.next), (8, None));
    let none = store.page(&filter, Order::Oldest, 0, None).await.unwrap();
    assert_eq!((none.events.len(), none.next.is_some()), (1, true), "at least one");
}

async fn a_cursor_goes_with_its_order_and_its_filter(database: Database) {
    let store = database.open().await;
    store.append((0..5).map(parcel).collect()).await.unwrap();
    let filter = key("lot.parcel").with_last(4);
    let page = store.page(&filter, Order::Newest, 1, None).await.unwrap();
    let cursor = page.next.unwrap();
    let error = store.page(&filter, Order::Oldest, 1, Some(&cursor)).await.unwrap_err();
    assert!(error.to_string().contains("the newest events first"), "{error}");
    let other = key("lot.#");
    let error = store.page(&other, Order::Newest, 1, Some(&cursor)).await.unwrap_err();
    assert_eq!(error, StoreError::Cursor(CursorError::Filter));
    // The range may move.
    let moved = key("lot.parcel").with_first(2).with_since(chrono::DateTime::UNIX_EPOCH);
    let page = store.page(&moved, Order::Newest, 9, Some(&cursor)).await.unwrap();
    assert_eq!(page.events.iter().map(|e| e.position).collect::<Vec<_>>(), [3, 2]);
    for bad in ["", "c1", "c2-n-4-00000000", "c1-x-4-0", "c1-n-4-0-0", "c1-n--0", "\u{1b}[31m"] {
        let error = bad.parse::<Cursor>().unwrap_err();
        assert!(matches!(error, CursorError::Foreign(_)), "{bad}");
        assert!(!error.to_string().contains('\u{1b}'));
    }
}

/// What one page of the property test does: how many it asks for, and what is written before it.
type Turn = (usize, Vec<usize>);

async fn pages_hold_each_event_once_while_others_write(database: Database) {
    const KEYS: [&str; 4] = ["lot.parcel", "lot.session.started", "no.such.key", "terminal.x"];
    let turns = prop::collection::vec((1..9_usize, prop::collection::vec(0..4_usize, 0..6)), 1..12);
    let filters = prop::sample::subsequence(KEYS.to_vec(), 0..4);
    let mut runner = TestRunner::deterministic();
    let store = database.open().await;
    for _ in 0..24 {
        let turns: Vec<Turn> = turns.new_tree(&mut runner).unwrap().current();
        let chosen: Vec<&str> = filters.new_tree(&mut runner).unwrap().current();
        let begin = store.position().await.unwrap();
        let filter = chosen.iter().fold(Filter::new(), |f, key| f.with_key(key.parse().unwrap()));
        let filter = filter.with_first(begin + 1);
        let passes = |n: usize| chosen.is_empty() || chosen.contains(&KEYS[n]);
        let (mut cursor, mut seen, mut expected, mut position) = (None, vec![], vec![], begin);
        for (limit, written) in turns {
            let batch = written.iter().map(|n| event(KEYS[*n], json!({}), Meta::new()));
            store.append(batch.collect()).await.unwrap();
            for n in written {
                position += 1;
                expected.extend(passes(n).then_some(position));
            }
            let page = store.page(&filter, Order::Oldest, limit, cursor.as_ref()).await.unwrap();
            assert!(page.events.len() <= limit);
            seen.extend(page.events.iter().map(|event| event.position));
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        let rest = filter.clone().with_first(seen.last().map_or(begin, |last| *last) + 1);
        seen.extend(positions(&store, &rest, Order::Oldest).await);
        assert_eq!(seen, expected, "{filter:?}");
        // Backwards, what is written meanwhile is not seen.
        let (mut cursor, mut seen) = (None, vec![]);
        loop {
            let page = store.page(&filter, Order::Newest, 3, cursor.as_ref()).await.unwrap();
            seen.extend(page.events.iter().map(|event| event.position));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
            store.append(vec![parcel(0)]).await.unwrap();
        }
        seen.reverse();
        assert_eq!(seen, expected, "{filter:?}");
    }
}

async fn a_filter_that_nothing_passes_ends_in_parts(database: Database) {
    let store = database.open().await;
    for from in (0..42_000).step_by(3_000) {
        store.append((from..from + 3_000).map(parcel).collect()).await.unwrap();
    }
    // The last one alone has it, and a part reads 20,000 events and no more.
    let field = Field::new("/n", json!(41_999)).unwrap();
    let filter = key("lot.parcel").with_field(field);
    let (mut cursor, mut pages, mut seen) = (None, 0, Vec::new());
    loop {
        let page = store.page(&filter, Order::Oldest, 10, cursor.as_ref()).await.unwrap();
        pages += 1;
        seen.extend(page.events.iter().map(|event| event.position));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, [42_000]);
    assert!((3..=6).contains(&pages), "{pages}");
    assert_eq!(store.count(&filter).await.unwrap(), 1);
    let kind = key("lot.parcel").with_kind(Kind::Command);
    assert_eq!(found(&store, &kind).await, Vec::<Position>::new());
    let page = store.page(&kind, Order::Newest, 10, None).await.unwrap();
    assert!(page.events.is_empty() && page.next.is_some());
}

async fn a_page_of_large_events_has_few(database: Database) {
    let store = database.open().await;
    for part in 0..4 {
        store.append((0..10).map(|n| large(10 * part + n)).collect()).await.unwrap();
    }
    let some = Filter::new().with_field("/n=3".parse().unwrap());
    let text = Field::new("/text", json!("x".repeat(1_000_000))).unwrap();
    for filter in [Filter::new(), key("lot.*"), Filter::new().with_field(text)] {
        for order in [Order::Oldest, Order::Newest] {
            let (mut counts, mut seen, mut cursor) = (Vec::new(), Vec::new(), None);
            loop {
                let page = store.page(&filter, order, 100, cursor.as_ref()).await.unwrap();
                counts.push(page.events.len());
                seen.extend(page.events.iter().map(|event| event.position));
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            // 17 of them have more than 16 MiB.
            assert_eq!(counts, [17, 17, 6], "{order:?}");
            if order == Order::Newest {
                seen.reverse();
            }
            assert_eq!(seen, (1..=40).collect::<Vec<_>>());
        }
    }
    assert_eq!(found(&store, &some).await, [4]);
}

async fn a_field_of_the_payload_is_compared_as_contracts_do(database: Database) {
    let store = database.open().await;
    let data = json!({
        "n": 1, "a/b": [{"c": "x"}], "at": "2026-01-01T00:00:00Z", "none": null, "s": "1",
    });
    let batch = vec![
        event("lot.parcel", data, Meta::new()),
        event("lot.parcel", json!({"n": 2}), Meta::new()),
        Incoming::new(Kind::Event, "lot.parcel", *b"{\"data\":{\"n\":1}}"),
    ];
    store.append(batch).await.unwrap();
    for (field, passes) in [
        ("/n=1", true),
        ("/n=1.0", true),
        ("/n=\"1\"", false),
        ("/s=1", false),
        ("/a~1b/0/c=\"x\"", true),
        ("/a~1b=[{\"c\":\"x\"}]", true),
        ("/at=\"2026-01-01T01:00:00+01:00\"", true),
        ("/none=null", true),
        ("/missing=null", false),
    ] {
        let filter = Filter::new().with_field(field.parse().unwrap());
        let expected = if passes { vec![1] } else { vec![] };
        assert_eq!(found(&store, &filter).await, expected, "{field}");
    }
    let both = ["/n=1", "/s=\"2\""].into_iter();
    let both = both.fold(Filter::new(), |filter, f| filter.with_field(f.parse().unwrap()));
    assert_eq!(found(&store, &both).await, Vec::<Position>::new());
    for (text, error) in
        [("n=1", FieldError::Pointer("n".into())), ("/n", FieldError::NoValue("/n".into()))]
    {
        assert_eq!(text.parse::<Field>().unwrap_err(), error);
    }
    let error = "/s=Budget".parse::<Field>().unwrap_err();
    assert!(matches!(&error, FieldError::Json { pointer, .. } if pointer == "/s"), "{error}");
    assert_eq!(error.code(), Code::FieldNotJson);
}

async fn a_text_is_looked_up_as_its_column_holds_it(database: Database) {
    let store = database.open().await;
    let meta = Meta::new().with_session_id("t\0");
    store.append(vec![said_by("s\0", "lot.parcel", meta), parcel(1)]).await.unwrap();
    // Set past the methods that shorten it and take NUL out.
    let mut filter = Filter::new();
    filter.source = Some("s\0".to_owned());
    assert_eq!(found(&store, &filter).await, [1]);
    let mut filter = Filter::new();
    filter.session = Some("t\0".to_owned());
    assert_eq!(found(&store, &filter).await, [1]);
}

async fn an_index_on_a_field_finds_what_reading_finds(database: Database) {
    let store = database.open().await;
    let id = "0199A002-0000-7000-8000-00000000000a";
    let values = [
        json!("m1"),
        json!("M1"),
        json!(id),
        json!(id.to_lowercase()),
        json!(3),
        json!(3.0),
        json!("3"),
        json!(true),
        json!(null),
        json!(["m1"]),
        json!("2026-01-31T12:00:00Z"),
        json!("2026-01-31T13:00:00+01:00"),
        json!("x".repeat(5_000)),
        json!("x".repeat(6_000)),
        json!("nul\u{0}"),
        json!(""),
        json!("it's $1 \"UUID\""),
        json!(0.5),
        json!(u64::MAX),
    ];
    let of = |value: &serde_json::Value| {
        event("lot.parcel", json!({ "a": { "it's $UUID": value }, "text": "\u{0}" }), Meta::new())
    };
    // Half of it before there is an index.
    store.append(values.iter().map(of).collect()).await.unwrap();
    let pointer = "/a/it's $UUID";
    let mut before = Vec::new();
    for value in &values {
        let field = Field::new(pointer, value.clone()).unwrap();
        before.push(found(&store, &Filter::new().with_field(field)).await);
    }
    assert_eq!(store.add_payload_index(pointer).await, Ok(true));
    assert_eq!(store.add_payload_index(pointer).await, Ok(false));
    // A payload that is the body, as in a CloudEvent; and what is nothing of all this.
    let garbage = [&b"\xff{"[..], b"{\"data\": 1e999999}", b"[[[", b""];
    let garbage = garbage.map(|body| Incoming::new(Kind::Event, "lot.parcel", body.to_vec()));
    store.append(values.iter().map(of).chain(garbage).collect()).await.unwrap();
    let behind = values.len() as Position;
    for (value, before) in values.iter().zip(before) {
        let field = Field::new(pointer, value.clone()).unwrap();
        let all =
            before.iter().copied().chain(before.iter().map(|at| at + behind)).collect::<Vec<_>>();
        assert_eq!(found(&store, &Filter::new().with_field(field)).await, all, "{value}");
    }
    let indexes = store.payload_indexes().await.unwrap();
    assert_eq!(indexes.iter().map(|index| &*index.pointer).collect::<Vec<_>>(), [pointer]);
    assert_eq!(store.drop_payload_index(pointer).await, Ok(true));
    assert_eq!(store.drop_payload_index(pointer).await, Ok(false));
    let field = Field::new(pointer, json!("m1")).unwrap();
    assert_eq!(found(&store, &Filter::new().with_field(field)).await, [1, 20]);
    for bad in ["", "a", "/a/0", "/a//b", "/\"", "/a\n"] {
        let error = store.add_payload_index(bad).await.unwrap_err();
        assert!(matches!(error, StoreError::Field(_)), "{bad}: {error}");
    }
}

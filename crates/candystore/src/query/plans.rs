//! No question reads the whole store.

use bloodbank_core::Kind;
use uuid::Uuid;

use super::scope::Scope;
use super::statement::{self, Window};
use crate::sql::{Connection, Mode, Target};
use crate::{Field, Filter, Order, Standing, StoreUrl};

fn filters() -> Vec<Filter> {
    let all = Filter::new;
    let keys = |names: &[&str]| {
        names.iter().fold(all(), |filter, key| filter.with_key(key.parse().unwrap()))
    };
    let many: Vec<String> = (0..500).map(|n| format!("many.k{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    vec![
        all(),
        all().with_kind(Kind::Event),
        all().with_kind(Kind::Command),
        all().with_source("x"),
        all().with_session("x"),
        all().with_correlation(Uuid::nil()),
        all().with_correlation(Uuid::nil()).with_kind(Kind::Event).with_source("x"),
        all().with_standing(Standing::Valid),
        all().with_standing(Standing::Malformed),
        all().with_since(chrono::DateTime::UNIX_EPOCH).with_until(chrono::Utc::now()),
        all().with_field(Field::new("/a", 1.into()).unwrap()),
        keys(&["a.b"]),
        keys(&["a.b", "c.d", "e.f"]),
        keys(&many),
        keys(&["a.b", "c.d"]).with_source("x").with_session("x").with_standing(Standing::Invalid),
        keys(&["a.b"]).with_kind(Kind::Event).with_correlation(Uuid::nil()),
    ]
}

#[tokio::test]
async fn every_page_is_looked_up_in_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let url = StoreUrl::file(folder.path().join("store.db"));
    let target = Target::of(crate::StoreOptions::new(url));
    let (mut connection, _) = Connection::open_or_make(&target).await.unwrap();
    for filter in filters() {
        let mut scope = Scope::of(&mut connection, &filter).await.unwrap();
        (scope.low, scope.high) = (1, 1_000);
        for order in [Order::Oldest, Order::Newest] {
            let window = Window { order, low: 1, high: 1_000, size: 50 };
            for statement in [
                statement::sizes(&scope, window, 50),
                statement::events(&scope, window),
                statement::edge(&scope, window),
            ] {
                let sql = format!("EXPLAIN QUERY PLAN {}", statement.sql);
                let plan = connection.query(&sql, &statement.values).await.unwrap();
                assert!(!plan.is_empty());
                if filter.correlation.is_some() {
                    let steps: Vec<&str> = plan.iter().map(|row| row.text(3).unwrap()).collect();
                    let uses = |index| steps.iter().any(|step| step.contains(index));
                    assert!(uses("events_by_correlation") && uses("events_by_id"), "{steps:?}");
                }
                for row in &plan {
                    let step = row.text(3).unwrap();
                    let is_table = step.starts_with("SCAN events") || step.starts_with("SCAN e ");
                    assert!(!is_table && step != "SCAN e", "{filter:?}\n{}\n{step}", statement.sql);
                }
            }
        }
    }
}

/// What a question by a field of the payload does on a database.
async fn plan_of_field(connection: &mut Connection, explain: &str, value: &str) -> String {
    let field = Field::new("/meeting_id", value.into()).unwrap();
    let filter = Filter::new().with_field(field);
    let mut scope = Scope::of(connection, &filter).await.unwrap();
    (scope.low, scope.high) = (1, 1_000);
    let window = Window { order: Order::Newest, low: 1, high: 1_000, size: 50 };
    let statement = statement::sizes(&scope, window, 50);
    let sql = format!("{explain} {}", statement.sql);
    let plan = connection.query(&sql, &statement.values).await.unwrap();
    let column = if connection.is_sqlite() { 3 } else { 0 };
    let steps = plan.iter().map(|row| row.text(column).unwrap().to_owned());
    steps.collect::<Vec<_>>().join("\n")
}

async fn with_an_index(url: StoreUrl) -> Connection {
    let options = crate::StoreOptions::new(url.clone());
    let store = crate::EventStore::open(options, bloodbank_testkit::catalog::contracts());
    let store = store.await.unwrap();
    assert_eq!(store.add_payload_index("/meeting_id").await, Ok(true));
    Connection::open(&Target::of(crate::StoreOptions::new(url)), Mode::Read).await.unwrap()
}

#[tokio::test]
async fn an_index_on_a_field_is_used_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut c = with_an_index(StoreUrl::file(folder.path().join("store.db"))).await;
    let plan = plan_of_field(&mut c, "EXPLAIN QUERY PLAN", "m1").await;
    for index in ["INDEX payload_1_data (<expr>=?", "INDEX payload_1_whole (<expr>=?"] {
        assert!(plan.contains(index), "{plan}");
    }
    assert!(!plan.contains("SCAN events") && !plan.contains("SCAN e"), "{plan}");
    let plan = plan_of_field(&mut c, "EXPLAIN QUERY PLAN", "2026-01-31T12:00:00Z").await;
    assert!(!plan.contains("payload_"), "{plan}");
}

#[tokio::test]
async fn an_index_on_a_field_is_used_on_a_server() {
    if !bloodbank_testkit::postgres() {
        return;
    }
    let url = bloodbank_testkit::Postgres::shared().await.fresh_url().await;
    let mut c = with_an_index(url.parse().unwrap()).await;
    // An empty table is read from one end to the other whatever there is.
    c.batch("SET enable_seqscan = off").await.unwrap();
    let plan = plan_of_field(&mut c, "EXPLAIN", "m1").await;
    for index in ["payload_1_data", "payload_1_whole"] {
        assert!(plan.contains(index), "{plan}");
    }
}

use std::time::Instant;

use bloodbank_testkit::{Pooler, Postgres as Server, Proxy};

use super::insert::MOST_BYTES;
use super::*;
use crate::sql::Type;

/// A connection to an empty database, unless there is no server.
async fn open(options: &str) -> Option<(String, Postgres)> {
    if !bloodbank_testkit::postgres() {
        return None;
    }
    let url = Server::shared().await.fresh_url().await + options;
    let postgres = Postgres::open(&url, String::new(), Mode::Write).await.unwrap();
    Some((url, postgres))
}

async fn text(postgres: &mut Postgres, sql: &str) -> String {
    postgres.query(sql, &[]).await.unwrap()[0].text(0).unwrap().to_owned()
}

#[tokio::test]
async fn what_is_committed_is_on_the_disk_whatever_the_default_is() {
    for (default, expected) in [("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")]
    {
        let options = format!("?options=-c%20synchronous_commit%3D{default}");
        let Some((_, mut postgres)) = open(&options).await else { return };
        assert_eq!(text(&mut postgres, "SHOW synchronous_commit").await, expected);
    }
}

#[tokio::test]
async fn a_transaction_reads_what_is_committed_whatever_the_default_is() {
    let options = "?options=-c%20default_transaction_isolation%3Dserializable\
        %20-c%20default_transaction_read_only%3Don";
    let Some((_, mut postgres)) = open(options).await else { return };
    assert_eq!(text(&mut postgres, "SHOW transaction_isolation").await, "serializable");
    postgres.begin().await.unwrap();
    assert_eq!(text(&mut postgres, "SHOW transaction_isolation").await, "read committed");
    assert_eq!(text(&mut postgres, "SHOW transaction_read_only").await, "off");
}

#[tokio::test]
async fn a_lock_that_another_holds_for_long_is_busy() {
    let Some((url, mut one)) = open("").await else { return };
    let mut other = Postgres::open(&url, String::new(), Mode::Write).await.unwrap();
    one.begin().await.unwrap();
    assert_eq!(
        text(&mut other, "SHOW lock_timeout").await,
        format!("{}s", LOCK_PATIENCE.as_secs())
    );
    other.batch("SET lock_timeout = '50ms'").await.unwrap();
    let busy = other.begin().await;
    assert_eq!(busy, Err(StoreError::Busy { seconds: LOCK_PATIENCE.as_secs() }));
    other.batch("ROLLBACK").await.unwrap();
    one.batch("COMMIT").await.unwrap();
    other.begin().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_the_server_ends_is_lost_for_whatever_reason() {
    let Some((url, mut one)) = open("").await else { return };
    let mut other = Postgres::open(&url, String::new(), Mode::Write).await.unwrap();
    let pid = other.query("SELECT pg_backend_pid()", &[]).await.unwrap()[0].int(0).unwrap();
    one.begin().await.unwrap();
    other.batch("SET lock_timeout = 0").await.unwrap();
    let ends = format!("SELECT CAST(pg_terminate_backend({pid}) AS TEXT)");
    // While it waits for an answer.
    let (waited, _) = tokio::join!(other.begin(), text(&mut one, &ends));
    assert!(matches!(waited, Err(StoreError::Lost { .. })), "{waited:?}");

    let sets = "SET idle_in_transaction_session_timeout = 50";
    one.batch(sets).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let ended = one.batch("COMMIT").await;
    assert!(matches!(ended, Err(StoreError::Lost { .. })), "{ended:?}");
    assert!(one.is_lost());
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_lost() {
    let Some((url, _)) = open("").await else { return };
    let port = Server::shared().await.port();
    let proxy = Proxy::start(("127.0.0.1", port)).await;
    let url = url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port()));
    let mut postgres = Postgres::open(&url, String::new(), Mode::Write).await.unwrap();
    postgres.deadline = Duration::from_millis(600);
    assert_eq!(text(&mut postgres, "SELECT 'here'").await, "here");
    proxy.half_open(true);
    let start = Instant::now();
    let silent = postgres.query("SELECT 'here'", &[]).await;
    assert!(matches!(silent, Err(StoreError::Lost { .. })), "{silent:?}");
    assert!(postgres.is_lost());
    // Nobody waits for it a second time.
    assert!(postgres.batch("ROLLBACK").await.is_err());
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn what_cannot_be_sent_is_no_lost_connection() {
    let Some((_, mut postgres)) = open("").await else { return };
    let too_much = Value::Int(i64::MAX);
    let error = postgres.query("SELECT $1::int4", &[too_much]).await;
    assert!(matches!(error, Err(StoreError::Database { .. })), "{error:?}");
    assert!(!postgres.is_lost());
}

#[test]
fn many_rows_go_in_pieces_of_a_limited_size() {
    let zeros = vec![0; 2 * MOST_BYTES];
    let row = |bytes: usize| [Cell::Null, Cell::Bytes(&zeros[..bytes])];
    let sizes = |rows: &[[Cell<'_>; 2]]| {
        pieces(rows.as_flattened(), 2).iter().map(|piece| piece.len() / 2).collect::<Vec<_>>()
    };
    assert!(sizes(&[]).is_empty());
    assert_eq!(sizes(&[row(1), row(2), row(3)]), [3]);
    assert_eq!(sizes(&[row(MOST_BYTES * 2), row(1), row(MOST_BYTES * 2)]), [1, 1, 1]);
    let third = MOST_BYTES / 3;
    assert_eq!(sizes(&[row(third), row(third), row(third), row(third)]), [2, 2]);
}

#[tokio::test]
async fn no_statement_is_compiled_before_it_runs() {
    let Some((url, _)) = open("").await else { return };
    for mode in [Mode::Read, Mode::Write] {
        let mut postgres = Postgres::open(&url, String::new(), mode).await.unwrap();
        assert_eq!(text(&mut postgres, "SHOW jit").await, "off");
    }
}

#[tokio::test]
async fn the_first_rows_of_many_are_read_in_order_by_a_server_that_knows_nothing_of_them() {
    let Some((_, mut postgres)) = open("").await else { return };
    let table = "CREATE TABLE t (position BIGINT PRIMARY KEY, key TEXT NOT NULL); \
         ALTER TABLE t SET (autovacuum_enabled = off); \
         INSERT INTO t SELECT n, 'key' FROM generate_series(1, 50000) n";
    postgres.batch(table).await.unwrap();
    let sql = "EXPLAIN SELECT position, key FROM t WHERE position > 10 ORDER BY position LIMIT 100";
    let plan = postgres.query(sql, &[]).await.unwrap();
    let plan: Vec<&str> = plan.iter().map(|row| row.text(0).unwrap()).collect();
    assert!(plan.concat().contains("Index Scan using t_pkey"), "{plan:#?}");
    assert!(!plan.concat().contains("Sort"), "{plan:#?}");
}

/// Asks everything three times; gives what the server keeps of that under a name.
async fn kept(postgres: &mut Postgres) -> Vec<String> {
    for n in 0..3 {
        let row = postgres.query(&format!("SELECT {n} + $1"), &[Value::Int(1)]).await.unwrap();
        assert_eq!(row[0].int(0).unwrap(), n + 1);
        let row = postgres.query("SELECT $1, $2", &[Value::Null, Value::Int(n)]).await.unwrap();
        assert_eq!((row[0].maybe_text(0).unwrap(), row[0].int(1).unwrap()), (None, n));
        postgres.begin().await.unwrap();
        let values = [vec![Value::Int(n)], vec![Value::Int(n + 10)]];
        let sql = "INSERT INTO t VALUES ($1)";
        assert_eq!(postgres.execute_each(sql, &values).await, Ok(2));
        postgres.batch("COMMIT").await.unwrap();
    }
    let sql = "SELECT statement FROM pg_prepared_statements ORDER BY statement";
    let kept = postgres.query(sql, &[]).await.unwrap();
    kept.iter().map(|row| row.text(0).unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_server_keeps_under_a_name_what_comes_again() {
    let Some((_, mut postgres)) = open("").await else { return };
    postgres.batch("CREATE TABLE t (n BIGINT)").await.unwrap();
    assert_eq!(kept(&mut postgres).await, ["INSERT INTO t VALUES ($1)", "SELECT $1, $2"]);
    // Somebody else has made it forget them: that is noticed, and they are named anew.
    postgres.batch("DEALLOCATE ALL").await.unwrap();
    let pair = [Value::Null, Value::Int(1)];
    assert!(postgres.query("SELECT $1, $2", &pair).await.is_err());
    for _ in 0..3 {
        assert_eq!(postgres.query("SELECT $1, $2", &pair).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_table_that_has_changed_does_not_spoil_a_statement_with_a_name() {
    let Some((_, mut postgres)) = open("").await else { return };
    postgres.batch("CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (1)").await.unwrap();
    let ask = async |postgres: &mut Postgres| {
        let rows = postgres.query("SELECT n FROM t WHERE n = $1", &[Value::Int(1)]).await;
        rows.map(|rows| rows.len())
    };
    for _ in 0..3 {
        assert_eq!(ask(&mut postgres).await, Ok(1));
    }
    postgres.batch("ALTER TABLE t ADD COLUMN m BIGINT").await.unwrap();
    assert_eq!(ask(&mut postgres).await, Ok(1));
    postgres.batch("DROP TABLE t; CREATE TABLE t (n BIGINT)").await.unwrap();
    assert_eq!(ask(&mut postgres).await, Ok(0));
}

#[tokio::test]
async fn behind_a_pooler_no_statement_has_a_name() {
    if !bloodbank_testkit::pooler() {
        return;
    }
    let server = Server::shared().await;
    let pooler = Pooler::start(server, 1).await;
    let url = pooler.url(&server.fresh_url().await);
    let mut postgres = Postgres::open(&url, String::new(), Mode::Write).await.unwrap();
    postgres.batch("CREATE TABLE t (n BIGINT)").await.unwrap();
    assert_eq!(kept(&mut postgres).await, [""; 0]);
}

#[tokio::test]
async fn an_insertion_that_fails_takes_the_commit_behind_it_with_it() {
    let Some((_, mut postgres)) = open("").await else { return };
    let tables = "CREATE TABLE t (n BIGINT PRIMARY KEY); CREATE TABLE u (n BIGINT)";
    postgres.batch(tables).await.unwrap();
    let table = Table { name: "t", columns: &[("n", Type::Int)], or_ignore: false };
    let insert = ("INSERT INTO u VALUES ($1)", &[Value::Int(1)][..]);
    for (cells, stored) in [([1, 1], 0), ([1, 2], 1)] {
        postgres.begin().await.unwrap();
        let cells = cells.map(Cell::Int);
        let done = postgres.insert_and_run(&table, &cells, insert, "COMMIT").await;
        assert_eq!(done.is_ok(), stored == 1, "{done:?}");
        assert!(!matches!(done, Err(ref error) if error.to_string().contains("25P02")), "{done:?}");
        let _ = postgres.batch("ROLLBACK").await;
        let rows = postgres.query("SELECT COUNT(*) FROM u", &[]).await.unwrap();
        assert_eq!(rows[0].int(0).unwrap(), stored);
    }
}

#[tokio::test]
async fn what_is_stored_is_looked_up_behind_the_lock() {
    let Some((url, mut one)) = open("").await else { return };
    let tables = "CREATE TABLE events (id UUID, position BIGINT); \
         CREATE FUNCTION candystore_known(ids UUID[]) RETURNS SETOF events LANGUAGE sql STABLE \
         AS 'SELECT * FROM events WHERE id = ANY(ids)'";
    one.batch(tables).await.unwrap();
    let mut other = Postgres::open(&url, String::new(), Mode::Write).await.unwrap();
    one.begin().await.unwrap();
    let id = Uuid::now_v7();
    let ids = [id];
    let (asked, ()) = tokio::join!(biased; other.begin_with("SELECT 7, 'a'", &ids), async {
        let insert = "INSERT INTO events VALUES ($1, 3)";
        one.execute(insert, &[Value::Id(id)]).await.unwrap();
        one.batch("COMMIT").await.unwrap();
    });
    let (row, stored) = asked.unwrap();
    assert_eq!((row.int(0).unwrap(), row.text(1).unwrap()), (7, "a"));
    assert_eq!(stored, [(id, 3)]);
}

//! A server is killed, and its standby takes over.

use std::time::{Duration, Instant};

use bloodbank_testkit::Postgres;
use tokio::runtime::Runtime;
use tokio::time::sleep;
use tokio_postgres::{Client, NoTls};

use crate::checker::Checker;
use crate::kills::{self, Kills};
use crate::table::Killed;

/// How long a standby may take to follow.
const LIMIT: Duration = Duration::from_secs(30);

/// Kills servers under a process that writes and knows both hosts. Each has a standby that has
/// everything before it is confirmed.
pub(crate) fn run(runtime: &Runtime, name: &'static str, kills: Kills) -> Killed {
    let mut row = Killed::new(name, "standby");
    for _ in 0..kills.times {
        let mut checker = Checker::default();
        let (first, second) = runtime.block_on(pair());
        let url = format!(
            "postgres://bloodbank@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
            first.port(),
            second.port()
        );
        let mut writer = kills::start(&url, 0);
        row.time += kills::write_a_while(&mut writer, kills);
        first.kill();
        row.kills += 1;
        runtime.block_on(promote(&second));
        let before = writer.count();
        row.time += kills::write_a_while(&mut writer, kills);
        if writer.count() == before {
            row.failures.push("nothing is written after the standby has taken over".to_owned());
        }
        kills::settle(&mut row, &mut checker, writer.kill());
        let one = kills::end(Killed::new(name, ""), checker, &second.url("postgres"));
        row.faults.lost += one.faults.lost;
        row.faults.gaps += one.faults.gaps;
        row.faults.torn += one.faults.torn;
        row.stored += one.stored;
        row.confirmed += one.confirmed;
    }
    row
}

/// A server, and its standby, which has whatever it confirms.
async fn pair() -> (Postgres, Postgres) {
    let first = Postgres::start().await;
    let second = first.standby().await;
    let client = client(&first).await;
    for sql in ["ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"] {
        client.batch_execute(sql).await.unwrap();
    }
    let until = Instant::now() + LIMIT;
    let sql = "SELECT COUNT(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
    while client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(Instant::now() < until, "the standby does not follow");
        sleep(Duration::from_millis(20)).await;
    }
    (first, second)
}

async fn promote(standby: &Postgres) {
    client(standby).await.batch_execute("SELECT pg_promote()").await.unwrap();
}

async fn client(server: &Postgres) -> Client {
    let (client, connection) =
        tokio_postgres::connect(&server.url("postgres"), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

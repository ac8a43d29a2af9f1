//! Processes are killed and replaced, one after the other.

use std::time::{Duration, Instant};

use bloodbank_outbox::create_tables;
use bloodbank_testkit::{Broker, Postgres};
use libtest_mimic::Failed;
use tokio::runtime::Runtime;
use tokio::time::sleep;

use crate::judge::{self, Verdict};
use crate::processes::{Process, Role, random};
use crate::relaying::{self, HANDLED};
use crate::shop::{Shop, tables};

/// How often, and how long the processes work at most before the next is killed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kills {
    pub(crate) times: usize,
    pub(crate) longest: Duration,
}

/// How long to wait for what must come.
const LIMIT: Duration = Duration::from_secs(180);

/// Each is killed in its turn.
const PROCESSES: [Role; 7] =
    [Role::Relay, Role::Write, Role::Relay, Role::Handle, Role::Write, Role::Write, Role::Handle];

pub(crate) fn sqlite(kills: Kills) -> Result<(), Failed> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    Runtime::new().unwrap().block_on(run(kills, &format!("sqlite:{}", path.display())))
}

pub(crate) fn postgres(kills: Kills) -> Result<(), Failed> {
    Runtime::new().unwrap().block_on(async {
        let server = Postgres::start().await;
        run(kills, &server.fresh_url().await).await
    })
}

async fn run(kills: Kills, url: &str) -> Result<(), Failed> {
    let broker = Broker::shared().await.fresh_url();
    let bus = relaying::declare(&broker).await;
    let shop = Shop::open(url).await;
    shop.run(&tables()).await;
    create_tables(&mut relaying::source(url)).await.unwrap();
    let start = |role| Process::start(role, url, &broker);
    let mut processes = PROCESSES.map(start);
    until(async || bus.depth(relaying::JUDGED).await.unwrap() > 0).await;
    for turn in 0..kills.times {
        sleep(kills.longest.mul_f64(random(1_000) as f64 / 1_000.0)).await;
        processes[turn % PROCESSES.len()].replace(url, &broker);
    }
    for (process, _) in processes.iter_mut().zip(PROCESSES).filter(|(_, role)| *role == Role::Write)
    {
        process.kill();
    }
    until(async || shop.number("SELECT COUNT(*) FROM bloodbank_outbox").await == 0).await;
    until(async || bus.depth(HANDLED).await.unwrap() == 0).await;
    let effects = "SELECT (SELECT SUM(n) FROM aggregates) - (SELECT SUM(n) FROM effects)";
    // What is lost never comes; the judge says so.
    let began = Instant::now();
    while shop.number(effects).await != 0 && began.elapsed() < LIMIT / 6 {
        sleep(Duration::from_millis(50)).await;
    }
    for (process, _) in processes.iter_mut().zip(PROCESSES).filter(|(_, role)| *role != Role::Write)
    {
        process.kill();
    }
    let verdict = judge::judge(&broker, url);
    println!("{} kills, {}", kills.times, verdict.text());
    if verdict.events > 0 && verdict.is_clean() { Ok(()) } else { Err(fault(&verdict).into()) }
}

fn fault(verdict: &Verdict) -> String {
    format!("the judge says: {}", verdict.text())
}

async fn until(mut yes: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !yes().await {
        assert!(began.elapsed() < LIMIT, "it did not come in time");
        sleep(Duration::from_millis(20)).await;
    }
}

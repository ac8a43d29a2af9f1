//! Processes are killed and replaced, one after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bloodbank_amqp::Amqp;
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

/// The broker is killed instead, and started again.
pub(crate) fn broker(kills: Kills) -> Result<(), Failed> {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("shop.db").display());
    Runtime::new().unwrap().block_on(async {
        let broker = Broker::start().await;
        let mut shop = Running::start(&url, &broker.fresh_url()).await;
        let times = (kills.times / 3).min(8);
        for _ in 0..times {
            shop.until_more_is_sent().await;
            a_while(kills).await;
            broker.restart().await;
        }
        shop.end(times).await
    })
}

async fn run(kills: Kills, url: &str) -> Result<(), Failed> {
    let mut shop = Running::start(url, &Broker::shared().await.fresh_url()).await;
    shop.until_more_is_sent().await;
    for turn in 0..kills.times {
        a_while(kills).await;
        shop.processes[turn % PROCESSES.len()].replace(url, &shop.broker);
    }
    shop.end(kills.times).await
}

async fn a_while(kills: Kills) {
    sleep(kills.longest.mul_f64(random(1_000) as f64 / 1_000.0)).await;
}

/// A shop with all its processes.
struct Running {
    url: String,
    broker: String,
    bus: Arc<Amqp>,
    shop: Shop,
    processes: [Process; PROCESSES.len()],
}

impl Running {
    async fn start(url: &str, broker: &str) -> Self {
        let bus = relaying::declare(broker).await;
        let shop = Shop::open(url).await;
        shop.run(&tables()).await;
        create_tables(&mut relaying::source(url)).await.unwrap();
        let processes = PROCESSES.map(|role| Process::start(role, url, broker));
        Running { url: url.to_owned(), broker: broker.to_owned(), bus, shop, processes }
    }

    /// How many messages the judge will read; nothing while the broker is away.
    async fn sent(&self) -> Option<u64> {
        self.bus.depth(relaying::JUDGED).await.ok().map(u64::from)
    }

    async fn until_more_is_sent(&self) {
        let before = self.sent().await.unwrap_or(0);
        until(async || self.sent().await.is_some_and(|sent| sent > before)).await;
    }

    /// Lets the others finish what the writers have begun, and asks the judge.
    async fn end(&mut self, kills: usize) -> Result<(), Failed> {
        self.kill(|role| role == Role::Write);
        let shop = &self.shop;
        until(async || shop.number("SELECT COUNT(*) FROM bloodbank_outbox").await == 0).await;
        until(async || self.bus.depth(HANDLED).await.is_ok_and(|depth| depth == 0)).await;
        let effects = "SELECT (SELECT SUM(n) FROM aggregates) - (SELECT SUM(n) FROM effects)";
        // What is lost never comes; the judge says so.
        let began = Instant::now();
        while shop.number(effects).await != 0 && began.elapsed() < LIMIT / 6 {
            sleep(Duration::from_millis(50)).await;
        }
        self.kill(|role| role != Role::Write);
        let verdict = judge::judge(&self.broker, &self.url);
        println!("{kills} kills, {}", verdict.text());
        if verdict.events > 0 && verdict.is_clean() { Ok(()) } else { Err(fault(&verdict).into()) }
    }

    fn kill(&mut self, which: impl Fn(Role) -> bool) {
        let processes = self.processes.iter_mut().zip(PROCESSES);
        processes.filter(|(_, role)| which(*role)).for_each(|(process, _)| process.kill());
    }
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

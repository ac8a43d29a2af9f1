//! The service is killed again and again while it takes orders and handles them: every order is heard of
//! once, and what it asks for is reserved once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bloodbank_testkit::Postgres;

/// How often each process is killed.
const KILLS: usize = 4;

/// How long to wait for what must come: what a dead process held is given to another after a lease.
const LIMIT: Duration = Duration::from_secs(150);

struct Service<'s> {
    folder: &'s Path,
    shop: &'s str,
}

impl Service<'_> {
    /// The bus is one in a file.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orders"));
        command.args(arguments).current_dir(self.folder).env_remove("RABBIT_URL");
        command.env_remove("RABBIT_HOST").env("DATABASE_URL", "sqlite:bus.db");
        command.env("SHOP", self.shop);
        command
    }

    fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    fn totals(&self) -> (i64, i64) {
        let output = self.command(&["show"]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let mut numbers = said.split([' ', ',', '\n']).filter_map(|word| word.parse().ok());
        (numbers.next().unwrap(), numbers.next().unwrap())
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn a_while() {
    sleep(Duration::from_millis(RandomState::new().hash_one(0) % 700));
}

fn killed(service: &Service<'_>) {
    let (mut serving, mut placing) = (service.start(&["serve"]), None);
    for _ in 0..KILLS {
        let orders = service.start(&["place", "1000000"]);
        placing.replace(orders).into_iter().for_each(kill);
        a_while();
        kill(serving);
        serving = service.start(&["serve"]);
        a_while();
    }
    placing.into_iter().for_each(kill);
    let began = Instant::now();
    let (ordered, reserved) = loop {
        let (ordered, reserved) = service.totals();
        if ordered == reserved && ordered > 0 || began.elapsed() > LIMIT {
            break (ordered, reserved);
        }
        sleep(Duration::from_millis(100));
    };
    // It goes on for as long as there is anything left, which would be once too often.
    assert!(service.command(&["place", "1"]).status().unwrap().success());
    while service.totals().1 == reserved && began.elapsed() <= LIMIT {
        sleep(Duration::from_millis(50));
    }
    let last = service.totals();
    kill(serving);
    assert_eq!((ordered, last), (reserved, (ordered + 1, reserved + 1)));
}

#[test]
fn every_order_is_reserved_once_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    killed(&Service { folder: folder.path(), shop: "sqlite:shop.db" });
}

#[test]
fn every_order_is_reserved_once_on_postgres() {
    if !bloodbank_testkit::postgres() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (folder, server) = (tempfile::tempdir().unwrap(), runtime.block_on(Postgres::start()));
    let shop = runtime.block_on(server.fresh_url());
    killed(&Service { folder: folder.path(), shop: &shop });
}

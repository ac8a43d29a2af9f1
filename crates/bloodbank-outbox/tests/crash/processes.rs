//! The processes that are killed.

use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{Received, Subscriber};
use bloodbank_testkit::catalog::{self, Any, Parcel};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use crate::relaying::{self, HANDLED, KEY};
use crate::shop::{AGGREGATES, Shop};

/// Between two transactions of a writer.
const PAUSE: Duration = Duration::from_millis(2);

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Write,
    Relay,
    Handle,
}

impl Role {
    const ALL: [Role; 3] = [Role::Write, Role::Relay, Role::Handle];

    fn flag(self) -> &'static str {
        match self {
            Role::Write => "--write",
            Role::Relay => "--relay",
            Role::Handle => "--handle",
        }
    }
}

/// From 0 to a number that is not reached.
pub(crate) fn random(below: u64) -> u64 {
    RandomState::new().hash_one(0) % below
}

/// Does what the first argument says, if it names a role.
pub(crate) fn run(role: &str, args: &[String]) -> bool {
    let Some(role) = Role::ALL.into_iter().find(|known| known.flag() == role) else {
        return false;
    };
    // Ends with the parent, however that ends.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
    Runtime::new().unwrap().block_on(work(role, &args[0], &args[1]));
    true
}

async fn work(role: Role, url: &str, broker: &str) {
    match role {
        Role::Relay => relaying::relay(url, broker).await,
        Role::Write => {
            let mut shop = Shop::open(url).await;
            loop {
                // Every tenth is rolled back: its number is given again, to an event with another id.
                shop.change(random(AGGREGATES.into()) as u32, random(10) > 0).await;
                // On SQLite one writes at a time; the others want to, too.
                tokio::time::sleep(PAUSE).await;
            }
        }
        Role::Handle => {
            let shop = Arc::new(Mutex::new(Shop::open(url).await));
            let bus = relaying::bus(broker).await;
            let subscriber =
                Subscriber::<Any>::new(bus, catalog::contracts()).queue(HANDLED).bind(KEY);
            // The inbox alone says what was handled before.
            let subscriber = subscriber.dedup(bloodbank_bus::NoDedup);
            let handler = move |event: Received<Parcel>| {
                let shop = shop.clone();
                async move {
                    let runtime = tokio::runtime::Handle::current();
                    let handle = move || runtime.block_on(handle(&shop, &event));
                    tokio::task::spawn_blocking(handle).await.unwrap();
                }
            };
            subscriber.on(handler).run_until(std::future::pending()).await.unwrap();
        }
    }
}

async fn handle(shop: &Mutex<Shop>, event: &Received<Parcel>) {
    shop.lock().await.handle(event).await;
}

/// A process, as its parent sees it.
pub(crate) struct Process {
    role: Role,
    child: Child,
}

impl Process {
    pub(crate) fn start(role: Role, url: &str, broker: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([role.flag(), url, broker]).stdin(Stdio::piped());
        Process { role, child: command.spawn().unwrap() }
    }

    /// Kills it, and starts another in its place.
    pub(crate) fn replace(&mut self, url: &str, broker: &str) {
        self.kill();
        *self = Process::start(self.role, url, broker);
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        assert_eq!(self.child.try_wait().unwrap(), None, "{:?} has ended by itself", self.role);
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

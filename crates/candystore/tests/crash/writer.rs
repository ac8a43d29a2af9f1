//! The process that writes, and what its parent hears from it.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::ops::Range;
use std::process::{self, Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bloodbank_testkit::catalog;
use candystore::{Appended, EventStore, StoreOptions};
use tokio::time::{Instant, sleep, sleep_until};

use crate::made;

/// The first argument of a process that writes.
pub(crate) const ROLE: &str = "--write";

/// Tasks that append beside each other, as the requests of a service do.
pub(crate) const TASKS: usize = 16;

/// How long to wait before another try, while the server is away.
const PAUSE: Duration = Duration::from_millis(20);

/// What a process is to write.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// The store's URL.
    pub(crate) url: String,
    /// Numbers of the events.
    pub(crate) numbers: Range<u64>,
    /// Events in one call of append.
    pub(crate) batch: u64,
    /// Events a second; 0 for as many as it can.
    pub(crate) rate: u64,
}

impl Order {
    fn args(&self) -> [String; 6] {
        let Range { start, end } = self.numbers;
        let number = |n: u64| n.to_string();
        let url = self.url.clone();
        [ROLE.into(), url, number(start), number(end), number(self.batch), number(self.rate)]
    }

    fn of(args: &[String]) -> Self {
        let number = |n: usize| args[n].parse().unwrap();
        Order {
            url: args[1].clone(),
            numbers: number(2)..number(3),
            batch: number(4),
            rate: number(5),
        }
    }
}

/// The process. Tells each confirmed batch in a line of its own: its first number, the one after its
/// last, how many of it were stored and how many were there already.
pub(crate) fn main(args: &[String]) {
    let order = Order::of(args);
    tokio::runtime::Runtime::new().unwrap().block_on(write(order));
}

async fn write(order: Order) {
    let options = StoreOptions::new(order.url.parse().unwrap());
    let store = match EventStore::open(options, catalog::contracts()).await {
        Ok(store) => store,
        Err(error) => fail(&error),
    };
    let next = Arc::new(AtomicU64::new(order.numbers.start));
    let start = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| tokio::spawn(take(order.clone(), store.clone(), next.clone(), start)))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Writes what no other task has taken.
async fn take(order: Order, store: EventStore, next: Arc<AtomicU64>, start: Instant) {
    loop {
        let first = next.fetch_add(order.batch, Ordering::Relaxed);
        let numbers = first..order.numbers.end.min(first + order.batch);
        if numbers.is_empty() {
            return;
        }
        let micros = (first - order.numbers.start) * 1_000_000;
        if let Some(micros) = micros.checked_div(order.rate) {
            sleep_until(start + Duration::from_micros(micros)).await;
        }
        append(&store, numbers).await;
    }
}

/// Appends until it is done, and only then tells it.
async fn append(store: &EventStore, numbers: Range<u64>) {
    loop {
        match store.append(numbers.clone().map(made::incoming).collect()).await {
            Ok(appended) => return tell(&numbers, &appended),
            Err(error) if error.is_retryable() => sleep(PAUSE).await,
            Err(error) => fail(&error),
        }
    }
}

fn tell(numbers: &Range<u64>, appended: &[Appended]) {
    let count = |is: fn(&Appended) -> bool| appended.iter().filter(|a| is(a)).count();
    let stored = count(|appended| matches!(appended, Appended::Stored(_)));
    let duplicates = count(|appended| matches!(appended, Appended::Duplicate(_)));
    say(&format!("{} {} {stored} {duplicates}\n", numbers.start, numbers.end));
}

fn fail(error: &dyn std::fmt::Display) -> ! {
    say(&format!("failed: {error}\n").replace("\nhelp", "; help"));
    process::exit(1);
}

/// Ends with the parent, who then no longer listens.
fn say(line: &str) {
    if io::stdout().lock().write_all(line.as_bytes()).is_err() {
        process::exit(1);
    }
}

/// What a process has told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// Batches that are confirmed.
    pub(crate) confirmed: Vec<Range<u64>>,
    pub(crate) stored: u64,
    pub(crate) duplicates: u64,
    /// What it could not do.
    pub(crate) failures: Vec<String>,
}

impl Told {
    fn hear(&mut self, line: &str) {
        let numbers: Vec<u64> = line.split(' ').map_while(|n| n.parse().ok()).collect();
        let [first, end, stored, duplicates] = numbers[..] else {
            return self.failures.push(line.to_owned());
        };
        if stored + duplicates != end - first {
            self.failures.push(format!("{line}: an event is neither stored nor a duplicate"));
        }
        self.confirmed.push(first..end);
        self.stored += stored;
        self.duplicates += duplicates;
    }

    /// How many events are confirmed.
    pub(crate) fn count(&self) -> u64 {
        self.confirmed.iter().map(|numbers| numbers.end - numbers.start).sum()
    }
}

/// A process that writes, as its parent sees it. What it tells is kept here, outside of it.
pub(crate) struct Writer {
    process: Child,
    told: Arc<Mutex<Told>>,
    listener: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(order: &Order) -> Self {
        let program = env::current_exe().unwrap();
        let mut command = Command::new(program);
        let mut process = command.args(order.args()).stdout(Stdio::piped()).spawn().unwrap();
        let told = Arc::new(Mutex::new(Told::default()));
        let (pipe, heard) = (process.stdout.take().unwrap(), told.clone());
        let listener = thread::spawn(move || listen(pipe, &heard));
        Writer { process, told, listener: Some(listener) }
    }

    /// What it has told until now.
    pub(crate) fn told(&self) -> Told {
        self.told.lock().unwrap().clone()
    }

    /// How many events are confirmed until now.
    pub(crate) fn count(&self) -> u64 {
        self.told.lock().unwrap().count()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// Ends it with SIGKILL. Gives all that it has told; that it had ended by itself is a failure.
    pub(crate) fn kill(mut self) -> Told {
        let ended = self.process.try_wait().unwrap();
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let mut told = self.all();
        told.failures.extend(ended.map(|status| format!("it ended by itself: {status}")));
        told
    }

    /// Waits until it has written all. Gives all that it has told.
    pub(crate) fn finish(mut self) -> Told {
        let status = self.process.wait().unwrap();
        let mut told = self.all();
        if !status.success() {
            told.failures.push(format!("it ended with {status}"));
        }
        told
    }

    fn all(&mut self) -> Told {
        if let Some(listener) = self.listener.take() {
            listener.join().unwrap();
        }
        self.told.lock().unwrap().clone()
    }
}

/// Until the process is gone. A line that it could not end is none.
fn listen(pipe: ChildStdout, told: &Mutex<Told>) {
    let mut pipe = BufReader::new(pipe);
    let mut line = String::new();
    while pipe.read_line(&mut line).is_ok_and(|length| length > 0) {
        if let Some(line) = line.strip_suffix('\n') {
            told.lock().unwrap().hear(line);
        }
        line.clear();
    }
}

//! What tells those who wait that something was written, by this process or another.
//!
//! The writer tells what this process writes. What others write, PostgreSQL tells: who commits notifies
//! all who listen, once for a transaction. A look every few seconds is the net below, and takes the place
//! of it behind a pooler, where nothing comes through. SQLite has a number in memory that all processes
//! share, which changes with each commit; it is read without asking for anything in the file.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use crate::sql::{Connection, Mode, Pool, Target, ready, spawn};
use crate::{StoreError, StoreUrl};

/// How often to look at a database that tells what is written.
const NET: Duration = Duration::from_secs(15);

/// The pauses between two looks at a file: the longer, the longer nothing was written.
const AT_A_FILE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(50));

/// How many times the pause nothing was written.
const QUIET: u32 = 200;

/// The same at a server behind a pooler. Each quiet look makes the pause longer.
const BEHIND_A_POOLER: (Duration, Duration) =
    (Duration::from_millis(10), Duration::from_millis(400));

/// How long to leave a database alone that cannot be asked.
const PAUSE: Duration = Duration::from_millis(500);

/// The number of commits that was seen, of all processes.
pub(crate) struct Pulse {
    commits: watch::Sender<i64>,
    /// Whether somebody looks for what other processes write.
    is_watched: AtomicBool,
    /// Goes with the store.
    store: watch::Sender<()>,
}

impl Pulse {
    pub(crate) fn new(commits: watch::Sender<i64>) -> Self {
        Pulse { commits, is_watched: false.into(), store: watch::Sender::new(()) }
    }

    /// Changes with every commit of any process that somebody may wait for.
    ///
    /// # Errors
    /// If the machine has no thread for us.
    pub(crate) fn subscribe(
        &self,
        target: &Target,
        readers: &Pool,
    ) -> Result<watch::Receiver<i64>, StoreError> {
        let commits = self.commits.subscribe();
        if !self.is_watched.swap(true, Ordering::Relaxed) {
            let (target, readers) = (target.clone(), readers.clone());
            let told = Told { commits: self.commits.clone(), store: self.store.subscribe() };
            let watch = spawn("candystore-watch", move || async move {
                match matches!(target.url, StoreUrl::Sqlite(_)) {
                    true => look_at_file(&target, told).await,
                    false => hear(readers, told).await,
                }
            });
            watch.inspect_err(|_| self.is_watched.store(false, Ordering::Relaxed))?;
        }
        Ok(commits)
    }
}

/// Who is told of commits.
struct Told {
    commits: watch::Sender<i64>,
    /// Ends with the store.
    store: watch::Receiver<()>,
}

impl Told {
    fn tell(&self, commits: i64) -> bool {
        tell(&self.commits, commits)
    }

    fn is_over(&self) -> bool {
        self.store.has_changed().is_err()
    }

    fn is_awaited(&self) -> bool {
        self.commits.receiver_count() > 0
    }
}

/// Tells of a number of commits; whether it is new. Others may have told of newer ones.
pub(crate) fn tell(told: &watch::Sender<i64>, commits: i64) -> bool {
    told.send_if_modified(|last| std::mem::replace(last, commits.max(*last)) < commits)
}

/// Looks at a file as long as there is the store. Blocks the thread, which has nothing else to do.
async fn look_at_file(target: &Target, told: Told) {
    let (shortest, longest) = AT_A_FILE;
    let (mut connection, mut version, mut quiet) = (None, 0, Duration::ZERO);
    loop {
        let pause = (quiet / QUIET).clamp(shortest, longest);
        thread::sleep(pause);
        quiet += pause;
        if told.is_over() {
            return;
        }
        if !told.is_awaited() {
            continue;
        }
        match change(&mut connection, target, &mut version).await {
            Ok(Some(commits)) if told.tell(commits) => quiet = Duration::ZERO,
            Ok(_) => {}
            // It goes wrong for whoever waits, too, as soon as it asks.
            Err(error) => {
                if matches!(error, StoreError::Removed { .. }) {
                    told.commits.send_modify(|_| {});
                }
                thread::sleep(PAUSE);
            }
        }
    }
}

/// The number of commits, if the file has changed.
async fn change(
    slot: &mut Option<Connection>,
    target: &Target,
    version: &mut i64,
) -> Result<Option<i64>, StoreError> {
    let connection = ready(slot, target, Mode::Read).await?;
    let now = connection.query_one("PRAGMA data_version", &[]).await?.int(0)?;
    // Whoever connects anew begins with another number.
    if now == *version {
        return Ok(None);
    }
    let commits = commits(connection).await?;
    *version = now;
    Ok(Some(commits))
}

/// Hears what a server tells, and looks now and then, as long as there is the store.
async fn hear(readers: Pool, mut told: Told) {
    let mut store = told.store.clone();
    tokio::select! {
        // An error means that the store is gone, which is what is waited for.
        _ = store.changed() => {}
        () = hear_and_look(&readers, &mut told) => {}
    }
}

async fn hear_and_look(readers: &Pool, told: &mut Told) {
    let (shortest, longest) = BEHIND_A_POOLER;
    let mut pause = shortest;
    loop {
        if !told.is_awaited() {
            sleep(PAUSE).await;
            continue;
        }
        let asked = readers.run(async move |connection: &mut Connection| {
            // In this order: what is written in between is told.
            let heard = connection.listen().await?;
            Ok((heard, commits(connection).await?))
        });
        match asked.await {
            Ok((heard, commits)) => {
                let is_new = told.tell(commits);
                pause = if is_new { shortest } else { (pause * 3 / 2).min(longest) };
                match heard {
                    Some(heard) => pass_on(heard, told).await,
                    None => sleep(pause).await,
                }
            }
            // It goes wrong for whoever waits, too, as soon as it asks.
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Until the connection ends, or it is time for a look.
async fn pass_on(mut heard: watch::Receiver<i64>, told: &Told) {
    let until = Instant::now() + NET;
    while let Ok(Ok(())) = timeout_at(until, heard.changed()).await {
        told.tell(*heard.borrow_and_update());
    }
}

async fn commits(connection: &mut Connection) -> Result<i64, StoreError> {
    connection.query_one("SELECT commits FROM head", &[]).await?.int(0)
}

//! Commands that are answered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bloodbank_bus::{Headers, headers};
use chrono::Utc;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::sleep;
use uuid::Uuid;

use super::publish::Waiting;
use crate::sql::{Connection, Value};
use crate::writer::Transaction;
use crate::{EventStore, StoreError};

/// No call waits longer: a day.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How often to look who has given up.
const LOOK: Duration = Duration::from_secs(1);

type Answer = oneshot::Sender<Arc<[u8]>>;

/// The calls of one process that are not answered yet.
#[derive(Debug)]
pub(super) struct Calls {
    caller: Uuid,
    last: AtomicU64,
    waiting: Mutex<HashMap<Arc<str>, Answer>>,
    more: Notify,
    pub(super) is_listening: AtomicBool,
}

impl Calls {
    pub(super) fn new() -> Self {
        Calls {
            caller: Uuid::now_v7(),
            last: AtomicU64::new(0),
            waiting: Mutex::default(),
            more: Notify::new(),
            is_listening: AtomicBool::new(false),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Arc<str>, Answer>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an address where an answer is waited for, as long as the headers of the command say.
    pub(super) fn wait(&self, answer: Answer, headers: &Headers) -> Waiting {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let address: Arc<str> = format!("{}/{number}", self.caller).into();
        self.waiting().insert(address.clone(), answer);
        self.more.notify_one();
        let time = i64::try_from(time(headers).as_micros()).unwrap_or(i64::MAX);
        Waiting { address, caller: self.caller, time }
    }

    /// Nobody gets an answer any more.
    pub(super) fn clear(&self) {
        self.waiting().clear();
    }

    /// Removes all of them from the database.
    pub(super) async fn forget(&self, store: &EventStore) {
        let caller = [Value::Id(self.caller)];
        let sql = "DELETE FROM calls WHERE caller = $1";
        let removed = store
            .writer()
            .run(async move |transaction: &mut Transaction| transaction.execute(sql, &caller).await)
            .await;
        if let Err(error) = removed {
            tracing::debug!(%error, "calls stay until they expire");
        }
    }

    /// Those who have given up.
    fn given_up(&self) -> Vec<Arc<str>> {
        let mut waiting = self.waiting();
        let closed = waiting.iter().filter(|(_, answer)| answer.is_closed());
        let closed: Vec<Arc<str>> = closed.map(|(address, _)| address.clone()).collect();
        for address in &closed {
            waiting.remove(address);
        }
        closed
    }
}

/// How long the sender of a command waits.
fn time(headers: &Headers) -> Duration {
    let until = headers::time(headers, headers::ANSWER_BY);
    let time = until.map(|until| until.signed_duration_since(Utc::now()).to_std());
    time.map_or(LONGEST, |time| time.unwrap_or_default().min(LONGEST))
}

/// Notes who waits for an answer.
pub(super) async fn wait(
    transaction: &mut Transaction,
    waiting: &Waiting,
) -> Result<(), StoreError> {
    let clock = transaction.connection().clock();
    let sql = format!("INSERT INTO calls VALUES ($1, $2, {clock} + $3, NULL)");
    let values =
        [Value::text(&*waiting.address), Value::Id(waiting.caller), Value::Int(waiting.time)];
    transaction.execute(&sql, &values).await.map(|_| ())
}

/// Answers; false if nobody waits for it any more.
pub(super) async fn answer(
    transaction: &mut Transaction,
    address: &str,
    body: &Arc<[u8]>,
) -> Result<bool, StoreError> {
    let clock = transaction.connection().clock();
    let sql = format!(
        "UPDATE calls SET body = $2 WHERE address = $1 AND body IS NULL AND expires > {clock}"
    );
    let values = [Value::text(address), Value::Bytes(body.clone())];
    Ok(transaction.execute(&sql, &values).await? > 0)
}

/// Brings answers to those who wait, until it is closed.
pub(super) async fn listen(
    store: EventStore,
    calls: Arc<Calls>,
    mut closing: watch::Receiver<bool>,
) {
    // An error means that there is nobody left who could wait.
    let closed = closing.wait_for(|closing| *closing);
    tokio::select! {
        _ = closed => {}
        () = bring(&store, &calls) => {}
    }
}

async fn bring(store: &EventStore, calls: &Calls) {
    loop {
        calls.more.notified().await;
        let Ok(mut pulse) = store.pulse() else { return };
        while !calls.waiting().is_empty() {
            pulse.borrow_and_update();
            if let Err(error) = bring_once(store, calls).await {
                tracing::warn!(%error, "answers wait");
                sleep(LOOK).await;
                continue;
            }
            tokio::select! {
                _ = pulse.changed() => {}
                () = calls.more.notified() => {}
                () = sleep(LOOK) => {}
            }
        }
    }
}

async fn bring_once(store: &EventStore, calls: &Calls) -> Result<(), StoreError> {
    let mut over = calls.given_up();
    let caller = [Value::Id(calls.caller)];
    let sql = "SELECT address, body FROM calls WHERE caller = $1 AND body IS NOT NULL";
    let asked = async move |connection: &mut Connection| connection.query(sql, &caller).await;
    for row in store.readers().run(asked).await? {
        let address: Arc<str> = row.text(0)?.into();
        if let Some(answer) = calls.waiting().remove(&address) {
            // Whoever waited may have given up this moment.
            let _ = answer.send(row.bytes(1)?);
        }
        over.push(address);
    }
    if over.is_empty() {
        return Ok(());
    }
    let rows: Vec<Vec<Value>> = over.iter().map(|address| vec![Value::text(&**address)]).collect();
    let sql = "DELETE FROM calls WHERE address = $1";
    let job = async move |transaction: &mut Transaction| {
        transaction.quiet(true);
        transaction.execute_each(sql, &rows).await
    };
    store.writer().run(job).await.map(|_| ())
}

//! The claims of a process: those that come at one time share a transaction.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;

use super::claim::{self, Claim, Claimed, Portion};
use super::damaged::{self, Damaged};
use super::message::{self, Messages, Taken};
use crate::queues::QueueCache;
use crate::sql::Connection;
use crate::writer::Transaction;
use crate::{EventStore, StoreError};

/// The most claims that share a transaction.
const MOST: usize = 256;

/// How often others get their turn before a claim goes on its way: what wakes one consumer mostly wakes
/// several.
const TURNS: usize = 8;

/// A claim that waits for its answer.
pub(super) struct Claiming {
    pub(super) claim: Claim,
    pub(super) tell: oneshot::Sender<Result<Claimed, StoreError>>,
}

/// Claims what is asked for, as much at a time as has gathered, until nobody can ask any more.
pub(super) async fn claim_all(
    store: EventStore,
    cache: Arc<QueueCache>,
    lease: i64,
    mut receiver: mpsc::UnboundedReceiver<Claiming>,
) {
    let mut batch = Vec::new();
    while receiver.recv_many(&mut batch, MOST).await > 0 {
        for _ in 0..TURNS {
            yield_now().await;
        }
        while batch.len() < MOST
            && let Ok(one) = receiver.try_recv()
        {
            batch.push(one);
        }
        let (claims, waiting): (Vec<Claim>, Vec<_>) =
            batch.drain(..).map(|one: Claiming| (one.claim, one.tell)).unzip();
        let claimed = claim_some(&store, &cache, lease, claims).await;
        for (tell, claimed) in waiting.into_iter().zip(claimed) {
            // Who claims may have gone. What was given to it comes back with its consumer.
            let _ = tell.send(claimed);
        }
    }
}

/// What each of some claims gives. They share a transaction, unless something is wrong with one of them:
/// that is nothing to the others.
async fn claim_some(
    store: &EventStore,
    cache: &Arc<QueueCache>,
    lease: i64,
    claims: Vec<Claim>,
) -> Vec<Result<Claimed, StoreError>> {
    let error = match claim_together(store, cache, lease, claims.clone()).await {
        Ok(claimed) => return claimed.into_iter().map(Ok).collect(),
        Err(error) => error,
    };
    let is_common = claims.len() == 1 || error.is_retryable();
    let mut all = Vec::with_capacity(claims.len());
    for claim in claims {
        all.push(match is_common {
            true => Err(error.clone()),
            false => claim_alone(store, cache, lease, claim).await,
        });
    }
    all
}

async fn claim_alone(
    store: &EventStore,
    cache: &Arc<QueueCache>,
    lease: i64,
    claim: Claim,
) -> Result<Claimed, StoreError> {
    let claimed = claim_together(store, cache, lease, vec![claim]).await?;
    claimed.into_iter().next().ok_or(StoreError::Closed)
}

async fn claim_together(
    store: &EventStore,
    cache: &Arc<QueueCache>,
    lease: i64,
    claims: Vec<Claim>,
) -> Result<Vec<Claimed>, StoreError> {
    let cache = cache.clone();
    let (tell, told) = oneshot::channel();
    let job = async move |transaction: &mut Transaction| {
        let claimed = claim::claim_all(transaction, &cache, &claims, lease).await?;
        // An error means that nobody reads ahead.
        let _ = tell.send(wanted(&claimed));
        Ok(claimed)
    };
    // What was taken is read while that is committed.
    let ahead = async {
        match told.await {
            Ok(positions) => read(store, positions).await,
            Err(_) => Ok(HashMap::new()),
        }
    };
    let (claimed, messages) = tokio::join!(store.writer().run(job), ahead);
    let (mut claimed, mut messages) = (claimed?, messages?);
    // What was stored in the same transaction could not be seen from outside.
    let mut missing = wanted(&claimed);
    missing.retain(|position| !messages.contains_key(position));
    messages.extend(read(store, missing).await?);
    hand_over(store, &mut claimed, &messages).await?;
    Ok(claimed)
}

/// The positions of the messages that were taken from the log, each once.
fn wanted(claimed: &[Claimed]) -> Vec<i64> {
    let portions = claimed.iter().filter_map(portion_of);
    let mut positions: Vec<i64> = portions.flat_map(|portion| portion.wanted.clone()).collect();
    positions.sort_unstable();
    positions.dedup();
    positions
}

async fn read(store: &EventStore, positions: Vec<i64>) -> Result<Messages, StoreError> {
    if positions.is_empty() {
        return Ok(HashMap::new());
    }
    let asked =
        async move |connection: &mut Connection| message::read(connection, &positions).await;
    store.readers().run(asked).await
}

/// Adds the messages that were taken from the log to what was claimed.
async fn hand_over(
    store: &EventStore,
    claimed: &mut [Claimed],
    messages: &Messages,
) -> Result<(), StoreError> {
    let (mut gone, mut damaged) = (Vec::new(), Vec::new());
    for claimed in claimed {
        let Claimed::Some(portion) = claimed else { continue };
        for position in std::mem::take(&mut portion.wanted) {
            let (queue, place) = (portion.queue.clone(), (position, 0));
            match messages.get(&position) {
                Some(Ok(message)) => portion.taken.push(Taken::new(place, message.clone())),
                Some(Err(reason)) => {
                    damaged.push(Damaged { queue, place, reason: reason.clone() });
                }
                None => gone.push((queue.number, place)),
            }
        }
        portion.taken.sort_by_key(|taken| taken.place);
    }
    if gone.is_empty() && damaged.is_empty() {
        return Ok(());
    }
    let job = async move |transaction: &mut Transaction| {
        for (queue, place) in gone {
            claim::forget(transaction, queue, place).await?;
        }
        damaged::set_aside(transaction, damaged).await
    };
    store.writer().run(job).await
}

fn portion_of(claimed: &Claimed) -> Option<&Portion> {
    match claimed {
        Claimed::Some(portion) => Some(portion),
        Claimed::Gone | Claimed::Expired => None,
    }
}

#[cfg(test)]
mod tests {
    use bloodbank_bus::{Queue, Topology, Transport};
    use bloodbank_testkit::catalog;

    use super::*;
    use crate::embedded::{Embedded, lease};
    use crate::sql::Value;
    use crate::{StoreOptions, StoreUrl};

    #[tokio::test]
    async fn what_is_wrong_with_one_queue_fails_no_claim_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions::new(StoreUrl::file(folder.path().join("store.db")));
        let store = EventStore::open(options, catalog::contracts()).await.unwrap();
        let bus = Embedded::new(store.clone());
        let names = ["wrong", "sound"];
        for name in names {
            bus.declare(&Topology::new().with_queue(Queue::new(name))).await.unwrap();
        }
        let cache = Arc::<QueueCache>::default();
        let enter = {
            let cache = cache.clone();
            async move |t: &mut Transaction| {
                let queues = cache.read(t.connection()).await?;
                let mut claims = Vec::new();
                for name in names {
                    let queue = queues.named(name).unwrap().number;
                    let consumer = lease::enter(t, queue, 60_000_000).await?;
                    claims.push(Claim {
                        queue,
                        consumer,
                        most: 1,
                        seen: 0,
                        within: None,
                        is_idle: true,
                        held: None,
                        renews: false,
                    });
                }
                // SQLite takes any value for a number.
                let sql = "INSERT INTO messages (queue, place, number, redelivered) \
                     VALUES ($1, 'nowhere', 1, 0)";
                t.execute(sql, &[Value::Int(claims[0].queue)]).await?;
                Ok(claims)
            }
        };
        let claims = store.writer().run(enter).await.unwrap();
        let claimed = claim_some(&store, &cache, 60_000_000, claims).await;
        assert!(matches!(claimed[0], Err(StoreError::Damaged(_))), "{claimed:?}");
        assert!(matches!(claimed[1], Ok(Claimed::Some(_))), "{claimed:?}");
        bus.close().await;
    }
}

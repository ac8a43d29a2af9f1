//! The claims of a process: those that come at one time share a transaction.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;

use super::claim::{self, Claim, Claimed, Portion};
use super::damaged::{self, Damaged};
use super::message::{self, Read, Taken};
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
        match claim_some(&store, &cache, lease, claims).await {
            Ok(claimed) => {
                for (tell, claimed) in waiting.into_iter().zip(claimed) {
                    // Who claims may have gone. What was given to it comes back with its consumer.
                    let _ = tell.send(Ok(claimed));
                }
            }
            Err(error) => {
                for tell in waiting {
                    let _ = tell.send(Err(error.clone()));
                }
            }
        }
    }
}

async fn claim_some(
    store: &EventStore,
    cache: &Arc<QueueCache>,
    lease: i64,
    claims: Vec<Claim>,
) -> Result<Vec<Claimed>, StoreError> {
    let cache = cache.clone();
    let job = async move |transaction: &mut Transaction| {
        claim::claim_all(transaction, &cache, &claims, lease).await
    };
    let mut claimed = store.writer().run(job).await?;
    read(store, &mut claimed).await?;
    Ok(claimed)
}

/// Reads the messages that were taken from the log, each once for all who have taken it.
async fn read(store: &EventStore, claimed: &mut [Claimed]) -> Result<(), StoreError> {
    let portions = || claimed.iter().filter_map(portion_of);
    let mut positions: Vec<i64> = portions().flat_map(|portion| portion.wanted.clone()).collect();
    if positions.is_empty() {
        return Ok(());
    }
    positions.sort_unstable();
    positions.dedup();
    let asked =
        async move |connection: &mut Connection| message::read(connection, &positions).await;
    let read: HashMap<i64, Read> = store.readers().run(asked).await?;
    let (mut gone, mut damaged) = (Vec::new(), Vec::new());
    for claimed in claimed {
        let Claimed::Some(portion) = claimed else { continue };
        for position in std::mem::take(&mut portion.wanted) {
            let (queue, place) = (portion.queue.clone(), (position, 0));
            match read.get(&position) {
                Some(Read::Message(message)) => {
                    portion.taken.push(Taken::new(place, message.clone()));
                }
                Some(Read::Damaged(reason)) => {
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

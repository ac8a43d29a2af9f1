//! One consumer at work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bloodbank_bus::Delivery;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use super::Shared;
use super::claim::{Claim, Claimed, Portion};
use super::claims::Claiming;
use super::lease::Left;
use super::look::Looking;
use super::message::Place;
use super::seat::Seat;
use crate::StoreError;
use crate::queues::QueueRow;

/// The most messages that one claim gives.
pub(super) const PAGE: usize = 1_000;

/// How long a claim waits for more room, while less than half is free. Else a busy consumer ends up
/// with a transaction for each message.
const GATHER: Duration = Duration::from_millis(5);
/// How much of the log may be seen, with nothing in it that is wanted, before the cursor is moved.
const FAR: i64 = 10_000;

/// How long to wait after a failure; more after each that follows it.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long to wait if nothing happens. What is due is waited for besides.
const QUIET: Duration = Duration::from_secs(60);

/// Brings messages from a queue to whoever has subscribed.
pub(super) struct Consumer {
    pub(super) shared: Arc<Shared>,
    pub(super) seat: Arc<Seat>,
    pub(super) sender: mpsc::Sender<Delivery>,
    pub(super) prefetch: usize,
    /// What is looked at, for those who look at what lies in the queue and no more.
    pub(super) within: Option<(Place, Place)>,
    /// What the last claim has told, if anything is to be learned from it.
    pub(super) known: Known,
    /// Dropped when it has ended.
    pub(super) closed: oneshot::Sender<()>,
}

/// What a consumer knows of its queue.
#[derive(Default)]
pub(super) struct Known {
    queue: Option<(Arc<QueueRow>, uuid::Uuid)>,
    seen: i64,
    /// What the last claim has seen; the queue's cursor is about there.
    claimed: i64,
    /// The commits that it was woken for.
    commits: i64,
    /// When the next message that waits is due.
    due: Option<Instant>,
    /// There is more to claim.
    more: bool,
    /// Nobody knows how the last claim ended.
    is_unsure: bool,
    failures: u32,
}

/// Why a consumer does nothing more.
enum End {
    /// It was told to.
    Stopped,
    /// Its queue or the store is gone, or it has looked at everything.
    Over,
}

impl Consumer {
    /// Works until it is stopped, then puts back what is not settled.
    pub(super) async fn run(mut self) {
        let mut stop = self.seat.stop.subscribe();
        let end = self.work(&mut stop).await;
        let Consumer { shared, seat, sender, within, closed, .. } = self;
        // The other end sees that nothing more comes.
        drop(sender);
        if matches!(end, End::Over) {
            // What was delivered can still be settled. An error means that everything is gone.
            let _ = stop.wait_for(|stop| *stop).await;
        }
        // Who looks at a queue delivers nothing.
        let left = if within.is_none() { Left::Closed } else { Left::Looked };
        shared.leave(&seat, left).await;
        seat.ended.send_replace(true);
        drop(closed);
    }

    async fn work(&mut self, stop: &mut watch::Receiver<bool>) -> End {
        let Ok(mut pulse) = self.shared.store.pulse() else { return End::Over };
        loop {
            self.known.commits = *pulse.borrow_and_update();
            let wait = match self.step(stop).await {
                Ok(Some(end)) => return end,
                Ok(None) => self.wait(),
                Err(error) => self.failed(&error),
            };
            let (is_full, mut was_quiet) = (self.room() == 0, false);
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return End::Stopped,
                () = self.sender.closed() => return End::Stopped,
                () = self.seat.room.notified() => {}
                _ = pulse.changed(), if !is_full => {}
                () = sleep(wait), if !is_full => was_quiet = true,
            }
            if was_quiet {
                // What was seen last may be what a server that is behind has shown.
                self.shared.look.forget(QUIET / 2).await;
            }
        }
    }

    fn room(&self) -> usize {
        match self.within {
            Some(_) => PAGE,
            None if self.seat.is_alone() => 0,
            None => self.prefetch.saturating_sub(self.seat.count()).min(PAGE),
        }
    }

    /// Waits a little for half of the room.
    async fn gather(&self) {
        let enough = async {
            while self.within.is_none() && self.room() < self.prefetch.min(PAGE) / 2 {
                self.seat.room.notified().await;
            }
        };
        // After that it is less.
        let _ = timeout(GATHER, enough).await;
    }

    fn wait(&self) -> Duration {
        if self.known.more {
            return Duration::ZERO;
        }
        let due = self.known.due.map(|due| due.saturating_duration_since(Instant::now()));
        // Clocks tick in milliseconds.
        due.map_or(QUIET, |due| (due + Duration::from_millis(1)).min(QUIET))
    }

    fn failed(&mut self, error: &StoreError) -> Duration {
        tracing::warn!(%error, "a consumer waits for its store");
        self.known.is_unsure = true;
        self.known.failures += 1;
        PAUSE.saturating_mul(1 << self.known.failures.min(10)).min(LONGEST_PAUSE)
    }

    /// Claims what there is, and hands it out.
    async fn step(&mut self, stop: &mut watch::Receiver<bool>) -> Result<Option<End>, StoreError> {
        while self.room() > 0 && !*stop.borrow() {
            if !self.is_worth_it().await? {
                break;
            }
            self.gather().await;
            let portion = match self.claim().await? {
                Claimed::Gone => return Ok(Some(End::Over)),
                Claimed::Expired if self.begin_again().await? => continue,
                Claimed::Expired => return Ok(Some(End::Over)),
                Claimed::Some(portion) => portion,
            };
            let is_done = !portion.more;
            if !self.hand_out(portion, stop).await {
                return Ok(Some(End::Stopped));
            }
            if is_done {
                return Ok(self.within.map(|_| End::Over));
            }
        }
        Ok(None)
    }

    /// Whether there is something to claim.
    async fn is_worth_it(&mut self) -> Result<bool, StoreError> {
        let Some((queue, version)) = self.known.queue.clone() else { return Ok(true) };
        if self.known.more || self.known.is_unsure || self.within.is_some() {
            return Ok(true);
        }
        loop {
            let (seen, commits) = (self.known.seen, self.known.commits);
            let looking = Looking { queue: &queue, version, seen, commits };
            let seen = self.shared.look.look(&self.shared.store, looking).await?;
            (self.known.seen, self.known.due) = (seen.until, seen.due);
            if !seen.more {
                // The cursor comes after: retention waits for it, and so does who begins anew.
                let is_far = self.known.seen - self.known.claimed >= FAR;
                return Ok(seen.is_there || is_far);
            }
        }
    }

    async fn claim(&mut self) -> Result<Claimed, StoreError> {
        let claim = Claim {
            queue: self.seat.queue,
            consumer: self.seat.consumer(),
            most: self.room(),
            seen: self.known.seen,
            within: self.within,
            is_idle: self.seat.is_idle(),
            renews: self.seat.renews(self.shared.lease),
            held: self.known.is_unsure.then(|| self.seat.places()),
        };
        self.known.is_unsure = true;
        let (tell, told) = oneshot::channel();
        let asked = Instant::now();
        let sent = self.shared.claiming.send(Claiming { claim, tell });
        sent.map_err(|_| StoreError::Closed)?;
        let claimed = told.await.map_err(|_| StoreError::Closed)??;
        if let Claimed::Some(Portion { is_renewed: true, .. }) = &claimed {
            self.seat.renew(asked + self.shared.lease);
        }
        (self.known.is_unsure, self.known.failures) = (false, 0);
        Ok(claimed)
    }

    /// False if nobody takes it any more.
    async fn hand_out(&mut self, portion: Portion, stop: &mut watch::Receiver<bool>) -> bool {
        let Portion { queue, version, taken, seen, due, more, .. } = portion;
        if let (Some((after, _)), Some(last)) = (&mut self.within, taken.last()) {
            *after = last.place;
        }
        let deliveries: Vec<Delivery> =
            taken.into_iter().map(|taken| self.seat.deliver(taken, &queue)).collect();
        (self.known.seen, self.known.due) = (seen, from_now(due));
        self.known.claimed = seen;
        // Where much was passed and nothing taken, a look finds the next without writing.
        self.known.more = more && !deliveries.is_empty();
        self.known.queue = Some((queue, version));
        for delivery in deliveries {
            let sent = tokio::select! {
                sent = self.sender.send(delivery) => sent.is_ok(),
                _ = stop.wait_for(|stop| *stop) => false,
            };
            if !sent {
                return false;
            }
        }
        true
    }

    /// Comes back under another number; false if that cannot be: the queue is gone, or it was only
    /// looked at.
    async fn begin_again(&mut self) -> Result<bool, StoreError> {
        self.seat.lose();
        if self.within.is_some() {
            return Ok(false);
        }
        let renewed = Instant::now();
        let entered = self.shared.enter_again(self.seat.queue).await?;
        let Some(consumer) = entered else { return Ok(false) };
        self.shared.reseat(&self.seat, consumer, renewed);
        Ok(true)
    }
}

/// From microseconds.
fn from_now(due: Option<i64>) -> Option<Instant> {
    let time = Duration::from_micros(due?.max(0).unsigned_abs());
    Instant::now().checked_add(time)
}

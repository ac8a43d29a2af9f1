//! One consumer of a queue that begins with the past: first what the store has, then what the bus brings.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{
    Deliveries, Delivery, Exchange, Queue, Settlement, Start, Subscription, Transport,
    TransportError, Verbatim, headers,
};
use bloodbank_core::Kind;
use chrono::{TimeDelta, Utc};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::held::{Hand, Past};
use super::table::{self, Progress};
use crate::follow::{Follow, Followed};
use crate::record::Record;
use crate::sql::{micros_to_time, time_to_micros};
use crate::{EventStore, Filter, Incoming, Position, StoreError, StoredEvent};

/// How often progress is stored.
const SAVE: Duration = Duration::from_secs(1);
/// How often to ask whether the process that brings the past is still there, and to say that we are.
const TAKE: Duration = Duration::from_secs(10);
/// How long to wait for what another process does, and after a failure.
const PAUSE: Duration = Duration::from_millis(500);
/// A message tells that the past is complete if it was recorded so long after its queue was declared,
/// in microseconds: what was published before then has long been on its way to the recorder.
const MARGIN: i64 = 2_000_000;
/// What was published so long after the past was over, by its own clock, was not part of it.
const AFTER: TimeDelta = TimeDelta::seconds(60);
/// How long to wait for the record before saying so.
const LATE: Duration = Duration::from_secs(30);

/// What ends a feed.
enum End {
    /// Nobody listens any more, or the bus has ended the consumer.
    Over,
    /// It is another process that brings the past.
    Lost,
    /// What is left of the past is this process's to bring now.
    Taken,
    /// Something does not work for now.
    Failed(String),
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        End::Failed(error.to_string())
    }
}

impl From<TransportError> for End {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Closed | TransportError::Undeclared { .. } => End::Over,
            error => End::Failed(error.to_string()),
        }
    }
}

/// See the [module](self).
pub(super) struct Feed {
    pub(super) inner: Arc<dyn Transport>,
    pub(super) store: EventStore,
    pub(super) owner: Uuid,
    pub(super) queue: Queue,
    pub(super) subscription: Subscription,
    pub(super) hand: Arc<Hand>,
    pub(super) sender: mpsc::Sender<Delivery>,
    pub(super) stopped: watch::Receiver<bool>,
    /// What the queue itself brings, once that is wanted.
    pub(super) live: Mutex<Option<Deliveries>>,
}

/// What a feed waited for.
enum Next {
    /// A message of the past that is due again, or that is new.
    Past(Past),
    Again(Delivery),
    /// One that lies in the queue.
    Live(Delivery),
    /// Nothing in particular.
    Tick,
}

impl Feed {
    /// Works until nobody listens any more.
    pub(super) async fn run(self) {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => {}
            () = self.sender.closed() => {}
            () = self.work() => {}
        }
        if let Some(live) = self.live.lock().await.take() {
            live.close().await;
        }
        let left = async {
            if let Some(progress) = table::progress(&self.store, self.hand.queue()).await? {
                self.save(progress.done).await?;
            }
            table::leave(&self.store, self.hand.queue(), self.owner).await
        };
        if let Err(error) = left.await {
            tracing::warn!(%error, "how far a queue has come with the past is not stored");
        }
    }

    async fn work(&self) {
        loop {
            match self.once().await {
                Err(End::Over) | Ok(()) => return,
                Err(End::Taken) => continue,
                Err(End::Lost) => self.hand.lose(),
                Err(End::Failed(error)) => {
                    tracing::warn!(%error, queue = self.hand.queue(), "the past waits");
                }
            }
            sleep(PAUSE).await;
        }
    }

    async fn once(&self) -> Result<(), End> {
        loop {
            let progress = table::progress(&self.store, self.hand.queue()).await?;
            let Some(progress) = progress else { return Err(End::Over) };
            if progress.is_over() {
                return self.live(progress, false).await;
            }
            if table::take(&self.store, self.hand.queue(), self.owner).await? {
                let progress = self.past(progress).await?;
                return self.live(progress, true).await;
            }
            if progress.done.is_some() {
                return self.live(progress, false).await;
            }
            sleep(PAUSE).await;
        }
    }

    /// Hands out the past, until what the queue holds is complete.
    async fn past(&self, mut progress: Progress) -> Result<Progress, End> {
        self.hand.passed(progress.reached);
        let start = Start::Position(self.hand.fed() + 1);
        let mut follow = self.store.follow(self.filter(), start).await?;
        let (mut live, mut waiting) = (self.live.lock().await, None);
        if let Some(earlier) = live.take() {
            earlier.close().await;
        }
        let (mut saved, mut since) = (Instant::now(), Instant::now());
        loop {
            if let Some((done, _)) = progress.done
                && self.hand.fed() >= done
            {
                return Ok(progress);
            }
            if saved.elapsed() >= SAVE {
                self.keep(progress.done).await?;
                saved = Instant::now();
            }
            match self.next(&mut follow, &mut live, waiting.is_none()).await? {
                Next::Past(past) => {
                    since = Instant::now();
                    self.give(self.hand.deliver(past), Some(&progress)).await?;
                }
                Next::Again(delivery) => self.give(delivery, Some(&progress)).await?,
                Next::Live(delivery) if !may_be_copy(&delivery) => {
                    self.give(delivery, Some(&progress)).await?;
                }
                Next::Live(delivery) => {
                    let id = self.id_of(&delivery);
                    waiting = Some((id, delivery));
                }
                Next::Tick => {}
            }
            if live.is_none() && follow.is_at_end() {
                *live = Some(self.inner.subscribe(self.subscription.clone()).await?);
            }
            let Some((id, delivery)) = &waiting else { continue };
            if !self.inner.is_current(delivery) {
                waiting = None;
                continue;
            }
            match table::stored(&self.store, *id).await? {
                Some((position, received)) if position <= self.hand.fed() => {
                    self.drop_copy(delivery).await;
                    waiting = None;
                    if received >= progress.begun.saturating_add(MARGIN) {
                        let done = (self.hand.fed(), time_to_micros(Utc::now()));
                        progress.done = Some(done);
                        self.keep(progress.done).await?;
                        tracing::info!(queue = self.hand.queue(), position = done.0, "caught up");
                        if let Some(live) = live.take() {
                            live.close().await;
                        }
                        return Ok(progress);
                    }
                }
                _ if since.elapsed() >= LATE => {
                    tracing::warn!(
                        queue = self.hand.queue(),
                        "what lies in the queue is not in the store: is the bus recorded?"
                    );
                    since = Instant::now();
                }
                _ => {}
            }
        }
    }

    /// What comes next, of the past or of the queue. Waits a little.
    async fn next(
        &self,
        follow: &mut Follow,
        live: &mut Option<Deliveries>,
        wants_live: bool,
    ) -> Result<Next, End> {
        let due = match self.hand.again() {
            Ok(delivery) => return Ok(Next::Again(delivery)),
            Err(due) => due,
        };
        let tick = due.unwrap_or_else(|| Instant::now() + PAUSE).min(Instant::now() + PAUSE);
        let most = usize::from(self.subscription.prefetch.max(1));
        let has_room = self.hand.count() < most;
        let from_queue = async {
            match live {
                Some(live) => live.recv().await.ok_or(End::Over),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            next = follow.next(), if has_room => match next? {
                Followed::Event(event) => Ok(Next::Past(past(event))),
                Followed::Damaged(damaged) => {
                    self.hand.passed(damaged.last);
                    tracing::warn!(
                        queue = self.hand.queue(), first = damaged.first, last = damaged.last,
                        "this part of the past is damaged, and not given to anybody"
                    );
                    Ok(Next::Tick)
                }
                Followed::Pruned(range) => {
                    self.hand.passed(range.last);
                    tracing::info!(
                        queue = self.hand.queue(), first = range.first, last = range.last,
                        "this part of the past was pruned"
                    );
                    Ok(Next::Tick)
                }
            },
            delivery = from_queue, if wants_live => Ok(Next::Live(delivery?)),
            () = self.hand.room.notified() => Ok(Next::Tick),
            () = tokio::time::sleep_until(tick) => Ok(Next::Tick),
        }
    }

    /// Hands out what the queue brings, and what is left of the past.
    async fn live(&self, progress: Progress, is_owner: bool) -> Result<(), End> {
        let Some((done, at)) = progress.done else { return Ok(()) };
        let until = micros_to_time(at)? + AFTER;
        let mut live = self.live.lock().await;
        let live = live.insert(self.inner.subscribe(self.subscription.clone()).await?);
        let (mut saved, mut is_over) = (Instant::now(), !is_owner);
        let (mut asked, mut may_take) = (Instant::now(), !is_owner && !progress.is_over());
        loop {
            let renewed = (!is_over).then_some(&progress);
            if may_take && asked.elapsed() >= TAKE {
                if table::take(&self.store, self.hand.queue(), self.owner).await? {
                    return Err(End::Taken);
                }
                let now = table::progress(&self.store, self.hand.queue()).await?;
                (asked, may_take) = (Instant::now(), now.is_some_and(|it| !it.is_over()));
            }
            if !is_over && saved.elapsed() >= SAVE {
                self.keep(progress.done).await?;
                (saved, is_over) = (Instant::now(), self.hand.reached() >= done);
            }
            let due = match self.hand.again() {
                Ok(delivery) => {
                    self.give(delivery, renewed).await?;
                    continue;
                }
                Err(due) => due,
            };
            let tick = due.unwrap_or_else(|| Instant::now() + SAVE);
            tokio::select! {
                delivery = live.recv() => {
                    let Some(delivery) = delivery else { return Ok(()) };
                    let is_old = delivery.envelope().is_ok_and(|it| it.timestamp < until);
                    if is_old && self.is_past(&delivery, done).await? {
                        self.drop_copy(&delivery).await;
                    } else {
                        self.give(delivery, renewed).await?;
                    }
                }
                () = self.hand.room.notified(), if !is_over => {}
                () = tokio::time::sleep_until(tick), if !is_over || may_take || due.is_some() => {}
            }
        }
    }

    /// Whether a message that comes from the queue was handed out as part of the past.
    async fn is_past(&self, delivery: &Delivery, done: Position) -> Result<bool, End> {
        if !may_be_copy(delivery) {
            return Ok(false);
        }
        let stored = table::stored(&self.store, self.id_of(delivery)).await?;
        Ok(stored.is_some_and(|(position, _)| position <= done))
    }

    async fn drop_copy(&self, delivery: &Delivery) {
        // What cannot be settled any more comes again.
        let _ = self.inner.settle(delivery, Settlement::Ack).await;
    }

    /// Hands it on once there is room, and goes on keeping the past meanwhile if it is this process's.
    async fn give(&self, delivery: Delivery, renewed: Option<&Progress>) -> Result<(), End> {
        loop {
            tokio::select! {
                biased;
                room = self.sender.reserve() => {
                    room.map_err(|_| End::Over)?.send(delivery);
                    return Ok(());
                }
                () = sleep(TAKE) => {
                    if let Some(progress) = renewed {
                        self.keep(progress.done).await?;
                    }
                }
            }
        }
    }

    /// Notes how far it is, as long as it is this process that brings the past.
    async fn keep(&self, done: Option<(Position, i64)>) -> Result<(), End> {
        if self.save(done).await? { Ok(()) } else { Err(End::Lost) }
    }

    async fn save(&self, done: Option<(Position, i64)>) -> Result<bool, StoreError> {
        let reached = self.hand.reached();
        table::save(&self.store, self.hand.queue(), self.owner, reached, done).await
    }

    /// The id that a store gives it.
    fn id_of(&self, delivery: &Delivery) -> Uuid {
        let of_bytes = || {
            let incoming = Incoming::of(Kind::Event, delivery);
            Record::of(&self.store.contracts(), incoming).id
        };
        delivery.id().unwrap_or_else(of_bytes)
    }

    /// What the queue wants of events.
    fn filter(&self) -> Filter {
        let bindings = self.queue.bindings.iter();
        let events = bindings.filter(|binding| binding.exchange == Exchange::Events);
        events.fold(Filter::new().with_kind(Kind::Event), |filter, binding| {
            filter.with_key(binding.pattern.clone())
        })
    }
}

/// Whether it may be a copy of what the store has; what was tried again, or brought back, is not.
fn may_be_copy(delivery: &Delivery) -> bool {
    let noted = [headers::ATTEMPTS, headers::REDRIVES, headers::REPLAY];
    !noted.iter().any(|name| delivery.headers.contains_key(*name))
}

fn past(event: StoredEvent) -> Past {
    let StoredEvent { position, key, body, headers, properties, .. } = event;
    let message = Verbatim::stored(&*key, body, headers)
        .with_properties(properties)
        .with_header(headers::POSITION, position.to_string());
    Past { position, message, redelivered: false }
}

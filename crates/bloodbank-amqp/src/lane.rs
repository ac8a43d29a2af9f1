//! Publishing on one channel: a bounded queue, a window of messages on their way, and for each its
//! outcome by its deadline.
//!
//! One task owns the channel, so delivery tags follow the order of publishing, and outcomes are
//! looked at in that order. What happens on one channel is in [`drive`].

mod drive;

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bloodbank_bus::{Confirm, Outcome, TransportError};
use lapin::Channel;
use lapin::options::ConfirmSelectOptions;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout_at};
use tracing::{debug, warn};

use self::drive::{Drive, Leave};
use crate::link::{Generation, Link, State};
use crate::replies::Replies;
use crate::wire::Outgoing;

/// How often deadlines are looked at; outcomes come this much before them.
const TICK: Duration = Duration::from_millis(25);

/// How often a channel's end is told, where one ends after the other.
const TELL: Duration = Duration::from_secs(5);

/// A place to publish; clones are the same.
#[derive(Clone)]
pub(crate) struct Lane {
    shared: Arc<Shared>,
}

struct Shared {
    link: Link,
    deadline: Duration,
    capacity: u32,
    window: usize,
    /// One place for each message that has no outcome yet.
    room: Arc<Semaphore>,
    waiting: Mutex<VecDeque<Job>>,
    arrived: Notify,
}

/// A message that has no outcome yet.
struct Job {
    message: Outgoing,
    deadline: Instant,
    /// Whether the broker may have it.
    sent: bool,
    /// How often the channel broke with an error of the broker's while it was on its way.
    falls: u8,
    /// Whether its exchange was not there when it was sent last. By the time when it is sent again, the
    /// exchange was looked for and found, so that it need not travel alone.
    lacks_exchange: bool,
    /// What it is one of, if it must not be sent after one of them has failed.
    run: Option<Run>,
    outcome: oneshot::Sender<Outcome>,
    /// None for those of a run that is longer than the lane has places.
    _room: Option<OwnedSemaphorePermit>,
}

/// Messages that are sent in their order; the first failure ends the rest.
#[derive(Clone, Default)]
struct Run(Arc<AtomicBool>);

impl Run {
    fn fail(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn has_failed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Lane {
    /// Starts the task. `replies` are received on the same channel, if given.
    pub(crate) fn start(
        link: Link,
        deadline: Duration,
        window: usize,
        capacity: usize,
        replies: Option<Replies>,
    ) -> Self {
        let capacity = u32::try_from(capacity.max(1)).unwrap_or(u32::MAX >> 3);
        let shared = Arc::new(Shared {
            link,
            deadline: deadline.saturating_sub(TICK),
            capacity,
            window: window.max(1),
            room: Arc::new(Semaphore::new(capacity as usize)),
            waiting: Mutex::default(),
            arrived: Notify::new(),
        });
        tokio::spawn(run(shared.clone(), replies));
        Lane { shared }
    }

    /// Publishes a message.
    pub(crate) fn publish(&self, message: Outgoing) -> Confirm {
        let shared = &self.shared;
        if let Some(error) = shared.link.broken() {
            return Confirm::settled(Err(error));
        }
        let deadline = Instant::now() + shared.deadline;
        match shared.room.clone().try_acquire_owned() {
            Ok(room) => Confirm::pending(shared.push(message, deadline, Some(room), None)),
            Err(tokio::sync::TryAcquireError::Closed) => {
                Confirm::settled(Err(TransportError::Closed))
            }
            Err(tokio::sync::TryAcquireError::NoPermits) => {
                let shared = shared.clone();
                Confirm::waiting(async move {
                    match timeout_at(deadline, shared.room.clone().acquire_owned()).await {
                        Ok(Ok(room)) => Ok(shared.push(message, deadline, Some(room), None)),
                        Ok(Err(_)) => Err(TransportError::Closed),
                        Err(_) => Err(shared.link.status().error()),
                    }
                })
            }
        }
    }

    /// Publishes several messages in their order. After the first that fails none is sent that is not on
    /// its way already. The outcome is that of the first that fails.
    pub(crate) fn publish_run(&self, messages: Vec<Outgoing>) -> Confirm {
        let shared = self.shared.clone();
        Confirm::of(async move {
            if let Some(error) = shared.link.broken() {
                return Err(error);
            }
            let deadline = Instant::now() + shared.deadline;
            let count = u32::try_from(messages.len()).unwrap_or(u32::MAX);
            let room = shared.room.clone().acquire_many_owned(count.min(shared.capacity));
            let mut room = match timeout_at(deadline, room).await {
                Ok(Ok(room)) => room,
                Ok(Err(_)) => return Err(TransportError::Closed),
                Err(_) => return Err(shared.link.status().error()),
            };
            let run = Run::default();
            let sent: Vec<_> = messages
                .into_iter()
                .map(|message| shared.push(message, deadline, room.split(1), Some(run.clone())))
                .collect();
            for outcome in sent {
                outcome.await.unwrap_or(Err(TransportError::Closed))?;
            }
            Ok(())
        })
    }

    /// Takes nothing new, and waits until everything has its outcome.
    pub(crate) async fn close(&self) {
        // Every message has a deadline, so every place comes back.
        let _ = self.shared.room.acquire_many(self.shared.capacity).await;
        self.shared.room.close();
        self.shared.arrived.notify_one();
    }
}

impl Shared {
    fn push(
        &self,
        message: Outgoing,
        deadline: Instant,
        room: Option<OwnedSemaphorePermit>,
        run: Option<Run>,
    ) -> oneshot::Receiver<Outcome> {
        let (outcome, receiver) = oneshot::channel();
        let job = Job {
            message,
            deadline,
            sent: false,
            falls: 0,
            lacks_exchange: false,
            run,
            outcome,
            _room: room,
        };
        self.waiting().push_back(job);
        self.arrived.notify_one();
        receiver
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Job>> {
        // No code that holds the lock can leave the queue half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the broker may be silent before it is suspected, when messages are late.
    fn patience(&self) -> Duration {
        self.deadline / 2
    }

    /// Ends what waited too long, and says how much that was.
    fn expire(&self) -> usize {
        let now = Instant::now();
        let expired: VecDeque<Job> = {
            let mut waiting = self.waiting();
            // Those that had to wait for room may stand behind others with more time.
            if waiting.iter().all(|job| job.deadline > now) {
                return 0;
            }
            let all = std::mem::take(&mut *waiting).into_iter();
            let (expired, rest): (VecDeque<Job>, _) = all.partition(|job| job.deadline <= now);
            *waiting = rest;
            expired
        };
        let (error, count) = (self.link.status().error(), expired.len());
        expired.into_iter().for_each(|job| job.fail(error.clone()));
        count
    }

    /// Opens a channel; a broker that stands still must not hold up the deadlines.
    async fn unless_left(
        &self,
        generation: &Generation,
        ticks: &mut Interval,
        opening: impl Future<Output = Result<Channel, lapin::Error>>,
    ) -> Result<Channel, String> {
        let since = Instant::now();
        let mut opening = pin!(opening);
        let mut left = pin!(self.link.left(generation));
        loop {
            tokio::select! {
                biased;
                opened = &mut opening => return opened.map_err(|error| error.to_string()),
                () = &mut left => return Err("the connection is lost".to_owned()),
                _ = ticks.tick() => {
                    let late = self.expire() > 0 && since.elapsed() > self.patience();
                    // A blocked broker answers nothing on this connection, and is not dead.
                    if late && !self.link.status().blocked {
                        generation.suspected.notify_one();
                    }
                }
            }
        }
    }

    /// Waits until what is missing was declared, with its bindings, as far as it can be.
    async fn await_repair(&self, generation: &Generation, exchange: &str, ticks: &mut Interval) {
        generation.absent.meet(exchange);
        let mut repaired = pin!(generation.repaired.notified());
        repaired.as_mut().enable();
        generation.missed.notify_one();
        let mut left = pin!(self.link.left(generation));
        loop {
            tokio::select! {
                () = &mut repaired => return,
                () = &mut left => return,
                _ = ticks.tick() => {
                    self.expire();
                }
            }
        }
    }

    /// Ends what could not be routed anywhere: its exchange is missing, and nobody has declared it.
    fn fail_absent(&self, generation: &Generation) {
        if !generation.absent.is_any() {
            return;
        }
        let is_absent = |job: &Job| generation.absent.holds(job.message.exchange.as_str());
        let absent: VecDeque<Job> = {
            let mut waiting = self.waiting();
            let all = std::mem::take(&mut *waiting).into_iter();
            let (absent, rest): (VecDeque<Job>, _) = all.partition(is_absent);
            *waiting = rest;
            absent
        };
        for job in absent {
            let error = job.no_exchange();
            job.settle(Err(error));
        }
    }

    /// Ends everything that waits.
    fn fail_all(&self, error: &TransportError) {
        let jobs = std::mem::take(&mut *self.waiting());
        jobs.into_iter().for_each(|job| job.fail(error.clone()));
    }
}

impl Job {
    fn fail(self, error: TransportError) {
        let error = match self {
            Job { lacks_exchange: true, .. } => self.no_exchange(),
            Job { sent: true, .. } => TransportError::Unknown,
            _ => error,
        };
        self.settle(Err(error));
    }

    fn no_exchange(&self) -> TransportError {
        TransportError::NoExchange { exchange: self.message.exchange.to_string() }
    }

    /// Whether it may take its channel down, so that it travels alone.
    fn is_suspect(&self) -> bool {
        self.falls > 0
    }

    /// Whether one of its run has failed before it.
    fn is_held_back(&self) -> bool {
        self.run.as_ref().is_some_and(Run::has_failed)
    }

    fn settle(self, outcome: Outcome) {
        if let (Some(run), Err(_)) = (&self.run, &outcome) {
            run.fail();
        }
        // An error means that nobody waits for the outcome.
        let _ = self.outcome.send(outcome);
    }
}

/// From channel to channel, until the lane is closed.
async fn run(lane: Arc<Shared>, replies: Option<Replies>) {
    let mut watch = lane.link.watch();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told: Option<Instant> = None;
    loop {
        if lane.room.is_closed() {
            return lane.fail_all(&TransportError::Closed);
        }
        let status = watch.borrow_and_update().clone();
        match &status.state {
            State::Up(generation) if generation.is_connected() => {
                let opening = open(generation, replies.as_ref());
                match lane.unless_left(generation, &mut ticks, opening).await {
                    Ok(channel) => {
                        let mut drive = Drive::new(&lane, channel, generation.clone());
                        let lost = match drive.run(&mut watch, &mut ticks).await {
                            Leave::Closed => {
                                drive.leave(None);
                                return;
                            }
                            Leave::Broken(error) => drive.leave(error.as_ref()),
                        };
                        if let Some(reason) = lost.complaint
                            && told.is_none_or(|told| told.elapsed() > TELL)
                        {
                            warn!(%reason, "the broker has closed a channel to publish on");
                            told = Some(Instant::now());
                        }
                        if let Some(exchange) = lost.lacks {
                            lane.await_repair(generation, &exchange, &mut ticks).await;
                            lane.fail_absent(generation);
                        }
                        if let Some(replies) = &replies {
                            // The way back of what was sent is lost; the rest is sent anew.
                            let waiting = lane.waiting();
                            replies.keep_only(waiting.iter().map(|job| &job.message));
                        }
                    }
                    Err(reason) => {
                        debug!(%reason, "no channel to publish on");
                        ticks.tick().await;
                    }
                }
            }
            State::Refused { .. } | State::Closed => lane.fail_all(&status.error()),
            _ => {}
        }
        let is_idle = lane.waiting().is_empty();
        tokio::select! {
            _ = watch.changed() => {}
            () = lane.arrived.notified(), if is_idle => {}
            _ = ticks.tick(), if !is_idle => {
                lane.expire();
            }
        }
    }
}

async fn open(generation: &Generation, replies: Option<&Replies>) -> Result<Channel, lapin::Error> {
    let channel = generation.outgoing_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    if let Some(replies) = replies {
        replies.listen(&channel).await?;
    }
    Ok(channel)
}

//! Publishing on one channel: a bounded queue, a window of messages on their way, and for each its
//! outcome by its deadline.
//!
//! One task owns the channel, so delivery tags follow the order of publishing, and outcomes are
//! looked at in that order. The client attaches a returned message to whichever confirm completes
//! next, so a mandatory message is judged only when every message that was on its way when its own
//! confirm came has its confirm: by then its return, if there is one, has been seen.

use std::collections::{HashSet, VecDeque};
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bloodbank_bus::{Confirm, Outcome, TransportError};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{Channel, Confirmation};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout_at};
use tracing::{debug, warn};

use crate::connect::{channel_error, is_complaint};
use crate::link::{Generation, Link, State, Status};
use crate::replies::Replies;
use crate::wire::Outgoing;

/// How often deadlines are looked at; outcomes come this much before them.
const TICK: Duration = Duration::from_millis(25);
/// How long a channel on which messages were refused is kept. A channel of RabbitMQ (seen in 3.10) that
/// first met a quorum queue whose leader had just died refuses everything for that queue, for ever.
const REFUSED: Duration = Duration::from_secs(1);
/// How often a message may take its channel down with it before it is given up.
const MOST_FALLS: u8 = 2;

type Confirming = Pin<Box<dyn Future<Output = Result<Confirmation, lapin::Error>> + Send>>;

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
    outcome: oneshot::Sender<Outcome>,
    _room: OwnedSemaphorePermit,
}

/// A message on its way.
struct Sent {
    /// `None` once its deadline is over and its outcome told.
    job: Option<Job>,
    tag: u64,
    confirming: Confirming,
}

/// A mandatory message whose confirm has come, and whose return may yet come with another's.
struct Judged {
    job: Job,
    after: u64,
    acked: bool,
}

/// Everything of one channel.
struct Drive<'l> {
    lane: &'l Shared,
    channel: Channel,
    generation: Arc<Generation>,
    last_tag: u64,
    /// By tag.
    under_way: VecDeque<Sent>,
    judging: VecDeque<Judged>,
    returned: HashSet<(Option<ShortString>, ShortString)>,
    /// When the broker last confirmed something, or had nothing to confirm.
    heard: Instant,
    /// When the broker first refused a message on this channel.
    refused: Option<Instant>,
}

/// Why a channel is left.
enum Leave {
    Closed,
    Broken(Option<lapin::Error>),
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
            Ok(room) => Confirm::pending(shared.push(message, deadline, room)),
            Err(tokio::sync::TryAcquireError::Closed) => {
                Confirm::settled(Err(TransportError::Closed))
            }
            Err(tokio::sync::TryAcquireError::NoPermits) => {
                let shared = shared.clone();
                Confirm::waiting(async move {
                    match timeout_at(deadline, shared.room.clone().acquire_owned()).await {
                        Ok(Ok(room)) => Ok(shared.push(message, deadline, room)),
                        Ok(Err(_)) => Err(TransportError::Closed),
                        Err(_) => Err(shared.link.status().error()),
                    }
                })
            }
        }
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
        room: OwnedSemaphorePermit,
    ) -> oneshot::Receiver<Outcome> {
        let (outcome, receiver) = oneshot::channel();
        let job = Job { message, deadline, sent: false, falls: 0, outcome, _room: room };
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
                    if self.expire() > 0 && since.elapsed() > self.patience() {
                        generation.suspected.notify_one();
                    }
                }
            }
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
        let error = if self.sent { TransportError::Unknown } else { error };
        self.settle(Err(error));
    }

    fn settle(self, outcome: Outcome) {
        // An error means that nobody waits for the outcome.
        let _ = self.outcome.send(outcome);
    }
}

/// From channel to channel, until the lane is closed.
async fn run(lane: Arc<Shared>, replies: Option<Replies>) {
    let mut watch = lane.link.watch();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                        match drive.run(&mut watch, &mut ticks).await {
                            Leave::Closed => return drive.leave(None),
                            Leave::Broken(error) => drive.leave(error.as_ref()),
                        }
                    }
                    Err(reason) => {
                        debug!(%reason, "no channel to publish on");
                        ticks.tick().await;
                    }
                }
                if let Some(replies) = &replies {
                    replies.forget_all();
                }
            }
            State::Refused(_) | State::Closed => lane.fail_all(&status.error()),
            _ => {}
        }
        tokio::select! {
            _ = watch.changed() => {}
            _ = ticks.tick() => {
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

impl<'l> Drive<'l> {
    fn new(lane: &'l Shared, channel: Channel, generation: Arc<Generation>) -> Self {
        Drive {
            lane,
            channel,
            generation,
            last_tag: 0,
            under_way: VecDeque::new(),
            judging: VecDeque::new(),
            returned: HashSet::new(),
            heard: Instant::now(),
            refused: None,
        }
    }

    /// Publishes and settles, until the channel or the lane ends.
    async fn run(
        &mut self,
        watch: &mut tokio::sync::watch::Receiver<Status>,
        ticks: &mut Interval,
    ) -> Leave {
        let mut blocked = watch.borrow_and_update().blocked;
        loop {
            let worn = self.refused.is_some_and(|since| since.elapsed() > REFUSED);
            if worn && self.under_way.is_empty() {
                return Leave::Broken(None);
            }
            let is_open = !blocked && !worn;
            if is_open && self.under_way.len() < self.lane.window {
                self.send_waiting();
            }
            if self.lane.room.is_closed() && self.under_way.is_empty() {
                return Leave::Closed;
            }
            let has_room = is_open && self.under_way.len() < self.lane.window;
            tokio::select! {
                biased;
                confirmed = next_confirmed(&mut self.under_way) => {
                    if let Err(error) = self.settle_ready(confirmed) {
                        return Leave::Broken(Some(error));
                    }
                }
                () = self.lane.arrived.notified(), if has_room => {}
                changed = watch.changed() => {
                    let status = watch.borrow_and_update();
                    let same = status.generation().is_some_and(|now| now.number == self.generation.number);
                    if changed.is_err() || !same {
                        return Leave::Broken(None);
                    }
                    if blocked && !status.blocked {
                        self.heard = Instant::now();
                    }
                    blocked = status.blocked;
                }
                _ = ticks.tick() => {
                    let late = self.lane.expire() + self.expire();
                    if late > 0 && !blocked {
                        self.suspect(late);
                    }
                    if !self.channel.status().connected() {
                        return Leave::Broken(None);
                    }
                }
            }
        }
    }

    /// Fills the window.
    fn send_waiting(&mut self) {
        let room = self.lane.window - self.under_way.len();
        let jobs: Vec<Job> = {
            let mut waiting = self.lane.waiting();
            let count = room.min(waiting.len());
            waiting.drain(..count).collect()
        };
        jobs.into_iter().for_each(|job| self.send(job));
    }

    fn send(&mut self, mut job: Job) {
        job.sent = true;
        let (channel, message) = (self.channel.clone(), job.message.clone());
        let mut confirming: Confirming = Box::pin(async move {
            let options = BasicPublishOptions { mandatory: message.mandatory, immediate: false };
            let Outgoing { exchange, routing_key, body, properties, .. } = message;
            let published =
                channel.basic_publish(exchange, routing_key, options, &body, properties).await?;
            published.await
        });
        if self.under_way.is_empty() {
            self.heard = Instant::now();
        }
        self.last_tag += 1;
        // The first poll hands the frames over, so tags follow the order of these polls.
        let first = confirming.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(result) = first {
            confirming = Box::pin(std::future::ready(result));
        }
        self.under_way.push_back(Sent { job: Some(job), tag: self.last_tag, confirming });
    }

    /// Settles the first message, and every other whose confirm is there.
    fn settle_ready(
        &mut self,
        first: Result<Confirmation, lapin::Error>,
    ) -> Result<(), lapin::Error> {
        let mut next = Some(first);
        while let Some(confirmation) = next {
            // It stays in the queue if the channel is broken, to be sent again.
            let confirmation = confirmation?;
            let Some(sent) = self.under_way.pop_front() else { return Ok(()) };
            self.confirmed(sent, confirmation);
            let context = &mut Context::from_waker(Waker::noop());
            next = match self.under_way.front_mut().map(|s| s.confirming.as_mut().poll(context)) {
                Some(Poll::Ready(confirmation)) => Some(confirmation),
                _ => None,
            };
        }
        Ok(())
    }

    fn confirmed(&mut self, sent: Sent, confirmation: Confirmation) {
        self.heard = Instant::now();
        let acked = confirmation.is_ack();
        if !acked {
            self.refused.get_or_insert_with(Instant::now);
        }
        if let Some(returned) = confirmation.take_message() {
            let id = returned.delivery.properties.message_id().clone();
            self.returned.insert((id, returned.delivery.routing_key.clone()));
        }
        match sent.job {
            Some(job) if job.message.mandatory => {
                self.judging.push_back(Judged { job, after: self.last_tag, acked });
            }
            Some(job) => job.settle(outcome(acked)),
            None => {}
        }
        self.judge(sent.tag);
    }

    /// Settles the mandatory messages that have nothing more to wait for.
    fn judge(&mut self, done: u64) {
        while let Some(judged) = self.judging.front() {
            if judged.after > done {
                return;
            }
            let Some(Judged { job, acked, .. }) = self.judging.pop_front() else { return };
            let outcome = match self.returned.remove(&job.message.name()) {
                true => {
                    Err(TransportError::Unroutable { key: job.message.routing_key.to_string() })
                }
                false => outcome(acked),
            };
            job.settle(outcome);
        }
    }

    /// Ends what the broker does not confirm in time.
    fn expire(&mut self) -> usize {
        let now = Instant::now();
        let mut late = 0;
        for sent in &mut self.under_way {
            match &sent.job {
                Some(job) if job.deadline > now => {}
                Some(_) => {
                    late += 1;
                    if let Some(job) = sent.job.take() {
                        job.settle(Err(TransportError::Unknown));
                    }
                }
                None => {}
            }
        }
        // Those that wait for the confirms of others.
        while self.judging.front().is_some_and(|judged| judged.job.deadline <= now) {
            if let Some(judged) = self.judging.pop_front() {
                judged.job.settle(Err(TransportError::Unknown));
            }
        }
        late
    }

    /// Messages are late. That may be because they waited for a connection; if the broker has been
    /// silent for long, it is because of the connection.
    fn suspect(&self, late: usize) {
        if !self.under_way.is_empty() && self.heard.elapsed() > self.lane.patience() {
            warn!(messages = late, "the broker does not confirm in time; connecting anew");
            self.generation.suspected.notify_one();
        }
    }

    /// Puts back what has no outcome, to be sent again on the next channel.
    fn leave(self, error: Option<&lapin::Error>) {
        // A complaint of the broker's may be about one of these messages.
        let fell = error.is_some_and(is_complaint);
        if let Some(error) = error {
            debug!(%error, "the channel is gone");
        }
        let judging = self.judging.into_iter().map(|judged| judged.job);
        let under_way = self.under_way.into_iter().filter_map(|sent| sent.job);
        let mut again = VecDeque::new();
        for mut job in judging.chain(under_way) {
            job.falls += u8::from(fell);
            match error {
                Some(error) if job.falls > MOST_FALLS => job.settle(Err(channel_error(error))),
                _ => again.push_back(job),
            }
        }
        let mut waiting = self.lane.waiting();
        again.append(&mut waiting);
        *waiting = again;
    }
}

fn outcome(acked: bool) -> Outcome {
    match acked {
        true => Ok(()),
        false => Err(TransportError::Nacked {
            reason: "a queue that should get it is full, or failed".to_owned(),
        }),
    }
}

/// Waits for the confirm of the first message on its way.
async fn next_confirmed(under_way: &mut VecDeque<Sent>) -> Result<Confirmation, lapin::Error> {
    match under_way.front_mut() {
        Some(sent) => poll_fn(|context| sent.confirming.as_mut().poll(context)).await,
        None => pending().await,
    }
}

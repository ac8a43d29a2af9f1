//! One channel's worth of publishing.
//!
//! The client attaches a returned message to whichever confirm completes next, so a mandatory message
//! is judged only when every message that was on its way when its own confirm came has its confirm: by
//! then its return, if there is one, has been seen.

use std::collections::{HashMap, VecDeque};
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bloodbank_bus::{Outcome, TransportError};
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{Channel, Confirmation};
use tokio::sync::watch;
use tokio::time::{Instant, Interval};
use tracing::{debug, warn};

use super::{Job, Shared};
use crate::assert::missing_exchange;
use crate::connect::{channel_error, is_complaint};
use crate::link::{Generation, Status};
use crate::quiet::quiet;
use crate::wire::Outgoing;

/// How often a message may take its channel down with it before it is given up.
const MOST_FALLS: u8 = 2;
/// How long a channel on which messages were refused is kept. A channel of RabbitMQ (seen in 3.10) that
/// first met a quorum queue whose leader had just died refuses everything for that queue, for ever.
const REFUSED: Duration = Duration::from_secs(1);
/// After this long without the confirm of the first message, the others are looked at, too.
const STUCK: Duration = Duration::from_millis(100);
/// How many windows there may be on the way, where the broker confirms out of order.
const MOST_WINDOWS: usize = 4;

type Confirming = Pin<Box<dyn Future<Output = Result<Confirmation, lapin::Error>> + Send>>;
/// What a return names: the exchange, the id and the routing key.
type Name = (ShortString, Option<ShortString>, ShortString);

/// A message on its way.
struct Sent {
    tag: u64,
    /// `None` once its outcome is told.
    job: Option<Job>,
    /// Of a mandatory message.
    name: Option<Name>,
    confirming: Confirming,
    /// Whether it was acked, once the broker has said so; `confirming` is over then.
    acked: Option<bool>,
}

/// A mandatory message whose confirm has come, and whose return may yet come with another's.
struct Judged {
    /// `None` once its outcome is told.
    job: Option<Job>,
    name: Name,
    /// The tag that must be done before.
    after: u64,
    acked: bool,
}

/// Everything of one channel.
pub(super) struct Drive<'l> {
    lane: &'l Shared,
    channel: Arc<Channel>,
    generation: Arc<Generation>,
    last_tag: u64,
    /// By tag.
    under_way: VecDeque<Sent>,
    /// How many of these need no outcome any more.
    settled: usize,
    judging: VecDeque<Judged>,
    /// How many returns of each name no message has taken yet.
    returned: HashMap<Name, u32>,
    /// When the broker last confirmed something, or had nothing to confirm.
    heard: Instant,
    /// When the broker first refused a message on this channel.
    refused: Option<Instant>,
}

/// Why a channel is left.
pub(super) enum Leave {
    Closed,
    Broken(Option<lapin::Error>),
}

/// Why a channel was lost, as far as it matters for the next one.
pub(super) struct Lost {
    /// What the broker said against it.
    pub(super) complaint: Option<String>,
    /// The exchange that it does not have, if it was that.
    pub(super) lacks: Option<String>,
}

impl<'l> Drive<'l> {
    pub(super) fn new(lane: &'l Shared, channel: Channel, generation: Arc<Generation>) -> Self {
        Drive {
            lane,
            channel: Arc::new(channel),
            generation,
            last_tag: 0,
            under_way: VecDeque::new(),
            settled: 0,
            judging: VecDeque::new(),
            returned: HashMap::new(),
            heard: Instant::now(),
            refused: None,
        }
    }

    /// Publishes and settles, until the channel or the lane ends.
    pub(super) async fn run(
        &mut self,
        watch: &mut watch::Receiver<Status>,
        ticks: &mut Interval,
    ) -> Leave {
        let Some(mut blocked) = self.look(&watch.borrow_and_update()) else {
            return Leave::Broken(None);
        };
        loop {
            let is_worn = self.refused.is_some_and(|since| since.elapsed() > REFUSED);
            if is_worn && self.under_way.is_empty() {
                return Leave::Broken(None);
            }
            let is_open = !blocked && !is_worn;
            self.lane.fail_absent(&self.generation);
            if is_open && let Err(error) = self.send_waiting() {
                return Leave::Broken(Some(error));
            }
            if self.lane.room.is_closed() && self.under_way.is_empty() {
                return Leave::Closed;
            }
            let is_idle = self.under_way.is_empty() && self.lane.waiting().is_empty();
            tokio::select! {
                biased;
                confirmed = next_confirmed(&mut self.under_way) => {
                    if let Err(error) = self.settle_ready(confirmed) {
                        return Leave::Broken(Some(error));
                    }
                }
                () = self.lane.arrived.notified(), if is_open && self.room() > 0 => {}
                changed = watch.changed() => {
                    let now = self.look(&watch.borrow_and_update());
                    match now {
                        Some(now) if changed.is_ok() => {
                            if blocked && !now {
                                self.heard = Instant::now();
                            }
                            blocked = now;
                        }
                        _ => return Leave::Broken(None),
                    }
                }
                _ = ticks.tick(), if !is_idle => {
                    if let Err(error) = self.tick(blocked) {
                        return Leave::Broken(Some(error));
                    }
                    if !self.channel.status().connected() {
                        return Leave::Broken(None);
                    }
                }
            }
        }
    }

    /// Whether the broker is blocked; `None` if the connection is another.
    fn look(&self, status: &Status) -> Option<bool> {
        let same = status.generation().is_some_and(|now| now.number == self.generation.number);
        same.then_some(status.blocked)
    }

    /// How many messages may be sent now. One that has taken a channel down travels alone.
    fn room(&self) -> usize {
        let is_suspect = |sent: &Sent| sent.job.as_ref().is_some_and(Job::is_suspect);
        if self.under_way.back().is_some_and(is_suspect) {
            return 0;
        }
        let open = self.under_way.len() - self.settled;
        let window = self.lane.window;
        window.saturating_sub(open).min((window * MOST_WINDOWS) - self.under_way.len())
    }

    /// Fills the window.
    fn send_waiting(&mut self) -> Result<(), lapin::Error> {
        let room = self.room();
        let jobs: Vec<Job> = {
            let mut waiting = self.lane.waiting();
            let fallen = waiting.iter().position(Job::is_suspect);
            let count = match fallen {
                None => room.min(waiting.len()),
                Some(0) => usize::from(self.under_way.is_empty()),
                Some(before) => room.min(before),
            };
            waiting.drain(..count).collect()
        };
        let mut jobs = jobs.into_iter();
        for job in jobs.by_ref() {
            if job.is_held_back() {
                let error = self.lane.link.status().error();
                job.fail(error);
                continue;
            }
            if let Err(error) = self.send(job) {
                let mut waiting = self.lane.waiting();
                jobs.rev().for_each(|job| waiting.push_front(job));
                return Err(error);
            }
        }
        Ok(())
    }

    /// # Errors
    /// If the channel takes nothing; the message stays among those under way, as not sent by this.
    fn send(&mut self, mut job: Job) -> Result<(), lapin::Error> {
        let message = job.message.clone();
        let name = message.mandatory.then(|| message.name());
        let channel = self.channel.clone();
        let mut confirming: Confirming = Box::pin(quiet(async move {
            let options = BasicPublishOptions { mandatory: message.mandatory, immediate: false };
            let Outgoing { exchange, routing_key, body, properties, .. } = message;
            let published =
                channel.basic_publish(exchange, routing_key, options, &body, properties).await?;
            published.await
        }));
        if self.under_way.is_empty() {
            self.heard = Instant::now();
        }
        self.last_tag += 1;
        // The first poll hands the frames over, so tags follow the order of these polls.
        let first = confirming.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let (acked, refused) = match first {
            Poll::Pending => (None, None),
            Poll::Ready(Ok(confirmation)) => (Some(self.note(confirmation)), None),
            Poll::Ready(Err(error)) => (None, Some(error)),
        };
        job.sent |= refused.is_none();
        job.lacks_exchange = false;
        let tag = self.last_tag;
        self.under_way.push_back(Sent { tag, job: Some(job), name, confirming, acked });
        refused.map_or(Ok(()), Err)
    }

    /// Takes note of a return that came with a confirm; says whether it is an ack.
    fn note(&mut self, confirmation: Confirmation) -> bool {
        self.heard = Instant::now();
        let acked = confirmation.is_ack();
        if !acked {
            self.refused.get_or_insert_with(Instant::now);
        }
        if let Some(returned) = confirmation.take_message() {
            let sent = returned.delivery;
            let name = (sent.exchange, sent.properties.message_id().clone(), sent.routing_key);
            *self.returned.entry(name).or_default() += 1;
        }
        acked
    }

    /// Settles the first message, and those after it whose confirms are there.
    fn settle_ready(
        &mut self,
        first: Result<Option<Confirmation>, lapin::Error>,
    ) -> Result<(), lapin::Error> {
        // What fails stays under way, to be sent again on the next channel.
        let mut confirmation = first?;
        loop {
            let noted = confirmation.map(|confirmation| self.note(confirmation));
            let Some(sent) = self.under_way.pop_front() else { return Ok(()) };
            let acked = sent.acked.or(noted).unwrap_or_default();
            self.confirmed(sent, acked);
            let Some(next) = self.under_way.front_mut() else { return Ok(()) };
            confirmation = match next.acked {
                Some(_) => None,
                None => match next.poll() {
                    Poll::Ready(confirmation) => Some(confirmation?),
                    Poll::Pending => return Ok(()),
                },
            };
        }
    }

    fn confirmed(&mut self, sent: Sent, acked: bool) {
        self.settled -= usize::from(sent.job.is_none());
        match (sent.name, sent.job) {
            (Some(name), job) => {
                self.judging.push_back(Judged { job, name, after: self.last_tag, acked });
            }
            (None, Some(job)) => job.settle(outcome(acked)),
            (None, None) => {}
        }
        self.judge(sent.tag);
    }

    /// Settles the mandatory messages that have nothing more to wait for.
    fn judge(&mut self, done: u64) {
        while self.judging.front().is_some_and(|judged| judged.after <= done) {
            let Some(judged) = self.judging.pop_front() else { return };
            let is_returned = self.take_return(&judged.name);
            let Some(job) = judged.job else { continue };
            job.settle(match is_returned {
                true => Err(TransportError::Unroutable { key: judged.name.2.to_string() }),
                false => outcome(judged.acked),
            });
        }
    }

    fn take_return(&mut self, name: &Name) -> bool {
        match self.returned.get_mut(name) {
            None => return false,
            Some(1) => {
                self.returned.remove(name);
            }
            Some(count) => *count -= 1,
        }
        true
    }

    /// Looks at deadlines, and at what stands behind a message that the broker does not confirm.
    fn tick(&mut self, blocked: bool) -> Result<(), lapin::Error> {
        if self.heard.elapsed() > STUCK {
            self.look_behind()?;
        }
        let late = self.lane.expire() + self.expire();
        let silent = !self.under_way.is_empty() && self.heard.elapsed() > self.lane.patience();
        if late > 0 && silent && !blocked {
            warn!(messages = late, "the broker does not confirm in time; connecting anew");
            self.generation.suspected.notify_one();
        }
        Ok(())
    }

    /// One queue that cannot confirm must not hold back what goes to the others.
    fn look_behind(&mut self) -> Result<(), lapin::Error> {
        for index in 0..self.under_way.len() {
            let sent = &mut self.under_way[index];
            if sent.acked.is_some() {
                continue;
            }
            let Poll::Ready(confirmation) = sent.poll() else { continue };
            let acked = self.note(confirmation?);
            let sent = &mut self.under_way[index];
            sent.acked = Some(acked);
            if sent.name.is_none()
                && let Some(job) = sent.job.take()
            {
                self.settled += 1;
                job.settle(outcome(acked));
            }
        }
        Ok(())
    }

    /// Ends what the broker does not confirm in time; says how much that is.
    fn expire(&mut self) -> usize {
        let now = Instant::now();
        let is_late = |job: &mut Job| job.deadline <= now;
        let mut late = 0;
        for sent in &mut self.under_way {
            if let Some(job) = sent.job.take_if(is_late) {
                late += 1;
                self.settled += 1;
                job.settle(Err(TransportError::Unknown));
            }
        }
        // Those that wait for the confirms of others.
        for judged in &mut self.judging {
            if let Some(job) = judged.job.take_if(is_late) {
                job.settle(Err(TransportError::Unknown));
            }
        }
        late
    }

    /// Puts back what has no outcome, to be sent again on the next channel.
    pub(super) fn leave(self, error: Option<&lapin::Error>) -> Lost {
        // A complaint of the broker's may be about one of those that it has not confirmed.
        let fell = error.is_some_and(is_complaint);
        if let Some(error) = error {
            debug!(%error, "the channel is gone");
        }
        let complaint = error.filter(|_| fell).map(ToString::to_string);
        let missing = complaint.as_deref().and_then(missing_exchange);
        let mut again: VecDeque<Job> =
            self.judging.into_iter().filter_map(|judged| judged.job).collect();
        for sent in self.under_way {
            let Some(mut job) = sent.job else { continue };
            match missing {
                Some(missing) => job.lacks_exchange = missing == job.message.exchange.as_str(),
                None => job.falls += u8::from(fell && sent.acked.is_none()),
            }
            match error {
                Some(error) if job.falls > MOST_FALLS => job.settle(Err(channel_error(error))),
                _ => again.push_back(job),
            }
        }
        let lacks = missing.map(str::to_owned);
        let mut waiting = self.lane.waiting();
        again.append(&mut waiting);
        *waiting = again;
        Lost { complaint, lacks }
    }
}

impl Sent {
    fn poll(&mut self) -> Poll<Result<Confirmation, lapin::Error>> {
        self.confirming.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }
}

fn outcome(acked: bool) -> Outcome {
    match acked {
        true => Ok(()),
        // The broker does not say which queue.
        false => Err(TransportError::Nacked { full: None }),
    }
}

/// Waits for the confirm of the first message on its way; `None` if it was seen before.
async fn next_confirmed(
    under_way: &mut VecDeque<Sent>,
) -> Result<Option<Confirmation>, lapin::Error> {
    match under_way.front_mut() {
        Some(sent) if sent.acked.is_some() => Ok(None),
        Some(sent) => poll_fn(|context| sent.confirming.as_mut().poll(context)).await.map(Some),
        None => pending().await,
    }
}

//! The dead letters of a queue: look at them, bring them back, let them go.
//!
//! The queue of events that nobody listens to ([`Transport::unrouted_queue`]) can be named, too. Nobody
//! has noted anything on what lies there: its reason is [`Reason::Unrouted`], its time is that of the
//! envelope, and bringing it back means to tell those who listen to it by now
//! ([`Destination::Listeners`]).

use std::collections::HashSet;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bloodbank_core::{Code, TopicPattern};
use chrono::{DateTime, Utc};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    Deliveries, Delivery, Destination, Outage, Reason, Settlement, Subscription, Transport,
    TransportError, Verbatim, headers,
};

/// Which dead letters are meant. What is `None` does not choose.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Filter {
    /// Those whose key matches.
    pub key: Option<TopicPattern>,
    /// Those that were parked for this reason.
    pub reason: Option<Reason>,
    /// Those that were parked at least this long ago.
    pub older_than: Option<Duration>,
    /// The one of this envelope id.
    pub id: Option<String>,
}

/// A message that was parked.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The envelope's id, if it is an envelope.
    pub id: Option<String>,
    /// The routing key.
    pub key: String,
    /// Why it was parked.
    pub reason: Option<Reason>,
    /// What the handler or the contract said.
    pub error: Option<String>,
    /// The queue it was parked from, and goes back to.
    pub parked_from: Option<String>,
    /// When it was parked; of an unrouted event, when it was published.
    pub parked_at: Option<DateTime<Utc>>,
    /// When it first failed.
    pub first_failed: Option<DateTime<Utc>>,
    /// How often it was tried.
    pub attempts: u32,
    /// How often it was brought back before.
    pub redrives: u32,
    /// The bytes as they came.
    pub body: Arc<[u8]>,
}

/// What became of the dead letters that were to be brought back.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Redriven {
    /// How many went back to their queue, or out to those who may listen by now.
    pub count: u64,
    /// How many of them nobody listens to, still: they lie where they lay, behind the others.
    pub unrouted: u64,
    /// Those that stayed, by key, and why.
    pub failed: Vec<(String, TransportError)>,
}

impl Filter {
    /// All dead letters.
    pub fn all() -> Self {
        Filter::default()
    }

    fn takes(&self, letter: &DeadLetter) -> bool {
        let old_enough = |age: &Duration| {
            let parked_at = letter.parked_at.map(|at| Utc::now().signed_duration_since(at));
            parked_at.is_some_and(|since| since.to_std().is_ok_and(|since| since >= *age))
        };
        self.key.as_ref().is_none_or(|key| key.matches(&letter.key))
            && self.reason.is_none_or(|reason| letter.reason == Some(reason))
            && self.older_than.as_ref().is_none_or(old_enough)
            && self.id.as_ref().is_none_or(|id| letter.id.as_ref() == Some(id))
    }
}

impl DeadLetter {
    /// An event that nobody listened to. What its headers say of parking is a stranger's.
    fn unrouted(delivery: &Delivery) -> Self {
        let envelope = delivery.envelope().ok();
        DeadLetter {
            id: envelope.map(|envelope| envelope.id.to_string()),
            key: delivery.key.to_string(),
            reason: Some(Reason::Unrouted),
            error: None,
            parked_from: None,
            parked_at: envelope.map(|envelope| envelope.timestamp),
            first_failed: None,
            attempts: 0,
            redrives: headers::count(&delivery.headers, headers::REDRIVES).unwrap_or(0),
            body: delivery.body.clone(),
        }
    }

    fn parked(delivery: &Delivery) -> Self {
        let noted = &delivery.headers;
        let text = |name: &str| headers::text(noted, name);
        let count = |name: &str| headers::count(noted, name).unwrap_or(0);
        DeadLetter {
            id: delivery.id().map(|id| id.to_string()),
            key: delivery.key.to_string(),
            reason: text(headers::REASON).and_then(|word| word.parse().ok()),
            error: text(headers::ERROR).map(str::to_owned),
            parked_from: text(headers::PARKED_FROM).map(str::to_owned),
            parked_at: headers::time(noted, headers::PARKED_AT),
            first_failed: headers::time(noted, headers::FIRST_FAILED),
            attempts: count(headers::ATTEMPTS),
            redrives: count(headers::REDRIVES),
            body: delivery.body.clone(),
        }
    }
}

/// The dead letters in `queue` that are meant. They stay where they are.
///
/// # Errors
/// Those of [`Transport::subscribe`]; [`TransportError::Disconnected`] if the look was cut short.
pub async fn list(
    transport: &dyn Transport,
    queue: &str,
    filter: &Filter,
) -> Result<Vec<DeadLetter>, TransportError> {
    let mut letters = Vec::new();
    let mut last = None;
    let mut look = Look::open(transport, queue, filter).await?;
    while let Some((delivery, letter)) = look.next().await {
        letters.push(letter);
        last = Some(delivery);
    }
    // What was looked at is still ours unless the way to the queue was cut, maybe in the middle.
    let is_whole = last.is_none_or(|last| transport.is_current(&last));
    look.deliveries.close().await;
    let lost = TransportError::Disconnected { outage: Outage::Lost };
    if is_whole { Ok(letters) } else { Err(lost) }
}

/// Brings those that are meant back to the queue they were parked from, as new messages would come:
/// attempts are counted anew, and they do not expire any more. Each leaves the dead letters only when its queue has it.
///
/// An unrouted event is published again, to those who listen by now and not to those who record; its
/// bytes and headers stay as they are, but for the count of its redrives and its expiry. Where nobody listens still,
/// it lies there again, and [`Redriven::unrouted`] counts it.
///
/// `rate` is the most per second.
///
/// # Errors
/// Those of [`Transport::subscribe`]; what happens to single messages is in [`Redriven`].
pub async fn redrive(
    transport: &dyn Transport,
    queue: &str,
    filter: &Filter,
    rate: u32,
) -> Result<Redriven, TransportError> {
    let period = Duration::from_secs(1) / rate.max(1);
    // An interval of nothing, which a very high rate would give, is none.
    let mut pace = interval(period.max(Duration::from_nanos(1)));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut redriven, mut published) = (Redriven::default(), HashSet::new());
    let mut look = Look::open(transport, queue, filter).await?;
    while let Some((delivery, letter)) = look.next().await {
        pace.tick().await;
        match bring_back(transport, &delivery, &letter).await {
            Ok(()) => redriven.count += 1,
            Err(error) => {
                redriven.failed.push((letter.key, error));
                continue;
            }
        }
        if letter.reason == Some(Reason::Unrouted) {
            published.insert((letter.body, letter.redrives.saturating_add(1)));
        }
    }
    look.deliveries.close().await;
    if !published.is_empty() {
        let still = list(transport, queue, filter).await?.into_iter();
        let came_back =
            still.filter(|letter| published.contains(&(letter.body.clone(), letter.redrives)));
        redriven.unrouted = came_back.count() as u64;
    }
    Ok(redriven)
}

/// Lets those go that are meant, and says how many.
///
/// # Errors
/// Those of [`Transport::subscribe`] and [`Transport::settle`].
pub async fn purge(
    transport: &dyn Transport,
    queue: &str,
    filter: &Filter,
) -> Result<u64, TransportError> {
    let mut count = 0;
    let mut look = Look::open(transport, queue, filter).await?;
    while let Some((delivery, _)) = look.next().await {
        transport.settle(&delivery, Settlement::Ack).await?;
        count += 1;
    }
    look.deliveries.close().await;
    Ok(count)
}

async fn bring_back(
    transport: &dyn Transport,
    delivery: &Delivery,
    letter: &DeadLetter,
) -> Result<(), TransportError> {
    let mut message = Verbatim::of(delivery);
    // Who brings it back wants it to be handled.
    message.headers.remove(headers::EXPIRES_AT);
    let to = match letter.reason {
        Some(Reason::Unrouted) => Destination::Listeners,
        _ => {
            NOTES.iter().for_each(|note| drop(message.headers.remove(*note)));
            Destination::queue(letter.parked_from.as_ref().ok_or(TransportError::NoOrigin)?)
        }
    };
    let message =
        message.with_header(headers::REDRIVES, letter.redrives.saturating_add(1).to_string());
    transport.forward(message, to).await?;
    transport.settle(delivery, Settlement::Ack).await
}

/// What is noted on a message that is parked.
const NOTES: [&str; 6] = [
    headers::ATTEMPTS,
    headers::ERROR,
    headers::FIRST_FAILED,
    headers::PARKED_AT,
    headers::PARKED_FROM,
    headers::REASON,
];

/// A look at what lies in a queue now.
struct Look<'l> {
    deliveries: Deliveries,
    filter: &'l Filter,
    is_unrouted: bool,
}

impl<'l> Look<'l> {
    async fn open(
        transport: &dyn Transport,
        queue: &str,
        filter: &'l Filter,
    ) -> Result<Self, TransportError> {
        let is_unrouted = transport.unrouted_queue().is_some_and(|unrouted| unrouted == queue);
        let deliveries = transport.subscribe(Subscription::browse(queue)).await?;
        Ok(Look { deliveries, filter, is_unrouted })
    }

    /// The next that is meant.
    async fn next(&mut self) -> Option<(Delivery, DeadLetter)> {
        while let Some(delivery) = self.deliveries.recv().await {
            let letter = match self.is_unrouted {
                true => DeadLetter::unrouted(&delivery),
                false => DeadLetter::parked(&delivery),
            };
            if self.filter.takes(&letter) {
                return Some((delivery, letter));
            }
        }
        None
    }
}

impl FromStr for Reason {
    type Err = ReasonError;

    fn from_str(word: &str) -> Result<Self, ReasonError> {
        let found = Reason::ALL.into_iter().find(|reason| reason.as_str() == word);
        found.ok_or_else(|| ReasonError { word: word.to_owned() })
    }
}

/// A word that is not a [`Reason`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not a reason; reasons are {}", Reason::ALL.map(Reason::as_str).join(", "))]
#[non_exhaustive]
pub struct ReasonError {
    /// The word.
    pub word: String,
}

impl ReasonError {
    /// Its code, [`Code::NotAReason`].
    pub fn code(&self) -> Code {
        Code::NotAReason
    }
}

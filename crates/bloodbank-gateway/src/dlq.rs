//! `/dlq`: dead letters, listed, brought back, and let go.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bloodbank_access::Caller;
use bloodbank_bus::dead_letters::{self, DeadLetter, Filter};
use bloodbank_bus::{Reason, TransportError, dead_letters_of};
use bloodbank_core::{Code, Contracts, Delay};
use candystore::{AuditOutcome, body_field};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::audit::{Origin, note};
use crate::caller::{Operator, Reader};
use crate::parameters::{Path, Queries};
use crate::problem::{Answer, Problem, ProblemBody};
use crate::{Gateway, queues};

/// How many messages a second are brought back, unless it is said.
const RATE: u32 = 100;

pub(crate) fn routes() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(dead_letter_queues))
        .routes(routes!(letters))
        .routes(routes!(redrive))
        .routes(routes!(purge))
}

/// The dead-letter queues.
#[derive(Debug, Serialize, ToSchema)]
struct DeadLetterQueues {
    /// Each, by name.
    queues: Vec<DeadLetterQueue>,
}

/// A dead-letter queue.
#[derive(Debug, Serialize, ToSchema)]
struct DeadLetterQueue {
    /// Its name.
    queue: String,
    /// How many dead letters lie in it.
    messages: u64,
}

/// Which dead letters are meant: those that pass everything that is given.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Those whose routing key matches: a key, or a pattern.
    key: Option<String>,
    /// Those that were put aside for this reason.
    #[param(example = "exhausted")]
    reason: Option<String>,
    /// Those that were put aside at least so long ago: `10m`, `2h`.
    #[param(value_type = Option<String>, pattern = "^[1-9][0-9]{0,2}(ms|s|m|h)$")]
    older_than: Option<Delay>,
    /// The one of this id.
    id: Option<Uuid>,
}

impl Which {
    fn filter(&self) -> Answer<Filter> {
        let wrong = |name: &str, error: &dyn std::fmt::Display| {
            Problem::parameter(format!("parameter `{name}` of the query: {error}"))
        };
        let mut filter = Filter::all();
        filter.key = match &self.key {
            Some(key) => Some(key.parse().map_err(|error| wrong("key", &error))?),
            None => None,
        };
        filter.reason = match &self.reason {
            Some(word) => Some(word.parse::<Reason>().map_err(|error| wrong("reason", &error))?),
            None => None,
        };
        filter.older_than = self.older_than.map(Delay::duration);
        filter.id = self.id.map(|id| id.to_string());
        Ok(filter)
    }
}

/// How many are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Most {
    /// The most dead letters; 100 unless it is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Whether it is done.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Confirm {
    /// Do it; without it nothing is changed, and the answer says what would be done.
    #[serde(default)]
    confirm: Option<bool>,
    /// The most messages a second; 100 unless it is said. Nothing is let go more slowly for it.
    #[param(minimum = 1, maximum = 100000)]
    rate: Option<u32>,
}

impl Confirm {
    pub(crate) fn is_given(&self) -> bool {
        self.confirm == Some(true)
    }
}

/// Dead letters of a queue.
#[derive(Debug, Serialize, ToSchema)]
struct DeadLetters {
    /// The queue in which they lie.
    queue: String,
    /// How many are meant.
    count: usize,
    /// How many there are of each reason.
    reasons: BTreeMap<&'static str, usize>,
    /// The first of them.
    letters: Vec<Letter>,
}

/// A message that was put aside.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
struct Letter {
    /// The id of its envelope, if it is an envelope.
    id: Option<String>,
    /// The routing key that it travelled under.
    key: String,
    /// Why it was put aside, in a word.
    reason: Option<&'static str>,
    /// What the handler or the contract said.
    error: Option<String>,
    /// The queue that it goes back to.
    parked_from: Option<String>,
    /// When it was put aside.
    parked_at: Option<DateTime<Utc>>,
    /// When it first failed.
    first_failed: Option<DateTime<Utc>>,
    /// How often it was tried.
    attempts: u32,
    /// How often it was brought back before.
    redrives: u32,
    /// The message as it came, if it is JSON; sensitive values are hidden from who may not see them.
    #[serde(skip_serializing_if = "Option::is_none")]
    envelope: Option<Value>,
    /// The message, if it is a text and not JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The bytes of the message in hexadecimal digits, if it is not a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_hex: Option<String>,
}

impl Letter {
    fn of(contracts: &Contracts, caller: &Caller, letter: DeadLetter) -> Self {
        let shown = match caller.sees_sensitive() {
            true => letter.body[..].into(),
            false => contracts.hide_message(&letter.key, &letter.body),
        };
        let envelope: Option<Value> = serde_json::from_slice(&shown).ok();
        let (body, body_hex) = match (&envelope, body_field(&shown)) {
            (Some(_), _) => (None, None),
            (None, ("body", text)) => (Some(text), None),
            (None, (_, hex)) => (None, Some(hex)),
        };
        Letter {
            id: letter.id,
            reason: letter.reason.map(Reason::as_str),
            error: letter.error,
            parked_from: letter.parked_from,
            parked_at: letter.parked_at,
            first_failed: letter.first_failed,
            attempts: letter.attempts,
            redrives: letter.redrives,
            key: letter.key,
            envelope,
            body,
            body_hex,
        }
    }
}

/// What was done with dead letters, or would be.
#[derive(Debug, Serialize, ToSchema)]
struct Done {
    /// The queue in which they lay.
    queue: String,
    /// Whether nothing was changed, as it was not confirmed.
    dry_run: bool,
    /// How many are meant, or went back, or were let go.
    count: u64,
    /// How many of those that were brought back nobody listens to, still: they lie there again.
    unrouted: u64,
    /// Those that stayed, and why.
    stayed: Vec<Stayed>,
}

/// A dead letter that could not be brought back.
#[derive(Debug, Serialize, ToSchema)]
struct Stayed {
    /// Its routing key.
    key: String,
    /// The code of what is wrong.
    code: &'static str,
}

/// List the dead-letter queues
#[utoipa::path(get, path = "/dlq", tag = "operations",
    responses(
        (status = 200, description = "The dead-letter queues.", body = DeadLetterQueues),
        (status = "4XX", description = "It is not for this caller.", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = "5XX", description = "The bus cannot be asked.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
async fn dead_letter_queues(
    State(gateway): State<Gateway>,
    Reader(_caller): Reader,
) -> Answer<Json<DeadLetterQueues>> {
    let unrouted = gateway.transport().unrouted_queue();
    let all = queues::all(&gateway).await?.into_iter();
    let dead = all.filter(|queue| {
        queue.exists && (queue.name.ends_with(".dlq") || Some(&queue.name) == unrouted.as_ref())
    });
    let queues = dead.map(|queue| DeadLetterQueue { queue: queue.name, messages: queue.waiting });
    Ok(Json(DeadLetterQueues { queues: queues.collect() }))
}

/// List dead letters
///
/// Of a dead-letter queue, or of the queue that they were put aside from.
#[utoipa::path(get, path = "/dlq/{queue}", tag = "operations",
    params(("queue" = String, Path, description = "The dead-letter queue, or the queue whose it is"), Which, Most),
    responses(
        (status = 200, description = "Dead letters.", body = DeadLetters),
        (status = "4XX", description = "There is no such queue, or it is not for this caller.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "The bus cannot be asked.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
async fn letters(
    State(gateway): State<Gateway>,
    Reader(caller): Reader,
    Path(queue): Path<String>,
    Queries(which, most): Queries<Which, Most>,
) -> Answer<Json<DeadLetters>> {
    let limit = crate::events::limit(most.limit, 100, 1_000)?;
    let (queue, filter) = (meant(&gateway, queue), which.filter()?);
    let letters = dead_letters::list(&**gateway.transport(), &queue, &filter).await?;
    let mut reasons = BTreeMap::new();
    for letter in &letters {
        *reasons.entry(letter.reason.map_or("unknown", Reason::as_str)).or_default() += 1;
    }
    let (contracts, count) = (gateway.contracts(), letters.len());
    let shown = letters.into_iter().take(limit);
    let letters = shown.map(|letter| Letter::of(&contracts, &caller, letter)).collect();
    Ok(Json(DeadLetters { queue, count, reasons, letters }))
}

/// Bring dead letters back
///
/// Each to the queue that it was put aside from; unrouted events to those who listen by now. A dry run unless
/// it is confirmed.
#[utoipa::path(post, path = "/dlq/{queue}/redrive", tag = "operations",
    params(("queue" = String, Path, description = "The dead-letter queue, or the queue whose it is"), Which, Confirm),
    responses(
        (status = 200, description = "What was done, or would be.", body = Done),
        (status = "4XX", description = "There is no such queue, or it is not for this caller.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "The bus cannot be asked.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
async fn redrive(
    State(gateway): State<Gateway>,
    Operator(caller): Operator,
    origin: Origin,
    Path(queue): Path<String>,
    Queries(which, confirm): Queries<Which, Confirm>,
) -> Answer<Json<Done>> {
    let (queue, filter) = (meant(&gateway, queue), which.filter()?);
    if !confirm.is_given() {
        return dry_run(&gateway, queue, &filter).await;
    }
    let rate = confirm.rate.unwrap_or(RATE).max(1);
    to_the_end(async move {
        let transport = gateway.transport().clone();
        let redriven = dead_letters::redrive(&*transport, &queue, &filter, rate).await;
        let came = match &redriven {
            Ok(done) if done.failed.is_empty() => {
                (AuditOutcome::Done, format!("{} went back", done.count))
            }
            Ok(done) => (AuditOutcome::Failed, format!("{} went back, others stayed", done.count)),
            Err(error) => (AuditOutcome::Failed, error.code().to_string()),
        };
        note(&gateway, &caller, &origin, "dlq.redrive", &queue, came).await;
        let redriven = redriven?;
        let stayed =
            |(key, error): (String, TransportError)| Stayed { key, code: error.code().as_str() };
        Ok(Done {
            queue,
            dry_run: false,
            count: redriven.count,
            unrouted: redriven.unrouted,
            stayed: redriven.failed.into_iter().map(stayed).collect(),
        })
    })
    .await
}

/// Let dead letters go for good
///
/// A dry run unless it is confirmed.
#[utoipa::path(post, path = "/dlq/{queue}/purge", tag = "operations",
    params(("queue" = String, Path, description = "The dead-letter queue, or the queue whose it is"), Which, Confirm),
    responses(
        (status = 200, description = "What was done, or would be.", body = Done),
        (status = "4XX", description = "There is no such queue, or it is not for this caller.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "The bus cannot be asked.", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
async fn purge(
    State(gateway): State<Gateway>,
    Operator(caller): Operator,
    origin: Origin,
    Path(queue): Path<String>,
    Queries(which, confirm): Queries<Which, Confirm>,
) -> Answer<Json<Done>> {
    let (queue, filter) = (meant(&gateway, queue), which.filter()?);
    if !confirm.is_given() {
        return dry_run(&gateway, queue, &filter).await;
    }
    to_the_end(async move {
        let purged = dead_letters::purge(&**gateway.transport(), &queue, &filter).await;
        let came = match &purged {
            Ok(count) => (AuditOutcome::Done, format!("{count} gone")),
            Err(error) => (AuditOutcome::Failed, error.code().to_string()),
        };
        note(&gateway, &caller, &origin, "dlq.purge", &queue, came).await;
        Ok(Done { queue, dry_run: false, count: purged?, unrouted: 0, stayed: Vec::new() })
    })
    .await
}

/// The queue in which dead letters lie: the one that is named, or that of the one that is named.
fn meant(gateway: &Gateway, queue: String) -> String {
    let is_unrouted = gateway.transport().unrouted_queue().as_ref() == Some(&queue);
    if queue.ends_with(".dlq") || is_unrouted { queue } else { dead_letters_of(&queue) }
}

async fn dry_run(gateway: &Gateway, queue: String, filter: &Filter) -> Answer<Json<Done>> {
    let letters = dead_letters::list(&**gateway.transport(), &queue, filter).await?;
    let count = letters.len() as u64;
    Ok(Json(Done { queue, dry_run: true, count, unrouted: 0, stayed: Vec::new() }))
}

/// Does it to the end, also where nobody waits for the answer any more.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Answer<T>> + Send + 'static,
) -> Answer<Json<T>> {
    match tokio::spawn(work).await {
        Ok(done) => done.map(Json),
        Err(_) => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Err(Problem::internal(status, Code::InternalError, "a task has panicked"))
        }
    }
}

//! Events as a workflow publishes them: one cause, what follows from it, and what that leads to.

use std::sync::Arc;

use bloodbank::candystore::Incoming;
use bloodbank::serde_json::{Value, json};
use bloodbank::uuid::Uuid;
use bloodbank::{Envelope, Kind, Meta, events};

pub(crate) const SOURCE: &str = "theboard-producer";
/// The events of a meeting, each the effect of the one before.
const STEPS: [&str; 9] = [
    CREATED,
    "theboard.meeting.started",
    COMMENT,
    COMMENT,
    "theboard.round.completed",
    COMMENT,
    COMMENT,
    "theboard.round.completed",
    "theboard.meeting.completed",
];
const CREATED: &str = "theboard.meeting.created";
/// A key that four of nine events have.
pub(crate) const COMMENT: &str = "theboard.comment.extracted";
/// A key that the last event of one meeting in [`FAILING`] has.
pub(crate) const FAILED: &str = "theboard.meeting.failed";
const FAILING: usize = 100;

/// One event, ready to be stored.
pub(crate) struct Event {
    pub(crate) key: Arc<str>,
    /// Without its payload.
    pub(crate) envelope: Envelope,
    pub(crate) body: Arc<[u8]>,
}

impl Event {
    pub(crate) fn incoming(&self) -> Incoming {
        Incoming::new(Kind::Event, self.key.clone(), self.body.clone())
    }
}

/// Any number of events, meeting after meeting.
pub(crate) struct Workflow {
    steps: Vec<Step>,
    failed: Step,
    number: usize,
    meeting: Value,
    cause: Option<Envelope>,
}

#[derive(Clone)]
struct Step {
    key: Arc<str>,
    schema: Option<String>,
    payload: Value,
}

impl Workflow {
    pub(crate) fn new() -> Self {
        let steps = STEPS.into_iter().map(Step::new).collect();
        let failed = Step::new(FAILED);
        Workflow { steps, failed, number: 0, meeting: Value::Null, cause: None }
    }
}

impl Iterator for Workflow {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let (meeting, step) = (self.number / STEPS.len(), self.number % STEPS.len());
        self.number += 1;
        let is_last = step + 1 == STEPS.len();
        let step = match is_last && meeting.is_multiple_of(FAILING) {
            true => &self.failed,
            false => &self.steps[step],
        };
        if self.cause.is_none() {
            self.meeting = json!(Uuid::now_v7());
        }
        let mut payload = step.payload.clone();
        payload["meeting_id"] = self.meeting.clone();
        let meta = self.cause.as_ref().map_or(Meta::new(), |cause| Meta::new().caused_by(cause));
        let mut envelope = Envelope::new(&*step.key, SOURCE, payload, meta);
        envelope.schema.clone_from(&step.schema);
        let body = envelope.to_bytes().expect("JSON").into();
        envelope.data = Value::Null;
        self.cause = (!is_last).then(|| envelope.clone());
        Some(Event { key: step.key.clone(), envelope, body })
    }
}

impl Step {
    /// The last example of the contract is the shorter one.
    fn new(key: &str) -> Self {
        let contracts = events::contracts();
        let bundle = contracts.bundle();
        let contract = contracts.contract(key).expect("a contract");
        let payload = bundle.examples(contract).last().expect("an example").clone();
        let schema = Some(contract.schema_id.clone());
        Step { key: key.into(), schema, payload }
    }
}

//! A small catalog, written by hand as generated code would be.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::sync::{Arc, LazyLock};

use bloodbank_bus::{Exchange, InMemory, Queue, Topology, Transport};
use bloodbank_core::{
    Command, Contract, Contracts, Envelope, Event, Kind, Meta, Produces, Sends, Service, Validated,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

static CONTRACTS: LazyLock<Contracts> = LazyLock::new(|| {
    let contract = |kind: &str, key: &str, version: u32, definition: &str| {
        json!({
            "kind": kind, "keys": [key], "version": version, "schema_id": format!("https://example.test/{key}"),
            "title": key, "rust_type": "T", "definition": definition,
        })
    };
    let service = |name: &str, produces: &[&str], sends: &[&str]| {
        json!({
            "name": name, "rust_type": "S", "produces": produces, "consumes": [], "sends": sends,
            "handles": [],
        })
    };
    let bundle = json!({
        "contracts": [
            contract("event", "theboard.meeting.created", 1, "meeting"),
            contract("event", "theboard.meeting.created", 2, "anything"),
            contract("event", "theboard.meeting.ended", 1, "anything"),
            contract("event", "llm.prompt", 1, "anything"),
            contract("command", "theboard.meeting.create", 1, "create"),
        ],
        "services": [
            service("board", &["theboard.meeting.created"], &["theboard.meeting.create"]),
            service("idle", &[], &[]),
        ],
        "$defs": {
            "anything": true,
            "create": {"type": "object", "properties": {"topic": {"type": "string"}}},
            "meeting": {
                "type": "object",
                "properties": {
                    "event_type": {"const": "theboard.meeting.created"},
                    "meeting_id": {"type": "string", "format": "uuid"},
                    "topic": {"type": "string", "minLength": 1, "maxLength": 100},
                    "strategy": {"enum": ["simple", "multi_agent"]},
                    "max_rounds": {"type": "integer", "minimum": 1, "maximum": 10},
                    "participants": {"type": "array", "items": {"type": "string"}},
                    "created_at": {"type": "string", "format": "date-time"},
                },
                "required": ["event_type", "meeting_id", "topic", "max_rounds"],
                "additionalProperties": false,
            },
        },
    });
    Contracts::from_json(&bundle.to_string()).unwrap()
});

pub fn contracts() -> &'static Contracts {
    &CONTRACTS
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event_type", rename = "theboard.meeting.created")]
pub struct MeetingCreated {
    pub meeting_id: String,
    pub topic: String,
    pub strategy: String,
    pub max_rounds: u32,
    pub participants: Vec<String>,
    pub created_at: String,
}

impl Contract for MeetingCreated {
    const KIND: Kind = Kind::Event;
    const KEYS: &'static [&'static str] = &["theboard.meeting.created"];
    const VERSION: u32 = 1;
    const SCHEMA_ID: &'static str = "https://example.test/theboard.meeting.created";

    fn contracts() -> &'static Contracts {
        contracts()
    }
}

impl Event for MeetingCreated {}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CreateMeeting {
    pub topic: String,
}

impl Contract for CreateMeeting {
    const KIND: Kind = Kind::Command;
    const KEYS: &'static [&'static str] = &["theboard.meeting.create"];
    const VERSION: u32 = 1;
    const SCHEMA_ID: &'static str = "https://example.test/theboard.meeting.create";

    fn contracts() -> &'static Contracts {
        contracts()
    }
}

impl Command for CreateMeeting {}

pub struct Board;

impl Service for Board {
    const NAME: &'static str = "board";

    fn contracts() -> &'static Contracts {
        contracts()
    }
}

impl Produces<MeetingCreated> for Board {}
impl Sends<CreateMeeting> for Board {}

/// In the registry, with nothing to say.
pub struct Idle;

impl Service for Idle {
    const NAME: &'static str = "idle";

    fn contracts() -> &'static Contracts {
        contracts()
    }
}

/// What generated code calls `services::Any`.
pub struct Any;

impl Service for Any {
    const NAME: &'static str = "any";
    const UNRESTRICTED: bool = true;

    fn contracts() -> &'static Contracts {
        contracts()
    }
}

pub fn meeting(topic: &str) -> MeetingCreated {
    MeetingCreated {
        meeting_id: "550e8400-e29b-41d4-a716-446655440000".into(),
        topic: topic.into(),
        strategy: "multi_agent".into(),
        max_rounds: 3,
        participants: vec!["ada".into(), "grace".into()],
        created_at: "2026-01-31T12:00:00Z".into(),
    }
}

/// A validated envelope around anything.
pub fn envelope(key: &str, data: Value) -> Validated<Envelope> {
    contracts().validate(Envelope::new(key, "test", data, Meta::new())).unwrap()
}

pub fn queue(name: &str, patterns: &[&str]) -> Queue {
    let bind =
        |queue: Queue, pattern: &&str| queue.bind(Exchange::Events, pattern.parse().unwrap());
    patterns.iter().fold(Queue::new(name), bind)
}

pub async fn bus(queues: impl IntoIterator<Item = Queue>) -> (InMemory, Arc<dyn Transport>) {
    let bus = InMemory::new();
    let topology = queues.into_iter().fold(Topology::new(), Topology::with_queue);
    bus.declare(&topology).await.unwrap();
    (bus.clone(), Arc::new(bus))
}

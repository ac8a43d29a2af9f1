//! A small catalog, written by hand as generated code would be, and what tests make of it.

use std::sync::{Arc, LazyLock};

use bloodbank_bus::{Exchange, InMemory, Queue, Topology, Transport};
use bloodbank_core::{
    AnsweredWith, Command, Consumes, Contract, Contracts, Envelope, Event, Handles, Kind, Meta,
    Produces, Sends, Service, Validated,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

static CONTRACTS: LazyLock<Contracts> = LazyLock::new(|| {
    let contract = |kind: &str, key: &str, version: u32, definition: &str| {
        json!({
            "kind": kind, "keys": [key], "version": version,
            "schema_id": format!("https://example.test/{key}"),
            "title": key, "rust_type": "T", "definition": definition,
        })
    };
    let service = |name: &str, produces: &[&str], sends: &[&str], queues: Value| {
        json!({
            "name": name, "rust_type": "S", "produces": produces, "consumes": [], "sends": sends,
            "handles": [], "queues": queues,
        })
    };
    let bundle = json!({
        "contracts": [
            contract("event", "terminal.mooring.created", 1, "mooring"),
            contract("event", "terminal.mooring.created", 2, "anything"),
            contract("event", "terminal.mooring.ended", 1, "anything"),
            contract("event", "lot.parcel", 1, "anything"),
            contract("event", "lot.session.started", 1, "anything"),
            contract("command", "terminal.mooring.create", 1, "create"),
            contract("command", "terminal.mooring.count", 1, "count"),
        ],
        "services": [
            service(
                "board", &["terminal.mooring.created"], &["terminal.mooring.create"], json!([]),
            ),
            service("idle", &[], &[], json!([])),
            service(
                "listener", &[], &[],
                json!([{"name": "listener", "bindings": ["lot.parcel", "lot.session.#"]}]),
            ),
            json!({
                "name": "limited", "rust_type": "S", "produces": [], "consumes": [], "sends": [],
                "handles": ["terminal.mooring.create"],
                "queues": [{
                    "name": "limited", "bindings": ["lot.parcel"], "max_length": 5,
                    "retries": ["100ms", "200ms"],
                }],
                "limits": {"max_length": 7, "retries": ["150ms"]},
            }),
        ],
        "$defs": {
            "anything": true,
            "create": {"type": "object", "properties": {"topic": {"type": "string"}}},
            "count": {
                "type": "object",
                "properties": {"quay": {"type": "string"}},
                "x-bloodbank-reply": {
                    "type": "object",
                    "properties": {
                        "ships": {"type": "integer", "minimum": 0, "maximum": 9},
                        "harbour_master": {
                            "type": "string", "maxLength": 9, "x-bloodbank-sensitive": true,
                        },
                    },
                    "required": ["ships"],
                    "additionalProperties": false,
                },
            },
            "mooring": {
                "type": "object",
                "properties": {
                    "event_type": {"const": "terminal.mooring.created"},
                    "mooring_id": {"type": "string", "format": "uuid"},
                    "topic": {"type": "string", "minLength": 1, "maxLength": 100},
                    "strategy": {"enum": ["simple", "multi_agent"]},
                    "max_rounds": {"type": "integer", "minimum": 1, "maximum": 10},
                    "participants": {"type": "array", "items": {"type": "string"}},
                    "created_at": {"type": "string", "format": "date-time"},
                },
                "required": ["event_type", "mooring_id", "topic", "max_rounds"],
                "additionalProperties": false,
            },
        },
    });
    Contracts::from_json(&bundle.to_string()).unwrap()
});

/// The contracts of the catalog.
#[must_use]
pub fn contracts() -> Contracts {
    CONTRACTS.clone()
}

/// Makes contracts of types, as generated code would.
macro_rules! contracts {
    ($($name:ident: $kind:ident, $key:literal, $version:literal;)+) => {$(
        impl Contract for $name {
            const KIND: Kind = Kind::$kind;
            const KEYS: &'static [&'static str] = &[$key];
            const VERSION: u32 = $version;
            const SCHEMA_ID: &'static str = concat!("https://example.test/", $key);

            fn contracts() -> Contracts {
                contracts()
            }
        }

    )+};
}

contracts! {
    MooringCreated: Event, "terminal.mooring.created", 1;
    MooringCreatedV2: Event, "terminal.mooring.created.v2", 2;
    Parcel: Event, "lot.parcel", 1;
    CreateMooring: Command, "terminal.mooring.create", 1;
    CountShips: Command, "terminal.mooring.count", 1;
}

impl Event for MooringCreated {}
impl Event for MooringCreatedV2 {}
impl Event for Parcel {}

impl Command for CreateMooring {
    type Reply = Value;
}
impl<R> AnsweredWith<R> for CreateMooring {}

impl Command for CountShips {
    type Reply = CountShipsReply;
}
impl AnsweredWith<CountShipsReply> for CountShips {}

/// An event whose contract is strict: a topic of 1 to 100 characters, 1 to 10 rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event_type", rename = "terminal.mooring.created")]
#[allow(missing_docs)]
pub struct MooringCreated {
    pub mooring_id: String,
    pub topic: String,
    pub strategy: String,
    pub max_rounds: u32,
    pub participants: Vec<String>,
    pub created_at: String,
}

/// Its second version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MooringCreatedV2 {
    /// The topic of version 1.
    pub title: String,
}

impl From<MooringCreated> for MooringCreatedV2 {
    fn from(old: MooringCreated) -> Self {
        MooringCreatedV2 { title: old.topic }
    }
}

/// An event with a number, by which tests tell one from another. Its contract takes anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    /// The number.
    pub n: u32,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CreateMooring {
    /// What it is about.
    pub topic: String,
}

/// A command whose schema says what it is answered with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CountShips {
    /// Where.
    pub quay: String,
}

/// The answer to it: 0 to 9 ships, and a name of at most 9 letters, which is never shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct CountShipsReply {
    pub ships: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harbour_master: Option<String>,
}

/// Makes services, as generated code would.
macro_rules! services {
    ($($(#[$doc:meta])* $type:ident: $name:literal, $unrestricted:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $type;

        impl Service for $type {
            const NAME: &'static str = $name;
            const UNRESTRICTED: bool = $unrestricted;

            fn contracts() -> Contracts {
                contracts()
            }
        }
    )+};
}

services! {
    /// Produces [`MooringCreated`], sends [`CreateMooring`].
    Board: "board", false;
    /// In the registry, with nothing to say.
    Idle: "idle", false;
    /// Listens to [`Parcel`] and `lot.session.#` on its queue of the registry, `listener`.
    Listener: "listener", false;
    /// Listens to [`Parcel`] on its queue of the registry, `limited`, with room for 5 messages and two
    /// retries after 100 ms and 200 ms. Carries out [`CreateMooring`], with room for 7 and one retry
    /// after 150 ms.
    Limited: "limited", false;
    /// What generated code calls `services::Any`.
    Any: "any", true;
}

impl Produces<MooringCreated> for Board {}
impl Sends<CreateMooring> for Board {}
impl Consumes<Parcel> for Listener {}
impl Consumes<Parcel> for Limited {}
impl Handles<CreateMooring> for Limited {}

impl<E: Event> Produces<E> for Any {}
impl<E: Event> Consumes<E> for Any {}
impl<C: Command> Sends<C> for Any {}
impl<C: Command> Handles<C> for Any {}

/// A mooring that keeps its contract, if the topic does.
#[must_use]
pub fn mooring(topic: &str) -> MooringCreated {
    MooringCreated {
        mooring_id: "550e8400-e29b-41d4-a716-446655440000".into(),
        topic: topic.into(),
        strategy: "multi_agent".into(),
        max_rounds: 3,
        participants: vec!["ada".into(), "grace".into()],
        created_at: "2026-01-31T12:00:00Z".into(),
    }
}

/// A validated envelope around anything that keeps the contract of the key.
#[must_use]
pub fn envelope(key: &str, data: Value) -> Validated<Envelope> {
    contracts().validate(Envelope::new(key, "test", data, Meta::new())).unwrap()
}

/// A queue that is bound to these patterns of events.
#[must_use]
pub fn queue(name: &str, patterns: &[&str]) -> Queue {
    let bind =
        |queue: Queue, pattern: &&str| queue.bind(Exchange::Events, pattern.parse().unwrap());
    patterns.iter().fold(Queue::new(name), bind)
}

/// A bus in memory with these queues, as itself and as any transport.
pub async fn bus(queues: impl IntoIterator<Item = Queue>) -> (InMemory, Arc<dyn Transport>) {
    let bus = InMemory::new();
    let topology = queues.into_iter().fold(Topology::new(), Topology::with_queue);
    bus.declare(&topology).await.unwrap();
    (bus.clone(), Arc::new(bus))
}

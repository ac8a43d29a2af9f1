//! Every error has a code that says what it is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bloodbank::amqp::{AmqpConfig, BrokerHost, ConfigProblem, ConnectError, HostError};
use bloodbank::candystore::{
    CursorError, Damage, EventStore, Field, Foreign, Incoming, LineFault, Order, RecordError,
    ReplayError, Standing, StoreError, StoreOptions, StoreUrl,
};
use bloodbank::events::{self, services};
use bloodbank::serde_json::{Value, json};
use bloodbank::uuid::Uuid;
use bloodbank::{
    Bus, BusError, CallError, Code, Conflict, Contracts, Delay, Envelope, FullQueue, Meta, Outage,
    PublishError, Queue, QueueProperty, Reason, RoutingKey, SealError, SetupFault, SubscribeError,
    Topology, TransportError, codec, escape_control, schema,
};

use crate::scratch::workspace;

#[tokio::test]
async fn what_a_publisher_refuses_has_the_code_of_the_cause() {
    let bus = Bus::in_memory(events::contracts());
    let publisher = bus.dynamic_publisher("theboard-producer").unwrap();
    let publish = async |key: &str, data: Value| {
        publisher.publish(key, data).await.map(|_| ()).unwrap_err().code()
    };
    assert_eq!(publish("no.such.key", json!({})).await, Code::UnknownKey);
    assert_eq!(publish("llm.prompt", json!({})).await, Code::NotAllowed);
    assert_eq!(publish("github.pull_request.merge", json!({})).await, Code::WrongKind);
    let nobody = bus.dynamic_publisher("nobody").map(|_| ()).unwrap_err();
    assert_eq!(nobody.code(), Code::UnknownService);

    let any = bus.unrestricted_publisher("test");
    let refused = any.publish("llm.prompt", json!({})).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.code(), Code::PayloadRefused);
    let merge = events::contracts();
    let merge = merge.bundle().contract("github.pull_request.merge").unwrap().clone();
    let example = events::contracts().bundle().examples(&merge)[0].clone();
    let sent = any.send("github.pull_request.merge", example.clone()).await;
    assert_eq!(sent.map(|_| ()).unwrap_err().code(), Code::Unroutable);

    let id = Uuid::nil();
    let waited = Duration::from_secs(1);
    let publish = PublishError::Transport { id, source: TransportError::Unknown };
    assert_eq!(CallError::from(publish).code(), Code::OutcomeUnknown);
    assert_eq!(CallError::NoAnswer { id, waited }.code(), Code::NoAnswer);
    assert_eq!(CallError::WayBackLost { id }.code(), Code::AnswerLost);
    let reason = "x".to_owned();
    assert_eq!(CallError::Handler { id, reason: reason.clone() }.code(), Code::HandlerFailed);
    assert_eq!(CallError::Decode { id, reason }.code(), Code::AnswerUnreadable);
}

#[test]
fn what_is_not_a_payload_or_envelope_has_a_code() {
    let contracts = events::contracts();
    let decode = |key: &str, bytes: &[u8]| {
        codec::decode_any::<Value>(&contracts, key, bytes).map(|_| ()).unwrap_err().code()
    };
    assert_eq!(decode("llm.prompt", b"{"), Code::NotJson);
    assert_eq!(decode("llm.prompt", b"{}"), Code::PayloadRefused);
    assert_eq!(decode("no.such", b"{}"), Code::UnknownKey);
    let other = <events::llm::Prompt as codec::Payload>::from_valid("no.such", &json!({}));
    assert_eq!(other.map(|_| ()).unwrap_err().code(), Code::OtherType);

    let read = |key: &str, bytes: &[u8]| Envelope::read(key, bytes).unwrap_err().code();
    assert_eq!(read("a.b", b"[]"), Code::EnvelopeMalformed);
    let envelope = Envelope::new("a.b", "me", json!({}), Meta::new()).to_bytes().unwrap();
    assert_eq!(read("a.c", &envelope), Code::EnvelopeOtherKey);
    let envelope = Envelope::new("a.b", "", json!({}), Meta::new()).to_bytes().unwrap();
    assert_eq!(read("a.b", &envelope), Code::EnvelopeRefused);

    let broken = schema::Validator::new(&json!({"type": "nothing"})).unwrap_err();
    assert_eq!(broken.code(), Code::SchemaUnusable);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.created.v1.json"), "{").unwrap();
    assert_eq!(Contracts::read(folder.path(), None).unwrap_err().code(), Code::ContractsBroken);
    assert_eq!(Code::from(&"A".parse::<RoutingKey>().unwrap_err()), Code::NotAKey);
    assert_eq!(Code::from(&"soon".parse::<Delay>().unwrap_err()), Code::NotADelay);
    assert_eq!("why".parse::<Reason>().unwrap_err().code(), Code::NotAReason);
    let service = "nobody".to_owned();
    assert_eq!(SealError::UnknownService { service }.code(), Code::UnknownService);
}

#[tokio::test]
async fn what_the_bus_cannot_do_says_so_in_its_parts() {
    let bus = Bus::in_memory(events::contracts());
    let transport = bus.transport();
    transport.declare(&Topology::new().with_queue(Queue::new("q"))).await.unwrap();
    let otherwise = Topology::new().with_queue(Queue::new("q").ordered().with_max_len(1));
    let error = transport.declare(&otherwise).await.unwrap_err();
    let which = vec![QueueProperty::Limit, QueueProperty::Order];
    let conflict = Conflict::Properties(which);
    assert_eq!(error, TransportError::Conflict { name: "q".to_owned(), conflict });
    assert_eq!(error.code(), Code::DeclarationConflict);

    let subscriber = bus.subscriber::<services::Any>().bind("llm.#").queue("q").bind("a..b");
    let error = subscriber.run_until(std::future::ready(())).await.unwrap_err();
    assert_eq!(error.code(), Code::SubscriberSetup);
    let SubscribeError::Setup { faults, .. } = error else { panic!("{error}") };
    assert_eq!(faults[0], SetupFault::BindBeforeQueue { pattern: "llm.#".parse().unwrap() });
    assert!(
        matches!(&faults[1], SetupFault::BadPattern { pattern, .. } if pattern == "a..b"),
        "{faults:?}"
    );
    assert!(faults.contains(&SetupFault::NoHandler), "{faults:?}");

    let full = Some(FullQueue { name: "q".to_owned(), limit: 3 });
    let nacked = TransportError::Nacked { full };
    assert_eq!(nacked.code(), Code::Nacked);
    assert!(nacked.to_string().ends_with("queue `q` is full with 3 messages"), "{nacked}");
    let source = TransportError::Disconnected { outage: Outage::Lost };
    let ended = SubscribeError::Ended { queue: "q".to_owned(), source };
    assert_eq!(ended.code(), Code::Disconnected);
    let drained = SubscribeError::Drain { unfinished: 1, waited: Duration::from_secs(1) };
    assert_eq!(drained.code(), Code::DrainTimeout);
    bus.close().await;
    let closed = transport.declare(&Topology::new()).await.unwrap_err();
    assert_eq!(closed.code(), Code::BusClosed);
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_named_in_parts_and_without_a_password() {
    let wrong = AmqpConfig::from_urls("http://u:secret@h, amqp://u:secret@h:x").unwrap_err();
    assert_eq!(wrong.code(), Code::ConfigInvalid);
    let entries: Vec<_> = wrong.faults.iter().map(|fault| fault.entry).collect();
    assert_eq!(entries, [Some(1), Some(2)]);
    let is_url = |problem: &ConfigProblem| matches!(problem, ConfigProblem::NotAUrl { .. });
    assert!(wrong.faults.iter().all(|fault| is_url(&fault.problem)), "{wrong:?}");
    assert!(!format!("{wrong:?}").contains("secret"), "{wrong:?}");

    let mut config = AmqpConfig::from_urls("amqp://me:secret@127.0.0.1:1/v").unwrap();
    config.patience = Duration::from_millis(200);
    let error =
        BusError::from(Bus::connect(config, events::contracts()).await.map(|_| ()).unwrap_err());
    assert_eq!(error.code(), Code::BrokerUnreachable);
    let BusError::Connect(ConnectError::Unreachable { hosts, .. }) = &error else {
        panic!("{error}")
    };
    let BrokerHost { user, port, tls, vhost, .. } = &hosts[0].host;
    assert_eq!((user.as_str(), *port, *tls, vhost.as_str()), ("me", 1, false, "v"));
    assert_eq!(hosts[0].cause.code(), Code::BrokerUnreachable);
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    assert_eq!(BusError::NoBus.code(), Code::NoBus);
    let topology = HostError::Topology(TransportError::Unroutable { key: "a".to_owned() });
    assert_eq!(topology.code(), Code::Unroutable);
}

#[tokio::test]
async fn what_the_store_refuses_has_a_code() {
    let url = |text: &str| text.parse::<StoreUrl>();
    assert_eq!(url("mysql:").unwrap_err().code(), Code::NotAStoreUrl);
    assert_eq!(StoreError::from(url("").unwrap_err()).code(), Code::NotAStoreUrl);
    let folder = tempfile::tempdir().unwrap();
    let open = async |path: PathBuf| {
        let options = StoreOptions::new(StoreUrl::file(path));
        EventStore::open(options, events::contracts()).await.map(|_| ())
    };
    let not_a_file = open(folder.path().to_owned()).await.unwrap_err();
    assert_eq!(not_a_file.code(), Code::NotAFile);
    let text = folder.path().join("notes.txt");
    fs::write(&text, "not a database, but long enough to be taken for the head of one").unwrap();
    let foreign = open(text).await.unwrap_err();
    assert_eq!(foreign, StoreError::Foreign(Foreign::NotSqlite));
    assert_eq!(foreign.code(), Code::StoreForeign);

    let damaged = StoreError::Damaged(Damage::Column("kind"));
    assert_eq!(RecordError::from(damaged.clone()).code(), Code::StoreDamaged);
    assert_eq!(ReplayError::from(damaged).code(), Code::StoreDamaged);
    assert_eq!(ReplayError::Commands.code(), Code::ReplayOfCommands);
    assert_eq!(StoreError::Cursor(CursorError::Order(Order::Newest)).code(), Code::CursorOrder);
    let field = |text: &str| text.parse::<Field>().unwrap_err().code();
    assert_eq!(field("topic=1"), Code::FieldPointer);
    assert_eq!(field("/topic"), Code::FieldNoValue);
    assert_eq!(field("/topic=a"), Code::FieldNotJson);
    assert_eq!("good".parse::<Standing>().unwrap_err().code(), Code::NotAValidity);
    let line = Incoming::from_line(b"[]").unwrap_err();
    assert_eq!((line.code(), &line.faults[..]), (Code::LineFaulty, &[LineFault::NotAnObject][..]));
}

/// Every file of Rust below the sources of the libraries.
fn sources() -> Vec<(String, String)> {
    let root = workspace();
    let mut open = vec![root.join("src")];
    for name in [
        "bloodbank-access",
        "bloodbank-core",
        "bloodbank-bus",
        "bloodbank-amqp",
        "bloodbank-gateway",
        "bloodbank-outbox",
        "candystore",
    ] {
        open.push(root.join("crates").join(name).join("src"));
    }
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 100, "{}", found.len());
    found
}

/// The codes that a text names, in order.
fn codes_in(text: &str) -> Vec<String> {
    let named = text.split("Code::").skip(1);
    let word = |rest: &str| rest.chars().take_while(char::is_ascii_alphanumeric).collect();
    named.map(word).collect()
}

/// The bodies of the functions of this head.
fn bodies<'t>(text: &'t str, head: &str) -> Vec<&'t str> {
    let starts = text.match_indices(head).map(|(at, _)| &text[at..]);
    // rustfmt closes an associated function with four spaces and a brace.
    starts.map(|rest| &rest[..rest.find("\n    }").unwrap_or(rest.len())]).collect()
}

#[test]
fn every_code_is_returned_and_no_two_variants_of_an_error_share_one() {
    let mut returned = BTreeSet::new();
    for (name, text) in sources() {
        // Of the table itself only what is behind it returns codes.
        let text = match name.ends_with("bloodbank-core/src/code.rs") {
            true => text.split_once("impl From<&KeyError>").unwrap().1.to_owned(),
            false => text,
        };
        let text: String = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .fold(String::new(), |text, line| text + line + "\n");
        returned.extend(codes_in(&text));
        for head in ["fn code(&self) -> Code {", "fn code(self) -> Code {"] {
            for body in bodies(&text, head) {
                let codes = codes_in(body);
                let distinct: BTreeSet<&String> = codes.iter().collect();
                assert_eq!(distinct.len(), codes.len(), "{name}: {body}");
                assert!(!body.contains("| "), "two variants in one arm, {name}: {body}");
                assert!(!body.contains("_ =>"), "a variant without a code, {name}: {body}");
            }
        }
    }
    for code in Code::ALL {
        let variant = format!("{code:?}");
        assert!(returned.contains(&variant), "nothing returns {variant}");
    }
}

#[test]
fn every_public_error_has_a_code() {
    let mut found = 0;
    for (name, text) in sources() {
        let public = text.lines().filter_map(|line| {
            let rest =
                line.strip_prefix("pub enum ").or_else(|| line.strip_prefix("pub struct "))?;
            Some(rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default())
        });
        let is_error = |kind: &&str| {
            kind.ends_with("Error") || text.contains(&format!("impl std::error::Error for {kind} "))
        };
        // What a handler says is an error of the handler's.
        for kind in public.filter(is_error).filter(|kind| *kind != "Verdict") {
            let block = text.split(&format!("\nimpl {kind} {{\n")).nth(1).unwrap_or_default();
            let block = block.split("\n}\n").next().unwrap_or_default();
            assert!(block.contains("pub fn code("), "{name}: `{kind}` has no code");
            found += 1;
        }
    }
    assert!(found >= 20, "{found}");
}

#[test]
fn no_library_names_commands_or_gives_help() {
    for (name, text) in sources() {
        let said = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in said {
            for hint in ["help: ", "`bloodbank ", "nhelp:"] {
                assert!(!line.contains(hint), "{name}: {}", escape_control(line));
            }
        }
    }
}

/// The page of errors is linked where people begin to read.
#[test]
fn the_readme_links_the_page_of_errors() {
    let readme = fs::read_to_string(Path::new(workspace()).join("README.md")).unwrap();
    assert!(readme.contains("(docs/errors.md)"));
}

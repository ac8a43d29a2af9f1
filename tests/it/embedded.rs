//! The bus with nothing to install, as services see it.

use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bloodbank::candystore::{EventStore, StoreOptions, StoreUrl};
use bloodbank::events::{self, common, services, theboard};
use bloodbank::uuid::Uuid;
use bloodbank::{Bus, Received, RetryPolicy, Subscriber, Verdict, dead_letters};
use tempfile::TempDir;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::timeout;

use crate::scratch::{Scratch, succeeds, workspace};

/// Set in a process that a test has started to do its other half.
const OTHER: &str = "BLOODBANK_TEST_OTHER";

/// How long to wait for what must come.
const LIMIT: Duration = Duration::from_secs(30);

/// A file, and a bus of ours in it.
async fn bus_in(folder: &TempDir) -> Bus {
    Bus::embedded(StoreUrl::file(folder.path().join("bus.db")), events::contracts()).await.unwrap()
}

async fn stored(file: &Path) -> u64 {
    let options = StoreOptions::new(StoreUrl::file(file));
    let store = EventStore::open(options, events::contracts()).await.unwrap();
    store.position().await.unwrap()
}

fn meeting(topic: &str) -> theboard::MeetingCreated {
    let strategy = common::MeetingStrategy::Simple;
    theboard::MeetingCreated::new(Uuid::now_v7(), topic, strategy, 2, None)
}

async fn publish(bus: &Bus, topics: &[&str]) {
    let publisher = bus.publisher::<services::TheboardProducer>();
    for topic in topics {
        publisher.publish(&meeting(topic)).await.unwrap();
    }
}

/// A service that tells what it hears: the topic, and which attempt it is.
fn listener(
    bus: &Bus,
    sender: UnboundedSender<(String, u32)>,
    verdict: fn(&str, u32) -> Verdict,
) -> Subscriber<services::TheboardSync> {
    bus.subscriber::<services::TheboardSync>()
        .retry(RetryPolicy::ladder([Duration::from_millis(50); 2]))
        .on_upcast::<theboard::MeetingCreated, theboard::MeetingCreatedV2, _, _>(
            move |meeting: Received<theboard::MeetingCreatedV2>| {
                let (topic, attempt) = (meeting.payload.topic.question.clone(), meeting.attempt());
                let verdict = verdict(&topic, attempt);
                sender.send((topic, attempt)).unwrap();
                async { verdict }
            },
        )
        .skip_others()
}

fn done(_: &str, _: u32) -> Verdict {
    Verdict::Done
}

async fn take(heard: &mut UnboundedReceiver<(String, u32)>, count: usize) -> Vec<(String, u32)> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(timeout(LIMIT, heard.recv()).await.unwrap().unwrap());
    }
    all
}

/// Hears so many, and then stops.
async fn hear(bus: &Bus, count: usize) -> Vec<(String, u32)> {
    let (sender, mut heard) = mpsc::unbounded_channel();
    let (tell, told) = tokio::sync::oneshot::channel();
    let until = async move { tell.send(take(&mut heard, count).await).unwrap() };
    listener(bus, sender, done).run_until(until).await.unwrap();
    told.await.unwrap()
}

fn heard<const N: usize>(expected: [(&str, u32); N]) -> Vec<(String, u32)> {
    expected.map(|(topic, attempt)| (topic.to_owned(), attempt)).to_vec()
}

/// Runs a test of this file once more, in a process of its own, with nothing in its environment but
/// these.
fn once_more(test: &str, variables: &[(&str, &Path)]) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([&*format!("embedded::{test}"), "--exact"]).env_clear().env(OTHER, "1");
    let report = succeeds(&command.envs(variables.iter().copied()).output().unwrap());
    assert!(report.contains("1 passed"), "{report}");
}

/// What the other process publishes, to whatever bus its environment names.
async fn publish_by_environment(topics: &[&str]) {
    let bus = Bus::from_env(events::contracts()).await.unwrap();
    publish(&bus, topics).await;
    bus.close().await;
}

#[tokio::test]
async fn a_service_hears_another_process_whose_environment_names_the_file() {
    if env::var_os(OTHER).is_some() {
        return publish_by_environment(&["one", "two"]).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let bus = bus_in(&folder).await;
    assert_eq!(hear(&bus, 0).await, []);
    let url = format!("sqlite:{}", folder.path().join("bus.db").display());
    let test = "a_service_hears_another_process_whose_environment_names_the_file";
    let other = tokio::task::spawn_blocking(move || {
        once_more(test, &[("DATABASE_URL", Path::new(&url))]);
    });
    assert_eq!(hear(&bus, 2).await, heard([("one", 1), ("two", 1)]));
    other.await.unwrap();
    bus.close().await;
}

#[tokio::test]
async fn without_any_variable_the_bus_lies_in_the_file_of_the_user() {
    if env::var_os(OTHER).is_some() {
        return publish_by_environment(&["one"]).await;
    }
    let home = tempfile::tempdir().unwrap();
    let test = "without_any_variable_the_bus_lies_in_the_file_of_the_user";
    for expected in 1..=2 {
        once_more(test, &[("HOME", home.path())]);
        let file = home.path().join(".local/share/bloodbank/bloodbank.db");
        assert!(file.exists());
        assert_eq!(stored(&file).await, expected);
    }
    let data = home.path().join("data");
    once_more(test, &[("HOME", home.path()), ("XDG_DATA_HOME", &data)]);
    assert_eq!(stored(&data.join("bloodbank/bloodbank.db")).await, 1);
}

#[tokio::test]
async fn what_was_published_before_a_restart_is_received_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let bus = bus_in(&folder).await;
    publish(&bus, &["before anybody listened"]).await;
    assert_eq!(hear(&bus, 0).await, []);
    publish(&bus, &["one"]).await;
    assert_eq!(hear(&bus, 1).await, heard([("one", 1)]));
    publish(&bus, &["two", "three"]).await;
    bus.close().await;

    let bus = bus_in(&folder).await;
    assert_eq!(hear(&bus, 2).await, heard([("two", 1), ("three", 1)]));
    publish(&bus, &["four"]).await;
    assert_eq!(hear(&bus, 1).await, heard([("four", 1)]));
    bus.close().await;
}

/// The first fails twice, the second always.
fn fails(topic: &str, attempt: u32) -> Verdict {
    match (topic, attempt) {
        ("first", 1 | 2) | ("second", _) => Verdict::Retry("not yet".to_owned()),
        _ => Verdict::Done,
    }
}

const ALL: [&str; 3] = ["first", "second", "third"];

/// What was parked, and why.
async fn parked(bus: &Bus, queue: &str) -> Vec<(String, u32)> {
    let all = dead_letters::Filter::all();
    let letters = dead_letters::list(&**bus.transport(), queue, &all).await.unwrap();
    let told = letters.into_iter().map(|letter| (letter.error.unwrap(), letter.attempts));
    told.collect()
}

#[tokio::test]
async fn in_strict_order_what_fails_is_tried_again_before_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let bus = bus_in(&folder).await;
    let (sender, mut calls) = mpsc::unbounded_channel();
    let service = listener(&bus, sender, fails).queue("ordered").strict_order();
    let service = service.bind("theboard.meeting.created").bind("theboard.meeting.created.v2");
    let publishing = bus.clone();
    let until = async move {
        let publisher = publishing.publisher::<services::TheboardProducer>();
        publish(&publishing, &ALL[..2]).await;
        let third = theboard::MeetingCreatedV2::from(meeting(ALL[2]));
        publisher.publish(&third).await.unwrap();
        let expected = [("first", 1), ("first", 2), ("first", 3)].into_iter();
        let second = [("second", 1), ("second", 2), ("second", 3)];
        let expected: Vec<_> = expected.chain(second).chain([("third", 1)]).collect();
        let calls = take(&mut calls, 7).await;
        assert!(calls.iter().map(|(topic, n)| (&**topic, *n)).eq(expected), "{calls:?}");
    };
    service.run_until(until).await.unwrap();
    assert_eq!(parked(&bus, "ordered.dlq").await, heard([("not yet", 3)]));
    bus.close().await;
}

#[tokio::test]
async fn what_fails_is_tried_again_later_and_parked_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let bus = bus_in(&folder).await;
    let (sender, mut calls) = mpsc::unbounded_channel();
    let service = listener(&bus, sender, fails);
    let publishing = bus.clone();
    let until = async move {
        publish(&publishing, &ALL).await;
        let mut calls = take(&mut calls, 7).await;
        let at = |call: &(&str, u32)| calls.iter().position(|(t, n)| (&**t, *n) == *call).unwrap();
        assert!(at(&("third", 1)) < at(&("first", 2)), "nobody waits for it: {calls:?}");
        calls.sort_unstable();
        let expected = [("first", 1), ("first", 2), ("first", 3), ("second", 1), ("second", 2)];
        assert_eq!(calls[..5], heard(expected));
        assert_eq!(calls[5..], heard([("second", 3), ("third", 1)]));
    };
    service.run_until(until).await.unwrap();
    assert_eq!(parked(&bus, "theboard_sync_queue.dlq").await, heard([("not yet", 3)]));
    bus.close().await;
}

/// As a crate of its own, as whoever copies it has it.
#[test]
fn the_example_of_a_service_runs_to_its_end() {
    let scratch = Scratch::new("service");
    let manifest = std::fs::read_to_string(scratch.path("Cargo.toml")).unwrap();
    let tokio = "[dependencies]\ntokio = { version = \"1\", default-features = false, features = \
                 [\"macros\", \"rt-multi-thread\", \"time\"] }\n";
    scratch.write("Cargo.toml", &manifest.replace("[dependencies]\n", tokio));
    let example = std::fs::read_to_string(workspace().join("examples/service.rs")).unwrap();
    scratch.write("src/main.rs", &example);
    let url = format!("sqlite:{}", scratch.path("bus.db").display());
    succeeds(&scratch.cargo(&["build", "--quiet"]));
    let mut service = Command::new(scratch.built("service"));
    let output =
        service.env_remove("RABBIT_URL").env_remove("RABBIT_HOST").env("DATABASE_URL", url);
    let said = succeeds(&output.output().unwrap());
    for line in [
        "published  ",
        "heard      How do we make the roadmap legible?\n",
        "answered   merged as 9d2c4b6f8a1e3c5d7f90b2a4c6e8d0f1a3b5c7d9\n",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

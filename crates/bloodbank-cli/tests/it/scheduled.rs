//! Messages that are not due yet, from the command line.

use std::time::{Duration, Instant};

use crate::machine::{COMMAND, EVENT, Machine};

/// Schedules on RabbitMQ or on the embedded bus, lists, cancels, and waits for what is left.
async fn scheduled_listed_cancelled_and_sent(machine: Machine) {
    if machine.has_broker() {
        machine.says(&["topology", "--apply"]).well();
    }
    let keeper = machine.spawn(&["scheduled", "run"]);
    keeper.told("keeping scheduled messages in sqlite:");
    let tail = machine.tail(&[]);
    let publish = |when: &str| {
        let said = machine.says(&["publish", EVENT, "--example", "--not-before", when]).well();
        let words: Vec<&str> = said.split_whitespace().collect();
        assert_eq!((words[0], words[1], words[3]), ("scheduled", EVENT, "for"), "{said}");
        words[2].to_owned()
    };
    let (cancelled, sent) = (publish("1h"), publish("5s"));
    let listed = listed(&machine, 2);
    // The first to be due comes first.
    assert_eq!((&*listed[0], &*listed[1]), (&*sent, &*cancelled));
    let said = machine.says(&["scheduled", "cancel", &cancelled]);
    assert_eq!(said.whole(), format!("cancelled  {cancelled}\nexit 0\n"));
    let again = machine.says(&["scheduled", "cancel", &cancelled]);
    assert_eq!((again.code, again.out.as_str()), (1, ""));
    assert_eq!(again.err, format!("{cancelled} is not scheduled, or is being sent\n"));
    assert!(tail.next().contains(EVENT));
    self::listed(&machine, 0);
    assert_eq!(machine.says(&["scheduled", "ls"]).err, "nothing is scheduled\n");
    keeper.interrupt();
    keeper.end().well();
}

/// The ids of what is scheduled, once there are so many.
fn listed(machine: &Machine, count: usize) -> Vec<String> {
    let began = Instant::now();
    loop {
        let lines = machine.json(&["scheduled", "ls", "--json"]);
        if lines.len() == count {
            return lines.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect();
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{lines:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_embedded_bus_messages_are_scheduled_listed_cancelled_and_sent() {
    scheduled_listed_cancelled_and_sent(Machine::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_rabbitmq_messages_are_scheduled_listed_cancelled_and_sent() {
    let Some(machine) = Machine::rabbitmq().await else { return };
    scheduled_listed_cancelled_and_sent(machine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_scheduler_on_rabbitmq_nothing_is_taken_and_the_command_to_run_is_named() {
    let Some(machine) = Machine::rabbitmq().await else { return };
    machine.says(&["topology", "--apply"]).well();
    for (verb, key) in [("publish", EVENT), ("send", COMMAND)] {
        let said = machine.says(&[verb, key, "--example", "--not-before", "1h"]);
        assert_eq!((said.code, said.out.as_str()), (1, ""));
        assert!(said.err.contains("is not due yet, and no scheduler"), "{}", said.err);
        assert!(said.err.contains("`bloodbank scheduled run`"), "{}", said.err);
    }
}

#[test]
fn a_time_that_is_not_one_is_refused() {
    let said = Machine::sqlite().says(&["publish", EVENT, "--example", "--not-before", "soon"]);
    assert_eq!(said.code, 2);
    assert!(
        said.err.contains("`soon` is not a time; expected a span, as in `10m`"),
        "{}",
        said.err
    );
}

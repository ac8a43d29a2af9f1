//! Recording from a broker, from the command line.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::machine::{EVENT, Machine};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_is_recorded_until_the_user_interrupts() {
    let Some(machine) = Machine::rabbitmq().await else { return };
    machine.says(&["topology", "--apply"]).well();
    let recording = machine.spawn(&["store", "record"]);
    recording.told("recording `archive_queue` into sqlite:");
    for _ in 0..3 {
        machine.says(&["publish", EVENT, "--example"]).well();
    }
    let began = Instant::now();
    while machine.says(&["store", "get", "3"]).code != 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "three are not recorded");
        sleep(Duration::from_millis(100));
    }
    recording.interrupt();
    let summary = recording.end().well();
    assert_eq!(summary, "3 stored, 0 there already, 0 conflicts; the last position is 3\n");
    let valid = machine.says(&["store", "list", "--standing", "valid", "--count"]).well();
    assert_eq!(valid, "3\n", "they are judged by the contracts of this folder");
}

#[test]
fn without_a_broker_there_is_nothing_to_record_and_that_is_said() {
    let said = Machine::sqlite().says(&["store", "record"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("in the store as soon as it is published"), "{}", said.err);
    assert!(said.err.contains("set RABBIT_URL=amqp://"), "{}", said.err);
}

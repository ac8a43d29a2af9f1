//! `replay`.

use bloodbank::serde_json::Value;
use bloodbank::{Bus, Exchange, Queue, headers};

use crate::machine::{EVENT, Machine, PAID, on_both};

on_both!(a_replay_goes_into_the_chosen_queue_and_is_put_on_record);

fn queue() -> Queue {
    Queue::new("again").bind(Exchange::Events, "till.#".parse().unwrap())
}

/// What lies in the queue, which is taken out: the id, and the position that a replay gives with it.
async fn take(bus: &Bus, count: usize) -> Vec<(String, Option<String>)> {
    let mut inbox = bus.inbox::<Value>(queue()).await.unwrap();
    let mut all = Vec::new();
    for _ in 0..count {
        let received = inbox.next().await.unwrap().unwrap();
        let position = headers::text(received.headers(), headers::POSITION).map(str::to_owned);
        assert_eq!(received.replay().is_some(), position.is_some());
        all.push((received.envelope.id.to_string(), position));
        inbox.ack(received).await.unwrap();
    }
    inbox.close().await;
    all
}

async fn a_replay_goes_into_the_chosen_queue_and_is_put_on_record(machine: Machine) {
    let bus = machine.bus().await;
    take(&bus, 0).await;
    let publish = |key| machine.says(&["publish", key, "--example"]).id();
    publish(PAID);
    let (second, third) = (publish(EVENT), publish(EVENT));
    let replay = ["replay", "--key", EVENT, "--queue", "again"];
    let dry = machine.says(&replay);
    assert_eq!(dry.told(), "a dry run; `--yes` does it\n");
    assert!(dry.well().contains("\nevents  2\ntarget  queue `again`\n"));
    let none = machine.says(&["replay", "--list"]);
    assert_eq!((none.code, none.err.as_str()), (0, "no replays\n"));
    let (live, _) = take(&bus, 1).await.remove(0);

    let done = machine.says(&[&replay[..], &["--yes"]].concat());
    assert!(done.err.contains("100%  2 of 2  "), "{}", done.err);
    assert!(done.well().contains(" is done: 2 of 2 sent, 0 skipped, 0 retries"));
    let again = take(&bus, 2).await;
    assert_eq!(again, [(second, Some("2".to_owned())), (third, Some("3".to_owned()))]);
    assert!(again.iter().all(|(id, _)| *id != live));
    let listed = machine.says(&["replay", "--list"]).well();
    let row = listed.lines().nth(1).unwrap();
    assert!(row.contains("  ada") && row.contains("  done  "), "{listed}");
    assert!(row.contains("  queue:again  2 of 2  "), "{listed}");
    assert_eq!(machine.stored().await, 3, "nothing is appended");

    let nobody = machine.says(&["replay", "--yes"]);
    assert_eq!(nobody.code, 1, "{}", nobody.out);
    assert!(nobody.err.contains("nobody hears replays of `till.paid`"), "{}", nobody.err);
    bus.close().await;
}

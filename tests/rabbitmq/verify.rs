//! Where declaring is somebody else's business.

use bloodbank::amqp::{Amqp, ConnectError, Difference, Mode};
use bloodbank::events::{self, llm, services};
use bloodbank::{Bus, Code, Inbox, Service, Subscription, Topology, Transport, TransportError};

use crate::support::{Space, close, prompt, prompts};

/// The names of queues and exchanges; the broker lists them in any order.
fn names(space: &Space) -> (Vec<String>, Vec<String>) {
    let list = |what: &str| {
        let listed = space.broker.ctl(&[what, "-q", "-p", &space.vhost, "name"]);
        let mut names: Vec<String> = listed.lines().map(str::to_owned).collect();
        names.sort_unstable();
        names
    };
    (list("list_queues"), list("list_exchanges"))
}

async fn in_mode(space: &Space, mode: Mode) -> Result<Amqp, ConnectError> {
    let mut config = space.config();
    config.mode = mode;
    Amqp::connect(config).await
}

async fn round_trip(amqp: &Amqp) {
    let bus = Bus::new(std::sync::Arc::new(amqp.clone()), events::contracts());
    let mut inbox: Inbox<llm::Prompt> = Inbox::open(
        bus.transport().clone(),
        services::LlmCostCalculator::contracts(),
        Subscription::new("work"),
    )
    .await
    .unwrap();
    let receipt = bus.publisher::<services::LlmCollector>().publish(&prompt()).await.unwrap();
    let received = inbox.next().await.unwrap().unwrap();
    assert_eq!(received.envelope.id, receipt.id);
    inbox.ack(received).await.unwrap();
}

#[tokio::test]
async fn verifying_names_what_is_missing_and_creates_nothing() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let before = names(&space);
    let error = in_mode(&space, Mode::Verify).await.unwrap_err();
    assert_eq!(error.code(), Code::ExchangeMissing, "{error:?}");
    let ConnectError::Refused(refused) = error else { panic!("{error:?}") };
    let reason = refused.cause.to_string();
    assert!(reason.starts_with("there is no exchange `bloodbank."), "{reason}");
    assert_eq!(names(&space), before);

    let creator = space.amqp().await;
    let missing = creator.compare(&prompts("work")).await.unwrap();
    let queue = |name: &str| Difference::Missing { what: "queue", name: name.to_owned() };
    assert_eq!(missing, [queue("work.dlq"), queue("work")]);
    let amqp = in_mode(&space, Mode::Verify).await.unwrap();
    let error = amqp.declare(&prompts("work")).await.unwrap_err();
    assert!(matches!(error, TransportError::Undeclared { .. }), "{error:?}");
    assert!(error.to_string().contains("work"), "{error}");

    creator.declare(&prompts("work")).await.unwrap();
    assert_eq!(creator.compare(&prompts("work")).await.unwrap(), []);
    let before = names(&space);
    amqp.declare(&prompts("work")).await.unwrap();
    round_trip(&amqp).await;
    assert_eq!(names(&space), before);
    close(&amqp).await;
}

#[tokio::test]
async fn comparing_names_everything_on_a_bare_broker() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let amqp = in_mode(&space, Mode::Off).await.unwrap();
    let before = names(&space);
    let delays = [std::time::Duration::from_secs(1)];
    let differences = amqp.compare(&Topology::new().with_delays(delays)).await.unwrap();
    let shown: Vec<String> = differences.iter().map(ToString::to_string).collect();
    for name in [
        "exchange `bloodbank.events.v1`",
        "exchange `bloodbank.events.v1.listeners`",
        "exchange `bloodbank.commands.v1`",
        "exchange `bloodbank.commands.audit.v1`",
        "exchange `bloodbank.replay.v1`",
        "exchange `bloodbank.scheduled.v1`",
        "exchange `bloodbank.unrouted`",
        "queue `bloodbank.unrouted`",
    ] {
        assert!(shown.contains(&format!("{name} is missing")), "{name}: {shown:?}");
    }
    assert_eq!(shown.len(), 8, "{shown:?}");
    assert_eq!(names(&space), before);
}

#[tokio::test]
async fn off_takes_all_for_granted() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let before = names(&space);
    let amqp = in_mode(&space, Mode::Off).await.unwrap();
    amqp.declare(&prompts("work")).await.unwrap();
    assert_eq!(names(&space), before);
    let error = amqp.subscribe(Subscription::new("work")).await.unwrap_err();
    assert_eq!(error, TransportError::Undeclared { queue: "work".to_owned() });
    space.amqp().await.declare(&prompts("work")).await.unwrap();
    round_trip(&amqp).await;
}

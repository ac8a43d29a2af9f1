//! Publish, refuse, receive, on the bus in memory.

use bloodbank::events::{self, AnyEvent, keys, llm, services, theboard};
use bloodbank::serde_json::json;
use bloodbank::uuid::Uuid;
use bloodbank::{Bus, Exchange, PublishError, Queue, SealError, Service, Topology, TransportError};
use tokio::sync::mpsc;

fn prompt() -> llm::Prompt {
    llm::Prompt::new(Uuid::now_v7(), "Alice", "gpt-5", "Hello?")
}

async fn everything(bus: &Bus) -> bloodbank::Inbox<AnyEvent> {
    let queue = Queue::new("everything").bind(Exchange::Events, "#".parse().unwrap());
    bus.inbox::<_>(queue).await.unwrap()
}

#[tokio::test]
async fn an_event_arrives_as_it_was_published() {
    let bus = Bus::in_memory(events::contracts());
    let mut inbox = everything(&bus).await;
    let receipt = bus.publisher::<services::LlmCollector>().publish(&prompt()).await.unwrap();
    let received = inbox.next().await.unwrap().unwrap();
    assert_eq!(received.envelope.id, receipt.id);
    assert_eq!(received.envelope.source, "llm-collector");
    assert_eq!(received.envelope.event_type, keys::LLM_PROMPT);
    assert!(matches!(received.payload, AnyEvent::LlmPrompt(_)));
    inbox.ack(received).await.unwrap();
}

#[tokio::test]
async fn an_event_of_version_1_is_valid_as_version_2() {
    let bus = Bus::in_memory(events::contracts());
    let old = theboard::MeetingCreated::new(
        Uuid::now_v7(),
        "x".repeat(1000),
        bloodbank::events::common::MeetingStrategy::Simple,
        2,
        None,
    );
    let new = theboard::MeetingCreatedV2::from(old.clone());
    assert_eq!((new.meeting_id, &new.topic.question), (old.meeting_id, &old.topic));
    bus.publisher::<services::TheboardProducer>().publish(&new).await.unwrap();
}

#[tokio::test]
async fn a_refused_event_reaches_nobody_and_every_reason_is_given() {
    let bus = Bus::in_memory(events::contracts());
    let mut inbox = everything(&bus).await;
    let publisher = bus.publisher::<services::LlmCollector>();
    let mut bad = prompt().with_temperature(9.0);
    bad.agent_name.clear();
    let Err(PublishError::Seal(SealError::Refused(refusal))) = publisher.publish(&bad).await else {
        panic!("not refused");
    };
    let pointers: Vec<&str> = refusal.violations.iter().map(|v| v.pointer.as_str()).collect();
    assert_eq!(pointers, ["/agent_name", "/temperature"]);
    // The next thing to arrive is what was published after it.
    let good = publisher.publish(&prompt()).await.unwrap();
    assert_eq!(inbox.next().await.unwrap().unwrap().envelope.id, good.id);
}

#[tokio::test]
async fn what_the_registry_does_not_give_is_refused_at_run_time_too() {
    let bus = Bus::in_memory(events::contracts());
    let publisher = bus.publisher::<services::LlmCollector>();
    let error =
        publisher.publish_json(keys::THEBOARD_MEETING_STARTED, json!({})).await.unwrap_err();
    assert!(matches!(error, PublishError::Seal(SealError::NotAllowed { .. })), "{error}");
    assert!(error.to_string().contains("services/registry.yaml"), "{error}");
}

#[tokio::test]
async fn any_service_may_publish_anything_that_is_valid() {
    let bus = Bus::in_memory(events::contracts());
    let publisher = bus.publisher::<services::Any>();
    let error = publisher.publish_json(keys::LLM_PROMPT, json!({})).await.unwrap_err();
    assert!(matches!(error, PublishError::Seal(SealError::Refused(_))), "{error}");
    let data = bloodbank::serde_json::to_value(prompt()).unwrap();
    publisher.publish_json(keys::LLM_PROMPT, data).await.unwrap();
}

#[tokio::test]
async fn a_mistyped_key_is_named_with_the_one_that_was_meant() {
    let bus = Bus::in_memory(events::contracts());
    let publisher = bus.publisher::<services::Any>();
    let error = publisher.publish_json("llm.promt", json!({})).await.unwrap_err();
    assert!(error.to_string().contains("llm.prompt"), "{error}");
}

#[tokio::test]
async fn a_command_goes_to_its_worker_or_back_to_the_sender() {
    let bus = Bus::in_memory(events::contracts());
    let start = theboard::StartMeeting::new(
        Uuid::now_v7(),
        vec!["Alice".into(), "Bob".into()],
        bloodbank::events::common::Person::new("Ada", "ada@example.com"),
    );
    let sender = bus.publisher::<services::TheboardMeetingTrigger>();
    assert!(matches!(sender.send(&start).await, Err(PublishError::Transport { .. })));

    let queue =
        Queue::new("work").bind(Exchange::Commands, keys::THEBOARD_MEETING_START.parse().unwrap());
    let mut worker = bus.inbox::<theboard::StartMeeting>(queue).await.unwrap();
    sender.send(&start).await.unwrap();
    let received = worker.next().await.unwrap().unwrap();
    assert_eq!(received.payload, start);
    worker.ack(received).await.unwrap();
}

#[tokio::test]
async fn a_service_hears_on_the_queues_that_the_registry_gives_it() {
    let bus = Bus::in_memory(events::contracts());
    bus.transport()
        .declare(&Topology::of(services::TheboardSync::contracts().bundle()))
        .await
        .unwrap();
    let old = theboard::MeetingCreated::new(
        Uuid::now_v7(),
        "Which way?",
        bloodbank::events::common::MeetingStrategy::Simple,
        2,
        None,
    );
    let publisher = bus.publisher::<services::TheboardProducer>();
    publisher.publish(&old).await.unwrap();
    publisher.publish(&theboard::MeetingCreatedV2::from(old)).await.unwrap();
    let (sender, mut heard) = mpsc::unbounded_channel();
    bus.subscriber::<services::TheboardSync>()
        .on_upcast::<theboard::MeetingCreated, theboard::MeetingCreatedV2, _, _>(move |meeting| {
            let sender = sender.clone();
            async move { sender.send(meeting.payload.topic.question).unwrap() }
        })
        .skip_others()
        .run_until(async {
            for _ in 0..2 {
                assert_eq!(heard.recv().await.unwrap(), "Which way?");
            }
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_bus_that_was_closed_takes_nothing() {
    let bus = Bus::in_memory(events::contracts());
    let publisher = bus.publisher::<services::LlmCollector>();
    bus.close().await;
    let error = publisher.publish(&prompt()).await.unwrap_err();
    assert!(
        matches!(error, PublishError::Transport { source: TransportError::Closed, .. }),
        "{error}"
    );
}

#[cfg(not(feature = "embedded"))]
#[tokio::test]
async fn a_program_without_a_bus_of_its_own_says_what_it_lacks() {
    let error = Bus::from_env(events::contracts()).await.unwrap_err();
    assert!(matches!(error, bloodbank::BusError::NoBus), "{error}");
    let message = error.to_string();
    assert!(message.contains("RABBIT_URL") && message.contains("`embedded`"), "{message}");
}

//! Messages that fail, wait, and fail again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bloodbank::chrono::{DateTime, Utc};
use bloodbank::dead_letters::{self, Filter};
use bloodbank::events::{self, llm, services};
use bloodbank::{Bus, Reason, Received, RetryPolicy};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::support::{Space, prompt, until_depth};

#[tokio::test]
async fn a_failed_message_comes_after_each_delay_then_is_parked_and_can_be_brought_back() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let amqp = space.amqp().await;
    let bus = Bus::new(Arc::new(amqp.clone()), events::contracts());
    let works = Arc::new(AtomicBool::new(false));
    let (sender, mut heard) = mpsc::unbounded_channel();
    let handler = {
        let works = works.clone();
        move |received: Received<llm::Prompt>| {
            sender.send((Instant::now(), received)).unwrap();
            let works = works.load(Ordering::Relaxed);
            async move { if works { Ok(()) } else { Err("no such model") } }
        }
    };
    let subscriber = bus
        .subscriber::<services::LlmCostCalculator>()
        .queue("work")
        .bind("llm.prompt")
        .retry(RetryPolicy::ladder([1, 2].map(Duration::from_secs)))
        .on(handler);
    let publisher = bus.publisher::<services::LlmCollector>();
    let script = async {
        until_depth(&amqp, "work", 0).await;
        let (published, begun) = (Instant::now(), Utc::now());
        let receipt = publisher.publish(&prompt()).await.unwrap();
        let mut last = published;
        for (attempt, delay) in [(1, 0), (2, 1), (3, 2)] {
            let (at, received) = heard.recv().await.unwrap();
            assert_eq!((received.envelope.id, received.attempt()), (receipt.id, attempt));
            let (waited, delay) = (at - last, Duration::from_secs(delay));
            assert!(waited >= delay && waited < delay + Duration::from_secs(1), "{waited:?}");
            last = at;
        }
        until_depth(&amqp, "work.dlq", 1).await;
        let letters = dead_letters::list(&amqp, "work.dlq", &Filter::all()).await.unwrap();
        let letter = &letters[0];
        assert_eq!(letter.id, Some(receipt.id.to_string()));
        assert_eq!(letter.key, "llm.prompt");
        assert_eq!(letter.reason, Some(Reason::Exhausted));
        assert_eq!(letter.error.as_deref(), Some("no such model"));
        assert_eq!((letter.attempts, letter.redrives), (3, 0));
        assert_eq!(letter.parked_from.as_deref(), Some("work"));
        let slack = bloodbank::chrono::Duration::milliseconds(1_500);
        let soon = |time: Option<DateTime<Utc>>, after: i64| {
            let since = time.unwrap() - begun - bloodbank::chrono::Duration::seconds(after);
            assert!(since < slack && since > -slack, "{since}");
        };
        soon(letter.first_failed, 0);
        soon(letter.parked_at, 3);

        works.store(true, Ordering::Relaxed);
        let redriven = dead_letters::redrive(&amqp, "work.dlq", &Filter::all(), 100).await.unwrap();
        assert_eq!((redriven.count, redriven.failed.len()), (1, 0));
        let (_, received) = heard.recv().await.unwrap();
        assert_eq!((received.envelope.id, received.attempt()), (receipt.id, 1));
        assert_eq!(received.headers()["x-bloodbank-redrives"], "1");
        assert!(!received.headers().contains_key("x-bloodbank-reason"));
        until_depth(&amqp, "work", 0).await;
        until_depth(&amqp, "work.dlq", 0).await;
    };
    let (script_done, shutdown) = tokio::sync::oneshot::channel();
    let script = async move {
        script.await;
        script_done.send(()).unwrap();
    };
    // The queue must be there before anything is published.
    bus.transport().declare(&crate::support::prompts("work")).await.unwrap();
    let running = subscriber.run_until(async { shutdown.await.unwrap() });
    let (ran, ()) = tokio::join!(running, script);
    ran.unwrap();
}

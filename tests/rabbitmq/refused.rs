//! A broker that took us before, and refuses us for a while.

use std::sync::Arc;
use std::time::Duration;

use bloodbank::amqp::{Amqp, AmqpConfig};
use bloodbank::events::{self, llm, services};
use bloodbank::{Bus, Code, Inbox, PublishError, Service, Subscription};
use bloodbank_testkit::Proxy;
use tokio::task::block_in_place;
use tokio::time::timeout;

use crate::support::{Space, prompt, prompts, until};

const SOON: Duration = Duration::from_secs(20);

struct Behind {
    proxy: Proxy,
    bus: Bus,
    inbox: Inbox<llm::Prompt>,
}

/// A service with a queue behind a proxy.
async fn behind(space: &Space, login: &str) -> Behind {
    let proxy = Proxy::start(("127.0.0.1", space.broker.port())).await;
    let url = format!("amqp://{login}@127.0.0.1:{}/{}", proxy.port(), space.vhost);
    let mut config = AmqpConfig::from_urls(&url).unwrap();
    config.refused_pause = Duration::from_millis(100);
    let bus = Bus::new(Arc::new(Amqp::connect(config).await.unwrap()), events::contracts());
    bus.transport().declare(&prompts("work")).await.unwrap();
    let contracts = services::LlmCostCalculator::contracts();
    let subscription = Subscription::new("work");
    let inbox = Inbox::open(bus.transport().clone(), contracts, subscription).await.unwrap();
    Behind { proxy, bus, inbox }
}

impl Behind {
    /// Publishes until the broker's refusal shows.
    async fn until_refused(&self, code: Code) {
        let publisher = self.bus.publisher::<services::LlmCollector>();
        until("refused", SOON, async || {
            publisher.publish(&prompt()).await.is_err_and(|error| {
                let PublishError::Transport { source, .. } = &error else { panic!("{error}") };
                assert!(source.is_retryable(), "it is asked again: {source}");
                error.code() == code
            })
        })
        .await;
    }

    /// Publishes until the broker takes one, which is then received.
    async fn until_taken(&mut self) {
        let publisher = self.bus.publisher::<services::LlmCollector>();
        let mut taken = None;
        until("taken", SOON, async || {
            taken = publisher.publish(&prompt()).await.ok();
            taken.is_some()
        })
        .await;
        let id = taken.unwrap().id;
        loop {
            let received = timeout(SOON, self.inbox.next()).await.unwrap().unwrap().unwrap();
            let is_it = received.envelope.id == id;
            // The connection may have gone just then; it comes again.
            let _ = self.inbox.ack(received).await;
            if is_it {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_is_wrong_for_a_while_is_no_more_than_that() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let (user, vhost) = (format!("user-{}", space.vhost), space.vhost.clone());
    let ctl = |args: &[&str]| block_in_place(|| space.broker.ctl(args));
    ctl(&["add_user", &user, "right"]);
    ctl(&["set_permissions", "-p", &vhost, &user, ".*", ".*", ".*"]);
    let mut service = behind(&space, &format!("{user}:right")).await;
    service.until_taken().await;
    ctl(&["change_password", &user, "other"]);
    service.proxy.cut();
    service.until_refused(Code::LoginRefused).await;
    ctl(&["change_password", &user, "right"]);
    service.until_taken().await;
}

#[tokio::test]
async fn a_queue_that_was_declared_otherwise_for_a_while_is_no_more_than_that() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let mut service = behind(&space, "guest:guest").await;
    service.until_taken().await;
    let raw = space.raw().await;
    service.proxy.refuse(true);
    service.proxy.cut();
    raw.delete("work").await;
    raw.declare("work").await;
    service.proxy.refuse(false);
    service.until_refused(Code::DeclarationConflict).await;
    raw.delete("work").await;
    service.until_taken().await;
}

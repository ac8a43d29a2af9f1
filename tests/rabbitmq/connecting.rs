//! Why there is no connection.

use std::time::Duration;

use bloodbank::amqp::{Amqp, AmqpConfig, ConnectError, HostError, HostFailure};
use bloodbank::{Code, Transport};
use tokio::time::Instant;

use crate::support::{Space, close};

async fn refused(url: &str) -> HostFailure {
    let started = Instant::now();
    let error = Amqp::connect(AmqpConfig::from_urls(url).unwrap()).await.unwrap_err();
    let ConnectError::Refused(failure) = error else { panic!("{error:?}") };
    assert!(started.elapsed() < Duration::from_secs(4), "not at once: {:?}", started.elapsed());
    failure
}

#[tokio::test]
async fn a_wrong_password_is_refused_at_once_and_not_repeated() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let port = space.broker.port();
    let url = format!("amqp://guest:s3cr3t@127.0.0.1:{port}/{}", space.vhost);
    let failure = refused(&url).await;
    assert_eq!((failure.host.user.as_str(), failure.host.port), ("guest", port));
    assert_eq!(failure.cause.code(), Code::LoginRefused);
    let text = failure.to_string();
    assert!(text.starts_with(&format!("amqp://guest@127.0.0.1:{port}/")), "{text}");
    assert!(text.contains("wrong user or password") && !text.contains("s3cr3t"), "{text}");
}

#[tokio::test]
async fn an_unknown_vhost_is_refused_by_name() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let failure = refused(&space.broker.url("nowhere")).await;
    assert!(
        matches!(&failure.cause, HostError::Vhost { vhost, .. } if vhost == "nowhere"),
        "{failure}"
    );
    assert_eq!(failure.cause.code(), Code::VhostRefused);
}

#[tokio::test]
async fn a_port_on_which_nobody_listens_is_named() {
    let mut config = AmqpConfig::from_urls("amqp://guest:guest@127.0.0.1:1/v").unwrap();
    config.patience = Duration::from_millis(300);
    let error = Amqp::connect(config).await.unwrap_err();
    assert_eq!(error.code(), Code::BrokerUnreachable);
    let ConnectError::Unreachable { hosts, waited } = error else { panic!("{error:?}") };
    assert_eq!(waited, Duration::from_millis(300));
    let [failure] = hosts.as_slice() else { panic!("{hosts:?}") };
    assert_eq!((failure.host.host.as_str(), failure.host.port), ("127.0.0.1", 1));
    assert!(failure.cause.to_string().to_lowercase().contains("refused"), "{failure}");
}

#[tokio::test]
async fn the_next_host_is_taken_where_one_is_dead() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let urls = format!("amqp://guest:guest@127.0.0.1:1/v,{}", space.url());
    // It begins with any of them.
    for _ in 0..4 {
        let amqp = Amqp::connect(AmqpConfig::from_urls(&urls).unwrap()).await.unwrap();
        close(&amqp).await;
    }
}

#[tokio::test]
async fn the_next_host_is_taken_where_one_refuses_us() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let wrong = format!("amqp://guest:wrong@127.0.0.1:{}/{}", space.broker.port(), space.vhost);
    let urls = format!("{wrong},{}", space.url());
    // It begins with any of them.
    for _ in 0..6 {
        let amqp = Amqp::connect(AmqpConfig::from_urls(&urls).unwrap()).await.unwrap();
        close(&amqp).await;
    }
    // From the start one refusal is a mistake, also where another host is dead.
    let urls = format!("{wrong},amqp://guest:guest@127.0.0.1:1/v");
    assert_eq!(refused(&urls).await.cause.code(), Code::LoginRefused);
}

#[tokio::test]
async fn a_consumer_of_a_closed_transport_ends() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let space = Space::fresh().await;
    let amqp = space.amqp().await;
    amqp.declare(&crate::support::prompts("work")).await.unwrap();
    let subscription = bloodbank::Subscription::new("work");
    let mut deliveries = amqp.subscribe(subscription).await.unwrap();
    close(&amqp).await;
    let end = tokio::time::timeout(Duration::from_secs(5), deliveries.recv()).await;
    assert_eq!(end, Ok(None));
    assert_eq!(amqp.depth("work").await, Err(bloodbank::TransportError::Closed));
}

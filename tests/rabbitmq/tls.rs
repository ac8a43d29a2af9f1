//! Connections with TLS.

use std::sync::Arc;
use std::time::Duration;

use bloodbank::amqp::{Amqp, AmqpConfig, ConnectError, HostError, probe};
use bloodbank::events::{self, llm, services};
use bloodbank::{Bus, Code};
use bloodbank_testkit::{Broker, Certificates};

use crate::support::prompt;

async fn publish_and_consume(config: AmqpConfig) {
    let bus = Bus::new(Arc::new(Amqp::connect(config).await.unwrap()), events::contracts());
    let queue = bloodbank::Queue::new("over-tls")
        .bind(bloodbank::Exchange::Events, "llm.#".parse().unwrap());
    let mut inbox = bus.inbox::<llm::Prompt>(queue).await.unwrap();
    let receipt = bus.publisher::<services::LlmCollector>().publish(&prompt()).await.unwrap();
    let received = inbox.next().await.unwrap().unwrap();
    assert_eq!(received.envelope.id, receipt.id);
    inbox.ack(received).await.unwrap();
    bus.close().await;
}

fn config(broker: &Broker, certificates: Option<&Certificates>) -> AmqpConfig {
    let mut config = AmqpConfig::from_urls(&broker.tls_url(&broker.fresh_vhost())).unwrap();
    config.tls.ca = certificates.map(Certificates::ca);
    config.patience = Duration::from_secs(3);
    config
}

#[tokio::test]
async fn a_broker_is_trusted_by_its_authority_and_by_nothing_else() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let certificates = Certificates::generate();
    let broker = Broker::options().tls(&certificates).start().await;
    publish_and_consume(config(&broker, Some(&certificates))).await;

    let error = Amqp::connect(config(&broker, None)).await.unwrap_err();
    assert_eq!(error.code(), Code::CertificateUntrusted, "{error:?}");
    let ConnectError::Refused(failure) = &error else { panic!("{error:?}") };
    assert_eq!((failure.host.port, failure.host.tls), (broker.tls_port(), true));
    assert!(Code::CertificateUntrusted.remedy().contains("RABBIT_CA_FILE"));
    let other = Certificates::generate();
    let error = Amqp::connect(config(&broker, Some(&other))).await.unwrap_err();
    assert_eq!(error.code(), Code::CertificateUntrusted, "{error:?}");

    let mut missing = config(&broker, None);
    missing.tls.ca = Some("/nowhere/ca.pem".into());
    let error = Amqp::connect(missing).await.unwrap_err();
    assert_eq!(error.code(), Code::CertificateUnreadable, "{error:?}");
    assert!(error.to_string().contains("`/nowhere/ca.pem` cannot be read"), "{error}");
}

#[tokio::test]
async fn a_client_shows_its_certificate_where_the_broker_demands_one() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let certificates = Certificates::generate();
    let broker = Broker::options()
        .tls(&certificates)
        .conf("ssl_options.fail_if_no_peer_cert = true")
        .start()
        .await;
    let error = Amqp::connect(config(&broker, Some(&certificates))).await.unwrap_err();
    let host = format!("localhost:{}", broker.tls_port());
    assert!(error.to_string().contains(&host), "{error}");

    let mut config = config(&broker, Some(&certificates));
    config.tls.identity = Some((certificates.client_cert(), certificates.client_key()));
    publish_and_consume(config).await;
}

#[tokio::test]
async fn a_url_that_mixes_tls_up_is_refused_with_what_to_write() {
    if !bloodbank_testkit::rabbitmq() {
        return;
    }
    let certificates = Certificates::generate();
    let broker = Broker::options().tls(&certificates).start().await;
    let vhost = broker.fresh_vhost();
    let (tls, plain) = (broker.tls_port(), broker.port());
    for (url, code, expected) in [
        (
            format!("amqp://guest:guest@localhost:{tls}/{vhost}"),
            Code::TlsExpected,
            "the port speaks TLS; use amqps://",
        ),
        (
            format!("amqps://guest:guest@localhost:{plain}/{vhost}"),
            Code::TlsUnexpected,
            "the port does not speak TLS; use amqp://",
        ),
    ] {
        let error = Amqp::connect(AmqpConfig::from_urls(&url).unwrap()).await.unwrap_err();
        assert_eq!(error.code(), code, "{url}: {error:?}");
        // At once: what waits for its patience is unreachable.
        let ConnectError::Refused(failure) = &error else { panic!("{url}: {error:?}") };
        assert!(failure.to_string().contains(expected), "{failure}");
    }
    assert_eq!(probe::version("localhost", tls).await, Err(HostError::SpeaksTls));
}

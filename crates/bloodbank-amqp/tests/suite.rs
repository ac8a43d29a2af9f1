//! RabbitMQ does what every transport must do.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bloodbank_amqp::{Amqp, AmqpConfig};
use bloodbank_bus::Transport;
use bloodbank_testkit::Broker;

/// A bus in a vhost of its own.
async fn rabbitmq() -> Option<Arc<dyn Transport>> {
    if !bloodbank_testkit::rabbitmq() {
        return None;
    }
    let url = Broker::shared().await.fresh_url();
    let config = AmqpConfig::from_urls(&url).unwrap();
    Some(Arc::new(Amqp::connect(config).await.unwrap()))
}

bloodbank_testkit::behaviours!(rabbitmq);

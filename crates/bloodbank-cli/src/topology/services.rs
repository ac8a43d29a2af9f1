//! What registry.yaml says of its services, for people and for programs.

use std::io;

use bloodbank::amqp::Exchanges;
use bloodbank::amqp::probe;
use bloodbank::{Bundle, Topology};
use serde_json::{Value, json};

use crate::table::{Table, say};

/// The services with their layers; nothing without a registry.
pub(super) fn print(bundle: &Bundle) -> io::Result<()> {
    if bundle.services.is_empty() {
        return Ok(());
    }
    let heading = ["service", "layer", "type", "status", "owner", "tags", "description"];
    let mut table = Table::new(heading);
    // In the order of the layers; then those that are in none.
    let place = |name: &str| {
        let mut layers = bundle.topology.iter();
        layers.position(|layer| layer.services.iter().any(|service| service == name))
    };
    let mut services: Vec<_> = bundle.services.iter().collect();
    services.sort_by_key(|service| place(&service.name).unwrap_or(usize::MAX));
    for service in services {
        let layers: Vec<&str> = bundle.layers_of(&service.name).collect();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        table.row([
            &service.name,
            &layers.join(", "),
            &text(&service.service_type),
            &text(&service.status),
            &text(&service.owner),
            &service.tags.join(", "),
            &text(&service.description),
        ]);
    }
    table.without_empty_columns().print(&mut io::stdout().lock())?;
    say("")
}

/// The registry as it stands in the bundle, and what is declared for it.
pub(super) fn as_json(
    bundle: &Bundle,
    exchanges: &Exchanges,
    topology: &Topology,
) -> anyhow::Result<Value> {
    let plan = probe::plan(exchanges, topology)?;
    let declared = plan.exchanges.iter().map(|exchange| {
        json!({ "name": exchange.name, "type": exchange.kind, "purpose": exchange.purpose })
    });
    let queues = plan.queues.iter().map(|planned| {
        let queue = topology.queues.iter().find(|queue| queue.name == planned.name);
        let waits: Vec<u64> = topology
            .delays_of(&planned.name)
            .map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))
            .collect();
        json!({
            "name": planned.name,
            "type": planned.kind,
            "max_length": planned.max_len,
            "bindings": queue.map(|queue| &queue.bindings),
            "dead_letters": queue.and_then(|queue| queue.dead_letters.as_deref()),
            "ordered": queue.is_some_and(|queue| queue.ordered),
            "retries_ms": waits,
        })
    });
    Ok(json!({
        "exchange": bundle.exchange,
        "topology": bundle.topology,
        "services": bundle.services,
        "event_subscriptions": bundle.event_subscriptions,
        "exchanges": declared.collect::<Vec<_>>(),
        "queues": queues.collect::<Vec<_>>(),
    }))
}

//! What RabbitMQ can tell of a message: its dead letters, and which queues want it.

use bloodbank::amqp::Amqp;
use bloodbank::candystore::StoredEvent;
use bloodbank::dead_letters::{self, DeadLetter, Filter};
use bloodbank::uuid::Uuid;
use bloodbank::{Bundle, Exchange, Kind, Queue, Topology, Transport, TransportError};

use crate::dlq::dead_letter_queues;

/// What the broker knows.
pub(super) struct Found {
    /// Dead letters and unrouted events, by the queue that they lie in.
    pub(super) letters: Vec<(String, DeadLetter)>,
    /// The queues of registry.yaml that want it, if its key is known.
    pub(super) wanting: Vec<Wanting>,
    pub(super) searched: Vec<String>,
}

/// A queue that wants a message.
pub(super) struct Wanting {
    pub(super) queue: Queue,
    /// How many messages wait in it; `None` if it is not there.
    pub(super) depth: Option<u32>,
}

pub(super) async fn ask(
    amqp: &Amqp,
    bundle: &Bundle,
    id: Uuid,
    event: Option<&StoredEvent>,
) -> anyhow::Result<Found> {
    let mut found = Found { letters: Vec::new(), wanting: Vec::new(), searched: Vec::new() };
    let queues = dead_letter_queues(bundle).into_iter().chain(amqp.unrouted_queue());
    for queue in queues {
        let mut filter = Filter::all();
        filter.id = Some(id.to_string());
        match dead_letters::list(amqp, &queue, &filter).await {
            Ok(letters) => {
                let letters = letters.into_iter().map(|letter| (queue.clone(), letter));
                found.letters.extend(letters);
                found.searched.push(format!("the queue `{queue}` of the broker"));
            }
            Err(TransportError::Undeclared { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let letter = found.letters.first().map(|(_, letter)| letter.key.clone());
    let (exchange, key) = match event {
        Some(event) if event.kind == Kind::Command => (Exchange::Commands, Some(&event.key)),
        Some(event) => (Exchange::Events, Some(&event.key)),
        None => (Exchange::Events, letter.as_ref()),
    };
    if let Some(key) = key {
        let queues = Topology::of(bundle).queues.into_iter();
        for queue in queues.filter(|queue| queue.wants(exchange, key)) {
            let depth = match amqp.depth(&queue.name).await {
                Ok(depth) => Some(depth),
                Err(TransportError::Undeclared { .. }) => None,
                Err(error) => return Err(error.into()),
            };
            found.wanting.push(Wanting { queue, depth });
        }
    }
    Ok(found)
}

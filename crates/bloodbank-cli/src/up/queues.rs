//! How the queues of a broker stand, as far as the broker tells whoever may only consume.

use bloodbank::amqp::Amqp;
use bloodbank::{BoxFuture, LiveContracts, Queue, TransportError};
use bloodbank_gateway::{QueueState, Queues};

/// The queues on a broker that registry.yaml declares, and those of the service itself.
pub(super) struct OnBroker {
    pub(super) amqp: Amqp,
    pub(super) contracts: LiveContracts,
    /// What the service records from.
    pub(super) recorder: Queue,
}

impl OnBroker {
    /// Each queue that may be there, with its dead letters, once.
    fn names(&self) -> Vec<String> {
        let contracts = self.contracts.current();
        let declared = contracts.bundle().services.iter().flat_map(Queue::all_of);
        let all = declared.chain([self.recorder.clone()]);
        let mut names: Vec<String> =
            all.flat_map(|queue| [queue.name.clone(), format!("{}.dlq", queue.name)]).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl Queues for OnBroker {
    fn queues(&self) -> BoxFuture<'_, Result<Vec<QueueState>, TransportError>> {
        Box::pin(async move {
            let mut queues = Vec::new();
            for name in self.names() {
                match self.amqp.depth(&name).await {
                    Ok(waiting) => queues.push(QueueState::new(name, waiting.into())),
                    Err(TransportError::Undeclared { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(queues)
        })
    }
}

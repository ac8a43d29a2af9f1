//! Answers to commands, over RabbitMQ's direct reply-to.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lapin::Channel;
use lapin::message::DeliveryResult;
use lapin::options::BasicConsumeOptions;
use lapin::types::{FieldTable, ShortString};
use tokio::sync::oneshot;

use crate::wire::Outgoing;

/// The queue that stands for "back to this channel".
pub(crate) const REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// Who waits for an answer, by the id of the command.
#[derive(Clone, Default)]
pub(crate) struct Replies {
    waiting: Arc<Mutex<Waiting>>,
}

/// Several may wait for one id, where they share an idempotency key; each is sent an answer.
type Waiting = HashMap<ShortString, Vec<oneshot::Sender<Arc<[u8]>>>>;

impl Replies {
    /// Waits for the answer to a command. Ends without one when the channel is lost.
    pub(crate) fn expect(&self, command: ShortString) -> oneshot::Receiver<Arc<[u8]>> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting();
        waiting.retain(|_, senders| {
            senders.retain(|sender| !sender.is_closed());
            !senders.is_empty()
        });
        waiting.entry(command).or_default().push(sender);
        receiver
    }

    /// The channel is lost, and with it the way back of every command but these.
    pub(crate) fn keep_only<'m>(&self, commands: impl Iterator<Item = &'m Outgoing>) {
        let ids: HashSet<&ShortString> =
            commands.filter_map(|command| command.properties.message_id().as_ref()).collect();
        self.waiting().retain(|id, _| ids.contains(id));
    }

    /// Receives the answers to what is sent on this channel.
    pub(crate) async fn listen(&self, channel: &Channel) -> Result<(), lapin::Error> {
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let consumer = channel
            .basic_consume(REPLY_TO.into(), "".into(), options, FieldTable::default())
            .await?;
        let replies = self.clone();
        consumer.set_delegate(move |answer: DeliveryResult| {
            replies.receive(answer);
            std::future::ready(())
        });
        Ok(())
    }

    fn receive(&self, answer: DeliveryResult) {
        let Ok(Some(delivery)) = answer else { return };
        let Some(command) = delivery.properties.correlation_id() else { return };
        let waiting = self.waiting().get_mut(command).and_then(Vec::pop);
        if let Some(waiting) = waiting {
            // An error means that the caller has given up.
            let _ = waiting.send(delivery.data.into());
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

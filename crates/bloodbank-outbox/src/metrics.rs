//! What a relay counts. The label `outbox` is the table's name.

use std::time::Duration;

use bloodbank_core::Code;
use metrics::{Counter, Gauge, counter, gauge};

pub(crate) struct Figures {
    waiting: Gauge,
    parked: Gauge,
    oldest: Gauge,
    sent: Counter,
    outbox: String,
}

impl Figures {
    pub(crate) fn new(outbox: &str) -> Self {
        let label = || outbox.to_owned();
        Figures {
            waiting: gauge!("bloodbank_outbox_waiting_messages", "outbox" => label()),
            parked: gauge!("bloodbank_outbox_parked_messages", "outbox" => label()),
            oldest: gauge!("bloodbank_outbox_oldest_seconds", "outbox" => label()),
            sent: counter!("bloodbank_outbox_sent_messages_total", "outbox" => label()),
            outbox: outbox.to_owned(),
        }
    }

    pub(crate) fn sent(&self, messages: usize) {
        self.sent.increment(messages as u64);
    }

    /// `code` says why.
    pub(crate) fn failed(&self, code: Code) {
        let outbox = self.outbox.clone();
        counter!(
            "bloodbank_outbox_failed_messages_total", "outbox" => outbox, "code" => code.as_str()
        )
        .increment(1);
    }

    pub(crate) fn backlog(&self, waiting: i64, parked: i64, oldest: Duration) {
        self.waiting.set(waiting as f64);
        self.parked.set(parked as f64);
        self.oldest.set(oldest.as_secs_f64());
    }
}

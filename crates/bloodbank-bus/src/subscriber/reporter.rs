//! Reports of what became of messages, on a transport that does not keep that itself.
//!
//! Handlers never wait for them: what there is no room for is lost, and so is what cannot be sent.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

use crate::{Delivery, Report, Settlement, Transport, TransportError, this_process};

/// The most reports that wait to be sent.
const MOST_WAITING: usize = 4_096;
/// The most reports of a batch.
const MOST: usize = 500;
/// How long a batch waits for more after its first report.
const GATHER: Duration = Duration::from_millis(500);
/// For how long nothing is sent once nobody wanted to know.
const UNWANTED: Duration = Duration::from_secs(30);
/// How long the last batches may take at the end.
const LAST: Duration = Duration::from_secs(2);

/// Takes reports.
pub(super) struct Reporter {
    /// `None` where nobody wants to know.
    sender: Option<mpsc::Sender<Report>>,
    by: String,
}

/// What sends them.
pub(super) struct Reporting(Option<JoinHandle<()>>);

impl Reporter {
    pub(super) fn start(transport: &Arc<dyn Transport>, service: &str) -> (Self, Reporting) {
        let by = format!("{service} ({})", this_process());
        if !transport.wants_reports() {
            return (Reporter { sender: None, by }, Reporting(None));
        }
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        let sending = tokio::spawn(send_all(transport.clone(), receiver));
        (Reporter { sender: Some(sender), by }, Reporting(Some(sending)))
    }

    /// What is to be told once a delivery is settled like this.
    pub(super) fn report(&self, delivery: &Delivery, settlement: &Settlement) -> Option<Report> {
        self.sender.as_ref()?;
        Some(Report::of(delivery, settlement)?.with_by(&*self.by))
    }

    /// Tells it, if there is room.
    pub(super) fn send(&self, report: Option<Report>) {
        if let (Some(sender), Some(report)) = (&self.sender, report)
            && sender.try_send(report).is_err()
        {
            debug!("a report of what became of a message is lost: too many wait");
        }
    }
}

impl Reporting {
    /// Waits a little for the last batches, once no reporter is left.
    pub(super) async fn end(self) {
        if let Some(mut sending) = self.0
            && timeout(LAST, &mut sending).await.is_err()
        {
            sending.abort();
        }
    }
}

async fn send_all(transport: Arc<dyn Transport>, mut reports: mpsc::Receiver<Report>) {
    let mut unwanted_until = None;
    while let Some(first) = reports.recv().await {
        let batch = gather(first, &mut reports).await;
        if unwanted_until.is_some_and(|until| Instant::now() < until) {
            continue;
        }
        unwanted_until = None;
        match transport.report(&batch).await {
            Ok(()) => {}
            Err(TransportError::Undeclared { .. }) => {
                unwanted_until = Some(Instant::now() + UNWANTED);
            }
            Err(error) => debug!(%error, count = batch.len(), "reports are lost"),
        }
    }
}

async fn gather(first: Report, reports: &mut mpsc::Receiver<Report>) -> Vec<Report> {
    let until = Instant::now() + GATHER;
    let mut batch = vec![first];
    while batch.len() < MOST
        && let Ok(Some(next)) = timeout_at(until, reports.recv()).await
    {
        batch.push(next);
    }
    batch
}

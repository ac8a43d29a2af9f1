//! Reports of what became of messages, on a transport that does not keep that itself.
//!
//! Handlers never wait for them: what there is no room for is lost, and so is what cannot be sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// Whether reports were wanted when the last ones were sent.
    is_wanted: Arc<AtomicBool>,
    by: String,
}

/// What sends them.
pub(super) struct Reporting(Option<JoinHandle<()>>);

impl Reporter {
    pub(super) fn start(transport: &Arc<dyn Transport>, service: &str) -> (Self, Reporting) {
        let by = format!("{service} ({})", this_process());
        let is_wanted = Arc::new(AtomicBool::new(transport.wants_reports()));
        if !transport.wants_reports() {
            return (Reporter { sender: None, is_wanted, by }, Reporting(None));
        }
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        let sending = tokio::spawn(send_all(transport.clone(), receiver, is_wanted.clone()));
        (Reporter { sender: Some(sender), is_wanted, by }, Reporting(Some(sending)))
    }

    /// What is to be told once a delivery is settled like this.
    pub(super) fn report(&self, delivery: &Delivery, settlement: &Settlement) -> Option<Report> {
        if !self.is_wanted.load(Ordering::Relaxed) {
            return None;
        }
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

async fn send_all(
    transport: Arc<dyn Transport>,
    mut reports: mpsc::Receiver<Report>,
    is_wanted: Arc<AtomicBool>,
) {
    while let Some(first) = reports.recv().await {
        let batch = gather(first, &mut reports).await;
        match transport.report(&batch).await {
            Ok(()) => {}
            Err(TransportError::Undeclared { .. }) => {
                is_wanted.store(false, Ordering::Relaxed);
                if timeout(UNWANTED, end_of(&mut reports)).await.is_ok() {
                    return;
                }
                is_wanted.store(true, Ordering::Relaxed);
            }
            Err(error) => debug!(%error, count = batch.len(), "reports are lost"),
        }
    }
}

/// Takes what comes until nothing can come any more.
async fn end_of(reports: &mut mpsc::Receiver<Report>) {
    while reports.recv().await.is_some() {}
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

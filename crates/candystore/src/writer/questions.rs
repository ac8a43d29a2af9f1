//! Questions that the connection that writes answers between transactions, where there is no other.

use tokio::sync::mpsc;

use super::Transaction;
use crate::StoreError;
use crate::clock::Clock;
use crate::sql::{self, Connection, Mode, Target};

/// Questions, and what opens the connection again.
pub(super) struct Questions {
    pub(super) asked: mpsc::UnboundedReceiver<sql::Job>,
    pub(super) target: Target,
    pub(super) clock: Clock,
}

impl Questions {
    /// Answers what is asked until there is something to write, and gives that; `None` if nobody can write
    /// any more.
    pub(super) async fn until_task<T>(
        &mut self,
        tasks: &mut mpsc::UnboundedReceiver<T>,
        open: &mut Option<Transaction>,
    ) -> Option<T> {
        loop {
            // In any order, so that neither waits for all of the other.
            let question = tokio::select! {
                Some(question) = self.asked.recv() => question,
                task = tasks.recv() => return task,
            };
            let transaction = self.ready(open).await.map_err(StoreError::while_open);
            question(transaction.map(Transaction::connection)).await;
        }
    }

    /// The connection, opened again if it was lost.
    async fn ready<'t>(
        &self,
        open: &'t mut Option<Transaction>,
    ) -> Result<&'t mut Transaction, StoreError> {
        if open.as_ref().is_none_or(Transaction::is_lost) {
            *open = None;
            let connection = Connection::open(&self.target, Mode::Write).await?;
            *open = Some(Transaction::on(connection, self.clock));
        }
        open.as_mut().ok_or(StoreError::Closed)
    }
}

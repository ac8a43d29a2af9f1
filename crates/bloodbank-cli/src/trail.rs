//! The audit that commands leave in the store.

use bloodbank::candystore::{AuditEntry, AuditOutcome, EventStore, StoreError};

use crate::bus::Connected;
use crate::{contracts, replay, store};

/// From where what the command line does comes.
const ORIGIN: &str = "command line";

/// Where it is written who did what; nowhere, where there is no store.
pub(crate) struct Trail {
    store: Option<EventStore>,
}

impl Trail {
    /// Nowhere: for what changes nothing.
    pub(crate) fn none() -> Self {
        Trail { store: None }
    }

    /// In this store.
    pub(crate) fn in_store(store: &EventStore) -> Self {
        Trail { store: Some(store.clone()) }
    }

    /// In the store that a bus lies in; beside RabbitMQ in the one that `DATABASE_URL` names.
    pub(crate) async fn beside(bus: &Connected) -> Self {
        match bus {
            Connected::Embedded(embedded) => Trail::in_store(embedded.store()),
            Connected::RabbitMq(_) => Trail::where_there_is_a_store().await,
        }
    }

    /// In the store that `DATABASE_URL` names, if it is there.
    pub(crate) async fn where_there_is_a_store() -> Self {
        match store::open_existing(contracts::none()).await {
            Ok(store) => Trail { store: Some(store) },
            Err(error) => {
                let is_missing = error
                    .chain()
                    .any(|cause| matches!(cause.downcast_ref(), Some(StoreError::Missing { .. })));
                if !is_missing {
                    eprintln!("note: the audit is not written: {error:#}");
                }
                Trail { store: None }
            }
        }
    }

    /// Something was done; how much, if that can be said.
    pub(crate) async fn done(&self, action: &str, subject: &str, detail: String) {
        self.note(action, subject, AuditOutcome::Done, detail).await;
    }

    /// Something was begun, and not all of it was done.
    pub(crate) async fn failed(&self, action: &str, subject: &str, detail: String) {
        self.note(action, subject, AuditOutcome::Failed, detail).await;
    }

    /// What was done is done, also where this cannot be written down.
    async fn note(&self, action: &str, subject: &str, outcome: AuditOutcome, detail: String) {
        let Some(store) = &self.store else { return };
        let entry =
            AuditEntry::new(replay::author(), action, subject, ORIGIN).with_outcome(outcome);
        let entry = if detail.is_empty() { entry } else { entry.with_detail(detail) };
        if let Err(error) = store.audit(entry).await {
            eprintln!("note: the audit is not written: {error}");
        }
    }
}

//! Which handler takes what.

use std::collections::HashMap;
use std::sync::Arc;

use bloodbank_core::codec::{DecodeError, Payload};
use bloodbank_core::{Contract, Contracts, Envelope};
use serde::Serialize;
use tracing::error;

use crate::reading::{self, Fault};
use crate::{Answer, BoxFuture, Delivery, IntoVerdict, Received, Verdict};

/// A message on its way into a handler.
#[derive(Clone)]
pub(super) struct Incoming {
    pub(super) contracts: Contracts,
    pub(super) envelope: Arc<Envelope>,
    pub(super) delivery: Arc<Delivery>,
}

impl Incoming {
    fn read<P: Payload>(self) -> Result<Received<P>, Fault> {
        let payload = reading::payload(&self.contracts, &self.envelope)?;
        Ok(Received::new(self.envelope, payload, self.delivery))
    }
}

/// What a handler made of a message.
pub(super) struct Handled {
    pub(super) verdict: Verdict,
    /// For whoever called; commands only.
    pub(super) answer: Option<Answer>,
}

/// A handler of any type.
pub(super) type Handler =
    Arc<dyn Fn(Incoming) -> BoxFuture<'static, Result<Handled, Fault>> + Send + Sync>;

/// The handlers of a subscriber.
#[derive(Clone, Default)]
pub(super) struct Handlers {
    events: HashMap<&'static str, Handler>,
    any_event: Option<Handler>,
    commands: HashMap<&'static str, Handler>,
    /// Keys that were given a second handler; `None` for any event.
    doubled: Vec<Option<&'static str>>,
}

impl Handlers {
    pub(super) fn insert_event(&mut self, routes: &[&'static str], handler: &Handler) {
        insert(&mut self.events, &mut self.doubled, routes, handler);
    }

    pub(super) fn insert_any_event(&mut self, handler: Handler) {
        if self.any_event.replace(handler).is_some() {
            self.doubled.push(None);
        }
    }

    pub(super) fn insert_command(&mut self, routes: &[&'static str], handler: &Handler) {
        insert(&mut self.commands, &mut self.doubled, routes, handler);
    }

    /// Keys that were given a second handler; `None` for any event.
    pub(super) fn doubled(&self) -> &[Option<&'static str>] {
        &self.doubled
    }

    pub(super) fn find(&self, route: &str) -> Option<&Handler> {
        let exact = self.events.get(route).or_else(|| self.commands.get(route));
        exact.or(self.any_event.as_ref())
    }

    /// Whether it takes events that have no handler of their own.
    pub(super) fn takes_any_event(&self) -> bool {
        self.any_event.is_some()
    }

    pub(super) fn takes_events(&self) -> bool {
        self.any_event.is_some() || !self.events.is_empty()
    }

    /// Routes of the events with a handler of their own, sorted.
    pub(super) fn events(&self) -> Vec<&'static str> {
        let mut events: Vec<_> = self.events.keys().copied().collect();
        events.sort_unstable();
        events
    }

    /// Routes of the commands it carries out, sorted.
    pub(super) fn commands(&self) -> Vec<&'static str> {
        let mut commands: Vec<_> = self.commands.keys().copied().collect();
        commands.sort_unstable();
        commands
    }
}

fn insert(
    handlers: &mut HashMap<&'static str, Handler>,
    doubled: &mut Vec<Option<&'static str>>,
    routes: &[&'static str],
    handler: &Handler,
) {
    for &route in routes {
        if handlers.insert(route, handler.clone()).is_some() {
            doubled.push(Some(route));
        }
    }
}

/// A handler of events.
pub(super) fn of_event<P, F, R>(handler: F) -> Handler
where
    P: Payload,
    F: Fn(Received<P>) -> R + Send + Sync + 'static,
    R: Future<Output: IntoVerdict> + Send + 'static,
{
    let handler = Arc::new(handler);
    Arc::new(move |incoming| {
        let handler = handler.clone();
        Box::pin(async move {
            let verdict = handler(incoming.read()?).await.into_verdict();
            Ok(Handled { verdict, answer: None })
        })
    })
}

/// A handler of a new version that is given the old one.
pub(super) fn of_older<Old, New, F, R>(handler: Arc<F>) -> Handler
where
    Old: Contract,
    New: From<Old> + Send + 'static,
    F: Fn(Received<New>) -> R + Send + Sync + 'static,
    R: Future<Output: IntoVerdict> + Send + 'static,
{
    of_event(move |old: Received<Old>| handler(old.map(New::from)))
}

/// A handler of commands.
pub(super) fn of_command<C, F, R, T, E>(handler: F) -> Handler
where
    C: Contract,
    F: Fn(Received<C>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<T, E>> + Send + 'static,
    T: Serialize,
    E: std::fmt::Display + 'static,
{
    let handler = Arc::new(handler);
    Arc::new(move |incoming| {
        let handler = handler.clone();
        let (contracts, key) = (incoming.contracts.clone(), incoming.envelope.event_type.clone());
        Box::pin(async move {
            let (verdict, answer) = match handler(incoming.read()?).await {
                Err(error) => {
                    let verdict = Verdict::of_error(&error);
                    let answer = Answer::Error(verdict.reason().to_owned());
                    (verdict, answer)
                }
                // It was carried out, also where only the answer is not what it should be.
                Ok(result) => (Verdict::Done, answer(&contracts, &key, &result)),
            };
            Ok(Handled { verdict, answer: Some(answer) })
        })
    })
}

/// The answer that a result becomes, if it is what the command's schema says.
fn answer<T: Serialize>(contracts: &Contracts, key: &str, result: &T) -> Answer {
    let value = match serde_json::to_value(result) {
        Ok(value) => value,
        Err(error) => return Answer::Error(error.to_string()),
    };
    match contracts.check_reply(key, &value) {
        Ok(()) => Answer::Ok(value),
        Err(error) => {
            let fault = Fault::from(DecodeError::from(error));
            error!(error = fault.without_payload(), "the answer breaks its contract");
            Answer::Error(format!("the answer breaks its contract: {fault}"))
        }
    }
}

//! Which handler takes what.

use std::collections::HashMap;
use std::sync::Arc;

use bloodbank_core::Contract;
use bloodbank_core::codec::Payload;
use serde::Serialize;
use tokio::sync::{Semaphore, watch};

use crate::layer::Handler;
use crate::{Answer, Handled, IntoVerdict, Received, Verdict};

/// Routes whose messages are handled in batches.
struct Batches {
    routes: &'static [&'static str],
    most: usize,
    drain: watch::Sender<bool>,
}

/// The handlers of a subscriber.
#[derive(Default)]
pub(super) struct Handlers {
    events: HashMap<&'static str, Handler>,
    any_event: Option<Handler>,
    commands: HashMap<&'static str, Handler>,
    /// Handlers of batches, told by these that nothing more comes.
    batches: Vec<Batches>,
    /// How many messages of a key are handled at a time, where that is limited.
    limits: HashMap<&'static str, Arc<Semaphore>>,
    /// Keys that were given a second handler; `None` for any event.
    doubled: Vec<Option<&'static str>>,
}

impl Handlers {
    pub(super) fn insert_event(&mut self, routes: &[&'static str], handler: &Handler) {
        insert(&mut self.events, &mut self.doubled, routes, handler);
    }

    /// A handler of batches of at most so many messages.
    pub(super) fn insert_batch(
        &mut self,
        routes: &'static [&'static str],
        most: usize,
        (handler, drain): (Handler, watch::Sender<bool>),
    ) {
        self.insert_event(routes, &handler);
        self.batches.push(Batches { routes, most, drain });
    }

    /// Whether messages of this key are handled in batches.
    pub(super) fn is_batched(&self, route: &str) -> bool {
        self.batches.iter().any(|batches| batches.routes.contains(&route))
    }

    /// The most messages of a batch; 0 if there are none.
    pub(super) fn largest_batch(&self) -> usize {
        self.batches.iter().map(|batches| batches.most).max().unwrap_or(0)
    }

    /// Limits how many messages of these keys are handled at a time, together.
    pub(super) fn limit_to(&mut self, routes: &[&'static str], handlers: usize) {
        let limit = Arc::new(Semaphore::new(handlers.clamp(1, Semaphore::MAX_PERMITS)));
        self.limits.extend(routes.iter().map(|&route| (route, limit.clone())));
    }

    /// How many messages of a key are handled at a time; `None` if that is not limited. The messages of
    /// a batch are one.
    pub(super) fn limit(&self, route: &str) -> Option<&Arc<Semaphore>> {
        self.limits.get(route).filter(|_| !self.is_batched(route))
    }

    /// No handler begins any more, except those of batches, which are handled as they are.
    pub(super) fn begin_no_more(&self) {
        for limit in self.limits.values() {
            limit.close();
        }
        for batches in &self.batches {
            batches.drain.send_replace(true);
        }
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
    Arc::new(move |message| {
        let handler = handler.clone();
        Box::pin(async move { Ok(handler(message.read()?).await.into_verdict().into()) })
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
    Arc::new(move |message| {
        let handler = handler.clone();
        Box::pin(async move {
            let (verdict, answer) = match handler(message.read()?).await {
                Err(error) => {
                    let verdict = Verdict::of_error(&error);
                    let answer = Answer::Error(verdict.reason().to_owned());
                    (verdict, answer)
                }
                Ok(result) => match serde_json::to_value(result) {
                    Ok(value) => (Verdict::Done, Answer::Ok(value)),
                    // It was carried out; only the answer has no JSON form.
                    Err(error) => (Verdict::Done, Answer::Error(error.to_string())),
                },
            };
            Ok(Handled { verdict, answer: Some(answer) })
        })
    })
}

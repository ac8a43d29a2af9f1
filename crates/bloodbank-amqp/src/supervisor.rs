//! Keeps the way to the broker up, for ever.

use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bloodbank_bus::{Conflict, Outage, Topology, TransportError};
use futures_core::Stream;
use lapin::uri::AMQPUri;
use lapin::{Connection, Event};
use metrics::counter;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio::try_join;
use tracing::{error, info, warn};

use crate::config::AmqpConfig;
use crate::connect::{channel_error, connect};
use crate::host::{BrokerHost, HostError, HostFailure};
use crate::link::{Generation, Link, State};
use crate::repair::Repair;
use crate::{assert, probe};

/// The shortest and the longest pause between two rounds of attempts.
///
/// An attempt costs next to nothing; whoever publishes gets errors until one succeeds.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How long it may take to declare everything again, on a new connection or later.
pub(crate) const ASSERT: Duration = Duration::from_secs(15);
/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);
/// How often the connection is looked at, beside its own events.
const LOOK: Duration = Duration::from_millis(500);

/// One to consume and one to publish.
type Connections = (Connection, Connection);

/// The hosts, in turn.
struct Hosts<'c> {
    all: &'c [AMQPUri],
    turn: usize,
    /// Those that took a connection and said nothing: a process that stands still. They are asked for a
    /// greeting first, as the client keeps a thread for each attempt that is never answered.
    silent: HashSet<usize>,
}

impl<'c> Hosts<'c> {
    fn new(all: &'c [AMQPUri]) -> Self {
        Hosts { all, turn: fastrand::usize(..all.len().max(1)), silent: HashSet::new() }
    }

    fn next(&mut self) -> (usize, &'c AMQPUri) {
        let index = self.turn % self.all.len();
        self.turn = index + 1;
        (index, &self.all[index])
    }
}

/// What the supervisor works with.
pub(crate) struct Supervisor {
    pub(crate) config: Arc<AmqpConfig>,
    pub(crate) link: Link,
    /// Everything that was declared, to be asserted again on each connection.
    pub(crate) declared: Arc<Mutex<Topology>>,
    pub(crate) closing: Arc<Notify>,
}

impl Supervisor {
    /// Runs until it is told to close, or the broker refuses us for good.
    pub(crate) async fn run(self) {
        let closing = self.closing.clone();
        tokio::select! {
            () = closing.notified() => {
                if let Some(up) = self.link.status().generation() {
                    close(&up.connection, &up.outgoing).await;
                }
                self.link.set(State::Closed);
            }
            refused = self.keep_up() => {
                error!(reason = %refused, "the broker refuses us; not tried again");
                self.link.set(State::Refused { failure: refused, again: false });
                closing.notified().await;
                self.link.set(State::Closed);
            }
        }
    }

    /// Ends only where the broker refuses us from the start, with what it refuses. One that took us
    /// before may do so again: somebody may be at it.
    async fn keep_up(&self) -> HostFailure {
        let mut number = 0;
        let mut was_up = false;
        let mut pause = PAUSES.0;
        let mut hosts = Hosts::new(&self.config.hosts);
        loop {
            let refused = match self.round(&mut hosts).await {
                Ok((host, connections)) => {
                    number += 1;
                    if number > 1 {
                        counter!("bloodbank_reconnects_total").increment(1);
                    }
                    let since = Instant::now();
                    let end = self.hold(&host, connections, number, &mut was_up).await;
                    // A connection that held longer than we waited for it proves the broker well.
                    if since.elapsed() > pause {
                        pause = PAUSES.0;
                    }
                    self.lost(HostFailure { host, cause: end }, was_up)
                }
                Err(hosts) => self.not_connected(hosts, was_up),
            };
            match refused {
                None => {
                    sleep(jittered(pause)).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
                Some(refused) if was_up => {
                    let pause = jittered(self.config.refused_pause);
                    error!(reason = %refused, again_in = ?pause, "the broker refuses us");
                    self.link.set(State::Refused { failure: refused, again: true });
                    sleep(pause).await;
                }
                Some(refused) => return refused,
            }
        }
    }

    /// Tells that a connection has ended; gives it back if the broker refuses us.
    fn lost(&self, failure: HostFailure, was_up: bool) -> Option<HostFailure> {
        if matches!(&failure.cause, HostError::Topology(error) if !may_pass(error, was_up)) {
            return Some(failure);
        }
        warn!(reason = %failure.cause, "the connection is lost");
        self.link.set(State::Down(vec![failure]));
        None
    }

    /// Tells what came of each host; gives back one that refuses us, if the broker does.
    fn not_connected(&self, hosts: Vec<HostFailure>, was_up: bool) -> Option<HostFailure> {
        if let Some(refused) = refusing(&hosts, was_up) {
            return Some(refused.clone());
        }
        for failure in &hosts {
            warn!(reason = %failure, "no connection");
        }
        self.link.set(State::Down(hosts));
        None
    }

    /// Tries each host once, from the one whose turn it is: a node that refuses us may just be
    /// starting, and another may take us. What came of each is given if none does.
    async fn round(
        &self,
        hosts: &mut Hosts<'_>,
    ) -> Result<(BrokerHost, Connections), Vec<HostFailure>> {
        let mut failures = Vec::new();
        for _ in 0..hosts.all.len() {
            let (index, uri) = hosts.next();
            if hosts.silent.contains(&index)
                && let Err(cause) = probe::greets(uri).await
            {
                failures.push(HostFailure::of(uri, cause));
                continue;
            }
            let since = Instant::now();
            let name = &self.config.name;
            let publishing = format!("{name} (publishing)");
            match try_join!(
                connect(&self.config, uri, name),
                connect(&self.config, uri, &publishing)
            ) {
                Ok(connections) => {
                    hosts.silent.remove(&index);
                    let host = BrokerHost::of(uri);
                    info!(%host, "connected");
                    return Ok((host, connections));
                }
                Err(cause) => {
                    failures.push(HostFailure::of(uri, cause));
                    if since.elapsed() >= self.config.connect_timeout {
                        hosts.silent.insert(index);
                    }
                }
            }
        }
        Err(failures)
    }

    /// Declares, hands the connection to everyone, and waits for its end.
    async fn hold(
        &self,
        host: &BrokerHost,
        (connection, outgoing): Connections,
        number: u64,
        was_up: &mut bool,
    ) -> HostError {
        let events = connection.events_listener();
        let outgoing_events = outgoing.events_listener();
        // A broker that stands still in the middle of it is not one to work with.
        let asserted = match timeout(ASSERT, self.assert(&connection)).await {
            Ok(asserted) => asserted,
            Err(_) => {
                Err(TransportError::Disconnected { outage: Outage::Silent { waited: ASSERT } })
            }
        };
        match asserted {
            Ok(()) => {}
            Err(error) => {
                close(&connection, &outgoing).await;
                return match error {
                    TransportError::Disconnected { outage } => HostError::Ended(outage),
                    error => HostError::Topology(error),
                };
            }
        }
        let generation = Arc::new(Generation::new(number, (connection, outgoing)));
        *was_up = true;
        self.link.set(State::Up(generation.clone()));
        let repair = Repair::new(&self.config, &self.declared, &generation);
        let outage = tokio::select! {
            never = repair.run() => match never {},
            outage = self.end_of(&generation.connection, events) => outage,
            outage = self.end_of(&generation.outgoing, outgoing_events) => outage,
            () = generation.suspected.notified() => Outage::Slow,
        };
        let end = HostError::Ended(outage);
        self.link.set(State::Down(vec![HostFailure { host: host.clone(), cause: end.clone() }]));
        close(&generation.connection, &generation.outgoing).await;
        end
    }

    /// Declares everything that was declared before.
    async fn assert(&self, connection: &Connection) -> Result<(), TransportError> {
        let declared = self.declared().clone();
        let channel = connection.create_channel().await;
        let channel = channel.map_err(|error| channel_error(&error))?;
        assert::all(&channel, &self.config, &declared).await
    }

    /// Waits for the end of a connection; tells the link when it is blocked.
    async fn end_of(&self, connection: &Connection, events: impl Stream<Item = Event>) -> Outage {
        let mut events = pin!(events);
        let mut blocked_since: Option<Instant> = None;
        loop {
            let event = poll_fn(|context| Pin::as_mut(&mut events).poll_next(context));
            match timeout(LOOK, event).await {
                Ok(Some(Event::ConnectionBlocked(reason))) => {
                    warn!(%reason, "the broker takes no messages");
                    blocked_since.get_or_insert_with(Instant::now);
                    self.link.set_blocked(true);
                }
                Ok(Some(Event::ConnectionUnblocked)) => {
                    info!("the broker takes messages again");
                    count_blocked(blocked_since.take());
                    self.link.set_blocked(false);
                }
                Ok(Some(Event::Error(error))) => {
                    if !connection.status().connected() {
                        count_blocked(blocked_since);
                        return Outage::said(error);
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => return Outage::Closed,
                Err(_) => {
                    if !connection.status().connected() {
                        count_blocked(blocked_since);
                        return Outage::Lost;
                    }
                }
            }
        }
    }

    fn declared(&self) -> MutexGuard<'_, Topology> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The host that refuses us, if the broker does. From the start that is a mistake in what is configured,
/// whatever the other hosts say. Later it may be a node of a cluster that is starting while the others
/// are away, so that all must refuse us.
fn refusing(hosts: &[HostFailure], was_up: bool) -> Option<&HostFailure> {
    let may_pass = was_up && hosts.iter().any(|failure| !failure.cause.is_final());
    hosts.iter().find(|failure| !may_pass && failure.cause.is_final())
}

/// About as long, so that not all come at once.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64())
}

/// Whether trying again soon may help where the topology could not be declared. What is missing from
/// the start is a mistake; later somebody may be at it.
fn may_pass(error: &TransportError, was_up: bool) -> bool {
    match error {
        // A temporary queue of ours, held by a connection that the broker has not given up yet.
        TransportError::Conflict { conflict: Conflict::Locked { .. }, .. } => true,
        TransportError::Conflict { .. } | TransportError::Refused { .. } => false,
        TransportError::Undeclared { .. }
        | TransportError::NoExchange { .. }
        | TransportError::Other { .. } => was_up,
        // Nothing but other names would help.
        TransportError::NameTooLong { .. } | TransportError::Unsupported { .. } => was_up,
        _ => true,
    }
}

fn count_blocked(since: Option<Instant>) {
    if let Some(since) = since {
        counter!("bloodbank_blocked_seconds_total").increment(since.elapsed().as_secs());
    }
}

/// Says goodbye; a broker that does not answer is left alone.
async fn close(one: &Connection, other: &Connection) {
    let goodbyes = async {
        tokio::join!(one.close(200, "goodbye".into()), other.close(200, "goodbye".into()))
    };
    // It is of no interest whether the other side heard it.
    let _ = timeout(GOODBYE, goodbyes).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_took_us_before_a_cluster_refuses_us_only_if_all_its_nodes_do() {
        let uri: AMQPUri = "amqp://guest:guest@node".parse().unwrap();
        let refused = HostFailure::of(&uri, HostError::Login { reason: "no".to_owned() });
        let away = HostFailure::of(&uri, HostError::Silent { waited: None });
        let one = [away.clone(), refused.clone()];
        assert_eq!(refusing(&one, true), None);
        assert_eq!(refusing(&one, false), Some(&refused));
        assert_eq!(refusing(&one[1..], true), Some(&refused));
        assert_eq!(refusing(&[away], false), None);
    }
}

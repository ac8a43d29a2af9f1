//! The state of the connection, as everyone sees it.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{Outage, TransportError, Trouble};
use lapin::{Channel, Connection};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::absent::Absent;
use crate::host::{HostError, HostFailure};

/// A connection that is up, and its number: it goes up with each reconnect.
pub(crate) struct Generation {
    pub(crate) number: u64,
    /// To consume, and to declare.
    pub(crate) connection: Connection,
    /// To publish: a broker that takes no messages does not read from it, and acknowledgements must
    /// get through all the same.
    pub(crate) outgoing: Connection,
    /// Told by whoever has reason to think that the connection is dead.
    pub(crate) suspected: Notify,
    /// Told by whoever has met an exchange that is not there.
    pub(crate) missed: Notify,
    /// Which these are, and whether they are missing still.
    pub(crate) absent: Absent,
    /// Told each time when it was looked whether everything is there, and what was missing declared.
    pub(crate) repaired: Notify,
}

impl Generation {
    pub(crate) fn new(number: u64, (connection, outgoing): (Connection, Connection)) -> Self {
        let (suspected, missed, repaired) = (Notify::new(), Notify::new(), Notify::new());
        let absent = Absent::default();
        Generation { number, connection, outgoing, suspected, missed, absent, repaired }
    }

    pub(crate) async fn channel(&self) -> Result<Channel, lapin::Error> {
        self.connection.create_channel().await
    }

    /// A channel to publish on.
    pub(crate) async fn outgoing_channel(&self) -> Result<Channel, lapin::Error> {
        self.outgoing.create_channel().await
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connection.status().connected() && self.outgoing.status().connected()
    }
}

/// Where the connection stands.
#[derive(Clone)]
pub(crate) enum State {
    /// There is none, for what came of these hosts; of none of them yet at the beginning.
    Down(Vec<HostFailure>),
    Up(Arc<Generation>),
    /// The broker rejects us. Nothing is tried any more, or, where it took us before, rarely.
    Refused {
        failure: HostFailure,
        again: bool,
    },
    Closed,
}

#[derive(Clone)]
pub(crate) struct Status {
    pub(crate) state: State,
    /// The broker takes no messages at the moment.
    pub(crate) blocked: bool,
    /// Since when nothing could be published, if so.
    since: Option<Instant>,
}

/// What the supervisor tells all others.
#[derive(Clone)]
pub(crate) struct Link {
    sender: Arc<watch::Sender<Status>>,
    grace: Duration,
}

impl Link {
    pub(crate) fn new(grace: Duration) -> Self {
        let state = State::Down(Vec::new());
        let status = Status { state, blocked: false, since: Some(Instant::now()) };
        Link { sender: Arc::new(watch::Sender::new(status)), grace }
    }

    pub(crate) fn set(&self, state: State) {
        self.sender.send_modify(|status| {
            status.blocked = false;
            status.since = match &state {
                State::Up(_) => None,
                _ => status.since.or_else(|| Some(Instant::now())),
            };
            status.state = state;
        });
    }

    pub(crate) fn set_blocked(&self, blocked: bool) {
        self.sender.send_modify(|status| {
            status.blocked = blocked;
            status.since = blocked.then(Instant::now);
        });
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Status> {
        self.sender.subscribe()
    }

    pub(crate) fn status(&self) -> Status {
        self.sender.borrow().clone()
    }

    /// Why nothing can be published at the moment, and for how long that has been so.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        let status = self.sender.borrow();
        let works = matches!(status.state, State::Up(_)) && !status.blocked;
        let lasting = status.since.map(|since| since.elapsed()).unwrap_or_default();
        (!works).then(|| Trouble::new(status.error(), lasting))
    }

    /// The breaker: why publishing fails at once, if it does.
    pub(crate) fn broken(&self) -> Option<TransportError> {
        let status = self.sender.borrow();
        let waited = status.since.is_some_and(|since| since.elapsed() > self.grace);
        match &status.state {
            State::Refused { .. } | State::Closed => Some(status.error()),
            _ if waited => Some(status.error()),
            _ => None,
        }
    }

    /// Waits until a connection is no longer the one that is up. The client itself may notice much
    /// later that it is dead, or never.
    pub(crate) async fn left(&self, generation: &Generation) {
        let mut watch = self.watch();
        let left =
            |status: &Status| status.generation().is_none_or(|now| now.number != generation.number);
        // An error means that the supervisor is gone, and the connection with it.
        let _ = watch.wait_for(left).await;
    }

    /// The connection, once there is one.
    ///
    /// # Errors
    /// When there will never be one, or none by the deadline.
    pub(crate) async fn up(&self, deadline: Instant) -> Result<Arc<Generation>, TransportError> {
        let mut watch = self.watch();
        let settled = |status: &Status| !matches!(status.state, State::Down(_));
        let status = match tokio::time::timeout_at(deadline, watch.wait_for(settled)).await {
            Ok(Ok(status)) => status.clone(),
            _ => self.status(),
        };
        match &status.state {
            State::Up(generation) => Ok(generation.clone()),
            _ => Err(status.error()),
        }
    }
}

impl Status {
    /// Why nothing can be published, for a message that was not sent.
    pub(crate) fn error(&self) -> TransportError {
        match &self.state {
            State::Up(_) if self.blocked => TransportError::Blocked,
            State::Up(_) => TransportError::Disconnected { outage: Outage::Slow },
            State::Down(hosts) => TransportError::Disconnected { outage: outage(hosts) },
            State::Refused { failure, again } => {
                let code = failure.cause.code();
                TransportError::Refused { code, reason: failure.to_string(), again: *again }
            }
            State::Closed => TransportError::Closed,
        }
    }

    pub(crate) fn generation(&self) -> Option<&Arc<Generation>> {
        match &self.state {
            State::Up(generation) => Some(generation),
            _ => None,
        }
    }
}

fn outage(hosts: &[HostFailure]) -> Outage {
    match hosts {
        [] => Outage::NotYet,
        [HostFailure { cause: HostError::Ended(outage), .. }] => outage.clone(),
        hosts => Outage::Unreachable { hosts: hosts.iter().map(ToString::to_string).collect() },
    }
}

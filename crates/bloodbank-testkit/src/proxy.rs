//! A TCP proxy that breaks connections on demand.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use crate::ports;

/// A TCP proxy on 127.0.0.1 that breaks connections on demand. Runs on threads of its own.
///
/// Dropping it closes everything.
pub struct Proxy {
    shared: Arc<Shared>,
}

struct Shared {
    port: u16,
    target: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Nothing while connections are refused.
    listener: Option<TcpListener>,
    half_open: bool,
    ended: bool,
    next: u64,
    /// The two ends of each open connection.
    connections: Vec<(u64, TcpStream, TcpStream)>,
}

impl Proxy {
    /// Starts a proxy to this address, such as `("127.0.0.1", broker.port())`.
    ///
    /// # Panics
    ///
    /// If the address is none, or no port is free.
    #[expect(clippy::unused_async, reason = "as the other servers are started")]
    pub async fn start(target: impl ToSocketAddrs) -> Proxy {
        let target = target.to_socket_addrs().expect("an address").next().expect("an address");
        let port = ports::free();
        let state = State { listener: Some(listen(port)), ..State::default() };
        let shared =
            Arc::new(Shared { port, target, state: Mutex::new(state), changed: Condvar::new() });
        let acceptor = Arc::clone(&shared);
        thread::spawn(move || acceptor.accept());
        Proxy { shared }
    }

    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.shared.port
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.lock().connections.len()
    }

    /// How many connections were ever opened: those that were cut and closed, too.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.lock().next
    }

    /// Closes all connections at once. New ones are accepted as before.
    pub fn cut(&self) {
        self.shared.cut(&mut self.shared.lock());
    }

    /// Whether new connections are refused, as by a port on which nobody listens. Those that are
    /// open stay.
    ///
    /// # Panics
    ///
    /// If somebody else has taken the port in the meantime.
    pub fn refuse(&self, refuse: bool) {
        let mut state = self.shared.lock();
        if refuse {
            state.listener = None;
        } else if state.listener.is_none() {
            state.listener = Some(listen(self.shared.port));
        }
    }

    /// Whether connections stay open while no byte passes either way, and no end is told that the
    /// other has closed. Then what was held back passes.
    pub fn half_open(&self, half_open: bool) {
        self.shared.lock().half_open = half_open;
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.ended = true;
        state.listener = None;
        self.shared.cut(&mut state);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn cut(&self, state: &mut State) {
        for (_, client, server) in state.connections.drain(..) {
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
        self.changed.notify_all();
    }

    fn accept(self: &Arc<Shared>) {
        loop {
            let accepted = {
                let state = self.lock();
                if state.ended {
                    return;
                }
                state.listener.as_ref().map(TcpListener::accept)
            };
            if let Some(Ok((client, _))) = accepted {
                let shared = Arc::clone(self);
                thread::spawn(move || shared.connect(client));
            } else {
                thread::sleep(Duration::from_millis(2));
            }
        }
    }

    /// Connects an accepted client; where nobody is behind the proxy, the client is cut off.
    fn connect(self: Arc<Shared>, client: TcpStream) {
        let Ok(server) = TcpStream::connect_timeout(&self.target, Duration::from_secs(5)) else {
            return;
        };
        let prepared = client
            .set_nonblocking(false)
            .and_then(|()| client.set_nodelay(true))
            .and_then(|()| server.set_nodelay(true));
        let (Ok(()), Ok(client_end), Ok(server_end)) =
            (prepared, client.try_clone(), server.try_clone())
        else {
            return;
        };
        let Some((id, back)) = self.open(client, server) else { return };
        let (reader, writer) = back;
        let shared = Arc::clone(&self);
        let answers = thread::spawn(move || shared.pump(id, reader, writer));
        self.pump(id, client_end, server_end);
        let _ = answers.join();
        self.lock().connections.retain(|(open, _, _)| *open != id);
    }

    /// Notes a connection; gives its number, and its ends for the way back.
    fn open(&self, client: TcpStream, server: TcpStream) -> Option<(u64, (TcpStream, TcpStream))> {
        let back = (server.try_clone().ok()?, client.try_clone().ok()?);
        let mut state = self.lock();
        if state.ended {
            return None;
        }
        let id = state.next;
        state.next += 1;
        state.connections.push((id, client, server));
        Some((id, back))
    }

    /// Passes bytes one way, and the end of them.
    fn pump(&self, id: u64, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = match from.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // An end that was reset is an end.
                other => other.unwrap_or(0),
            };
            if !self.may_pass(id) {
                return;
            }
            if count == 0 {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            if to.write_all(&buffer[..count]).is_err() {
                let _ = from.shutdown(Shutdown::Both);
                return;
            }
        }
    }

    /// Waits while nothing may pass. Says no if the connection was cut.
    fn may_pass(&self, id: u64) -> bool {
        let mut state = self.lock();
        loop {
            if !state.connections.iter().any(|(open, _, _)| *open == id) {
                return false;
            }
            if !state.half_open {
                return true;
            }
            state = self.changed.wait(state).unwrap();
        }
    }
}

fn listen(port: u16) -> TcpListener {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the proxy's port");
    listener.set_nonblocking(true).expect("a listener that does not block");
    listener
}

//! Port numbers that nobody uses.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

/// What this process has given out already.
static TAKEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A port of 127.0.0.1 on which nobody listens.
///
/// It lies below the ports that the kernel gives to outgoing connections. A client that calls a
/// broker that is down, on a port of that range, can be given this very port for its own end: it
/// would be connected to itself, and the broker could not come back.
pub(crate) fn free() -> u16 {
    let mut taken = TAKEN.lock().unwrap();
    let taken = taken.get_or_insert_default();
    for _ in 0..10_000 {
        let random = RandomState::new().hash_one(0);
        let port = 10_000 + u16::try_from(random % 20_000).unwrap();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && taken.insert(port) {
            return port;
        }
    }
    panic!("no free port between 10000 and 30000");
}

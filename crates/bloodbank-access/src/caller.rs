//! Who asks for something.

use std::fmt;
use std::sync::Arc;

use bloodbank_core::Contracts;

use crate::{AccessError, Rights};

/// The name of the caller where no tokens are demanded. No token may have it.
pub(crate) const LOCAL: &str = "local";

/// Who asks for something, and what that caller may do. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Caller {
    name: Arc<str>,
    rights: Arc<Rights>,
}

impl Caller {
    /// The holder of a token.
    pub fn new(name: &str, rights: Rights) -> Self {
        Caller { name: name.into(), rights: Arc::new(rights) }
    }

    /// Everybody, where no tokens are demanded: may do everything.
    pub fn local() -> Self {
        Caller::new(LOCAL, Rights::all())
    }

    /// Whether it is [`Caller::local`].
    pub fn is_local(&self) -> bool {
        &*self.name == LOCAL
    }

    /// The token's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The service of registry.yaml whose rights it has, where it is bound to one.
    pub fn service(&self) -> Option<&str> {
        self.rights.keys.service()
    }

    /// All its rights.
    pub fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Whether it may publish the event of this routing key.
    pub fn may_publish(&self, contracts: &Contracts, key: &str) -> bool {
        self.rights.keys.may_publish(contracts, key)
    }

    /// Whether it may send the command of this routing key.
    pub fn may_send(&self, contracts: &Contracts, key: &str) -> bool {
        self.rights.keys.may_send(contracts, key)
    }

    /// Whether it may read what is stored and what passes.
    pub fn may_read(&self) -> bool {
        self.rights.read
    }

    /// Whether it may change queues, dead letters and replays, and reload the contracts.
    pub fn may_operate(&self) -> bool {
        self.rights.operate
    }

    /// Whether it sees values that a contract marks as sensitive.
    pub fn sees_sensitive(&self) -> bool {
        self.rights.sensitive
    }

    /// That it lacks a right, named as people read it: `read`, `publish theboard.meeting.created`.
    pub fn lacks(&self, right: impl Into<String>) -> AccessError {
        AccessError::RightMissing { name: self.name.to_string(), right: right.into() }
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Caller").field(&self.name).finish()
    }
}

//! What the holder of a token may do.

use bloodbank_core::{Contracts, TopicPattern, version_word};
use serde::{Deserialize, Serialize};

/// What the holder of a token may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rights {
    /// Which events it may publish, and which commands it may send.
    #[serde(default)]
    pub keys: Keys,
    /// It may read what is stored and what passes, and the contracts.
    #[serde(default)]
    pub read: bool,
    /// It may change queues, dead letters and replays, and reload the contracts.
    #[serde(default)]
    pub operate: bool,
    /// It sees values that a contract marks as sensitive.
    #[serde(default)]
    pub sensitive: bool,
}

/// The routing keys that the holder of a token may publish and send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Keys {
    /// Those that registry.yaml gives to the service of this name, whatever it gives at the time.
    Service(String),
    /// Those that match a pattern. A pattern that matches a key matches each version of it.
    Patterns {
        /// Events.
        #[serde(default)]
        publish: Vec<TopicPattern>,
        /// Commands.
        #[serde(default)]
        send: Vec<TopicPattern>,
    },
}

impl Default for Keys {
    fn default() -> Self {
        Keys::Patterns { publish: Vec::new(), send: Vec::new() }
    }
}

impl Rights {
    /// None at all.
    pub fn none() -> Self {
        Rights { keys: Keys::default(), read: false, operate: false, sensitive: false }
    }

    /// All that there are.
    pub fn all() -> Self {
        let everything = || vec![TopicPattern::everything()];
        let keys = Keys::Patterns { publish: everything(), send: everything() };
        Rights { keys, read: true, operate: true, sensitive: true }
    }

    /// The same with these keys.
    pub fn with_keys(self, keys: Keys) -> Self {
        Rights { keys, ..self }
    }

    /// The same with the right to read.
    pub fn with_read(self) -> Self {
        Rights { read: true, ..self }
    }

    /// The same with the right to operate.
    pub fn with_operate(self) -> Self {
        Rights { operate: true, ..self }
    }

    /// The same with the right to see what is sensitive.
    pub fn with_sensitive(self) -> Self {
        Rights { sensitive: true, ..self }
    }
}

impl Keys {
    /// The service whose rights they are.
    pub fn service(&self) -> Option<&str> {
        match self {
            Keys::Service(name) => Some(name),
            Keys::Patterns { .. } => None,
        }
    }

    pub(crate) fn may_publish(&self, contracts: &Contracts, key: &str) -> bool {
        match self {
            Keys::Service(name) => {
                contracts.bundle().service(name).is_some_and(|it| it.produces.contains(key))
            }
            Keys::Patterns { publish, .. } => matches(publish, key),
        }
    }

    pub(crate) fn may_send(&self, contracts: &Contracts, key: &str) -> bool {
        match self {
            Keys::Service(name) => {
                contracts.bundle().service(name).is_some_and(|it| it.sends.contains(key))
            }
            Keys::Patterns { send, .. } => matches(send, key),
        }
    }
}

/// Whether one of the patterns means the key, with or without its version, as in registry.yaml.
fn matches(patterns: &[TopicPattern], key: &str) -> bool {
    let bare = match key.rsplit_once('.') {
        Some((bare, last)) if version_word(last).is_some() => bare,
        _ => key,
    };
    patterns.iter().any(|pattern| pattern.matches(key) || pattern.matches(bare))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(publish: &[&str]) -> Keys {
        let publish = publish.iter().map(|pattern| pattern.parse().unwrap()).collect();
        Keys::Patterns { publish, send: Vec::new() }
    }

    #[test]
    fn a_pattern_means_every_version_of_the_keys_that_it_matches() {
        let contracts = bloodbank_testkit::catalog::contracts();
        let keys = patterns(&["lot.*", "oven.door.opened.v2"]);
        let may = |key| keys.may_publish(&contracts, key);
        assert!(may("lot.parcel") && may("lot.parcel.v2") && may("oven.door.opened.v2"));
        for other in ["lot", "lot.parcel.sent", "oven.door.opened", "oven.door.opened.v3", "", "#"]
        {
            assert!(!may(other), "{other}");
        }
        assert!(!keys.may_send(&contracts, "lot.parcel"));
        assert!(Rights::all().keys.may_send(&contracts, "lot.parcel.v7"));
        assert!(!Rights::none().keys.may_publish(&contracts, "lot.parcel"));
    }
}

//! Routing keys, the patterns that match them, and the two kinds of contract.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest routing key AMQP 0-9-1 can carry, in bytes (a short string).
pub const MAX_KEY_BYTES: usize = 255;

/// What a contract describes: something that happened, or something to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A fact. Published to a topic exchange; any number of queues may listen, also none.
    Event,
    /// A request. Sent to the one worker queue of its key.
    Command,
}

impl Kind {
    /// `event` or `command`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Event => "event",
            Kind::Command => "command",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is not a routing key or not a topic pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Fewer than two words.
    #[error("`{0}` has one word; a key is `<domain>.<entity>.<action>`")]
    TooShort(String),
    /// More bytes than AMQP can carry.
    #[error("the key is {0} bytes long; AMQP carries at most {MAX_KEY_BYTES}")]
    TooLong(usize),
    /// Two dots without a word between them, or a dot at an end.
    #[error("`{0}` has an empty word; words are separated by single dots")]
    EmptyWord(String),
    /// A word that has a character outside `a-z`, `0-9`, `_`.
    #[error(
        "`{word}` in `{text}` is not a word; words are lower-case letters, digits and `_`, \
         starting with a letter"
    )]
    Word {
        /// The whole text.
        text: String,
        /// The word at fault.
        word: String,
    },
    /// The last word is `v<N>`: the version belongs into the file name.
    #[error("`{0}` ends in a version; the const holds the bare key, the file name the version")]
    Versioned(String),
}

/// A bare routing key: `<domain>.<entity>.<action>`, without version.
///
/// Two words are accepted (`llm.prompt`); each word is `[a-z][a-z0-9_]*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoutingKey(String);

impl RoutingKey {
    /// The key as it stands in the schema's const.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first word.
    pub fn domain(&self) -> &str {
        self.words().next().unwrap_or_default()
    }

    /// The words between the dots.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    /// The key on the wire: bare for version 1, `<key>.v<N>` for a later one.
    pub fn route(&self, version: u32) -> String {
        if version == 1 { self.0.clone() } else { format!("{}.v{version}", self.0) }
    }
}

impl FromStr for RoutingKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        check_length(text)?;
        check_words(text)?;
        for word in text.split('.') {
            let mut letters = word.bytes();
            let starts = letters.next().is_some_and(|b| b.is_ascii_lowercase());
            let rest = letters.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            if !(starts && rest) {
                return Err(KeyError::Word { text: text.into(), word: word.into() });
            }
        }
        match text.rsplit_once('.') {
            None => Err(KeyError::TooShort(text.into())),
            Some((_, last)) if version_word(last).is_some() => {
                Err(KeyError::Versioned(text.into()))
            }
            Some(_) => Ok(RoutingKey(text.into())),
        }
    }
}

impl TryFrom<String> for RoutingKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<RoutingKey> for String {
    fn from(key: RoutingKey) -> String {
        key.0
    }
}

impl fmt::Display for RoutingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number in a version word: `v2` → 2. `v0`, `v02` and `version` are no version words.
pub fn version_word(word: &str) -> Option<u32> {
    let digits = word.strip_prefix('v')?;
    let plain = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|&n| plain && n > 0)
}

/// A binding on a topic exchange: words, `*` for exactly one word, `#` for any number, also none.
///
/// Matching is that of AMQP 0-9-1, section 3.1.3.3.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicPattern(String);

impl TopicPattern {
    /// `#`, which matches every key.
    pub fn everything() -> Self {
        TopicPattern("#".to_owned())
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has a `*` or a `#`.
    pub fn is_wild(&self) -> bool {
        self.0.split('.').any(|word| word == "*" || word == "#")
    }

    /// Whether a message with this routing key goes to a queue bound with this pattern.
    pub fn matches(&self, route: &str) -> bool {
        if self.0.contains('#') {
            return self.matches_any_length(route);
        }
        let (mut parts, mut words) = (self.0.split('.'), route.split('.'));
        loop {
            match (parts.next(), words.next()) {
                (None, None) => return true,
                (Some(part), Some(word)) if part == "*" || part == word => {}
                _ => return false,
            }
        }
    }

    fn matches_any_length(&self, route: &str) -> bool {
        // One row of the usual table: `row[j]` says whether the pattern so far matches the first
        // j words. Linear in pattern × key, also for `#.#.#`.
        let words: Vec<&str> = route.split('.').collect();
        let mut row = vec![false; words.len() + 1];
        row[0] = true;
        for part in self.0.split('.') {
            if part == "#" {
                for j in 1..row.len() {
                    row[j] |= row[j - 1];
                }
            } else {
                for j in (1..row.len()).rev() {
                    row[j] = row[j - 1] && (part == "*" || part == words[j - 1]);
                }
                row[0] = false;
            }
        }
        row[words.len()]
    }
}

impl FromStr for TopicPattern {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        check_length(text)?;
        check_words(text)?;
        for word in text.split('.') {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
            let wild = word == "*" || word == "#";
            if !wild && !word.bytes().all(plain) {
                return Err(KeyError::Word { text: text.into(), word: word.into() });
            }
        }
        Ok(TopicPattern(text.into()))
    }
}

impl TryFrom<String> for TopicPattern {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<TopicPattern> for String {
    fn from(pattern: TopicPattern) -> String {
        pattern.0
    }
}

impl fmt::Display for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check_words(text: &str) -> Result<(), KeyError> {
    if text.split('.').any(str::is_empty) { Err(KeyError::EmptyWord(text.into())) } else { Ok(()) }
}

fn check_length(text: &str) -> Result<(), KeyError> {
    if text.len() > MAX_KEY_BYTES { Err(KeyError::TooLong(text.len())) } else { Ok(()) }
}

//! The chain of digests, by which a store proves that nothing in it was changed.

use std::fmt;
use std::str::FromStr;

use bloodbank_core::Code;
use sha2::{Digest as _, Sha256};

use crate::Position;
use crate::event::EventRow;
use crate::sql::{Cell, Column, TableRow, Type, Value};

/// What begins the bytes that are summed; changes with what they are.
const VERSION: &[u8] = b"bloodbank event 1\n";

/// The columns that a digest covers: all but itself, the last one.
const COVERED: usize = EventRow::TABLE.columns.len() - 1;

/// The digest of an event (SHA-256): of all that is stored of it, and of the digest of the event before
/// it. So the digest of one event is the digest of all events up to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// What comes before the first event.
    pub(crate) const NONE: Digest = Digest([0; 32]);

    /// The digest of bytes alone.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        Digest(Sha256::digest(bytes).into())
    }

    /// The digest of an event behind another one. That of the bytes of its body is computed beforehand.
    ///
    /// Each column is a byte for its type and the value: 0 for none; 1 and a number of 8 bytes, the
    /// highest first; 2, the length of a text in the same way and its UTF-8; 3 and the digest of bytes;
    /// 4 and the 16 bytes of an id.
    pub(crate) fn after(self, row: &EventRow, body: Digest) -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(VERSION);
        bytes.extend_from_slice(&self.0);
        for cell in row.cells().take(COVERED) {
            match cell {
                Cell::Null => bytes.push(0),
                Cell::Int(number) => {
                    bytes.push(1);
                    bytes.extend_from_slice(&number.to_be_bytes());
                }
                Cell::Text(text) => {
                    bytes.push(2);
                    bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
                    bytes.extend_from_slice(text.as_bytes());
                }
                Cell::Bytes(_) => {
                    bytes.push(3);
                    bytes.extend_from_slice(&body.0);
                }
                Cell::Id(id) => {
                    bytes.push(4);
                    bytes.extend_from_slice(id.as_bytes());
                }
            }
        }
        Digest::of_bytes(&bytes)
    }
}

impl Column for Digest {
    const TYPE: Type = Type::Bytes;

    fn cell(&self) -> Cell<'_> {
        Cell::Bytes(&self.0)
    }

    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => bytes[..].try_into().ok().map(Digest),
            _ => None,
        }
    }
}

/// In hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a [`Checkpoint`], or not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a position, a colon and 64 hexadecimal digits, as in `12:5f…`")]
#[non_exhaustive]
pub struct CheckpointError;

impl CheckpointError {
    /// Its code, [`Code::NotACheckpoint`].
    pub fn code(&self) -> Code {
        Code::NotACheckpoint
    }
}

impl FromStr for Digest {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(CheckpointError);
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            let digits = text.get(at..at + 2).ok_or(CheckpointError)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| CheckpointError)?;
        }
        Ok(Digest(bytes))
    }
}

/// A position and its digest, which stand for everything that was stored up to there. Written down
/// elsewhere, they show later whether that is still as it was.
///
/// As text it is `<position>:<digest>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The position; 0 before the first event.
    pub position: Position,
    /// Its digest.
    pub digest: Digest,
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.position, self.digest)
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let (position, digest) = text.split_once(':').ok_or(CheckpointError)?;
        let position = position.parse().map_err(|_| CheckpointError)?;
        Ok(Checkpoint { position, digest: digest.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_comes_back_from_its_text() {
        let checkpoint = Checkpoint { position: 12, digest: Digest::of_bytes(b"abc") };
        let text = checkpoint.to_string();
        assert!(text.starts_with("12:ba7816bf8f01cfea"), "{text}");
        assert_eq!(text.parse(), Ok(checkpoint));
        let longer = format!("{text}0");
        let signs = format!("1:{}", "+1".repeat(32));
        for wrong in ["", "12", "12:", "12:ba", &text[2..], &text[..66], &longer, &signs, "x:1"] {
            assert_eq!(wrong.parse::<Checkpoint>(), Err(CheckpointError), "{wrong}");
        }
    }
}

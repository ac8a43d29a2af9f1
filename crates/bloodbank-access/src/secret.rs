//! The secret of a token, and its hash.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::AccessError;

/// What each secret begins with, so that people and scanners for leaked secrets know it.
const PREFIX: &str = "bb_";

/// The random bytes of a secret: 256 bits, which nobody guesses.
const BYTES: usize = 32;

/// A token as its holder presents it. It is shown once, when it is made, and stands in no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// # Errors
    /// If the system gives no random bytes.
    pub(crate) fn random() -> Result<Self, AccessError> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(|_| AccessError::NoRandomness)?;
        Ok(Secret(format!("{PREFIX}{}", hex(&bytes))))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The SHA-256 of a secret, in hexadecimal digits.
///
/// A slow hash, as for passwords, would only cost each request its time: it slows down who tries the
/// words of a list, and 256 random bits stand in none.
pub(crate) fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

/// Whether two hashes are the same, in a time that does not say how much of them is.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_differ_and_are_not_shown() {
        let (one, other) = (Secret::random().unwrap(), Secret::random().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.as_str().len(), 3 + 64);
        assert_eq!(format!("{one:?}"), "Secret(…)");
    }

    /// The second line of the vectors of NIST: the hash is the one that other programs make.
    #[test]
    fn the_hash_is_sha256() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash("abc"), abc);
        assert!(same(abc, &hash("abc")) && !same(abc, &hash("abd")) && !same(abc, &abc[1..]));
    }
}

//! Why somebody may not do something, and why tokens cannot be read or changed.

use std::path::PathBuf;

use bloodbank_core::Code;

/// Why somebody may not do something, or why tokens cannot be read or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// Tokens are demanded, and none was presented.
    #[error("a token is needed, and none was presented")]
    TokenMissing,
    /// What was presented is not a token in force.
    #[error("the token that was presented is not in force: it was revoked, or it never was one")]
    TokenUnknown,
    /// The caller lacks a right.
    #[error("`{name}` does not have the right `{right}`")]
    RightMissing {
        /// The caller's name.
        name: String,
        /// The right, as people read it.
        right: String,
    },
    /// A text is not a name of a token.
    #[error(
        "`{name}` is not a name of a token: expected 1 to 64 of the characters a-z, A-Z, 0-9, `.`, `_` and \
         `-`, other than `local`"
    )]
    NotAName {
        /// The text.
        name: String,
    },
    /// There is a token of this name already.
    #[error("there is a token `{name}` already")]
    Exists {
        /// Its name.
        name: String,
    },
    /// No token has this name.
    #[error("there is no token `{name}`")]
    NoSuchToken {
        /// The name that was asked for.
        name: String,
    },
    /// The file of tokens cannot be read or written.
    #[error("the tokens of {} cannot be {doing}: {reason}", file.display())]
    Unavailable {
        /// The file.
        file: PathBuf,
        /// `read` or `changed`.
        doing: &'static str,
        /// What the system says.
        reason: String,
    },
    /// Others than its owner may read the file, or write to it.
    #[error(
        "others than its owner may read or change {}: its mode is {mode:03o}, expected 600", file.display()
    )]
    Exposed {
        /// The file.
        file: PathBuf,
        /// The bits of its mode.
        mode: u32,
    },
    /// The file does not hold tokens.
    #[error("{} does not hold tokens: {reason}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong, with the place.
        reason: String,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes, so that no token can be made")]
    NoRandomness,
}

impl AccessError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            AccessError::TokenMissing => Code::TokenMissing,
            AccessError::TokenUnknown => Code::TokenUnknown,
            AccessError::RightMissing { .. } => Code::RightMissing,
            AccessError::NotAName { .. } => Code::NotATokenName,
            AccessError::Exists { .. } => Code::TokenExists,
            AccessError::NoSuchToken { .. } => Code::NoSuchToken,
            AccessError::Unavailable { .. } => Code::TokensUnavailable,
            AccessError::Exposed { .. } => Code::TokensExposed,
            AccessError::Malformed { .. } => Code::TokensMalformed,
            AccessError::NoRandomness => Code::NoRandomness,
        }
    }
}

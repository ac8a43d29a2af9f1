//! The bounds of what one caller, and all together, may ask for.

use std::time::Duration;

/// The bounds of what one caller, and all together, may ask for. A refusal says the bound.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// The most bytes of a body that holds one message.
    pub body: usize,
    /// The most bytes of a body that holds a batch.
    pub batch_body: usize,
    /// The most messages of a batch.
    pub batch: usize,
    /// How long a caller may take to send a body.
    pub read: Duration,
    /// How long an answer may take, apart from streams and from commands that are waited for.
    pub answer: Duration,
    /// The longest that is waited for the answer to a command.
    pub wait: Duration,
    /// The most streams that are open at a time.
    pub streams: usize,
    /// The most frames that wait for a stream whose reader is slow; what comes then is told as a gap.
    pub stream_lag: usize,
    /// How often a stream that has nothing to say says that it is alive.
    pub heartbeat: Duration,
    /// The most requests a second of one token, or of one address without tokens; `None` is no limit. A
    /// caller that was silent may ask for those of two seconds at once.
    pub rate: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body: 1 << 20,
            batch_body: 64 << 20,
            batch: 100_000,
            read: Duration::from_secs(30),
            answer: Duration::from_secs(30),
            wait: Duration::from_secs(300),
            streams: 1_000,
            stream_lag: 1_000,
            heartbeat: Duration::from_secs(15),
            rate: None,
        }
    }
}

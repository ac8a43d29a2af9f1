//! The memory of many processes, in Redis.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, Cmd, FromRedisValue, RedisError, cmd};
use uuid::Uuid;

use super::breaker::Breaker;
use super::{Claim, Dedup, DedupError};
use crate::BoxFuture;

/// How long a name is taken by somebody who never says what came of it.
const LEASE: Duration = Duration::from_secs(15);
/// How often a name is taken anew within its lease.
const RENEWALS: u32 = 3;
/// How long it is known that a message was handled; in seconds.
const KEPT: u64 = 24 * 60 * 60;
/// How long Redis may take for an answer before it counts as away.
const PATIENCE: Duration = Duration::from_secs(1);
/// Before each name, so that others may use the same server.
const PREFIX: &str = "bloodbank:handled:";

/// Lets go of a name, or keeps it for another lease, if it is still ours.
const RELEASE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";
const RENEW: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then \
    return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0";

/// The start of the value of a name that is taken; who has taken it follows.
const BUSY: &str = "busy:";
/// The start of the value of a message that was handled; its answer follows, if there is one.
const DONE: &[u8] = b"done";
const DONE_WITH_ANSWER: &[u8] = b"done:";

/// The memory of many processes, in Redis: a message that one of them has handled is not handled by
/// another.
///
/// Handled messages are known for 24 hours. A process that dies while it handles a message holds its
/// name for another 15 seconds at most; meanwhile other messages are handled. While Redis is away,
/// messages are handled without it: after a failure it is not asked for 2 seconds, then once, and after
/// each further failure not for twice as long, up to 30 seconds.
#[derive(Clone)]
pub struct RedisDedup {
    connection: ConnectionManager,
    /// The value of the names that this process has taken.
    busy: String,
    lease: Duration,
    breaker: Arc<Breaker>,
}

impl RedisDedup {
    /// Connects to `redis://[user:password@]host[:port][/database]`. The connection comes back by
    /// itself.
    ///
    /// # Errors
    /// If this is not such a URL, or nobody answers there.
    pub async fn connect(url: &str) -> Result<Self, DedupError> {
        let client = Client::open(url)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let connection = ConnectionManager::new_with_config(client, config).await?;
        let busy = format!("{BUSY}{}", Uuid::now_v7());
        Ok(RedisDedup { connection, busy, lease: LEASE, breaker: Arc::default() })
    }

    /// How long a process that died holds the names of what it was handling; 15 seconds unless said. A
    /// process that lives renews its names three times as often.
    ///
    /// Redis counts in milliseconds. A process that cannot renew a name for so long, as it or Redis is
    /// too busy, loses it, and its message may be handled twice.
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(Duration::from_millis(u64::from(RENEWALS)));
        self
    }

    async fn ask<T: FromRedisValue>(&self, question: &Cmd) -> Result<T, DedupError> {
        if !self.breaker.lets_through() {
            let reason = "it did not answer, and is left alone for some seconds".to_owned();
            return Err(DedupError { reason });
        }
        let mut connection = self.connection.clone();
        let answer = question.query_async(&mut connection).await;
        self.breaker.note(answer.is_ok());
        Ok(answer?)
    }

    /// In milliseconds.
    fn lease(&self) -> u64 {
        u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX)
    }

    async fn claim(&self, name: &str) -> Result<Claim, DedupError> {
        let mut take = cmd("SET");
        take.arg(key(name)).arg(&self.busy).arg("NX").arg("PX").arg(self.lease());
        let mut look = cmd("GET");
        look.arg(key(name));
        loop {
            // Nothing is said where the name is taken.
            if self.ask::<Option<String>>(&take).await?.is_some() {
                return Ok(Claim::New);
            }
            let value: Option<Vec<u8>> = self.ask(&look).await?;
            // Between the two it may have been let go.
            if let Some(value) = value {
                return Ok(claim_in(&value));
            }
        }
    }
}

fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

fn claim_in(value: &[u8]) -> Claim {
    match value.strip_prefix(DONE_WITH_ANSWER) {
        Some(answer) => Claim::Done(Some(answer.into())),
        None if value == DONE => Claim::Done(None),
        None => Claim::Busy,
    }
}

impl Dedup for RedisDedup {
    fn begin<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Claim, DedupError>> {
        Box::pin(self.claim(name))
    }

    fn renew<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), DedupError>> {
        Box::pin(async move {
            let mut keep = cmd("EVAL");
            keep.arg(RENEW).arg(1).arg(key(name)).arg(&self.busy).arg(self.lease());
            self.ask(&keep).await
        })
    }

    fn renewal(&self) -> Duration {
        self.lease / RENEWALS
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn finish<'a>(
        &'a self,
        name: &'a str,
        answer: Option<Arc<[u8]>>,
    ) -> BoxFuture<'a, Result<(), DedupError>> {
        Box::pin(async move {
            let value = match &answer {
                Some(answer) => [DONE_WITH_ANSWER, answer].concat(),
                None => DONE.to_vec(),
            };
            let mut note = cmd("SET");
            note.arg(key(name)).arg(value).arg("EX").arg(KEPT);
            self.ask(&note).await
        })
    }

    fn release<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), DedupError>> {
        Box::pin(async move {
            let mut forget = cmd("EVAL");
            forget.arg(RELEASE).arg(1).arg(key(name)).arg(&self.busy);
            self.ask(&forget).await
        })
    }
}

impl From<RedisError> for DedupError {
    fn from(error: RedisError) -> Self {
        DedupError { reason: error.to_string() }
    }
}

impl fmt::Debug for RedisDedup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisDedup").finish_non_exhaustive()
    }
}

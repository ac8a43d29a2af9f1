//! What a connection expects of its session, and what it does where the session is not its own.
//!
//! A pooler in transaction mode, such as PgBouncer, gives a client a session for each transaction. What
//! is set for a session then holds for somebody else, and nothing that is told to it comes through. So
//! the settings are asked for when the connection is made, with one of our own name among them: a pooler
//! refuses them or leaves them out. Then each transaction sets them for itself.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, SimpleQueryMessage, Socket};

use super::{DEADLINE, LOCK_PATIENCE, Mode};
use crate::pulse;

/// Where the number of commits is told: one channel for each schema of a database.
pub(super) const CHANNEL: &str = "'candystore ' || hashtext(current_schema())";

/// The name of a channel is not an expression.
pub(super) const LISTEN: &str = "DO $$ BEGIN \
     EXECUTE format('LISTEN %I', 'candystore ' || hashtext(current_schema())); END $$";

/// A transaction for one question.
pub(super) const BEGIN_TO_READ: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY";

/// What is told as committed is on the disk, also where the database has another default. The last
/// value says for how long it is set.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', {local}) \
     WHERE current_setting('synchronous_commit') = 'off'";

/// A setting that no server knows, and keeps.
const OURS: &str = "bloodbank.session";

/// The session of a connection.
pub(super) struct Session {
    /// What every transaction begins with; nothing where the session is our own.
    prelude: String,
    mode: Mode,
    heard: watch::Receiver<i64>,
    pub(super) is_listening: bool,
}

impl Session {
    /// Whether a pooler gives us another session for each transaction.
    pub(super) fn is_pooled(&self) -> bool {
        !self.prelude.is_empty()
    }

    /// What comes after the beginning of a transaction, ended by a semicolon if it is anything.
    pub(super) fn prelude(&self) -> &str {
        &self.prelude
    }

    /// Whether a question needs a transaction of its own. Who writes always has one.
    pub(super) fn has_prelude_for_questions(&self) -> bool {
        self.mode == Mode::Read && self.is_pooled()
    }

    /// The number of commits that was heard of last. Ends with the connection.
    pub(super) fn heard(&self) -> watch::Receiver<i64> {
        self.heard.clone()
    }
}

/// What a session is to have, with a deadline for each statement.
///
/// Some keys are rare and some are not, and tables grow: a plan that is kept is wrong soon. Statements
/// here are short: to compile one takes far longer than to run it. And they read the first rows in an
/// index's order: a server that has not analyzed its tables yet takes a bitmap to be cheaper, which has
/// all rows before the first.
fn settings(mode: Mode) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("statement_timeout", format!("{}s", DEADLINE.as_secs())),
        ("plan_cache_mode", "force_custom_plan".to_owned()),
        ("jit", "off".to_owned()),
        ("enable_bitmapscan", "off".to_owned()),
    ];
    if mode == Mode::Write {
        settings.push(("lock_timeout", format!("{}s", LOCK_PATIENCE.as_secs())));
    }
    settings
}

/// The settings as the server takes them when a connection is made, behind those of the URL.
fn options(config: &Config, mode: Mode) -> String {
    let mut options = config.get_options().unwrap_or_default().to_owned();
    for (name, value) in settings(mode) {
        options.push_str(&format!(" -c {name}={value}"));
    }
    options + " -c " + OURS + "=own"
}

/// The settings for one transaction.
fn prelude(mode: Mode) -> String {
    let mut prelude: String = settings(mode)
        .iter()
        .map(|(name, value)| format!("SET LOCAL {name} = '{value}'; "))
        .collect();
    if mode == Mode::Write {
        prelude.push_str(&format!("{}; ", DURABLE.replace("{local}", "true")));
    }
    prelude
}

/// Connects, and finds out whose the session is.
pub(super) async fn connect<T>(
    config: &Config,
    mode: Mode,
    tls: T,
) -> Result<(Client, Session), Error>
where
    T: MakeTlsConnect<Socket> + Clone,
    T::Stream: Send + 'static,
{
    let mut with_options = config.clone();
    with_options.options(options(config, mode));
    let (client, connection) = match with_options.connect(tls.clone()).await {
        Err(error) if is_refused_by_a_pooler(&error) => config.connect(tls).await?,
        connected => connected?,
    };
    let (tell, heard) = watch::channel(0);
    // Ends with the client; an error of it is told to whoever asks next.
    tokio::spawn(drive(connection, tell));
    let is_own = is_own(&client).await?;
    if is_own {
        let last = match mode {
            Mode::Write => &*DURABLE.replace("{local}", "false"),
            // Not before: who asks for a server that can be written would not get one.
            Mode::Read => "SET default_transaction_read_only = on",
        };
        client.batch_execute(last).await?;
    }
    let prelude = if is_own { String::new() } else { prelude(mode) };
    Ok((client, Session { prelude, mode, heard, is_listening: false }))
}

/// Servers know all of the settings, so that this is not their answer.
fn is_refused_by_a_pooler(error: &Error) -> bool {
    let codes = [&SqlState::PROTOCOL_VIOLATION, &SqlState::FEATURE_NOT_SUPPORTED];
    error.code().is_some_and(|code| codes.contains(&code))
}

/// Whether the session has what was asked for when the connection was made.
async fn is_own(client: &Client) -> Result<bool, Error> {
    let sql = format!("SELECT current_setting('{OURS}', true)");
    let answers = client.simple_query(&sql).await?;
    let is_ours = |answer: &SimpleQueryMessage| match answer {
        SimpleQueryMessage::Row(row) => row.get(0) == Some("own"),
        _ => false,
    };
    Ok(answers.iter().any(is_ours))
}

/// Lets a connection work until it ends, and passes on what is told on it.
async fn drive<S, T>(mut connection: Connection<S, T>, tell: watch::Sender<i64>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) =
        std::future::poll_fn(|context| connection.poll_message(context)).await
    {
        if let AsyncMessage::Notification(told) = message
            && let Ok(commits) = told.payload().parse::<i64>()
        {
            pulse::tell(&tell, commits);
        }
    }
}

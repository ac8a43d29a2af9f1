//! What a user of the command line can do about an error: the one place that names commands and flags
//! for the errors of the libraries.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use bloodbank::amqp::{ConfigError, ConfigFault, ConfigProblem, ConnectError, HostError};
use bloodbank::candystore::{
    BackupError, CheckpointError, CursorError, FieldError, LineError, RecordError, ReplayError,
    StoreError, UrlError,
};
use bloodbank::codec::DecodeError;
use bloodbank::outbox::{DatabaseError, OutboxError, RelayError};
use bloodbank::{
    BusError, CheckError, Code, EnvelopeError, PublishError, ReadError, Refusal, SealError,
    SubscribeError, TransportError, UnknownKey,
};
use bloodbank_access::AccessError;

/// What to do about a URL that cannot be read.
const ENCODE: &str = "special characters in user, password and vhost are percent-encoded: `@` is \
                      `%40`, `:` is `%3A`, `/` is `%2F`";

/// An error with its causes in one line, then a line that helps, where there is one.
pub(crate) fn explained(error: &anyhow::Error) -> String {
    match error.chain().find_map(of) {
        Some(help) => format!("{error:#}\nhelp: {help}"),
        None => format!("{error:#}"),
    }
}

/// What to do about an error, if it is one of ours and there is something to say.
pub(crate) fn of(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(config) = error.downcast_ref::<ConfigError>() {
        return config.faults.iter().find_map(of_fault);
    }
    of_code(code(error)?)
}

/// What to do about a variable.
pub(crate) fn of_fault(fault: &ConfigFault) -> Option<&'static str> {
    matches!(fault.problem, ConfigProblem::NotAUrl { .. }).then_some(ENCODE)
}

/// The code of an error, if it is one of ours.
fn code(error: &(dyn Error + 'static)) -> Option<Code> {
    macro_rules! first_of {
        ($($kind:ty),+ $(,)?) => {
            None$(.or_else(|| error.downcast_ref::<$kind>().map(<$kind>::code)))+
        };
    }
    first_of!(
        Told,
        TransportError,
        StoreError,
        ReplayError,
        RecordError,
        SealError,
        PublishError,
        SubscribeError,
        BusError,
        ConnectError,
        HostError,
        CheckError,
        DecodeError,
        EnvelopeError,
        ReadError,
        Refusal,
        UnknownKey,
        UrlError,
        CheckpointError,
        BackupError,
        CursorError,
        FieldError,
        LineError,
        DatabaseError,
        OutboxError,
        RelayError,
        AccessError,
    )
}

/// What to do about an error of this code, where a command or a flag helps.
pub(crate) fn of_code(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::UnknownKey => "`bloodbank list-events` and `list-commands` show every key",
        Code::Unroutable => {
            "start the service, or declare all queues of registry.yaml: `bloodbank topology --apply`"
        }
        Code::ExchangeMissing => "`bloodbank topology --apply` declares it",
        Code::NoScheduler => "`bloodbank scheduled run` keeps what is not due yet, and sends it",
        Code::BrokerUnreachable => "`bloodbank doctor` looks at hosts, user and vhost one by one",
        Code::LoginRefused => "check user and password in RABBIT_URL, and the user's permissions",
        Code::VhostRefused => {
            "create the vhost with `rabbitmqctl add_vhost`, or name another one in RABBIT_URL"
        }
        Code::CertificateUntrusted => "name the authority that has signed it in RABBIT_CA_FILE",
        Code::CertificateUnreadable => {
            "RABBIT_CA_FILE, RABBIT_CERT_FILE and RABBIT_KEY_FILE name PEM files"
        }
        Code::AccessRefused => "`rabbitmqctl set_permissions` gives the user what it needs",
        Code::DeclarationConflict => "`bloodbank topology --check` shows every difference",
        Code::StoreMissing => {
            "DATABASE_URL names it: `sqlite:<file>` or `postgres://user:password@host/database`"
        }
        Code::StoreOlder => "`bloodbank store migrate` brings its tables up to date",
        Code::StoreDenied => {
            "`bloodbank store roles` prints what to grant; a file must be writable for who writes"
        }
        Code::StoreNewer => "use the newer program",
        Code::StoreFull => "make room on the store's disk",
        Code::StoreDamaged => "`bloodbank store verify` finds all of it",
        Code::NotACheckpoint => "`bloodbank store verify` says it of the head, in its last line",
        Code::StoreNotEmpty => "`--replace` restores it all the same; what is in it is lost",
        Code::BackupDamaged => "`bloodbank store verify` finds all that is wrong with a store",
        Code::CursorForeign => "begin without one",
        Code::CursorOrder => "ask in that order, or begin without it",
        Code::CursorFilter => "repeat the filter it was given with, or begin without it",
        Code::FieldNotJson => "text needs quotes: /topic=\"Budget\"",
        Code::TokensExposed => {
            "`chmod 600` it, and if others may have changed it, `bloodbank token revoke` each token"
        }
        Code::TokensMalformed => {
            "BLOODBANK_TOKENS names another file; `bloodbank token new` makes one"
        }
        Code::NoSuchToken => "`bloodbank token ls` shows them",
        Code::TokenExists => "`bloodbank token revoke` takes it out of force",
        Code::ReplayUnheard => "subscribe with `hear_replays()`, or name a queue with --queue",
        _ => return None,
    })
}

/// The value of an argument, or why it is not one, with what helps.
pub(crate) fn value<T: FromStr<Err: Error + 'static>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| explained_value(&error))
}

fn explained_value(error: &(dyn Error + 'static)) -> String {
    match of(error) {
        Some(help) => format!("{error}\nhelp: {help}"),
        None => error.to_string(),
    }
}

/// An error of a library in the words of the command line.
#[derive(Debug)]
pub(crate) struct Told {
    text: String,
    code: Code,
}

impl Told {
    pub(crate) fn new(text: String, code: Code) -> Self {
        Told { text, code }
    }

    fn code(&self) -> Code {
        self.code
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Told {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::unwrap_in_result)]

    use bloodbank::candystore::{Cursor, Damage, Field};
    use bloodbank::uuid::Uuid;

    use super::*;

    #[test]
    fn the_help_is_found_below_contexts_and_wrappers() {
        let source = TransportError::Unroutable { key: "a.b".to_owned() };
        let wrapped = PublishError::Transport { id: Uuid::nil(), source };
        let text = explained(&anyhow::Error::new(wrapped).context("not sent").context("first"));
        assert!(text.starts_with("first: not sent: "), "{text}");
        assert!(text.ends_with("\nhelp: start the service, or declare all queues of registry.yaml: `bloodbank topology --apply`"), "{text}");
        assert_eq!(text.matches("help:").count(), 1, "{text}");

        let damaged = ReplayError::Store(StoreError::Damaged(Damage::Column("kind")));
        let text = explained(&damaged.into());
        assert!(text.ends_with("help: `bloodbank store verify` finds all of it"), "{text}");
    }

    #[test]
    fn what_has_no_help_is_told_as_it_is() {
        assert_eq!(explained(&TransportError::Stale.into()), TransportError::Stale.to_string());
        assert_eq!(explained(&anyhow::anyhow!("a mistake")), "a mistake");
    }

    #[test]
    fn a_url_that_cannot_be_read_is_helped_and_another_variable_is_not() {
        let error = bloodbank::amqp::AmqpConfig::from_urls("http://u:p@h").unwrap_err();
        assert!(explained(&error.into()).contains("\nhelp: special characters"));
        let error = "mysql:".parse::<bloodbank::candystore::StoreUrl>().unwrap_err();
        assert!(!explained(&error.into()).contains("help:"));
    }

    #[test]
    fn values_of_arguments_are_helped() {
        let said = value::<Field>("/topic=a").unwrap_err();
        assert!(said.ends_with("help: text needs quotes: /topic=\"Budget\""), "{said}");
        let said = value::<Cursor>("next").unwrap_err();
        assert!(said.ends_with("help: begin without one"), "{said}");
        assert!(value::<Field>("/topic=1").is_ok());
    }
}

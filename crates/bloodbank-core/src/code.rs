//! The code of an error: a word that programs may rely on.

use std::fmt;

use holyfields::delay::DelayError;
use holyfields::key::KeyError;

/// Makes [`Code`] and everything that is said of each code, from one table.
macro_rules! codes {
    ($($variant:ident, $word:literal, $meaning:literal, $remedy:literal;)+) => {
        /// What kind of error it is, as a word that stays the same.
        ///
        /// Messages are for people and may change with any version. A code keeps its word and its
        /// meaning; new ones may come. Every error of Bloodbank has a method `code`, and an error that
        /// wraps another has the code of that one. All codes are listed in docs/errors.md.
        ///
        /// ```
        /// use bloodbank_core::{Bundle, Code, Contracts};
        ///
        /// let contracts = Contracts::new(Bundle::default());
        /// let unknown = contracts.find("oven.heated").unwrap_err();
        /// assert_eq!(unknown.code(), Code::UnknownKey);
        /// assert_eq!(unknown.code().as_str(), "unknown-key");
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $meaning] $variant,)+
        }

        impl Code {
            /// Every code, in the order of docs/errors.md.
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];

            /// Its word, in lower case with hyphens. It never changes.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $word,)+ }
            }

            /// What it means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Code::$variant => $meaning,)+ }
            }

            /// What to do about it, in one sentence.
            pub fn remedy(self) -> &'static str {
                match self { $(Code::$variant => $remedy,)+ }
            }
        }
    };
}

codes! {
    // Contracts and payloads.
    PayloadRefused, "payload-refused",
        "The payload breaks its contract.",
        "Change the payload where the violations point, or the contract.";
    UnknownKey, "unknown-key",
        "No contract has the routing key.",
        "Correct the key, or add a schema file for it.";
    UnknownService, "unknown-service",
        "The registry does not have a service of this name.",
        "Correct the name, or add the service to registry.yaml.";
    NotAllowed, "not-allowed",
        "The registry does not let the service publish or send the key.",
        "Add the key to what the service produces or sends in registry.yaml.";
    WrongKind, "wrong-kind",
        "An event was to be sent, or a command was to be published.",
        "Publish events and send commands.";
    NotAKey, "not-a-key",
        "The text is not a routing key or topic pattern.",
        "Write `<domain>.<entity>.<action>` in lower case; patterns may have `*` and `#` as words.";
    NotADelay, "not-a-delay",
        "The text is not a length of time.",
        "Write a whole number and its unit: `500ms`, `10s`, `1m` or `2h`.";
    ContractsBroken, "contracts-broken",
        "The schema folder or its registry has errors.",
        "Mend each finding of level error.";
    SchemaUnusable, "schema-unusable",
        "The schema of the contract cannot be compiled, so that no payload can be checked against it.",
        "Correct the schema as the reason says.";
    ExampleFails, "example-fails",
        "Examples of contracts are refused, or counterexamples are accepted.",
        "Change the example or its contract.";
    NotEncodable, "not-encodable",
        "The payload cannot be written as JSON.",
        "Use strings as the keys of maps, and numbers that JSON has.";
    NotJson, "not-json",
        "The bytes are not JSON.",
        "Correct the text at the line and column that are named.";
    OtherType, "other-type",
        "The routing key belongs to another contract than the type has.",
        "Read the payload as the type of its key.";
    TypeTooNarrow, "type-too-narrow",
        "The payload is valid, and the generated type does not take it.",
        "Generate the code again from the contracts in force; if that does not help, report it.";

    // Envelopes.
    EnvelopeMalformed, "envelope-malformed",
        "The message is not an envelope.",
        "Let the publisher write an envelope as schemas/_common/envelope.v1.json describes it.";
    EnvelopeOtherKey, "envelope-other-key",
        "The message travelled under another routing key than its envelope says.",
        "Let the publisher use the envelope's `event_type` as the routing key.";
    EnvelopeRefused, "envelope-refused",
        "Fields of the envelope break the envelope's schema.",
        "Let the publisher correct the fields that are named.";

    // The bus.
    NoBus, "no-bus",
        "No broker is named, and the program was built without a bus of its own.",
        "Set RABBIT_URL, or build the program with the feature `embedded`.";
    ConfigInvalid, "config-invalid",
        "Variables of the configuration are not what they should be.",
        "Change each variable that is named.";
    LoginRefused, "login-refused",
        "The broker refused user and password, or the user has no permission for the vhost.",
        "Correct user and password in RABBIT_URL, or give the user permissions for the vhost.";
    VhostRefused, "vhost-refused",
        "The vhost does not exist on the broker, or the user may not use it.",
        "Create the vhost with `rabbitmqctl add_vhost`, or correct it in RABBIT_URL.";
    CertificateUntrusted, "certificate-untrusted",
        "No trusted authority has signed the broker's certificate.",
        "Name the authority's certificate in RABBIT_CA_FILE.";
    CertificateUnreadable, "certificate-unreadable",
        "A certificate or key file cannot be read.",
        "Correct the path in RABBIT_CA_FILE, RABBIT_CERT_FILE or RABBIT_KEY_FILE, or its permissions.";
    NoRuntime, "no-runtime",
        "The bus was used outside of a tokio runtime.",
        "Connect inside a tokio runtime.";
    BrokerUnreachable, "broker-unreachable",
        "None of the brokers could be connected to in time.",
        "Start the broker, or correct host and port in RABBIT_URL.";
    BrokerSilent, "broker-silent",
        "The broker took the connection and did not answer in time.",
        "Look whether the broker is overloaded or stuck, or whether something else listens there.";
    NotABroker, "not-a-broker",
        "What listens at the host and port does not speak AMQP 0-9-1.",
        "Correct host and port in RABBIT_URL.";
    TlsExpected, "tls-expected",
        "The URL says amqp://, and the broker's port speaks TLS.",
        "Write amqps://, or name a port without TLS (5672).";
    TlsUnexpected, "tls-unexpected",
        "The URL says amqps://, and the broker's port does not speak TLS.",
        "Write amqp://, or name a port with TLS (5671).";
    AccessRefused, "access-refused",
        "The broker does not let the user declare, publish or consume this.",
        "Give the user the permissions with `rabbitmqctl set_permissions`.";
    Disconnected, "disconnected",
        "There is no connection to the broker, and nothing was taken.",
        "Try again with the same id; the connection comes back by itself.";
    BusBlocked, "bus-blocked",
        "The broker takes no messages at the moment: an alarm of its memory or disk.",
        "Make room; then try again with the same id.";
    Unroutable, "unroutable",
        "No queue takes the message: no service that wants it has declared its queue.",
        "Start the service that handles it, or declare the queues of registry.yaml.";
    NoScheduler, "no-scheduler",
        "The message is not due yet, and no scheduler has declared the queue that keeps it.",
        "Run a scheduler on the bus, which keeps such messages; then try again.";
    CallerGone, "caller-gone",
        "The caller of the command no longer waits for the answer.",
        "Do nothing, or let callers wait longer with `within`; the same idempotency key asks again.";
    Nacked, "nacked",
        "The bus rejected the message, as a queue that should get it is full or failed.",
        "Let the queue be read; then try again with the same id.";
    OutcomeUnknown, "outcome-unknown",
        "There was no answer by the deadline, and the message may have been taken or not.",
        "Publish it again with the same id, so that it is handled once.";
    QueueUndeclared, "queue-undeclared",
        "There is no such queue.",
        "Correct the name, or start the service that declares the queue.";
    ExchangeMissing, "exchange-missing",
        "There is no such exchange: it was never declared, or it was deleted.",
        "Declare the topology of the registry, or correct the name.";
    DeclarationConflict, "declaration-conflict",
        "A queue or exchange cannot be declared like this: it exists otherwise, or a rule forbids it.",
        "Declare it as it is, or delete the existing one by hand.";
    QueueInUse, "queue-in-use",
        "A queue cannot be removed, as it is consumed or holds the dead letters of another queue.",
        "End its consumers, or remove the other queue first.";
    DeliveryStale, "delivery-stale",
        "The delivery was settled before, or its consumer is gone and the message comes again.",
        "Do nothing; the message is handled when it comes again.";
    BusClosed, "bus-closed",
        "The bus was closed.",
        "Connect anew.";
    IdConflict, "id-conflict",
        "Another message with the same id says something else.",
        "Use an idempotency key for one message only; the store's quarantine keeps the second one.";
    OriginUnknown, "origin-unknown",
        "The dead letter does not say which queue it was parked from.",
        "Forward it by hand to the queue that should have it.";
    NoRetryDelays, "no-retry-delays",
        "A message is to wait for its next attempt, and no delays were declared for its queue.",
        "Declare the queue with its delays, as a subscriber does.";
    NameTooLong, "name-too-long",
        "A name is longer than the 255 bytes that AMQP takes.",
        "Use a shorter name.";
    Unsupported, "unsupported",
        "This transport cannot do what was asked.",
        "Use what the transport supports.";
    BrokerError, "broker-error",
        "The broker says that something else is wrong.",
        "Read the reason and the broker's log.";
    SubscriberSetup, "subscriber-setup",
        "The subscriber cannot work as it was put together.",
        "Correct each fault in the code of the service or in registry.yaml.";
    SignalsUnavailable, "signals-unavailable",
        "The signals that end a process cannot be listened to.",
        "End the subscribers with a future of your own, by `run_until`.";
    FiguresTaken, "figures-taken",
        "Something else takes the figures of this process already.",
        "Install one exporter of metrics, once.";
    DrainTimeout, "drain-timeout",
        "Some handlers were not done when the time for draining was over.",
        "Do nothing, as their messages come again; or allow more time.";
    DedupUnavailable, "dedup-unavailable",
        "The memory of handled messages cannot be reached.",
        "Start its server; until then messages may be handled twice.";
    HandlerFailed, "handler-failed",
        "The handler of the command failed.",
        "Read what the handler says.";
    NoAnswer, "no-answer",
        "The command was sent, and no answer came in time.",
        "Call again with the same idempotency key to wait for the same work.";
    AnswerLost, "answer-lost",
        "The command was sent, and the connection was lost before the answer came.",
        "Call again with the same idempotency key to wait for the same work.";
    NotACloudEvent, "not-a-cloud-event",
        "The envelope has no form as a CloudEvent.",
        "Correct the field that is named, or publish in the form of this bus.";
    AnswerRefused, "answer-refused",
        "The answer to the command breaks what the schema of the command says of it.",
        "Correct the handler, or `x-bloodbank-reply` in the schema; the violations name the fields.";
    AnswerUnreadable, "answer-unreadable",
        "The answer to the command is not what the caller asked for.",
        "Let caller and handler agree on the type of the answer.";
    NotAReason, "not-a-reason",
        "The word is not a reason why messages are parked.",
        "Use one of the words that are named.";

    // The store.
    NotAStoreUrl, "not-a-store-url",
        "The text does not name a store.",
        "Write `sqlite:<file>` or `postgres://user:password@host/database`.";
    StoreUnavailable, "store-unavailable",
        "The store cannot be opened, or its server cannot be reached.",
        "Correct the file or the server in DATABASE_URL, or start the server.";
    NotAFile, "not-a-file",
        "What is named as the store's file is something else, such as a folder.",
        "Name a file, which need not be there.";
    NoPostgres, "no-postgres",
        "The program was built without PostgreSQL.",
        "Build it with the feature `postgres`, or use a SQLite file.";
    StoreMissing, "store-missing",
        "There is no store: no file, or none of its tables in the database.",
        "Correct the file or the database in DATABASE_URL; a program that writes makes the store.";
    StoreOlder, "store-older",
        "An older program has made the store's tables, and a program that only reads does not change them.",
        "Migrate the store, or start a program of this version that writes to it.";
    StoreReadOnly, "store-read-only",
        "The store was opened to be read only.",
        "Open it for writing.";
    StoreDenied, "store-denied",
        "The database does not let the user do this.",
        "Grant the role what it needs, or make the file writable.";
    StoreRemoved, "store-removed",
        "The store's file was deleted or replaced while it was open, and nothing is stored any more.",
        "Restore the file, and start the program anew; what was confirmed lies in the file that is gone.";
    TooManyConnections, "too-many-connections",
        "The server of the store takes no more connections.",
        "Raise `max_connections` of the server, or end processes that hold connections.";
    StoreUnreachable, "store-unreachable",
        "The store was open and cannot be reached, and nothing was done.",
        "Do the same again; the connection comes back by itself.";
    StoreNewer, "store-newer",
        "A newer program has written the store.",
        "Use the newer program.";
    StoreForeign, "store-foreign",
        "The file or database was not made by this program, or was changed by hand.",
        "Name another file or database.";
    StoreFull, "store-full",
        "The store's disk is full, and nothing was written.",
        "Make room on the disk; what waits goes on by itself.";
    StoreBusy, "store-busy",
        "Another process holds the store for too long.",
        "Wait for the other process, or end it.";
    StoreLost, "store-lost",
        "The connection to the store is lost; what was in flight may have been done or not.",
        "Do the same again; events that are stored already are known by their ids.";
    StoreDamaged, "store-damaged",
        "The store does not hold what was written.",
        "Verify the store to find all of it, and restore a backup.";
    DatabaseError, "database-error",
        "The database says that something else is wrong.",
        "Read the reason and the database's log.";
    StorePanicked, "store-panicked",
        "The store's own code panicked, and nothing was done.",
        "Report it.";
    StoreClosed, "store-closed",
        "The store was closed.",
        "Open it anew.";
    CursorForeign, "cursor-foreign",
        "The text is not a cursor of this version.",
        "Begin without a cursor.";
    CursorOrder, "cursor-order",
        "The cursor belongs to a list in the other order.",
        "Ask in that order, or begin without the cursor.";
    CursorFilter, "cursor-filter",
        "The cursor belongs to a list with another filter.",
        "Repeat the filter that the cursor was given with, or begin without it.";
    FieldPointer, "field-pointer",
        "The text does not begin with a JSON pointer.",
        "Write `/` and the name of a field, as in `/topic`.";
    FieldNoValue, "field-no-value",
        "The field has no value to compare with.",
        "Write a pointer, `=` and JSON, as in `/rounds=3`.";
    BackupExists, "backup-exists",
        "The file that the backup is to be written to is there already.",
        "Name a new file.";
    BackupFile, "backup-file",
        "The file of the backup cannot be read or written.",
        "Name another file, or change its permissions.";
    NotABackup, "not-a-backup",
        "The file is not a backup of such a store.",
        "Name a file that a backup of a store on the same kind of database has made.";
    StoreNotEmpty, "store-not-empty",
        "A store is only restored where none is, and there is one.",
        "Name an empty store, or say that this one is to be replaced.";
    BackupDamaged, "backup-damaged",
        "Not all of the backup is as it was written.",
        "Verify the store that it was made of, and make another, or take an older one.";
    NoPostgresTool, "no-postgres-tool",
        "A program of PostgreSQL is needed and not there.",
        "Install the client programs of PostgreSQL, of the server's version or newer.";
    PostgresToolFailed, "postgres-tool-failed",
        "A program of PostgreSQL has failed.",
        "Read what it says; it must be of the server's version or newer.";
    FieldNoIndex, "field-no-index",
        "No index can be made on the field.",
        "Name a field by the names on the way to it, without places in lists, as in `/meeting_id`.";
    FieldNotJson, "field-not-json",
        "The value of the field is not JSON.",
        "Put text into quotes, as in `/topic=\"Budget\"`.";
    NotAValidity, "not-a-validity",
        "The word does not say whether events are valid.",
        "Use one of the words that are named.";
    NotACheckpoint, "not-a-checkpoint",
        "The text is not a position with its digest.",
        "Write `<position>:<64 hexadecimal digits>`, as verifying the store gives it.";
    LineFaulty, "line-faulty",
        "The line does not hold an event as an export writes it.",
        "Correct the fields that are named, or export again.";
    ConsumingEnded, "consuming-ended",
        "The bus has ended the consuming of a queue for good.",
        "Look whether the queue was deleted, and begin again.";
    ReplayOfCommands, "replay-of-commands",
        "Commands are recorded and never replayed, as they would be carried out again.",
        "Replay events only.";
    ReplayUnfit, "replay-unfit",
        "Some of the events break the contracts of today.",
        "Skip the invalid ones, or correct the contracts.";
    ReplayUnheard, "replay-unheard",
        "No queue takes what is replayed.",
        "Subscribe with `hear_replays()`, or name a queue.";
    ReplayDone, "replay-done",
        "The replay was carried through already.",
        "Begin a new one.";
    ReplayRunning, "replay-running",
        "Another process carries the replay out.",
        "Stop the other process first.";

    // Access.
    TokenMissing, "token-missing",
        "The service demands a token, and none was presented.",
        "Present a token that was made for you.";
    TokenUnknown, "token-unknown",
        "The token that was presented is not in force.",
        "Use a token that was not revoked, or have one made.";
    RightMissing, "right-missing",
        "The caller does not have the right that is named.",
        "Have a token made that has it.";
    NotATokenName, "not-a-token-name",
        "The text is not a name of a token.",
        "Use letters, digits, `.`, `_` and `-`, at most 64 of them.";
    TokenExists, "token-exists",
        "There is a token of this name already.",
        "Use another name, or revoke the token of this name first.";
    NoSuchToken, "no-such-token",
        "No token has this name.",
        "Correct the name.";
    TokensUnavailable, "tokens-unavailable",
        "The file of tokens cannot be read or changed; while it cannot be read nobody gets in.",
        "Make the file and its folder readable and writable for its owner.";
    TokensExposed, "tokens-exposed",
        "Others than its owner may read or change the file of tokens, so that nobody gets in.",
        "Set its mode to 600, and replace the tokens if others may have changed it.";
    TokensMalformed, "tokens-malformed",
        "The file does not hold tokens, so that nobody gets in.",
        "Name another file, or restore this one.";
    ReloadRefused, "reload-refused",
        "Something is wrong with the contracts that were read again, and the old ones stay in force.",
        "Mend what is named, and reload again.";
    NoRandomness, "no-randomness",
        "The system gives no random bytes.",
        "Make the system's source of random bytes available to the process.";

    // HTTP.
    RouteMissing, "route-missing",
        "The HTTP API has no such path.",
        "Correct the path; the OpenAPI document lists all of them.";
    MethodRefused, "method-refused",
        "The path is not there for this method.",
        "Use one of the methods that `Allow` names.";
    BodyTooLarge, "body-too-large",
        "The body is larger than the bound that is named.",
        "Send less at a time.";
    BodyIncomplete, "body-incomplete",
        "The body ended before it was whole, or did not come in time.",
        "Send it again.";
    MediaTypeRefused, "media-type-refused",
        "The body is of another media type, or is encoded in another way, than the path takes.",
        "Send one of the media types that are named, in UTF-8 and without a content encoding.";
    ParameterRefused, "parameter-refused",
        "A parameter of the query, the path or the headers is not what it should be.",
        "Correct the parameter that is named.";
    EventMissing, "event-missing",
        "No event is stored under this id or position.",
        "Correct the id; an event that was pruned is gone, and one that was just sent may not be recorded yet.";
    SchemaMissing, "schema-missing",
        "No contract has a schema of this path.",
        "Take the paths from the list of contracts.";
    ReplayMissing, "replay-missing",
        "There is no replay of this id.",
        "Take the ids from the list of replays.";
    TooManyRequests, "too-many-requests",
        "The caller asks more often than it may.",
        "Wait for as long as `Retry-After` says.";
    TooManyStreams, "too-many-streams",
        "As many streams are open as the service holds at a time.",
        "Close one, or try again later.";
    AnswerTimeout, "answer-timeout",
        "The service could not answer in time.",
        "Ask for less, or try again later.";
    HostRefused, "host-refused",
        "The request names another host than the service answers for.",
        "Ask by the name `localhost`, or by the address 127.0.0.1 or [::1].";
    OriginRefused, "origin-refused",
        "A web page of another origin has asked for a change.",
        "Name the origin of the page among those that the service lets ask.";
    UpgradeExpected, "upgrade-expected",
        "The path speaks WebSocket, and the request does not ask for it.",
        "Open it as a WebSocket, or follow `/stream` instead.";
    ServiceEnding, "service-ending",
        "The service is being ended and begins nothing new.",
        "Try again, so that another instance answers, or this one once it is back.";
    InternalError, "internal-error",
        "The service's own code failed.",
        "Report it, with the id of the request.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<&KeyError> for Code {
    fn from(_: &KeyError) -> Self {
        Code::NotAKey
    }
}

impl From<&DelayError> for Code {
    fn from(_: &DelayError) -> Self {
        Code::NotADelay
    }
}

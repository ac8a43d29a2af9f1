//! Every field of registry.yaml, with what it may be.

use super::form::{Field, Fields, Form, Kind};
use crate::key::{MAX_KEY_BYTES, TopicPattern};
use crate::{delay, keep};

/// What RabbitMQ can do with an exchange of events, apart from the types of plugins.
const EXCHANGE_TYPES: [&str; 4] = ["topic", "direct", "fanout", "headers"];
/// The most messages that a queue may be given room for.
const MOST_MESSAGES: u64 = 1_000_000_000;
/// The most delays that a queue may have: RabbitMQ makes a queue for each.
const MOST_RETRIES: usize = 16;

/// The file as a whole.
pub(crate) const REGISTRY: Fields = Fields {
    name: "Registry",
    description: "The service registry: who publishes, consumes, sends and handles what, and \
                  through which queues.",
    fields: &[
        Field {
            name: "version",
            description: "The format of this file.",
            required: true,
            form: Form::Word(&["1.0"]),
        },
        Field {
            name: "exchange",
            description: "The exchange of RabbitMQ that events are published to. What is not \
                          said here, the environment may say (EXCHANGE_NAME, EXCHANGE_TYPE, \
                          EXCHANGE_DURABLE). Where both say it, they must agree.",
            required: false,
            form: Form::Fields(&EXCHANGE),
        },
        Field {
            name: "services",
            description: "The services, by name.",
            required: false,
            form: Form::Map { names: &Form::Text, values: &Form::Fields(&SERVICE) },
        },
        Field {
            name: "retention",
            description: "How long a store keeps events: rules of which the first that matches a \
                          key counts. What none matches is kept for ever. The processes that \
                          record, or consume from the bus in the store, carry it out.",
            required: false,
            form: Form::List { items: &Form::Fields(&RETENTION), most: None },
        },
        Field {
            name: "event_subscriptions",
            description: "For readers: each key or pattern with the services that listen to it. \
                          What counts stands under `services`; the linter says where the two differ.",
            required: false,
            form: Form::Map { names: &Form::Kind(&SUBSCRIBED_KEY), values: &TEXTS },
        },
        Field {
            name: "topology",
            description: "For the picture of the topology: each layer with its services. The \
                          order of layers is kept.",
            required: false,
            form: Form::Map { names: &Form::Text, values: &TEXTS },
        },
    ],
};

/// How long some events are kept.
const RETENTION: Fields = Fields {
    name: "Retention",
    description: "How long a store keeps events of some keys.",
    fields: &[
        Field {
            name: "keys",
            description: "A key, or a pattern.",
            required: true,
            form: Form::Kind(&SUBSCRIBED_KEY),
        },
        Field {
            name: "keep",
            description: "How long, from when they were stored: hours, days or weeks, as in `12h`, \
                          `30d` and `8w`, or `forever`. What a queue or a replay still needs stays \
                          for longer.",
            required: true,
            form: Form::Kind(&KEEP),
        },
    ],
};

/// The exchange of events.
const EXCHANGE: Fields = Fields {
    name: "Exchange",
    description: "The exchange of RabbitMQ that events are published to.",
    fields: &[
        Field {
            name: "name",
            description: "Its name; `bloodbank.events.v1` unless said. The exchange that \
                          services listen to is called `<name>.listeners`.",
            required: false,
            form: Form::Kind(&EXCHANGE_NAME),
        },
        Field {
            name: "type",
            description: "Its type: `topic` unless said, `direct`, `fanout`, `headers`, or that \
                          of a plugin, which begins with `x-`.",
            required: false,
            form: Form::Kind(&EXCHANGE_TYPE),
        },
        Field {
            name: "durable",
            description: "Whether it outlives a restart of the broker; true unless said.",
            required: false,
            form: Form::Flag,
        },
    ],
};

/// One service.
const SERVICE: Fields = Fields {
    name: "Service",
    description: "One service.",
    fields: &[
        Field {
            name: "name",
            description: "Its name once more.",
            required: false,
            form: Form::Text,
        },
        Field {
            name: "description",
            description: "What it is for, in a sentence.",
            required: false,
            form: Form::Text,
        },
        Field {
            name: "type",
            description: "Whether it mostly publishes or mostly listens.",
            required: false,
            form: Form::Word(&["event-producer", "event-consumer"]),
        },
        Field {
            name: "status",
            description: "Whether it runs, is still to be written, or is to go.",
            required: false,
            form: Form::Word(&["active", "planned", "deprecated"]),
        },
        Field {
            name: "owner",
            description: "The person or team that answers for it.",
            required: false,
            form: Form::Text,
        },
        Field { name: "tags", description: "Words to find it by.", required: false, form: TEXTS },
        Field {
            name: "queue_name",
            description: "Its queue; called like the service unless said.",
            required: false,
            form: Form::Kind(&QUEUE_NAME),
        },
        Field {
            name: "queue_names",
            description: "Its queues, where several get the same events.",
            required: false,
            form: Form::List { items: &Form::Kind(&QUEUE_NAME), most: None },
        },
        Field {
            name: "queues",
            description: "Its queues by name, where they get different events: a list of keys \
                          and patterns, or a map with these under `routing_keys`.",
            required: false,
            form: Form::Map {
                names: &Form::Kind(&QUEUE_NAME),
                values: &Form::ListOrFields(&KEYS, &QUEUE),
            },
        },
        Field {
            name: "routing_keys",
            description: "The keys and patterns of the events that it listens to.",
            required: false,
            form: KEYS,
        },
        Field {
            name: "consumes",
            description: "The same as `routing_keys`, for services that publish first of all.",
            required: false,
            form: KEYS,
        },
        Field {
            name: "ordered",
            description: "Whether one process at a time gets all events of a queue, so that \
                          their order holds; false unless said. Holds for queues that do not \
                          say it themselves.",
            required: false,
            form: Form::Flag,
        },
        Field {
            name: "retries",
            description: "How long a message that failed waits before each further attempt, as \
                          in `[1s, 10s, 1m]`; when all have failed, it is put aside as a dead \
                          letter. `[]` means one attempt. After 1 s, 10 s, 1 min and 10 min \
                          unless said. Holds for commands and for queues that do not say it \
                          themselves.",
            required: false,
            form: RETRIES,
        },
        Field {
            name: "max_length",
            description: "The most messages that a queue holds. When it is full, a queue of \
                          events lets its oldest go to its dead letters, and commands are \
                          refused. Queues of events have no limit unless said. Holds for commands \
                          and for queues that do not say it themselves.",
            required: false,
            form: MAX_LENGTH,
        },
        Field {
            name: "produces",
            description: "The keys and patterns of the events that it publishes.",
            required: false,
            form: KEYS,
        },
        Field {
            name: "commands",
            description: "The commands that it sends and handles.",
            required: false,
            form: Form::Fields(&COMMANDS),
        },
        Field {
            name: "endpoints",
            description: "Where it can be reached: a URL for each name.",
            required: false,
            form: Form::Map { names: &Form::Text, values: &Form::Kind(&URL) },
        },
        Field {
            name: "runtime",
            description: "How it is run; free form.",
            required: false,
            form: Form::Free,
        },
    ],
};

/// A queue that says more than its keys.
const QUEUE: Fields = Fields {
    name: "Queue",
    description: "A queue with properties of its own. What it does not say, its service says.",
    fields: &[
        Field {
            name: "routing_keys",
            description: "The keys and patterns of the events that it gets.",
            required: true,
            form: KEYS,
        },
        Field {
            name: "ordered",
            description: "Whether one process at a time gets all of it, so that order holds.",
            required: false,
            form: Form::Flag,
        },
        Field {
            name: "retries",
            description: "How long a message that failed waits before each further attempt, as \
                          in `[1s, 10s, 1m]`; `[]` means one attempt.",
            required: false,
            form: RETRIES,
        },
        Field {
            name: "max_length",
            description: "The most messages that it holds. When it is full, its oldest go to its \
                          dead letters. It has no limit unless said.",
            required: false,
            form: MAX_LENGTH,
        },
    ],
};

/// The commands of a service.
const COMMANDS: Fields = Fields {
    name: "Commands",
    description: "The commands that a service has to do with.",
    fields: &[
        Field {
            name: "sends",
            description: "The keys and patterns of the commands that it sends.",
            required: false,
            form: KEYS,
        },
        Field {
            name: "handles",
            description: "The keys and patterns of the commands that it carries out.",
            required: false,
            form: KEYS,
        },
    ],
};

const KEYS: Form = Form::List { items: &Form::Kind(&KEY), most: None };
const TEXTS: Form = Form::List { items: &Form::Text, most: None };
const RETRIES: Form = Form::List { items: &Form::Kind(&DELAY), most: Some(MOST_RETRIES) };
const MAX_LENGTH: Form = Form::Count { most: MOST_MESSAGES };

const KEY_PATTERN: &str = r"^([A-Za-z0-9_-]+|\*|#)(\.([A-Za-z0-9_-]+|\*|#))*$";

/// The rules on keys say what is wrong with one.
const KEY: Kind = Kind {
    what: "a key, or a pattern with `*` and `#`",
    pattern: KEY_PATTERN,
    fits: None,
    most: Some(MAX_KEY_BYTES),
};

const SUBSCRIBED_KEY: Kind =
    Kind { fits: Some(|text| text.parse::<TopicPattern>().is_ok()), ..KEY };

const DELAY: Kind = Kind {
    what: "a delay such as `500ms`, `10s`, `1m` or `2h`",
    pattern: delay::PATTERN,
    fits: Some(|text| text.parse::<delay::Delay>().is_ok()),
    most: None,
};

const KEEP: Kind = Kind {
    what: "a length of time such as `12h`, `30d` or `8w`, or `forever`",
    pattern: keep::PATTERN,
    fits: Some(|text| text.parse::<keep::Keep>().is_ok()),
    most: None,
};

/// Names of derived queues, `<name>.retry.10m` and `<name>.dlq`, have to fit into 255 bytes, too.
const QUEUE_NAME: Kind = Kind {
    what: "the name of a queue: letters, digits and `_ . : / -`, not beginning with `amq.`",
    pattern: "^(?!amq\\.)[A-Za-z0-9_.:/-]+$",
    fits: Some(is_broker_name),
    most: Some(200),
};

const EXCHANGE_NAME: Kind = Kind {
    what: "the name of an exchange: letters, digits and `_ . : / -`, not beginning with `amq.`",
    ..QUEUE_NAME
};

fn is_broker_name(text: &str) -> bool {
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/-".contains(&byte);
    !text.is_empty() && text.bytes().all(may_stand) && !text.starts_with("amq.")
}

const EXCHANGE_TYPE: Kind = Kind {
    what: "`topic`, `direct`, `fanout`, `headers`, or a plugin's type, which begins with `x-`",
    pattern: "^(topic|direct|fanout|headers|x-[a-z0-9-]+)$",
    fits: Some(is_exchange_type),
    most: None,
};

fn is_exchange_type(text: &str) -> bool {
    let may_stand = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let of_plugin = text.strip_prefix("x-");
    EXCHANGE_TYPES.contains(&text)
        || of_plugin.is_some_and(|name| !name.is_empty() && name.bytes().all(may_stand))
}

const URL: Kind = Kind {
    what: "a URL such as `https://example.org/health`",
    pattern: "^[A-Za-z][A-Za-z0-9+.-]*://[^ \\t\\r\\n]+$",
    fits: Some(is_url),
    most: None,
};

fn is_url(text: &str) -> bool {
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte);
    text.split_once("://").is_some_and(|(scheme, rest)| {
        scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && scheme.bytes().all(may_stand)
            && !rest.is_empty()
            && !rest.contains([' ', '\t', '\r', '\n'])
    })
}

//! registry.yaml: who publishes and consumes what.

use super::{Level, MEETING_CREATED, Rule, Sample};

/// The family, by id.
pub(super) const ALL: &[&Rule] = &[
    REGISTRY,
    REGISTRY_KEY,
    REGISTRY_KIND,
    REGISTRY_FIELD,
    UNMATCHED_PATTERN,
    FIRST_VERSION_ONLY,
    MISTAKEN_WILDCARD,
    UNDIVIDED_KEYS,
    SHARED_QUEUE,
    CONTRADICTED_QUEUES,
];

/// The service registry cannot be read.
pub const REGISTRY: &Rule = &Rule {
    id: "HF060",
    level: Level::Error,
    purpose: "The service registry cannot be read.",
    why: "The registry decides who may publish what: without it there are no permissions, no \
          queues and no topology.",
    fix: "Correct the place that is shown. It is YAML, and generated/registry.schema.json \
          describes it for editors.",
    failing: &[
        MEETING_CREATED,
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services: [theboard-sync]
"#,
        ),
    ],
    passing: &[
        MEETING_CREATED,
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    routing_keys: [theboard.meeting.created]
"#,
        ),
    ],
};

/// The registry names a key that no contract has.
pub const REGISTRY_KEY: &Rule = &Rule {
    id: "HF061",
    level: Level::Warning,
    purpose: "The registry names a key that no contract has.",
    why: "A queue bound to a key that nobody sends stays empty, and a producer of a key \
          without a contract may publish nothing. Both look right until somebody misses the \
          event.",
    fix: "Correct the key, write its schema, or remove the line.",
    failing: &[
        MEETING_CREATED,
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    routing_keys: [theboard.meeting.craeted]
"#,
        ),
    ],
    passing: &[
        MEETING_CREATED,
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    routing_keys: [theboard.meeting.created]
"#,
        ),
    ],
};

/// The registry lists a command as an event, or an event as a command.
pub const REGISTRY_KIND: &Rule = &Rule {
    id: "HF062",
    level: Level::Error,
    purpose: "The registry lists a command as an event, or an event as a command.",
    why: "Events and commands travel through different exchanges. A command bound as an event \
          is never received, and nobody carries it out.",
    fix: "List commands under `commands.sends` and `commands.handles`, events under \
          `produces`, `routing_keys` and `consumes`.",
    failing: &[
        Sample::text(
            "theboard/commands/meeting.start.v1.json",
            r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.start" }
  },
  "required": ["event_type"]
}
"#,
        ),
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    routing_keys: [theboard.meeting.start]
"#,
        ),
    ],
    passing: &[
        Sample::text(
            "theboard/commands/meeting.start.v1.json",
            r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.start" }
  },
  "required": ["event_type"]
}
"#,
        ),
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    commands:
      handles: [theboard.meeting.start]
"#,
        ),
    ],
};

/// The registry has a field that nothing reads.
pub const REGISTRY_FIELD: &Rule = &Rule {
    id: "HF063",
    level: Level::Error,
    purpose: "The registry has a field that nothing reads.",
    why: "What nothing reads has no effect. `route_keys` beside `routing_keys` is a queue \
          without bindings, and the file looks complete.",
    fix: "Correct the name, or remove the field; `runtime` takes anything.",
    failing: &[
        MEETING_CREATED,
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    route_keys: [theboard.meeting.created]
"#,
        ),
    ],
    passing: &[
        MEETING_CREATED,
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    routing_keys: [theboard.meeting.created]
"#,
        ),
    ],
};

/// A pattern of the registry matches no contract.
pub const UNMATCHED_PATTERN: &Rule = &Rule {
    id: "HF064",
    level: Level::Warning,
    purpose: "A pattern of the registry matches no contract.",
    why: "Nothing will ever come through this binding. Often `*`, which is exactly one word, \
          was meant to be `#`, which is any number of words.",
    fix: "Correct the pattern, or remove it until there is a contract that it matches.",
    failing: &[
        MEETING_CREATED,
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    routing_keys: ["theboard.*"]
"#,
        ),
    ],
    passing: &[
        MEETING_CREATED,
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    routing_keys: ["theboard.#"]
"#,
        ),
    ],
};

/// A pattern of the registry matches a key but not its later versions.
pub const FIRST_VERSION_ONLY: &Rule = &Rule {
    id: "HF065",
    level: Level::Note,
    purpose: "A pattern of the registry matches a key but not its later versions.",
    why: "Version 2 of a key routes as `<key>.v2`, one word more, which a pattern of fixed \
          length does not match. The bindings that are made from this file include the later \
          versions; a queue bound by hand with the same pattern misses them without a word.",
    fix: "Nothing here. In bindings of your own end the pattern in `#`.",
    failing: &[
        MEETING_CREATED,
        Sample::text(
            "theboard/meeting.created.v2.json",
            r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" }
  },
  "required": ["event_type"]
}
"#,
        ),
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    routing_keys: ["theboard.meeting.*"]
"#,
        ),
    ],
    passing: &[
        MEETING_CREATED,
        Sample::text(
            "theboard/meeting.created.v2.json",
            r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" }
  },
  "required": ["event_type"]
}
"#,
        ),
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    routing_keys: ["theboard.meeting.#"]
"#,
        ),
    ],
};

/// A pattern uses `*` or `#` for what it does not mean.
pub const MISTAKEN_WILDCARD: &Rule = &Rule {
    id: "HF066",
    level: Level::Error,
    purpose: "A pattern uses `*` or `#` for what it does not mean.",
    why: "In a topic exchange `*` and `#` are wildcards only as whole words; inside a word \
          they are letters that no key has. `>` and `%` are wildcards of other systems.",
    fix: "Let the wildcard stand alone between dots.",
    failing: &[
        MEETING_CREATED,
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    routing_keys: ["theboard.meet*.created"]
"#,
        ),
    ],
    passing: &[
        MEETING_CREATED,
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    routing_keys: ["theboard.*.created"]
"#,
        ),
    ],
};

/// A second contract, where a sample needs two keys.
const MEETING_STARTED: Sample = Sample::text(
    "theboard/meeting.started.v1.json",
    r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.started" }
  },
  "required": ["event_type"]
}
"#,
);

/// The registry does not say which keys a queue gets.
pub const UNDIVIDED_KEYS: &Rule = &Rule {
    id: "HF067",
    level: Level::Warning,
    purpose: "The registry does not say which keys a queue gets.",
    why: "Several queues of one service are there for different events. As long as nobody says \
          which go where, every queue gets all of them and each event is worked off several \
          times; a queue with an empty list gets none.",
    fix: "Name the keys of each queue under `queues:`, in place of `queue_names` and \
          `routing_keys`.",
    failing: &[
        MEETING_CREATED,
        MEETING_STARTED,
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    queue_names: [theboard.created, theboard.started]
    routing_keys: [theboard.meeting.created, theboard.meeting.started]
"#,
        ),
    ],
    passing: &[
        MEETING_CREATED,
        MEETING_STARTED,
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    queues:
      theboard.created: [theboard.meeting.created]
      theboard.started: [theboard.meeting.started]
"#,
        ),
    ],
};

/// Two services have the same queue.
pub const SHARED_QUEUE: &Rule = &Rule {
    id: "HF068",
    level: Level::Warning,
    purpose: "Two services have the same queue.",
    why: "A message in a queue goes to one of those who read it. Services that share a queue take \
          each other's events away, and each gets those that only the other one listens to.",
    fix: "Give each service a queue of its own. Where they are meant to share the work, list them \
          as one service.",
    failing: &[
        MEETING_CREATED,
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    queue_name: theboard
    routing_keys: [theboard.meeting.created]
  theboard-archive:
    queue_name: theboard
    routing_keys: [theboard.meeting.created]
"#,
        ),
    ],
    passing: &[
        MEETING_CREATED,
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    queue_name: theboard.sync
    routing_keys: [theboard.meeting.created]
  theboard-archive:
    queue_name: theboard.archive
    routing_keys: [theboard.meeting.created]
"#,
        ),
    ],
};

/// What stands beside `queues` names a queue or a key that is not in it.
pub const CONTRADICTED_QUEUES: &Rule = &Rule {
    id: "HF069",
    level: Level::Warning,
    purpose: "What stands beside `queues` names a queue or a key that is not in it.",
    why: "Where a service has `queues`, only these are made, bound with these keys only. A queue \
          name beside it is a queue that is not there; a key beside it is an event that the \
          service may listen to and never gets.",
    fix: "Put the queue or the key under `queues:`, or remove it.",
    failing: &[
        MEETING_CREATED,
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    queue_name: theboard.sync
    queues:
      theboard.created: [theboard.meeting.created]
"#,
        ),
    ],
    passing: &[
        MEETING_CREATED,
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    queues:
      theboard.created: [theboard.meeting.created]
"#,
        ),
    ],
};

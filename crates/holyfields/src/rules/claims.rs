//! registry.yaml: what it says of its services and does not hold.

use super::{Level, MEETING_CREATED, Rule, Sample};

/// The family, by id.
pub(super) const ALL: &[&Rule] = &[UNKNOWN_SERVICE, SAID_DIFFERENTLY, QUEUE_OF_TWO_KINDS];

/// The registry names a service that it does not have.
pub const UNKNOWN_SERVICE: &Rule = &Rule {
    id: "HF100",
    level: Level::Warning,
    purpose: "The registry names a service that it does not have.",
    why: "A layer of `topology` and an entry of `event_subscriptions` are there to show services. \
          A name that none of them has is a misspelt one, which is then missing in the picture, or \
          something that nobody has described.",
    fix: "Correct the name, or add the service. A system outside may be a service without keys: \
          `github: {}`.",
    failing: &[
        MEETING_CREATED,
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    routing_keys: [theboard.meeting.created]
topology:
  notifiers: [theboard-snyc]
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
topology:
  notifiers: [theboard-sync]
"#,
        ),
    ],
};

/// The registry says something of a service twice, and differently.
pub const SAID_DIFFERENTLY: &Rule = &Rule {
    id: "HF101",
    level: Level::Warning,
    purpose: "The registry says something of a service twice, and differently.",
    why: "`event_subscriptions` is for readers: queues are bound to what the service itself lists. \
          Whoever reads that a service listens to an event relies on it. The same holds for a \
          service's `name`, which is the one it stands under.",
    fix: "Correct what is wrong of the two, or leave out what only repeats.",
    failing: &[
        MEETING_CREATED,
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    description: Mirrors meetings
event_subscriptions:
  theboard.meeting.created: [theboard-sync]
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
    description: Mirrors meetings
    routing_keys: [theboard.meeting.created]
event_subscriptions:
  theboard.meeting.created: [theboard-sync]
"#,
        ),
    ],
};

/// Two services want one queue with different properties.
pub const QUEUE_OF_TWO_KINDS: &Rule = &Rule {
    id: "HF102",
    level: Level::Error,
    purpose: "Two services want one queue with different properties.",
    why: "A queue has one length and one order. The broker refuses whoever declares it second, so \
          that one of the two services does not start.",
    fix: "Say the same for both, or give each service a queue of its own.",
    failing: &[
        MEETING_CREATED,
        Sample::text(
            "registry.yaml",
            r#"version: "1.0"
services:
  theboard-sync:
    queue_name: meetings
    routing_keys: [theboard.meeting.created]
    max_length: 1000
  theboard-archive:
    queue_name: meetings
    routing_keys: [theboard.meeting.created]
    max_length: 5000
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
    queue_name: meetings.sync
    routing_keys: [theboard.meeting.created]
    max_length: 1000
  theboard-archive:
    queue_name: meetings.archive
    routing_keys: [theboard.meeting.created]
    max_length: 5000
"#,
        ),
    ],
};

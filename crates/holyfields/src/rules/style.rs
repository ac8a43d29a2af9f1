//! What readers of a contract miss.

use super::{Level, MEETING_CREATED, Rule, Sample};

/// The family, by id.
pub(super) const ALL: &[&Rule] = &[MISSING_DESCRIPTION, MISSING_EXAMPLE, UNMARKED_SECRET];

/// A contract or one of its properties has no description.
pub const MISSING_DESCRIPTION: &Rule = &Rule {
    id: "HF080",
    level: Level::Warning,
    purpose: "A contract or one of its properties has no description.",
    why: "A contract is read by people who did not write it: in the docs of the generated \
          types, in `bloodbank show`, in the generated list of contracts. A name alone does \
          not say when an event is sent, or whether a duration is in seconds.",
    fix: "Say who emits it and when, and of each property what it means and its unit. What a \
          `$ref` leads to may say it.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "rounds": { "type": "integer" }
  },
  "required": ["event_type"],
  "description": "Emitted once a meeting has been set up."
}
"#,
    )],
    passing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "rounds": { "type": "integer", "description": "Rounds at most." }
  },
  "required": ["event_type"],
  "description": "Emitted once a meeting has been set up."
}
"#,
    )],
};

/// A contract has no example.
pub const MISSING_EXAMPLE: &Rule = &Rule {
    id: "HF081",
    level: Level::Warning,
    purpose: "A contract has no example.",
    why: "An example is the quickest way to understand a contract, and a test of it. \
          `bloodbank show` and `publish --example` use the first.",
    fix: "Write one that could have happened, with every required property.",
    failing: &[MEETING_CREATED],
    passing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" }
  },
  "required": ["event_type"],
  "examples": [{ "event_type": "theboard.meeting.created" }]
}
"#,
    )],
};

/// A property looks like a secret and is not marked `x-bloodbank-sensitive`.
pub const UNMARKED_SECRET: &Rule = &Rule {
    id: "HF082",
    level: Level::Warning,
    purpose: "A property looks like a secret and is not marked `x-bloodbank-sensitive`.",
    why: "Errors quote the values that they refuse, `Debug` prints fields, and both end up in \
          logs. A property that is marked is never shown there.",
    fix: "Mark it with `\"x-bloodbank-sensitive\": true`; `--fix` does. If it is no secret, \
          allow it in bloodbank.toml with the reason.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "api_key": { "type": "string" }
  },
  "required": ["event_type"]
}
"#,
    )],
    passing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "api_key": { "type": "string", "x-bloodbank-sensitive": true }
  },
  "required": ["event_type"]
}
"#,
    )],
};

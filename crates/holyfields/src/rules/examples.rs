//! Examples, counter-examples and defaults, which are tests.

use super::{Level, Rule, Sample};

/// The family, by id.
pub(super) const ALL: &[&Rule] = &[
    INVALID_EXAMPLE,
    ACCEPTED_COUNTEREXAMPLE,
    MISSHAPEN_COUNTEREXAMPLE,
    INVALID_DEFAULT,
    CONTRADICTED_CONST,
];

/// An example that its own schema refuses.
pub const INVALID_EXAMPLE: &Rule = &Rule {
    id: "HF050",
    level: Level::Error,
    purpose: "An example that its own schema refuses.",
    why: "Examples are what people copy from, and tests of the contract: each must be \
          accepted, and must come back equal from the generated type.",
    fix: "Correct the example, or the schema if the example is right.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "rounds": { "type": "integer", "maximum": 10 }
  },
  "required": ["event_type"],
  "examples": [{ "event_type": "theboard.meeting.created", "rounds": 12 }]
}
"#,
    )],
    passing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "rounds": { "type": "integer", "maximum": 10 }
  },
  "required": ["event_type"],
  "examples": [{ "event_type": "theboard.meeting.created", "rounds": 5 }]
}
"#,
    )],
};

/// A counter-example that its schema accepts.
pub const ACCEPTED_COUNTEREXAMPLE: &Rule = &Rule {
    id: "HF051",
    level: Level::Error,
    purpose: "A counter-example that its schema accepts.",
    why: "A counter-example says which payload the contract keeps out. If it is accepted, the \
          rule that somebody relied on is not there.",
    fix: "Let the schema say it, or remove the counter-example.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "rounds": { "type": "integer" }
  },
  "required": ["event_type"],
  "x-bloodbank-counterexamples": [
    { "why": "no meeting has 0 rounds", "data": { "event_type": "theboard.meeting.created", "rounds": 0 } }
  ]
}
"#,
    )],
    passing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "rounds": { "type": "integer", "minimum": 1 }
  },
  "required": ["event_type"],
  "x-bloodbank-counterexamples": [
    { "why": "no meeting has 0 rounds", "data": { "event_type": "theboard.meeting.created", "rounds": 0 } }
  ]
}
"#,
    )],
};

/// An entry of `x-bloodbank-counterexamples` without `why` and `data`.
pub const MISSHAPEN_COUNTEREXAMPLE: &Rule = &Rule {
    id: "HF052",
    level: Level::Error,
    purpose: "An entry of `x-bloodbank-counterexamples` without `why` and `data`.",
    why: "A counter-example without a reason cannot be told from a mistake, and one without \
          data checks nothing.",
    fix: "Write `{ \"why\": \"what is wrong with it\", \"data\": { … } }`.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" }
  },
  "required": ["event_type"],
  "x-bloodbank-counterexamples": [{ "event_type": "theboard.meeting.closed" }]
}
"#,
    )],
    passing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" }
  },
  "required": ["event_type"],
  "x-bloodbank-counterexamples": [
    { "why": "another event", "data": { "event_type": "theboard.meeting.closed" } }
  ]
}
"#,
    )],
};

/// A default that its own schema refuses.
pub const INVALID_DEFAULT: &Rule = &Rule {
    id: "HF053",
    level: Level::Warning,
    purpose: "A default that its own schema refuses.",
    why: "A default tells readers what an absent property means. If the schema refuses it, \
          whoever fills it in publishes something that is refused.",
    fix: "Correct the default, or the schema beside it.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "rounds": { "type": "integer", "minimum": 1, "default": 0 }
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
    "rounds": { "type": "integer", "minimum": 1, "default": 3 }
  },
  "required": ["event_type"]
}
"#,
    )],
};

/// A const that the examples of its own base contradict.
pub const CONTRADICTED_CONST: &Rule = &Rule {
    id: "HF054",
    level: Level::Warning,
    purpose: "A const that the examples of its own base contradict.",
    why: "The base shows which values to expect, and the contract pins another one. One of the \
          two is wrong, and consumers that were written after the base's examples wait for a \
          key that never comes.",
    fix: "Correct the const, or the base's examples.",
    failing: &[
        Sample::text(
            "theboard/meeting_created.json",
            r#"{
  "allOf": [{ "$ref": "_base.json" }],
  "type": "object",
  "properties": {
    "event_type": { "const": "meeting.created" }
  },
  "required": ["event_type"]
}
"#,
        ),
        Sample::text(
            "theboard/_base.json",
            r#"{
  "type": "object",
  "properties": {
    "event_type": { "type": "string", "examples": ["theboard.meeting.created"] }
  }
}
"#,
        ),
    ],
    passing: &[
        Sample::text(
            "theboard/meeting_created.json",
            r#"{
  "allOf": [{ "$ref": "_base.json" }],
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" }
  },
  "required": ["event_type"]
}
"#,
        ),
        Sample::text(
            "theboard/_base.json",
            r#"{
  "type": "object",
  "properties": {
    "event_type": { "type": "string", "examples": ["theboard.meeting.created"] }
  }
}
"#,
        ),
    ],
};

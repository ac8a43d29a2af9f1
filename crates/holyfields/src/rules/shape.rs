//! What a type cannot show.

use super::{Level, MEETING_CREATED, Rule, Sample};

/// The family, by id.
pub(super) const ALL: &[&Rule] = &[NOT_CARRIED, NOT_AN_OBJECT, UNSUPPORTED_KEYWORD, NARROWER_TYPE];

/// A keyword shapes the payload in a way the type cannot show; the validator enforces it.
pub const NOT_CARRIED: &Rule = &Rule {
    id: "HF030",
    level: Level::Note,
    purpose: "A keyword shapes the payload in a way the type cannot show; the validator enforces it.",
    why: "Rust has no type for every schema. What a type cannot show is still checked by the \
          validator when you publish, receive or call `check`; but the compiler does not help \
          you there, and the field is wider than the contract.",
    fix: "Nothing, if that is meant. Where a simpler schema says the same, it gives a better \
          type.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "topic": { "type": "string" }
  },
  "required": ["event_type"],
  "if": { "required": ["topic"] },
  "then": { "minProperties": 2 }
}
"#,
    )],
    passing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "topic": { "type": "string" }
  },
  "required": ["event_type"]
}
"#,
    )],
};

/// The payload of a contract may be something other than an object.
pub const NOT_AN_OBJECT: &Rule = &Rule {
    id: "HF031",
    level: Level::Error,
    purpose: "The payload of a contract may be something other than an object.",
    why: "A payload is the `data` of an envelope, and readers look for named fields in it. A \
          schema that does not say `object` also accepts a number or a list.",
    fix: "Write `\"type\": \"object\"` at the root.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "properties": {
    "event_type": { "const": "theboard.meeting.created" }
  },
  "required": ["event_type"]
}
"#,
    )],
    passing: &[MEETING_CREATED],
};

/// A keyword that is not supported.
pub const UNSUPPORTED_KEYWORD: &Rule = &Rule {
    id: "HF032",
    level: Level::Error,
    purpose: "A keyword that is not supported.",
    why: "What the keyword means depends on the way by which a validator came to it, or on a \
          draft that is not read. To guess would be to enforce something that nobody wrote.",
    fix: "Use `$ref` with a fixed target. A `$dynamicRef` is taken where only one \
          `$dynamicAnchor` of that name exists.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r##"{
  "type": "object",
  "properties": {
    "parent": { "$recursiveRef": "#" }
  }
}
"##,
    )],
    passing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r##"{
  "type": "object",
  "properties": {
    "parent": { "$ref": "#" }
  }
}
"##,
    )],
};

/// A contract accepts values that its type cannot hold.
pub const NARROWER_TYPE: &Rule = &Rule {
    id: "HF033",
    level: Level::Note,
    purpose: "A contract accepts values that its type cannot hold.",
    why: "JSON integers have no end, and those of Rust and most databases have 64 bits. A \
          payload beyond that is valid by the contract, and a typed consumer cannot read it.",
    fix: "Give the property a `minimum` and a `maximum`: nearly every number has them anyway.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "rounds": { "type": "integer", "minimum": 1 }
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
    "rounds": { "type": "integer", "minimum": 1, "maximum": 100 }
  },
  "required": ["event_type"]
}
"#,
    )],
};

//! Parts of a schema that can never matter.

use super::{Level, Rule, Sample};

/// The family, by id.
pub(super) const ALL: &[&Rule] =
    &[CONTRADICTING_BOUNDS, DEAD_VALUE, DEAD_BRANCH, UNDECLARED_REQUIRED];

/// Two bounds exclude each other, so that no value is between them.
pub const CONTRADICTING_BOUNDS: &Rule = &Rule {
    id: "HF070",
    level: Level::Warning,
    purpose: "Two bounds exclude each other, so that no value is between them.",
    why: "No value lies between the two, so the property can only ever be absent, or the list \
          empty. Often the two numbers were swapped.",
    fix: "Correct one of the two. The other one may stand in a base.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "topic": { "type": "string", "minLength": 200, "maxLength": 1 }
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
    "topic": { "type": "string", "minLength": 1, "maxLength": 200 }
  },
  "required": ["event_type"]
}
"#,
    )],
};

/// A value of an `enum` or `const` that the type beside it refuses.
pub const DEAD_VALUE: &Rule = &Rule {
    id: "HF071",
    level: Level::Warning,
    purpose: "A value of an `enum` or `const` that the type beside it refuses.",
    why: "The value is listed and can never be: the type beside it refuses it. A consumer that \
          waits for it waits for ever.",
    fix: "Remove the value, or let `type` allow it; null too must be named there.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "mood": { "type": "string", "enum": ["calm", "tense", null] }
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
    "mood": { "type": ["string", "null"], "enum": ["calm", "tense", null] }
  },
  "required": ["event_type"]
}
"#,
    )],
};

/// A branch of a union that no value can match.
pub const DEAD_BRANCH: &Rule = &Rule {
    id: "HF072",
    level: Level::Warning,
    purpose: "A branch of a union that no value can match.",
    why: "A branch that nothing matches is a case that producers believe they can send. In a \
          `oneOf` also two equal branches: what matches one matches both, and is refused.",
    fix: "Correct the branch, or remove it.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "place": { "type": "string", "oneOf": [{ "minLength": 1 }, { "type": "object" }] }
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
    "place": { "oneOf": [{ "type": "string", "minLength": 1 }, { "type": "object" }] }
  },
  "required": ["event_type"]
}
"#,
    )],
};

/// A required property that no `properties` declares.
pub const UNDECLARED_REQUIRED: &Rule = &Rule {
    id: "HF073",
    level: Level::Warning,
    purpose: "A required property that no `properties` declares.",
    why: "A required property that is not declared may hold anything, and the generated type \
          has no field for it. Mostly it is a slip in one of the two names.",
    fix: "Declare the property, or correct the name.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "topic": { "type": "string" }
  },
  "required": ["event_type", "topci"]
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
  "required": ["event_type", "topic"]
}
"#,
    )],
};

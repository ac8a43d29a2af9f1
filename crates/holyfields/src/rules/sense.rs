//! Schemas that do not mean what they say.

use super::{Level, Rule, Sample};

/// The family, by id.
pub(super) const ALL: &[&Rule] = &[
    CLOSED_INHERITANCE,
    UNSATISFIABLE,
    INVALID_PATTERN,
    UNKNOWN_FORMAT,
    INVALID_SCHEMA,
    UNKNOWN_KEYWORD,
    MISPLACED_REPLY,
];

/// A contract refuses properties that its own base declares.
pub const CLOSED_INHERITANCE: &Rule = &Rule {
    id: "HF040",
    level: Level::Error,
    purpose: "A contract refuses properties that its own base declares.",
    why: "`additionalProperties` sees only the `properties` beside it, not those of a base. \
          Written under an `allOf` it refuses the base's own properties, and if one of them is \
          required, every payload. The author meant: the base and these, and no more.",
    fix: "Write `unevaluatedProperties`, which counts what the base declares. `--fix` does it \
          where it is the one right answer: in 2020-12, where the base does not say itself how \
          open it is, and where the examples pass afterwards.",
    failing: &[
        Sample::text(
            "theboard/meeting.created.v1.json",
            r#"{
  "allOf": [{ "$ref": "_base.json" }],
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" }
  },
  "required": ["event_type"],
  "additionalProperties": false
}
"#,
        ),
        Sample::text(
            "theboard/_base.json",
            r#"{
  "type": "object",
  "properties": {
    "meeting_id": { "type": "string" }
  },
  "required": ["meeting_id"]
}
"#,
        ),
    ],
    passing: &[
        Sample::text(
            "theboard/meeting.created.v1.json",
            r#"{
  "allOf": [{ "$ref": "_base.json" }],
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" }
  },
  "required": ["event_type"],
  "unevaluatedProperties": false
}
"#,
        ),
        Sample::text(
            "theboard/_base.json",
            r#"{
  "type": "object",
  "properties": {
    "meeting_id": { "type": "string" }
  },
  "required": ["meeting_id"]
}
"#,
        ),
    ],
};

/// A contract accepts no payload at all.
pub const UNSATISFIABLE: &Rule = &Rule {
    id: "HF041",
    level: Level::Error,
    purpose: "A contract accepts no payload at all.",
    why: "No payload can be published under such a contract; it would be found out in \
          production, by the first event. All the places that together make it impossible are \
          shown.",
    fix: "Change or remove one of the places shown.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "rounds": { "type": "integer", "minimum": 5, "maximum": 3 }
  },
  "required": ["event_type", "rounds"]
}
"#,
    )],
    passing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "rounds": { "type": "integer", "minimum": 3, "maximum": 5 }
  },
  "required": ["event_type", "rounds"]
}
"#,
    )],
};

/// A pattern is no regular expression.
pub const INVALID_PATTERN: &Rule = &Rule {
    id: "HF042",
    level: Level::Error,
    purpose: "A pattern is no regular expression.",
    why: "A pattern that does not compile checks nothing in one language and fails in another. \
          Patterns are those of ECMA-262, with look-ahead and look-behind.",
    fix: "Correct the pattern; in JSON a backslash is written `\\\\`.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "code": { "type": "string", "pattern": "^[A-Z{3}$" }
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
    "code": { "type": "string", "pattern": "^[A-Z]{3}$" }
  },
  "required": ["event_type"]
}
"#,
    )],
};

/// A format that nothing checks.
pub const UNKNOWN_FORMAT: &Rule = &Rule {
    id: "HF043",
    level: Level::Error,
    purpose: "A format that nothing checks.",
    why: "Validators pass over formats that they do not know. A slip such as `date_time` then \
          accepts every text, and looks like a check.",
    fix: "Use a format that is checked, or a `pattern`.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "starts_at": { "type": "string", "format": "datetime" }
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
    "starts_at": { "type": "string", "format": "date-time" }
  },
  "required": ["event_type"]
}
"#,
    )],
};

/// A keyword has a value that JSON Schema does not allow.
pub const INVALID_SCHEMA: &Rule = &Rule {
    id: "HF044",
    level: Level::Error,
    purpose: "A keyword has a value that JSON Schema does not allow.",
    why: "The value is none that JSON Schema gives the keyword. A validator refuses the whole \
          schema for it, or ignores the keyword.",
    fix: "Write the value that the message names.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "topic": { "type": "text", "maxLength": "200" }
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
    "topic": { "type": "string", "maxLength": 200 }
  },
  "required": ["event_type"]
}
"#,
    )],
};

/// A word that is no keyword, so that nothing checks it.
pub const UNKNOWN_KEYWORD: &Rule = &Rule {
    id: "HF045",
    level: Level::Warning,
    purpose: "A word that is no keyword, so that nothing checks it.",
    why: "JSON Schema ignores words that it does not know. A misspelt keyword is a rule that \
          everybody reads and nothing enforces; so is a word of another draft, or of OpenAPI.",
    fix: "Correct the word. Words of your own begin with `x-`.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" },
    "topic": { "type": "string", "maxLenght": 200 }
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
    "topic": { "type": "string", "maxLength": 200 }
  },
  "required": ["event_type"]
}
"#,
    )],
};

/// An answer is described where nobody reads it.
pub const MISPLACED_REPLY: &Rule = &Rule {
    id: "HF046",
    level: Level::Warning,
    purpose: "`x-bloodbank-reply` stands elsewhere than at the root of a command.",
    why: "`x-bloodbank-reply` says what a command is answered with: the type of the answer is made \
          from it, and answers are checked against it. Nobody answers an event, and inside a \
          payload there is nothing that could be answered.",
    fix: "Move it to the root of the command that is answered with it, or remove it.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" }
  },
  "required": ["event_type"],
  "x-bloodbank-reply": { "type": "string", "maxLength": 100 }
}
"#,
    )],
    passing: &[Sample::text(
        "theboard/commands/meeting.create.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.create" }
  },
  "required": ["event_type"],
  "x-bloodbank-reply": { "type": "string", "maxLength": 100 }
}
"#,
    )],
};

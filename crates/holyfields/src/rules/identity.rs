//! What a contract is called: key, version, kind, `$id`, names in code.

use super::{Level, MEETING_CREATED, Rule, Sample};

/// The family, by id.
pub(super) const ALL: &[&Rule] = &[
    MISSING_KEY,
    DUPLICATE_KEY,
    MISSHAPEN_KEY,
    UNUSUAL_KEY,
    KEY_AGAINST_PATH,
    NAME_CLASH,
    OPTIONAL_KEY,
    MISSING_ID,
    ID_AGAINST_PATH,
    TENSE,
];

/// A schema looks like a contract but names no key.
pub const MISSING_KEY: &Rule = &Rule {
    id: "HF020",
    level: Level::Warning,
    purpose: "A schema looks like a contract but names no key.",
    why: "Without a key nothing routes by it: the file generates no type, and the service that \
          meant to publish it finds no contract. With `event_type` but no const, a payload may \
          say anything there.",
    fix: "Give `event_type` a `const`, or name the file `<domain>/<entity>.<action>.v1.json`.",
    failing: &[Sample::text(
        "theboard/meeting_created.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "type": "string" }
  }
}
"#,
    )],
    passing: &[Sample::text(
        "theboard/meeting_created.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" }
  },
  "required": ["event_type"]
}
"#,
    )],
};

/// Two contracts have one key and version.
pub const DUPLICATE_KEY: &Rule = &Rule {
    id: "HF021",
    level: Level::Error,
    purpose: "Two contracts have one key and version.",
    why: "One key and version is one contract: two files would give two types and two verdicts \
          for the same message.",
    fix: "Give one of them another key. A new shape of the same event is a new version: \
          `<entity>.<action>.v2.json`.",
    failing: &[
        MEETING_CREATED,
        Sample::text(
            "theboard/meeting_created.json",
            r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" }
  },
  "required": ["event_type"]
}
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
    ],
};

/// A key is not `<domain>.<entity>.<action>`.
pub const MISSHAPEN_KEY: &Rule = &Rule {
    id: "HF022",
    level: Level::Error,
    purpose: "A key is not `<domain>.<entity>.<action>`.",
    why: "Keys are matched word by word between dots. Capitals, spaces and hyphens make keys \
          that nobody binds to, and no name in code.",
    fix: "Write `<domain>.<entity>.<action>` in lower-case letters, digits and `_`, as in \
          `theboard.meeting.created`.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "TheBoard.Meeting-Created" }
  },
  "required": ["event_type"]
}
"#,
    )],
    passing: &[MEETING_CREATED],
};

/// A key has not three words.
pub const UNUSUAL_KEY: &Rule = &Rule {
    id: "HF023",
    level: Level::Note,
    purpose: "A key has not three words.",
    why: "Bindings such as `*.*.created` count words. A key of two words, or of four, falls \
          through them silently.",
    fix: "Use three words where you are free to; keep an older key as it is, and know of the \
          bindings.",
    failing: &[Sample::text(
        "llm/prompt.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "llm.prompted" }
  },
  "required": ["event_type"]
}
"#,
    )],
    passing: &[Sample::text(
        "llm/prompt.submitted.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "llm.prompt.submitted" }
  },
  "required": ["event_type"]
}
"#,
    )],
};

/// The const of a contract and its path name two keys.
pub const KEY_AGAINST_PATH: &Rule = &Rule {
    id: "HF024",
    level: Level::Warning,
    purpose: "The const of a contract and its path name two keys.",
    why: "People look for a contract by its file name, the broker by its const. Where they \
          differ, somebody edits the wrong file or binds to a key that is never sent.",
    fix: "Rename the file, or correct the const. The const counts until then. Nothing is \
          mended silently: only you know which of the two is in use.",
    failing: &[Sample::text(
        "theboard/meeting.started.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" }
  },
  "required": ["event_type"]
}
"#,
    )],
    passing: &[MEETING_CREATED],
};

/// Two schemas become one name in generated code.
pub const NAME_CLASH: &Rule = &Rule {
    id: "HF025",
    level: Level::Error,
    purpose: "Two schemas become one name in generated code.",
    why: "Both would become one type or one constant in Rust, and one would hide the other.",
    fix: "Rename one of them: keys that differ only by `.` and `_` are hard to tell apart for \
          people too.",
    failing: &[
        Sample::text(
            "a.json",
            r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "the.board_created" }
  },
  "required": ["event_type"]
}
"#,
        ),
        Sample::text(
            "b.json",
            r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "the.board.created" }
  },
  "required": ["event_type"]
}
"#,
        ),
    ],
    passing: &[
        Sample::text(
            "a.json",
            r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "the.whiteboard_created" }
  },
  "required": ["event_type"]
}
"#,
        ),
        Sample::text(
            "b.json",
            r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "the.board.created" }
  },
  "required": ["event_type"]
}
"#,
        ),
    ],
};

/// A contract does not require the property that names its key.
pub const OPTIONAL_KEY: &Rule = &Rule {
    id: "HF026",
    level: Level::Warning,
    purpose: "A contract does not require the property that names its key.",
    why: "A payload without the property is valid, although the generated type always writes \
          it. A consumer in another language that reads the key from the payload finds nothing \
          there.",
    fix: "Add the property to `required`.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.created" }
  },
  "required": []
}
"#,
    )],
    passing: &[MEETING_CREATED],
};

/// A contract has no `$id`.
pub const MISSING_ID: &Rule = &Rule {
    id: "HF027",
    level: Level::Warning,
    purpose: "A contract has no `$id`.",
    why: "The `$id` is how a contract is named outside of this folder: in the envelope of each \
          event, in other schemas, in a registry. Without one the path stands in for it, which \
          says nothing to others.",
    fix: "Write an `$id` that ends in the path of the file. `--fix --unsafe` writes it where \
          the other files of the folder show what stands before the path.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object"
}
"#,
    )],
    passing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "$id": "https://33god.dev/theboard/meeting.created.v1.json",
  "type": "object"
}
"#,
    )],
};

/// The `$id` of a schema is not that of its path.
pub const ID_AGAINST_PATH: &Rule = &Rule {
    id: "HF028",
    level: Level::Warning,
    purpose: "The `$id` of a schema is not that of its path.",
    why: "Whoever honours `$id` as a base resolves relative references against it. If it does \
          not mirror the folder, the same `$ref` leads to two files, or to none, depending on \
          the tool.",
    fix: "Let the `$id` be a common base and the path of the file. `--fix --unsafe` writes it: \
          unsafe, as events on the wire carry it.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "$id": "https://33god.dev/meetings/created.json",
  "type": "object"
}
"#,
    )],
    passing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "$id": "https://33god.dev/theboard/meeting.created.v1.json",
  "type": "object"
}
"#,
    )],
};

/// An event does not say what happened, or a command what to do.
pub const TENSE: &Rule = &Rule {
    id: "HF029",
    level: Level::Warning,
    purpose: "An event does not say what happened, or a command what to do.",
    why: "An event is a fact and a command a wish. `meeting.create` as an event leaves its \
          readers in doubt whether the meeting exists, and invites them to act on it.",
    fix: "End an event's key in a past form, a command's in what is to be done. Words of your \
          own go to `tense.events` and `tense.commands` in bloodbank.toml.",
    failing: &[Sample::text(
        "theboard/meeting.create.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "event_type": { "const": "theboard.meeting.create" }
  },
  "required": ["event_type"]
}
"#,
    )],
    passing: &[MEETING_CREATED],
};

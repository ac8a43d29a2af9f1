//! Files that cannot be read as schemas.

use super::{Content, Level, MEETING_CREATED, Rule, Sample};

/// The family, by id.
pub(super) const ALL: &[&Rule] =
    &[UNREADABLE, SYNTAX, DUPLICATE_NAME, NOT_A_SCHEMA, UNKNOWN_DRAFT, OUTSIDE_ROOT];

/// A file cannot be read: missing rights, not UTF-8, or too large.
pub const UNREADABLE: &Rule = &Rule {
    id: "HF001",
    level: Level::Error,
    purpose: "A file cannot be read: missing rights, not UTF-8, or too large.",
    why: "A file that cannot be read holds a contract that nobody checks. Usually it is not a \
          schema at all: an archive, an image, or text in an old encoding that somebody \
          renamed.",
    fix: "Save it as UTF-8, give yourself the right to read it, or move it out of the schema \
          folder. A schema may have 4 MiB.",
    failing: &[Sample {
        path: "theboard/meeting.created.v1.json",
        content: Content::Bytes(b"\xff\xfe{ }"),
    }],
    passing: &[MEETING_CREATED],
};

/// A file is not valid JSON.
pub const SYNTAX: &Rule = &Rule {
    id: "HF002",
    level: Level::Error,
    purpose: "A file is not valid JSON.",
    why: "JSON has no comments, no trailing commas and no single quotes. Tools that forgive \
          them do not agree on what they read, so the first fault ends the reading of the \
          file.",
    fix: "Correct the character that the caret shows; what is behind it is read again then.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
}
"#,
    )],
    passing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object"
}
"#,
    )],
};

/// A name stands twice in one object; parsers keep one and drop the other.
pub const DUPLICATE_NAME: &Rule = &Rule {
    id: "HF003",
    level: Level::Error,
    purpose: "A name stands twice in one object; parsers keep one and drop the other.",
    why: "Most parsers keep the last of two equal names and say nothing. The limits that stand \
          in the first one are gone, and whoever reads the file believes in both.",
    fix: "Keep one of the two; if both were meant, put them into one object.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "topic": { "type": "string", "maxLength": 200 },
    "topic": { "type": "string" }
  }
}
"#,
    )],
    passing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "topic": { "type": "string", "maxLength": 200 }
  }
}
"#,
    )],
};

/// A file holds something that is no JSON Schema.
pub const NOT_A_SCHEMA: &Rule = &Rule {
    id: "HF004",
    level: Level::Error,
    purpose: "A file holds something that is no JSON Schema.",
    why: "A schema is an object, `true` or `false`. A list or a text in the schema folder is \
          data that was put in the wrong place, or an example without its schema.",
    fix: "Write the schema, and keep data elsewhere; examples go under `examples` in the \
          schema.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"["theboard.meeting.created"]
"#,
    )],
    passing: &[MEETING_CREATED],
};

/// A schema is of a draft other than 2020-12 and draft-07.
pub const UNKNOWN_DRAFT: &Rule = &Rule {
    id: "HF005",
    level: Level::Error,
    purpose: "A schema is of a draft other than 2020-12 and draft-07.",
    why: "The same word means different things in different drafts, and older drafts lack \
          words that newer files lean on. Two drafts are read, 2020-12 and draft-07; any other \
          would be read as something it is not.",
    fix: "Name one of the two in `$schema`, and check the keywords that changed; without \
          `$schema` a file counts as 2020-12.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "$schema": "http://json-schema.org/draft-04/schema#",
  "type": "object"
}
"#,
    )],
    passing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object"
}
"#,
    )],
};

/// A link leads out of the schema folder.
pub const OUTSIDE_ROOT: &Rule = &Rule {
    id: "HF006",
    level: Level::Error,
    purpose: "A link leads out of the schema folder.",
    why: "A link that leads out of the folder is a contract that exists on one machine only. \
          It is missing from the package, from the build in CI and from every checkout.",
    fix: "Copy the file into the schema folder, or link to one inside it.",
    failing: &[Sample {
        path: "theboard/meeting.created.v1.json",
        content: Content::Link("/etc/hostname"),
    }],
    passing: &[MEETING_CREATED],
};

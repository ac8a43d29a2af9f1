//! What a `$ref` means.

use super::{Level, Rule, Sample};

/// The family, by id.
pub(super) const ALL: &[&Rule] =
    &[UNRESOLVED_REF, REMOTE_REF, ESCAPING_REF, AMBIGUOUS_REF, DUPLICATE_ID, IGNORED_SIBLING];

/// A `$ref` leads nowhere.
pub const UNRESOLVED_REF: &Rule = &Rule {
    id: "HF010",
    level: Level::Error,
    purpose: "A `$ref` leads nowhere.",
    why: "Without its target a reference says nothing, and a validator would have to guess. \
          Mostly a file was moved or a definition renamed, and the references stayed.",
    fix: "Correct the path, which counts from the folder of the file it stands in, or the part \
          behind `#`. Definitions live under `$defs`.",
    failing: &[
        Sample::text(
            "theboard/meeting.created.v1.json",
            r#"{
  "type": "object",
  "properties": {
    "topic": { "$ref": "../_common/types.json#/$defs/title" }
  }
}
"#,
        ),
        Sample::text(
            "_common/types.json",
            r#"{ "$defs": { "topic": { "type": "string" } } }
"#,
        ),
    ],
    passing: &[
        Sample::text(
            "theboard/meeting.created.v1.json",
            r#"{
  "type": "object",
  "properties": {
    "topic": { "$ref": "../_common/types.json#/$defs/topic" }
  }
}
"#,
        ),
        Sample::text(
            "_common/types.json",
            r#"{ "$defs": { "topic": { "type": "string" } } }
"#,
        ),
    ],
};

/// A `$ref` leads to the network; nothing is ever fetched.
pub const REMOTE_REF: &Rule = &Rule {
    id: "HF011",
    level: Level::Error,
    purpose: "A `$ref` leads to the network; nothing is ever fetched.",
    why: "A contract must mean the same tomorrow, on a train and in CI. So nothing is ever \
          fetched: a reference to the network would make the bus depend on somebody's web \
          server.",
    fix: "Copy the schema into the folder and refer to it by relative path, or give the copy \
          that `$id`.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "place": { "$ref": "https://example.com/geo.json" }
  }
}
"#,
    )],
    passing: &[
        Sample::text(
            "theboard/meeting.created.v1.json",
            r#"{
  "type": "object",
  "properties": {
    "place": { "$ref": "../_common/geo.json" }
  }
}
"#,
        ),
        Sample::text(
            "_common/geo.json",
            r#"{ "type": "object" }
"#,
        ),
    ],
};

/// A `$ref` leads out of the schema folder.
pub const ESCAPING_REF: &Rule = &Rule {
    id: "HF012",
    level: Level::Error,
    purpose: "A `$ref` leads out of the schema folder.",
    why: "The schema folder is what is packaged, bundled and reviewed. What lies outside of it \
          is not there for the next user.",
    fix: "Move the file it means into the schema folder.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r#"{
  "type": "object",
  "properties": {
    "place": { "$ref": "../../shared/geo.json" }
  }
}
"#,
    )],
    passing: &[
        Sample::text(
            "theboard/meeting.created.v1.json",
            r#"{
  "type": "object",
  "properties": {
    "place": { "$ref": "../_common/geo.json" }
  }
}
"#,
        ),
        Sample::text(
            "_common/geo.json",
            r#"{ "type": "object" }
"#,
        ),
    ],
};

/// A `$ref` means one file by path and another by `$id`.
pub const AMBIGUOUS_REF: &Rule = &Rule {
    id: "HF013",
    level: Level::Warning,
    purpose: "A `$ref` means one file by path and another by `$id`.",
    why: "Tools that honour `$id` and tools that honour paths read two different schemas here. \
          Ours follows the path; a registry or an editor may not.",
    fix: "Let each `$id` mirror the path of its file (HF028), or leave the `$id`s out; then \
          both ways lead to one place.",
    failing: &[
        Sample::text(
            "a/order.json",
            r#"{ "$id": "https://33god.dev/b/order.json", "$ref": "common.json" }
"#,
        ),
        Sample::text(
            "a/common.json",
            r#"{ "type": "object" }
"#,
        ),
        Sample::text(
            "b/common.json",
            r#"{ "$id": "https://33god.dev/b/common.json" }
"#,
        ),
    ],
    passing: &[
        Sample::text(
            "a/order.json",
            r#"{ "$id": "https://33god.dev/a/order.json", "$ref": "common.json" }
"#,
        ),
        Sample::text(
            "a/common.json",
            r#"{ "type": "object" }
"#,
        ),
        Sample::text(
            "b/common.json",
            r#"{ "$id": "https://33god.dev/b/common.json" }
"#,
        ),
    ],
};

/// Two schemas have one `$id`.
pub const DUPLICATE_ID: &Rule = &Rule {
    id: "HF014",
    level: Level::Error,
    purpose: "Two schemas have one `$id`.",
    why: "An `$id` is the name by which the world knows a schema; the envelope of every event \
          carries it. Two schemas of one name cannot be told apart, and which of them a \
          reference means is chance.",
    fix: "Give one of them an `$id` of its own. Most often a file was copied to make a new \
          version.",
    failing: &[
        Sample::text(
            "theboard/meeting.created.v1.json",
            r#"{ "$id": "https://33god.dev/meeting", "type": "object" }
"#,
        ),
        Sample::text(
            "theboard/meeting.created.v2.json",
            r#"{ "$id": "https://33god.dev/meeting", "type": "object" }
"#,
        ),
    ],
    passing: &[
        Sample::text(
            "theboard/meeting.created.v1.json",
            r#"{ "$id": "https://33god.dev/theboard/meeting.created.v1.json", "type": "object" }
"#,
        ),
        Sample::text(
            "theboard/meeting.created.v2.json",
            r#"{ "$id": "https://33god.dev/theboard/meeting.created.v2.json", "type": "object" }
"#,
        ),
    ],
};

/// A keyword stands beside a draft-07 `$ref`, where it counts for nothing.
pub const IGNORED_SIBLING: &Rule = &Rule {
    id: "HF015",
    level: Level::Warning,
    purpose: "A keyword stands beside a draft-07 `$ref`, where it counts for nothing.",
    why: "Draft-07 ignores everything beside `$ref`. The limit is there to be read, and no \
          payload was ever measured by it; moved to 2020-12 the same file would suddenly \
          refuse what it took before.",
    fix: "Put the reference into `allOf`, where siblings count, or move the file to 2020-12. \
          Not mended by `--fix`: it would begin to refuse payloads.",
    failing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r##"{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "type": "object",
  "definitions": { "text": { "type": "string" } },
  "properties": {
    "topic": { "$ref": "#/definitions/text", "maxLength": 200 }
  }
}
"##,
    )],
    passing: &[Sample::text(
        "theboard/meeting.created.v1.json",
        r##"{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "type": "object",
  "definitions": { "text": { "type": "string" } },
  "properties": {
    "topic": { "allOf": [{ "$ref": "#/definitions/text" }], "maxLength": 200 }
  }
}
"##,
    )],
};

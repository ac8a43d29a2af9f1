//! bloodbank.toml: levels and allowances.

use super::{Level, MEETING_CREATED, Rule, Sample};

/// The family, by id.
pub(super) const ALL: &[&Rule] = &[SETTINGS, UNUSED_ALLOWANCE];

/// The settings cannot be read, or ask for what cannot be.
pub const SETTINGS: &Rule = &Rule {
    id: "HF090",
    level: Level::Error,
    purpose: "The settings cannot be read, or ask for what cannot be.",
    why: "Settings that are not understood would be settings that silently do nothing: a rule \
          still shouts, or one that should shout is silent.",
    fix: "Correct the place that is shown. Rules that are errors cannot be lowered, switched \
          off or allowed: their contracts cannot work.",
    failing: &[Sample::text(
        "bloodbank.toml",
        r#"[levels]
HF80 = "off"

[[allow]]
rule = "HF024"
file = "theboard/"
"#,
    )],
    passing: &[
        Sample::text(
            "bloodbank.toml",
            r#"[levels]
HF080 = "off"
"#,
        ),
        MEETING_CREATED,
    ],
};

/// An allowance that matches no finding.
pub const UNUSED_ALLOWANCE: &Rule = &Rule {
    id: "HF091",
    level: Level::Warning,
    purpose: "An allowance that matches no finding.",
    why: "The finding that was accepted is gone. An allowance that stays behind hides the next \
          one.",
    fix: "Remove it.",
    failing: &[
        Sample::text(
            "bloodbank.toml",
            r#"[[allow]]
rule = "HF081"
file = "theboard/meeting.started.v1.json"
reason = "no meeting was ever started"
"#,
        ),
        MEETING_CREATED,
    ],
    passing: &[
        Sample::text(
            "bloodbank.toml",
            r#"[[allow]]
rule = "HF081"
file = "theboard/meeting.created.v1.json"
reason = "the example follows with version 2"
"#,
        ),
        MEETING_CREATED,
    ],
};

//! What the command prints, and how it exits.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use expect_test::{Expect, expect};

/// Runs `bloodbank` where no schema folder is, so that it speaks of the contracts built in.
fn bloodbank(arguments: &[&str], input: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_bloodbank"))
        .args(arguments)
        .current_dir(folder.path())
        .env_remove("BLOODBANK_SCHEMAS")
        .env_remove("DATABASE_URL")
        .env_remove("RABBIT_HOST")
        .env_remove("RABBIT_URL")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// The exit code and everything that was printed.
fn says(arguments: &[&str], input: &str, expected: &Expect) {
    let output = bloodbank(arguments, input);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = format!(
        "{}{}exit {}\n",
        text(&output.stdout),
        text(&output.stderr),
        output.status.code().unwrap()
    );
    expected.assert_eq(&said);
}

fn schemas() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas").display().to_string()
}

const FIVE_FAULTS: &str = r#"{
  "event_type": "theboard.meeting.created",
  "meeting_id": "nope",
  "topic": "",
  "strategy": "multi",
  "max_rounds": 500,
  "agent_count": "\u001b[31mfour"
}"#;

#[test]
fn a_payload_with_five_faults_gets_five_lines_each_with_its_place() {
    says(
        &["validate", "theboard.meeting.created"],
        FIVE_FAULTS,
        &expect![[r#"
        theboard.meeting.created: 5 faults
          /meeting_id   expected a UUID, found "nope"
          /topic        expected at least 1 character, found ""
          /strategy     expected one of "simple", "multi_agent", found "multi"
          /max_rounds   expected at most 100, found 500
          /agent_count  expected an integer or null, found "\u{1b}[31mfour"
        exit 100
    "#]],
    );
}

#[test]
fn the_same_as_json() {
    let output = bloodbank(&["validate", "theboard.meeting.created", "-", "--json"], FIVE_FAULTS);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let pointers: Vec<&str> = report["violations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|violation| violation["pointer"].as_str().unwrap())
        .collect();
    let expected = ["/meeting_id", "/topic", "/strategy", "/max_rounds", "/agent_count"];
    assert_eq!(pointers, expected);
    assert_eq!(output.status.code(), Some(100));
}

#[test]
fn a_valid_payload_is_said_to_be_valid() {
    let example = bloodbank(&["show", "theboard.meeting.created", "--format", "example"], "");
    let example = String::from_utf8(example.stdout).unwrap();
    says(
        &["validate", "theboard.meeting.created"],
        &example,
        &expect![[r#"
        valid: theboard.meeting.created
        exit 0
    "#]],
    );
}

#[test]
fn a_sensitive_value_is_not_repeated() {
    let payload = r#"{"event_type":"llm.prompt","prompt":["the secret"]}"#;
    let output = bloodbank(&["validate", "llm.prompt"], payload);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("/prompt") && !said.contains("secret"), "{said}");
}

#[test]
fn text_that_is_no_json_is_an_error_with_its_place() {
    says(
        &["validate", "llm.prompt"],
        "{\n  \"a\": }",
        &expect![[r#"
        error: standard input:2:8: not JSON: expected value
        exit 1
    "#]],
    );
}

#[test]
fn an_unknown_key_is_answered_with_the_one_that_was_meant() {
    says(
        &["show", "theboard.meeting.craeted"],
        "",
        &expect![[r#"
        error: no contract has the key `theboard.meeting.craeted`; did you mean `theboard.meeting.created` or `theboard.meeting.started` or `theboard.meeting.completed`?
        help: `bloodbank list-events` and `list-commands` show every key
        exit 1
    "#]],
    );
}

#[test]
fn events_and_commands_are_listed_in_columns() {
    says(
        &["list-events", "--domain", "llm"],
        "",
        &expect![[r#"
        KEY                      VERSION  TYPE                     TITLE
        llm.completion.finished  1        llm::CompletionFinished  Completion finished
        llm.prompt               1        llm::Prompt              Prompt
        exit 0
    "#]],
    );
    says(
        &["list-events", "--type", "command", "--domain", "github"],
        "",
        &expect![[r#"
        KEY                        VERSION  TYPE                      TITLE
        github.pull_request.merge  1        github::MergePullRequest  Merge a pull request
        exit 0
    "#]],
    );
    says(
        &["list-commands", "--domain", "nobody"],
        "",
        &expect![[r#"
        no commands in the domain `nobody`
        exit 0
    "#]],
    );
}

#[test]
fn a_list_is_also_json() {
    let output = bloodbank(&["list-commands", "--json"], "");
    let list: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(list.iter().all(|contract| contract["kind"] == "command"));
    assert!(list.len() >= 2);
}

#[test]
fn a_contract_is_shown_with_its_fields() {
    says(
        &["show", "github.pull_request.merge"],
        "",
        &expect![[r#"
        command      github.pull_request.merge
        version      1
        title        Merge a pull request
        description  Sent by agent-feedback-router when a reviewer has agreed to a merge. github-bridge merges the pull request, or refuses if its head has moved.
        type         events::github::MergePullRequest
        schema       https://schemas.33god.dev/github/commands/pull_request.merge.v1.json
        sent by      agent-feedback-router
        handled by   github-bridge

        FIELD          REQUIRED  TYPE                           DESCRIPTION
        event_type     yes       "github.pull_request.merge"    The key of this contract; the same in every version of it.
        repository     yes       string                         Repository of the pull request.
        number         yes       integer                        Number of the pull request in the repository.
        head_sha       yes       string                         Commit that was reviewed, as full SHA-1; any other is not merged.
        method         yes       "merge" | "squash" | "rebase"  How the commits reach the base branch.
        delete_branch  yes       boolean                        Whether to delete the head branch after the merge.
        min_approvals  yes       integer                        Approving reviews without which it is not merged; GitHub allows up to 6.
        requested_by   yes       object                         Who decided to merge.
        commit_title   no        string                         First line of the merge commit; absent for GitHub's own.
        exit 0
    "#]],
    );
}

/// What `show` prints of a contract, as JSON.
fn shown(key: &str, format: &str) -> serde_json::Value {
    let output = bloodbank(&["show", key, "--format", format], "");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_contract_is_also_shown_as_its_schema_which_judges_as_it_does() {
    let schema = jsonschema::draft202012::new(&shown("llm.prompt", "schema")).unwrap();
    let example = shown("llm.prompt", "example");
    assert!(schema.is_valid(&example), "{example}");
    assert!(!schema.is_valid(&shown("theboard.meeting.created", "example")));
    let without = |name: &str| {
        let mut payload = example.clone();
        payload.as_object_mut().unwrap().remove(name).unwrap();
        payload
    };
    assert!(!schema.is_valid(&without("prompt")), "`prompt` is required");
    let mut other = example.clone();
    other["agent_name"] = 7.into();
    assert!(!schema.is_valid(&other), "what `agent_name` refers to is a part of the schema");
}

#[test]
fn a_contract_is_also_shown_as_json() {
    let said = shown("llm.prompt", "json");
    assert_eq!(said["contract"]["keys"], serde_json::json!(["llm.prompt"]));
    assert_eq!(said["examples"][0], shown("llm.prompt", "example"));
    let fields = said["fields"].as_array().unwrap();
    let of_name = |name: &str| fields.iter().find(|field| field["name"] == name).unwrap();
    let required = |name: &str| of_name(name)["required"].as_bool().unwrap();
    let example = said["examples"][0].as_object().unwrap();
    assert!(example.keys().all(|name| fields.iter().any(|field| field["name"] == **name)));
    assert!(required("prompt") && !fields.iter().all(|field| field["required"] == true), "{said}");
}

#[test]
fn the_rust_types_of_a_contract_are_its_own_and_made_from_its_folder() {
    let folder = schemas();
    let types = |key: &str| -> Vec<String> {
        let arguments = ["show", key, "--format", "rust", "--schemas", folder.as_str()];
        let said = String::from_utf8(bloodbank(&arguments, "").stdout).unwrap();
        let starts = said.lines().filter(|line| line.starts_with(|c: char| c.is_alphabetic()));
        starts.map(str::to_owned).collect()
    };
    assert_eq!(types("theboard.meeting.created"), ["pub struct MeetingCreated {"]);
    assert_eq!(
        types("theboard.meeting.created.v2"),
        ["pub struct MeetingCreatedV2 {", "pub struct MeetingCreatedV2Topic {"]
    );
    assert_eq!(
        types("theboard.meeting.completed"),
        [
            "pub struct MeetingCompleted {",
            "pub enum MeetingCompletedStoppingReason {",
            "pub struct MeetingCompletedTopComment {",
        ]
    );
    let arguments = ["show", "theboard.meeting.created", "--format", "rust"];
    says(
        &arguments,
        "",
        &expect![[r#"
        error: Rust code is made from a schema folder: pass `--schemas DIR`, or run this where `schemas` is
        exit 1
    "#]],
    );
}

#[test]
fn a_version_is_part_of_the_key_or_an_option() {
    let by_key = bloodbank(&["show", "theboard.meeting.created.v2"], "");
    let by_option = bloodbank(&["show", "theboard.meeting.created", "--version", "2"], "");
    assert_eq!(by_key.stdout, by_option.stdout);
    says(
        &["show", "llm.prompt", "--version", "7"],
        "",
        &expect![[r#"
        error: no contract has the key `llm.prompt.v7`; did you mean `llm.prompt`?
        help: `bloodbank list-events` and `list-commands` show every key
        exit 1
    "#]],
    );
}

#[test]
fn the_demo_publishes_refuses_restarts_chains_and_replays() {
    let output = bloodbank(&["demo"], "");
    let said = String::from_utf8(output.stdout).unwrap();
    let word = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let is_word = |word: &String| word.chars().all(|c| c.is_ascii_lowercase()) && !word.is_empty();
    let mut words: Vec<String> = said.lines().map(word).filter(is_word).collect();
    words.dedup();
    let expected = [
        "contracts",
        "store",
        "published",
        "refused",
        "sent",
        "handled",
        "received",
        "closed",
        "opened",
        "received",
        "chain",
        "replayed",
        "received",
    ];
    assert_eq!(words, expected, "{said}");
    for line in
        ["└─ github.pull_request.merge", "│  └─ theboard.meeting.completed", "replayed   3 events"]
    {
        assert!(said.contains(line), "{said}");
    }
    assert_eq!(said.lines().filter(|line| line.ends_with("  again")).count(), 3, "{said}");
    assert!(output.status.success());
}

#[test]
fn codegen_writes_checks_and_finds_drift() {
    let folder = tempfile::tempdir().unwrap();
    let (schemas, out) = (schemas(), folder.path().join("out").display().to_string());
    let run = |more: &[&str]| {
        let mut arguments = vec!["codegen", "--schemas", &schemas, "--out", &out];
        arguments.extend(more);
        bloodbank(&arguments, "")
    };
    assert_eq!(run(&[]).status.code(), Some(0));
    assert_eq!(run(&["--check"]).status.code(), Some(0));
    fs::write(Path::new(&out).join("rust/keys.rs"), "// Somebody was here.\n").unwrap();
    let stale = run(&["--check"]);
    let said = String::from_utf8(stale.stderr).unwrap();
    assert_eq!(stale.status.code(), Some(4));
    assert!(said.contains("fix: run `bloodbank codegen --schemas"), "{said}");
}

#[test]
fn wrong_usage_exits_2() {
    assert_eq!(bloodbank(&["show"], "").status.code(), Some(2));
    assert_eq!(bloodbank(&["list-events", "--type", "query"], "").status.code(), Some(2));
}

use std::fs;

use expect_test::expect;
use holyfields_cli::lint::{Deny, Format};
use holyfields_cli::{LintArgs, LintOptions, Outcome, lint};

use serde_json::Value;

use crate::{Project, REGISTRY, Ran, THING, ran};

fn run(project: &Project, json: bool) -> Ran {
    let format = if json { Format::Json } else { Format::Text };
    with(project, LintOptions { format, notes: true, ..LintOptions::default() })
}

fn with(project: &Project, options: LintOptions) -> Ran {
    let args = LintArgs {
        schemas: Some(project.path("schemas")),
        registry: Some(project.path("registry.yaml")),
        options,
    };
    ran(project.0.path(), |console| lint::run_on(&args, "bloodbank lint", console))
}

#[test]
fn nothing_to_find() {
    let project = Project::new();
    let Ran { outcome, out, err } = run(&project, false);
    assert_eq!(
        (outcome, out.as_str(), err.as_str()),
        (Outcome::Ok, "1 contract, no findings\n", "")
    );
    assert_eq!(run(&project, true).out, "[]\n");
}

#[test]
fn findings_of_both_passes_in_one_run() {
    let project = Project::new();
    let broken = THING.replace("\"maximum\": 10", "\"maximum\": -1, \"format\": \"nope\"");
    project.put("schemas/demo/thing.made.v1.json", &broken);
    project.put("schemas/demo/llm.prompt.v1.json", r#"{ "type": "object", "pattern": "(" }"#);
    project.put("registry.yaml", &REGISTRY.replace("made", "mad"));
    let Ran { outcome, out, err } = run(&project, false);
    assert_eq!((outcome, err.as_str()), (Outcome::Errors, ""));
    expect![[r#"
        warning[HF061]: `demo.thing.mad` is no contract's key
         --> DIR/registry.yaml:4:16
          |
        4 |     produces: [demo.thing.mad]
          |                ^^^^^^^^^^^^^^
          |
          = help: did you mean `demo.thing.made`?

        warning[HF027]: `demo.llm.prompt` has no `$id`
         --> demo/llm.prompt.v1.json:1:1
          |
        1 | { "type": "object", "pattern": "(" }
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          |
          = help: write `"$id": "https://example.com/demo/llm.prompt.v1.json"`

        warning[HF029]: `demo.llm.prompt` is an event, and its last word does not say that something happened
        --> demo/llm.prompt.v1.json
         = help: end it in a past form, as in `created` or `sent`, or list the word in bloodbank.toml under `tense.events`

        warning[HF080]: `demo.llm.prompt` has no description
         --> demo/llm.prompt.v1.json:1:1
          |
        1 | { "type": "object", "pattern": "(" }
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          |
          = help: say who emits it, when, and what a reader does with it

        warning[HF081]: `demo.llm.prompt` has no example
         --> demo/llm.prompt.v1.json:1:1
          |
        1 | { "type": "object", "pattern": "(" }
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          |
          = help: write `"examples": [{ … }]`: they are tests, and the first is shown

        error[HF042]: the pattern `(` cannot be used: opening parenthesis without closing parenthesis
         --> demo/llm.prompt.v1.json:1:32
          |
        1 | { "type": "object", "pattern": "(" }
          |                                ^^^ (/pattern)
          |
          = help: write an ECMA-262 regular expression; in JSON, a backslash is written `\\`

        error[HF041]: `demo.thing.made` accepts no payload at all: these 3 cannot all hold
          --> demo/thing.made.v1.json:8:34
           |
         8 |     "size": { "type": "integer", "minimum": 0, "maximum": -1, "format": "nope", "description": "In cm." }
           |                                  ^^^^^^^^^     --------- `maximum` must hold (/properties/size/maximum)
           |                                  |
           |                                  `minimum` must hold (/properties/size/minimum)
         9 |   },
        10 |   "required": ["event_type", "size"],
           |                              ------ `size` must be present (/required/1)
           |
           = help: change or remove one of them; its example is refused for this reason

        error[HF043]: nothing checks the format `nope`
         --> demo/thing.made.v1.json:8:73
          |
        8 |     "size": { "type": "integer", "minimum": 0, "maximum": -1, "format": "nope", "description": "In cm." }
          |                                                                         ^^^^^^ (/properties/size/format)
          |
          = help: use one of date, date-time, duration, email, hostname, ipv4, ipv6, iri, iri-reference, json-pointer, regex, relative-json-pointer, time, uri, uri-reference, uri-template, uuid, or a `pattern`

        2 contracts, 3 errors, 5 warnings
        1 finding can be mended: bloodbank lint --fix --unsafe
    "#]].assert_eq(&out);
    let Ran { outcome, out, .. } = run(&project, true);
    assert_eq!(outcome, Outcome::Errors);
    expect![[r#"
        [
          {
            "rule": "HF061",
            "level": "warning",
            "message": "`demo.thing.mad` is no contract's key",
            "places": [
              {
                "file": "DIR/registry.yaml",
                "line": 4,
                "column": 16,
                "pointer": "",
                "label": ""
              }
            ],
            "help": "did you mean `demo.thing.made`?"
          },
          {
            "rule": "HF027",
            "level": "warning",
            "message": "`demo.llm.prompt` has no `$id`",
            "places": [
              {
                "file": "demo/llm.prompt.v1.json",
                "line": 1,
                "column": 1,
                "pointer": "",
                "label": ""
              }
            ],
            "help": "write `\"$id\": \"https://example.com/demo/llm.prompt.v1.json\"`"
          },
          {
            "rule": "HF029",
            "level": "warning",
            "message": "`demo.llm.prompt` is an event, and its last word does not say that something happened",
            "places": [
              {
                "file": "demo/llm.prompt.v1.json",
                "line": 1,
                "column": 1,
                "pointer": "",
                "label": ""
              }
            ],
            "help": "end it in a past form, as in `created` or `sent`, or list the word in bloodbank.toml under `tense.events`"
          },
          {
            "rule": "HF080",
            "level": "warning",
            "message": "`demo.llm.prompt` has no description",
            "places": [
              {
                "file": "demo/llm.prompt.v1.json",
                "line": 1,
                "column": 1,
                "pointer": "",
                "label": ""
              }
            ],
            "help": "say who emits it, when, and what a reader does with it"
          },
          {
            "rule": "HF081",
            "level": "warning",
            "message": "`demo.llm.prompt` has no example",
            "places": [
              {
                "file": "demo/llm.prompt.v1.json",
                "line": 1,
                "column": 1,
                "pointer": "",
                "label": ""
              }
            ],
            "help": "write `\"examples\": [{ … }]`: they are tests, and the first is shown"
          },
          {
            "rule": "HF042",
            "level": "error",
            "message": "the pattern `(` cannot be used: opening parenthesis without closing parenthesis",
            "places": [
              {
                "file": "demo/llm.prompt.v1.json",
                "line": 1,
                "column": 32,
                "pointer": "/pattern",
                "label": ""
              }
            ],
            "help": "write an ECMA-262 regular expression; in JSON, a backslash is written `\\\\`"
          },
          {
            "rule": "HF041",
            "level": "error",
            "message": "`demo.thing.made` accepts no payload at all: these 3 cannot all hold",
            "places": [
              {
                "file": "demo/thing.made.v1.json",
                "line": 8,
                "column": 34,
                "pointer": "/properties/size/minimum",
                "label": "`minimum` must hold"
              },
              {
                "file": "demo/thing.made.v1.json",
                "line": 8,
                "column": 48,
                "pointer": "/properties/size/maximum",
                "label": "`maximum` must hold"
              },
              {
                "file": "demo/thing.made.v1.json",
                "line": 10,
                "column": 30,
                "pointer": "/required/1",
                "label": "`size` must be present"
              }
            ],
            "help": "change or remove one of them; its example is refused for this reason"
          },
          {
            "rule": "HF043",
            "level": "error",
            "message": "nothing checks the format `nope`",
            "places": [
              {
                "file": "demo/thing.made.v1.json",
                "line": 8,
                "column": 73,
                "pointer": "/properties/size/format",
                "label": ""
              }
            ],
            "help": "use one of date, date-time, duration, email, hostname, ipv4, ipv6, iri, iri-reference, json-pointer, regex, relative-json-pointer, time, uri, uri-reference, uri-template, uuid, or a `pattern`"
          }
        ]
    "#]].assert_eq(&out);
}

#[test]
fn warnings_alone_are_no_failure() {
    let project = Project::new();
    project.put("registry.yaml", &REGISTRY.replace("made", "mad"));
    let Ran { outcome, out, .. } = run(&project, false);
    assert_eq!(outcome, Outcome::Ok);
    assert!(out.ends_with("\n1 contract, 1 warning\n"), "{out}");
}

#[test]
fn a_folder_that_is_not_there() {
    let project = Project::new();
    let args = LintArgs { schemas: Some(project.path("nowhere")), ..LintArgs::default() };
    let Ran { outcome, out, .. } =
        ran(project.0.path(), |console| lint::run_on(&args, "bloodbank lint", console));
    assert_eq!(outcome, Outcome::Errors);
    expect![[r#"
        error[HF001]: the schema folder cannot be read: No such file or directory (os error 2)
        --> DIR/nowhere

        0 contracts, 1 error
    "#]]
    .assert_eq(&out);
}

/// An heir that is closed in the wrong way, without `$id`, and with a secret.
const HEIR: &str = "{\r\n\t\"allOf\": [{\"$ref\":\"_base.json\"}],\r\n\t\"properties\": {\r\n\t\t\"event_type\": \
    {\"const\":\"demo.thing.sold\"},\r\n\t\t\"api_key\": {\"type\" : \"string\"}\r\n\t},\r\n\t\"type\": \"object\",\
    \r\n\t\"required\": [\"event_type\"],\r\n\t\"additionalProperties\" : false\r\n}";

const BASE: &str = r#"{ "properties": { "size": { "type": "integer" } }, "required": ["size"] }"#;

fn broken() -> Project {
    let project = Project::new();
    project.put("schemas/demo/thing.sold.v1.json", HEIR);
    project.put("schemas/demo/_base.json", BASE);
    project
}

#[test]
fn a_fix_changes_the_touched_value_and_nothing_else() {
    let project = broken();
    let fix = LintOptions { fix: true, ..LintOptions::default() };
    let Ran { outcome, out, err } = with(&project, fix.clone());
    assert_eq!(outcome, Outcome::Ok, "{out}");
    expect![[r#"
        mended demo/thing.sold.v1.json:5 /properties/api_key (HF082)
        mended demo/thing.sold.v1.json:9 /additionalProperties (HF040)
    "#]]
    .assert_eq(&err);
    let mended = fs::read_to_string(project.path("schemas/demo/thing.sold.v1.json")).unwrap();
    let wanted = HEIR
        .replace("\"additionalProperties\"", "\"unevaluatedProperties\"")
        .replace("\"string\"}", "\"string\", \"x-bloodbank-sensitive\": true}");
    assert_eq!(mended, wanted);
    let again = with(&project, fix);
    assert_eq!(again.err, "");
    assert!(again.out.contains("1 finding can be mended: bloodbank lint --fix --unsafe"), "{out}");
}

#[test]
fn an_unsafe_fix_writes_the_id() {
    let project = broken();
    let all = LintOptions { fix: true, unsafe_fixes: true, ..LintOptions::default() };
    with(&project, all.clone());
    let mended = fs::read_to_string(project.path("schemas/demo/thing.sold.v1.json")).unwrap();
    let id = "\t\"$id\": \"https://example.com/demo/thing.sold.v1.json\"\r\n}";
    assert!(mended.ends_with(id), "{mended}");
    assert_eq!(with(&project, all).err, "");
}

#[cfg(unix)]
#[test]
fn a_link_is_left_alone() {
    let project = broken();
    let (link, file) = (project.path("schemas/demo/thing.sold.v1.json"), project.path("schemas/x"));
    fs::rename(&link, &file).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let ran = with(&project, LintOptions { fix: true, ..LintOptions::default() });
    assert_eq!(ran.err, "left alone: demo/thing.sold.v1.json is a link\n");
    assert_eq!(fs::read_to_string(&file).unwrap(), HEIR);
}

#[test]
fn warnings_fail_where_they_are_denied() {
    let project = Project::new();
    project.put("registry.yaml", &REGISTRY.replace("made", "mad"));
    assert_eq!(with(&project, LintOptions::default()).outcome, Outcome::Ok);
    let denied = LintOptions { deny: Some(Deny::Warnings), ..LintOptions::default() };
    assert_eq!(with(&project, denied).outcome, Outcome::Errors);
}

#[test]
fn notes_are_counted_and_shown_on_demand() {
    let project = Project::new();
    let noted = THING.replace(", \"maximum\": 10", "");
    project.put("schemas/demo/thing.made.v1.json", &noted);
    let quiet = with(&project, LintOptions::default()).out;
    assert_eq!(quiet, "1 contract, 1 note (--notes shows them)\n");
    assert!(run(&project, false).out.starts_with("note[HF033]"));
}

#[test]
fn settings_switch_rules_off_and_a_needless_allowance_is_found() {
    let project = Project::new();
    project.put("registry.yaml", &REGISTRY.replace("made", "mad"));
    project.put(
        "schemas/bloodbank.toml",
        "[levels]\nHF061 = \"off\"\n[[allow]]\nrule = \"HF081\"\nfile = \"demo/\"\nreason = \"old\"\n",
    );
    expect![[r#"
        warning[HF091]: nothing in `demo/` needs this allowance of HF081
         --> bloodbank.toml:4:8
          |
        4 | rule = "HF081"
          |        ^^^^^^^
          |
          = help: remove it

        1 contract, 1 warning
    "#]]
    .assert_eq(&with(&project, LintOptions::default()).out);
}

#[test]
fn github_gets_one_command_a_finding() {
    let project = broken();
    let options = LintOptions { format: Format::Github, ..LintOptions::default() };
    let out = with(&project, options).out;
    expect![[r#"
        ::warning file=DIR/schemas/demo/thing.sold.v1.json,line=1,col=1,title=HF027::`demo.thing.sold` has no `$id`%0Ahelp: write `"$id": "https://example.com/demo/thing.sold.v1.json"`
        ::warning file=DIR/schemas/demo/thing.sold.v1.json,line=1,col=1,title=HF080::`demo.thing.sold` has no description%0Ahelp: say who emits it, when, and what a reader does with it
        ::warning file=DIR/schemas/demo/thing.sold.v1.json,line=1,col=1,title=HF081::`demo.thing.sold` has no example%0Ahelp: write `"examples": [{ … }]`: they are tests, and the first is shown
        ::warning file=DIR/schemas/demo/thing.sold.v1.json,line=5,col=3,title=HF080::`api_key` has no description%0Ahelp: say in a line what each means, and its unit
        ::warning file=DIR/schemas/demo/thing.sold.v1.json,line=5,col=3,title=HF082::`api_key` looks like a secret, and logs and errors may show it%0Ahelp: add `"x-bloodbank-sensitive": true`, or allow it in bloodbank.toml
        ::error file=DIR/schemas/demo/thing.sold.v1.json,line=9,col=2,title=HF040::`demo/thing.sold.v1.json` accepts no payload: `size` must be present, and `additionalProperties: false` refuses it%0Ahelp: write `"unevaluatedProperties": false` instead: it counts the base's properties
    "#]].assert_eq(&out);
}

#[test]
fn sarif_names_rules_levels_and_places() {
    let project = broken();
    let options = LintOptions { format: Format::Sarif, ..LintOptions::default() };
    let log: Value = serde_json::from_str(&with(&project, options).out).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    for result in run["results"].as_array().unwrap() {
        let index = result["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        assert!(result["message"]["text"].is_string());
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["artifactLocation"]["uri"].as_str().unwrap().contains("schemas/demo/"));
        assert!(place["region"]["startLine"].as_u64().unwrap() > 0);
    }
    let closed =
        run["results"].as_array().unwrap().iter().find(|r| r["ruleId"] == "HF040").unwrap();
    expect![[r#"
        {
          "text": "the base declares `size`"
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&closed["relatedLocations"][0]["message"]).unwrap());
}

use expect_test::expect;
use holyfields_cli::lint::Format;
use holyfields_cli::{LintArgs, LintOptions, Outcome, lint};

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

        error[HF042]: the pattern `(` cannot be used: opening parenthesis without closing parenthesis
         --> demo/llm.prompt.v1.json:1:32
          |
        1 | { "type": "object", "pattern": "(" }
          |                                ^^^ (/pattern)
          |
          = help: write an ECMA-262 regular expression; in JSON, a backslash is written `\\`

        error[HF041]: `demo.thing.made` accepts no payload at all: these 3 cannot all hold
         --> demo/thing.made.v1.json:7:34
          |
        7 |     "size": { "type": "integer", "minimum": 0, "maximum": -1, "format": "nope" }
          |                                  ^^^^^^^^^     --------- `maximum` must hold (/properties/size/maximum)
          |                                  |
          |                                  `minimum` must hold (/properties/size/minimum)
        8 |   },
        9 |   "required": ["event_type", "size"],
          |                              ------ `size` must be present (/required/1)
          |
          = help: change or remove one of them

        error[HF043]: nothing checks the format `nope`
         --> demo/thing.made.v1.json:7:73
          |
        7 |     "size": { "type": "integer", "minimum": 0, "maximum": -1, "format": "nope" }
          |                                                                         ^^^^^^ (/properties/size/format)
          |
          = help: use one of date, date-time, duration, email, hostname, ipv4, ipv6, iri, iri-reference, json-pointer, regex, relative-json-pointer, time, uri, uri-reference, uri-template, uuid, or a `pattern`

        2 contracts, 3 errors, 1 warning
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
                "line": 7,
                "column": 34,
                "pointer": "/properties/size/minimum",
                "label": "`minimum` must hold"
              },
              {
                "file": "demo/thing.made.v1.json",
                "line": 7,
                "column": 48,
                "pointer": "/properties/size/maximum",
                "label": "`maximum` must hold"
              },
              {
                "file": "demo/thing.made.v1.json",
                "line": 9,
                "column": 30,
                "pointer": "/required/1",
                "label": "`size` must be present"
              }
            ],
            "help": "change or remove one of them"
          },
          {
            "rule": "HF043",
            "level": "error",
            "message": "nothing checks the format `nope`",
            "places": [
              {
                "file": "demo/thing.made.v1.json",
                "line": 7,
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

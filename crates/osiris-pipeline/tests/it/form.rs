//! The form of a pipeline file: keys, ids, modes, policies; and what a good one becomes.

use std::path::Path;
use std::time::Duration;

use insta::assert_snapshot;
use osiris_core::{Backoff, DestinationId};
use serde_json::json;

use crate::components::{Case, GOOD, plan, refused, with_steps};

#[test]
fn a_good_file_becomes_steps_that_can_run() {
    let plan = plan(GOOD);
    assert_eq!(plan.name(), "movies");
    let ids: Vec<&str> = plan.steps().iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, ["extract-movies", "stats", "write-stats"]);
    let extract = &plan.steps()[0];
    assert_eq!(
        *extract.config(),
        json!({"query": "SELECT * FROM movies\nWHERE updated_at >= '2024-01-01'\n", "batch_size": 10})
    );
    assert_eq!(extract.connection().fields()["port"], 3306);
    assert_eq!(extract.connection().reference().unwrap().to_string(), "@db.movies");
    assert_eq!((extract.request.retry.max_attempts, extract.request.retry.backoff), (5, Backoff::Linear));
    assert_eq!(extract.request.timeout, Some(Duration::from_millis(1500)));
    let written = plan.steps()[2].prepared.destination().unwrap();
    assert!(written.is_same_as(&DestinationId::file(Path::new("project").join("out/stats.parquet"))), "{written}");
    assert_eq!(plan.steps()[1].config()["query"], "SELECT count(*) FROM \"extract-movies\"");
    assert_eq!(plan.steps()[1].upstream, [(None, "extract-movies".to_owned())]);
    assert_eq!(plan.steps()[2].upstream, [(Some("table".to_owned()), "stats".to_owned())]);
    assert_eq!(plan.steps()[2].dependencies, ["stats"]);
    assert_eq!(plan.files(), [Path::new("project/out")]);
    assert!(plan.warnings().is_empty(), "{}", plan.warnings());
    assert_eq!(plan.redactor().scrub("it is hunter2"), "it is ***");
}

#[test]
fn a_dry_run_is_asked_for_by_the_user_or_by_the_step() {
    let step = "  - {id: a, component: db.extractor, config: {query: q, dry_run: true}}\n  - {id: b, component: db.extractor, config: {query: q}}\n";
    let dry = |case: Case<'_>| {
        let plan = case.plan(&with_steps(step)).unwrap();
        plan.steps().iter().map(|step| step.request.dry_run).collect::<Vec<_>>()
    };
    assert_eq!(dry(Case::default()), [true, false]);
    assert_eq!(dry(Case { dry_run: true, ..Case::default() }), [true, true]);
}

#[test]
fn an_empty_file_says_so() {
    assert_snapshot!(refused("  \n"), @r"
    error: `pipeline.yaml` is empty
    hint: `osiris init` writes a pipeline to start from
    ");
}

#[test]
fn what_is_missing_and_what_does_not_belong_is_listed_at_once() {
    assert_snapshot!(refused("version: 1\ntasks: []\nnmae: x\n"), @r#"
    error: `version` is not allowed in the pipeline
     --> pipeline.yaml:1:1
      |
    1 | version: 1
      | ^^^^^^^
      |
      = hint: write `oml_version: "0.1.0"`

    error: the pipeline has no `oml_version`
     --> pipeline.yaml:1:1
      |
    1 | version: 1
      | ^^^^^^^
      |
      = hint: add `oml_version: ...`

    error: the pipeline has no `name`
     --> pipeline.yaml:1:1
      |
    1 | version: 1
      | ^^^^^^^
      |
      = hint: add `name: ...`

    error: the pipeline has no `steps`
     --> pipeline.yaml:1:1
      |
    1 | version: 1
      | ^^^^^^^
      |
      = hint: add `steps: ...`

    error: `tasks` is not allowed in the pipeline
     --> pipeline.yaml:2:1
      |
    2 | tasks: []
      | ^^^^^
      |
      = hint: write `steps`

    error: unknown key `nmae` in the pipeline
     --> pipeline.yaml:3:1
      |
    3 | nmae: x
      | ^^^^
      |
      = hint: did you mean `name`?
    "#);
}

#[test]
fn another_version_is_refused() {
    assert_snapshot!(refused("oml_version: 0.2\nname: x\nsteps: []\n"), @r#"
    error: the version 0.2 of the format is not supported
     --> pipeline.yaml:1:14
      |
    1 | oml_version: 0.2
      |              ^^^
      |
      = hint: write `oml_version: "0.1.0"`

    error: `steps` is empty
     --> pipeline.yaml:3:1
      |
    3 | steps: []
      | ^^^^^
      |
      = hint: a pipeline has at least one step
    "#);
}

#[test]
fn steps_must_be_a_list_of_mappings() {
    assert_snapshot!(refused("oml_version: \"0.1.0\"\nname: x\nsteps: {a: 1}\n"), @r"
    error: `steps` must be a list, found a mapping
     --> pipeline.yaml:3:1
      |
    3 | steps: {a: 1}
      | ^^^^^
      |
      = hint: begin each step with `- id: ...`
    ");
    assert_snapshot!(refused("oml_version: \"0.1.0\"\nname: x\nsteps:\n  - extract\n"), @r"
    error: this step must be a mapping, found a string
     --> pipeline.yaml:4:5
      |
    4 |   - extract
      |     ^^^^^^^
      |
      = hint: write `key: value`; keys: id, name, description, component, mode, config, needs, inputs, retry, timeout, resume
    ");
}

#[test]
fn step_ids_follow_their_grammar_and_differ() {
    let step = |id: &str| format!("  - {{id: \"{id}\", component: db.extractor, config: {{query: q}}}}\n");
    let steps: String = ["a-b", "a-b", "A-B", "a.b", "-x", "a b"].map(step).concat();
    assert_snapshot!(refused(&with_steps(&steps)), @r#"
    error: two steps are called `a-b`
     --> pipeline.yaml:5:10
      |
    4 |   - {id: "a-b", component: db.extractor, config: {query: q}}
      |          ----- here first
    5 |   - {id: "a-b", component: db.extractor, config: {query: q}}
      |          ^^^^^
      |
      = hint: every step has an id of its own

    error: the ids `a-b` and `A-B` differ only by case
     --> pipeline.yaml:6:10
      |
    4 |   - {id: "a-b", component: db.extractor, config: {query: q}}
      |          ----- here first
    5 |   - {id: "a-b", component: db.extractor, config: {query: q}}
    6 |   - {id: "A-B", component: db.extractor, config: {query: q}}
      |          ^^^^^
      |
      = hint: they are the same name in SQL: rename one of them

    error: the ids `a-b` and `a.b` are both `a_b` as a name in SQL
     --> pipeline.yaml:7:10
      |
    4 |   - {id: "a-b", component: db.extractor, config: {query: q}}
      |          ----- here first
    ...
    7 |   - {id: "a.b", component: db.extractor, config: {query: q}}
      |          ^^^^^
      |
      = hint: rename one of them

    error: `-x` is not a step id
     --> pipeline.yaml:8:10
      |
    8 |   - {id: "-x", component: db.extractor, config: {query: q}}
      |          ^^^^
      |
      = hint: begin it with a letter, a digit or `_`

    error: `a b` is not a step id: it holds ' '
     --> pipeline.yaml:9:10
      |
    9 |   - {id: "a b", component: db.extractor, config: {query: q}}
      |          ^^^^^
      |
      = hint: use letters, digits, `-`, `_` and `.`

    error: the ids `a-b` and `a b` are both `a_b` as a name in SQL
     --> pipeline.yaml:9:10
      |
    4 |   - {id: "a-b", component: db.extractor, config: {query: q}}
      |          ----- here first
    ...
    9 |   - {id: "a b", component: db.extractor, config: {query: q}}
      |          ^^^^^
      |
      = hint: rename one of them
    "#);
}

#[test]
fn the_mode_must_fit_the_component() {
    let steps = "  - {id: a, component: db.extractor, mode: write, config: {query: q}}\n  - {id: b, component: db.extractor, mode: raed, config: {query: q}}\n  - {id: c, component: db.extractor, mode: discover, config: {query: q}}\n";
    assert_snapshot!(refused(&with_steps(steps)), @r"
    error: `db.extractor` does not write: its mode is `read`
     --> pipeline.yaml:4:44
      |
    4 |   - {id: a, component: db.extractor, mode: write, config: {query: q}}
      |                                            ^^^^^
      |
      = hint: write `mode: read`, or choose another component

    error: `raed` is not a mode
     --> pipeline.yaml:5:44
      |
    5 |   - {id: b, component: db.extractor, mode: raed, config: {query: q}}
      |                                            ^^^^
      |
      = hint: did you mean `read`?
    ");
}

#[test]
fn an_unknown_component_suggests_the_nearest_one() {
    let steps = "  - {id: a, component: db.extracter}\n  - {id: b, component: mysql.extractor}\n";
    assert_snapshot!(refused(&with_steps(steps)), @r"
    error: unknown component `db.extracter`
     --> pipeline.yaml:4:24
      |
    4 |   - {id: a, component: db.extracter}
      |                        ^^^^^^^^^^^^
      |
      = hint: did you mean `db.extractor`?

    error: unknown component `mysql.extractor`
     --> pipeline.yaml:5:24
      |
    5 |   - {id: b, component: mysql.extractor}
      |                        ^^^^^^^^^^^^^^^
      |
      = hint: this build lacks the Cargo feature `mysql`
    ");
}

#[test]
fn unknown_fields_and_wrong_types_are_placed_in_the_config() {
    let steps = r"  - id: a
    component: db.extractor
    confg: {}
    config:
      quer: SELECT 1
      batch_size: many
  - id: w
    component: file.writer
    config:
      file: [a]
      compression: gzp
      columns: [a, 2]
";
    assert_snapshot!(refused(&with_steps(steps)), @r"
    error: unknown key `confg` in step `a`
     --> pipeline.yaml:6:5
      |
    6 |     confg: {}
      |     ^^^^^
      |
      = hint: did you mean `config`?

    error: missing field `query`
     --> pipeline.yaml:7:5
      |
    7 |     config:
      |     ^^^^^^
      |
      = hint: `osiris components show db.extractor` lists its fields

    error: unknown field `quer`
     --> pipeline.yaml:8:7
      |
    8 |       quer: SELECT 1
      |       ^^^^
      |
      = hint: did you mean `query`?

    error: expected a whole number, found a string
     --> pipeline.yaml:9:19
      |
    9 |       batch_size: many
      |                   ^^^^

    error: expected a string, found a list
      --> pipeline.yaml:13:7
       |
    13 |       file: [a]
       |       ^^^^

    error: `gzp` is not one of none, gzip
      --> pipeline.yaml:14:20
       |
    14 |       compression: gzp
       |                    ^^^
       |
       = hint: did you mean `gzip`?

    error: expected a string, found `2`
      --> pipeline.yaml:15:20
       |
    15 |       columns: [a, 2]
       |                    ^
    ");
}

#[test]
fn problems_that_only_the_component_knows_are_placed_too() {
    let steps = r"  - {id: a, component: db.extractor, config: {query: q}}
  - {id: s, component: sql.processor, config: {query: DELETE}}
  - {id: t, component: sql.processor, needs: a, config: {query: SELECT 1 FROM b}}
";
    assert_snapshot!(refused(&with_steps(steps)), @r"
    error: only SELECT is allowed
     --> pipeline.yaml:5:55
      |
    5 |   - {id: s, component: sql.processor, config: {query: DELETE}}
      |                                                       ^^^^^^

    error: no table `b`
     --> pipeline.yaml:6:65
      |
    6 |   - {id: t, component: sql.processor, needs: a, config: {query: SELECT 1 FROM b}}
      |                                                                 ^^^^^^^^^^^^^^^
    ");
}

#[test]
fn policies_have_limits() {
    let steps = r"  - id: a
    component: db.extractor
    config: {query: q}
    retry: {max_attempts: 0, backoff: expo, initial_delay_ms: 500, max_delay_ms: 100, jitter: 1}
    timeout: {step_ms: 1.5}
";
    assert_snapshot!(refused(&with_steps(steps)), @r"
    error: `max_attempts` must be a whole number from 1 to 100, found `0`
     --> pipeline.yaml:7:27
      |
    7 |     retry: {max_attempts: 0, backoff: expo, initial_delay_ms: 500, max_delay_ms: 100, jitter: 1}
      |                           ^

    error: `expo` is not a backoff
     --> pipeline.yaml:7:39
      |
    7 |     retry: {max_attempts: 0, backoff: expo, initial_delay_ms: 500, max_delay_ms: 100, jitter: 1}
      |                                       ^^^^
      |
      = hint: write exponential, linear or fixed

    error: `max_delay_ms` is less than the first delay of 500 ms
     --> pipeline.yaml:7:82
      |
    7 |     retry: {max_attempts: 0, backoff: expo, initial_delay_ms: 500, max_delay_ms: 100, jitter: 1}
      |                                                                                  ^^^
      |
      = hint: raise it, or lower `initial_delay_ms`

    error: unknown key `jitter` in `retry`
     --> pipeline.yaml:7:87
      |
    7 |     retry: {max_attempts: 0, backoff: expo, initial_delay_ms: 500, max_delay_ms: 100, jitter: 1}
      |                                                                                       ^^^^^^
      |
      = hint: known keys: max_attempts, backoff, initial_delay_ms, max_delay_ms

    error: `step_ms` must be a whole number from 1 to 86400000, found `1.5`
     --> pipeline.yaml:8:24
      |
    8 |     timeout: {step_ms: 1.5}
      |                        ^^^
    ");
}

#[test]
fn a_long_first_delay_raises_the_limit_that_was_not_given() {
    let steps = "  - {id: a, component: db.extractor, config: {query: q}, retry: {initial_delay_ms: 60000}}\n";
    let plan = plan(&with_steps(steps));
    assert_eq!(plan.steps()[0].request.retry.max_delay, Duration::from_secs(60));
}

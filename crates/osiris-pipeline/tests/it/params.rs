//! Parameters: types, sources, precedence; and what may stand in `${...}`.

use insta::assert_snapshot;

use crate::components::{Case, GOOD, refused, with_steps};

const TYPED: &str = r#"oml_version: "0.1.0"
name: typed
params:
  text: {default: 1.10}
  whole: {type: integer, default: 7}
  share: {type: number, default: 0.5}
  flag: {type: boolean, default: false}
  env: {enum: [dev, prod], default: dev}
profiles:
  prod: {params: {env: prod, whole: 9}}
  empty:
steps:
  - id: a
    component: db.extractor
    config:
      query: "${params.text} ${params.share} ${params.flag} ${params.env} $${HOME} ${params.whole}"
      batch_size: ${params.whole}
"#;

fn query(case: Case<'_>) -> String {
    let plan = case.plan(TYPED).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    plan.steps()[0].config().to_string()
}

#[test]
fn texts_are_filled_in_and_whole_scalars_keep_their_type() {
    assert_eq!(query(Case::default()), r#"{"query":"1.10 0.5 false dev ${HOME} 7","batch_size":7}"#);
}

#[test]
fn the_command_line_beats_the_environment_beats_the_profile_beats_the_default() {
    let profile = Some("prod");
    let variables = &[("OSIRIS_PARAM_WHOLE", "11"), ("OSIRIS_PARAM_FLAG", "")];
    assert!(query(Case { profile, ..Case::default() }).contains("prod ${HOME} 9\""));
    assert!(query(Case { profile, variables, ..Case::default() }).contains("false prod ${HOME} 11\""));
    let params = &[("whole", "13"), ("env", "dev")];
    assert!(query(Case { profile, variables, params, ..Case::default() }).contains("dev ${HOME} 13\""));
}

#[test]
fn choices_that_do_not_fit_are_listed_with_the_declaration() {
    let case = Case {
        params: &[("whole", "many"), ("env", "staging"), ("wohle", "1"), ("flag", "yes")],
        variables: &[("OSIRIS_PARAM_SHARE", "inf")],
        profile: Some("prd"),
        ..Case::default()
    };
    assert_snapshot!(case.refused(TYPED), @r"
    error: parameter `whole` must be a whole number, found a string (from --param)
     --> pipeline.yaml:5:3
      |
    5 |   whole: {type: integer, default: 7}
      |   ^^^^^

    error: parameter `share` must be a number, found a string (from OSIRIS_PARAM_SHARE)
     --> pipeline.yaml:6:3
      |
    6 |   share: {type: number, default: 0.5}
      |   ^^^^^

    error: parameter `flag` must be true or false, found a string (from --param)
     --> pipeline.yaml:7:3
      |
    7 |   flag: {type: boolean, default: false}
      |   ^^^^

    error: parameter `env` must be one of dev, prod (from --param)
     --> pipeline.yaml:8:3
      |
    8 |   env: {enum: [dev, prod], default: dev}
      |   ^^^

    error: the pipeline has no parameter `wohle`
    hint: did you mean `whole`?

    error: the pipeline has no profile `prd`
    hint: did you mean `prod`?
    ");
}

#[test]
fn a_parameter_without_a_value_is_named_once() {
    let pipeline = "oml_version: \"0.1.0\"\nname: x\nparams:\n  since: {type: string, required: true}\nsteps:\n  - {id: a, component: db.extractor, config: {query: \"${params.since} ${params.since}\", batch_size: \"${params.since}\"}}\n";
    assert_snapshot!(refused(pipeline), @r"
    error: parameter `since` has no value
     --> pipeline.yaml:4:3
      |
    4 |   since: {type: string, required: true}
      |   ^^^^^
      |
      = hint: give one: `--param since=...`, OSIRIS_PARAM_SINCE, a profile, or a `default`
    ");
}

#[test]
fn declarations_are_checked() {
    let pipeline = r#"oml_version: "0.1.0"
name: x
params:
  a-b: {default: 1}
  A_b: {default: 1}
  c: {type: int}
  d: {type: integer, default: x}
  e: [5]
  f: {enum: [], default: x, requird: true}
profiles:
  p: {params: {g: 1, d: y}}
steps:
  - {id: a, component: db.extractor, config: {query: q}}
"#;
    assert_snapshot!(refused(pipeline), @r"
    error: the parameters `a-b` and `A_b` have the same variable OSIRIS_PARAM_A_B
     --> pipeline.yaml:5:3
      |
    4 |   a-b: {default: 1}
      |   --- here first
    5 |   A_b: {default: 1}
      |   ^^^
      |
      = hint: rename one of them

    error: parameter `c` has no value
     --> pipeline.yaml:6:3
      |
    6 |   c: {type: int}
      |   ^
      |
      = hint: give one: `--param c=...`, OSIRIS_PARAM_C, a profile, or a `default`

    error: `int` is not a type
     --> pipeline.yaml:6:13
      |
    6 |   c: {type: int}
      |             ^^^
      |
      = hint: types: string, integer, number, boolean

    error: the default of parameter `d` must be a whole number, found a string
     --> pipeline.yaml:7:31
      |
    7 |   d: {type: integer, default: x}
      |                               ^

    error: parameter `e` must be a mapping, found a list
     --> pipeline.yaml:8:6
      |
    8 |   e: [5]
      |      ^^^
      |
      = hint: write `key: value`; keys: type, default, enum, required, secret, description

    error: `enum` must be a list of values, found an empty one
     --> pipeline.yaml:9:7
      |
    9 |   f: {enum: [], default: x, requird: true}
      |       ^^^^

    error: unknown key `requird` in parameter `f`
     --> pipeline.yaml:9:29
      |
    9 |   f: {enum: [], default: x, requird: true}
      |                             ^^^^^^^
      |
      = hint: did you mean `required`?

    error: there is no parameter `g`
      --> pipeline.yaml:11:16
       |
    11 |   p: {params: {g: 1, d: y}}
       |                ^
       |
       = hint: did you mean `c`?

    error: parameter `d` must be a whole number, found a string
      --> pipeline.yaml:11:25
       |
    11 |   p: {params: {g: 1, d: y}}
       |                         ^
    ");
}

#[test]
fn only_parameters_and_tables_may_be_put_in() {
    let steps = r#"  - id: a
    component: db.extractor
    config:
      query: |
        SELECT '${params.sinc}',
          '${DB_PASSWORD:-hunter2}'
        FROM ${unfinished
"#;
    let pipeline = GOOD.replace(GOOD.split("steps:\n").nth(1).unwrap(), steps);
    let report = refused(&pipeline);
    assert_snapshot!(report, @r"
    error: there is no parameter `sinc`
      --> pipeline.yaml:13:17
       |
    13 |         SELECT '${params.sinc}',
       |                 ^^^^^^^^^^^^^^
       |
       = hint: did you mean `since`?

    error: `${DB_PASSWORD}` is neither a parameter nor a table of a step
    --> pipeline.yaml:14:12
     = hint: environment variables are for osiris_connections.yaml; declare a parameter and write `${params.name}`, or `$${` for a literal `${`

    error: `${` without a closing `}`
      --> pipeline.yaml:15:14
       |
    15 |         FROM ${unfinished
       |              ^^^^^^^^^^^^
       |
       = hint: write `$${` for a literal `${`
    ");
}

#[test]
fn a_value_cannot_change_the_structure() {
    let case = Case { params: &[("text", "x\", \"other\": \"y ${params.whole}")], ..Case::default() };
    assert!(query(case).contains(r#""query":"x\", \"other\": \"y ${params.whole} 0.5"#));
}

#[test]
fn an_error_of_a_run_is_shown_where_its_sql_was_written() {
    let plan = Case { params: &[("since", "2024-06-30 12:00")], ..Case::default() }.plan(GOOD).unwrap();
    let query = plan.steps()[0].config()["query"].as_str().unwrap();
    let error = osiris_core::Error::validation("no column `updated_at`");
    let at = query.find("updated_at").unwrap();
    assert_snapshot!(plan.diagnose("extract-movies", "/query", at, &error).unwrap(), @r"
    error: no column `updated_at`
      --> pipeline.yaml:16:15
       |
    16 |         WHERE updated_at >= '${params.since}'
       |               ^^^^^^^^^^
    ");
    let end = query.rfind('\'').unwrap();
    let shown = plan.diagnose("extract-movies", "/query", end, &error).unwrap();
    let position = shown.iter().next().unwrap().position().unwrap();
    assert_eq!((position.line, position.column), (16, 45));
    assert!(plan.diagnose("extract-movies", "/nothing", 0, &error).is_none());
    assert!(plan.diagnose("nobody", "/query", 0, &error).is_none());
}

#[test]
fn steps_without_parameters_say_so() {
    assert_snapshot!(refused(&with_steps("  - {id: a, component: db.extractor, config: {query: \"${params.x}\"}}\n")), @r#"
    error: there is no parameter `x`
     --> pipeline.yaml:4:55
      |
    4 |   - {id: a, component: db.extractor, config: {query: "${params.x}"}}
      |                                                       ^^^^^^^^^^^
      |
      = hint: the pipeline declares none: add it under `params`
    "#);
}

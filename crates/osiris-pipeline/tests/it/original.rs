//! Files as the original Osiris writes them.

use osiris_pipeline::{ConnectionsFile, Diagnostics, SourceFile};
use serde_json::json;

use crate::components::{CONNECTIONS, Case, plan as planned, refused};

fn connections(text: &str) -> Result<ConnectionsFile, Diagnostics> {
    ConnectionsFile::parse(SourceFile::from_text("osiris_connections.yaml", text))
}

#[test]
fn g25_a_connections_file_has_version_1_however_it_is_written() {
    for version in ["", "version:\n", "version: 1\n", "version: \"1\"\n", "version: 1.0\n", "version: \"1.0\"\n"] {
        let file = connections(&format!("{version}connections:\n  db:\n    a: {{}}\n")).unwrap();
        assert_eq!(file.connections().iter().count(), 1, "{version}");
    }
    for version in ["version: 2\n", "version: \"1.1\"\n", "version: one\n"] {
        let refused = connections(&format!("{version}connections: {{}}\n")).unwrap_err().to_string();
        assert!(refused.contains("this version of the connections file is not supported"), "{refused}");
    }
}

const STEPS: &str = "steps:\n  - {id: a, component: db.extractor, config: {query: q}}\n";

#[test]
fn g31_what_describes_a_pipeline_is_accepted_and_a_schedule_is_warned_about() {
    let head = "oml_version: \"0.1.0\"\nname: p\ndescription: Orders of the day\nmetadata: {owner: me}\nschedule: \"0 3 * * *\"\n";
    let plan = planned(&format!("{head}{STEPS}"));
    assert_eq!(plan.pipeline().description.as_deref(), Some("Orders of the day"));
    let warnings = plan.warnings().to_string();
    assert!(warnings.contains("`schedule` has no effect"), "{warnings}");
}

#[test]
fn g32_a_step_may_have_a_title_beside_its_id() {
    let step = |fields: &str| {
        format!(
            "oml_version: \"0.1.0\"\nname: p\nsteps:\n  - {{{fields}, component: db.extractor, config: {{query: q}}}}\n"
        )
    };
    let plan = planned(&step("id: a, name: Read orders"));
    assert_eq!(plan.pipeline().steps[0].title.as_deref(), Some("Read orders"));
    let plan = planned(&step("id: a, description: Reads orders"));
    assert_eq!(plan.pipeline().steps[0].title.as_deref(), Some("Reads orders"));
    let without = refused(&step("name: Read orders"));
    assert!(without.contains("has a `name` and no `id`"), "{without}");
}

#[test]
fn g33_a_parameter_may_be_its_default() {
    let head = "oml_version: \"0.1.0\"\nname: p\nparams: {a: 1, b: x, c: 1.5, d: true}\n";
    let plan = planned(&format!("{head}{STEPS}"));
    let values: Vec<_> = ["a", "b", "c", "d"].map(|name| plan.params()[name].clone()).into();
    assert_eq!(values, [json!(1), json!("x"), json!(1.5), json!(true)]);
    let list = refused(&format!("oml_version: \"0.1.0\"\nname: p\nparams: {{a: [1]}}\n{STEPS}"));
    assert!(list.contains("parameter `a` must be a mapping"), "{list}");
}

#[test]
fn g21_a_quoted_value_ends_at_its_closing_quote() {
    for (written, shown) in
        [("\"0.2.0\"  # a comment", "\"0.2.0\""), ("'0.2''0' # it's", "'0.2''0'"), ("\"0.\\\"2\" # \"", "\"0.\\\"2\"")]
    {
        let found = refused(&format!("oml_version: {written}\nname: p\n{STEPS}"));
        assert!(found.contains(&format!("the version {shown} of the format is not supported")), "{found}");
        assert!(found.contains(&format!("{}\n", "^".repeat(shown.len()))), "{found}");
    }
}

#[test]
fn g2_an_unknown_field_does_not_hide_what_else_is_wrong() {
    let steps = "steps:\n  - {id: a, component: db.extractor, config: {query: q}}\n  - {id: b, component: sql.processor, config: {query: DELETE, bogus: 1}}\n";
    let found = refused(&format!("oml_version: \"0.1.0\"\nname: p\n{steps}"));
    for part in ["unknown field `bogus`", "only SELECT is allowed"] {
        assert!(found.contains(part), "{found}");
    }
}

#[test]
fn g34_a_transformation_that_makes_its_rows_itself_needs_no_input() {
    let steps = |second: &str| {
        format!(
            "oml_version: \"0.1.0\"\nname: p\nsteps:\n  - {{id: a, component: sql.processor, config: {{query: SELECT 1}}}}\n  - {{id: b, component: sql.processor, {second}config: {{query: SELECT 1}}}}\n"
        )
    };
    let upstream =
        |second: &str| planned(&steps(second)).steps().iter().map(|step| step.upstream.len()).collect::<Vec<_>>();
    assert_eq!(upstream(""), [0, 1]);
    assert_eq!(upstream("needs: [], "), [0, 0]);
}

#[test]
fn g39_an_input_may_be_named_by_its_step() {
    let steps = "steps:\n  - {id: a, component: db.extractor, config: {query: q}}\n  - {id: b, component: file.writer, inputs: {df: \"@a\"}, config: {path: o}}\n";
    let plan = planned(&format!("oml_version: \"0.1.0\"\nname: p\n{steps}"));
    assert_eq!(plan.steps()[1].upstream, [(Some("df".to_owned()), "a".to_owned())]);
    let refused = refused(&format!("oml_version: \"0.1.0\"\nname: p\n{}", steps.replace("@a", "@c")));
    assert!(refused.contains("`@c` is not a table of a step"), "{refused}");
}

#[test]
fn g45_groups_of_connections_are_accepted_with_a_warning() {
    let connections = format!("{CONNECTIONS}groups: {{nightly: [\"@db.movies\"]}}\n");
    let case = Case { connections: Some(&connections), ..Case::default() };
    let plan = case.plan(&format!("oml_version: \"0.1.0\"\nname: p\n{STEPS}")).unwrap();
    let warnings = plan.warnings().to_string();
    assert!(warnings.contains("warning: `groups` has no effect"), "{warnings}");
    let misspelt = connections.replace("groups", "group");
    let case = Case { connections: Some(&misspelt), ..Case::default() };
    let refused = case.refused(&format!("oml_version: \"0.1.0\"\nname: p\n{STEPS}"));
    assert!(refused.contains("unknown key `group`"), "{refused}");
}

#[test]
fn g45_the_word_for_the_default_connection_is_to_be_removed() {
    let step = |component: &str, fields: &str| {
        let step = format!("  - {{id: a, component: {component}, config: {{{fields}, connection: \"@default\"}}}}\n");
        refused(&format!("oml_version: \"0.1.0\"\nname: p\nsteps:\n{step}"))
    };
    let read = step("db.extractor", "query: q");
    assert!(read.contains("hint: remove `connection`: a step without it uses the default connection"), "{read}");
    let processed = step("sql.processor", "query: SELECT 1");
    assert!(processed.contains("hint: remove `connection`: the component uses no connection"), "{processed}");
}

#[test]
fn g10_a_limit_of_null_is_none() {
    let steps = "steps:\n  - {id: a, component: db.extractor, config: {query: q}, timeout: {step_ms: null}, retry: {max_attempts: null}}\n";
    let plan = planned(&format!("oml_version: \"0.1.0\"\nname: p\n{steps}"));
    assert_eq!(plan.steps()[0].request.timeout, None);
    let empty = refused(&format!("oml_version: \"0.1.0\"\nname: p\n{}", steps.replace("step_ms: null", "")));
    assert!(empty.contains("`timeout` has no `step_ms`"), "{empty}");
}

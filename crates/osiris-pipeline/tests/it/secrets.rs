//! Secrets in pipeline files are refused, and no report shows one.

use insta::assert_snapshot;

use crate::components::{Case, refused, with_steps};

#[test]
fn an_inline_secret_is_refused_and_masked() {
    let steps = r#"  - id: a
    component: db.extractor
    config: {query: q, password: "hunter2-long", host: 5}
"#;
    let report = refused(&with_steps(steps));
    assert_snapshot!(report, @r#"
    error: `password` is a secret and must not be written in a pipeline file
     --> pipeline.yaml:6:24
      |
    6 |     config: {query: q, password: ***, host: 5}
      |                        ^^^^^^^^
      |
      = hint: put it into osiris_connections.yaml as a variable, and name that connection: `connection: "@db.alias"`

    error: `host` would send the data and secrets of @db.movies elsewhere: the connection does not allow it
     --> pipeline.yaml:6:45
      |
    6 |     config: {query: q, password: ***, host: 5}
      |                                             ^
      |
      = hint: define another connection with it; or write `overrides: [host]` in @db.movies, where every step may then do so
    "#);
    assert!(!report.contains("hunter2"), "{report}");
}

#[test]
fn a_secret_field_of_the_config_itself_is_refused_under_its_alias_too() {
    let steps = "  - {id: a, component: db.extractor, config: {query: q, page_token: hunter2-long}}\n";
    assert_snapshot!(refused(&with_steps(steps)), @r#"
    error: `page_token` is a secret and must not be written in a pipeline file
     --> pipeline.yaml:4:57
      |
    4 |   - {id: a, component: db.extractor, config: {query: q, page_token: ***}}
      |                                                         ^^^^^^^^^^
      |
      = hint: put it into osiris_connections.yaml as a variable, and name that connection: `connection: "@db.alias"`
    "#);
}

#[test]
fn a_variable_in_a_secret_field_is_told_where_it_belongs() {
    let steps = "  - {id: a, component: db.extractor, config: {query: q, password: \"${DB_PASSWORD}\"}}\n";
    assert_snapshot!(refused(&with_steps(steps)), @r#"
    error: `${DB_PASSWORD}` is neither a parameter nor a table of a step
     --> pipeline.yaml:4:68
      |
    4 |   - {id: a, component: db.extractor, config: {query: q, password: "${DB_PASSWORD}"}}
      |                                                                    ^^^^^^^^^^^^^^
      |
      = hint: environment variables are for osiris_connections.yaml; declare a parameter and write `${params.name}`, or `$${` for a literal `${`
    "#);
}

#[test]
fn another_error_on_the_line_of_a_secret_does_not_show_it() {
    let steps = "  - {id: a, component: file.writer, config: {pth: o, api_key: hunter2-long, headers: {authToken: [hunter3-long]}}}\n";
    let report = refused(&with_steps(steps));
    assert!(!report.contains("hunter"), "{report}");
    assert!(report.contains("api_key: ***"), "{report}");
}

#[test]
fn the_value_of_a_variable_is_masked_in_messages() {
    let steps = "  - {id: a, component: db.extractor, config: {query: q}}\n  - {id: w, component: file.writer, config: {path: o, compression: hunter2-long}}\n";
    let case = Case { variables: &[("DB_PASSWORD", "hunter2-long")], ..Case::default() };
    let report = case.refused(&with_steps(steps));
    assert!(!report.contains("hunter2"), "{report}");
    assert!(report.contains("`***` is not one of"), "{report}");
}

#[test]
fn a_parameter_in_a_secret_field_is_refused_as_any_other_value() {
    let pipeline =
        with_steps("  - {id: a, component: db.extractor, config: {query: q, password: \"${params.db_password}\"}}\n")
            .replace("steps:", "params: {db_password: {}}\nsteps:");
    let report = Case { params: &[("db_password", "hunter2-long")], ..Case::default() }.refused(&pipeline);
    assert!(report.contains("`password` is a secret and must not be written in a pipeline file"), "{report}");
    assert!(!report.contains("hunter2"), "{report}");
}

const ADDRESS: &str = "https://user:hunter2-long@host/?token=hunter3-long";

#[test]
fn a_secret_in_an_address_of_the_connection_is_refused() {
    let listed = crate::components::CONNECTIONS.replace("default: true,", "default: true, overrides: [host],");
    let steps = format!("  - {{id: a, component: db.extractor, config: {{query: q, host: \"{ADDRESS}\"}}}}\n");
    let case = Case { connections: Some(&listed), ..Case::default() };
    let report = case.refused(&with_steps(&steps));
    let expected = "the address in `host` has a secret, which must not be written in a pipeline file";
    assert!(report.contains(expected) && report.contains("osiris_connections.yaml as a variable"), "{report}");
    assert!(!report.contains("hunter"), "{report}");
    let steps = steps.replace("db.extractor", "file.writer").replace("query: q, host", "path: o/x, base_dir");
    let report = refused(&with_steps(&steps));
    assert!(report.contains("the address in `base_dir` has a secret") && !report.contains("hunter"), "{report}");
}

#[test]
fn a_secret_in_an_address_is_masked_wherever_it_stands() {
    let steps = format!(
        "  - {{id: a, component: db.extractor, config: {{query: \"SELECT '{ADDRESS}'\", batch_size: many}}}}\n  \
         - {{id: w, component: file.writer, config: {{path: \"{ADDRESS}\", compression: hunter2-long}}}}\n"
    );
    let report = refused(&with_steps(&steps));
    assert!(report.contains("expected a whole number") && !report.contains("hunter"), "{report}");
    let pipeline = with_steps(&steps.replace(", batch_size: many", "").replace(", compression: hunter2-long", ""));
    let pipeline =
        pipeline.replace("steps:", &format!("metadata: {{home: \"{ADDRESS}\"}}\nparams: {{address: {{}}}}\nsteps:"));
    let plan = Case { params: &[("address", ADDRESS)], ..Case::default() }.plan(&pipeline).unwrap();
    let manifest = plan.manifest().to_string();
    assert!(!manifest.contains("hunter"), "{manifest}");
    assert_eq!(manifest.matches("https://user:***@host/?token=***").count(), 4, "{manifest}");
    assert_eq!(plan.redactor().scrub("hunter2-long hunter3-long"), "*** ***");
}

#[test]
fn a_secret_in_an_address_of_the_connections_file_warns_and_is_masked() {
    let connections = format!(
        "version: 1\nconnections:\n  db:\n    movies: {{default: true, host: \"{ADDRESS}\", password: \"${{DB_PASSWORD}}\"}}\n"
    );
    let case = Case { connections: Some(&connections), ..Case::default() };
    let plan = case.plan(&with_steps("  - {id: a, component: db.extractor, config: {query: q}}\n")).unwrap();
    let warnings = plan.warnings().to_string();
    assert!(warnings.contains("`host` of @db.movies is a secret and is written in the file"), "{warnings}");
    assert!(!warnings.contains("hunter"), "{warnings}");
    assert_eq!(plan.redactor().scrub("hunter2-long hunter3-long"), "*** ***");
}

#[test]
fn an_address_in_a_file_that_cannot_be_parsed_is_masked() {
    let report =
        refused(&format!("{}# {ADDRESS}\n", with_steps("  - {id: a, component: db.extractor, config: {query: q}\n")));
    assert!(!report.contains("hunter"), "{report}");
    let report = refused(&with_steps(&format!("  - {{id: a, componnt: db.extractor}} # {ADDRESS}\n")));
    assert!(report.contains("componnt") && !report.contains("hunter"), "{report}");
}

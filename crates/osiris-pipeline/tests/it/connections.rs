//! The connections file and the connections of steps.

use insta::assert_snapshot;
use std::sync::Arc;

use osiris_pipeline::{CONNECTIONS_FILE, ConnectionsFile, Environment, Plan, PlanOptions, SourceFile};

use crate::components::{Case, with_steps};

const READ: &str = "  - {id: a, component: db.extractor, config: {query: q}}\n";

fn step(config: &str) -> String {
    with_steps(&format!("  - {{id: a, component: db.extractor, config: {{query: q, {config}}}}}\n"))
}

fn file(text: &str) -> String {
    ConnectionsFile::parse(SourceFile::from_text("osiris_connections.yaml", text)).unwrap_err().to_string()
}

#[test]
fn the_nearest_file_upwards_is_found_and_dotenv_beside_it_read() {
    let root = tempfile::tempdir().unwrap();
    let inner = root.path().join("a/b");
    std::fs::create_dir_all(&inner).unwrap();
    std::fs::write(root.path().join(CONNECTIONS_FILE), crate::components::CONNECTIONS).unwrap();
    std::fs::write(root.path().join(".env"), "DB_PASSWORD=from-file\n").unwrap();
    let found = ConnectionsFile::find(&inner).unwrap();
    assert_eq!(found.path().unwrap(), root.path().join(CONNECTIONS_FILE));
    let environment = Environment::of::<&str, &str>([]).with_dotenv(&found.directory().unwrap()).unwrap();
    assert_eq!(environment.get("DB_PASSWORD").as_deref(), Some("from-file"));
    std::fs::write(inner.join(CONNECTIONS_FILE), "version: 1\n").unwrap();
    assert_eq!(ConnectionsFile::find(&inner).unwrap().connections().iter().count(), 0);
}

#[test]
fn the_form_of_the_file_is_checked_as_a_whole() {
    let text = "version: 2\nmysql: {}\nconnections:\n  db:\n    a: {default: true}\n    b: {default: true}\n    c d: {}\n    e: 5\n    f: {default: maybe}\n  Db: []\n";
    assert_snapshot!(file(text), @r"
    error: this version of the connections file is not supported
     --> osiris_connections.yaml:1:10
      |
    1 | version: 2
      |          ^
      |
      = hint: write `version: 1`

    error: unknown key `mysql` in the connections file
     --> osiris_connections.yaml:2:1
      |
    2 | mysql: {}
      | ^^^^^
      |
      = hint: known keys: version, connections; a family stands under `connections`

    error: two defaults in the family `db`: a, b
     --> osiris_connections.yaml:4:3
      |
    4 |   db:
      |   ^^
      |
      = hint: keep `default: true` on one of them

    error: `@db.c d` is not a connection reference, so no step could name this connection
     --> osiris_connections.yaml:7:5
      |
    7 |     c d: {}
      |     ^^^
      |
      = hint: families: small letters, digits, `_`; names: letters, digits, `_`, `-`

    error: the connection @db.e must be a mapping, found a whole number
     --> osiris_connections.yaml:8:5
      |
    8 |     e: 5
      |     ^
      |
      = hint: write a name, and below it the fields of the connection

    error: `default` must be true or false, found a string
     --> osiris_connections.yaml:9:18
      |
    9 |     f: {default: maybe}
      |                  ^^^^^

    error: the family `Db` must be a mapping, found a list
      --> osiris_connections.yaml:10:3
       |
    10 |   Db: []
       |   ^^
       |
       = hint: write a name, and below it the fields of the connection
    ");
}

#[test]
fn a_file_that_cannot_be_parsed_shows_none_of_its_lines() {
    let report = file("version: 1\nconnections:\n  db:\n    a: {host: x, pass: hunter2\n");
    assert_snapshot!(report, @r"
    error: a `,` or a `}` is missing before this
    --> osiris_connections.yaml:5:1
     = hint: quote a string that contains `{`, `}`, `[`, `]` or `,`
    ");
    assert!(file("version: 1\nconnections:\n\tdb: hunter2\n").lines().all(|line| !line.contains("hunter2")));
}

#[test]
fn an_unset_variable_names_itself_its_field_and_its_connection() {
    let case = Case {
        variables: &[("DB_PASSWORD", "")],
        connections: Some(
            "version: 1\nconnections:\n  db:\n    movies:\n      default: true\n      host: h\n      password: ${MOVIES_PASSWORD}\n",
        ),
        ..Case::default()
    };
    assert_snapshot!(case.refused(&with_steps(&(READ.to_owned() + &READ.replace("id: a", "id: b")))), @r"
    error: `password`: `${MOVIES_PASSWORD}` has no value (in @db.movies)
     --> osiris_connections.yaml:7:17
      |
    7 |       password: ${MOVIES_PASSWORD}
      |                 ^^^^^^^^^^^^^^^^^^
      |
      = hint: set MOVIES_PASSWORD in the environment or in .env, or write `${MOVIES_PASSWORD:-default}`
    ");
}

#[test]
fn problems_of_a_connection_are_shown_where_they_stand() {
    let connections = "version: 1\nconnections:\n  db:\n    movies:\n      default: true\n      hots: x\n      port: \"${DB_PORT}\"\n      username: [a]\n      password: hunter2\n";
    let case = Case { connections: Some(connections), variables: &[("DB_PORT", "many")], ..Case::default() };
    assert_snapshot!(case.refused(&with_steps(READ)), @r#"
    error: `hots` of @db.movies: unknown field `hots`
     --> osiris_connections.yaml:6:7
      |
    6 |       hots: ***
      |       ^^^^
      |
      = hint: did you mean `host`?

    error: `port` of @db.movies: expected a whole number, found a string
     --> osiris_connections.yaml:7:13
      |
    7 |       port: "${DB_PORT}"
      |             ^^^^^^^^^^^^

    error: `username` of @db.movies: expected a string, found a list
     --> osiris_connections.yaml:8:7
      |
    8 |       username: [a]
      |       ^^^^^^^^

    warning: `password` of @db.movies is a secret and is written in the file
     --> osiris_connections.yaml:9:7
      |
    9 |       password: ***
      |       ^^^^^^^^
      |
      = hint: write `password: "${MOVIES_PASSWORD}"` and set MOVIES_PASSWORD in the environment or in .env
    "#);
}

#[test]
fn a_literal_secret_warns_without_being_shown() {
    let connections =
        "version: 1\nconnections:\n  db:\n    movies: {default: true, host: h, password: \"hunter2-long\"}\n";
    let plan = Case { connections: Some(connections), ..Case::default() }.plan(&with_steps(READ)).unwrap();
    assert_snapshot!(plan.warnings(), @r#"
    warning: `password` of @db.movies is a secret and is written in the file
     --> osiris_connections.yaml:4:38
      |
    4 |     movies: {default: true, host: h, password: ***}
      |                                      ^^^^^^^^
      |
      = hint: write `password: "${MOVIES_PASSWORD}"` and set MOVIES_PASSWORD in the environment or in .env

    warning: no step reads the table of `a`
     --> pipeline.yaml:4:10
      |
    4 |   - {id: a, component: db.extractor, config: {query: q}}
      |          ^
      |
      = hint: add a writer, or remove the step
    "#);
}

#[test]
fn references_to_connections_are_checked() {
    let refused = |config: &str| Case::default().refused(&step(config));
    assert_snapshot!(refused("connection: movies"), @r"
    error: `movies` is not a connection reference
     --> pipeline.yaml:4:57
      |
    4 |   - {id: a, component: db.extractor, config: {query: q, connection: movies}}
      |                                                         ^^^^^^^^^^^^^^^^^^
      |
      = hint: write `@family.alias`, such as `@mysql.movies`
    ");
    assert_snapshot!(refused("connection: \"@db.movie\""), @r#"
    error: no connection `@db.movie`
     --> pipeline.yaml:4:57
      |
    4 |   - {id: a, component: db.extractor, config: {query: q, connection: "@db.movie"}}
      |                                                         ^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: did you mean `@db.movies`? There are: @db.movies, @db.other
    "#);
    assert_snapshot!(refused("connection: \"@mysql.movies\""), @r#"
    error: `@mysql.movies` is not a connection of the family `db`
     --> pipeline.yaml:4:57
      |
    4 |   - {id: a, component: db.extractor, config: {query: q, connection: "@mysql.movies"}}
      |                                                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: connections of `db`: @db.movies, @db.other
    "#);
    assert_snapshot!(refused("connection: {host: x}"), @r#"
    error: `connection` must name a connection
     --> pipeline.yaml:4:57
      |
    4 |   - {id: a, component: db.extractor, config: {query: q, connection: {host: x}}}
      |                                                         ^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: write `connection: "@family.alias"`; its fields are in osiris_connections.yaml
    "#);
}

#[test]
fn a_form_error_shows_no_field_of_its_line() {
    let report = file("version: 1\nconnections:\n  db:\n    a: {default: maybe, key: hunter2, pw: hunter3}\n");
    assert!(report.contains("{default: maybe, key: ***, pw: ***}"), "{report}");
}

#[test]
fn without_a_connections_file_the_error_says_where_to_write_one() {
    let source = SourceFile::from_text("pipeline.yaml", with_steps(READ));
    let refused = Plan::new(
        &Arc::new(source),
        &crate::components::registry(),
        &ConnectionsFile::none(),
        &Environment::of::<&str, &str>([]),
        &PlanOptions::default(),
    );
    assert_snapshot!(refused.unwrap_err(), @r"
    error: no connection given and no default one of the family `db`
     --> pipeline.yaml:4:38
      |
    4 |   - {id: a, component: db.extractor, config: {query: q}}
      |                                      ^^^^^^
      |
      = hint: no osiris_connections.yaml was found in the pipeline's directory or above it: write one, and name it under `connection`
    ");
}

#[test]
fn without_a_connection_of_the_family_the_error_says_what_to_write() {
    assert_snapshot!(Case { connections: Some("version: 1\n"), ..Case::default() }.refused(&with_steps(READ)), @r#"
    error: no connection given and no default one of the family `db`
     --> pipeline.yaml:4:38
      |
    4 |   - {id: a, component: db.extractor, config: {query: q}}
      |                                      ^^^^^^
      |
      = hint: name one as `connection: "@db.alias"`; there are: none is defined
    "#);
}

#[test]
fn a_component_without_a_connection_refuses_one() {
    let steps = READ.to_owned()
        + "  - {id: s, component: sql.processor, config: {query: SELECT 1, connection: \"@db.movies\"}}\n";
    assert_snapshot!(Case::default().refused(&with_steps(&steps)), @r#"
    error: `sql.processor` uses no connection
     --> pipeline.yaml:5:65
      |
    5 |   - {id: s, component: sql.processor, config: {query: SELECT 1, connection: "@db.movies"}}
      |                                                                 ^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: remove `connection`
    "#);
}

#[test]
fn s35_a_step_that_goes_elsewhere_is_refused_unless_the_connection_lists_the_field() {
    let refused = Case::default().refused(&step("host: other, username: root"));
    assert_eq!(refused.matches("would send the data and secrets of @db.movies elsewhere").count(), 2, "{refused}");
    assert!(refused.contains("write `overrides: [host]` in @db.movies"), "{refused}");
    let listed = crate::components::CONNECTIONS.replace("default: true,", "default: true, overrides: [host, user],");
    let case = Case { connections: Some(&listed), ..Case::default() };
    let plan = case.plan(&step("host: other, username: root")).unwrap();
    assert_eq!(plan.steps()[0].connection().fields()["host"], "other");
    assert_snapshot!(plan.warnings(), @r"
    warning: no step reads the table of `a`
     --> pipeline.yaml:4:10
      |
    4 |   - {id: a, component: db.extractor, config: {query: q, host: other, username: root}}
      |          ^
      |
      = hint: add a writer, or remove the step

    warning: step `a` goes to another address than @db.movies: it sets `host`, `user`
     --> pipeline.yaml:4:63
      |
    4 |   - {id: a, component: db.extractor, config: {query: q, host: other, username: root}}
      |                                                               ^^^^^
    ");
    let listed = crate::components::CONNECTIONS.replace("default: true,", "default: true, overrides: [port],");
    let case = Case { connections: Some(&listed), ..Case::default() };
    assert_snapshot!(case.refused(&step("port: high")), @r"
    warning: step `a` goes to another address than @db.movies: it sets `port`
     --> pipeline.yaml:4:63
      |
    4 |   - {id: a, component: db.extractor, config: {query: q, port: high}}
      |                                                               ^^^^

    error: expected a whole number, found a string
     --> pipeline.yaml:4:63
      |
    4 |   - {id: a, component: db.extractor, config: {query: q, port: high}}
      |                                                               ^^^^
    ");
}

#[test]
fn an_optional_connection_takes_its_fields_from_the_step() {
    let steps = READ.to_owned() + "  - {id: w, component: file.writer, config: {path: o/x, base_dir: sub}}\n";
    let plan = Case::default().plan(&with_steps(&steps)).unwrap();
    assert_eq!(plan.files(), [std::path::Path::new("project/sub/o")]);
}

#[test]
fn g22_a_field_of_a_connection_is_named_as_it_is_written() {
    let connections =
        |fields: &str| format!("version: 1\nconnections:\n  db:\n    movies: {{default: true, host: h, {fields}}}\n");
    let refused = |fields: &str| {
        let connections = connections(fields);
        let case = Case { connections: Some(&connections), ..Case::default() };
        case.refused(&with_steps("  - {id: a, component: db.extractor, config: {query: q}}\n"))
    };
    let report = refused("username: [1]");
    assert!(report.contains("`username` of @db.movies: expected a string"), "{report}");
    let report = refused("username: a, user: b");
    assert!(report.contains("`username` and `user` are the same field") && report.contains("keep `user`"), "{report}");
}

#[test]
fn g28_labels_of_a_connection_are_no_fields_of_its_family() {
    let connections = "version: 1\nconnections:\n  db:\n    movies: {default: true, host: h, alias: Movies, description: \"${NOT_SET}\"}\n";
    let case = Case { connections: Some(connections), ..Case::default() };
    case.plan(&with_steps("  - {id: a, component: db.extractor, config: {query: q}}\n")).unwrap();
    let refused = case.refused(&with_steps("  - {id: a, component: db.extractor, config: {query: q, alias: x}}\n"));
    assert!(refused.contains("unknown field `alias`"), "{refused}");
}

//! Whole projects in the form of the Python Osiris: they run as they are, or with the one change that `docs/migrating.md` names.

use osiris_e2e::{Ended, Program, Project};
use osiris_stand_ins::graphql::{Api, Options};
use osiris_stand_ins::supabase::{Gateway, Postgrest, tokens};
use osiris_testkit::services::{Mariadb, Postgres};
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../docs/migrating.md");

/// As its `init` writes it, but for the port, which is that of a server for tests.
const CONNECTIONS: &str = r#"version: "1.0"

connections:
  mysql:
    primary:
      default: true
      host: ${MYSQL_HOST}
      port: ${MYSQL_PORT}
      user: ${MYSQL_USER}
      password: ${MYSQL_PASSWORD}
      database: ${MYSQL_DATABASE}
      pool_size: 5
      timeout: 30

  supabase:
    primary:
      default: true
      project_id: ${SUPABASE_PROJECT_ID}
      anon_key: ${SUPABASE_ANON_PUBLIC_KEY}
      service_role_key: ${SUPABASE_SERVICE_ROLE_KEY}

  duckdb:
    memory:
      default: true
      database: ":memory:"
"#;

/// The variables of a server.
fn variables(server: &Mariadb) -> Vec<(String, String)> {
    let fields = server.connection();
    let of = |name: &str| {
        let text = fields[name].as_str().map_or_else(|| fields[name].to_string(), str::to_owned);
        (format!("MYSQL_{}", name.to_uppercase()), text)
    };
    ["host", "port", "user", "password", "database"].map(of).into()
}

fn run(project: &Project, variables: &[(String, String)]) -> Ended {
    let mut command = project.command(&["run", "pipeline.yaml"]);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    Ended::of(command.output().unwrap())
}

const TO_CSV: &str = r#"oml_version: "0.1.0"
name: films-by-director

steps:
- id: extract-films
  component: mysql.extractor
  mode: read
  config:
    connection: "@mysql.primary"
    query: |
      SELECT f.id, f.title, f.budget, d.name AS director_name
      FROM films f
      JOIN directors d ON d.id = f.director_id

- id: compute-directors
  component: duckdb.processor
  mode: transform
  needs: [ "extract-films" ]
  config:
    query: |
      SELECT director_name, COUNT(*) AS film_count, SUM(budget) AS total_budget
      FROM input_df
      GROUP BY director_name
      ORDER BY total_budget DESC

- id: write-directors
  component: filesystem.csv_writer
  mode: write
  needs: [ "compute-directors" ]
  config:
    path: "./output/directors.csv"
    delimiter: ","
    encoding: "utf-8"
    header: true
    newline: "lf"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn g45_mysql_through_duckdb_into_csv_runs_as_it_is() {
    let Some(server) = Mariadb::start().await.unwrap() else { return };
    for sql in [
        "CREATE TABLE directors (id INT PRIMARY KEY, name VARCHAR(50) NOT NULL)",
        "CREATE TABLE films (id INT PRIMARY KEY, title VARCHAR(50), budget DECIMAL(10,2), director_id INT)",
        "INSERT INTO directors VALUES (1, 'Ann'), (2, 'Bob')",
        "INSERT INTO films VALUES (1, 'One', 1.50, 1), (2, 'Two', 2.00, 1), (3, 'Three', 9.99, 2)",
    ] {
        server.execute(sql).await.unwrap();
    }
    let project = Project::of(Program::built(), TO_CSV);
    project.write("osiris_connections.yaml", CONNECTIONS);
    run(&project, &variables(&server)).with_code(0);
    assert_eq!(project.read("output/directors.csv"), "director_name,film_count,total_budget\nBob,1,9.99\nAnn,2,3.50\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn g45_the_key_that_the_connections_file_names_and_the_environment_lacks_is_named() {
    let step = "  - {id: users, component: supabase.extractor, mode: read, config: {connection: \"@supabase.primary\", table: users}}
  - {id: out, component: filesystem.csv_writer, mode: write, needs: [users], config: {path: out.csv}}
";
    let project = Project::with_steps(Program::built(), step);
    project.write("osiris_connections.yaml", CONNECTIONS);
    let environment = "SUPABASE_PROJECT_ID=abcdefgh\nSUPABASE_ANON_PUBLIC_KEY=sb_publishable_abcdefgh\n";
    project.write(".env", environment);
    let refused = project.run(&["plan", "pipeline.yaml"]).with_code(2);
    assert!(refused.stderr.contains("SUPABASE_SERVICE_ROLE_KEY"), "{}", refused.stderr);
    assert!(PAGE.contains("`SUPABASE_SERVICE_ROLE_KEY`"));
    project.write(".env", format!("{environment}SUPABASE_SERVICE_ROLE_KEY=sb_secret_abcdefgh\n"));
    project.run(&["plan", "pipeline.yaml"]).with_code(0);
    let line = "      service_role_key: ${SUPABASE_SERVICE_ROLE_KEY}\n";
    project.write("osiris_connections.yaml", CONNECTIONS.replace(line, ""));
    project.write(".env", environment);
    project.run(&["plan", "pipeline.yaml"]).with_code(0);
}

const TO_SUPABASE: &str = r#"oml_version: "0.1.0"
name: mysql-to-supabase
description: Copies two tables

params:
  batch_size:
    type: integer
    default: 1000
    description: Rows of a batch

profiles:
  dev:
    params:
      batch_size: 1

steps:
  - id: extract-users
    component: mysql.extractor
    mode: read
    config:
      query: |
        SELECT
          id,
          name,  -- a text
          score
        FROM users
        WHERE score IS NOT NULL
      connection: "@default"

  - id: write-users
    component: supabase.writer
    mode: write
    needs: ["extract-users"]
    config:
      table: users
      write_mode: append  # or replace, upsert
      batch_size: ${params.batch_size}
      create_if_missing: false

  - id: extract-daily
    component: mysql.extractor
    mode: read
    config:
      connection: "@mysql.local"
      table: daily

  - id: write-daily
    component: supabase.writer
    mode: write
    needs: ["extract-daily"]
    config:
      connection: "@supabase.development"
      table: daily
      write_mode: upsert
      primary_key: [day, user_id]
      returning: "*"
      batch_size: 500
"#;

const GROUPS: &str = r#"version: 1

connections:
  mysql:
    local:
      default: true
      host: ${MYSQL_HOST}
      port: ${MYSQL_PORT}
      database: ${MYSQL_DATABASE}
      user: ${MYSQL_USER}
      password: ${MYSQL_PASSWORD}  # Set in .env file
      pool_size: 5
      max_overflow: 10

  supabase:
    development:
      default: true
      url: ${SUPABASE_URL}
      service_role_key: ${SUPABASE_DEV_KEY}
      anon_key: ${SUPABASE_DEV_ANON_KEY}
      schema: public

  duckdb:
    local:
      default: true
      path: ./data/local.duckdb
      read_only: false

  snowflake:
    analytics:
      account: mycompany
      password: ${SNOWFLAKE_PASSWORD}

groups:
  local_dev:
    description: "Local development"
    connections:
      - mysql.local
      - supabase.development
"#;

#[tokio::test(flavor = "multi_thread")]
async fn g45_mysql_into_supabase_runs_without_the_word_for_the_default_connection() {
    let Some(mysql) = Mariadb::start().await.unwrap() else { return };
    let Some(postgres) = Postgres::start().await.unwrap() else { return };
    for sql in [
        "CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(50), score DECIMAL(6,2))",
        "CREATE TABLE daily (day DATE NOT NULL, user_id INT NOT NULL, actions BIGINT, PRIMARY KEY (day, user_id))",
        "INSERT INTO users VALUES (1, 'Ann', 1.5), (2, 'Bob', NULL), (3, 'Cid', 2.25)",
        "INSERT INTO daily VALUES ('2024-01-31', 1, 5), ('2024-01-31', 2, 6)",
    ] {
        mysql.execute(sql).await.unwrap();
    }
    for sql in [
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR(50), score NUMERIC(6,2))",
        "CREATE TABLE daily (day DATE, user_id INTEGER, actions BIGINT, PRIMARY KEY (day, user_id))",
        "INSERT INTO daily VALUES ('2024-01-31', 1, 1)",
    ] {
        postgres.execute(sql).await.unwrap();
    }
    let Some(rest) = Postgrest::start(&postgres).await.unwrap() else { return };
    let gateway = Gateway::start(&rest).unwrap();
    let project = Project::of(Program::built(), TO_SUPABASE);
    project.write("osiris_connections.yaml", GROUPS);
    let own = [("URL", gateway.url()), ("DEV_KEY", tokens::service()), ("DEV_ANON_KEY", tokens::anon())];
    let mut all = variables(&mysql);
    all.extend(own.map(|(name, value)| (format!("SUPABASE_{name}"), value)));
    let refused = run(&project, &all).with_code(2);
    assert!(refused.stderr.contains("remove `connection`"), "{}", refused.stderr);
    assert!(PAGE.contains("`connection: \"@default\"`"));
    project.write("pipeline.yaml", TO_SUPABASE.replace("      connection: \"@default\"\n", ""));
    let ran = run(&project, &all).with_code(0);
    assert!(ran.stderr.contains("`groups` has no effect"), "{}", ran.stderr);
    let users = "SELECT string_agg(id || name || score, ',' ORDER BY id) FROM users";
    assert_eq!(postgres.value(users).await.unwrap().as_deref(), Some("1Ann1.50,3Cid2.25"));
    let daily = "SELECT string_agg(user_id || ':' || actions, ',' ORDER BY user_id) FROM daily";
    assert_eq!(postgres.value(daily).await.unwrap().as_deref(), Some("1:5,2:6"));
}

const FROM_GRAPHQL: &str = r#"oml_version: "0.1.0"
name: items-to-csv
steps:
  - id: extract-items
    component: graphql.extractor
    mode: read
    config:
      connection: "@graphql.shop"
      query: |
        query Items($first: Int!, $after: String) {
          items(first: $first, after: $after) {
            edges {
              node {
                id
                name
                owner { name }
              }
            }
            pageInfo {
              hasNextPage
              endCursor
            }
          }
        }
      variables:
        first: 50
      auth_type: "bearer"
      pagination_enabled: true
      pagination_path: "data.items.pageInfo"
      pagination_cursor_field: "endCursor"
      pagination_has_next_field: "hasNextPage"
      pagination_variable_name: "after"
      data_path: "data.items.edges[*].node"
      max_pages: 0
      flatten_result: true
      timeout: 60
      max_retries: 3
      retry_delay: 1.0

  - id: write-items
    component: filesystem.csv_writer
    mode: write
    needs: ["extract-items"]
    config:
      path: ./output/items.csv
"#;

#[test]
fn g45_graphql_into_csv_runs_once_its_authentication_is_in_the_connection() {
    let credentials = Some(("authorization", "Bearer t0ken/of+the=original".to_owned()));
    let api = Api::with_items(120, Options { credentials, ..Options::default() });
    let project = Project::of(Program::built(), FROM_GRAPHQL);
    let connection = "      endpoint: ${GRAPHQL_URL}\n      auth_token: ${GRAPHQL_TOKEN}\n";
    let connections = format!("connections:\n  graphql:\n    shop:\n{connection}");
    project.write("osiris_connections.yaml", &connections);
    project.write(".env", format!("GRAPHQL_URL={}\nGRAPHQL_TOKEN=t0ken/of+the=original\n", api.endpoint()));
    let line = "      auth_type: \"bearer\"\n";
    let refused = project.run(&["run", "pipeline.yaml"]).with_code(2);
    assert!(refused.stderr.contains("`auth_type` of @graphql.shop must not be overridden"), "{}", refused.stderr);
    project.write("pipeline.yaml", FROM_GRAPHQL.replace(line, ""));
    project.write("osiris_connections.yaml", connections + line);
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    let written = project.read("output/items.csv");
    assert_eq!(written.lines().count(), 121);
    assert!(written.starts_with("id,name,owner.name\n1,item 1,owner 1\n"), "{written}");
}

fn both(one: &Value, other: Value) -> Value {
    let mut all = one.as_object().unwrap().clone();
    all.extend(other.as_object().unwrap().clone());
    Value::Object(all)
}

/// The fields of each component of the original, with a value that it takes there. The first object is what a step needs.
fn fields() -> [(&'static str, Value, Value); 8] {
    let login = json!({"host": "h", "port": 1, "database": "e", "user": "u", "password": "p", "schema": "s", "batch_size": 1000,
                       "pool_size": 5, "pool_recycle": 3600, "echo": false});
    let with = |more: Value| both(&login, more);
    let project = json!({"url": "https://y.supabase.co", "project_id": "y", "key": "sb_secret_abcdefgh", "schema": "s", "timeout": 30, "retries": 3});
    let supabase = |more: Value| both(&project, more);
    let query = "query ($after: String) { users(after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }";
    [
        (
            "mysql.extractor",
            json!({"table": "t"}),
            with(json!({"query": "SELECT 1", "columns": ["a"], "limit": 5, "offset": 1})),
        ),
        (
            "mysql.writer",
            json!({"table": "t"}),
            with(json!({"mode": "replace", "upsert_keys": ["a"], "create_table": true, "truncate_before": true})),
        ),
        (
            "supabase.extractor",
            json!({"table": "t"}),
            supabase(
                json!({"select": "*", "filter": {"a": "eq.1"}, "order": "a.desc", "limit": 5, "offset": 0, "tables": ["t"]}),
            ),
        ),
        (
            "supabase.writer",
            json!({"table": "t"}),
            supabase(json!({"write_mode": "append", "primary_key": "id", "returning": "*", "create_if_missing": true,
                            "batch_size": 100, "prefer": "resolution=merge-duplicates"})),
        ),
        (
            "graphql.extractor",
            json!({"query": query, "data_path": "data.users.nodes", "pagination_enabled": true}),
            json!({"endpoint": "https://z.example", "variables": {"after": null}, "headers": {"User-Agent": "x"}, "auth_type": "none",
                   "auth_token": "t", "auth_username": "u", "auth_header_name": "X-Key", "timeout": 30, "max_retries": 3,
                   "retry_delay": 1.0, "pagination_path": "data.users.pageInfo", "pagination_cursor_field": "endCursor",
                   "pagination_has_next_field": "hasNextPage", "pagination_variable_name": "after", "max_pages": 0,
                   "flatten_result": true, "validate_ssl": true}),
        ),
        (
            "posthog.extractor",
            json!({"data_type": "events"}),
            json!({"api_key": "phx_abcdefgh", "project_id": "2", "region": "eu", "custom_base_url": "https://ph.example",
                   "event_types": ["a"], "lookback_window_minutes": 15, "initial_since": "2024-01-01T00:00:00Z", "page_size": 1000}),
        ),
        (
            "filesystem.csv_extractor",
            json!({"path": "in.csv"}),
            json!({"delimiter": ",", "encoding": "iso-8859-1", "header": 0, "columns": ["a"], "skip_rows": 1, "limit": 5,
                   "parse_dates": true, "dtype": {"a": "int64", "b": "float64"}, "na_values": ["-"], "chunk_size": 10000,
                   "skip_blank_lines": true, "comment": "#", "compression": "bz2"}),
        ),
        (
            "filesystem.csv_writer",
            json!({"path": "out.csv"}),
            json!({"delimiter": ",", "header": true, "encoding": "latin-1", "newline": "crlf", "quoting": "nonnumeric",
                   "chunk_size": 500, "create_dirs": true}),
        ),
    ]
}

#[test]
fn g45_each_field_of_the_original_is_accepted_or_on_the_page() {
    let project = Project::empty(Program::built());
    let connections = json!({
        "mysql": {"m": {"default": true, "host": "localhost", "database": "d", "password": "${M:-p}"}},
        "supabase": {"s": {"default": true, "url": "https://x.supabase.co", "key": "${S:-sb_secret_12345678}"}},
        "graphql": {"g": {"default": true, "endpoint": "https://x.example", "auth_type": "bearer", "auth_token": "${G:-t0ken}"}},
        "posthog": {"p": {"default": true, "project_id": "1", "api_key": "${P:-phx_12345678}"}},
    });
    project.write("osiris_connections.yaml", json!({"connections": connections}).to_string());
    let table = PAGE.split("## Fields that differ").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with('|'));
    let cells: Vec<&str> = rows.filter_map(|line| line.split(" | ").next()).collect();
    for (component, needed, fields) in fields() {
        for (field, value) in fields.as_object().unwrap() {
            let mut config = needed.clone();
            config[field] = value.clone();
            let read = json!({"id": "a", "component": "filesystem.csv_extractor", "config": {"path": "in.csv"}});
            let write = json!({"id": "c", "component": "filesystem.csv_writer", "config": {"path": "copy.csv"}});
            let step = json!({"id": "b", "component": component, "config": config});
            let steps = if component.ends_with("writer") { [read, step] } else { [step, write] };
            project.write("pipeline.yaml", json!({"oml_version": "0.1.0", "name": "p", "steps": steps}).to_string());
            let ended = project.run(&["validate", "pipeline.yaml"]);
            let is_clean = ended.code == 0 && !ended.stderr.contains("has no effect");
            let is_listed = cells.iter().any(|cell| {
                // A field of the same name may be another one in another component.
                let is_of_it = !cell.contains(".csv_") || cell.contains(component);
                cell.contains(&format!("`{field}`")) && is_of_it
            });
            assert_eq!(is_listed, !is_clean, "`{field}` of {component}: {}", ended.stderr);
        }
    }
}

//! Fields that belong to other families, fields that contradict each other, and other names of fields.

use osiris_testkit::Bench;
use serde_json::{Value, json};

fn bench() -> Bench {
    Bench::new(osiris_driver_postgres::register).unwrap()
}

/// What is wrong with a connection.
fn problems(connection: &Value) -> String {
    let prepared = bench().prepare("postgres.extractor", &json!({"table": "t"}), connection).unwrap();
    prepared.connection_problems().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn fields_of_a_supabase_connection_are_refused() {
    let found = problems(&json!({"pg_host": "h", "channel": "rest", "key": "hunter2"}));
    for field in ["pg_host", "channel", "key"] {
        assert!(found.contains(&format!("unknown field `{field}`")), "{found}");
    }
    assert!(!found.contains("hunter2"), "{found}");
}

#[test]
fn a_dsn_and_the_fields_it_stands_for_contradict_each_other_and_no_secret_shows() {
    let both = json!({"dsn": "postgresql://u:hunter2@h/d", "host": "h", "password": "hunter2", "ssl_key": "k"});
    insta::assert_snapshot!(problems(&both), @"`dsn` conflicts with `host`, `password`: set one or the other; `ssl_key` needs `ssl_cert`");
    insta::assert_snapshot!(problems(&json!({"dsn": "mysql://u:hunter2@h/d"})), @"`dsn`: invalid DSN: expected `postgresql://user:password@host:5432/database`");
}

#[test]
fn fields_have_the_other_names_that_clients_of_postgresql_know() {
    for connection in
        [json!({"host": "h", "dbname": "d", "username": "u", "read_timeout": 5}), json!({"url": "postgresql://u@h/d"})]
    {
        assert_eq!(problems(&connection), "");
    }
}

#[test]
fn fields_of_a_supabase_step_are_refused() {
    let unknown = |component: &str, config: Value| -> Vec<String> {
        let problems = bench().config_problems(component, &config).unwrap();
        assert!(problems.iter().all(|problem| problem.message.starts_with("unknown field")), "{problems:?}");
        problems.into_iter().map(|problem| problem.pointer).collect()
    };
    let notation =
        json!({"table": "t", "select": "a", "filter": {"a": "eq.1"}, "order": "a.desc", "key": "a", "page_size": 3});
    assert_eq!(unknown("postgres.extractor", notation), ["/filter", "/key", "/order", "/page_size", "/select"]);
    let api = json!({"table": "t", "ddl_channel": "postgres", "returning": "minimal", "retries": 3});
    assert_eq!(unknown("postgres.writer", api), ["/ddl_channel", "/retries", "/returning"]);
}

#[test]
fn every_contradiction_of_a_step_is_reported_by_its_field() {
    let of_step = |component: &str, config: Value| {
        let problems = bench().config_problems(component, &config).unwrap();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let listing = json!({
        "query": "SHOW work_mem", "schema": "s", "where": "a", "offset": 3, "partition_by": "a", "cursor": {"column": "a"}
    });
    insta::assert_snapshot!(of_step("postgres.extractor", listing), @"
    schema: belongs to `table` (write it in the query)
    where: belongs to `table` (write it in the query)
    offset: belongs to `table` (write it in the query)
    partition_by: needs a SELECT (SHOW and EXPLAIN are read whole)
    cursor: needs a SELECT (SHOW and EXPLAIN are read whole)
    partition_by: conflicts with `cursor`: a run reads by ranges or by a cursor (remove one of them)
    ");
    let table = json!({
        "table": "t", "columns": ["a", "A", "a"], "where": "a = 1; DROP TABLE t", "order_by": "nextval('s')", "partitions": 3
    });
    insta::assert_snapshot!(of_step("postgres.extractor", table), @"
    partitions: needs `partition_by` (name the column to split by)
    columns.2: `a` is named twice
    where: more than one statement (keep the first and remove the rest)
    order_by: `nextval()` is not allowed: an extractor only reads (call only functions that compute from what is in the database)
    ");
    insta::assert_snapshot!(of_step("postgres.extractor", json!({"limit": 3})), @"names nothing to read (set `table` or `query`)");
    let write =
        json!({"table": "t", "mode": "overwrite", "key": ["a", "a"], "dedupe": "last", "on_conflict": "ignore"});
    insta::assert_snapshot!(of_step("postgres.writer", write), @"
    on_conflict: `on_conflict` needs `mode: upsert`, or `mode: append` with a `key`
    dedupe: `dedupe` needs `mode: upsert`, or `mode: append` with `on_conflict: ignore`
    order_by: `dedupe: last` needs `order_by` (name the columns that say which row is the last one)
    key: `a` is named twice
    ");
}

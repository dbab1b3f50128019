//! What is this driver's own over the direct channel: PostgREST's notation as SQL, the API that hears of new tables, errors with the
//! names of this connection's fields. Everything else is tested with the driver of PostgreSQL.

use std::time::{Duration, Instant};

use osiris_core::{ErrorKind, RetryPolicy};
use osiris_testkit::Bench;
use osiris_testkit::database::{config, texts, types};
use osiris_testkit::fault;
use osiris_testkit::services::{PgBouncer, PostgresOptions};
use serde_json::{Value, json};

use crate::subject::{Reading, Writing};
use crate::support::{check, discover, project};

#[tokio::test]
async fn tables_are_read_as_select_filter_and_order_say() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    reading
        .execute(
            "CREATE SCHEMA other; CREATE TABLE other.\"Sélect \"\"t\"\"\" (id int PRIMARY KEY, \"a b\" text, j jsonb, \
             n numeric(9,3), twice int GENERATED ALWAYS AS (id * 2) STORED, gone int); \
             ALTER TABLE other.\"Sélect \"\"t\"\"\" DROP COLUMN gone; \
             INSERT INTO other.\"Sélect \"\"t\"\"\" SELECT i, CASE WHEN i % 3 > 0 THEN 'x' || i END, jsonb_build_object('k', i), i / 8.0 \
             FROM generate_series(1, 20) i; \
             CREATE VIEW v AS SELECT id, n FROM other.\"Sélect \"\"t\"\"\"; \
             CREATE TABLE parted (id int, at date) PARTITION BY RANGE (at); \
             CREATE TABLE p1 PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2025-01-01'); \
             INSERT INTO parted VALUES (1, '2024-05-05')",
        )
        .await;
    let table = |fields: Value| {
        let mut config = json!({"table": "Sélect \"t\"", "schema": "other"});
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        config
    };
    let all = reading.rows(table(json!({"order": "id"}))).await;
    assert_eq!(all.columns(), ["id", "a b", "j", "n", "twice"]);
    assert_eq!((all.rows().len(), texts(&all)[2].join("|")), (20, "3|∅|{\"k\": 3}|0.375|6".to_owned()));
    for (fields, expected) in [
        (
            json!({"select": "id,name:\"a b\",k:j->>k", "filter": {"id": "lte.2"}, "order": "id"}),
            vec!["1|x1|1", "2|x2|2"],
        ),
        (json!({"select": ["id"], "filter": {"\"a b\"": "is.null"}, "order": "id.desc", "limit": 2}), vec!["18", "15"]),
        (json!({"select": "id::text", "filter": {"id": "in.(3,5,7)", "n": "gt.0.5"}, "order": "id"}), vec!["5", "7"]),
        (json!({"select": "id", "filter": {"or": "(id.eq.1,id.eq.20)"}, "order": "id"}), vec!["1", "20"]),
        (json!({"select": "id", "order": "id", "limit": 2, "offset": 3}), vec!["4", "5"]),
        (json!({"select": "id", "filter": {"\"a b\"": "eq.'; DROP TABLE v; --"}}), vec![]),
    ] {
        let rows = reading.rows(table(fields.clone())).await;
        let rows: Vec<String> = texts(&rows).iter().map(|row| row.join("|")).collect();
        assert_eq!(rows, expected, "{fields}");
    }
    let view = reading.run("view", json!({"table": "v"}), json!({})).await.unwrap();
    assert_eq!(types(&view), ["id INTEGER", "n DECIMAL(9,3)"]);
    assert_eq!(texts(&reading.rows(json!({"table": "parted"})).await), [["1", "2024-05-05"]]);
    let failure = reading.failure(json!({"table": "v", "select": "*,author(name)"})).await;
    assert!(failure.error.report().contains("embedded resource"), "{}", failure.error.report());
    for (config, wanted) in [
        (json!({"table": "nope"}), "relation \"public.nope\" does not exist"),
        (json!({"table": "v", "filter": {"nope": "eq.1"}}), "column \"nope\" does not exist"),
        (json!({"table": "v", "filter": {"id": "eq.x"}}), "invalid input syntax for type integer: \"***\""),
    ] {
        let failure = reading.failure(config).await;
        assert_eq!(failure.error.kind(), ErrorKind::Validation);
        assert!(failure.error.report().contains(wanted), "{}", failure.error.report());
    }
}
#[tokio::test]
async fn ranges_and_cursors_go_by_columns_that_are_not_selected_under_the_filter() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    let sql = "CREATE TABLE t (id int, x int); INSERT INTO t SELECT i, i % 7 FROM generate_series(1, 5000) i";
    reading.execute(sql).await;
    let ranges = json!({"table": "t", "select": "x", "filter": {"x": "gt.0"}, "partition_by": "id", "partitions": 50});
    assert_eq!(reading.run("ranges", ranges, json!({})).await.unwrap().rows, 4286);
    let cursor =
        |filter: &str| json!({"table": "t", "select": "x", "filter": {"id": filter}, "cursor": {"column": "id"}});
    let first = reading.run("since", cursor("lte.10"), json!({})).await.unwrap();
    assert_eq!((first.rows, &first.state.as_ref().unwrap()["state"]["value"]), (10, &json!("10")));
    let again = |config: Value, connection: Value| {
        let step = reading.bench.step("since", "supabase.extractor", config).connection(connection);
        step.state(first.state.clone().unwrap()).retry(RetryPolicy::never()).run()
    };
    let connection = reading.server.supabase_connection();
    assert_eq!(again(cursor("lte.10"), connection.clone()).await.unwrap().rows, 0);
    let error = again(cursor("lte.20"), connection).await.unwrap_err().error.report();
    assert!(error.contains("another source") && error.contains("filter: `{\"id\":\"lte.10\"}` -> "), "{error}");
    // The same address in one line is the same source, and another database in it is another.
    let dsn = reading.server.dsn();
    assert_eq!(again(cursor("lte.10"), json!({"dsn": dsn})).await.unwrap().rows, 0);
    let elsewhere = format!("{}/elsewhere", dsn.rsplit_once('/').unwrap().0);
    let error = again(cursor("lte.10"), json!({"dsn": elsewhere})).await.unwrap_err().error.report();
    assert!(error.contains("connection.database: ") && error.contains("`elsewhere`"), "{error}");
    // Rows that are committed late are waited for: there is nothing to warn of.
    let connection = reading.server.supabase_connection();
    let prepared = reading.bench.prepare("supabase.extractor", &cursor("lte.10"), &connection).unwrap();
    assert!(prepared.warnings().is_empty(), "{:?}", prepared.warnings());
}

#[test]
fn what_contradicts_ranges_and_cursors_is_said_by_the_fields_of_this_driver() {
    let bench = Bench::new(osiris_driver_supabase::register).unwrap();
    let config = json!({
        "table": "t", "partition_by": "a", "cursor": {"column": "b"}, "limit": 3, "select": "a,a", "order": "x.down"
    });
    let problems = bench.config_problems("supabase.extractor", &config).unwrap();
    let pointers: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(pointers, ["/partition_by", "/order", "/limit", "/select", "/order"]);
}

#[tokio::test]
async fn what_was_read_is_written_as_it_was_through_a_pooler_too() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    let Some(pooler) = PgBouncer::start(&reading.server).await.unwrap() else { return };
    reading
        .execute(
            "CREATE TABLE r (id int, d date, ts timestamp, tz timestamptz, t time, x double precision, n numeric(38,10), j jsonb, \
             a text[], b bytea); CREATE TABLE w (LIKE r); INSERT INTO r (id, d, ts, tz, t, x, n, j, a, b) VALUES \
             (1, 'infinity', 'infinity', 'infinity', '24:00:00', '-0', 0.0000000001, '{\"k\": 1.50}', '{a,NULL,\"\"}', '\\x00ff'), \
             (2, '-infinity', '-infinity', '-infinity', '00:00:00', '-infinity', NULL, 'null', '{}', ''), \
             (3, '4713-01-01 BC', '4713-01-01 BC', '0001-01-01 00:00:00+00', '23:59:59.999999', '5e-324', -99.5, NULL, NULL, NULL), \
             (4, '5874897-12-31', '294246-12-31 23:59:59.999999', '294246-12-31 23:59:59.999999+00', NULL, 'NaN', 0, '[]', '{x}', NULL)",
        )
        .await;
    for connection in [reading.server.supabase_connection(), pooler.supabase_connection()] {
        let step = reading.bench.step("read", "supabase.extractor", json!({"table": "r", "order": "id.desc"}));
        let read = step.connection(connection.clone()).run().await.unwrap().table.unwrap();
        let writer = reading.bench.step("write", "supabase.writer", json!({"table": "w", "mode": "overwrite"}));
        let written = writer.connection(connection).input(&read).run().await;
        written.unwrap_or_else(|failure| panic!("{}", failure.error.report()));
        let differing = "SELECT count(*) FROM r FULL JOIN w USING (id) WHERE r::text IS DISTINCT FROM w::text";
        assert_eq!(reading.server.value(differing).await.unwrap().as_deref(), Some("0"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_hears_of_tables_and_columns_that_are_made_over_the_database() {
    let Some(project) = project("CREATE TABLE old (id int)").await else { return };
    let bench = Bench::new(osiris_driver_supabase::register).unwrap();
    let input = bench.table("source", "SELECT 1 AS id, 'x' AS name").await.unwrap();
    let write = |config: Value| {
        bench.step("write", "supabase.writer", config).connection(project.database.supabase_connection()).input(&input)
    };
    // What the API knows, as `table(column, ...)`.
    let known = async || {
        let catalog = discover(&project.gateway.connection()).await.unwrap();
        let table = |table: &osiris_core::Resource| {
            let fields: Vec<&str> = table.fields.iter().map(|field| field.name.as_str()).collect();
            format!("{}({})", table.name, fields.join(", "))
        };
        catalog.resources.iter().map(table).collect::<Vec<_>>()
    };
    assert_eq!(known().await, ["old(id)"]);
    for (config, expected) in [
        (json!({"table": "new", "create_if_missing": true}), "new(id, name)"),
        (json!({"table": "old", "schema_evolution": "add_columns"}), "old(id, name)"),
    ] {
        write(config).run().await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !known().await.contains(&expected.to_owned()) {
            assert!(Instant::now() < deadline, "the API has not heard of {expected}: {:?}", known().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn hints_name_the_fields_of_this_connection() {
    let Some(writing) = Writing::new().await else { return };
    writing.execute("CREATE TABLE t (id int)").await;
    let input = writing.bench.table("source", "SELECT 1 AS id").await.unwrap();
    let nobody = writing.server.supabase_connection_with(json!({"pg_port": fault::refused_port().unwrap()}));
    let wrong = writing.server.supabase_connection_with(json!({"pg_password": "wrong"}));
    for (connection, kind, names) in [
        (nobody, ErrorKind::Network, "`pg_host` and `pg_port` or those in `dsn`"),
        (wrong, ErrorKind::Auth, "`pg_user` and `pg_password`, or those in `dsn`; a pooler expects the user"),
    ] {
        let step = writing.bench.step("write", "supabase.writer", config(json!({}))).connection(connection.clone());
        let written = step.input(&input).retry(RetryPolicy::never()).run().await.unwrap_err().error;
        let step = writing.bench.step("read", "supabase.extractor", config(json!({}))).connection(connection.clone());
        let read = step.retry(RetryPolicy::never()).run().await.unwrap_err().error;
        let found = discover(&connection).await.unwrap_err();
        for error in [written, read, found] {
            assert_eq!(error.kind(), kind, "{error:?}");
            assert!(error.hint().unwrap().contains(names), "{error:?}");
        }
        let health = check(&connection).await;
        assert!(health.message.contains(names), "{health:?}");
    }
}

//! What is read, and as what.

use serde_json::json;

use super::Database;

#[tokio::test]
async fn types_pass_as_they_are() {
    let database = Database::new(
        "CREATE TYPE mood AS ENUM ('sad', 'ok'); \
         CREATE TABLE t (h HUGEINT, uh UHUGEINT, u UUID, i INTERVAL, b BIT, m mood, tz TIME WITH TIME ZONE, z TIMESTAMPTZ, \
         ns TIMESTAMP_NS, s TIMESTAMP_S, j JSON, n BIGNUM, a INTEGER[2], l HUGEINT[], st STRUCT(a UUID, b INTERVAL[]), \
         mp MAP(VARCHAR, HUGEINT), zs TIMESTAMPTZ[]); \
         INSERT INTO t VALUES (-170141183460469231731687303715884105728, 340282366920938463463374607431768211455, \
         'abcdef00-0000-0000-0000-000000000001', INTERVAL '1 month -2 days 03:04:05.000006', '0101', 'ok', '12:00:00.5+02:30', \
         '2024-02-29 00:30:00.5+01:00', '2024-02-29 00:00:00.123456789', '2024-02-29 00:00:01', '{\"a\": 1.10}', \
         '123456789012345678901234567890123456789012345678', [1, 2], [1, NULL], \
         {'a': 'abcdef00-0000-0000-0000-000000000002', 'b': [INTERVAL '1 day', NULL]}, MAP {'k': 5}, ['2024-01-01 00:00:00+01']), \
         (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    );
    let output =
        database.read(json!({"table": "t"})).await.unwrap_or_else(|failure| panic!("{}", failure.error.report()));
    let table = output.table.unwrap();
    let types: Vec<String> = table.schema().columns().iter().map(|column| column.column_type.to_string()).collect();
    assert_eq!(
        types.join(" "),
        "HUGEINT UHUGEINT UUID INTERVAL BIT ENUM('sad', 'ok') VARCHAR INSTANT TIMESTAMP_NS TIMESTAMP JSON BIGNUM INTEGER[2] \
         HUGEINT[] STRUCT(\"a\" UUID, \"b\" INTERVAL[]) MAP(VARCHAR, HUGEINT) INSTANT[]"
    );
    let text = "h::VARCHAR, uh::VARCHAR, u::VARCHAR, i::VARCHAR, b::VARCHAR, m::VARCHAR, tz, z::VARCHAR, ns::VARCHAR, s::VARCHAR, \
                j::VARCHAR, n::VARCHAR, a::VARCHAR, l::VARCHAR, st::VARCHAR, mp::VARCHAR, zs::VARCHAR";
    let rows = database.bench.query(&format!("SELECT concat_ws('|', {text}) FROM steps.read LIMIT 1")).await.unwrap();
    assert_eq!(
        rows.rows()[0][0].as_deref().unwrap(),
        "-170141183460469231731687303715884105728|340282366920938463463374607431768211455|\
         abcdef00-0000-0000-0000-000000000001|1 month -2 days 03:04:05.000006|0101|ok|12:00:00.5+02:30|2024-02-28 23:30:00.5|\
         2024-02-29 00:00:00.123456789|2024-02-29 00:00:01|{\"a\": 1.10}|123456789012345678901234567890123456789012345678|\
         [1, 2]|[1, NULL]|{'a': abcdef00-0000-0000-0000-000000000002, 'b': [1 day, NULL]}|{k=5}|['2023-12-31 23:00:00']"
    );
    assert_eq!(output.counts.read, 2);
}

#[tokio::test]
async fn a_type_that_no_table_of_a_run_has_is_refused_with_the_cast_that_keeps_it() {
    let database = Database::new(
        "CREATE TABLE t (u UNION(a INTEGER, b VARCHAR), g GEOMETRY, v VARIANT); INSERT INTO t (u) VALUES (union_value(a := 1))",
    );
    for (column, declared, cast) in
        [("u", "UNION", "to_json"), ("g", "GEOMETRY", "ST_AsWKB"), ("v", "VARIANT", "to_json")]
    {
        let error = database.refused(json!({"table": "t", "columns": [column]})).await;
        assert!(error.contains(declared) && error.contains(cast), "{error}");
    }
    let (types, rows) = database.extracted(json!({"query": "SELECT to_json(u) AS u FROM t"})).await;
    assert_eq!((types.join(" "), rows[0].join("|")), ("JSON".to_owned(), "{\"a\":1}".to_owned()));
}

#[tokio::test]
async fn a_table_has_columns_a_condition_an_order_a_limit_and_a_schema() {
    // The name of the file is that of the database, and of a schema in it.
    let database = Database::new(
        "CREATE SCHEMA test; CREATE TABLE test.test.t AS SELECT i AS id, i % 2 AS odd FROM range(10) r(i); CREATE SCHEMA s; \
         CREATE TABLE s.t AS FROM test.test.t; CREATE VIEW v AS SELECT max(id) AS m FROM s.t",
    );
    let config = json!({
        "schema": "test", "table": "t", "columns": ["ID"], "where": "odd = 1 -- only", "order_by": "id DESC", "limit": 2,
        "offset": 1, "batch_size": 1
    });
    let (types, rows) = database.extracted(config).await;
    assert_eq!((types.join(" "), rows.concat().join(" ")), ("BIGINT".to_owned(), "7 5".to_owned()));
    assert_eq!(database.extracted(json!({"table": "v"})).await.1.concat(), ["9"]);
    assert_eq!(database.extracted(json!({"query": "FROM s.t WHERE id > 8"})).await.1.concat(), ["9", "1"]);
    let error = database.refused(json!({"table": "t"})).await;
    assert!(error.contains("does not exist"), "{error}");
    let error = database.refused(json!({"schema": "test", "table": "t", "columns": ["id", "nope"]})).await;
    assert!(error.contains("no column `nope`") && error.contains("id, odd"), "{error}");
}

#[tokio::test]
async fn sql_reaches_nothing_but_the_file() {
    let database = Database::new("CREATE TABLE t AS SELECT 1 AS id");
    let secret = database.bench.place().write("secret.csv", "a\n1\n").unwrap();
    execute_view(&database, &secret.display().to_string());
    for query in [
        format!("FROM read_csv('{}')", secret.display()),
        format!("FROM '{}'", secret.display()),
        "FROM duckdb_settings()".to_owned(),
        "SELECT getenv('HOME')".to_owned(),
        "FROM leak".to_owned(),
        "FROM other.main.t".to_owned(),
        "WITH x AS (DELETE FROM t RETURNING *) FROM x".to_owned(),
        "SELECT 1; SELECT 2".to_owned(),
        "SELECT 1) ; DROP TABLE t; SELECT (1".to_owned(),
    ] {
        let error = database.refused(json!({"query": query})).await;
        assert!(!error.contains("bug"), "{query}: {error}");
    }
    for config in [
        json!({"table": "t", "where": "id = 1) OR (id = 2"}),
        json!({"table": "t", "where": "id IN (SELECT 1 FROM read_text('x'))"}),
        json!({"table": "t", "order_by": "id; DROP TABLE t"}),
    ] {
        database.refused(config).await;
    }
    assert_eq!(database.value("SELECT count(*) FROM t"), "1");
}

/// A view over a file outside, as somebody may have left it in the database.
fn execute_view(database: &Database, file: &str) {
    database.execute(&format!("CREATE VIEW leak AS FROM read_csv('{file}')"));
}

#[tokio::test]
async fn a_dry_run_reads_a_sample_and_names_of_any_kind_are_found() {
    let database =
        Database::new("CREATE TABLE \"a.b \"\"c\" AS SELECT i AS \"x y\", 'é' AS \"select\" FROM range(1000) r(i)");
    let config = json!({"table": "a.b \"c", "columns": ["select", "x y"], "where": "\"x y\" = 3"});
    assert_eq!(database.extracted(config).await.1.concat(), ["é", "3"]);
    let step = database.bench.step("dry", "duckdb.extractor", json!({"table": "a.b \"c"}));
    let output = step.connection(database.connection()).dry_run().run().await.unwrap();
    assert_eq!(output.counts.read, 100);
}

#[tokio::test]
async fn tables_and_views_of_all_schemas_are_found_with_their_columns_and_keys() {
    let database = Database::new(
        "CREATE SCHEMA s; CREATE TABLE s.t (b VARCHAR NOT NULL, a HUGEINT, PRIMARY KEY (a)); CREATE TABLE \"x.y\" (l INTEGER[]); \
         INSERT INTO s.t VALUES ('x', 1), ('y', 2); CREATE VIEW v AS FROM s.t",
    );
    let connection = database.bench.connection("duckdb.extractor", &database.connection()).unwrap();
    let family = database.bench.driver("duckdb.extractor").unwrap().family();
    let catalog = family.discover(&connection, None).await.unwrap();
    let names: Vec<&str> = catalog.resources.iter().map(|resource| resource.name.as_str()).collect();
    assert_eq!(names, ["main.x.y", "s.t", "v"]);
    let table = &catalog.resources[1];
    assert_eq!(table.estimated_row_count, Some(2));
    let fields: Vec<String> = table
        .fields
        .iter()
        .map(|field| {
            let (name, ordinal, kind, native) = (&field.name, field.ordinal, &field.field_type, &field.native_type);
            format!("{name} {ordinal} {kind} {native} {} {}", field.nullable, field.primary_key)
        })
        .collect();
    assert_eq!(fields, ["a 2 integer HUGEINT false true", "b 1 string VARCHAR false false"]);
}

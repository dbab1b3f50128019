use osiris_core::Inputs;
use serde_json::json;

use crate::Run;

#[tokio::test]
async fn a_processor_can_do_nothing_but_read_its_inputs() {
    let run = Run::new();
    std::fs::write(run.directory.path().join("secret.csv"), "a\n1\n").unwrap();
    let inputs = Inputs::one(run.table("t", "SELECT 1 AS id").await);
    let secret = run.directory.path().join("secret.csv").display().to_string();
    for query in [
        format!("SELECT * FROM read_csv('{secret}')"),
        format!("SELECT * FROM '{secret}'"),
        format!("SELECT * FROM read_text('{secret}')"),
        format!("SELECT * FROM glob('{}/*')", run.directory.path().display()),
        format!("COPY t TO '{secret}'"),
        format!("ATTACH '{secret}' AS other"),
        "INSTALL httpfs".to_owned(),
        "LOAD httpfs".to_owned(),
        "SET memory_limit = '100GB'".to_owned(),
        "PRAGMA enable_profiling".to_owned(),
        "DROP TABLE steps.t".to_owned(),
        "UPDATE t SET id = 2".to_owned(),
        "CREATE TABLE x AS FROM t".to_owned(),
        "WITH x AS (DELETE FROM steps.t RETURNING *) FROM x".to_owned(),
        "SELECT * FROM query('DROP TABLE steps.t')".to_owned(),
    ] {
        let message = run.refused(json!({"query": query}), inputs.clone()).await;
        assert!(message.starts_with("step `out-put`: "), "{query}: {message}");
    }
    assert_eq!(std::fs::read_to_string(secret).unwrap(), "a\n1\n");
    assert_eq!(run.store().table("t").await.unwrap().unwrap().rows(), 1);
}

/// SQL that must not run, with `steps.t` as its input and `steps.other` as none.
fn hostile(secret: &str) -> Vec<String> {
    let plan =
        "(SELECT json_serialize_sql('WITH x AS (UPDATE steps.t SET id = 9 RETURNING *) SELECT count(*) FROM x'))";
    let mut all: Vec<String> = [
        "SELECT * FROM json_execute_serialized_sql({plan})",
        "SELECT * FROM query('SELECT * FROM steps.other')",
        "SELECT * FROM query_table('steps.other')",
        "SELECT * FROM query_table(['steps.other'])",
        "SELECT * FROM histogram(steps.other, id)",
        "SELECT * FROM histogram_values(steps.other, id)",
        "SELECT * FROM steps.other",
        "SELECT * FROM STEPS.\"other\"",
        "SELECT * FROM memory.steps.other",
        "SELECT * FROM osiris.tables",
        "SELECT * FROM rejects.t",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM pg_catalog.pg_class",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM duckdb_tables()",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM pragma_storage_info('steps.t')",
        "SELECT * FROM pragma_table_info('steps.other')",
        "SELECT * FROM checkpoint()",
        "SELECT * FROM force_checkpoint()",
        "SELECT * FROM enable_logging()",
        "SELECT * FROM read_blob('{secret}')",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM system.main.read_text('{secret}')",
        "SELECT * FROM main.\"read_text\"('{secret}')",
        "SELECT * FROM read_json('{secret}')",
        "SELECT * FROM read_parquet('{secret}')",
        "SELECT * FROM sniff_csv('{secret}')",
        "SELECT * FROM glob('{secret}')",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM \"{secret}\"",
        "SELECT * FROM t, (WITH \"{secret}\" AS (SELECT 1) FROM \"{secret}\") c, \"{secret}\"",
        "WITH \"{secret}\" AS (FROM \"{secret}\") FROM \"{secret}\"",
        "FROM t WHERE id IN (SELECT id FROM steps.other)",
        "FROM t ORDER BY (SELECT max(id) FROM steps.other)",
        "FROM t LIMIT (SELECT max(id) FROM steps.other)",
        "SELECT list_transform([1], lambda x: (SELECT max(id) FROM steps.other)) FROM t",
        "SELECT (FROM steps.other) FROM t",
        "PIVOT steps.other ON id IN (1) USING count(*)",
        "UNPIVOT steps.other ON id",
        "DESCRIBE steps.other",
        "SUMMARIZE steps.other",
        "SHOW TABLES",
        "SHOW ALL TABLES",
        "SHOW DATABASES",
        "SELECT * FROM (SHOW ALL TABLES)",
        "SELECT * FROM (DESCRIBE steps.other)",
        "SELECT current_setting('allowed_directories')",
        "SELECT getenv('HOME')",
        "SELECT getvariable('x')",
        "SELECT nextval('s')",
        "SELECT write_log('x')",
        "SELECT sleep_ms(1)",
        "SELECT pg_sleep(1)",
        "SELECT json_serialize_plan('SELECT * FROM steps.other')",
        "SELECT system.main.current_setting('memory_limit')",
        "SELECT finalize(x) FROM t",
        "SELECT id FROM t WHERE id = $1",
        "SELECT id FROM t WHERE id = ?",
        "EXECUTE x",
        "PREPARE x AS SELECT 1",
        "COPY t TO '{secret}'",
        "COPY (FROM t) TO '{secret}'",
        "SELECT 1; COPY t TO '{secret}'; SELECT 2",
        "SELECT 1 AS id) ; DELETE FROM steps.t; SELECT * FROM (SELECT 1",
        "WITH x AS (UPDATE steps.t SET id = 9 RETURNING *) FROM x",
        "WITH x AS (INSERT INTO steps.t VALUES (9) RETURNING *) FROM x",
        "SELECT * FROM (WITH x AS (DELETE FROM steps.t RETURNING *) FROM x)",
        "CREATE TEMP MACRO read_text(a) AS 1; SELECT * FROM read_text('{secret}')",
        "CREATE TEMP MACRO f(a) AS TABLE SELECT * FROM read_text(a); FROM f('{secret}')",
        "CREATE TEMP MACRO f(a) AS (SELECT max(id) FROM steps.other); SELECT f(1)",
        "CREATE TEMP MACRO f(a := (SELECT max(id) FROM steps.other)) AS a; SELECT f()",
        "CREATE TEMP MACRO f(a) AS TABLE SELECT * FROM query_table(a); FROM f('steps.other')",
        "CREATE TEMP VIEW v AS SELECT * FROM steps.other; FROM v",
        "CREATE TEMP TABLE x AS\u{a0}DELETE FROM t RETURNING * AS SELECT 1; SELECT 1",
        "CREATE TEMP TABLE other AS SELECT 1 AS id; FROM steps.other",
        "CREATE TABLE x AS FROM t; FROM x",
        "CREATE MACRO main.now() AS 1; SELECT 1",
        "SET threads = 1; SELECT 1",
        "SET VARIABLE x = 1; SELECT 1",
        "EXPLAIN ANALYZE SELECT 1",
        "FROM t AT (VERSION => 1)",
        "SELECT * FROM osiris_rows('1')",
        "SELECT * FROM arrow_scan(1, 2, 3)",
        "SELECT * FROM seq_scan()",
        "MERGE INTO t USING other ON true WHEN MATCHED THEN DELETE",
        "VACUUM",
        "CHECKPOINT",
    ]
    .iter()
    .map(|sql| sql.replace("{plan}", plan).replace("{secret}", secret))
    .collect();
    all.sort();
    all
}

#[tokio::test]
async fn s25_hostile_sql_is_refused_wherever_a_processor_has_sql() {
    let run = Run::new();
    let secret = run.directory.path().join("secret.csv").display().to_string();
    std::fs::write(&secret, "id\n1\n").unwrap();
    let other = run.table("other", "SELECT 5 AS id").await;
    let table = run.table("t", "SELECT 1 AS id").await;
    let inputs = Inputs::one(table.clone());
    for sql in hostile(&secret) {
        for config in [
            json!({"query": sql}),
            json!({"query": sql, "materialize": "view"}),
            json!({"query": format!("CREATE TEMP TABLE zz AS {sql}; SELECT 1")}),
            json!({"query": format!("CREATE TEMP MACRO ff() AS ({sql}); SELECT ff()")}),
            json!({"query": format!("SELECT ({sql}) AS x")}),
            json!({"query": "SELECT 1 AS id", "assertions": [{"sql": sql}]}),
        ] {
            let message = run.refused(config.clone(), inputs.clone()).await;
            assert!(message.starts_with("step `out-put`: "), "{config}: {message}");
            assert_eq!(run.rows(&table).await, ["1"], "{config}");
            assert_eq!(run.rows(&other).await, ["5"], "{config}");
        }
    }
    assert_eq!(std::fs::read_to_string(secret).unwrap(), "id\n1\n");
}

#[tokio::test]
async fn s29_dynamic_names_of_tables_are_refused_with_their_place() {
    let run = Run::new();
    let inputs = Inputs::one(run.table("t", "SELECT 1 AS id").await);
    for function in ["query", "query_table", "json_execute_serialized_sql", "read_text"] {
        let message = run.refused(json!({"query": format!("SELECT 1\nFROM {function}('x')")}), inputs.clone()).await;
        assert!(message.contains(&format!("`{function}()` is not allowed here")), "{message}");
    }
    let prepared = run.prepare(&json!({"query": "SELECT *\nFROM query('x')"}));
    let problems = prepared.config_problems();
    assert_eq!(problems[0].offset, Some(14), "{problems:?}");
}

#[tokio::test]
async fn what_a_processor_may_do_still_works() {
    let run = Run::new();
    let inputs = Inputs::one(run.table("t", "SELECT 1 AS id, [1, 2] AS l, '{\"a\": 3}'::JSON AS j").await);
    for (query, row) in [
        ("CREATE TEMP MACRO add2(a, b := 2) AS a + b; SELECT add2(id) FROM t", "3"),
        ("CREATE TEMP MACRO few(n) AS TABLE SELECT i FROM range(n) r(i); SELECT sum(i) FROM few(3)", "3"),
        ("CREATE TEMP TABLE x (a) AS SELECT id + 1 FROM t; CREATE TEMP VIEW y AS FROM x; SELECT a FROM temp.y", "2"),
        ("SELECT unnest(l) FROM t LIMIT 1", "1"),
        ("SELECT count(*) FROM t, unnest(l) u(x), range(id) r(i), generate_series(1, 2) g(k)", "4"),
        ("SELECT value FROM t, json_each(j)", "3"),
        ("SELECT sum(id) OVER (PARTITION BY id) FROM steps.t", "1"),
        ("SELECT histogram(id)::VARCHAR FROM t", "{1=1}"),
        ("SELECT list_transform(l, lambda x: x + 1)::VARCHAR FROM t", "[2, 3]"),
        ("SELECT l.len() FROM t", "2"),
        ("WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 3) SELECT max(i) FROM r", "3"),
        ("SELECT count(*) FROM (PIVOT (SELECT id, 1 AS v FROM t) ON id IN (1, 2) USING sum(v))", "1"),
        ("SELECT column_name FROM (DESCRIBE t) LIMIT 1", "id"),
        ("SELECT now() = now() AND current_date = today()", "true"),
        ("FROM (VALUES (7)) v(a)", "7"),
    ] {
        let output = run.process(json!({"query": query}), inputs.clone()).await;
        let table = output.unwrap_or_else(|failure| panic!("{query}: {}", failure.error.report())).table.unwrap();
        assert_eq!(run.rows(&table).await, [row], "{query}");
    }
    let config = json!({
        "query": "CREATE TEMP MACRO bad(a) AS a < 0; CREATE TEMP TABLE small AS FROM t; SELECT id FROM small",
        "assertions": [{"sql": "FROM result WHERE bad(id)"}, {"sql": "FROM small JOIN \"out-put\" o USING (id) WHERE o.id > 1"}]
    });
    run.process(config, inputs).await.unwrap_or_else(|failure| panic!("{}", failure.error.report()));
}

//! Appending, and what all modes share: types, columns, the checks before anything is written.

use osiris_core::{ErrorKind, RetryPolicy};
use osiris_testkit::Sample;
use osiris_testkit::database::{config, writes};
use osiris_testkit::services::{PgBouncer, PostgresOptions};
use serde_json::json;

use crate::subject::Writing;

const EXTREMES: &str = "SELECT * FROM (VALUES \
    ((-128)::TINYINT, 255::UTINYINT, (-9223372036854775808)::BIGINT, 18446744073709551615::UBIGINT, \
     99999999999999999999999999999999999999::DECIMAL(38,0), (-0.0000000001)::DECIMAL(38,10), 3.4028235e38::FLOAT, \
     (-1.7976931348623157e308)::DOUBLE, 'infinity'::DATE, TIMESTAMP '294246-12-31 23:59:59.999999', TIME '23:59:59.999999', \
     'ů ✓ 日本 😀\t\\N\\ ''\"' || chr(10) || chr(13), '\\x00\\xFF\\x5C\\x27\\x09\\x0A'::BLOB, true, '{\"a\": 1}'::JSON, \
     [1, NULL, 3], INTERVAL '-838:59:59.999999', 'c0ffee00-0000-4000-8000-00000000beef'::UUID, '1011'::BIT), \
    (127::TINYINT, 0::UTINYINT, 9223372036854775807::BIGINT, 0::UBIGINT, (-99999999999999999999999999999999999999)::DECIMAL(38,0), \
     1234567890123456789012345678.0123456789::DECIMAL(38,10), 1.1754944e-38::FLOAT, 'nan'::DOUBLE, DATE '4713-01-01 (BC)', \
     '-infinity'::TIMESTAMP, TIME '00:00:00', '', ''::BLOB, false, 'null'::JSON, [], \
     INTERVAL '-3 months 5 days 1 microsecond', '00000000-0000-0000-0000-000000000000'::UUID, '0'::BIT), \
    (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)) \
    AS v(i8, u8, i64, u64, h, d, f, g, day, moment, tod, s, b, flag, j, l, iv, u, bits)";

#[tokio::test]
async fn extremes_of_every_type_arrive_as_they_are() {
    let Some(writing) = Writing::new().await else { return };
    let output = writing.write(config(json!({"create_if_missing": true, "max_rejects": 3})), EXTREMES).await.unwrap();
    assert_eq!(output.counts.inserted, 3, "{}", writing.rejects().await);
    let shown = "SELECT i8, u8, i64, u64, h, d, f, g, day, moment, tod, encode(convert_to(s, 'UTF8'), 'hex'), b, flag, j, l, iv, u, bits \
        FROM t ORDER BY i8";
    insta::assert_snapshot!(writing.shown(shown).await, @r#"
    -128|255|-9223372036854775808|18446744073709551615|99999999999999999999999999999999999999|-0.0000000001|3.4028235e+38|-1.7976931348623157e+308|infinity|294246-12-31 23:59:59.999999|23:59:59.999999|c5af20e29c9320e697a5e69cac20f09f9880095c4e5c2027220a0d|\x00ff5c27090a|t|{"a": 1}|{1,NULL,3}|-838:59:59.999999|c0ffee00-0000-4000-8000-00000000beef|1011
    127|0|9223372036854775807|0|-99999999999999999999999999999999999999|1234567890123456789012345678.0123456789|1.1754944e-38|NaN|4713-01-01 BC|-infinity|00:00:00||\x|f|null|{}|-3 mons +5 days 00:00:00.000001|00000000-0000-0000-0000-000000000000|0
    -|-|-|-|-|-|-|-|-|-|-|-|-|-|-|-|-|-|-
    "#);
}

#[tokio::test]
async fn the_staging_table_changes_nothing_about_what_arrives() {
    let Some(writing) = Writing::new().await else { return };
    let sample = Sample::new(20_000);
    writing.write(json!({"table": "copied", "create_if_missing": true}), sample).await.unwrap();
    let upsert = json!({"table": "merged", "create_if_missing": true, "mode": "upsert", "key": "id"});
    writing.write(upsert, sample).await.unwrap();
    let rows = "SELECT md5(string_agg(r::text, '|' ORDER BY id)), count(*), min(id), max(id) FROM";
    let copied = writing.shown(&format!("{rows} copied r")).await;
    assert_eq!(copied, writing.shown(&format!("{rows} merged r")).await);
    assert!(copied.ends_with("|20000|0|19999"), "{copied}");
    assert_eq!(writing.shown("SELECT count(*) FROM pg_class WHERE relname LIKE 'osiris%'").await, "0");
}

#[tokio::test]
async fn an_append_adds_and_an_empty_input_is_no_error() {
    let Some(writing) = Writing::new().await else { return };
    writes::appends_and_takes_nothing_too(&writing).await;
}

#[tokio::test]
async fn columns_may_be_renamed_and_numbers_of_a_sequence_are_not_given_twice() {
    let Some(writing) = Writing::new().await else { return };
    writing.execute("CREATE TABLE t (id serial PRIMARY KEY, \"select\" int, \"A b\" int, \"Two\" int, two int)").await;
    let columns = json!({"columns": {"x": "id", "y": "a B", "z": "two"}});
    writing.write(config(columns), "SELECT 41 AS x, 1 AS y, 2 AS z").await.unwrap();
    writing.write(config(json!({"columns": ["select"]})), "SELECT 7 AS \"select\", 8 AS other").await.unwrap();
    assert_eq!(writing.shown("SELECT * FROM t ORDER BY id").await, "41|-|1|-|2\n42|7|-|-|-");
    // A name that may mean two columns means none.
    let report = writing.refused(config(json!({})), "SELECT 1 AS TWO").await;
    assert!(report.contains("no column `TWO`"), "{report}");
}

#[tokio::test]
async fn everything_that_stands_in_the_way_is_said_at_once_and_nothing_is_written() {
    let Some(writing) = Writing::new().await else { return };
    writing
        .execute(
            "CREATE TABLE t (id int NOT NULL PRIMARY KEY, must int NOT NULL, g int GENERATED ALWAYS AS (id + 1) STORED, at time, \
             v varchar(3), n name); CREATE VIEW w AS SELECT id, must FROM t",
        )
        .await;
    let data = "SELECT 1 AS id, 2 AS g, TIMESTAMP '2024-01-01' AS at, 3 AS vv, 'x' AS n";
    insta::assert_snapshot!(writes::everything_in_the_way(&writing, data).await.join("\n"), @"
    step `write`: cannot write to table `public.t`: 5 problems
      - column `g` is generated: exclude it with `columns`
      - column `at` is time without time zone, but column `at` of the input is TIMESTAMP: no exact conversion: cast it in an earlier step
      - no column `vv` (did you mean `v`?): set `columns`, or `schema_evolution: add_columns`
      - column `n` is name, but column `n` of the input is VARCHAR: a column of this type truncates values: use text
      - column `must` is NOT NULL without a default, but no column of the input is written to it
    step `write`: cannot write to table `public.t`: 2 problems
      - no column of the input is written to key column `v`
      - no primary key or unique index on exactly the columns of `key` (must, v); the table has: id
    step `write`: cannot write to table `public.t`: column `must` of the input is NULL in 1 rows, but its column in the table is NOT NULL
    step `write`: cannot write to table `public.w`: it is a view: write to the underlying table
    step `write`: there is no table `public.typo`
    hint: check `table` and `schema`, or set `create_if_missing: true` to create it
    ");
    insta::assert_snapshot!(writing.refused(json!({"table": "t", "schema": "x", "create_if_missing": true}), "SELECT 1 AS a").await, @"
    step `write`: there is no schema `x`
    hint: check `schema`, or create it: CREATE SCHEMA
    ");
}

#[tokio::test]
async fn grants_that_are_missing_are_named_before_anything_is_read() {
    let Some(writing) = Writing::with(PostgresOptions::new()).await else { return };
    writing
        .execute(
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE ROLE low LOGIN PASSWORD 'pw'; \
             CREATE TABLE t (id int PRIMARY KEY, v int); GRANT INSERT ON t TO low; \
             CREATE TABLE own (id int, owner text); ALTER TABLE own ENABLE ROW LEVEL SECURITY; GRANT INSERT, SELECT ON own TO low; \
             CREATE POLICY mine ON own TO low USING (true) WITH CHECK (owner = 'low')",
        )
        .await;
    let connection = writing.server.connection_with(json!({"user": "low", "password": "pw"}));
    let run = async |settings: serde_json::Value, data: &str| {
        let input = writing.bench.table("source", data).await.unwrap();
        writing
            .bench
            .step("write", "postgres.writer", settings)
            .connection(connection.clone())
            .input(&input)
            .run()
            .await
    };
    run(config(json!({})), "SELECT 1 AS id").await.unwrap();
    let mut reports = Vec::new();
    for settings in [
        config(json!({"mode": "upsert", "key": "id"})),
        config(json!({"mode": "overwrite"})),
        json!({"table": "new", "create_if_missing": true}),
    ] {
        let failure = run(settings, "SELECT 1 AS id, 2 AS v").await.unwrap_err();
        assert_eq!(failure.error.kind(), ErrorKind::Permission);
        reports.push(failure.error.report());
    }
    insta::assert_snapshot!(reports.join("\n"), @"
    step `write`: the role lacks SELECT, UPDATE on table `public.t`
    hint: grant it: GRANT SELECT, UPDATE ON public.t TO the role, and USAGE on its schema
    step `write`: the role lacks DELETE on table `public.t`
    hint: grant it: GRANT DELETE ON public.t TO the role, and USAGE on its schema
    step `write`: the role lacks CREATE on schema `public`
    hint: grant it: GRANT CREATE ON SCHEMA public TO the role
    ");
    // Where row-level security counts, COPY is not for us; the rows go all the same, and those it refuses are rejects.
    let data = "SELECT i::INTEGER AS id, CASE i WHEN 3 THEN 'other' ELSE 'low' END AS owner FROM range(6) r(i)";
    let output = run(json!({"table": "own", "max_rejects": 1}), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.rejected), (5, 1));
    assert!(writing.rejects().await.contains("row-level security policy"), "{}", writing.rejects().await);
}

#[tokio::test]
async fn one_column_and_a_thousand_are_written() {
    let Some(writing) = Writing::new().await else { return };
    for mode in [json!({}), json!({"mode": "upsert", "key": "c0"})] {
        writes::a_thousand_columns_are_written(&writing, mode).await;
    }
    writes::one_column_is_written(&writing, json!({"batch_size": 7})).await;
    // A row whose cells do not fit into a page is refused as a row.
    let wide: Vec<String> = (0..1600).map(|n| format!("i AS c{n}")).collect();
    let wide = format!("SELECT {} FROM range(2) t(i)", wide.join(", "));
    let failure = writing.write(json!({"table": "wide", "create_if_missing": true}), wide.as_str()).await.unwrap_err();
    assert!(failure.error.report().contains("rejected"), "{:?}", failure.error);
    assert_eq!(writing.shown("SELECT to_regclass('wide')").await, "-");
}

#[tokio::test]
async fn a_dry_run_plans_and_changes_nothing() {
    let Some(writing) = Writing::new().await else { return };
    insta::assert_snapshot!(writes::dry_run_plans(&writing).await, @r#"
    CREATE TABLE "public"."t" (
      "id" bigint NOT NULL,
      "name" text,
      PRIMARY KEY ("id")
    );
    "#);
}

#[tokio::test]
async fn a_target_whose_rows_are_locked_is_a_timeout_that_is_tried_again() {
    let Some(writing) = Writing::with(PostgresOptions::new()).await else { return };
    writing.execute("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)").await;
    // A shorter wait that somebody has set is kept.
    writing.execute("ALTER ROLE postgres SET lock_timeout = '200ms'").await;
    let mut other = writing.server.connect().await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT * FROM t WHERE id = 1 FOR UPDATE").execute(&mut other).await.unwrap();
    let settings = config(json!({"mode": "upsert", "key": "id"}));
    let input = writing.bench.table("source", "SELECT 1 AS id, 2 AS v").await.unwrap();
    let quick = RetryPolicy { initial_delay: std::time::Duration::from_millis(10), ..RetryPolicy::times(3) };
    let step = writing.bench.step("write", "postgres.writer", settings.clone()).connection(writing.connection.clone());
    let failure = step.input(&input).retry(quick).run().await.unwrap_err();
    assert_eq!((failure.error.kind(), failure.attempts), (ErrorKind::Timeout, 3), "{:?}", failure.error);
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    writing.write_table(settings, &input).await.unwrap();
    assert_eq!(writing.shown("SELECT * FROM t").await, "1|2");
}

#[tokio::test]
async fn a_deadlock_is_tried_again_and_then_goes_through() {
    let Some(writing) = Writing::with(PostgresOptions::new()).await else { return };
    writing
        .execute("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT i, 0 FROM generate_series(1, 50) i")
        .await;
    // The one that looks for a deadlock first is its victim.
    writing.execute("ALTER ROLE postgres SET deadlock_timeout = '50ms'").await;
    let mut other = writing.server.connect().await.unwrap();
    sqlx::raw_sql("SET deadlock_timeout = '1h'; BEGIN; UPDATE t SET v = v + 1 WHERE id > 10")
        .execute(&mut other)
        .await
        .unwrap();
    let opponent = async {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while writing.shown("SELECT count(*) FROM pg_locks WHERE NOT granted").await == "0" {
            assert!(std::time::Instant::now() < deadline, "nobody waits");
        }
        sqlx::raw_sql("UPDATE t SET v = v + 1 WHERE id <= 10; COMMIT").execute(&mut other).await.unwrap();
    };
    let write = writing.write(
        config(json!({"mode": "upsert", "key": "id"})),
        "SELECT i::INTEGER + 1 AS id, 7 AS v FROM range(50) t(i)",
    );
    let (output, ()) = tokio::join!(write, opponent);
    let output = output.unwrap();
    assert_eq!(output.attempts, 2, "nobody was the victim");
    assert_eq!(writing.shown("SELECT COUNT(*), SUM(v) FROM t").await, "50|350");
}

#[tokio::test]
async fn a_role_with_impatient_settings_writes_all_the_same() {
    let Some(writing) = Writing::with(PostgresOptions::new()).await else { return };
    writing
        .execute(
            "CREATE TABLE t (id int); CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
               RAISE NOTICE 'a message that nobody reads: %', repeat('x', 1000); \
               IF NEW.id % 1000 = 0 THEN PERFORM pg_sleep(0.02); END IF; RETURN NEW; END $$; \
             CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow(); \
             ALTER ROLE postgres SET statement_timeout = '100ms'; ALTER ROLE postgres SET client_min_messages = 'debug1'; \
             ALTER ROLE postgres SET synchronous_commit = 'off'",
        )
        .await;
    let data = "SELECT i::INTEGER AS id FROM range(10000) r(i)";
    let output = writing.write(config(json!({})), data).await.unwrap();
    assert_eq!(output.counts.inserted, 10_000);
    let input = writing
        .bench
        .table("source", "SELECT 0 AS id UNION ALL SELECT i::INTEGER * 1000 FROM range(200) r(i)")
        .await
        .unwrap();
    let step = writing.bench.step("write", "postgres.writer", config(json!({"timeout": 1})));
    let step = step.connection(writing.connection.clone()).input(&input).retry(RetryPolicy::never());
    let failure = step.run().await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Timeout, "{:?}", failure.error);
}

#[tokio::test]
async fn behind_a_pooler_that_gives_each_transaction_another_session_all_modes_work() {
    let Some(writing) = Writing::new().await else { return };
    let Some(pooler) = PgBouncer::start(&writing.server).await.unwrap() else { return };
    writing.execute("CREATE TABLE t (id int PRIMARY KEY, v int, ip inet)").await;
    let data = "SELECT i::INTEGER AS id, 7 AS v, '10.0.0.1' AS ip FROM range(5000) r(i)";
    let input = writing.bench.table("source", data).await.unwrap();
    let steps = ["append", "overwrite", "upsert", "overwrite"].map(|mode| {
        let settings = config(json!({"mode": mode, "key": "id", "batch_size": 1000}));
        let step = writing.bench.step("write", "postgres.writer", settings).connection(pooler.connection());
        step.input(&input)
    });
    for step in steps {
        let output = step.run().await.unwrap();
        assert_eq!(output.rows, 5000);
    }
    // Many at once share few sessions, and nothing of one is left to the next.
    let more: Vec<_> = (0..6)
        .map(|n| {
            let settings = json!({"table": format!("t{n}"), "create_if_missing": true, "key": "id", "mode": "upsert"});
            let step = writing.bench.step(format!("write{n}"), "postgres.writer", settings);
            step.connection(pooler.connection()).input(&input).run()
        })
        .collect();
    for output in futures::future::join_all(more).await {
        assert_eq!(output.unwrap().counts.inserted, 5000);
    }
    assert_eq!(writing.shown("SELECT count(*) FROM t UNION ALL SELECT count(*) FROM t5").await, "5000\n5000");
}

//! What only some versions of the server have, or say differently. A test returns where the server is older than what it is about.

use osiris_testkit::database::catalog::resource;
use osiris_testkit::database::config;
use osiris_testkit::services::PostgresOptions;
use serde_json::json;

use crate::subject::{Reading, Writing};
use crate::support::discover;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_was_never_analyzed_has_no_estimate_instead_of_zero() {
    let Some(reading) = Reading::start(PostgresOptions::new().with_setting("autovacuum", "off")).await else { return };
    reading.execute("CREATE TABLE t AS SELECT i AS a FROM generate_series(1, 900) i; CREATE VIEW v AS TABLE t").await;
    let estimates = async || {
        let catalog = discover(&reading.server.connection()).await.unwrap();
        ["t", "v"].map(|name| resource(&catalog, name).estimated_row_count)
    };
    assert_eq!(estimates().await, [None, None]);
    reading.execute("ANALYZE t").await;
    assert_eq!(estimates().await, [Some(900), None]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_the_role_for_whole_transactions_ends_neither_reads_nor_writes() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    if reading.server.version().await.unwrap() < 17 {
        return;
    }
    reading
        .execute(
            "CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE ROLE hasty LOGIN PASSWORD 'hasty'; GRANT ALL ON t TO hasty; \
             ALTER ROLE hasty SET transaction_timeout = 700; \
             CREATE FUNCTION nap() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN PERFORM pg_sleep(1); RETURN 1; END'; \
             CREATE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN NEW; END'; \
             CREATE TRIGGER rests BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION rest()",
        )
        .await;
    let account = json!({"user": "hasty", "password": "hasty"});
    let read = reading.run("read", json!({"query": "SELECT nap() AS a FROM t"}), account.clone()).await;
    let read = read.unwrap_or_else(|failure| panic!("{}", failure.error.report()));
    let step = reading.bench.step("write", "postgres.writer", config(json!({})));
    let written = step.connection(reading.server.connection_with(account)).input(&read.table.unwrap()).run().await;
    written.unwrap_or_else(|failure| panic!("{}", failure.error.report()));
    assert_eq!(reading.server.value("SELECT count(*) FROM t").await.unwrap().as_deref(), Some("2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_without_overlaps_does_not_identify_rows() {
    let Some(writing) = Writing::new().await else { return };
    if writing.server.version().await.unwrap() < 18 {
        return;
    }
    writing
        .execute("CREATE TABLE t (room int4range, span int4range, v int, PRIMARY KEY (room, span WITHOUT OVERLAPS))")
        .await;
    let data = "SELECT '[1,2)' AS room, '[1,5)' AS span, 7 AS v";
    let refused = writing.refused(config(json!({"mode": "upsert", "key": ["room", "span"]})), data).await;
    insta::assert_snapshot!(refused, @"step `write`: cannot write to table `public.t`: no primary key or unique index on exactly the columns of `key` (room, span); the table has: none");
    assert_eq!(writing.write(config(json!({"mode": "overwrite"})), data).await.unwrap().counts.inserted, 1);
    // A row whose range overlaps is a reject with the reason.
    let more = "SELECT '[1,2)' AS room, '[4,9)' AS span, 8 AS v UNION ALL SELECT '[2,3)', '[4,9)', 9";
    assert_eq!(writing.write(config(json!({"max_rejects": 1})), more).await.unwrap().counts.inserted, 1);
    assert_eq!(writing.shown("SELECT room, span, v FROM t ORDER BY v").await, "[1,2)|[1,5)|7\n[2,3)|[4,9)|9");
    insta::assert_snapshot!(writing.rejects().await, @r#"1|-|conflicting key value violates exclusion constraint "t_pkey""#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_virtual_column_is_read_and_not_written() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    if reading.server.version().await.unwrap() < 18 {
        return;
    }
    reading
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) VIRTUAL); \
             INSERT INTO t SELECT generate_series(1, 3); CREATE TABLE w (LIKE t INCLUDING ALL)",
        )
        .await;
    let read = |config| reading.run("read", config, json!({}));
    let rows = read(json!({"table": "t"})).await.unwrap();
    let sums = reading.bench.query("SELECT sum(id), sum(twice) FROM steps.read").await.unwrap();
    assert_eq!(sums.rows(), [[Some("6".to_owned()), Some("12".to_owned())]]);
    let table = rows.table.unwrap();
    let write = |config| reading.bench.step("write", "postgres.writer", config).input(&table);
    let all = write(json!({"table": "w"})).connection(reading.server.connection()).run().await.unwrap_err();
    insta::assert_snapshot!(all.error.report(), @"step `write`: cannot write to table `public.w`: column `twice` is generated: exclude it with `columns`");
    for mode in ["append", "upsert", "overwrite"] {
        let config = json!({"table": "w", "mode": mode, "key": "id", "columns": ["id"]});
        write(config).connection(reading.server.connection()).run().await.unwrap();
    }
    assert_eq!(reading.server.value("SELECT sum(twice) FROM w").await.unwrap().as_deref(), Some("12"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_whose_nulls_are_not_distinct_is_matched_by_its_values_alone() {
    let Some(writing) = Writing::new().await else { return };
    if writing.server.version().await.unwrap() < 15 {
        return;
    }
    writing
        .execute("CREATE TABLE t (id int UNIQUE NULLS NOT DISTINCT, v int); INSERT INTO t VALUES (NULL, 1), (2, 1)")
        .await;
    let data = "SELECT NULL::INTEGER AS id, 7 AS v UNION ALL SELECT 2, 7 UNION ALL SELECT 3, 7";
    let settings = config(json!({"mode": "upsert", "key": "id", "max_rejects": 1}));
    let counts = writing.write(settings, data).await.unwrap().counts;
    assert_eq!((counts.inserted, counts.updated), (1, 1), "{counts:?}");
    assert_eq!(writing.shown("SELECT id, v FROM t ORDER BY id").await, "2|7\n3|7\n-|1");
    insta::assert_snapshot!(writing.rejects().await, @"1|id|NULL, but the column is NOT NULL");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_functions_of_every_version_may_be_read_with() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    let version = reading.server.version().await.unwrap();
    for (since, function) in [
        (12, "random() < 2"),
        // Before version 15 one form of it is called volatile, although it only converts.
        (12, "timezone('UTC', now()) IS NOT NULL"),
        (13, "gen_random_uuid() IS NOT NULL"),
        (16, "cardinality(array_shuffle(ARRAY[1, 2])) = 2"),
        (16, "cardinality(array_sample(ARRAY[1, 2], 1)) = 1"),
        (16, "random_normal() < 1e9"),
        (17, "random(1, 2) < 3"),
        (18, "uuidv7() IS NOT NULL"),
    ] {
        if version >= since {
            let rows = reading.rows(json!({"query": format!("SELECT {function} AS a")})).await;
            assert_eq!(rows.rows(), [[Some("true".to_owned())]], "{function}");
        }
    }
}

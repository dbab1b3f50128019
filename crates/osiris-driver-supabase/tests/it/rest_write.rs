//! Writing over REST: modes, checks, rejects, tables that have to be made first.

use std::time::{Duration, Instant};

use osiris_core::ErrorKind;
use osiris_stand_ins::supabase::{GatewayOptions, PostgrestOptions};
use osiris_testkit::database::DatabaseServer as _;
use osiris_testkit::services::Postgres;
use serde_json::json;

use crate::rest_world::{World, table};

const KEYED: &str = "CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL, n int DEFAULT 5)";

#[tokio::test(flavor = "multi_thread")]
async fn the_modes_do_what_they_say_and_count_it() {
    let Some(world) = World::new(KEYED).await else { return };
    let append = table(json!({"batch_size": 300}));
    let output = world.write(append.clone(), "SELECT i AS id, 'a' AS name FROM range(1000) r(i)").await.unwrap();
    assert_eq!((output.counts.inserted, output.rows), (1000, 1000));
    let upsert = table(json!({"mode": "upsert", "key": "id", "batch_size": 300}));
    let output = world.write(upsert, "SELECT i AS id, 'b' AS name FROM range(500, 1500) r(i)").await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.updated), (500, 500));
    assert_eq!(world.rows("SELECT name, count(*), min(n) FROM t GROUP BY 1 ORDER BY 1").await, "a|500|5\nb|1000|5");
    let ignore = table(json!({"key": ["id"], "on_conflict": "ignore"}));
    let output = world.write(ignore, "SELECT i AS id, 'c' AS name FROM range(1400, 1600) r(i)").await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.ignored), (100, 100));
    let overwrite = table(json!({"mode": "overwrite", "batch_size": 64}));
    let output =
        world.write(overwrite.clone(), "SELECT i AS id, 'd' AS name FROM range(1500, 1700) r(i)").await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.updated, output.counts.deleted), (100, 100, 1500));
    assert_eq!(world.rows("SELECT count(*), min(id), max(id), max(name) FROM t").await, "200|1500|1699|d");
    let output = world.write(overwrite, "SELECT 1::BIGINT AS id, 'x' AS name WHERE false").await.unwrap();
    assert_eq!((output.rows, output.counts.deleted), (0, 200));
    assert_eq!(world.rows("SELECT count(*) FROM t").await, "0");
    let left =
        world.bench.query("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE '%keys%'").await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overwrite_finds_old_rows_by_keys_of_several_columns_whatever_is_in_them() {
    let setup = r#"CREATE TABLE t (a int, "b c" text, at timestamptz, v text, PRIMARY KEY (a, "b c", at));
        INSERT INTO t SELECT i, 'old,"(' || i || ')\', '2024-01-01 00:00:00.000001+02', 'old' FROM generate_series(1, 700) i"#;
    let Some(world) = World::new(setup).await else { return };
    let new = r#"SELECT i::INTEGER AS a, 'old,"(' || i || ')\' AS "b c", TIMESTAMP '2023-12-31 22:00:00.000001' AS at, 'new' AS v
        FROM range(1, 100) r(i)"#;
    let output = world.write(table(json!({"mode": "replace"})), new).await.unwrap();
    assert_eq!((output.counts.updated, output.counts.deleted), (99, 601));
    assert_eq!(world.rows("SELECT count(*), max(v), max(a) FROM t").await, "99|new|99");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_stands_in_the_way_is_listed_before_a_row_is_sent() {
    let Some(world) = World::new(KEYED).await else { return };
    let config = table(json!({"mode": "upsert", "key": ["id", "key"]}));
    let text =
        world.refused(config, "SELECT INTERVAL 1 DAY AS id, 1 AS nam, 'x'::BLOB AS name", ErrorKind::Validation).await;
    insta::assert_snapshot!(text, @"
    step `write`: cannot write to table `public.t`: 4 problems
      - no column `key`, which `key` names
      - column `id` is bigint, but column `id` of the input is INTERVAL: no exact conversion: cast it in an earlier step
      - no column `nam` (did you mean `name`?): set `columns`, or `schema_evolution: add_columns`
      - column `name` is text, but column `name` of the input is BLOB: no exact conversion: cast it in an earlier step
    ");
    let nulls = table(json!({}));
    let text = world.refused(nulls, "SELECT 1 AS id, NULL::VARCHAR AS name", ErrorKind::Validation).await;
    assert!(text.contains("is NULL in 1 rows"), "{text}");
    let not_unique = table(json!({"mode": "upsert", "key": "name"}));
    let text = world.refused(not_unique, "SELECT 1 AS id, 'a' AS name", ErrorKind::Validation).await;
    assert!(text.contains("no primary key or unique index"), "{text}");
    let twice = table(json!({"mode": "upsert", "key": "id"}));
    let text = world.refused(twice, "SELECT i % 3 AS id, 'a' AS name FROM range(5) r(i)", ErrorKind::Validation).await;
    assert!(text.contains("2 keys occur more than once"), "{text}");
    let missing = json!({"table": "tt"});
    let text = world.refused(missing, "SELECT 1 AS id", ErrorKind::Validation).await;
    assert!(text.contains("did you mean `t`?") && text.contains("create_if_missing"), "{text}");
    let left_out = table(json!({}));
    let text = world.refused(left_out, "SELECT 1 AS id", ErrorKind::Validation).await;
    assert!(text.contains("`name` is NOT NULL without a default"), "{text}");
    assert_eq!(world.rows("SELECT count(*) FROM t").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_and_generated_columns_may_be_left_out_and_not_written() {
    let setup = "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, x int NOT NULL, twice int NOT NULL GENERATED ALWAYS AS (x * 2) STORED)";
    let Some(world) = World::new(setup).await else { return };
    world.write(table(json!({})), "SELECT 4 AS x").await.unwrap();
    assert_eq!(world.rows("SELECT * FROM t").await, "1|4|8");
    let text = world.refused(table(json!({})), "SELECT 4 AS x, 8 AS twice", ErrorKind::Validation).await;
    assert!(text.contains("twice") && text.contains("`columns`"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_server_refuses_are_found_and_the_others_written() {
    let setup = "CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1);
        CREATE TABLE t (id int PRIMARY KEY, name varchar(3) NOT NULL, n smallint CHECK (n > 0), p int REFERENCES p(id));
        INSERT INTO t VALUES (7, 'old', 1, 1)";
    let Some(world) = World::new(setup).await else { return };
    let data = "SELECT i AS id, CASE i WHEN 3 THEN NULL WHEN 4 THEN 'four' WHEN 5 THEN 'x' || chr(0) ELSE 'ok' END AS name,
        CASE i WHEN 10 THEN -1 WHEN 11 THEN 70000 ELSE 1 END AS n, CASE i WHEN 20 THEN 2 ELSE 1 END AS p FROM range(1, 201) r(i)";
    let output = world.write(table(json!({"max_rejects": 10})), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.rejected), (193, 7));
    insta::assert_snapshot!(world.rejects().await, @r#"
    3|name|NULL, but the column is NOT NULL
    4|name|longer than the column allows (3 characters)
    5|name|NUL character, which PostgreSQL cannot store: see `nul_bytes`
    7|-|duplicate key value violates unique constraint "t_pkey"
    10|-|new row for relation "t" violates check constraint "t_n_check"
    11|n|number out of range for the column
    20|-|insert or update on table "t" violates foreign key constraint "t_p_fkey"
    "#);
    assert_eq!(world.rows("SELECT count(*) FROM t").await, "194");
    // Without leave for rejects a batch with bad rows is not taken apart: nothing of it stays.
    world.execute("DELETE FROM t").await;
    let failure = world.write(
        table(json!({})),
        "SELECT i AS id, 'ok' AS name, (CASE i WHEN 9 THEN -1 ELSE 1 END)::SMALLINT AS n FROM range(20) r(i)",
    );
    let failure = failure.await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Integrity, "{:?}", failure.error);
    assert!(world.rejects().await.contains("one of the rows 1 to 20"), "{}", world.rejects().await);
    assert_eq!(world.rows("SELECT count(*) FROM t").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn nul_characters_are_refused_or_left_out() {
    let Some(world) = World::new(KEYED).await else { return };
    let data = "SELECT 1 AS id, 'a' || chr(0) || 'b' AS name";
    let failure = world.write(table(json!({})), data).await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Integrity);
    let output = world.write(table(json!({"nul_bytes": "strip"})), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.altered), (1, 1));
    assert_eq!(world.rows("SELECT name FROM t").await, "ab");
}

#[tokio::test(flavor = "multi_thread")]
async fn nul_characters_are_left_out_of_arrays_too_and_counted_in_rows_that_are_written() {
    let setup = "CREATE TABLE t (id int PRIMARY KEY CHECK (id <> 3), tags text[], deep text[], nets inet[], doc jsonb)";
    let Some(world) = World::new(setup).await else { return };
    let data = "SELECT i AS id, ['p' || chr(0), 'q'] AS tags, [['r' || chr(0)]] AS deep, \
        ['10.0.0.1'] AS nets, {'k': 'x' || chr(0)} AS doc FROM range(1, 4) r(i)";
    let output = world.write(table(json!({"nul_bytes": "strip", "max_rejects": 1})), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.rejected, output.counts.altered), (2, 1, 6));
    let written = "{p,q}|{{r}}|{10.0.0.1}|{\"k\": \"x\"}";
    assert_eq!(world.rows("SELECT * FROM t ORDER BY id").await, format!("1|{written}\n2|{written}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_row_of_each_key_is_kept_where_that_is_asked_for() {
    let Some(world) = World::new(KEYED).await else { return };
    let config = table(
        json!({"mode": "upsert", "key": "id", "dedupe": "last", "order_by": "seq", "columns": ["id", "name"], "batch_size": 7}),
    );
    let data = "SELECT i % 10 AS id, 'v' || i AS name, i AS seq FROM range(100) r(i)";
    let output = world.write(config, data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.ignored), (10, 90));
    assert_eq!(
        world.rows("SELECT string_agg(name, ',' ORDER BY id) FROM t").await,
        "v90,v91,v92,v93,v94,v95,v96,v97,v98,v99"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_too_much_is_halved() {
    let setup = "CREATE TABLE t (id int PRIMARY KEY, name text);
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.002); RETURN NEW; END';
        CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow();
        ALTER ROLE service_role SET statement_timeout = '500ms'";
    let Some(world) = World::new(setup).await else { return };
    let output = world
        .write(table(json!({"batch_size": 400})), "SELECT i AS id, 'x' AS name FROM range(800) r(i)")
        .await
        .unwrap();
    assert_eq!(output.counts.inserted, 800);
    assert_eq!(world.rows("SELECT count(*) FROM t").await, "800");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_missing_is_made_and_the_api_hears_of_it() {
    let Some(world) = World::new("").await else { return };
    let data = "SELECT i AS id, i * 1.5::DECIMAL(12,2) AS price, 'n' AS \"select\", TIMESTAMP '2024-01-01' AS at, [1, 2] AS l FROM range(3) r(i)";
    let config = table(json!({"mode": "upsert", "key": "id", "create_if_missing": true}));
    let output = world.write(config.clone(), data).await.unwrap();
    assert_eq!(output.counts.inserted, 3);
    assert_eq!(world.rows("SELECT id, price, at, l FROM t WHERE id = 2").await, "2|3.00|2024-01-01 00:00:00|{1,2}");
    let artifact = world.bench.last_event("artifact_created");
    let plan = std::fs::read_to_string(artifact["path"].as_str().unwrap()).unwrap();
    assert!(plan.starts_with("CREATE TABLE \"public\".\"t\""), "{plan}");
    let wider = table(json!({"mode": "upsert", "key": "id", "schema_evolution": "add_columns"}));
    world.write(wider, "SELECT 2 AS id, true AS extra").await.unwrap();
    assert_eq!(world.rows("SELECT extra, price FROM t WHERE id = 2").await, "t|3.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_way_to_make_a_table_the_plan_is_all_there_is() {
    let Some(world) = World::new("").await else { return };
    let nowhere = format!("{}/no/such/endpoint", world.gateway.url());
    let connection = world.gateway.connection_with(json!({"sql_url": nowhere}));
    let input = world.bench.table("source", "SELECT 1 AS id").await.unwrap();
    let config = table(json!({"create_if_missing": true, "key": "id"}));
    let step = world.bench.step("write", "supabase.writer", config).connection(connection).input(&input);
    let failure = step.run().await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Validation, "{:?}", failure.error);
    assert!(failure.error.hint().unwrap().contains("ddl_plan.sql"), "{:?}", failure.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_cannot_say_which_rows_are_new_are_written_all_the_same() {
    let setup = "CREATE TABLE t (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
        CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (1000);
        CREATE TABLE base (id int PRIMARY KEY, v text); CREATE VIEW shown AS SELECT id, v FROM base";
    let Some(world) = World::new(setup).await else { return };
    for name in ["t", "shown"] {
        let config = json!({"table": name, "mode": "upsert", "key": "id"});
        let output = world.write(config, "SELECT i AS id, 'x' AS v FROM range(10) r(i)").await.unwrap();
        assert_eq!((output.counts.updated, output.rows), (10, 10), "{name}");
    }
    assert_eq!(world.rows("SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM base)").await, "10|10");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_api_is_understood_too() {
    let Some(world) = World::with(KEYED, PostgrestOptions::new(), GatewayOptions::new().as_of_16()).await else {
        return;
    };
    let config = table(json!({"mode": "upsert", "key": "id"}));
    world.write(config, "SELECT 1 AS id, 'x' AS name").await.unwrap();
    let text = world.refused(json!({"table": "nope"}), "SELECT 1 AS id", ErrorKind::Validation).await;
    assert!(text.contains("no table `public.nope`"), "{text}");
    let config = json!({"table": "made", "key": "id", "create_if_missing": true});
    world.write(config, "SELECT 1 AS id").await.unwrap();
    assert_eq!(world.rows("SELECT * FROM made").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_the_column_rounds_is_not_passed_over_in_silence() {
    let setup = "CREATE TABLE t (id int PRIMARY KEY, price numeric(10,2))";
    let Some(world) = World::new(setup).await else { return };
    for fields in [json!({}), json!({"mode": "upsert", "key": "id"}), json!({"mode": "overwrite"})] {
        world.execute("DELETE FROM t").await;
        let exact =
            world.write(table(fields.clone()), "SELECT i AS id, 1.500::DECIMAL(9,3) AS price FROM range(3) r(i)").await;
        assert_eq!(exact.unwrap().rows, 3, "{fields}");
        world.execute("DELETE FROM t").await;
        let data = "SELECT i AS id, 1.005::DECIMAL(9,3) AS price FROM range(3) r(i)";
        let text = world.refused(table(fields.clone()), data, ErrorKind::Integrity).await;
        assert!(text.contains("`price`"), "{fields}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_write_and_not_read_can_append() {
    let setup = "CREATE TABLE t (id int, price numeric(10,2)); REVOKE ALL ON t FROM anon; GRANT INSERT ON t TO anon";
    let Some(world) = World::new(setup).await else { return };
    let connection = world.gateway.connection_with(json!({"key": osiris_stand_ins::supabase::tokens::anon()}));
    let input = world.bench.table("source", "SELECT 1 AS id, 1.5::DECIMAL(9,1) AS price").await.unwrap();
    let step = world.bench.step("write", "supabase.writer", table(json!({}))).connection(connection).input(&input);
    let output = step.run().await.unwrap_or_else(|failure| panic!("{:?}", failure.error));
    assert_eq!(output.counts.inserted, 1);
    assert_eq!(world.rows("SELECT * FROM t").await, "1|1.50");
}

#[tokio::test(flavor = "multi_thread")]
async fn g23_a_table_that_the_key_may_not_see_is_not_created_again() {
    let setup = "CREATE TABLE t (id int); REVOKE ALL ON t FROM anon, authenticated, service_role";
    let Some(world) = World::new(setup).await else { return };
    let config = table(json!({"create_if_missing": true, "key": "id"}));
    let text = world.refused(config.clone(), "SELECT 1 AS id", ErrorKind::Permission).await;
    assert!(text.contains("`public.t` is there, but not visible to this key") && text.contains("GRANT"), "{text}");
    assert!(world.bench.last_event("ddl_attempt").is_null(), "{}", world.bench.events().text());
    // The same without `create_if_missing`: it is not "no table".
    let text = world.refused(table(json!({})), "SELECT 1 AS id", ErrorKind::Permission).await;
    assert!(text.contains("not visible to this key"), "{text}");
    // One that the API has not noticed.
    world.execute("CREATE TABLE late (id int)").await;
    let config = json!({"table": "late", "create_if_missing": true, "key": "id"});
    let text = world.refused(config, "SELECT 1 AS id", ErrorKind::Validation).await;
    assert!(text.contains("`public.late` is there") && text.contains("reload schema"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn g23_a_table_that_somebody_else_creates_at_the_same_time_is_there() {
    let Some(world) = World::new("").await else { return };
    let mut direct = world.gateway.connection_with(json!({"channel": "rest"}));
    direct.as_object_mut().unwrap().extend(world.server.supabase_connection().as_object().unwrap().clone());
    let over_api = world.gateway.connection_with(json!({"channel": "rest"}));
    for (table, connection) in [("direct", direct), ("over_api", over_api)] {
        let mut other = world.server.session().await.unwrap();
        Postgres::run(&mut other, &format!("BEGIN; CREATE TABLE {table} (id int)")).await.unwrap();
        let input = world.bench.table("source", "SELECT 1 AS id").await.unwrap();
        let config = json!({"table": table, "create_if_missing": true, "key": "id"});
        let step = world.bench.step("write", "supabase.writer", config).connection(connection).input(&input);
        let committing = async {
            let waits = "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'CREATE TABLE%'";
            let deadline = Instant::now() + Duration::from_secs(60);
            while world.rows(waits).await == "0" {
                assert!(Instant::now() < deadline, "`{table}` is not created");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Postgres::run(&mut other, "COMMIT").await.unwrap();
        };
        let (ended, ()) = tokio::join!(step.run(), committing);
        let text = ended.unwrap_err().error.report();
        assert!(text.contains(&format!("`public.{table}` is there")) && text.contains("reload schema"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g18_tables_are_made_over_the_channel_that_is_named() {
    let Some(world) = World::new("").await else { return };
    let nowhere = format!("{}/no/such/endpoint", world.gateway.url());
    // Each has only one way that works.
    let mut only_database = world.gateway.connection_with(json!({"sql_url": nowhere, "channel": "rest"}));
    only_database.as_object_mut().unwrap().extend(world.server.supabase_connection().as_object().unwrap().clone());
    let only_api = world.gateway.connection_with(json!({"channel": "rest"}));
    for (number, (channel, connection, works)) in [
        ("auto", &only_database, true),
        ("postgres", &only_database, true),
        ("psycopg2", &only_database, true),
        ("http_sql", &only_database, false),
        ("auto", &only_api, true),
        ("http_sql", &only_api, true),
        ("postgres", &only_api, false),
    ]
    .into_iter()
    .enumerate()
    {
        let input = world.bench.table("source", "SELECT 1 AS id").await.unwrap();
        let config =
            json!({"table": format!("t{number}"), "create_if_missing": true, "key": "id", "ddl_channel": channel});
        let step = world.bench.step("write", "supabase.writer", config).connection(connection.clone()).input(&input);
        let ended = step.run().await;
        assert_eq!(ended.is_ok(), works, "{channel}: {ended:?}");
        let exists = world.rows(&format!("SELECT to_regclass('public.t{number}') IS NOT NULL")).await;
        assert_eq!(exists, if works { "t" } else { "f" }, "{channel}");
        let way = world.bench.last_event("ddl_attempt")["channel"].clone();
        let expected =
            if channel == "http_sql" || (channel == "auto" && number == 4) { "http_sql" } else { "postgres" };
        assert_eq!(way, expected, "{channel}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g18_rows_that_the_api_returns_are_asked_for_and_change_nothing() {
    let Some(world) = World::new(KEYED).await else { return };
    for (number, returning) in [json!("minimal"), json!("representation"), json!("*"), json!(["id"])].iter().enumerate()
    {
        let config = table(json!({"returning": returning}));
        let output = world.write(config, format!("SELECT {number} AS id, 'x' AS name").as_str()).await.unwrap();
        assert_eq!(output.counts.inserted, 1, "{returning}");
        let sent = world
            .gateway
            .requests()
            .iter()
            .filter(|seen| seen.method() == "POST")
            .map(|seen| seen.header("prefer").unwrap_or_default().to_owned())
            .next_back()
            .unwrap();
        let expected = if number == 0 { "return=minimal" } else { "return=representation" };
        assert!(sent.contains(expected), "{returning}: {sent}");
    }
    assert_eq!(world.rows("SELECT count(*) FROM t").await, "4");
}

#[tokio::test(flavor = "multi_thread")]
async fn g28_the_schema_and_the_retries_of_the_connection_are_the_default_of_its_steps() {
    let setup = "CREATE SCHEMA shop; GRANT USAGE ON SCHEMA shop TO service_role; CREATE TABLE shop.t (id int PRIMARY KEY, name text); \
        GRANT ALL ON shop.t TO service_role; CREATE TABLE t (id int PRIMARY KEY, name text); GRANT ALL ON t TO service_role";
    let options = PostgrestOptions::new().with_schemas("public,shop");
    let Some(world) = World::with(setup, options, GatewayOptions::new()).await else { return };
    let connection = world.gateway.connection_with(json!({"schema": "shop", "retries": 2}));
    let input = world.bench.table("source", "SELECT 1 AS id, 'a' AS name").await.unwrap();
    for config in [json!({"table": "t"}), json!({"table": "t", "schema": "public"})] {
        let step = world.bench.step("write", "supabase.writer", config).connection(connection.clone()).input(&input);
        step.run().await.unwrap_or_else(|failure| panic!("{:?}", failure.error));
    }
    assert_eq!(world.rows("SELECT (SELECT count(*) FROM shop.t), (SELECT count(*) FROM t)").await, "1|1");
    world.execute("INSERT INTO shop.t VALUES (2, 'b')").await;
    let step = world.bench.step("read", "supabase.extractor", json!({"table": "t"})).connection(connection);
    assert_eq!(step.run().await.unwrap().rows, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn g18_tables_are_made_with_the_key_for_sql_where_there_is_one() {
    let Some(world) = World::new("").await else { return };
    let (service, anon) = (osiris_stand_ins::supabase::tokens::service(), osiris_stand_ins::supabase::tokens::anon());
    for (key, works) in [(anon, false), (service, true)] {
        let connection = world.gateway.connection_with(json!({"sql_key": key}));
        let input = world.bench.table("source", "SELECT 1 AS id").await.unwrap();
        let config = table(json!({"create_if_missing": true, "key": "id"}));
        let step = world.bench.step("write", "supabase.writer", config).connection(connection).input(&input);
        let ended = step.run().await;
        assert_eq!(ended.is_ok(), works, "{ended:?}");
    }
}

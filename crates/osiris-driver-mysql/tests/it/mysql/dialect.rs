//! What MySQL has and MariaDB has not, or has otherwise: each is exact, or refused with what to do.

use osiris_core::ErrorKind;
use osiris_testkit::database::{config, texts, types};
use osiris_testkit::services::MysqlOptions;
use serde_json::json;

use super::subject::{Reading, Writing};

#[tokio::test]
async fn json_is_written_read_and_merged_as_json() {
    let Some(writing) = Writing::new().await else { return };
    writing
        .execute("CREATE TABLE t (id INT PRIMARY KEY, j JSON); INSERT INTO t VALUES (1, '{\"b\": 1, \"a\": [1, 2]}')")
        .await;
    let data = "SELECT * FROM (VALUES (1, '{\"a\": [1,2], \"b\": 1}'::JSON), (2, '\"ů\"'::JSON), (3, 'null'::JSON), (4, NULL)) x(id, j)";
    let upsert = config(json!({"mode": "upsert", "key": "id"}));
    let output = writing.write(upsert.clone(), data).await.unwrap();
    // The same value in another spelling is the same.
    assert_eq!((output.counts.inserted, output.counts.updated, output.counts.unchanged), (3, 0, 1));
    let shown = "SELECT id, j, JSON_TYPE(j) FROM t ORDER BY id";
    assert_eq!(writing.shown(shown).await, "1|{\"a\": [1, 2], \"b\": 1}|OBJECT\n2|\"ů\"|STRING\n3|null|NULL\n4|-|-");
    let failure = writing.write(upsert, "SELECT 5 AS id, '{no' AS j").await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Integrity);
    assert!(!failure.error.report().contains("{no"), "{}", failure.error.report());
    let read =
        writing.bench.step("read", "mysql.extractor", json!({"table": "t"})).connection(writing.connection.clone());
    let output = read.run().await.unwrap();
    assert_eq!(output.rows, 4);
    let kinds = writing.bench.query("SELECT json_type(j::JSON) FROM steps.read ORDER BY id").await.unwrap();
    assert_eq!(texts(&kinds), [["OBJECT"], ["VARCHAR"], ["NULL"], ["∅"]]);
}

#[tokio::test]
async fn a_vector_is_read_as_text_and_written_from_its_bytes_or_refused() {
    let Some(writing) = Writing::new().await else { return };
    writing
        .execute(
            "CREATE TABLE t (id INT PRIMARY KEY, v VECTOR(2)); INSERT INTO t VALUES (1, STRING_TO_VECTOR('[1,-2.5]'))",
        )
        .await;
    let read = |config| writing.bench.step("read", "mysql.extractor", config).connection(writing.connection.clone());
    let failure = read(json!({"table": "t"})).run().await.unwrap_err();
    assert!(failure.error.report().contains("VECTOR_TO_STRING(`v`)"), "{}", failure.error.report());
    let output = read(json!({"query": "SELECT VECTOR_TO_STRING(v) AS v FROM t"})).run().await.unwrap();
    assert_eq!(types(&output), ["v VARCHAR"]);
    let report = writing.refused(config(json!({})), "SELECT 2 AS id, '[1,2]' AS v").await;
    assert!(report.contains("four-byte little-endian floats"), "{report}");
    writing
        .write(config(json!({})), "SELECT 2 AS id, '\\x00\\x00\\x80\\x3F\\x00\\x00\\x20\\xC0'::BLOB AS v")
        .await
        .unwrap();
    assert_eq!(writing.shown("SELECT COUNT(DISTINCT HEX(v)) FROM t").await, "1");
    let upsert = config(json!({"mode": "upsert", "key": "id"}));
    let output =
        writing.write(upsert, "SELECT 2 AS id, '\\x00\\x00\\x80\\x3F\\x00\\x00\\x80\\x3F'::BLOB AS v").await.unwrap();
    assert_eq!(output.counts.updated, 1);
}

#[tokio::test]
async fn a_server_that_wants_primary_keys_gets_them_or_the_key_is_asked_for() {
    let Some(writing) = Writing::with(MysqlOptions::new()).await else { return };
    writing
        .execute(
            "CREATE TABLE keyless (id INT); INSERT INTO keyless VALUES (1); SET GLOBAL sql_require_primary_key = ON",
        )
        .await;
    let failure = writing.write(config(json!({"create_table": true})), "SELECT 1 AS id").await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Validation);
    assert!(failure.error.report().contains("set `key`"), "{}", failure.error.report());
    let keyed = config(json!({"create_table": true, "key": "id", "mode": "upsert"}));
    for id in [1, 2] {
        writing.write(keyed.clone(), format!("SELECT {id} AS id").as_str()).await.unwrap();
    }
    assert_eq!(writing.shown("SELECT COUNT(*) FROM t").await, "2");
    // A table that was there before is replaced in place.
    writing.write(json!({"table": "keyless", "mode": "overwrite"}), "SELECT 7 AS id").await.unwrap();
    assert_eq!(writing.shown("SELECT id FROM keyless").await, "7");
}

#[tokio::test]
async fn invisible_columns_and_keys_that_the_server_makes_are_left_alone() {
    let Some(writing) = Writing::with(MysqlOptions::new()).await else { return };
    writing
        .execute(
            "SET SESSION sql_generate_invisible_primary_key = ON; CREATE TABLE t (a INT, hidden INT INVISIBLE DEFAULT 5); \
             INSERT INTO t (a) VALUES (1)",
        )
        .await;
    for mode in ["append", "overwrite"] {
        writing.write(config(json!({"mode": mode})), "SELECT 2 AS a").await.unwrap();
    }
    writing.write(config(json!({})), "SELECT 3 AS a, 9 AS hidden").await.unwrap();
    assert_eq!(writing.shown("SELECT a, hidden FROM t ORDER BY a").await, "2|5\n3|9");
    let read =
        writing.bench.step("read", "mysql.extractor", json!({"table": "t"})).connection(writing.connection.clone());
    assert_eq!(types(&read.run().await.unwrap()), ["a INTEGER"]);
}

#[tokio::test]
async fn a_unique_index_over_an_expression_keeps_its_meaning() {
    let Some(writing) = Writing::new().await else { return };
    writing.execute("CREATE TABLE t (id INT PRIMARY KEY, email VARCHAR(20), UNIQUE ((LOWER(email)))); INSERT INTO t VALUES (1, 'A')").await;
    let upsert = config(json!({"mode": "upsert", "key": "id"}));
    let failure = writing.write(upsert.clone(), "SELECT 2 AS id, 'a' AS email").await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Integrity, "{:?}", failure.error);
    let data = "SELECT * FROM (VALUES (1, 'B'), (2, 'c')) x(id, email)";
    let output = writing.write(upsert, data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.updated), (1, 1));
    let report =
        writing.refused(config(json!({"mode": "upsert", "key": "email"})), "SELECT 3 AS id, 'd' AS email").await;
    assert!(report.contains("no primary key or unique index on exactly the columns of `key` (email)"), "{report}");
    writing.write(config(json!({"mode": "overwrite"})), data).await.unwrap();
    assert!(writing.shown("SHOW CREATE TABLE t").await.contains("lower(`email`)"));
}

#[tokio::test]
async fn a_query_that_the_server_does_not_group_is_refused_with_the_way_out() {
    let Some(reading) = Reading::start(MysqlOptions::new()).await else { return };
    reading.execute("CREATE TABLE t (a INT, b INT); INSERT INTO t VALUES (1, 2), (1, 3)").await;
    let failure = reading.failure(json!({"query": "SELECT a, b FROM t GROUP BY a"})).await;
    assert_eq!(failure.error.kind(), ErrorKind::Validation);
    assert!(failure.error.report().contains("ANY_VALUE()"), "{}", failure.error.report());
    let rows = reading.rows(json!({"query": "SELECT a, SUM(b) AS b FROM t GROUP BY a"})).await;
    assert_eq!(texts(&rows), [["1", "5"]]);
}

#[tokio::test]
async fn an_account_signs_in_by_caching_sha2_password_without_tls() {
    let Some(mut writing) = Writing::with(MysqlOptions::new()).await else { return };
    writing.execute("CREATE TABLE t (id INT)").await;
    for (number, tls) in ["disabled", "preferred", "required"].into_iter().enumerate() {
        // Each is new to the server, which then wants the whole password and not only its digest.
        writing
            .execute(&format!(
                "CREATE USER fresh{number}@'%' IDENTIFIED WITH caching_sha2_password BY 'p@ss ů'; GRANT ALL ON test.* TO fresh{number}@'%'"
            ))
            .await;
        let fields = json!({"user": format!("fresh{number}"), "password": "p@ss ů", "tls": tls});
        writing.connection = writing.server.connection_with(fields);
        writing.write(config(json!({})), "SELECT 1 AS id").await.unwrap();
    }
    assert_eq!(writing.shown("SELECT COUNT(*) FROM t").await, "3");
}

#[tokio::test]
async fn rights_that_come_by_a_role_are_enough_and_a_trigger_is_kept() {
    let Some(mut writing) = Writing::with(MysqlOptions::new()).await else { return };
    writing
        .execute(
            "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1); CREATE TABLE log (n INT); \
             CREATE TRIGGER noted AFTER INSERT ON t FOR EACH ROW INSERT INTO log VALUES (NEW.id); \
             CREATE ROLE loader; GRANT SELECT, INSERT, UPDATE, DELETE, CREATE TEMPORARY TABLES ON test.* TO loader; \
             CREATE USER member@'%' IDENTIFIED BY 'pw'; GRANT loader TO member@'%'",
        )
        .await;
    writing.connection = writing.server.connection_with(json!({"user": "member", "password": "pw"}));
    let failure = writing.write(config(json!({})), "SELECT 2 AS id").await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Permission);
    assert!(failure.error.report().contains("SET DEFAULT ROLE"), "{}", failure.error.report());
    writing.execute("SET DEFAULT ROLE loader TO member@'%'").await;
    for settings in [json!({}), json!({"mode": "overwrite"}), json!({"mode": "upsert", "key": "id"})] {
        writing.write(config(settings), "SELECT 2 AS id").await.unwrap();
    }
    assert_eq!(writing.shown("SELECT COUNT(*) FROM log").await, "2");
    assert_eq!(writing.shown("SELECT id FROM t").await, "2");
}

#[tokio::test]
async fn s31_functions_that_the_server_has_loaded_are_refused_by_what_it_lists() {
    let Some(reading) = Reading::start(MysqlOptions::new()).await else { return };
    reading
        .execute("CREATE USER seer@'%' IDENTIFIED BY 'pw'; GRANT ALL ON *.* TO seer@'%'; CREATE TABLE t (id INT)")
        .await;
    let listed = "SELECT COUNT(*) FROM performance_schema.user_defined_functions";
    assert_ne!(reading.server.value(listed).await.unwrap().as_deref(), Some("0"));
    let seer = json!({"user": "seer", "password": "pw"});
    // Ones that no list of ours knows, and others that are known to read.
    reading.execute("INSTALL COMPONENT 'file://component_mysqlbackup', 'file://component_classic_hashing'").await;
    for (config, refused) in [
        (json!({"query": "SELECT mysqlbackup_page_track_get_start_lsn() AS a"}), true),
        (json!({"table": "t", "where": "`mysqlbackup_page_track_get_start_lsn` () = 1"}), true),
        (json!({"query": "SELECT md5('x') AS a"}), false),
        (json!({"query": "SELECT LOWER('x') AS a"}), false),
    ] {
        let outcome = reading.run("read", config.clone(), seer.clone()).await;
        assert_eq!(outcome.is_err(), refused, "{config}: {outcome:?}");
        if let Err(failure) = outcome {
            assert!(
                failure.error.report().contains("library that the server has loaded"),
                "{}",
                failure.error.report()
            );
        }
    }
}

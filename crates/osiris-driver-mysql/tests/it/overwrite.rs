//! Overwrite: the exchange of tables, what it keeps, and what is deleted in place instead. Columns that are added, tables made.

use osiris_testkit::database::{config, writes};
use serde_json::json;

use super::Server;
use super::subject::Writing;

#[tokio::test]
async fn the_table_keeps_its_definition_and_gets_new_rows() {
    let Some(writing) = Writing::new().await else { return };
    writing
        .execute(
            "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(5) NOT NULL DEFAULT 'd', u INT, UNIQUE (u)) COMMENT 'mine'; \
             INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2); CREATE VIEW w AS SELECT id FROM t",
        )
        .await;
    let before = writing.shown("SHOW CREATE TABLE t").await;
    let overwrite = config(json!({"mode": "replace", "columns": ["id", "u"]}));
    let output = writing.write(overwrite.clone(), "SELECT 5 AS id, 6 AS u").await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.deleted), (1, 2));
    assert_eq!(writing.shown("SELECT * FROM t").await, "5|d|6");
    assert_eq!(writing.shown("SELECT * FROM w").await, "5");
    let strip = |text: &str| text.split(" AUTO_INCREMENT=").next().unwrap_or_default().to_owned();
    assert_eq!(strip(&before), strip(&writing.shown("SHOW CREATE TABLE t").await));
    writing.write(overwrite, "SELECT 5 AS id, 6 AS u WHERE false").await.unwrap();
    assert_eq!(writing.shown("SELECT COUNT(*) FROM t").await, "0");
    assert_eq!(writing.shown("SHOW TABLES").await, "t\nw");
}

#[tokio::test]
async fn g35_truncate_before_changes_nothing_where_all_rows_are_replaced() {
    let Some(writing) = Writing::new().await else { return };
    for mode in ["replace", "overwrite"] {
        writing.execute("DROP TABLE IF EXISTS t; CREATE TABLE t (id INT); INSERT INTO t VALUES (1), (2)").await;
        let settings = config(json!({"mode": mode, "truncate_before": true}));
        let output = writing.write(settings, "SELECT 3 AS id").await.unwrap();
        assert_eq!((output.counts.inserted, output.counts.deleted), (1, 2), "{mode}");
        assert_eq!(writing.shown("SELECT * FROM t").await, "3", "{mode}");
    }
}

#[tokio::test]
async fn triggers_and_foreign_keys_stay_in_force() {
    let Some(writing) = Writing::new().await else { return };
    writing
        .execute(
            "CREATE TABLE p (id INT PRIMARY KEY); INSERT INTO p VALUES (1); \
             CREATE TABLE t (id INT, p INT, FOREIGN KEY (p) REFERENCES p (id)); INSERT INTO t VALUES (1, 1); \
             CREATE TABLE log (n INT); CREATE TABLE u (id INT); INSERT INTO u VALUES (1); \
             CREATE TRIGGER noted AFTER INSERT ON u FOR EACH ROW INSERT INTO log VALUES (NEW.id)",
        )
        .await;
    let output = writing.write(config(json!({"mode": "overwrite"})), "SELECT 2 AS id, 1 AS p").await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.deleted), (1, 1));
    writing.write(json!({"table": "u", "mode": "overwrite"}), "SELECT 8 AS id").await.unwrap();
    assert_eq!(writing.shown("SELECT * FROM log").await, "8");
    assert!(writing.server.execute("INSERT INTO t VALUES (3, 99)").await.is_err(), "the foreign key is gone");
}

#[tokio::test]
async fn rows_of_other_tables_are_never_removed_by_a_cascade() {
    let Some(writing) = Writing::new().await else { return };
    let settings = [json!({"mode": "overwrite"}), json!({"truncate_before": true})];
    writes::cascades_are_refused(&writing, &settings).await;
}

#[tokio::test]
async fn columns_are_added_when_allowed_and_refused_otherwise() {
    let Some(writing) = Writing::new().await else { return };
    let plan = writes::columns_are_added_when_allowed(&writing, "1").await;
    assert!(plan.contains("ADD COLUMN `price` DECIMAL(6,2)"), "{plan}");
}

#[tokio::test]
async fn what_an_interrupted_write_left_is_cleared_away() {
    let Some(writing) = Writing::new().await else { return };
    writing.execute("CREATE TABLE t (id INT); INSERT INTO t VALUES (1)").await;
    writing.write(config(json!({"mode": "overwrite"})), "SELECT 2 AS id").await.unwrap();
    let name = osiris_beside(&writing).await;
    writing
        .execute(&format!("CREATE TABLE `__osiris_new_{name}` (x INT); CREATE TABLE `__osiris_old_{name}` (x INT)"))
        .await;
    writing.write(config(json!({"mode": "overwrite"})), "SELECT 3 AS id").await.unwrap();
    assert_eq!(writing.shown("SELECT * FROM t").await, "3");
    assert_eq!(writing.shown("SHOW TABLES").await, "t");
    // A server that died between the two halves of the exchange.
    writing
        .execute(&format!("CREATE TABLE `__osiris_new_{name}` (x INT); RENAME TABLE t TO `__osiris_old_{name}`"))
        .await;
    writing.write(config(json!({"mode": "upsert", "key": "id"})), "SELECT 4 AS id").await.unwrap_err();
    assert_eq!(writing.shown("SELECT * FROM t").await, "3");
    writing.write(config(json!({"mode": "overwrite"})), "SELECT 4 AS id").await.unwrap();
    assert_eq!(writing.shown("SELECT * FROM t").await, "4");
    assert_eq!(writing.shown("SHOW TABLES").await, "t");
}

/// The mark in the names of the tables beside `t`: FNV-1a of its full name.
pub(crate) async fn osiris_beside(writing: &Writing) -> String {
    let name = format!("{}.t", writing.server.database());
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

#[tokio::test]
async fn two_writes_into_one_table_come_one_after_the_other() {
    let Some(writing) = Writing::new().await else { return };
    writing.execute("CREATE TABLE t (id INT)").await;
    writes::writes_come_one_after_the_other(&writing, json!({"mode": "overwrite"}), async {}).await;
}

#[tokio::test]
async fn a_created_table_has_the_types_of_the_input() {
    let Some(writing) = Writing::new().await else { return };
    let data = "SELECT 1::UBIGINT AS id, 'k' AS code, 1.5::DECIMAL(10,3) AS d, 'x'::BLOB AS b, {'a': 1} AS s, \
        NOW()::TIMESTAMP AS at, '12:00'::TIME AS tod, 1::HUGEINT AS h";
    let settings = config(json!({"create_table": true, "key": ["id", "code"]}));
    writing.write(settings, data).await.unwrap();
    let columns = "SELECT COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_KEY FROM information_schema.COLUMNS \
        WHERE TABLE_NAME = 't' AND TABLE_SCHEMA = DATABASE() ORDER BY ORDINAL_POSITION";
    let shown = writing.shown(columns).await;
    let shown = if Server::IS_MARIADB {
        shown
    } else {
        shown.replace("bigint unsigned", "bigint(20) unsigned").replace("s|json", "s|longtext")
    };
    insta::assert_snapshot!(shown, @"
    id|bigint(20) unsigned|NO|PRI
    code|varchar(766)|NO|PRI
    d|decimal(10,3)|YES|
    b|longblob|YES|
    s|longtext|YES|
    at|datetime(6)|YES|
    tod|time(6)|YES|
    h|decimal(38,0)|YES|
    ");
}

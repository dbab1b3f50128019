//! What hangs on a table that is overwritten: triggers, foreign keys of this database and of others, views, grants, history and
//! numbers, each with an account that sees it and with one that does not.

use osiris_testkit::database::config;
use osiris_testkit::services::MysqlOptions;
use serde_json::{Value, json};

use super::Server;
use super::subject::Writing;

/// An account that sees everything, or one with rights on one database.
async fn writing(sees: bool) -> Option<Writing> {
    let mut writing = Writing::with(MysqlOptions::new()).await?;
    if sees {
        writing.execute("CREATE USER seer@'%' IDENTIFIED BY 'pw'; GRANT ALL ON *.* TO seer@'%'").await;
        writing.connection = writing.server.connection_with(json!({"user": "seer", "password": "pw"}));
    }
    Some(writing)
}

fn overwrite() -> Value {
    config(json!({"mode": "overwrite"}))
}

/// What has InnoDB's number for it, which changes with the table.
async fn table_id(writing: &Writing) -> String {
    let view = if Server::IS_MARIADB { "INNODB_SYS_TABLES" } else { "INNODB_TABLES" };
    writing.shown(&format!("SELECT TABLE_ID FROM information_schema.{view} WHERE NAME LIKE '%/t'")).await
}

#[tokio::test]
async fn s41_a_foreign_key_in_another_database_survives_an_overwrite() {
    for sees in [true, false] {
        let Some(writing) = writing(sees).await else { return };
        writing
            .execute(
                "CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1); CREATE DATABASE hidden; \
                 CREATE TABLE hidden.child (p INT, FOREIGN KEY (p) REFERENCES test.t (id))",
            )
            .await;
        let before = table_id(&writing).await;
        for id in [2, 3] {
            writing.write(overwrite(), format!("SELECT {id} AS id, 2 AS v").as_str()).await.unwrap();
        }
        assert_eq!(writing.shown("SHOW TABLES").await, "t", "sees: {sees}");
        assert_eq!(table_id(&writing).await, before, "sees: {sees}: the table was exchanged for another one");
        writing.execute("INSERT INTO hidden.child VALUES (3)").await;
        assert!(
            writing.server.execute("INSERT INTO hidden.child VALUES (99)").await.is_err(),
            "the foreign key is gone"
        );
        // A row that another table needs is not removed: the write fails and says so, and the table is as it was.
        let failure = writing.write(overwrite(), "SELECT 4 AS id, 4 AS v").await.unwrap_err();
        assert!(failure.error.report().contains("foreign key"), "{}", failure.error.report());
        assert_eq!(writing.shown("SELECT id FROM t").await, "3");
    }
}

#[tokio::test]
async fn s41_a_foreign_key_of_the_table_itself_survives_an_overwrite() {
    for sees in [true, false] {
        let Some(writing) = writing(sees).await else { return };
        writing
            .execute(
                "CREATE DATABASE hidden; CREATE TABLE hidden.parent (id INT PRIMARY KEY); INSERT INTO hidden.parent VALUES (1); \
                 CREATE TABLE t (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES hidden.parent (id))",
            )
            .await;
        writing.write(overwrite(), "SELECT 1 AS id, 1 AS p").await.unwrap();
        assert!(writing.server.execute("INSERT INTO t VALUES (2, 99)").await.is_err(), "the foreign key is gone");
        assert!(writing.server.execute("DELETE FROM hidden.parent").await.is_err(), "the foreign key is gone");
    }
}

#[tokio::test]
async fn s41_a_trigger_that_the_account_does_not_see_survives_an_overwrite() {
    for sees in [true, false] {
        let Some(mut writing) = writing(sees).await else { return };
        if !sees {
            writing
                .execute(
                    "CREATE USER plain@'%' IDENTIFIED BY 'pw'; \
                     GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER ON test.* TO plain@'%'",
                )
                .await;
            writing.connection = writing.server.connection_with(json!({"user": "plain", "password": "pw"}));
        }
        writing
            .execute(
                "CREATE TABLE log (n INT); CREATE TABLE t (id INT); INSERT INTO t VALUES (1); \
                 CREATE TRIGGER noted AFTER INSERT ON t FOR EACH ROW INSERT INTO log VALUES (NEW.id)",
            )
            .await;
        writing.write(overwrite(), "SELECT 8 AS id").await.unwrap();
        assert_eq!(writing.shown("SELECT * FROM log").await, "8", "sees: {sees}");
        writing.execute("INSERT INTO t VALUES (9)").await;
        assert_eq!(writing.shown("SELECT * FROM log").await, "8\n9", "sees: {sees}");
    }
}

#[tokio::test]
async fn s41_views_grants_and_numbers_survive_an_overwrite() {
    for sees in [true, false] {
        let Some(writing) = writing(sees).await else { return };
        writing
            .execute(
                "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT); INSERT INTO t VALUES (100, 1); \
                 CREATE VIEW w AS SELECT v FROM t; \
                 CREATE USER reader@'%' IDENTIFIED BY 'pw'; GRANT SELECT ON test.t TO reader@'%'",
            )
            .await;
        let before = table_id(&writing).await;
        let settings = config(json!({"mode": "overwrite", "columns": ["v"]}));
        writing.write(settings.clone(), "SELECT 7 AS v").await.unwrap();
        // One that sees everything has the table exchanged, and the numbers go on all the same.
        assert_eq!(table_id(&writing).await != before, sees);
        writing.execute("INSERT INTO t (v) VALUES (8)").await;
        assert_eq!(writing.shown("SELECT MIN(v), MAX(v), MAX(id) > 101 FROM t").await, "7|8|1", "sees: {sees}");
        assert_eq!(writing.shown("SELECT COUNT(*) FROM w").await, "2");
        let mut reader = writing.server.connect_as("reader", "pw").await.unwrap();
        let rows = sqlx::query("SELECT * FROM test.t").fetch_all(&mut reader).await.unwrap();
        assert_eq!(rows.len(), 2, "sees: {sees}");
        assert_eq!(writing.shown("SHOW TABLES").await, "t\nw");
    }
}

#[tokio::test]
async fn s41_a_table_that_keeps_its_history_goes_on_keeping_it() {
    if !Server::IS_MARIADB {
        return;
    }
    for sees in [true, false] {
        let Some(writing) = writing(sees).await else { return };
        writing.execute("CREATE TABLE t (id INT PRIMARY KEY) WITH SYSTEM VERSIONING; INSERT INTO t VALUES (1)").await;
        writing.write(overwrite(), "SELECT 2 AS id").await.unwrap();
        assert_eq!(writing.shown("SELECT id FROM t").await, "2");
        assert_eq!(writing.shown("SELECT id FROM t FOR SYSTEM_TIME ALL ORDER BY id").await, "1\n2", "sees: {sees}");
    }
}

#[tokio::test]
async fn s41_a_table_without_transactions_is_exchanged_only_by_an_account_that_would_see_its_triggers() {
    let Some(mut writing) = writing(false).await else { return };
    writing
        .execute(
            "CREATE TABLE t (id INT) ENGINE=MyISAM; CREATE USER plain@'%' IDENTIFIED BY 'pw'; \
             GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER ON test.* TO plain@'%'",
        )
        .await;
    writing.write(overwrite(), "SELECT 2 AS id").await.unwrap();
    writing.connection = writing.server.connection_with(json!({"user": "plain", "password": "pw"}));
    let report = writing.refused(overwrite(), "SELECT 3 AS id").await;
    assert!(report.contains("MyISAM") && report.contains("TRIGGER"), "{report}");
    assert_eq!(writing.shown("SELECT id FROM t").await, "2");
}

#[tokio::test]
async fn s41_named_checks_keep_their_names() {
    for sees in [true, false] {
        let Some(writing) = writing(sees).await else { return };
        writing.execute("CREATE TABLE t (id INT, CONSTRAINT positive CHECK (id > 0)); INSERT INTO t VALUES (1)").await;
        writing.write(overwrite(), "SELECT 2 AS id").await.unwrap();
        assert!(writing.shown("SHOW CREATE TABLE t").await.contains("`positive`"), "sees: {sees}");
    }
}

#[tokio::test]
async fn s44_old_rows_that_an_overwrite_left_are_not_brought_back_for_a_table_that_somebody_dropped() {
    let Some(writing) = Writing::new().await else { return };
    let mark = super::overwrite::osiris_beside(&writing).await;
    writing
        .execute(&format!("CREATE TABLE `__osiris_old_{mark}` (id INT); INSERT INTO `__osiris_old_{mark}` VALUES (1)"))
        .await;
    for settings in [json!({}), json!({"create_table": true}), json!({"mode": "overwrite", "create_table": true})] {
        let report = writing.refused(config(settings), "SELECT 2 AS id").await;
        assert!(report.contains("__osiris_old_") && report.contains("RENAME"), "{report}");
    }
    assert_eq!(writing.shown("SHOW TABLES").await, format!("__osiris_old_{mark}"));
}

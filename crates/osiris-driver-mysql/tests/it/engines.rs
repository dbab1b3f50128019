//! Tables of engines without transactions, as `docs/concepts.md` describes them.

use osiris_testkit::database::config;
use serde_json::{Value, json};

use super::Server;
use super::subject::Writing;

/// The engines without transactions that a server has.
fn engines() -> &'static [&'static str] {
    if Server::IS_MARIADB { &["MyISAM", "Aria", "MEMORY"] } else { &["MyISAM", "MEMORY"] }
}

fn table(engine: &str) -> String {
    format!(
        "DROP TABLE IF EXISTS t; CREATE TABLE t (id INT PRIMARY KEY, v INT) ENGINE={engine}; INSERT INTO t VALUES (1, 1), (2, 2)"
    )
}

#[tokio::test]
async fn rows_are_not_added_to_a_table_without_transactions() {
    let Some(writing) = Writing::new().await else { return };
    for engine in engines() {
        writing.execute(&table(engine)).await;
        for settings in [
            json!({}),
            json!({"mode": "append", "commit_table": "osiris_commits"}),
            json!({"mode": "upsert", "key": "id"}),
            json!({"mode": "upsert", "key": "id", "on_conflict": "ignore"}),
            json!({"truncate_before": true}),
        ] {
            let report = writing.refused(config(settings.clone()), "SELECT 3 AS id, 3 AS v").await;
            let said = format!("its engine {engine} has no transactions");
            assert!(report.contains(&said) && report.contains("ENGINE = InnoDB"), "{engine}, {settings}: {report}");
            assert_eq!(writing.shown("SELECT * FROM t ORDER BY id").await, "1|1\n2|2", "{engine}, {settings}");
        }
    }
}

/// A key that is there already comes last: an overwrite that wrote in place would have left the rows before it.
const BAD: &str = "SELECT if(i = 4999, 0, i)::INTEGER AS id, 1 AS v FROM range(5000) r(i)";

#[tokio::test]
async fn all_rows_of_a_table_without_transactions_are_exchanged_or_none() {
    let Some(writing) = Writing::new().await else { return };
    let overwrite = |more: Value| {
        let mut settings = config(json!({"mode": "overwrite", "batch_size": 500}));
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        settings
    };
    for engine in engines() {
        writing.execute(&table(engine)).await;
        writing.write(overwrite(json!({})), BAD).await.unwrap_err();
        assert_eq!(writing.shown("SELECT * FROM t ORDER BY id").await, "1|1\n2|2", "{engine}");
        let output = writing.write(overwrite(json!({})), "SELECT 7 AS id, 7 AS v").await.unwrap();
        assert_eq!((output.counts.inserted, output.counts.deleted), (1, 2), "{engine}");
        assert_eq!(writing.shown("SELECT * FROM t").await, "7|7", "{engine}");
        let found = writing.shown("SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_NAME = 't'").await;
        assert_eq!(&found, engine, "it keeps its engine");
        assert_eq!(writing.shown("SHOW TABLES LIKE '\\_\\_osiris%'").await, "", "{engine}");
        // What stands in the way of an exchange leaves no way at all.
        writing.execute("CREATE TRIGGER watch AFTER INSERT ON t FOR EACH ROW SET @seen = NEW.id").await;
        let report = writing.refused(overwrite(json!({})), "SELECT 8 AS id, 8 AS v").await;
        assert!(report.contains(&format!("its engine {engine} has no transactions")), "{engine}: {report}");
        assert!(report.contains("it cannot be swapped for a new table either"), "{engine}: {report}");
        assert_eq!(writing.shown("SELECT * FROM t").await, "7|7", "{engine}");
    }
}

#[tokio::test]
async fn a_table_that_is_created_has_transactions_whatever_the_default_of_the_server() {
    let Some(writing) = Writing::with(osiris_testkit::services::MysqlOptions::new()).await else { return };
    writing.execute("SET GLOBAL default_storage_engine = MyISAM").await;
    for mode in ["append", "overwrite"] {
        writing.execute("DROP TABLE IF EXISTS t").await;
        let create = config(json!({"mode": mode, "create_table": true}));
        writing.write(create.clone(), "SELECT 1 AS id").await.unwrap();
        let found = writing.shown("SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_NAME = 't'").await;
        assert_eq!(found, "InnoDB", "{mode}");
        writing.write(create, "SELECT 2 AS id").await.unwrap();
    }
}

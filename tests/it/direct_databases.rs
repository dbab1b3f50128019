//! From one database into another, without a table between them: both work at once, and neither loses what the other does not see.

use std::sync::Arc;
use std::time::Duration;

use osiris_e2e::{Program, Project};
use osiris_testkit::proxy::{Direction, Fault, Proxy};
use osiris_testkit::services::{Mariadb, Postgres};
use serde_json::{Value, json};

const ROWS: u64 = 200_000;

struct Pair {
    project: Project,
    source: Postgres,
    target: Mariadb,
    /// Before the target.
    proxy: Arc<Proxy>,
}

impl Pair {
    /// A table of rows in PostgreSQL, and one of two other rows in MariaDB.
    async fn new(mode: &str) -> Option<Self> {
        let (source, target) = (Postgres::start().await.unwrap()?, Mariadb::start().await.unwrap()?);
        let rows = format!("SELECT i::bigint AS id, 'name ' || i AS label FROM generate_series(1, {ROWS}) i");
        source.execute(&format!("CREATE TABLE orders AS {rows}")).await.unwrap();
        target
            .execute("CREATE TABLE orders (id BIGINT PRIMARY KEY, label VARCHAR(50) NOT NULL); INSERT INTO orders VALUES (0, ''), (-1, '')")
            .await
            .unwrap();
        let steps = format!(
            "  - {{id: orders, component: postgres.extractor, mode: read, config: {{table: orders, connection: \"@postgres.shop\"}}}}
  - {{id: load, component: mysql.writer, mode: write, config: {{table: orders, mode: {mode}, connection: \"@mysql.lake\"}}}}
"
        );
        let project = Project::with_steps(Program::built(), &steps);
        let proxy = Arc::new(Proxy::start(target.address().unwrap()).unwrap());
        let limits = json!({"port": proxy.port(), "connect_timeout": 3, "read_timeout": 3});
        let connections = json!({"version": 1, "connections": {
            "postgres": {"shop": source.connection()},
            "mysql": {"lake": target.connection_with(limits)},
        }});
        project.write("osiris_connections.yaml", connections.to_string());
        Some(Self { project, source, target, proxy })
    }

    async fn rows(&self) -> (u64, u64) {
        let sql = "SELECT COUNT(*), CAST(SUM(id) AS CHAR) FROM orders WHERE id > 0";
        let row = self.target.rows(sql).await.unwrap().remove(0);
        let number = |index: usize| row[index].as_deref().unwrap_or("0").parse().unwrap();
        (number(0), number(1))
    }

    /// The values of a metric of a step, in the latest run.
    fn metric(&self, step: &str, name: &str) -> Vec<u64> {
        let run = self.project.runs().pop().unwrap();
        let metrics = self.project.lines(&run, "metrics.jsonl");
        let of_step = metrics.iter().filter(|line| line["metric"] == name && line["tags"]["step"] == step);
        of_step.map(|line| line["value"].as_u64().unwrap()).collect()
    }

    /// How many rows the writer was told it would get, in each of its runs: null for rows that arrive.
    fn announced(&self) -> Vec<Value> {
        let run = self.project.runs().pop().unwrap();
        let events = self.project.lines(&run, "events.jsonl");
        let of_load = events.iter().filter(|event| event["event"] == "inputs_resolved" && event["step_id"] == "load");
        of_load.map(|event| event["rows"].clone()).collect()
    }
}

const ALL: (u64, u64) = (ROWS, ROWS * (ROWS + 1) / 2);

#[tokio::test]
async fn every_row_goes_directly_and_once() {
    for mode in ["append", "overwrite"] {
        let Some(pair) = Pair::new(mode).await else { return };
        let done = pair.project.run(&["run", "pipeline.yaml", "--json"]).with_code(0).json();
        assert_eq!((&done["steps"][0]["stored"], &done["steps"][1]["inserted"]), (&json!(ROWS), &json!(ROWS)));
        assert_eq!(pair.announced(), [Value::Null], "the rows went directly");
        assert_eq!(pair.rows().await, ALL);
    }
}

#[tokio::test]
async fn both_start_over_when_the_destination_goes_away() {
    for mode in ["append", "overwrite"] {
        let Some(pair) = Pair::new(mode).await else { return };
        pair.proxy.set(Fault::Cut { direction: Direction::Up, after: 1 << 20 });
        let restoring = Arc::clone(&pair.proxy);
        let restorer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(3));
            restoring.set(Fault::Pass);
        });
        let done = pair.project.run(&["run", "pipeline.yaml", "--json"]).with_code(0).json();
        restorer.join().unwrap();
        let attempts = |step: usize| done["steps"][step]["attempts"].as_u64().unwrap();
        assert!(attempts(0) > 1 && attempts(1) > 1, "{done}");
        assert_eq!(pair.announced().len() as u64, attempts(1));
        assert_eq!(pair.rows().await, ALL, "{mode}");
        for (index, step) in ["orders", "load"].into_iter().enumerate() {
            // The source may have ended well in a round in which the receiver failed: then it has told its metrics before.
            assert_eq!(pair.metric(step, "attempts").last(), Some(&attempts(index)), "{step}: {done}");
            let waited = pair.metric(step, "retry_wait_ms");
            assert!(matches!(waited.last(), Some(100..60_000)), "{step}: {waited:?}");
        }
        let left = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME <> 'orders'";
        assert_eq!(pair.target.rows(left).await.unwrap(), Vec::<Vec<Option<String>>>::new());
    }
}

#[tokio::test]
async fn a_source_that_fails_half_way_changes_nothing() {
    for mode in ["append", "overwrite"] {
        let Some(pair) = Pair::new(mode).await else { return };
        let failing = format!("query: \"SELECT id, label, 1 / (id - {ROWS}) AS x FROM orders\"");
        let steps = pair
            .project
            .read("pipeline.yaml")
            .replace("table: orders, connection: \"@postgres", &format!("{failing}, connection: \"@postgres"));
        let steps = steps.replace("table: orders, mode", "table: orders, columns: [id, label], mode");
        pair.project.write("pipeline.yaml", steps);
        let failed = pair.project.run(&["run", "pipeline.yaml"]).with_code(1);
        assert!(failed.stderr.contains("division by zero"), "{}", failed.stderr);
        assert_eq!(pair.target.value("SELECT COUNT(*) FROM orders").await.unwrap().as_deref(), Some("2"), "{mode}");
    }
}

#[tokio::test]
async fn a_row_that_the_destination_refuses_is_named_and_changes_nothing() {
    let Some(pair) = Pair::new("append").await else { return };
    pair.source.execute(&format!("UPDATE orders SET label = NULL WHERE id = {}", ROWS - 10)).await.unwrap();
    let failed = pair.project.run(&["run", "pipeline.yaml"]).with_code(3);
    assert!(failed.stderr.contains("column `label`: NULL, but the column is NOT NULL"), "{}", failed.stderr);
    assert_eq!(pair.target.value("SELECT COUNT(*) FROM orders").await.unwrap().as_deref(), Some("2"));
}

#[tokio::test]
async fn within_one_database_there_is_a_table_whatever_its_aliases() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    for writer in ["shop", "lake"] {
        server
            .execute("DROP TABLE IF EXISTS orders; CREATE TABLE orders AS SELECT i AS id FROM generate_series(1, 10) i")
            .await
            .unwrap();
        let steps = format!(
            "  - {{id: orders, component: postgres.extractor, mode: read, config: {{query: SELECT id + 1 AS id FROM orders, connection: \"@postgres.shop\"}}}}
  - {{id: load, component: postgres.writer, mode: write, config: {{table: orders, mode: overwrite, connection: \"@postgres.{writer}\"}}}}
"
        );
        let project = Project::with_steps(Program::built(), &steps);
        let aliases =
            json!({"shop": server.connection(), "lake": server.connection_with(json!({"connect_timeout": 7}))});
        let connections = json!({"version": 1, "connections": {"postgres": aliases}});
        project.write("osiris_connections.yaml", connections.to_string());
        project.run(&["run", "pipeline.yaml"]).with_code(0);
        assert_eq!(server.value("SELECT sum(id)::text FROM orders").await.unwrap().as_deref(), Some("65"));
        let events = project.lines(&project.runs()[0], "events.jsonl");
        let resolved =
            events.iter().find(|event| event["event"] == "inputs_resolved" && event["step_id"] == "load").unwrap();
        assert_eq!(resolved["rows"], json!(10), "{writer}");
    }
}

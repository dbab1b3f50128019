//! All tables of a database in one step: planned, run, failed in part, resumed, with tables that come and go.

use osiris_e2e::{Program, Project};
use osiris_testkit::services::{Mariadb, Postgres};
use serde_json::Value;

const PIPELINE: &str = r#"oml_version: "0.1.0"
name: many
steps:
  - {id: all, component: sqlite.extractor, mode: read, config: {connection: "@sqlite.shop", tables: ["t*", "!tmp_*"], cursor: {column: changed}}}
  - {id: load, component: sqlite.writer, mode: write, needs: [all], config: {connection: "@sqlite.lake", table: "{table}", mode: upsert, key: auto, create_if_missing: true}}
"#;

const CONNECTIONS: &str =
    "connections: {sqlite: {shop: {path: shop.db}, lake: {path: lake.db, create_if_missing: true}}}\n";

fn table(number: usize) -> String {
    format!(
        "CREATE TABLE t{number:02} (id INTEGER PRIMARY KEY, changed INTEGER NOT NULL, n); \
         INSERT INTO t{number:02} VALUES (1, 1, 1), (2, 2, 2);"
    )
}

/// Twelve tables, and one that is left out.
async fn project() -> Project {
    let project = Project::empty(Program::built());
    let tables: String = (1..=12).map(table).collect();
    execute(&project, &format!("{tables} CREATE TABLE tmp_x (id INTEGER);")).await;
    project.write("osiris_connections.yaml", CONNECTIONS);
    project.write("many.yaml", PIPELINE);
    project
}

async fn execute(project: &Project, sql: &str) {
    crate::sqlite::execute(&project.path("shop.db"), sql).await;
}

/// The ids of the steps with a status.
fn with_status(run: &Value, status: &str) -> Vec<String> {
    let steps = run["steps"].as_array().unwrap().iter().filter(|step| step["status"] == status);
    steps.map(|step| step["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn u9_a_table_that_fails_stops_no_other_and_only_it_is_resumed() {
    let project = project().await;
    // A value of another type is an error of its table.
    execute(&project, "UPDATE t07 SET n = 'x' WHERE id = 2").await;
    let failed = project.run(&["run", "many.yaml"]).with_code(1);
    assert!(failed.stderr.contains("all: 11 of 12 tables done; not done: t07"), "{}", failed.stderr);
    assert!(failed.stderr.contains("all.t07"), "{}", failed.stderr);
    // What has arrived is not read again, whatever becomes of the run.
    let has_state = |name: &str| project.path(format!(".osiris/state/many/all_{name}.json")).is_file();
    assert!(has_state("t01") && has_state("t12") && !has_state("t07"));
    execute(
        &project,
        "UPDATE t07 SET n = 2 WHERE id = 2; CREATE TABLE t99 (id INTEGER PRIMARY KEY, changed INTEGER NOT NULL)",
    )
    .await;
    let resumed = project.run(&["run", "--resume", "--json"]).with_code(0).json();
    assert_eq!(with_status(&resumed, "done"), ["all.t07", "load.t07"]);
    assert_eq!(with_status(&resumed, "reused").len(), 22);
    assert!(has_state("t07"));
    let counted =
        project.run(&["copy", "sqlite:lake.db", "-", "--query", "SELECT count(*) AS n FROM t07"]).with_code(0);
    assert_eq!(counted.stdout, "n\n2\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn u9_a_run_is_resumed_without_the_table_that_cannot_be_read() {
    let project = project().await;
    execute(&project, "UPDATE t07 SET n = 'x' WHERE id = 2").await;
    project.run(&["run", "many.yaml"]).with_code(1);
    project.write("many.yaml", PIPELINE.replace("\"!tmp_*\"", "\"!tmp_*\", \"!t07\""));
    let resumed = project.run(&["run", "--resume", "--json"]).with_code(0).json();
    assert_eq!(with_status(&resumed, "reused").len(), 22);
    assert_eq!(resumed["steps"].as_array().unwrap().len(), 22);
}

#[tokio::test(flavor = "multi_thread")]
async fn u9_a_new_run_after_a_failure_reads_only_what_is_new_of_the_tables_that_arrived() {
    let project = project().await;
    execute(&project, "UPDATE t07 SET n = 'x' WHERE id = 2").await;
    project.run(&["run", "many.yaml"]).with_code(1);
    execute(&project, "UPDATE t07 SET n = 2 WHERE id = 2; INSERT INTO t01 VALUES (3, 3, 3)").await;
    let run = project.run(&["run", "many.yaml", "--json"]).with_code(0).json();
    let read = |id: &str| {
        let steps = run["steps"].as_array().unwrap();
        steps.iter().find(|step| step["id"] == id).unwrap()["stored"].as_u64().unwrap()
    };
    assert_eq!(read("all.t07"), 2);
    assert!(read("all.t01") < 3 && read("all.t01") > 0 && read("all.t02") < 2, "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn u9_tables_that_come_and_go_are_named_by_the_next_run() {
    let project = project().await;
    let first = project.run(&["run", "many.yaml"]).with_code(0);
    assert!(first.stderr.contains("all: 12 of 12 tables done"), "{}", first.stderr);
    assert!(!first.stderr.contains("did not read"), "{}", first.stderr);
    // A line for each table: while it runs, and in the ledger.
    assert!(first.stderr.contains("done load.t01") && !first.stderr.contains("done all.t01"), "{}", first.stderr);
    assert_eq!(first.stderr.lines().filter(|line| line.contains(".t01")).count(), 2, "{}", first.stderr);
    execute(&project, &format!("{} DROP TABLE t02;", table(13))).await;
    let second = project.run(&["run", "many.yaml"]).with_code(0);
    assert!(second.stderr.contains("`all` reads 1 table that run") && second.stderr.contains("did not read: `t13`"));
    assert!(second.stderr.contains("no longer finds 1 table") && second.stderr.contains("has read: `t02`"));
    assert!(project.path(".osiris/state/many/all_t13.json").is_file());
    let third = project.run(&["run", "many.yaml"]).with_code(0);
    assert!(!third.stderr.contains("did not read"), "{}", third.stderr);
    // The saved states are shown by the tables of the last run, without a source.
    std::fs::remove_file(project.path("shop.db")).unwrap();
    let shown = project.run(&["state", "show", "many.yaml"]).with_code(0);
    assert!(shown.stdout.contains("all.t13\n"), "{}", shown.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn u9_a_plan_lists_the_tables_and_what_reaches_no_source_says_so() {
    let project = project().await;
    let plan = project.run(&["plan", "many.yaml"]).with_code(0);
    assert!(plan.stdout.contains("1. all  sqlite.extractor (read), 12 tables"), "{}", plan.stdout);
    assert!(plan.stdout.contains("tables: t*, !tmp_*") && plan.stdout.contains("t07  (all.t07)"), "{}", plan.stdout);
    assert!(!plan.stdout.contains("tmp_x"), "{}", plan.stdout);
    let json = project.run(&["plan", "many.yaml", "--json"]).with_code(0).json();
    assert_eq!(json["steps"].as_array().unwrap().len(), 24);
    assert_eq!(json["steps"][1]["config"]["key"], serde_json::json!(["id"]));
    // A relative path of a connection starts at the pipeline's directory.
    project.write("sub/many.yaml", PIPELINE);
    std::fs::rename(project.path("shop.db"), project.path("sub/shop.db")).unwrap();
    let plan = project.run(&["plan", "sub/many.yaml"]).with_code(0);
    assert!(plan.stdout.contains("12 tables"), "{}", plan.stdout);
    let valid = project.run(&["validate", "many.yaml"]).with_code(0);
    assert!(valid.stderr.contains("the tables of `all` are found when it runs"), "{}", valid.stderr);
    let compiled = project.run(&["compile", "many.yaml"]).with_code(0).json();
    assert_eq!(compiled["steps"].as_array().unwrap().len(), 2);
    assert_eq!(compiled["groups"][0]["tables"], serde_json::json!(["t*", "!tmp_*"]));
    let refused = project.run(&["run", "many.yaml"]);
    assert!(refused.code != 0 && refused.stderr.contains("shop.db"), "{}", refused.stderr);
    assert_eq!(project.runs().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn u9_a_pattern_is_a_source_of_a_copy() {
    let project = project().await;
    let copied = project.run(&["copy", "@sqlite.shop.t0*", "out/"]).with_code(0);
    assert!(copied.stderr.contains("9 of 9 tables done"), "{}", copied.stderr);
    assert!(project.path("out/t09.parquet").is_file() && !project.path("out/t10.parquet").exists());
    project.run(&["copy", "sqlite:shop.db#t1*", "csv/all_{table}.csv"]).with_code(0);
    assert!(
        project.read("csv/all_t12.csv").starts_with("id,changed,n\n1,1,1\n"),
        "{}",
        project.read("csv/all_t12.csv")
    );
    for _ in 0..2 {
        project.run(&["copy", "@sqlite.shop.t[01]*", "@sqlite.lake.copy_*", "--mode", "upsert"]).with_code(0);
    }
    let counted =
        project.run(&["copy", "sqlite:lake.db", "-", "--query", "SELECT count(*) AS n FROM copy_t12"]).with_code(0);
    assert_eq!(counted.stdout, "n\n2\n");
    let none = project.run(&["copy", "@sqlite.shop.x*", "out/"]).with_code(2);
    assert!(
        none.stderr.contains("no table matches `x*`") && none.stderr.contains("the connection has t01"),
        "{}",
        none.stderr
    );
    let printed = project.run(&["copy", "@sqlite.shop.t*", "out/", "--print"]).with_code(0).stdout;
    assert!(printed.contains("tables: [\"t*\"]") && printed.contains("path: \"out/{table}.parquet\""), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn u9_from_mysql_to_postgresql_and_back_by_schema() {
    let Some(mysql) = Mariadb::start().await.unwrap() else { return };
    let Some(postgres) = Postgres::start().await.unwrap() else { return };
    mysql.execute("CREATE TABLE orders (id INT PRIMARY KEY, n DECIMAL(9,2))").await.unwrap();
    mysql.execute("INSERT INTO orders VALUES (1, 1.50), (2, 2.50)").await.unwrap();
    mysql.execute("CREATE TABLE tags (a INT, b INT, tag VARCHAR(20), PRIMARY KEY (b, a))").await.unwrap();
    mysql.execute("INSERT INTO tags VALUES (1, 1, 'a')").await.unwrap();
    let project = Project::empty(Program::built());
    let connections = format!(
        "connections: {{mysql: {{shop: {}}}, postgres: {{lake: {}}}}}\n",
        mysql.connection(),
        postgres.connection()
    );
    project.write("osiris_connections.yaml", connections);
    for destination in ["@postgres.lake", "@postgres.lake.*"] {
        project.run(&["copy", "@mysql.shop.*", destination, "--mode", "upsert"]).with_code(0);
        assert_eq!(postgres.value("SELECT sum(n) FROM orders").await.unwrap().as_deref(), Some("4.00"));
        assert_eq!(postgres.value("SELECT count(*) FROM tags").await.unwrap().as_deref(), Some("1"));
    }
    postgres.execute("CREATE SCHEMA audit").await.unwrap();
    postgres.execute("CREATE TABLE audit.\"Orders\" (id int)").await.unwrap();
    let both = project.run(&["copy", "@postgres.lake.*", "out/"]).with_code(2);
    assert!(
        both.stderr.contains("the tables `audit.Orders` and `orders` would be written to the same file"),
        "{}",
        both.stderr
    );
    project.run(&["copy", "@postgres.lake.*", "out/{schema}/{table}.csv"]).with_code(0);
    assert_eq!(project.read("out/public/orders.csv"), "id,n\n1,1.50\n2,2.50\n");
    assert!(project.path("out/audit/Orders.csv").is_file());
    postgres.execute("CREATE TABLE \"Tags\" (id int)").await.unwrap();
    let alike = project.run(&["copy", "@postgres.lake.public.*", "out/"]).with_code(2);
    assert!(alike.stderr.contains("the tables `Tags` and `tags`"), "{}", alike.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn u9_init_of_many_tables_writes_a_group() {
    let project = project().await;
    let more: String = (13..=25).map(table).collect();
    execute(&project, &format!("{more} CREATE TABLE \"odd*\" (id INTEGER);")).await;
    let made = project.run(&["init", "--from", "@sqlite.shop", "--to", "@sqlite.lake"]).with_code(0);
    assert!(made.stderr.contains("wrote shop.yaml: 26 tables"), "{}", made.stderr);
    let text = project.read("shop.yaml");
    assert!(text.contains("tables: [\"*\",\"!odd[*]\"]") && text.contains("table: \"{table}\""), "{text}");
    for _ in 0..2 {
        let run = project.run(&["run", "shop.yaml"]).with_code(0);
        assert!(run.stderr.contains("tables: 26 of 26 tables done"), "{}", run.stderr);
    }
}

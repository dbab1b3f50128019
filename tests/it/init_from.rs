//! `osiris init --from`: a pipeline for the tables of a database, which runs as it is written.

use osiris_e2e::{Program, Project};
use osiris_testkit::services::{Mariadb, Postgres};

const TABLES: &str = "
    CREATE TABLE orders (order_id INTEGER PRIMARY KEY, updated_at TIMESTAMP NOT NULL, amount INTEGER);
    INSERT INTO orders VALUES (1, '2024-01-01 00:00:00', 10), (2, '2024-01-02 00:00:00', 20);
    CREATE TABLE \"odd name.x\" (a INTEGER);
    CREATE TABLE \"2024\" (a INTEGER);
    CREATE TABLE \"true\" (a INTEGER);
    CREATE TABLE \"odd name_x\" (a INTEGER);
    CREATE TABLE \"v${x}\" (a INTEGER);
    CREATE TABLE \"a*\n  - {id: evil} #\" (a INTEGER);
    INSERT INTO \"2024\" VALUES (1);
    CREATE VIEW big AS SELECT * FROM orders WHERE amount > 15;
";

async fn project() -> Project {
    let project = Project::empty(Program::built());
    crate::sqlite::execute(&project.path("shop.db"), TABLES).await;
    project.write(
        "osiris_connections.yaml",
        "connections: {sqlite: {shop: {path: shop.db}, lake: {path: lake.db, create_if_missing: true}}}\n",
    );
    project
}

#[tokio::test(flavor = "multi_thread")]
async fn u10_the_tables_of_a_database_become_a_pipeline_that_runs_as_it_is() {
    let project = project().await;
    let made = project.run(&["init", "--from", "@sqlite.shop"]).with_code(0);
    assert!(made.stderr.contains("not copied: big: not a table"), "{}", made.stderr);
    assert!(made.stderr.contains("wrote shop.yaml: 6 tables"), "{}", made.stderr);
    assert!(!project.read("shop.yaml").contains("\n  - {id: evil}"), "{}", project.read("shop.yaml"));
    project.run(&["validate", "shop.yaml"]).with_code(0);
    let run = project.run(&["run", "shop.yaml"]).with_code(0);
    assert!(run.stderr.contains("3 rows read, 3 written"), "{}", run.stderr);
    for file in ["orders", "2024", "true", "odd name_x", "odd name_x_2", "v_{x}"] {
        assert!(project.path(format!("out/{file}.parquet")).is_file(), "{file}: {}", project.read("shop.yaml"));
    }
    let again = project.run(&["init", "--from", "@sqlite.shop"]).with_code(2);
    assert!(again.stderr.contains("`shop.yaml` already exists"), "{}", again.stderr);
    let other = ["init", "--from", "@sqlite.shop", "--tables", "ord*", "--to", "@sqlite.lake", "-o", "orders.yaml"];
    project.run(&other).with_code(0);
    insta::assert_snapshot!(project.read("orders.yaml"));
    // Each run replaces the tables.
    for _ in 0..2 {
        let run = project.run(&["run", "orders.yaml"]).with_code(0);
        assert!(run.stderr.contains("2 rows read, 2 written"), "{}", run.stderr);
    }
    // What the comments offer works.
    let text =
        project.read("orders.yaml").replace("      # cursor:", "      cursor:").replace("      # key:", "      key:");
    project.write("orders.yaml", text.replace("mode: \"overwrite\"", "mode: \"upsert\""));
    std::fs::remove_file(project.path("lake.db")).unwrap();
    project.run(&["run", "orders.yaml"]).with_code(0);
    project.run(&["run", "orders.yaml"]).with_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn u10_what_cannot_be_made_says_why() {
    let project = project().await;
    for (arguments, says) in [
        (&["init", "--from", "@sqlite.nope"][..], "@sqlite.nope"),
        (&["init", "--from", "@graphql.x"], "cannot say which tables it has"),
        (&["init", "--from", "@oracle.x"], "oracle"),
        (&["init", "--from", "@sqlite.shop", "--tables", "none*"], "no table matches `none*`"),
        (&["init", "--from", "@sqlite.shop", "--to", "@sqlite.shop"], "would be copied to itself"),
        (&["init", "--from", "@sqlite.shop", "--to", ""], "no directory is named"),
        (&["init", "--from", "@sqlite.shop", "--to", "@posthog.x"], "cannot be the destination"),
    ] {
        let refused = project.run(arguments);
        assert!(refused.code != 0 && refused.stderr.contains(says), "{arguments:?}: {}", refused.stderr);
        assert!(!project.path("shop.yaml").exists(), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn u10_from_mysql_to_postgresql() {
    let Some(mysql) = Mariadb::start().await.unwrap() else { return };
    let Some(postgres) = Postgres::start().await.unwrap() else { return };
    mysql.execute("CREATE TABLE orders (id INT PRIMARY KEY, at DATETIME NOT NULL, n DECIMAL(9,2))").await.unwrap();
    mysql.execute("INSERT INTO orders VALUES (1, '2024-01-01', 1.50), (2, '2024-01-02', 2.50)").await.unwrap();
    mysql.execute("CREATE TABLE tags (id INT, tag VARCHAR(20))").await.unwrap();
    mysql.execute("INSERT INTO tags VALUES (1, 'a')").await.unwrap();
    let project = Project::empty(Program::built());
    let connections = format!(
        "connections: {{mysql: {{shop: {}}}, postgres: {{lake: {}}}}}\n",
        mysql.connection(),
        postgres.connection()
    );
    project.write("osiris_connections.yaml", connections);
    let made = project.run(&["init", "--from", "@mysql.shop", "--to", "@postgres.lake"]).with_code(0);
    assert!(made.stderr.contains("wrote shop.yaml: 2 tables"), "{}", made.stderr);
    for _ in 0..2 {
        project.run(&["run", "shop.yaml"]).with_code(0);
        assert_eq!(postgres.value("SELECT sum(n) FROM orders").await.unwrap().as_deref(), Some("4.00"));
        assert_eq!(postgres.value("SELECT count(*) FROM tags").await.unwrap().as_deref(), Some("1"));
    }
}

//! The MySQL examples against a real server, and what the command line says of a connection.

use std::fs::File;

use osiris_e2e::{Ended, Program, Project};
use osiris_testkit::services::Mariadb;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use serde_json::{Value, json};

/// The examples, and the variables that name a server.
struct World {
    project: Project,
    variables: Vec<(&'static str, String)>,
}

impl World {
    fn new(server: &Mariadb) -> Self {
        let fields = server.connection();
        let text = |name: &str| match &fields[name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let variables = [
            ("MYSQL_HOST", text("host")),
            ("MYSQL_PORT", text("port")),
            ("MYSQL_USER", text("user")),
            ("MYSQL_PASSWORD", text("password")),
            ("MYSQL_DATABASE", text("database")),
        ];
        Self { project: Project::copy_of(Program::built(), "examples"), variables: variables.into() }
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = self.project.command(arguments);
        command.current_dir(self.project.path("mysql")).envs(self.variables.iter().map(|(name, value)| (name, value)));
        Ended::of(command.output().unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_examples_load_twice_and_report_what_the_sample_holds() {
    let Some(server) = Mariadb::start().await.unwrap() else { return };
    let world = World::new(&server);
    for _ in 0..2 {
        let load = world.run(&["run", "load.yaml"]).with_code(0);
        assert!(load.stderr.contains("done: the ledger balances, 5,042 rows read, 5,042 written"), "{}", load.stderr);
        assert_eq!(server.value("SELECT count(*) FROM flights").await.unwrap().as_deref(), Some("5026"));
    }
    world.run(&["run", "report.yaml"]).with_code(0);
    let file = File::open(world.project.path("mysql/out/punctuality.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    assert_eq!(reader.metadata().file_metadata().num_rows(), 156);
    let mut united = reader
        .get_row_iter(None)
        .unwrap()
        .map(Result::unwrap)
        .filter(|row| row.get_string(0).unwrap() == "United Air Lines Inc." && row.get_long(2).unwrap() == 69);
    assert!((united.next().unwrap().get_double(3).unwrap() - 6.0).abs() < 1e-9);
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_connections_are_checked_and_their_tables_listed() {
    let Some(server) = Mariadb::start().await.unwrap() else { return };
    server.execute("CREATE TABLE orders (id BIGINT UNSIGNED PRIMARY KEY, note VARCHAR(20))").await.unwrap();
    let world = World::new(&server);
    let healthy = world.run(&["connections", "doctor", "@mysql.flights", "--json"]).with_code(0);
    assert_eq!((&healthy.json()[0]["category"], &healthy.json()[0]["ok"]), (&json!("ok"), &json!(true)));
    let found = world.run(&["components", "discover", "mysql.extractor", "--table", "ord*"]).with_code(0);
    assert!(found.stdout.contains("orders (table)\n"), "{}", found.stdout);
    assert!(found.stdout.contains("bigint"), "{}", found.stdout);
    let wrong = world.run(&["connections", "doctor"]).with_code(0);
    assert!(wrong.stdout.contains("@mysql.flights  ok"), "{}", wrong.stdout);

    let mut world = world;
    world.variables.retain(|(name, _)| *name != "MYSQL_PASSWORD");
    world.variables.push(("MYSQL_PASSWORD", "p@ss/w0rd+==".to_owned()));
    let refused = world.run(&["connections", "doctor"]).with_code(1);
    assert!(refused.stdout.contains("@mysql.flights  auth"), "{}", refused.stdout);
    assert!(!format!("{}{}", refused.stdout, refused.stderr).contains("p@ss"), "{}", refused.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn s21_rows_without_a_cursor_value_are_in_the_ledger_and_on_the_screen() {
    let Some(server) = Mariadb::start().await.unwrap() else { return };
    server
        .execute("CREATE TABLE t (id INT, at DATE); INSERT INTO t VALUES (1, '2024-01-01'), (2, NULL)")
        .await
        .unwrap();
    let world = World::new(&server);
    let pipeline = |nulls: &str| {
        format!(
            "oml_version: \"0.1.0\"\nname: nulls\nsteps:\n  - {{id: t, component: mysql.extractor, mode: read, config: \
             {{table: t, cursor: {{column: at{nulls}}}}}}}\n  - {{id: out, component: filesystem.csv_writer, mode: write, \
             config: {{path: out.csv, columns: source}}}}\n"
        )
    };
    world.project.write("mysql/nulls.yaml", pipeline(""));
    let refused = world.run(&["run", "nulls.yaml"]).with_code(1);
    assert!(refused.stderr.contains("1 row has NULL in the cursor column `at`"), "{}", refused.stderr);
    world.project.write("mysql/nulls.yaml", pipeline(", nulls: skip"));
    let skipped = world.run(&["run", "nulls.yaml", "--json"]).with_code(0);
    assert!(skipped.stderr.contains("t: 1 row without a cursor value skipped"), "{}", skipped.stderr);
    assert_eq!(skipped.json()["steps"][0]["skipped"], 1);
    let shown = world.run(&["runs", "show", "--json"]).with_code(0);
    assert_eq!(shown.json()["ledger"]["steps"][0]["skipped"], 1);
}

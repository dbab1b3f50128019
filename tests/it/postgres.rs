//! The PostgreSQL examples against a real server, and what the command line says of a connection.

use std::fs::File;

use osiris_e2e::{Ended, Program, Project};
use osiris_testkit::services::Postgres;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use serde_json::Value;

/// The examples, and the variables that name a server.
struct World {
    project: Project,
    variables: Vec<(&'static str, String)>,
}

impl World {
    fn new(server: &Postgres) -> Self {
        let fields = server.connection();
        let text = |name: &str| match &fields[name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let variables = [
            ("PGHOST", text("host")),
            ("PGPORT", text("port")),
            ("PGUSER", text("user")),
            ("PGPASSWORD", text("password")),
            ("PGDATABASE", text("database")),
        ];
        Self { project: Project::copy_of(Program::built(), "examples"), variables: variables.into() }
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = self.project.command(arguments);
        command
            .current_dir(self.project.path("postgres"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        Ended::of(command.output().unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_examples_load_twice_and_report_what_the_sample_holds() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    let world = World::new(&server);
    for _ in 0..2 {
        let load = world.run(&["run", "load.yaml"]).with_code(0);
        assert!(load.stderr.contains("done: the ledger balances, 5,042 rows read, 5,042 written"), "{}", load.stderr);
        assert_eq!(server.value("SELECT count(*) FROM flights").await.unwrap().as_deref(), Some("5026"));
    }
    world.run(&["run", "report.yaml"]).with_code(0);
    let file = File::open(world.project.path("postgres/out/punctuality.parquet")).unwrap();
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
async fn postgres_connections_are_checked_and_tables_found() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    server.execute("CREATE TABLE orders (id bigint PRIMARY KEY, price numeric(9,2))").await.unwrap();
    let mut world = World::new(&server);
    let healthy = world.run(&["connections", "doctor", "@postgres.flights", "--json"]).with_code(0);
    assert_eq!(healthy.json()[0]["category"], "ok", "{}", healthy.stdout);
    let found = world.run(&["components", "discover", "postgres.extractor", "--connection", "@postgres.flights"]);
    assert!(found.with_code(0).stdout.contains("orders"));
    world.variables.retain(|(name, _)| *name != "PGDATABASE");
    world.variables.push(("PGDATABASE", "nowhere".to_owned()));
    let doctor = world.run(&["connections", "doctor", "@postgres.flights"]).with_code(1);
    assert!(doctor.stdout.contains("nowhere") && !doctor.stdout.contains("pg_"), "{}", doctor.stdout);
}

//! Rows that go straight from a database to a file: the same files as through a table, and whole ones or none.

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use osiris_e2e::{Ended, Program, Project, Running, Signal};
use osiris_testkit::proxy::{Direction, Fault, Proxy};
use osiris_testkit::services::Mariadb;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Value, json};

const ROWS: i64 = 60_000;
const STRAIGHT: [&str; 2] = ["run", "pipeline.yaml"];

/// A table of a server, and a pipeline from it to one file.
struct World {
    project: Project,
    server: Mariadb,
}

impl World {
    async fn start(output: &str, more: &str) -> Option<Self> {
        let server = Mariadb::start().await.unwrap()?;
        server
            .execute(&format!(
                "CREATE TABLE numbers (id INT PRIMARY KEY, label VARCHAR(40), amount DECIMAL(12,2)) AS \
                 SELECT seq AS id, IF(seq % 7, CONCAT('label, \"', seq), NULL) AS label, seq / 4 AS amount FROM seq_1_to_{ROWS}"
            ))
            .await
            .unwrap();
        let component = if output.ends_with(".csv") { "csv_writer" } else { "parquet_writer" };
        let project = Project::with_steps(
            Program::built(),
            &format!(
                "  - {{id: numbers, component: mysql.extractor, mode: read, retry: {{max_attempts: 2, initial_delay_ms: 300, backoff: fixed}}, config: {{connection: \"@mysql.test\", query: SELECT * FROM numbers ORDER BY id}}}}\n  \
                   - {{id: file, component: filesystem.{component}, mode: write, needs: [numbers]{more}, config: {{path: {output}}}}}\n"
            ),
        );
        let world = Self { project, server };
        world.connect(world.server.address().unwrap().port());
        Some(world)
    }

    /// Lets the pipeline go over another port.
    fn connect(&self, port: u16) {
        let fields = json!({"port": port, "default": true, "password": "${DIRECT_PASSWORD}"});
        let fields = self.server.connection_with(fields);
        let file = json!({"version": 1, "connections": {"mysql": {"test": fields}}});
        self.project.write("osiris_connections.yaml", file.to_string());
    }

    fn command(&self, arguments: &[&str]) -> Command {
        // So that the only run is the latest.
        let _ = std::fs::remove_dir_all(self.project.path(".osiris"));
        let mut command = self.project.command(arguments);
        let password = self.server.connection()["password"].as_str().unwrap_or_default().to_owned();
        command.env("DIRECT_PASSWORD", password);
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments).output().unwrap())
    }

    fn begin(&self) -> Running {
        Running::start(&mut self.command(&STRAIGHT))
    }

    /// The ledger's lines of both steps, in the latest run.
    fn ledger(&self) -> [Value; 2] {
        let run = self.project.runs().pop().unwrap();
        let ledger: Value = serde_json::from_str(&std::fs::read_to_string(run.join("ledger.json")).unwrap()).unwrap();
        [0, 1].map(|index| ledger["steps"][index].clone())
    }

    /// How many rows the writer was told it would get, in the latest run: null for rows that arrive.
    fn announced(&self) -> Value {
        let run = self.project.runs().pop().unwrap();
        let events = self.project.lines(&run, "events.jsonl");
        events.iter().find(|event| event["event"] == "inputs_resolved").unwrap()["rows"].clone()
    }

    /// The names in the project's directory that are not its own.
    fn left_behind(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.project.directory()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !["pipeline.yaml", "osiris_connections.yaml", ".osiris"].contains(&name.as_str())).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_the_same_straight_and_through_a_table() {
    for output in ["out.csv", "out.parquet"] {
        let Some(world) = World::start(output, "").await else { return };
        let mut contents = Vec::new();
        for (arguments, announced) in [
            (&["run", "--jobs", "1", "pipeline.yaml"][..], json!(ROWS)),
            (&["run", "--store", "memory", "--jobs", "1", "pipeline.yaml"], json!(ROWS)),
            (&STRAIGHT, Value::Null),
            (&["run", "--store", "memory", "pipeline.yaml"], Value::Null),
        ] {
            let ended = world.run(arguments).with_code(0);
            assert!(ended.stderr.contains("the ledger balances, 60,000 rows read, 60,000 written"), "{}", ended.stderr);
            assert_eq!(world.announced(), announced, "{arguments:?}");
            let [numbers, file] = world.ledger();
            assert_eq!((&numbers["stored"], &file["read"]), (&json!(ROWS), &json!(ROWS)));
            contents.push(std::fs::read(world.project.path(output)).unwrap());
            assert_eq!(world.left_behind(), [output]);
        }
        if output.ends_with(".csv") {
            assert_eq!(contents[1], contents[0]);
            assert!(contents[2] == contents[0] && contents[3] == contents[0], "the CSV differs");
        } else {
            let reader = SerializedFileReader::new(File::open(world.project.path(output)).unwrap()).unwrap();
            assert_eq!(reader.metadata().file_metadata().num_rows(), ROWS);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_with_a_time_limit_has_a_table() {
    let Some(world) = World::start("out.csv", ", timeout: {step_ms: 60000}").await else { return };
    world.run(&STRAIGHT).with_code(0);
    assert_eq!(world.announced(), json!(ROWS));
    let pipeline = world.project.read("pipeline.yaml");
    let moved =
        pipeline.replace(", timeout: {step_ms: 60000}", "").replace("retry:", "timeout: {step_ms: 60000}, retry:");
    world.project.write("pipeline.yaml", moved);
    world.run(&STRAIGHT).with_code(0);
    assert_eq!(world.announced(), json!(ROWS));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_cut_leaves_the_old_file_and_is_tried_again_with_its_writer() {
    for output in ["out.csv", "out.parquet"] {
        let Some(world) = World::start(output, "").await else { return };
        let proxy = Proxy::start(world.server.address().unwrap()).unwrap();
        world.connect(proxy.port());
        world.project.write(output, "old");
        proxy.set(Fault::Cut { direction: Direction::Down, after: 600_000 });
        let failed = world.run(&STRAIGHT).with_code(4);
        assert_eq!(world.project.read(output), "old");
        assert_eq!(world.left_behind(), [output]);
        assert!(failed.stderr.contains("error: step `numbers`: "), "{}", failed.stderr);
        assert!(!failed.stderr.contains("error: step `file`"), "{}", failed.stderr);
        let [numbers, file] = world.ledger();
        assert_eq!((&numbers["status"], &numbers["attempts"]), (&json!("failed"), &json!(2)));
        assert_eq!((&file["status"], &file["attempts"]), (&json!("cancelled"), &json!(2)));
        assert!(
            file["error"].as_str().unwrap().contains("step `numbers`, which sends its rows, did not finish"),
            "{file}"
        );

        let mut running = world.begin();
        let before = proxy.passed(Direction::Down);
        running.wait_until("the first attempt was cut", || proxy.passed(Direction::Down) >= before + 600_000);
        proxy.set(Fault::Pass);
        running.ended().with_code(0);
        assert_eq!(world.ledger()[0]["attempts"], 2);
        assert_ne!(std::fs::read(world.project.path(output)).unwrap(), b"old");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_fails_is_the_reason_and_stops_the_source() {
    let Some(world) = World::start("out.csv/numbers.csv", "").await else { return };
    world.project.write("out.csv", "a file where a directory is wanted");
    // At once, although the source would be silent for long.
    let proxy = Proxy::start(world.server.address().unwrap()).unwrap();
    world.connect(proxy.port());
    proxy.set(Fault::Stall { direction: Direction::Down, after: 600_000 });
    let failed = world.begin().ended().with_code(1);
    assert!(failed.stderr.contains("error: step `file`: `out.csv/numbers.csv`"), "{}", failed.stderr);
    assert!(!failed.stderr.contains("error: step `numbers`"), "{}", failed.stderr);
    let [numbers, file] = world.ledger();
    assert_eq!((&numbers["status"], &numbers["attempts"]), (&json!("cancelled"), &json!(1)));
    assert!(
        numbers["error"].as_str().unwrap().contains("step `file`, which receives its rows, did not finish"),
        "{numbers}"
    );
    assert_eq!(file["status"], "failed");
    let run = world.project.runs().pop().unwrap();
    let events = world.project.lines(&run, "events.jsonl");
    let end = events.iter().find(|event| event["event"] == "run_failed").unwrap();
    assert!(end["error"].as_str().unwrap().contains("out.csv/numbers.csv"), "{end}");
    let shown = world.project.run(&["runs", "show"]).with_code(0);
    assert_eq!(shown.stdout.matches("error: ").count(), 1, "{}", shown.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_stops_both_while_the_source_is_silent() {
    let Some(world) = World::start("out.parquet", "").await else { return };
    let proxy = Proxy::start(world.server.address().unwrap()).unwrap();
    world.connect(proxy.port());
    proxy.set(Fault::Stall { direction: Direction::Down, after: 600_000 });
    let mut running = world.begin();
    running.wait_until("rows have come", || proxy.passed(Direction::Down) >= 600_000);
    std::thread::sleep(Duration::from_millis(300));
    running.signal(Signal::INT);
    let ended = running.ended().with_code(130);
    assert!(ended.stderr.contains("interrupted"), "{}", ended.stderr);
    assert_eq!(world.left_behind(), Vec::<String>::new());
}

//! Servers that go away, or answer late, while the program runs: what it does, and what the screen says meanwhile.

use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, Instant};

use osiris_e2e::{Ended, Project, Running, Signal};
use osiris_testkit::proxy::{Fault, Proxy};
use osiris_testkit::services::{Mariadb, MysqlOptions, Postgres, PostgresOptions};
use serde_json::{Value, json};

use crate::{READ, SLOW, project, sql};

/// How long a restart of a server may take.
const OUTAGE: Duration = Duration::from_secs(60);

/// Writes the connection of `family` into the project, without its password. Returns that.
fn connect(project: &Project, family: &str, mut fields: Value) -> String {
    let password = fields["password"].as_str().unwrap().to_owned();
    fields["password"] = json!("${DB_PASSWORD}");
    fields["default"] = json!(true);
    project.write("osiris_connections.yaml", json!({"connections": {family: {"main": fields}}}).to_string());
    password
}

fn told(project: &Project, event: &str, step: &str) -> bool {
    let runs = project.runs();
    let lines = runs.last().map(|run| project.lines(run, "events.jsonl")).unwrap_or_default();
    lines.iter().any(|line| line["event"] == event && line["step_id"] == step)
}

#[tokio::test(flavor = "multi_thread")]
async fn s61_s64_a_server_that_is_away_for_a_minute_is_outlasted_by_default_and_the_screen_says_what_is_waited_for() {
    let Some(mut server) = Postgres::start_with(PostgresOptions::new()).await.unwrap() else { return };
    server
        .execute("CREATE TABLE t (order_id int, customer text, amount int); CREATE TABLE s AS SELECT 7 AS n")
        .await
        .unwrap();
    let steps = "  - {id: load, component: postgres.writer, mode: write, needs: [orders], config: {table: t}}
  - {id: read, component: postgres.extractor, mode: read, needs: [], config: {table: s}}
  - {id: out, component: filesystem.csv_writer, mode: write, needs: [read], config: {path: out.csv}}
";
    let project = project(&[READ, steps].concat());
    let password = connect(&project, "postgres", server.connection());
    server.stop().unwrap();
    let screen = project.path("screen");
    let mut command = project.command(&["run", "pipeline.yaml"]);
    command.env("DB_PASSWORD", password).stdout(Stdio::null()).stderr(File::create(&screen).unwrap());
    let mut child = command.spawn().unwrap();
    let seen = || std::fs::read_to_string(&screen).unwrap();
    let begun = Instant::now();
    // Both steps have met the server that is not there, and say so at once.
    while !["load", "read"].iter().all(|step| told(&project, "step_retry_attempt", step)) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", seen());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(seen().contains("retrying `"), "{}", seen());
    tokio::time::sleep(OUTAGE).await;
    assert_eq!(child.try_wait().unwrap(), None, "it gave up: {}", seen());
    server.restart().await.unwrap();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(begun.elapsed() < Duration::from_secs(150), "{}", seen());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let text = seen();
    assert_eq!(status.code(), Some(0), "{text}");
    assert_eq!(server.value("SELECT count(*) FROM t").await.unwrap().as_deref(), Some("3"));
    assert_eq!(project.read("out.csv"), "n\n7\n");
    // Each wait is announced with the step, the reason and how long it takes, and they get longer.
    for step in ["load", "read"] {
        let announced = format!("retrying `{step}` in ");
        let waits: Vec<&str> = text.lines().filter(|line| line.contains(&announced)).collect();
        let events = project.lines(&project.runs()[0], "events.jsonl");
        let tries =
            events.iter().filter(|line| line["event"] == "step_retry_attempt" && line["step_id"] == step).count();
        assert!(waits.len() >= 4 && waits.len() == tries, "{step}, {tries} times: {text}");
        assert!(waits.iter().all(|wait| wait.contains("WARN") && wait.contains("connection refused")), "{text}");
        let seconds = |wait: &&str| -> f64 {
            let rest = wait.split(&announced).nth(1).unwrap();
            rest.split(' ').next().unwrap().parse().unwrap()
        };
        let total: f64 = waits.iter().map(seconds).sum();
        assert!(total >= 55.0 && seconds(&waits[waits.len() - 1]) > seconds(&waits[0]), "{text}");
    }
    // A step that waits is one that runs: nobody takes it for one that hangs.
    assert!(text.contains("  running load: ") && text.contains("  running read: "), "{text}");
    assert!(text.contains("done: the ledger balances"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s58_a_run_that_is_interrupted_while_the_server_commits_says_what_is_true_and_is_resumed_without_doubling() {
    let Some(server) = Mariadb::start_with(MysqlOptions::new()).await.unwrap() else { return };
    server.execute("CREATE TABLE t (order_id INT, customer VARCHAR(9), amount INT)").await.unwrap();
    let load = "  - {id: load, component: mysql.writer, mode: write, needs: [orders], config: {table: t}}\n";
    let slow = sql("slow", SLOW).replace("mode: transform", "mode: transform, needs: [orders, load]");
    let project = project(&[READ, load, &slow].concat());
    let proxy = Proxy::start(server.address().unwrap()).unwrap();
    let password = connect(&project, "mysql", server.connection_with(json!({"port": proxy.port()})));
    // Each statement and each answer takes its time: the commit too.
    proxy.set(Fault::Delay(Duration::from_millis(400)));
    let osiris = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        command.env("DB_PASSWORD", &password);
        command
    };
    let mut running = Running::start(&mut osiris(&["run", "pipeline.yaml"]));
    let is_recorded = || {
        let records = project.runs().last().map(|run| std::fs::read_to_string(run.join("commits.jsonl")));
        records.is_some_and(|text| text.is_ok_and(|text| text.starts_with("{\"begun\"")))
    };
    running.wait_until("its commit is recorded", is_recorded);
    // COMMIT is on its way: it takes longer than this to arrive, and as long again to be answered.
    std::thread::sleep(Duration::from_millis(150));
    running.signal(Signal::INT);
    let ended = running.ended().with_code(130);
    assert!(told(&project, "commit_end", "load"), "it did not wait for the answer: {}", ended.stderr);
    assert_eq!(server.value("SELECT COUNT(*) FROM t").await.unwrap().as_deref(), Some("3"));
    // The rows are there, and nothing on the screen says otherwise.
    assert!(ended.stderr.contains("a commit that has begun is waited for"), "{}", ended.stderr);
    assert!(ended.stderr.contains("done load: 3 rows"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("half-done") && !ended.stderr.contains("nothing"), "{}", ended.stderr);
    proxy.set(Fault::Pass);
    let text = project.read("pipeline.yaml");
    project.write("pipeline.yaml", text.replace(SLOW, "SELECT count(*) AS n FROM orders"));
    let resumed = Ended::of(osiris(&["run", "--resume", "--json"]).output().unwrap()).with_code(0).json();
    assert_eq!((&resumed["steps"][1]["status"], &resumed["steps"][1]["inserted"]), (&json!("reused"), &json!(3)));
    assert_eq!(server.value("SELECT COUNT(*) FROM t").await.unwrap().as_deref(), Some("3"));
}

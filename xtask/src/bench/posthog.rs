//! PostHog: reading events from the testkit's stand-in against a client that asks the same and throws the answers away.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::measure::{Cost, compared, cost, median, seconds};
use super::{Bench, Row, data};
use crate::Outcome;

/// At scale 1.
const EVENTS: f64 = 1_000_000.0;

pub(super) fn posthog(bench: &Bench) -> Outcome<Vec<Row>> {
    let scale: f64 = bench.scale.parse().map_err(|_| format!("--scale {}: expected a number", bench.scale))?;
    let events = format!("{:.0}", EVENTS * scale);
    let directory = bench.fresh("posthog")?;
    let queries = directory.join("queries");
    let program = bench.reference.with_file_name("osiris-bench-posthog");
    let mut server = Server::start(&program, &events, &queries)?;
    let connections = format!("version: 1\nconnections:\n  posthog:\n    bench: {}\n", server.connection);
    let path = directory.join("osiris_connections.yaml");
    std::fs::write(&path, connections).map_err(|error| format!("{}: {error}", path.display()))?;
    let step = "  - id: events\n    component: posthog.extractor\n    mode: read\n    \
                config: {connection: \"@posthog.bench\", data_type: events, initial_since: \"2024-01-01\"}\n";
    let pipeline = data::pipeline(&directory, &[step.to_owned()])?;
    let run = || {
        // Else a second run would find itself at the end already.
        let runs = pipeline.with_extension("runs");
        if runs.exists() {
            std::fs::remove_dir_all(&runs).map_err(|error| format!("{}: {error}", runs.display()))?;
        }
        cost(&mut bench.run(&pipeline, &["--store", "memory"]))
    };
    let mut ours = vec![run()?];
    server.write_queries()?;
    let mut theirs = Vec::new();
    for round in 0..bench.rounds {
        let mut discard = Command::new(&program);
        discard.args(["discard", &server.url, &server.key]).arg(&queries);
        theirs.push(cost(&mut discard)?);
        if round > 0 {
            ours.push(run()?);
        }
    }
    let work = format!("{events} events with 30 properties -> store");
    let computed = share(&ours, &work);
    Ok(vec![compared(work, &ours, "the same answers, thrown away", &theirs, "1.2, 200 MB"), computed])
}

/// What Osiris computed itself, of the time the run took.
fn share(ours: &[Cost], work: &str) -> Row {
    let wall = median(ours.iter().map(|cost| cost.wall).collect());
    let cpu = median(ours.iter().filter_map(|cost| cost.cpu).collect());
    Row {
        work: format!("{work}: processor time of Osiris"),
        osiris: seconds(cpu),
        limit: format!("wall time: {}", seconds(wall)),
        ratio: format!("{:.2}", cpu.as_secs_f64() / wall.as_secs_f64()),
        target: "0.5".to_owned(),
    }
}

/// The stand-in, in a process of its own, until it is dropped.
struct Server {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// The fields of a connection, as JSON.
    connection: String,
    url: String,
    key: String,
}

impl Server {
    fn start(program: &Path, events: &str, queries: &Path) -> Outcome<Self> {
        let mut command = Command::new(program);
        command.args(["serve", events]).arg(queries).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("the stand-in has no pipes".to_owned());
        };
        let mut server = Self {
            process,
            input: Some(input),
            output: BufReader::new(output),
            connection: String::new(),
            url: String::new(),
            key: String::new(),
        };
        server.connection = server.line()?;
        let field = |name: &str| {
            let value = server.connection.split_once(&format!("\"{name}\":"))?.1;
            Some(value.split([',', '}']).next()?.trim_matches('"').to_owned())
        };
        let fields = (field("custom_base_url"), field("project_id"), field("api_key"));
        let (Some(base), Some(project), Some(key)) = fields else {
            return Err(format!("not a connection: {}", server.connection));
        };
        (server.url, server.key) = (format!("{base}/api/projects/{project}/query/"), key);
        Ok(server)
    }

    fn write_queries(&mut self) -> Outcome {
        let input = self.input.as_mut().ok_or("the stand-in has ended")?;
        writeln!(input).map_err(|error| error.to_string())?;
        self.line().map(drop)
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(0) => Err("the stand-in has ended".to_owned()),
            Ok(_) => Ok(line.trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.process.wait();
    }
}

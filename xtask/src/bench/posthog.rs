//! PostHog: reading events from the stand-in against a client that asks the same and throws the answers away.

use std::process::Command;

use super::measure::{compared, cost, share};
use super::served::Served;
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
    let mut server = Served::start(Command::new(&program).args(["serve", &events]).arg(&queries))?;
    let url = format!("{}/api/projects/{}/query/", server.about("custom_base_url")?, server.about("project_id")?);
    let key = server.about("api_key")?.to_owned();
    let connections = format!("version: 1\nconnections:\n  posthog:\n    bench: {}\n", server.about);
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
        cost(&mut bench.run(&pipeline, &["--memory-limit", "64MB"]))
    };
    let mut ours = vec![run()?];
    server.ask("write your queries")?;
    let mut theirs = Vec::new();
    for round in 0..bench.rounds {
        let mut discard = Command::new(&program);
        discard.args(["discard", &url, &key]).arg(&queries);
        theirs.push(cost(&mut discard)?);
        if round > 0 {
            ours.push(run()?);
        }
    }
    let work = format!("{events} events with 30 properties -> store in a file, 64 MB for tables");
    let computed = share(&work, &ours, "0.5");
    Ok(vec![compared(work, &ours, "the same answers, thrown away", &theirs, "1.2, 200 MB"), computed])
}

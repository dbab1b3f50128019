//! A writer whose thread never ends: the run waits for it, for as long as is promised, and clears away what it was building.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, RecordBatch};
use async_trait::async_trait;
use osiris_core::{
    Component, ComponentSpec, DestinationId, Error, ExecutionContext, Extract, Extracted, NoConnection, Registry,
    Result, Role, Step, TableRef, TableSink, Write, Written,
};
use osiris_pipeline::{
    ConnectionsFile, Environment, Outcome, Plan, PlanOptions, RunOptions, RunReport, Silent, SourceFile,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// How long a run waits for threads that were told to end.
const PROMISED: Duration = Duration::from_secs(20);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

struct One;

impl Component for One {
    const SPEC: ComponentSpec = ComponentSpec::new("test.one", "1", Role::Extract, "One row");
    type Connection = NoConnection;
    type Config = Nothing;
}

#[async_trait]
impl Extract for One {
    async fn extract(&self, _: &Step<'_, Self>, out: &TableSink, _: &ExecutionContext) -> Result<Extracted> {
        let column: arrow::array::ArrayRef = Arc::new(Int64Array::from_iter_values(0..1));
        let batch = RecordBatch::try_from_iter([("v", column)]).unwrap();
        out.sender(batch.schema()).await?.send(batch).await?;
        Ok(Extracted::rows(1))
    }
}

/// Builds a file and a directory on a thread that goes on after its step has failed.
struct Builder {
    /// Where it builds.
    place: PathBuf,
    /// Lets the thread end.
    end: Mutex<Option<mpsc::Receiver<()>>>,
}

impl Component for Builder {
    const SPEC: ComponentSpec = ComponentSpec::new("test.builder", "1", Role::Write, "Builds");
    type Connection = NoConnection;
    type Config = Nothing;
}

#[async_trait]
impl Write for Builder {
    fn destination(&self, _: &Nothing, _: &NoConnection, base: &Path) -> DestinationId {
        DestinationId::file(base.join("built"))
    }

    async fn write(&self, _: &Step<'_, Self>, _: &TableRef, ctx: &ExecutionContext) -> Result<Written> {
        let (work, place) = (ctx.store().at_work(), self.place.clone());
        let end = self.end.lock().unwrap().take().unwrap();
        let (started, has_started) = mpsc::channel();
        std::thread::spawn(move || {
            std::fs::write(place.join("finished"), "whole").unwrap();
            drop(work.unfinished(&place.join("finished")));
            std::fs::create_dir(place.join("parts")).unwrap();
            for name in ["file", "parts/1"] {
                std::fs::write(place.join(name), "half").unwrap();
            }
            let building = ["file", "parts"].map(|name| work.unfinished(&place.join(name)));
            started.send(()).unwrap();
            let _ = end.recv();
            // A thread that gets this far clears away by itself.
            std::fs::write(place.join("cleared"), "").unwrap();
            drop((building, work));
        });
        has_started.recv().unwrap();
        Err(Error::validation("the step fails while its thread goes on"))
    }
}

/// Runs a pipeline of both; how long that took.
async fn run(place: &Path, end: mpsc::Receiver<()>) -> (RunReport, Duration) {
    let mut registry = Registry::new();
    registry.extractor(One).add().unwrap();
    registry.writer(Builder { place: place.to_path_buf(), end: Mutex::new(Some(end)) }).add().unwrap();
    let text = "oml_version: \"0.1.0\"\nname: test\nsteps:\n  - {id: row, component: test.one, mode: read, config: {}}\n  \
                - {id: build, component: test.builder, mode: write, config: {}}\n";
    let source = Arc::new(SourceFile::from_text("pipeline.yaml", text).with_path(place.join("pipeline.yaml")));
    let none = Environment::of(Vec::<(&str, &str)>::new());
    let plan = Plan::new(&source, &registry, &ConnectionsFile::none(), &none, &PlanOptions::default()).unwrap();
    let options = RunOptions { memory_limit: 200 << 20, ..RunOptions::new(place.join(".osiris")) };
    let started = Instant::now();
    let report = osiris_pipeline::run::run(&plan, &options, None, &Silent).await.unwrap();
    (report, started.elapsed())
}

fn left(place: &Path) -> Vec<String> {
    let names = ["cleared", "file", "finished", "parts", "parts/1"];
    names.iter().filter(|name| place.join(name).exists()).map(|name| (*name).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn s63_a_run_waits_twenty_seconds_for_a_thread_and_removes_what_it_was_building() {
    let place = tempfile::tempdir().unwrap();
    let (never, end) = mpsc::channel();
    let (report, took) = run(place.path(), end).await;
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(took >= PROMISED && took < PROMISED + Duration::from_secs(15), "{took:?}");
    assert_eq!(left(place.path()), ["finished"]);
    drop(never);
}

#[tokio::test(flavor = "multi_thread")]
async fn s63_a_run_does_not_end_before_a_thread_that_clears_away_nor_wait_for_longer() {
    let place = tempfile::tempdir().unwrap();
    let (soon, end) = mpsc::channel();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(2));
        drop(soon);
    });
    let (report, took) = run(place.path(), end).await;
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(took < Duration::from_secs(15), "{took:?}");
    // What it has not removed itself is its own business.
    assert_eq!(left(place.path()), ["cleared", "file", "finished", "parts", "parts/1"]);
}

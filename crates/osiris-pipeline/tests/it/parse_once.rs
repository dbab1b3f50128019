//! Each configuration and each connection is parsed once, from the check of the file to the end of the run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use arrow::array::{Int64Array, RecordBatch};
use async_trait::async_trait;
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, DestinationId, ExecutionContext, Extract, Extracted, Feature, Problem,
    Registry, Result, Role, Step, TableRef, TableSink, Write, Written,
};
use osiris_pipeline::{
    ConnectionsFile, Environment, Outcome, Plan, PlanOptions, RunOptions, Silent, SourceFile, StoreChoice,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

static READ_CONFIGS: AtomicU32 = AtomicU32::new(0);
static WRITE_CONFIGS: AtomicU32 = AtomicU32::new(0);
static CONNECTIONS: AtomicU32 = AtomicU32::new(0);

/// Deserializes a value and counts that.
fn counted<'de, D: Deserializer<'de>>(deserializer: D, count: &AtomicU32) -> Result<i64, D::Error> {
    count.fetch_add(1, SeqCst);
    i64::deserialize(deserializer)
}

fn read_config<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    counted(deserializer, &READ_CONFIGS)
}

fn write_config<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    counted(deserializer, &WRITE_CONFIGS)
}

fn connection<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    counted(deserializer, &CONNECTIONS)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Source {
    #[serde(deserialize_with = "connection")]
    #[expect(dead_code, reason = "only its parsing is counted")]
    port: i64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReadConfig {
    #[serde(deserialize_with = "read_config")]
    rows: i64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WriteConfig {
    #[serde(deserialize_with = "write_config")]
    #[expect(dead_code, reason = "only its parsing is counted")]
    copies: i64,
}

/// Makes numbers.
struct Numbers;

impl Component for Numbers {
    const SPEC: ComponentSpec = ComponentSpec::new("counted.extractor", "1", Role::Extract, "Numbers")
        .with_connection(ConnectionUse::Required)
        .with_features(&[Feature::Streams]);
    type Connection = Source;
    type Config = ReadConfig;

    fn validate(_: &ReadConfig) -> Vec<Problem> {
        vec![Problem::warning("/rows", "few")]
    }

    fn files(_: &ReadConfig, _: &Source, base: &Path) -> Vec<PathBuf> {
        vec![base.join("numbers")]
    }

    fn streams(_: &ReadConfig, _: &Source) -> bool {
        true
    }
}

#[async_trait]
impl Extract for Numbers {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, _: &ExecutionContext) -> Result<Extracted> {
        let rows = step.config().rows;
        let column: arrow::array::ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        let batch = RecordBatch::try_from_iter([("v", column)]).unwrap();
        out.sender(batch.schema()).await?.send(batch).await?;
        Ok(Extracted::rows(rows.unsigned_abs()))
    }
}

/// Acknowledges its rows.
struct Void;

impl Component for Void {
    const SPEC: ComponentSpec = ComponentSpec::new("counted.writer", "1", Role::Write, "Void")
        .with_connection(ConnectionUse::Required)
        .with_features(&[Feature::Streams]);
    type Connection = Source;
    type Config = WriteConfig;

    fn streams(_: &WriteConfig, _: &Source) -> bool {
        true
    }
}

#[async_trait]
impl Write for Void {
    fn destination(&self, _: &WriteConfig, _: &Source, base: &Path) -> DestinationId {
        DestinationId::file(base.join("void"))
    }

    async fn write(&self, _: &Step<'_, Self>, input: &TableRef, ctx: &ExecutionContext) -> Result<Written> {
        let mut scan = ctx.store().scan(input).open().await?;
        let mut rows = 0;
        while let Some(batch) = scan.next().await? {
            rows += batch.num_rows() as u64;
        }
        Ok(Written::inserted(rows))
    }
}

const PIPELINE: &str = r#"
oml_version: "0.1.0"
name: counted
steps:
  - id: read
    component: counted.extractor
    mode: read
    config: {rows: 3}
  - id: write
    component: counted.writer
    mode: write
    config: {copies: 1}
"#;

const CONNECTIONS_FILE: &str = "version: 1\nconnections: {counted: {main: {port: 1, default: true}}}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_and_a_connection_are_parsed_once_for_each_step() {
    let mut registry = Registry::new();
    registry.extractor(Numbers).add().unwrap();
    registry.writer(Void).add().unwrap();
    let counts = || [&READ_CONFIGS, &WRITE_CONFIGS, &CONNECTIONS].map(|count| count.load(SeqCst));
    for (round, store) in (1..).zip([StoreChoice::Memory, StoreChoice::File]) {
        let source = Arc::new(SourceFile::from_text("counted.yaml", PIPELINE));
        let connections = ConnectionsFile::parse(SourceFile::from_text("osiris_connections.yaml", CONNECTIONS_FILE));
        let environment = Environment::of(Vec::<(&str, &str)>::new());
        let plan = Plan::new(&source, &registry, &connections.unwrap(), &environment, &PlanOptions::default()).unwrap();
        assert_eq!(counts(), [round, round, 2 * round]);
        assert_eq!(plan.files(), [PathBuf::from("./numbers")]);
        plan.manifest();
        let directory = tempfile::tempdir().unwrap();
        let options =
            RunOptions { store, jobs: 2, memory_limit: 200 << 20, ..RunOptions::new(directory.path().join("runs")) };
        let report = osiris_pipeline::run::run(&plan, &options, None, &Silent).await.unwrap();
        assert_eq!(report.outcome, Outcome::Done);
        assert_eq!(counts(), [round, round, 2 * round], "{store:?}");
    }
}

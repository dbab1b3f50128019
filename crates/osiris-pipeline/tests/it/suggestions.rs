//! What a source is asked after a failure does not hold up the rest of the run.

use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use async_trait::async_trait;
use osiris_core::{
    Catalog, Component, ComponentSpec, Error, ExecutionContext, Extract, Extracted, Family, NoConnection, Registry,
    Resource, ResourceKind, Result, Role, Step, TableSink,
};
use osiris_pipeline::{
    ConnectionsFile, Environment, Observer, Outcome, Plan, PlanOptions, RunOptions, SourceFile, StepReport,
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Notify;

/// What happens in a run, in its order.
#[derive(Default)]
struct Events {
    /// The shop is asked what it has.
    asked: Notify,
    /// A step other than that of the shop was reported.
    reported: Notify,
    reports: Mutex<Vec<String>>,
}

impl Observer for Events {
    fn step_finished(&self, report: &StepReport) {
        self.reports.lock().unwrap().push(report.id.clone());
        if report.id == "slow" {
            self.reported.notify_one();
        }
    }
}

/// A source without the table that is asked for. It answers once another step was reported.
struct Shop(Arc<Events>);

struct ShopExtractor;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Table {
    #[expect(dead_code, reason = "the source is asked for it")]
    table: String,
}

impl Component for ShopExtractor {
    const SPEC: ComponentSpec = ComponentSpec::new("shop.extractor", "1", Role::Extract, "Reads a shop");
    type Connection = NoConnection;
    type Config = Table;
}

#[async_trait]
impl Extract for ShopExtractor {
    async fn extract(&self, _: &Step<'_, Self>, _: &TableSink, _: &ExecutionContext) -> Result<Extracted> {
        Err(Error::validation("there is no such table").with_hint("check `table`"))
    }
}

#[async_trait]
impl Family for Shop {
    const NAME: &'static str = "shop";
    const HAS_DISCOVERY: bool = true;
    const HAS_DOCTOR: bool = false;
    type Connection = NoConnection;

    async fn discover(&self, _: &NoConnection, _: Option<&str>) -> Result<Catalog> {
        self.0.asked.notify_one();
        self.0.reported.notified().await;
        Ok(Catalog::new(vec![Resource {
            name: "orders".to_owned(),
            kind: ResourceKind::Table,
            estimated_row_count: None,
            estimated_size_mb: None,
            fields: Vec::new(),
        }]))
    }
}

/// Ends once the shop is asked.
struct Slow(Arc<Events>);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl Component for Slow {
    const SPEC: ComponentSpec = ComponentSpec::new("test.slow", "1", Role::Extract, "A row, later");
    type Connection = NoConnection;
    type Config = Nothing;
}

#[async_trait]
impl Extract for Slow {
    async fn extract(&self, _: &Step<'_, Self>, out: &TableSink, _: &ExecutionContext) -> Result<Extracted> {
        self.0.asked.notified().await;
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1));
        let batch = RecordBatch::try_from_iter([("v", column)]).unwrap();
        out.sender(batch.schema()).await?.send(batch).await?;
        Ok(Extracted::rows(1))
    }
}

const PIPELINE: &str = "oml_version: \"0.1.0\"
name: test
steps:
  - {id: misspelt, component: shop.extractor, mode: read, config: {table: ordres}}
  - {id: slow, component: test.slow, mode: read, config: {}}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_ends_while_a_source_is_asked_for_a_name_is_reported_at_once() {
    let events = Arc::new(Events::default());
    let mut registry = Registry::new();
    registry.family(Shop(Arc::clone(&events))).extractor(ShopExtractor).add().unwrap();
    registry.extractor(Slow(Arc::clone(&events))).add().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pipeline.yaml");
    std::fs::write(&file, PIPELINE).unwrap();
    let source = Arc::new(SourceFile::from_text("pipeline.yaml", PIPELINE).with_path(file));
    let none = Environment::of(Vec::<(&str, &str)>::new());
    let plan = Plan::new(&source, &registry, &ConnectionsFile::none(), &none, &PlanOptions::default());
    let plan = plan.unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let options = RunOptions { memory_limit: 200 << 20, ..RunOptions::new(directory.path().join(".osiris")) };
    let report = osiris_pipeline::run::run(&plan, &options, None, &*events).await.unwrap();
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(*events.reports.lock().unwrap(), ["slow", "misspelt"]);
    let failed = report.steps.iter().find(|step| step.id == "misspelt").unwrap();
    assert_eq!(failed.error.as_ref().unwrap().hint(), Some("did you mean the table `orders`? check `table`"));
}

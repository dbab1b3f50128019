//! The driver through the eyes of a runner: real files, a real store.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use osiris_core::config::ConfigSchema;
use osiris_core::{
    Driver, ErrorKind, Inputs, Registry, ResolvedConnection, RunContext, StepOutput, StepRequest, Store, StoreKind,
    StoreOptions, Telemetry,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A directory of tables and a run to reach it from.
struct Fixture {
    directory: TempDir,
    run: RunContext,
    registry: Registry,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let scratch = directory.path().join("scratch");
        fs::create_dir(&scratch).unwrap();
        let store = Store::open(&StoreOptions::new(StoreKind::Memory, &scratch)).unwrap();
        let run = RunContext::new(store, Telemetry::discard(), &scratch, Default::default());
        let mut registry = Registry::new();
        osiris_driver_sample::register(&mut registry).unwrap();
        Self { directory, run, registry }
    }

    fn driver(&self, name: &str) -> &dyn Driver {
        self.registry.get(name).unwrap().as_ref()
    }

    fn connection(&self, driver: &dyn Driver) -> ResolvedConnection {
        let fields = json!({"directory": self.directory.path()});
        let schema: &ConfigSchema = driver.connection_schema();
        ResolvedConnection::from_fields(fields.as_object().unwrap().clone(), schema)
    }

    fn request(&self, component: &str, config: Value) -> StepRequest {
        let mut request = StepRequest::new(component.replace('.', "-"), config);
        request.connection = self.connection(self.driver(component));
        request
    }

    async fn run(&self, component: &str, request: StepRequest, inputs: Inputs) -> osiris_core::Result<StepOutput> {
        let context = self.run.step(&request.step_id);
        Ok(self.driver(component).run(&request, &inputs, &context).await?)
    }

    async fn extract(&self, table: &str) -> osiris_core::Result<StepOutput> {
        let request = self.request("sample.extractor", json!({"table": table, "page_size": 2}));
        self.run("sample.extractor", request, Inputs::none()).await
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn rows_go_from_one_table_to_another() {
    let fixture = Fixture::new();
    fs::write(fixture.file("source.txt"), "one\n\nthree\n").unwrap();
    fs::write(fixture.file("target.txt"), "zero\n").unwrap();
    let extracted = fixture.extract("source").await.unwrap();
    assert_eq!(extracted.rows, 3);
    for (mode, expected) in [("append", "zero\none\n\nthree\n"), ("overwrite", "one\n\nthree\n")] {
        let request = fixture.request("sample.writer", json!({"table": "target", "mode": mode}));
        let inputs = Inputs::one(extracted.table.clone().unwrap());
        let written = fixture.run("sample.writer", request, inputs).await.unwrap();
        assert_eq!(written.rows, 3);
        assert_eq!(text(&fixture.file("target.txt")), expected, "{mode}");
    }
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let fixture = Fixture::new();
    fs::write(fixture.file("source.txt"), "one\n").unwrap();
    let extracted = fixture.extract("source").await.unwrap();
    let mut request = fixture.request("sample.writer", json!({"table": "target"}));
    request.dry_run = true;
    fixture.run("sample.writer", request, Inputs::one(extracted.table.unwrap())).await.unwrap();
    assert!(!fixture.file("target.txt").exists());
}

#[tokio::test]
async fn a_missing_table_is_named_and_not_tried_again() {
    let error = Fixture::new().extract("nowhere").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(error.report().contains("nowhere.txt"), "{}", error.report());
}

#[test]
fn a_mode_that_is_not_supported_and_a_path_are_refused_before_anything_is_opened() {
    let fixture = Fixture::new();
    let problems = fixture.driver("sample.writer").check_config(&json!({"table": "t", "mode": "upsert"}));
    assert!(problems[0].to_string().contains("`append` or `overwrite`"), "{problems:?}");
    let problems = fixture.driver("sample.extractor").check_config(&json!({"table": "../t"}));
    assert!(problems[0].to_string().contains("not a path"), "{problems:?}");
}

#[tokio::test]
async fn tables_are_discovered_in_order_and_the_doctor_says_what_is_wrong() {
    let fixture = Fixture::new();
    fs::write(fixture.file("b.txt"), "").unwrap();
    fs::write(fixture.file("a.txt"), "").unwrap();
    let driver = fixture.driver("sample.extractor");
    let connection = fixture.connection(driver);
    let catalog = driver.discover(&connection, None).await.unwrap();
    let names: Vec<&str> = catalog.resources.iter().map(|resource| resource.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(driver.check(&connection, Duration::from_secs(2)).await.ok);
    fs::remove_dir_all(fixture.directory.path()).unwrap();
    assert!(!driver.check(&connection, Duration::from_secs(2)).await.ok);
}

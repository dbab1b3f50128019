//! The code of `docs/embedding.md`, run. What stands between `// [name]` and `// [end]` is a block of the page.

use std::path::Path;

use osiris::Outcome;
use serde_json::json;

// [plan]
use std::sync::Arc;

use osiris::{ConnectionsFile, Environment, Plan, PlanOptions, SourceFile};

fn plan(directory: &Path) -> osiris::Result<Plan> {
    let pipeline = json!({
        "oml_version": "0.1.0",
        "name": "sums",
        "steps": [
            {"id": "orders", "component": "filesystem.csv_extractor",
             "config": {"path": "orders.csv", "dtype": {"amount": "INTEGER"}, "on_bad_lines": "reject", "max_rejects": 10}},
            {"id": "sums", "component": "duckdb.processor", "needs": ["orders"],
             "config": {"query": "SELECT customer, sum(amount) AS amount FROM orders GROUP BY ALL ORDER BY ALL"}},
            {"id": "written", "component": "filesystem.csv_writer", "needs": ["sums"], "config": {"path": "sums.csv"}},
        ],
    });
    // Relative paths in it start where this file would be.
    let source = SourceFile::from_value("sums", &pipeline).with_path(directory.join("sums.json"));
    let connections = json!({"connections": {"filesystem": {"data": {"base_dir": "."}}}});
    let connections = ConnectionsFile::parse(SourceFile::from_value("connections", &connections))?;
    let (registry, environment) = (osiris::registry()?, Environment::of_process());
    Ok(Plan::new(&Arc::new(source), &registry, &connections, &environment, &PlanOptions::default())?)
}
// [end]

// [observe]
use std::sync::Mutex;

use osiris::{Observer, StepReport};

/// Collects lines about the steps.
#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl Lines {
    fn add(&self, line: String) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(line);
    }
}

impl Observer for Lines {
    fn step_finished(&self, report: &StepReport) {
        self.add(format!("{}: {} rows", report.id, report.rows));
    }
}
// [end]

// [run]
use osiris::{CancellationToken, RunOptions, RunReport};

async fn run(plan: &Plan, directory: &Path, cancel: CancellationToken, lines: &Lines) -> osiris::Result<RunReport> {
    // Runs, states and rejects are kept below this directory.
    let mut options = RunOptions::new(directory.join(".osiris"));
    // `cancel.cancel()`, from anywhere, ends the run and waits for a write that has begun.
    options.cancel = cancel;
    let report = osiris::run(plan, &options, None, lines).await?;
    for step in report.steps.iter().filter(|step| !step.status.is_done()) {
        let why = step.error.as_ref().map(|error| format!("{}: {}", error.kind(), error.message()));
        lines.add(format!("{} is {:?}: {}", step.id, step.status, why.unwrap_or_default()));
    }
    Ok(report)
}
// [end]

// [rejects]
fn rejects(report: &RunReport) -> osiris::Result<Vec<String>> {
    let mut found = Vec::new();
    for step in &report.steps {
        let Some(file) = step.open_rejects()? else { continue };
        file.rows(None, |reject| -> osiris::Result<()> {
            let row = reject.row_number.map_or_else(String::new, |number| format!(" row {number}"));
            found.push(format!("{}{row}: {}", step.id, reject.reason));
            Ok(())
        })?;
    }
    Ok(found)
}
// [end]

// [past]
use osiris::{Ledger, Runs};

/// The latest run, by its id, and its ledger.
fn latest(directory: &Path) -> osiris::Result<(String, Option<Ledger>)> {
    let run = Runs::below(&directory.join(".osiris")).find(None)?;
    Ok((run.record().run_id.clone(), run.ledger().cloned()))
}
// [end]

// [problems]
use osiris::Diagnostics;

/// What is wrong with a pipeline, a line each.
fn problems(error: &osiris::Error) -> Vec<String> {
    let list = Diagnostics::of_error(error).into_iter().flat_map(Diagnostics::iter);
    list.map(|problem| format!("{}: {}", problem.path().unwrap_or_default(), problem.message())).collect()
}
// [end]

#[tokio::test(flavor = "multi_thread")]
async fn p23_the_guide_does_what_it_says() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("orders.csv"), "customer,amount\nann,1\nbob,2\nann,x\nann,4\n").unwrap();
    let (plan, lines) = (plan(directory.path()).unwrap(), Lines::default());
    let report = run(&plan, directory.path(), CancellationToken::new(), &lines).await.unwrap();
    assert_eq!(report.outcome, Outcome::Done, "{report:?}");
    assert_eq!(std::fs::read_to_string(directory.path().join("sums.csv")).unwrap(), "amount,customer\n5,ann\n2,bob\n");
    assert!(lines.0.lock().unwrap().contains(&"orders: 3 rows".to_owned()));
    let rejected = rejects(&report).unwrap();
    assert!(rejected.len() == 1 && rejected[0].starts_with("orders row"), "{rejected:?}");
    let (id, ledger) = latest(directory.path()).unwrap();
    assert_eq!(id, report.run_id);
    assert!(ledger.unwrap().balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn p23_a_run_that_is_cancelled_says_so() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("orders.csv"), "customer,amount\nann,1\n").unwrap();
    let plan = plan(directory.path()).unwrap();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let report = run(&plan, directory.path(), cancel, &Lines::default()).await.unwrap();
    assert_eq!(report.outcome, Outcome::Interrupted);
}

#[test]
fn p23_problems_are_named_by_their_path() {
    let pipeline = json!({"oml_version": "0.1.0", "name": "p", "steps": [
        {"id": "a", "component": "filesystem.csv_extractor", "config": {"path": "a.csv", "delimitre": ";"}},
    ]});
    let source = Arc::new(SourceFile::from_value("p", &pipeline));
    let (registry, environment) = (osiris::registry().unwrap(), Environment::of::<String, String>([]));
    let refused =
        Plan::new(&source, &registry, &ConnectionsFile::none(), &environment, &PlanOptions::default()).unwrap_err();
    let found = problems(&osiris::Error::from(refused));
    assert!(found.contains(&"steps[0].config.delimitre: unknown field `delimitre`".to_owned()), "{found:?}");
}

/// The blocks of this file, by name.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let source = include_str!("embedding.rs");
    let begun = source.split("\n// [").skip(1).filter(|text| !text.starts_with("end]"));
    begun
        .filter_map(|text| text.split_once("]\n"))
        .map(|(name, text)| (name, text.split("\n// [end]").next().unwrap_or_default()))
        .collect()
}

#[test]
fn p23_the_code_of_the_page_is_the_code_of_this_file() {
    // Asked at run time: a package of this crate has no pages.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("tests are run by cargo");
    let Ok(page) = std::fs::read_to_string(Path::new(&package).join("../../docs/embedding.md")) else { return };
    let mut shown: Vec<&str> =
        page.split("```rust\n").skip(1).map(|text| text.split("\n```").next().unwrap()).collect();
    let mut code: Vec<&str> = blocks().into_iter().map(|(_, text)| text).collect();
    // The page tells what is wrong with a pipeline where it makes one.
    shown.sort_unstable();
    code.sort_unstable();
    assert_eq!(shown, code);
}

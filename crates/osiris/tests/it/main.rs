//! The facade as an embedder uses it: what the README shows, run.
#![cfg(all(feature = "duckdb", feature = "filesystem"))]

mod embedding;

use std::sync::Arc;

use osiris::{Environment, ErrorKind, Outcome, PlanOptions, Project, Settings, Silent, SourceFile};

const PIPELINE: &str = "\
oml_version: \"0.1.0\"
name: embedded
steps:
  - {id: read, component: filesystem.csv_extractor, mode: read, config: {path: in.csv}}
  - {id: sums, component: duckdb.processor, mode: transform, config: {query: SELECT sum(b) AS b FROM read}}
  - {id: write, component: filesystem.csv_writer, mode: write, config: {path: out.csv}}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_runs_inside_another_program() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pipeline.yaml");
    std::fs::write(&file, PIPELINE).unwrap();
    std::fs::write(directory.path().join("in.csv"), "a,b\nx,1\ny,2\n").unwrap();
    let environment = Environment::of::<String, String>([]);
    let project = Project::of_pipeline(&file, Settings::default(), environment).unwrap();
    let source = Arc::new(SourceFile::read(&file).unwrap());
    let plan = project.plan(&source, &osiris::registry().unwrap(), &PlanOptions::default()).unwrap();
    let report = osiris::run(&plan, &project.run_options(), None, &Silent).await.unwrap();
    assert_eq!(report.outcome, Outcome::Done);
    let rows: Vec<(&str, u64)> = report.steps.iter().map(|step| (step.id.as_str(), step.rows)).collect();
    assert_eq!(rows, [("read", 2), ("sums", 1), ("write", 1)]);
    assert_eq!(std::fs::read_to_string(directory.path().join("out.csv")).unwrap(), "b\n3\n");
}

/// A component of each family, and whether its feature is on. CI runs this with `all-drivers` and with a few of them.
const FAMILIES: [(&str, &str, bool); 9] = [
    ("duckdb", "duckdb.processor", cfg!(feature = "duckdb")),
    ("duckdb", "duckdb.writer", cfg!(feature = "duckdb")),
    ("filesystem", "filesystem.parquet_writer", cfg!(feature = "filesystem")),
    ("graphql", "graphql.extractor", cfg!(feature = "graphql")),
    ("mysql", "mysql.writer", cfg!(feature = "mysql")),
    ("postgres", "postgres.writer", cfg!(feature = "postgres")),
    ("posthog", "posthog.extractor", cfg!(feature = "posthog")),
    ("sqlite", "sqlite.writer", cfg!(feature = "sqlite")),
    ("supabase", "supabase.writer", cfg!(feature = "supabase")),
];

#[test]
fn each_feature_brings_the_components_of_its_family() {
    let registry = osiris::registry().unwrap();
    for (feature, name, on) in FAMILIES {
        let found = registry.get(name);
        assert_eq!(found.is_ok(), on, "{name}");
        if let Some(missing) = found.err() {
            assert_eq!(missing.kind(), ErrorKind::Validation);
            assert_eq!(missing.hint(), Some(format!("this build lacks the Cargo feature `{feature}`").as_str()));
        }
    }
}

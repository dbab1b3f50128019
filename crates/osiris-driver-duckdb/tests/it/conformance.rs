//! `duckdb.processor` against the driver rules.

use osiris_core::{ErrorKind, Registry, Result};
use osiris_testkit::{Fault, InvalidConfig, Job, Place, Rows, Sample, Subject, async_trait};
use serde_json::json;

osiris_testkit::conformance_suite!(transform, processor, Processor);

struct Processor;

#[async_trait]
impl Subject for Processor {
    fn component(&self) -> &'static str {
        "duckdb.processor"
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        osiris_driver_duckdb::register(registry)
    }

    async fn prepare(&self, _: &Place, rows: u64) -> Result<Job> {
        let mut expected = Rows::new(["id", "name"]).with_types(["BIGINT", "VARCHAR"]);
        for row in Sample::new(rows).text()?.rows() {
            expected.push(row[..2].to_vec());
        }
        let query = "CREATE TEMP TABLE half AS SELECT id, name FROM \"up-stream\" ORDER BY id; SELECT * FROM half";
        Ok(Job::new(json!({"query": query})).input("up-stream", Sample::new(rows)).expecting(expected))
    }

    async fn prepare_volume(&self, _: &Place, sample: Sample) -> Result<Option<Job>> {
        Ok(Some(Job::new(json!({"query": "SELECT * FROM up_stream"})).input("up-stream", sample)))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        let two = json!({"query": "DROP TABLE a", "assertions": [{"name": "empty"}]});
        vec![
            InvalidConfig::new(two, ["query", "assertion"]),
            InvalidConfig::new(json!({"query": "SELECT 1; COPY (SELECT 1) TO 'a.csv'"}), ["query"]),
            InvalidConfig::new(json!({"query": "ATTACH 'a.duckdb'"}), ["ATTACH"]),
        ]
    }

    async fn faults(&self, place: &Place) -> Result<Vec<Fault>> {
        let job = |query: &str| Job::new(json!({"query": query})).input("up-stream", Sample::new(20));
        let outside = format!("SELECT * FROM read_csv('{}/../outside.csv')", place.path().display());
        let asserted = json!({"query": "FROM up_stream", "assertions": [{"not_null": "name"}]});
        let asserted = Job::new(asserted).input("up-stream", Sample::new(20));
        Ok(vec![
            Fault::new("no such column", ErrorKind::Validation, job("SELECT nothing FROM up_stream"))
                .found_by_dry_run(),
            Fault::new("no such table", ErrorKind::Validation, job("FROM down_stream")).found_by_dry_run(),
            Fault::new("a failing cast", ErrorKind::Validation, job("SELECT name::INTEGER AS n FROM up_stream")),
            Fault::new("a file", ErrorKind::Validation, job(&outside)).found_by_dry_run(),
            Fault::new("a failed assertion", ErrorKind::Integrity, asserted),
        ])
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("DRV-014", "DuckDB has made the rows of the sample before its counters are read a second time"),
            ("DRV-008", "columns are named in SQL, where the engine names the first that it does not find"),
            ("DRV-019", "has no connection"),
            ("DRV-020", "has no connection"),
            ("DRV-021", "has no connection"),
            ("DRV-022", "has no connection"),
            ("DRV-023", "has no connection"),
            ("DRV-027", "has no client: its engine is the run store"),
            ("CRT-007", "has no connection"),
        ]
    }
}

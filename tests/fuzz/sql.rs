//! SQL of processors, and conditions: what is accepted is executed beside tables that must stay as they are.

use std::time::Duration;

use osiris_core::store::{SqlExpression, SqlScript};
use osiris_core::{ErrorKind, Store, StoreKind, StoreOptions};
use proptest::{prop_assert, prop_assert_eq};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{Verdict, fuzz};

/// A store with two finished steps, and a file that nobody may read.
struct Canary {
    runtime: Runtime,
    store: Store,
    directory: TempDir,
    before: String,
    cases: u32,
}

/// Everything that SQL could have changed, as one text.
const STATE: &str = "SELECT concat_ws('|', (SELECT string_agg(id || n, ',' ORDER BY id) FROM steps.t),
    (SELECT string_agg(id || n, ',' ORDER BY id) FROM steps.other),
    (SELECT string_agg(step || rows || columns || note, ',' ORDER BY step) FROM osiris.tables),
    (SELECT string_agg(schema_name || table_name, ',' ORDER BY table_name) FROM duckdb_tables() WHERE NOT temporary),
    (SELECT string_agg(schema_name || view_name, ',' ORDER BY view_name) FROM duckdb_views() WHERE NOT internal AND NOT temporary),
    (SELECT string_agg(schema_name, ',' ORDER BY schema_name) FROM duckdb_schemas()),
    (SELECT count(*) FROM duckdb_functions() WHERE NOT internal),
    (SELECT count(*) FROM duckdb_sequences()), (SELECT count(*) FROM duckdb_databases()),
    (SELECT string_agg(name || value, ',' ORDER BY name) FROM duckdb_settings() WHERE name NOT LIKE '%threads%'))";

impl Canary {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("secret.csv"), "id\n1\n").unwrap();
        let options = StoreOptions::new(StoreKind::Memory, directory.path().join("tmp"));
        let store = Store::open(&options.with_memory_limit(256 << 20).with_threads(1)).unwrap();
        let mut canary = Self { runtime, store, directory, before: String::new(), cases: 0 };
        for step in ["t", "other"] {
            canary.runtime.block_on(async {
                let sink = canary.store.sink(step).await.unwrap();
                let select = "SELECT i AS id, 'a' AS n, [i] AS l, {'a': i} AS s FROM range(3) r(i)";
                sink.call(move |tx| tx.create_table_as(select, &|_| false)).await.unwrap();
                sink.finish().await.unwrap();
            });
        }
        canary.before = canary.state();
        canary
    }

    fn state(&self) -> String {
        let state =
            self.store.call(|connection| Ok(connection.query_row(STATE, [], |row| row.get::<_, String>(0)).unwrap()));
        self.runtime.block_on(state).unwrap()
    }

    /// Runs statements and makes a table of `select`, as a step does, for at most a second.
    fn run(&mut self, setup: Vec<String>, select: String) -> Verdict {
        let work = async {
            let sink = self.store.sink("c").await?;
            sink.call(move |tx| {
                let failed = |error| osiris_core::store::store_error(error, "the query failed");
                tx.connection().execute_batch("CREATE TEMP VIEW t AS FROM steps.t").map_err(failed)?;
                for statement in setup {
                    tx.connection().execute_batch(&statement).map_err(failed)?;
                }
                tx.create_table_as(&select, &|_| false)
            })
            .await?;
            sink.finish().await.map(drop)
        };
        let done = self.runtime.block_on(async { tokio::time::timeout(Duration::from_secs(1), work).await });
        if let Ok(Err(error)) = done {
            prop_assert!(error.kind() != ErrorKind::Integrity, "accepted, and it changed a table: {}", error.report());
            prop_assert!(
                error.kind() != ErrorKind::Permission,
                "accepted, and it asked for a file: {}",
                error.report()
            );
        }
        self.runtime.block_on(self.store.drop_table("c")).unwrap();
        self.cases += 1;
        if self.cases.is_multiple_of(16) { self.ensure_unchanged() } else { Ok(()) }
    }

    fn ensure_unchanged(&self) -> Verdict {
        prop_assert_eq!(self.state(), self.before.clone());
        let files = std::fs::read_dir(self.directory.path()).unwrap().count();
        prop_assert!(files == 2, "{files} files");
        Ok(())
    }
}

#[test]
fn sql_of_processors() {
    let mut canary = Canary::new();
    fuzz("SQL of processors", include_str!("corpus/processor.txt"), |sql| {
        let script = match SqlScript::parse(sql) {
            Ok(script) => script,
            Err(error) => {
                prop_assert!(error.kind() == ErrorKind::Validation, "{}", error.report());
                return Ok(());
            }
        };
        // As the processor does: nothing but inputs.
        let known = |name: &osiris_core::store::TableName| {
            name.name.eq_ignore_ascii_case("t")
                && name.schema.as_deref().is_none_or(|schema| schema.eq_ignore_ascii_case("steps"))
        };
        if !script.tables().iter().all(known) {
            return Ok(());
        }
        let setup = script.setup().iter().map(|definition| definition.sql().to_owned()).collect();
        canary.run(setup, script.select().text().to_owned())
    });
    canary.ensure_unchanged().unwrap();
}

#[test]
fn conditions() {
    let mut canary = Canary::new();
    fuzz("conditions", include_str!("corpus/condition.txt"), |text| {
        let condition = match SqlExpression::parse(text) {
            Ok(condition) => condition,
            Err(error) => {
                prop_assert!(error.kind() == ErrorKind::Validation, "{}", error.report());
                return Ok(());
            }
        };
        let again = SqlExpression::parse(condition.sql());
        prop_assert!(again.is_ok(), "{text:?} became {:?}, which is refused", condition.sql());
        // A table of two columns whatever the condition is, with at most the rows that were there.
        let select = format!("SELECT id, n FROM (FROM steps.t) WHERE {} LIMIT 5", condition.sql());
        canary.run(Vec::new(), select)
    });
    canary.ensure_unchanged().unwrap();
}

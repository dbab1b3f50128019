//! The extractor against the driver rules.

use std::sync::Arc;

use arrow::array::AsArray as _;
use osiris_core::{Error, ErrorKind, Registry, Result};
use osiris_testkit::services::Postgres;
use osiris_testkit::{Fault, Incremental, InvalidConfig, Job, Place, Sample, Subject, async_trait};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

osiris_testkit::conformance_suite!(extract, extractor, Source::default());

const NOT_APPLICABLE: [(&str, &str); 4] = [
    ("DRV-012", "one result is streamed, nothing is paged"),
    ("DRV-013", "one result is streamed, nothing is paged"),
    ("DRV-015", "no HTTP"),
    ("DRV-016", "no HTTP"),
];

/// The table `source` of a server of the test's own.
#[derive(Default)]
struct Source {
    server: OnceCell<Postgres>,
}

impl Source {
    async fn server(&self) -> Result<&Postgres> {
        let start = || async {
            Postgres::start().await?.ok_or_else(|| Error::unknown("tests that need `postgres` are left out"))
        };
        self.server.get_or_try_init(start).await
    }

    fn job(server: &Postgres, config: Value) -> Job {
        Job::new(config).connection(server.connection())
    }

    /// Fills the table without the driver.
    async fn fill(server: &Postgres, sample: Sample) -> Result<()> {
        server
            .execute(
                "DROP TABLE IF EXISTS source; CREATE TABLE source (id bigint PRIMARY KEY, name text, amount numeric(12,2), \
                 day date, at timestamp, flag boolean)",
            )
            .await?;
        for rows in sample.text()?.rows().chunks(500) {
            let rows: Vec<String> = rows
                .iter()
                .map(|row| {
                    let cells = row.iter().map(|cell| match cell {
                        None => "NULL".to_owned(),
                        Some(text) => format!("'{}'", text.replace('\'', "''")),
                    });
                    format!("({})", cells.collect::<Vec<_>>().join(", "))
                })
                .collect();
            server.execute(&format!("INSERT INTO source VALUES {}", rows.join(", "))).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Subject for Source {
    fn component(&self) -> &'static str {
        "postgres.extractor"
    }

    fn service(&self) -> Option<&'static str> {
        Some("postgres")
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        osiris_driver_postgres::register(registry)
    }

    async fn prepare(&self, _: &Place, rows: u64) -> Result<Job> {
        let server = self.server().await?;
        let sample = Sample::new(rows);
        Self::fill(server, sample).await?;
        Ok(Self::job(server, json!({"table": "source"})).expecting(sample.text()?.with_types(Sample::TYPES)))
    }

    async fn prepare_volume(&self, _: &Place, sample: Sample) -> Result<Option<Job>> {
        let server = self.server().await?;
        let first = sample.batches().next().transpose()?;
        let padding = first
            .as_ref()
            .and_then(|batch| batch.column_by_name("padding"))
            .map_or(0, |column| column.as_string::<i32>().iter().flatten().next().map_or(0, str::len));
        let query = format!(
            "SELECT id, left(repeat(md5(id::text), {}), {padding}) AS padding FROM generate_series(0::bigint, {}) AS n (id)",
            padding / 32 + 1,
            sample.rows().saturating_sub(1)
        );
        Ok(Some(Self::job(server, json!({"query": query}))))
    }

    async fn prepare_incremental(&self, _: &Place) -> Result<Option<Incremental>> {
        let server = self.server().await?;
        Self::fill(server, Sample::new(5)).await?;
        server.execute("DROP TABLE IF EXISTS other; CREATE TABLE other AS SELECT * FROM source").await?;
        let job = |config: Value| {
            let mut all = json!({"table": "source", "cursor": {"column": "id"}});
            all.as_object_mut().into_iter().for_each(|all| all.extend(config.as_object().cloned().unwrap_or_default()));
            Self::job(server, all)
        };
        Ok(Some(
            Incremental::new(job(json!({})))
                .same("smaller batches", job(json!({"batch_size": 2})))
                .other("another table", job(json!({"table": "other"})))
                .other("another condition", job(json!({"where": "id > 0"})))
                .other("another cursor", job(json!({"cursor": {"column": "amount"}}))),
        ))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        let config =
            json!({"table": "t", "columns": ["a", "a"], "partition_by": "a", "cursor": {"column": "b"}, "limit": 3});
        vec![
            InvalidConfig::new(config, ["columns", "partition_by", "limit"]),
            InvalidConfig::new(
                json!({"query": "SELECT 1; SELECT 2", "schema": "s"}),
                ["schema", "more than one statement"],
            ),
            InvalidConfig::new(
                json!({"table": "t", "where": "a = 1; DROP TABLE t", "order_by": "a; COMMIT"}),
                ["where", "order_by"],
            ),
            InvalidConfig::new(json!({}), ["nothing to read"]),
        ]
    }

    fn minimal_config(&self) -> Option<Value> {
        Some(json!({"table": "source"}))
    }

    async fn faults(&self, _: &Place) -> Result<Vec<Fault>> {
        let server = self.server().await?;
        server
            .execute("DROP TABLE IF EXISTS nan; CREATE TABLE nan (n numeric(5,2)); INSERT INTO nan VALUES ('NaN')")
            .await?;
        let config = json!({"query": "SELECT 1 AS one"});
        let refused = osiris_testkit::fault::refused_port()?;
        let port = Job::new(config.clone()).connection(server.connection_with(json!({"port": refused})));
        let silent = json!({"port": osiris_testkit::fault::silent_port()?, "connect_timeout": 0.3});
        let silent = Job::new(config.clone()).connection(server.connection_with(silent));
        let password = Job::new(config).connection(server.connection_with(json!({"password": "wrong"})));
        let job = |config| Self::job(server, config);
        let (table, column) = (json!({"table": "no_such_table"}), json!({"query": "SELECT no_such_column FROM nan"}));
        Ok(vec![
            Fault::new("nobody listens", ErrorKind::Network, port).of_connection().found_by_dry_run(),
            Fault::new("packets are lost", ErrorKind::Timeout, silent).of_connection().found_by_dry_run(),
            Fault::new("a wrong password", ErrorKind::Auth, password).of_connection().found_by_dry_run(),
            Fault::new("no such table", ErrorKind::Validation, job(table)).found_by_dry_run(),
            Fault::new("no such column", ErrorKind::Validation, job(column)).found_by_dry_run(),
            Fault::new("not a number", ErrorKind::Validation, job(json!({"table": "nan"}))).found_by_dry_run(),
        ])
    }

    fn modifying_configs(&self) -> Vec<Value> {
        vec![
            json!({"query": "DELETE FROM source"}),
            json!({"query": "SELECT 1; DROP TABLE source"}),
            json!({"query": "SELECT * INTO copy FROM source"}),
            json!({"query": "WITH x AS (DELETE FROM source RETURNING id) SELECT * FROM x"}),
            json!({"query": "WITH x AS (SELECT 1) UPDATE source SET id = 1"}),
            json!({"query": "SELECT * FROM source FOR UPDATE"}),
            json!({"query": "SELECT pg_advisory_lock(1)"}),
            json!({"query": "SELECT $$a$$; TRUNCATE source; --$$"}),
        ]
    }

    fn register_with_failing_client(&self, registry: &mut Registry) -> Option<Result<()>> {
        let failing =
            Arc::new(|_| -> futures::future::BoxFuture<'static, Result<osiris_driver_postgres::client::Client>> {
                Box::pin(async { Err(Error::network("the injected client fails").with_hint("take another")) })
            });
        Some(osiris_driver_postgres::register_with_client(registry, failing))
    }

    fn resources(&self) -> Vec<String> {
        vec!["source".to_owned()]
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &NOT_APPLICABLE
    }
}

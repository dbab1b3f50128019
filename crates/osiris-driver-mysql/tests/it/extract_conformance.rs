//! The extractor against the driver rules.

use std::sync::Arc;

use arrow::array::AsArray as _;
use osiris_core::{Error, ErrorKind, Registry, Result};
use osiris_testkit::{Fault, Incremental, InvalidConfig, Job, Place, Sample, Subject, async_trait};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::Server;

osiris_testkit::conformance_suite!(extract, extractor, Source::default());

const NOT_APPLICABLE: [(&str, &str); 4] = [
    ("DRV-012", "one result set is streamed, nothing is paged"),
    ("DRV-013", "one result set is streamed, nothing is paged"),
    ("DRV-015", "no HTTP"),
    ("DRV-016", "no HTTP"),
];

/// The table `source` of a server of the test's own.
#[derive(Default)]
struct Source {
    server: OnceCell<Server>,
}

impl Source {
    async fn server(&self) -> Result<&Server> {
        let start = || async {
            Server::start().await?.ok_or_else(|| Error::unknown("tests that need this server are left out"))
        };
        self.server.get_or_try_init(start).await
    }

    fn job(server: &Server, config: Value) -> Job {
        Job::new(config).connection(server.connection())
    }

    /// Fills the table without the driver.
    async fn fill(server: &Server, sample: Sample) -> Result<()> {
        server
            .execute(
                "DROP TABLE IF EXISTS source; CREATE TABLE source (id BIGINT PRIMARY KEY, name TEXT, amount DECIMAL(12,2), \
                 day DATE, at DATETIME(6), flag TINYINT(1))",
            )
            .await?;
        for rows in sample.text()?.rows().chunks(500) {
            let rows: Vec<String> = rows
                .iter()
                .map(|row| {
                    let cells = row.iter().enumerate().map(|(index, cell)| match cell {
                        None => "NULL".to_owned(),
                        Some(text) if index == 5 => text.clone(),
                        Some(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
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
        "mysql.extractor"
    }

    fn service(&self) -> Option<&'static str> {
        Some(Server::SERVICE)
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        osiris_driver_mysql::register(registry)
    }

    async fn prepare(&self, _: &Place, rows: u64) -> Result<Job> {
        let server = self.server().await?;
        let sample = Sample::new(rows);
        Self::fill(server, sample).await?;
        let config = json!({"table": "source", "tinyint1": "bool"});
        Ok(Self::job(server, config).expecting(sample.text()?.with_types(Sample::TYPES)))
    }

    async fn prepare_volume(&self, _: &Place, sample: Sample) -> Result<Option<Job>> {
        let server = self.server().await?;
        server
            .execute(
                "DROP TABLE IF EXISTS digits; CREATE TABLE digits (d INT); \
                 INSERT INTO digits VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)",
            )
            .await?;
        let first = sample.batches().next().transpose()?;
        let padding = first
            .as_ref()
            .and_then(|batch| batch.column_by_name("padding"))
            .map_or(0, |column| column.as_string::<i32>().iter().flatten().next().map_or(0, str::len));
        let columns = "a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d + 100000 * g.d + 1000000 * h.d";
        let query = format!(
            "SELECT id, LEFT(REPEAT(SHA2(id, 512), {}), {padding}) AS padding FROM (SELECT {columns} AS id FROM digits a, \
             digits b, digits c, digits e, digits f, digits g, digits h) n WHERE id < {}",
            padding / 128 + 1,
            sample.rows()
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
            json!({"table": "t", "columns": ["a", "A"], "partition_by": "a", "cursor": {"column": "b"}, "limit": 3});
        vec![
            InvalidConfig::new(config, ["columns", "partition_by", "limit"]),
            InvalidConfig::new(
                json!({"query": "SELECT 1; SELECT 2", "schema": "s"}),
                ["schema", "more than one statement"],
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
            .execute(
                "SET sql_mode = ''; DROP TABLE IF EXISTS zero; CREATE TABLE zero (d DATE); INSERT INTO zero VALUES ('0000-00-00')",
            )
            .await?;
        let config = json!({"query": "SELECT 1 AS one"});
        let refused = osiris_testkit::fault::refused_port()?;
        let port = Job::new(config.clone()).connection(server.connection_with(json!({"port": refused})));
        let silent = json!({"port": osiris_testkit::fault::silent_port()?, "connect_timeout": 0.3});
        let silent = Job::new(config.clone()).connection(server.connection_with(silent));
        let password = Job::new(config).connection(server.connection_with(json!({"password": "wrong"})));
        let job = |config| Self::job(server, config);
        let (table, column) = (json!({"table": "no_such_table"}), json!({"query": "SELECT no_such_column FROM zero"}));
        Ok(vec![
            Fault::new("nobody listens", ErrorKind::Network, port).of_connection().found_by_dry_run(),
            Fault::new("packets are lost", ErrorKind::Timeout, silent).of_connection().found_by_dry_run(),
            Fault::new("a wrong password", ErrorKind::Auth, password).of_connection().found_by_dry_run(),
            Fault::new("no such table", ErrorKind::Validation, job(table)).found_by_dry_run(),
            Fault::new("no such column", ErrorKind::Validation, job(column)).found_by_dry_run(),
            Fault::new("a zero date", ErrorKind::Validation, job(json!({"table": "zero"}))).found_by_dry_run(),
        ])
    }

    fn modifying_configs(&self) -> Vec<Value> {
        vec![
            json!({"query": "DELETE FROM source"}),
            json!({"query": "SELECT 1; DROP TABLE source"}),
            json!({"query": "SELECT 1 /*! INTO */ OUTFILE '/tmp/x'"}),
            json!({"query": "WITH x AS (SELECT 1) UPDATE source SET id = 1"}),
            json!({"query": "SELECT * FROM source FOR UPDATE"}),
            json!({"query": "SELECT GET_LOCK('a', 1)"}),
            json!({"table": "source", "where": "1) INTO OUTFILE '/tmp/x' -- "}),
            json!({"table": "source", "order_by": "1 LIMIT 1 INTO @x"}),
        ]
    }

    fn register_with_failing_client(&self, registry: &mut Registry) -> Option<Result<()>> {
        let failing = Arc::new(|_| -> futures::future::BoxFuture<'static, Result<osiris_driver_mysql::Client>> {
            Box::pin(async { Err(Error::network("the injected client fails").with_hint("take another")) })
        });
        Some(osiris_driver_mysql::register_with_client(registry, failing))
    }

    fn resources(&self) -> Vec<String> {
        vec!["source".to_owned()]
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &NOT_APPLICABLE
    }
}

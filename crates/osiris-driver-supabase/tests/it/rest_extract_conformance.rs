//! The extractor over REST against the driver rules.

use std::sync::Arc;

use arrow::array::AsArray as _;
use osiris_core::{Error, ErrorKind, Registry, Result};
use osiris_stand_ins::supabase::{Gateway, Postgrest, PostgrestOptions, tokens};
use osiris_testkit::http_server::HttpServer;
use osiris_testkit::services::Postgres;
use osiris_testkit::{Fault, Incremental, InvalidConfig, Job, Paging, Place, RateLimit, Sample, Subject, async_trait};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::rest_throttle::limited;

osiris_testkit::conformance_suite!(extract, rest_extractor, Source::default());

/// The types of the sample as REST knows them: it does not tell how many digits a numeric has.
const TYPES: [&str; 6] = ["BIGINT", "VARCHAR", "DECIMAL(38,2)", "DATE", "TIMESTAMP", "BOOLEAN"];
const NOT_APPLICABLE: [(&str, &str); 0] = [];

/// The table `source` of a project of the test's own.
#[derive(Default)]
struct Source {
    project: OnceCell<Project>,
    throttled: OnceCell<HttpServer>,
}

pub(crate) struct Project {
    pub(crate) server: Postgres,
    pub(crate) api: Postgrest,
    pub(crate) gateway: Gateway,
}

impl Project {
    pub(crate) async fn start() -> Result<Self> {
        let skipped = || Error::unknown("tests that need `postgresql` and `postgrest` are left out");
        let server = Postgres::start().await?.ok_or_else(skipped)?;
        let options = PostgrestOptions::new().with_max_rows(20_000);
        let api = Postgrest::start_with(&server, options).await?.ok_or_else(skipped)?;
        let gateway = Gateway::start(&api)?;
        Ok(Self { server, api, gateway })
    }
}

impl Source {
    async fn project(&self) -> Result<&Project> {
        self.project.get_or_try_init(Project::start).await
    }

    fn job(project: &Project, config: Value) -> Job {
        Job::new(config).connection(project.gateway.connection())
    }

    /// A job of two pages over a gateway with this limit.
    async fn limited(&self, place: &Place, limit: &RateLimit) -> Result<Job> {
        self.prepare(place, 4).await?;
        let project = self.project().await?;
        let server = self.throttled.get_or_try_init(|| async { limited(&project.gateway.url(), limit) }).await?;
        let connection = project.gateway.connection_with(json!({"url": server.url()}));
        let config = json!({"table": "source", "page_size": 2, "numeric_scale": 2});
        Ok(Job::new(config).connection(connection).expecting(Sample::new(4).text()?.with_types(TYPES)))
    }

    /// Fills the table without the driver.
    async fn fill(project: &Project, sample: Sample) -> Result<()> {
        let server = &project.server;
        server
            .execute(
                "DROP TABLE IF EXISTS source; CREATE TABLE source (id BIGINT PRIMARY KEY, name TEXT, amount NUMERIC(12,2), \
                 day DATE, at TIMESTAMP, flag BOOLEAN)",
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
        project.api.reload().await
    }
}

#[async_trait]
impl Subject for Source {
    fn component(&self) -> &'static str {
        "supabase.extractor"
    }

    fn service(&self) -> Option<&'static str> {
        Some("postgrest")
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        osiris_driver_supabase::register(registry)
    }

    async fn prepare(&self, _: &Place, rows: u64) -> Result<Job> {
        let project = self.project().await?;
        let sample = Sample::new(rows);
        Self::fill(project, sample).await?;
        let config = json!({"table": "source", "numeric_scale": 2});
        Ok(Self::job(project, config).expecting(sample.text()?.with_types(TYPES)))
    }

    async fn prepare_volume(&self, _: &Place, sample: Sample) -> Result<Option<Job>> {
        let project = self.project().await?;
        let first = sample.batches().next().transpose()?;
        let padding = first
            .as_ref()
            .and_then(|batch| batch.column_by_name("padding"))
            .map_or(0, |column| column.as_string::<i32>().iter().flatten().next().map_or(0, str::len));
        let sql = format!(
            "DROP TABLE IF EXISTS source; CREATE TABLE source AS SELECT i::bigint AS id, \
             left(repeat(md5(i::text) || md5((i * 7)::text), {}), {padding}) AS padding FROM generate_series(0, {}) i; \
             ALTER TABLE source ADD PRIMARY KEY (id)",
            padding / 64 + 1,
            sample.rows() - 1
        );
        project.server.execute(&sql).await?;
        project.api.reload().await?;
        Ok(Some(Self::job(project, json!({"table": "source", "page_size": 20_000}))))
    }

    async fn prepare_incremental(&self, _: &Place) -> Result<Option<Incremental>> {
        let project = self.project().await?;
        Self::fill(project, Sample::new(5)).await?;
        project.server.execute("DROP TABLE IF EXISTS other; CREATE TABLE other AS SELECT * FROM source; ALTER TABLE other ADD PRIMARY KEY (id)").await?;
        project.api.reload().await?;
        let job = |config: Value| {
            let mut all = json!({"table": "source", "cursor": {"column": "id"}});
            all.as_object_mut().into_iter().for_each(|all| all.extend(config.as_object().cloned().unwrap_or_default()));
            Self::job(project, all)
        };
        Ok(Some(
            Incremental::new(job(json!({})))
                .same("smaller pages", job(json!({"page_size": 2})))
                .other("another table", job(json!({"table": "other"})))
                .other("another condition", job(json!({"filter": {"id": "gt.0"}})))
                .other("another cursor", job(json!({"cursor": {"column": "amount"}}))),
        ))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        let config = json!({
            "table": "t", "select": "a,,b", "filter": {"a": {"gtt": 1}}, "order": "a.up", "cursor": {"column": "b"}, "limit": 3
        });
        vec![
            InvalidConfig::new(config, ["select", "filter", "gtt", "order", "limit"]),
            InvalidConfig::new(json!({}), ["nothing to read"]),
        ]
    }

    fn minimal_config(&self) -> Option<Value> {
        Some(json!({"table": "source"}))
    }

    async fn faults(&self, _: &Place) -> Result<Vec<Fault>> {
        let project = self.project().await?;
        project.server.execute("CREATE TABLE IF NOT EXISTS bare (a int)").await?;
        project.api.reload().await?;
        let config = json!({"table": "bare", "key": "a", "retries": 0});
        let refused = format!("http://127.0.0.1:{}", osiris_testkit::fault::refused_port()?);
        let silent = format!("http://127.0.0.1:{}", osiris_testkit::fault::silent_port()?);
        let silent = project.gateway.connection_with(json!({"url": silent, "connect_timeout": 0.3}));
        let silent = Job::new(config.clone()).connection(silent);
        let nobody = Job::new(config.clone()).connection(project.gateway.connection_with(json!({"url": refused})));
        let expired = project.gateway.connection_with(json!({"key": tokens::expired()}));
        let expired = Job::new(config).connection(expired);
        let job = |config| Self::job(project, config);
        let column = json!({"table": "bare", "key": "a", "filter": {"no_such_column": 1}});
        Ok(vec![
            Fault::new("nobody listens", ErrorKind::Network, nobody).of_connection().found_by_dry_run(),
            Fault::new("packets are lost", ErrorKind::Timeout, silent).of_connection().found_by_dry_run(),
            Fault::new("an expired key", ErrorKind::Auth, expired).of_connection().found_by_dry_run(),
            Fault::new("no such table", ErrorKind::Validation, job(json!({"table": "no_such_table"})))
                .found_by_dry_run(),
            Fault::new("no such column", ErrorKind::Validation, job(column)).found_by_dry_run(),
            Fault::new("no key", ErrorKind::Validation, job(json!({"table": "bare"}))).found_by_dry_run(),
        ])
    }

    fn modifying_configs(&self) -> Vec<Value> {
        vec![
            json!({"query": "DELETE FROM source"}),
            json!({"query": "SELECT 1; DROP TABLE source"}),
            json!({"table": "source", "select": "id);delete from source"}),
        ]
    }

    fn register_with_failing_client(&self, registry: &mut Registry) -> Option<Result<()>> {
        let failing = Arc::new(|_| -> futures::future::BoxFuture<'static, Result<osiris_driver_supabase::Client>> {
            Box::pin(async { Err(Error::network("the injected client fails").with_hint("take another")) })
        });
        Some(osiris_driver_supabase::register_with_client(registry, failing))
    }

    fn paging(&self) -> Option<Paging> {
        Some(Paging::by("page_size"))
    }

    async fn prepare_throttled(&self, place: &Place, limit: &RateLimit) -> Result<Option<Job>> {
        self.limited(place, limit).await.map(Some)
    }

    async fn prepare_near_limit(&self, place: &Place, limit: &RateLimit) -> Result<Option<Job>> {
        self.limited(place, limit).await.map(Some)
    }

    fn resources(&self) -> Vec<String> {
        vec!["source".to_owned()]
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &NOT_APPLICABLE
    }
}

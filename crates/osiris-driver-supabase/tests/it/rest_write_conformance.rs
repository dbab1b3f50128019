//! The writer over REST against the driver rules.

use std::sync::Arc;

use osiris_core::{Error, ErrorKind, Registry, Result};
use osiris_stand_ins::supabase::tokens;
use osiris_testkit::http_server::HttpServer;
use osiris_testkit::{Destination, Fault, InvalidConfig, Job, Mode, Place, RateLimit, Rows, Subject, async_trait};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::rest_extract_conformance::Project;
use crate::rest_throttle::limited;

osiris_testkit::conformance_suite!(write, rest_writer, Target::default());

const NOT_APPLICABLE: [(&str, &str); 0] = [];

/// The table `target` of a project of the test's own.
#[derive(Default)]
struct Target {
    project: OnceCell<Project>,
    throttled: OnceCell<HttpServer>,
}

impl Target {
    async fn project(&self) -> Result<&Project> {
        self.project.get_or_try_init(Project::start).await
    }

    fn job(project: &Project, config: Value) -> Job {
        Job::new(config).connection(project.gateway.connection())
    }

    /// A job of several requests over a gateway with this limit.
    async fn limited(&self, place: &Place, limit: &RateLimit) -> Result<Job> {
        self.prepare(place, 4).await?;
        let project = self.project().await?;
        let columns = "id BIGINT, name TEXT, amount NUMERIC(12,2), day DATE, at TIMESTAMP, flag BOOLEAN";
        project.server.execute(&format!("CREATE TABLE target ({columns})")).await?;
        project.api.reload().await?;
        let server = self.throttled.get_or_try_init(|| async { limited(&project.gateway.url(), limit) }).await?;
        let connection = project.gateway.connection_with(json!({"url": server.url()}));
        Ok(Job::new(json!({"table": "target", "batch_size": 10})).connection(connection))
    }
}

#[async_trait]
impl Subject for Target {
    fn component(&self) -> &'static str {
        "supabase.writer"
    }

    fn service(&self) -> Option<&'static str> {
        Some("postgrest")
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        osiris_driver_supabase::register(registry)
    }

    async fn prepare(&self, _: &Place, _: u64) -> Result<Job> {
        let project = self.project().await?;
        project
            .server
            .execute("DROP TABLE IF EXISTS target; CREATE TABLE IF NOT EXISTS other (id INT PRIMARY KEY)")
            .await?;
        project.api.reload().await?;
        // Rows of one request are one transaction.
        Ok(Self::job(project, json!({"table": "target", "create_if_missing": true, "batch_size": 10_000})))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        let config = json!({"table": "t", "mode": "overwrite", "on_conflict": "ignore", "dedupe": "last", "columns": ["a", "A"]});
        vec![
            InvalidConfig::new(config, ["on_conflict", "dedupe", "order_by", "columns"]),
            InvalidConfig::new(json!({"table": "t", "mode": "upsert"}), ["key"]),
        ]
    }

    async fn faults(&self, _: &Place) -> Result<Vec<Fault>> {
        let project = self.project().await?;
        project.server.execute("CREATE TABLE IF NOT EXISTS narrow (id BIGINT PRIMARY KEY, amount SMALLINT)").await?;
        project.api.reload().await?;
        let config = json!({"table": "target", "create_if_missing": true, "retries": 0});
        let refused = format!("http://127.0.0.1:{}", osiris_testkit::fault::refused_port()?);
        let silent = format!("http://127.0.0.1:{}", osiris_testkit::fault::silent_port()?);
        let silent = project.gateway.connection_with(json!({"url": silent, "connect_timeout": 0.3}));
        let silent = Job::new(config.clone()).connection(silent);
        let nobody = Job::new(config.clone()).connection(project.gateway.connection_with(json!({"url": refused})));
        let expired = project.gateway.connection_with(json!({"key": tokens::expired()}));
        let expired = Job::new(config).connection(expired);
        let missing = Self::job(project, json!({"table": "no_such_table"}));
        let narrow = Self::job(project, json!({"table": "narrow", "columns": ["id", "amount"]}));
        let narrow = narrow.input("wide-step", "SELECT i AS id, 70000::DECIMAL(12,2) AS amount FROM range(10) r(i)");
        Ok(vec![
            Fault::new("nobody listens", ErrorKind::Network, nobody).of_connection().found_by_dry_run(),
            Fault::new("packets are lost", ErrorKind::Timeout, silent).of_connection().found_by_dry_run(),
            Fault::new("an expired key", ErrorKind::Auth, expired).of_connection().found_by_dry_run(),
            Fault::new("no such table", ErrorKind::Validation, missing).found_by_dry_run(),
            Fault::new("values out of range", ErrorKind::Integrity, narrow),
        ])
    }

    fn config_with_columns(&self, mut config: Value, columns: &[&str]) -> Option<Value> {
        config["columns"] = json!(columns);
        Some(config)
    }

    fn register_with_failing_client(&self, registry: &mut Registry) -> Option<Result<()>> {
        let failing = Arc::new(|_| -> futures::future::BoxFuture<'static, Result<osiris_driver_supabase::Client>> {
            Box::pin(async { Err(Error::network("the injected client fails").with_hint("take another")) })
        });
        Some(osiris_driver_supabase::register_with_client(registry, failing))
    }

    async fn prepare_throttled(&self, place: &Place, limit: &RateLimit) -> Result<Option<Job>> {
        self.limited(place, limit).await.map(Some)
    }

    async fn prepare_near_limit(&self, place: &Place, limit: &RateLimit) -> Result<Option<Job>> {
        self.limited(place, limit).await.map(Some)
    }

    fn resources(&self) -> Vec<String> {
        vec!["other".to_owned()]
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &NOT_APPLICABLE
    }
}

#[async_trait]
impl Destination for Target {
    async fn read(&self, _: &Place) -> Result<Option<Rows>> {
        let server = &self.project().await?.server;
        let columns = server
            .rows(
                "SELECT column_name, data_type FROM information_schema.columns \
                 WHERE table_schema = 'public' AND table_name = 'target' ORDER BY ordinal_position",
            )
            .await?;
        if columns.is_empty() {
            return Ok(None);
        }
        let names: Vec<String> = columns.iter().filter_map(|column| column[0].clone()).collect();
        let list: Vec<String> = columns
            .iter()
            .zip(&names)
            .map(|(column, name)| {
                let name = format!("\"{}\"", name.replace('"', "\"\""));
                match column[1].as_deref() {
                    Some("boolean") => format!("CASE WHEN {name} THEN 'true' WHEN NOT {name} THEN 'false' END"),
                    _ => format!("{name}::text"),
                }
            })
            .collect();
        let mut rows = Rows::new(names);
        for row in server.rows(&format!("SELECT {} FROM target", list.join(", "))).await? {
            rows.push(row);
        }
        Ok(Some(rows))
    }

    fn modes(&self) -> Vec<Mode> {
        Mode::ALL.to_vec()
    }

    /// An overwrite is two requests at least.
    fn atomic_modes(&self) -> Vec<Mode> {
        vec![Mode::Append, Mode::Upsert]
    }

    /// The suite makes the table by a mode that needs no key, whatever mode comes next: the key comes and goes with the mode.
    fn with_mode(&self, mut config: Value, mode: Mode) -> Value {
        config["mode"] = json!(mode.as_str());
        if mode == Mode::Append {
            self.execute("ALTER TABLE target DROP CONSTRAINT target_pkey");
        } else {
            config["key"] = json!(["id"]);
            self.execute("ALTER TABLE target ADD PRIMARY KEY (id)");
        }
        config
    }

    async fn round_trips(&self) -> Result<Option<u64>> {
        Ok(u64::try_from(self.project().await?.gateway.requests().len()).ok())
    }
}

impl Target {
    /// Runs a statement where nothing can be awaited, and tells the API.
    fn execute(&self, sql: &'static str) {
        let Some(project) = self.project.get() else { return };
        let work = async {
            // The table may not be there, or have its key already.
            drop(project.server.execute(sql).await);
            project.api.reload().await.unwrap();
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(work);
            });
        });
    }
}

//! The writer against the driver rules.

use std::sync::Arc;

use osiris_core::{Error, ErrorKind, Registry, Result};
use osiris_testkit::services::Postgres;
use osiris_testkit::{Destination, Fault, InvalidConfig, Job, Mode, Place, Rows, Subject, async_trait};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

osiris_testkit::conformance_suite!(write, writer, Target::default());

const NOT_APPLICABLE: [(&str, &str); 2] = [("DRV-015", "no HTTP"), ("DRV-016", "no HTTP")];

/// The table `target` of a server of the test's own.
#[derive(Default)]
struct Target {
    server: OnceCell<Postgres>,
}

impl Target {
    async fn server(&self) -> Result<&Postgres> {
        let start = || async {
            Postgres::start().await?.ok_or_else(|| Error::unknown("tests that need `postgres` are left out"))
        };
        self.server.get_or_try_init(start).await
    }

    fn job(server: &Postgres, config: Value) -> Job {
        Job::new(config).connection(server.connection())
    }

    /// Runs a statement where nothing can be awaited.
    fn execute(&self, sql: &'static str) {
        let Some(server) = self.server.get() else { return };
        let work = async { server.execute(sql).await };
        std::thread::scope(|scope| {
            let done = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(work)
            });
            // The table may not be there, or have its key already.
            drop(done.join().unwrap());
        });
    }
}

#[async_trait]
impl Subject for Target {
    fn component(&self) -> &'static str {
        "postgres.writer"
    }

    fn service(&self) -> Option<&'static str> {
        Some("postgres")
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        osiris_driver_postgres::register(registry)
    }

    async fn prepare(&self, _: &Place, _: u64) -> Result<Job> {
        let server = self.server().await?;
        server.execute("DROP TABLE IF EXISTS target; CREATE TABLE IF NOT EXISTS other (id int PRIMARY KEY)").await?;
        Ok(Self::job(server, json!({"table": "target", "create_if_missing": true})))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        let config = json!({"table": "t", "mode": "overwrite", "on_conflict": "ignore", "dedupe": "last", "columns": ["a", "A"]});
        vec![
            InvalidConfig::new(config, ["on_conflict", "dedupe", "order_by", "columns"]),
            InvalidConfig::new(json!({"table": "t", "mode": "upsert"}), ["key"]),
        ]
    }

    async fn faults(&self, _: &Place) -> Result<Vec<Fault>> {
        let server = self.server().await?;
        server.execute("CREATE TABLE IF NOT EXISTS narrow (id bigint PRIMARY KEY, amount smallint)").await?;
        let config = json!({"table": "target", "create_if_missing": true});
        let refused = osiris_testkit::fault::refused_port()?;
        let port = Job::new(config.clone()).connection(server.connection_with(json!({"port": refused})));
        let silent = json!({"port": osiris_testkit::fault::silent_port()?, "connect_timeout": 0.3});
        let silent = Job::new(config.clone()).connection(server.connection_with(silent));
        let password = Job::new(config).connection(server.connection_with(json!({"password": "wrong"})));
        let missing = Self::job(server, json!({"table": "no_such_table"}));
        let narrow = Self::job(server, json!({"table": "narrow", "columns": ["id", "amount"]}));
        let narrow = narrow.input("wide-step", "SELECT i AS id, 70000::DECIMAL(12,2) AS amount FROM range(10) r(i)");
        Ok(vec![
            Fault::new("nobody listens", ErrorKind::Network, port).of_connection().found_by_dry_run(),
            Fault::new("packets are lost", ErrorKind::Timeout, silent).of_connection().found_by_dry_run(),
            Fault::new("a wrong password", ErrorKind::Auth, password).of_connection().found_by_dry_run(),
            Fault::new("no such table", ErrorKind::Validation, missing).found_by_dry_run(),
            Fault::new("values out of range", ErrorKind::Integrity, narrow),
        ])
    }

    fn config_with_columns(&self, mut config: Value, columns: &[&str]) -> Option<Value> {
        config["columns"] = json!(columns);
        Some(config)
    }

    fn register_with_failing_client(&self, registry: &mut Registry) -> Option<Result<()>> {
        let failing =
            Arc::new(|_| -> futures::future::BoxFuture<'static, Result<osiris_driver_postgres::client::Client>> {
                Box::pin(async { Err(Error::network("the injected client fails").with_hint("take another")) })
            });
        Some(osiris_driver_postgres::register_with_client(registry, failing))
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
        let server = self.server().await?;
        let columns = server
            .rows(
                "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute \
                 WHERE attrelid = to_regclass('public.target') AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            )
            .await?;
        if columns.is_empty() {
            return Ok(None);
        }
        let names: Vec<String> = columns.iter().filter_map(|column| column[0].clone()).collect();
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let list: Vec<String> = columns
            .iter()
            .zip(&names)
            .map(|(column, name)| match column[1].as_deref() {
                Some("boolean") => format!("{}::text", quoted(name)),
                _ => quoted(name),
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

    /// The suite makes the table by a mode that needs no key, whatever mode comes next: the key comes and goes with the mode.
    fn with_mode(&self, mut config: Value, mode: Mode) -> Value {
        config["mode"] = json!(mode.as_str());
        if mode == Mode::Upsert {
            self.execute("ALTER TABLE target ADD PRIMARY KEY (id)");
            config["key"] = json!(["id"]);
        }
        config
    }
}

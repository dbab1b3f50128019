//! The subjects of the conformance suites: an extractor that reads a table of a server, a writer that fills one.

use osiris_core::{Error, ErrorKind, Registry, Result};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::samples::{SampleServer, padding};
use super::{DatabaseDriver, DatabaseServer as _, config as table};
use crate::{Destination, Fault, Incremental, InvalidConfig, Job, Mode, Place, Rows, Sample, Subject, async_trait};

/// A rule that cannot be tried, and the reason.
type NotApplicable = (&'static str, &'static str);

/// A driver of a database whose components are put before the suites.
pub trait ConformingDriver: DatabaseDriver<Server: SampleServer> {
    /// The field of the writer that creates a missing table.
    const CREATE: &'static str;
    /// The fields of a connection that hold the port and the password.
    const PORT_AND_PASSWORD: [&'static str; 2] = ["port", "password"];
    /// What the extractor's suite cannot try.
    const NOT_FOR_EXTRACTOR: &'static [NotApplicable] = &[
        ("DRV-012", "one result is streamed, nothing is paged"),
        ("DRV-013", "one result is streamed, nothing is paged"),
        ("DRV-015", "no HTTP"),
        ("DRV-016", "no HTTP"),
    ];
    /// What the writer's suite cannot try.
    const NOT_FOR_WRITER: &'static [NotApplicable] = &[("DRV-015", "no HTTP"), ("DRV-016", "no HTTP")];

    /// Registers both with a client that cannot do anything but fail: with [`no_client`].
    ///
    /// # Errors
    /// What the registry says.
    fn register_failing(registry: &mut Registry) -> Result<()>;

    /// The configuration that reads `source` with the types of a sample.
    fn read_source() -> Value {
        json!({"table": "source"})
    }

    /// Fields that leave other rows of `source`.
    fn other_condition() -> Value {
        json!({"where": "id > 0"})
    }

    /// Configurations of the extractor with problems that the schema does not see.
    fn invalid_reads() -> Vec<InvalidConfig>;

    /// Configurations of the extractor that do more than read.
    fn modifying_reads() -> Vec<Value>;

    /// A configuration of the writer with problems that the schema does not see.
    fn invalid_write() -> InvalidConfig;
}

/// The connection with its address and `password` in a `dsn`.
fn by_url<D: ConformingDriver>(fields: &Value, password: &str) -> Vec<Value> {
    let prefix = D::PORT_AND_PASSWORD[0].trim_end_matches("port");
    let mut rest = fields.as_object().cloned().unwrap_or_default();
    let [host, port, user, database, _] = ["host", "port", "user", "database", "password"]
        .map(|name| rest.remove(&format!("{prefix}{name}")).unwrap_or_default());
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let part = |value: Value| encoded(value.as_str().unwrap_or_default());
    let Some(host) = host.as_str() else { return Vec::new() };
    let account = format!("{}:{}", part(user), encoded(password));
    let dsn = format!("{}://{account}@{host}:{port}/{}", D::Server::SCHEME, part(database));
    rest.insert("dsn".to_owned(), json!(dsn));
    vec![Value::Object(rest)]
}

/// What a client that cannot be had says.
pub fn no_client() -> Error {
    Error::network("the injected client fails").with_hint("take another")
}

/// The server of one test, started when it is needed.
struct Started<D: DatabaseDriver>(OnceCell<D::Server>);

impl<D: ConformingDriver> Started<D> {
    async fn server(&self) -> Result<&D::Server> {
        let start = || async {
            let left_out = || Error::unknown(format!("tests that need `{}` are left out", D::Server::SERVICE));
            D::Server::start().await?.ok_or_else(left_out)
        };
        self.0.get_or_try_init(start).await
    }

    /// Ways in which a connection fails.
    async fn connection_faults(&self, config: &Value) -> Result<Vec<Fault>> {
        let server = self.server().await?;
        let [port, password] = D::PORT_AND_PASSWORD;
        let job = |fields: Value| Job::new(config.clone()).connection(D::connection(server, fields));
        let refused = job(json!({port: crate::fault::refused_port()?}));
        let silent = job(json!({port: crate::fault::silent_port()?, "connect_timeout": 0.3}));
        let stalled = job(json!({port: crate::fault::stalled_port()?, "connect_timeout": 0.3}));
        let wrong = job(json!({password: "wrong"}));
        Ok(vec![
            Fault::new("nobody listens", ErrorKind::Network, refused).of_connection().found_by_dry_run(),
            Fault::new("packets are lost", ErrorKind::Timeout, silent).of_connection().found_by_dry_run(),
            Fault::new("the connection stalls", ErrorKind::Timeout, stalled).of_connection().found_by_dry_run(),
            Fault::new("a wrong password", ErrorKind::Auth, wrong).of_connection().found_by_dry_run(),
        ])
    }

    fn job(server: &D::Server, config: Value) -> Job {
        Job::new(config).connection(D::connection(server, json!({})))
    }
}

/// An extractor that reads the table `source` of a server of the test's own.
pub struct TableSource<D: DatabaseDriver>(Started<D>);

impl<D: DatabaseDriver> Default for TableSource<D> {
    fn default() -> Self {
        Self(Started(OnceCell::new()))
    }
}

#[async_trait]
impl<D: ConformingDriver> Subject for TableSource<D> {
    fn component(&self) -> &'static str {
        D::EXTRACTOR
    }

    fn service(&self) -> Option<&'static str> {
        Some(D::Server::SERVICE)
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        D::register(registry)
    }

    async fn prepare(&self, _: &Place, rows: u64) -> Result<Job> {
        let server = self.0.server().await?;
        let sample = Sample::new(rows);
        server.fill(sample).await?;
        Ok(Started::<D>::job(server, D::read_source()).expecting(sample.text()?.with_types(Sample::TYPES)))
    }

    async fn prepare_volume(&self, _: &Place, sample: Sample) -> Result<Option<Job>> {
        let server = self.0.server().await?;
        let (setup, query) = D::Server::volume(sample, padding(sample)?);
        server.execute(setup).await?;
        Ok(Some(Started::<D>::job(server, json!({"query": query}))))
    }

    async fn prepare_incremental(&self, _: &Place) -> Result<Option<Incremental>> {
        let server = self.0.server().await?;
        server.fill(Sample::new(5)).await?;
        let copy = "DROP TABLE IF EXISTS other; CREATE TABLE other AS SELECT * FROM source";
        server.execute(copy).await?;
        let job = |fields: Value| {
            let mut config = json!({"table": "source", "cursor": {"column": "id"}});
            for (name, value) in fields.as_object().into_iter().flatten() {
                config[name] = value.clone();
            }
            Started::<D>::job(server, config)
        };
        Ok(Some(
            Incremental::new(job(json!({})))
                .same("smaller batches", job(json!({"batch_size": 2})))
                .other("another table", job(json!({"table": "other"})))
                .other("another condition", job(D::other_condition()))
                .other("another cursor", job(json!({"cursor": {"column": "amount"}}))),
        ))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        let several = json!({"query": "SELECT 1; SELECT 2", "schema": "s"});
        let mut configs = D::invalid_reads();
        configs.push(InvalidConfig::new(several, ["schema", "more than one statement"]));
        configs.push(InvalidConfig::new(json!({}), ["nothing to read"]));
        configs
    }

    fn minimal_config(&self) -> Option<Value> {
        Some(json!({"table": "source"}))
    }

    async fn faults(&self, _: &Place) -> Result<Vec<Fault>> {
        let server = self.0.server().await?;
        let bad = D::Server::BAD_VALUE;
        server.execute(bad.setup).await?;
        let mut faults = self.0.connection_faults(&json!({"query": "SELECT 1 AS one"})).await?;
        let query = format!("SELECT no_such_column FROM {}", bad.table);
        for (name, config) in [
            ("no such table", json!({"table": "no_such_table"})),
            ("no such column", json!({"query": query})),
            (bad.name, json!({"table": bad.table})),
        ] {
            let job = Started::<D>::job(server, config);
            faults.push(Fault::new(name, ErrorKind::Validation, job).found_by_dry_run());
        }
        Ok(faults)
    }

    fn modifying_configs(&self) -> Vec<Value> {
        D::modifying_reads()
    }

    fn connections_with_secret(&self, fields: &Value, secret: &str) -> Vec<Value> {
        by_url::<D>(fields, secret)
    }

    fn register_with_failing_client(&self, registry: &mut Registry) -> Option<Result<()>> {
        Some(D::register_failing(registry))
    }

    fn resources(&self) -> Vec<String> {
        vec!["source".to_owned()]
    }

    fn not_applicable(&self) -> &'static [NotApplicable] {
        D::NOT_FOR_EXTRACTOR
    }
}

/// A writer that fills the table `target` of a server of the test's own.
pub struct TableTarget<D: DatabaseDriver>(Started<D>);

impl<D: DatabaseDriver> Default for TableTarget<D> {
    fn default() -> Self {
        Self(Started(OnceCell::new()))
    }
}

impl<D: ConformingDriver> TableTarget<D> {
    /// Runs a statement where nothing can be awaited.
    fn execute(&self, sql: &'static str) {
        let Some(server) = self.0.0.get() else { return };
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

    fn created() -> Value {
        json!({"table": "target", D::CREATE: true})
    }
}

#[async_trait]
impl<D: ConformingDriver> Subject for TableTarget<D> {
    fn component(&self) -> &'static str {
        D::WRITER
    }

    fn service(&self) -> Option<&'static str> {
        Some(D::Server::SERVICE)
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        D::register(registry)
    }

    async fn prepare(&self, _: &Place, _: u64) -> Result<Job> {
        let server = self.0.server().await?;
        let sql = "DROP TABLE IF EXISTS target; CREATE TABLE IF NOT EXISTS other (id INT PRIMARY KEY)";
        server.execute(sql).await?;
        Ok(Started::<D>::job(server, Self::created()))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        vec![D::invalid_write(), InvalidConfig::new(table(json!({"mode": "upsert"})), ["key"])]
    }

    async fn faults(&self, _: &Place) -> Result<Vec<Fault>> {
        let server = self.0.server().await?;
        let (narrow, value) = D::Server::NARROW;
        let sql = format!("CREATE TABLE IF NOT EXISTS narrow (id BIGINT PRIMARY KEY, amount {narrow})");
        server.execute(&sql).await?;
        let mut faults = self.0.connection_faults(&Self::created()).await?;
        let missing = Started::<D>::job(server, json!({"table": "no_such_table"}));
        let narrow = Started::<D>::job(server, json!({"table": "narrow", "columns": ["id", "amount"]}));
        let rows = format!("SELECT i AS id, {value}::DECIMAL(12,2) AS amount FROM range(10) r(i)");
        let narrow = narrow.input("wide-step", rows.as_str());
        faults.push(Fault::new("no such table", ErrorKind::Validation, missing).found_by_dry_run());
        faults.push(Fault::new("values out of range", ErrorKind::Integrity, narrow));
        Ok(faults)
    }

    fn connections_with_secret(&self, fields: &Value, secret: &str) -> Vec<Value> {
        by_url::<D>(fields, secret)
    }

    fn config_with_columns(&self, mut config: Value, columns: &[&str]) -> Option<Value> {
        config["columns"] = json!(columns);
        Some(config)
    }

    fn register_with_failing_client(&self, registry: &mut Registry) -> Option<Result<()>> {
        Some(D::register_failing(registry))
    }

    fn resources(&self) -> Vec<String> {
        vec!["other".to_owned()]
    }

    fn not_applicable(&self) -> &'static [NotApplicable] {
        D::NOT_FOR_WRITER
    }
}

#[async_trait]
impl<D: ConformingDriver> Destination for TableTarget<D> {
    async fn read(&self, _: &Place) -> Result<Option<Rows>> {
        let server = self.0.server().await?;
        let columns = server.rows(D::Server::TARGET_COLUMNS).await?;
        if columns.is_empty() {
            return Ok(None);
        }
        let text = |column: &[Option<String>], index: usize| column[index].clone().unwrap_or_default();
        let list: Vec<String> =
            columns.iter().map(|column| D::Server::shown(&text(column, 0), &text(column, 1))).collect();
        let mut rows = Rows::new(columns.iter().map(|column| text(column, 0)).collect::<Vec<_>>());
        let sql = format!("SELECT {} FROM target", list.join(", "));
        for row in server.rows(&sql).await? {
            rows.push(row);
        }
        Ok(Some(rows))
    }

    fn modes(&self) -> Vec<Mode> {
        Mode::ALL.to_vec()
    }

    /// The suite makes the table by a mode that needs no key, whatever mode comes next: the key comes and goes with the
    /// mode.
    fn with_mode(&self, mut config: Value, mode: Mode) -> Value {
        config["mode"] = json!(mode.as_str());
        if mode == Mode::Upsert {
            self.execute("ALTER TABLE target ADD PRIMARY KEY (id)");
            config["key"] = json!(["id"]);
        }
        config
    }

    async fn round_trips(&self) -> Result<Option<u64>> {
        self.0.server().await?.round_trips().await
    }
}

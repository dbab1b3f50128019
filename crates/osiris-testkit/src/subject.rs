//! What the author of a driver tells the suites about a component: how to make it work, and how to make it fail.

use arrow::array::RecordBatch;
use async_trait::async_trait;
use osiris_core::{ErrorKind, Registry, Result};
use serde_json::{Value, json};

use crate::{Place, RateLimit, Rows, Sample};

/// A table that a step reads.
#[derive(Debug, Clone)]
pub enum InputTable {
    /// The rows of a sample.
    Sample(Sample),
    /// What a SELECT makes.
    Sql(String),
    /// These batches, all of one schema; one of them may be empty.
    Batches(Vec<RecordBatch>),
}

impl From<Sample> for InputTable {
    fn from(sample: Sample) -> Self {
        Self::Sample(sample)
    }
}

impl From<&str> for InputTable {
    fn from(sql: &str) -> Self {
        Self::Sql(sql.to_owned())
    }
}

impl From<Vec<RecordBatch>> for InputTable {
    fn from(batches: Vec<RecordBatch>) -> Self {
        Self::Batches(batches)
    }
}

/// One step of the component under test, ready to run.
#[derive(Debug, Clone)]
pub struct Job {
    pub(crate) config: Value,
    pub(crate) connection: Value,
    pub(crate) inputs: Vec<(String, InputTable)>,
    pub(crate) expected: Option<Rows>,
}

impl Job {
    /// A step with this configuration, no connection and no inputs.
    pub fn new(config: Value) -> Self {
        Self { config, connection: Value::Null, inputs: Vec::new(), expected: None }
    }

    /// The fields of its connection.
    #[must_use]
    pub fn connection(mut self, fields: Value) -> Self {
        self.connection = fields;
        self
    }

    /// Its configuration.
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// The fields of its connection, as they were given.
    pub fn connection_fields(&self) -> &Value {
        &self.connection
    }

    /// An input, by the id of the step that made it. A writer without one gets the suite's sample.
    #[must_use]
    pub fn input(mut self, step: &str, data: impl Into<InputTable>) -> Self {
        self.inputs.push((step.to_owned(), data.into()));
        self
    }

    /// The rows that the step's table must have, with types where they are promised.
    #[must_use]
    pub fn expecting(mut self, rows: Rows) -> Self {
        self.expected = Some(rows);
        self
    }
}

/// A configuration that is refused before anything is opened.
#[derive(Debug, Clone)]
pub struct InvalidConfig {
    pub(crate) config: Value,
    pub(crate) mentions: Vec<String>,
}

impl InvalidConfig {
    /// `config`, whose problems must mention each of these words, all of them at once.
    pub fn new<S: Into<String>>(config: Value, mentions: impl IntoIterator<Item = S>) -> Self {
        Self { config, mentions: mentions.into_iter().map(Into::into).collect() }
    }
}

/// A way to make the component fail while it runs.
#[derive(Debug, Clone)]
pub struct Fault {
    pub(crate) name: String,
    pub(crate) job: Job,
    pub(crate) kind: ErrorKind,
    pub(crate) connection: bool,
    pub(crate) checked: bool,
}

impl Fault {
    /// A job that ends in an error of `kind`; `name` says what is wrong with it.
    pub fn new(name: &str, kind: ErrorKind, job: Job) -> Self {
        Self { name: name.to_owned(), job, kind, connection: false, checked: false }
    }

    /// The same, and what fails is the connection: the doctor must see it too, and an event tells of it.
    #[must_use]
    pub fn of_connection(mut self) -> Self {
        self.connection = true;
        self
    }

    /// A dry run must find it as well.
    #[must_use]
    pub fn found_by_dry_run(mut self) -> Self {
        self.checked = true;
        self
    }
}

/// Jobs of an extractor that reads only what is new.
#[derive(Debug, Clone)]
pub struct Incremental {
    pub(crate) job: Job,
    pub(crate) others: Vec<(String, Job)>,
    pub(crate) same: Vec<(String, Job)>,
}

impl Incremental {
    /// A job that leaves a state, over some rows. Run again with that state it reads none anew.
    pub fn new(job: Job) -> Self {
        Self { job, others: Vec::new(), same: Vec::new() }
    }

    /// A good job of another source, whose difference is `name`: another table, another server, another condition.
    #[must_use]
    pub fn other(mut self, name: &str, job: Job) -> Self {
        self.others.push((name.to_owned(), job));
        self
    }

    /// A job of the same source that differs in how it is read, such as the size of its batches.
    #[must_use]
    pub fn same(mut self, name: &str, job: Job) -> Self {
        self.same.push((name.to_owned(), job));
        self
    }
}

/// How a paged source is paged.
#[derive(Debug, Clone)]
pub struct Paging {
    pub(crate) field: String,
    pub(crate) smallest: u64,
}

impl Paging {
    /// By pages whose size is this field of the configuration.
    pub fn by(field: &str) -> Self {
        Self { field: field.to_owned(), smallest: 1 }
    }

    /// The smallest size that the field takes. Default: 1.
    #[must_use]
    pub fn at_least(mut self, rows: u64) -> Self {
        self.smallest = rows;
        self
    }
}

/// A component under test. One value serves one test: each test makes its own.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Its name, such as `filesystem.csv_extractor`.
    fn component(&self) -> &'static str;

    /// Registers it, alone or with its family.
    ///
    /// # Errors
    /// What the registry says.
    fn register(&self, registry: &mut Registry) -> Result<()>;

    /// The service that its tests need, such as `mariadb`. When `OSIRIS_TEST_SKIPPED_SERVICES` lists it, no rule is tried, and
    /// the tests say so.
    fn service(&self) -> Option<&'static str> {
        None
    }

    /// Makes it ready to run over about `rows` rows, in `place` or on a server of the subject's own. Called again it starts
    /// anew: an extractor's source then holds exactly the new rows, and a writer's destination none.
    ///
    /// The job of an extractor or a processor expects its rows, at least for a few thousand of them.
    ///
    /// # Errors
    /// When that cannot be done; the test fails.
    async fn prepare(&self, place: &Place, rows: u64) -> Result<Job>;

    /// The same with as many rows as `sample` has, of about its size, without holding them: a source that holds it, a
    /// query that passes it on. `None`: the subject cannot be tried with much data. A writer gets the sample as it is.
    ///
    /// # Errors
    /// As for [`prepare`](Self::prepare).
    async fn prepare_volume(&self, place: &Place, sample: Sample) -> Result<Option<Job>> {
        let _ = (place, sample);
        Ok(None)
    }

    /// Configurations with problems that the schema alone does not see, besides the many that the suite makes up.
    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        Vec::new()
    }

    /// A configuration with nothing optional in it. Default: the required fields of a prepared one.
    fn minimal_config(&self) -> Option<Value> {
        None
    }

    /// Ways to make it fail while it runs. At least one; for a component that requires a connection, at least one
    /// [of the connection](Fault::of_connection) for each of the kinds auth, network and timeout.
    ///
    /// # Errors
    /// When they cannot be prepared.
    async fn faults(&self, place: &Place) -> Result<Vec<Fault>>;

    /// The kinds among auth, network and timeout that errors of its connection cannot have, each with the reason:
    /// `(ErrorKind::Auth, "a file has no password")`.
    fn impossible_connection_faults(&self) -> &'static [(ErrorKind, &'static str)] {
        &[]
    }

    /// Connections with these fields that hold `secret` as a part of a field, such as the password in a URL. That it never shows
    /// is tried with them too; fields that are nothing but a secret are the suite's own.
    fn connections_with_secret(&self, fields: &Value, secret: &str) -> Vec<Value> {
        let _ = (fields, secret);
        Vec::new()
    }

    /// Statements that do more than read, each as a configuration: they are refused at validation. For SQL sources.
    fn modifying_configs(&self) -> Vec<Value> {
        Vec::new()
    }

    /// A configuration, otherwise good, that names these columns, for components with columns in their configuration.
    fn config_with_columns(&self, config: Value, columns: &[&str]) -> Option<Value> {
        let _ = (config, columns);
        None
    }

    /// Registers it with a client that cannot do anything but fail, for components that have a client.
    ///
    /// # Errors
    /// What the registry says.
    fn register_with_failing_client(&self, registry: &mut Registry) -> Option<Result<()>> {
        let _ = registry;
        None
    }

    /// How it is paged, for paged sources.
    fn paging(&self) -> Option<Paging> {
        None
    }

    /// A good job whose server asks `limit` about each request ([`RateLimit::admit`]) and answers with 429 and `retry-after` if it
    /// refuses; for components over HTTP.
    ///
    /// # Errors
    /// When it cannot be prepared.
    async fn prepare_throttled(&self, place: &Place, limit: &RateLimit) -> Result<Option<Job>> {
        let _ = (place, limit);
        Ok(None)
    }

    /// The same, a job of several requests, whose server also sends the [headers](RateLimit::headers) of `limit`: 90% of it are
    /// used, and it resets after a second. For components over HTTP.
    ///
    /// # Errors
    /// When it cannot be prepared.
    async fn prepare_near_limit(&self, place: &Place, limit: &RateLimit) -> Result<Option<Job>> {
        let _ = (place, limit);
        Ok(None)
    }

    /// Jobs that keep a state, for extractors that can read only what is new: at least one other source and one that is the same.
    ///
    /// # Errors
    /// When they cannot be prepared.
    async fn prepare_incremental(&self, place: &Place) -> Result<Option<Incremental>> {
        let _ = place;
        Ok(None)
    }

    /// The names of resources that discovery must find after [`prepare`](Self::prepare).
    fn resources(&self) -> Vec<String> {
        Vec::new()
    }

    /// The rules that cannot be tried on it, each with the reason: `("DRV-012", "files are not paged")`. A rule that
    /// cannot be tried and is not listed fails its test; so does one that is listed and can be tried.
    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
}

/// What a writer does with rows that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They stay.
    Append,
    /// They go.
    Overwrite,
    /// Those whose key comes again are replaced.
    Upsert,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Append, Self::Overwrite, Self::Upsert];

    /// The value of `mode` in a configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Overwrite => "overwrite",
            Self::Upsert => "upsert",
        }
    }
}

/// A writer under test, whose destination can be read back by other means than the driver's.
#[async_trait]
pub trait Destination: Subject {
    /// What the destination holds, as text; nothing when it is not there. Read without the driver.
    ///
    /// # Errors
    /// When it cannot be read: a half-written one, above all.
    async fn read(&self, place: &Place) -> Result<Option<Rows>>;

    /// The modes it supports. The others must be refused by name.
    fn modes(&self) -> Vec<Mode>;

    /// `config` with this mode; for upsert with the column `id` as the key.
    fn with_mode(&self, mut config: Value, mode: Mode) -> Value {
        config["mode"] = json!(mode.as_str());
        if mode == Mode::Upsert {
            config["key"] = json!(["id"]);
        }
        config
    }

    /// `config` with another destination of the same kind: that two are told apart is tried with it. Default: another `path` or
    /// `table`.
    fn with_other_destination(&self, mut config: Value) -> Value {
        for field in ["path", "table"] {
            if let Some(name) = config[field].as_str() {
                config[field] = match name.rsplit_once('.') {
                    Some((stem, ending)) => json!(format!("{stem}_other.{ending}")),
                    None => json!(format!("{name}_other")),
                };
                break;
            }
        }
        config
    }

    /// The modes in which a write that is broken off leaves the old rows or the new ones. Default: all that it supports. The others
    /// say in their documentation what they leave.
    fn atomic_modes(&self) -> Vec<Mode> {
        self.modes()
    }

    /// Whether it writes files below the place: then it is tried with a disk that fills up.
    fn writes_files(&self) -> bool {
        false
    }

    /// How many statements or requests the destination has seen, where it can be asked. Default: the write calls of this
    /// process are counted.
    ///
    /// # Errors
    /// When it cannot be asked.
    async fn round_trips(&self) -> Result<Option<u64>> {
        Ok(None)
    }
}

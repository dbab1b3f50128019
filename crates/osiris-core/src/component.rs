//! What the author of a driver implements: a typed component and one of the three role traits.
//!
//! Everything a driver must do besides its own work (strict configuration, metrics, events, retry, timeout,
//! cancellation, rollback, redaction) is done around these traits by [`Driver`](crate::Driver), once.
//! The numbers in brackets are the driver rules; `docs/driver-spec.md` lists them with their tests.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::commit::{CommitOutcome, Intent};
use crate::state::SourceIdentity;
use crate::{DestinationId, ExecutionContext, Inputs, Problem, Result, StepCounts, TableRef, TableSink};

/// What a component does with tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// No input, makes a table.
    Extract,
    /// Tables in, one table out.
    Transform,
    /// One table in, none out.
    Write,
}

impl Role {
    /// The `mode` of a pipeline step that runs a component of this role.
    pub const fn mode(self) -> &'static str {
        match self {
            Self::Extract => "read",
            Self::Transform => "transform",
            Self::Write => "write",
        }
    }
}

/// Whether a component uses a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionUse {
    /// Never: its `Connection` type is [`NoConnection`].
    None,
    /// When the step names one; all fields of its `Connection` type have defaults.
    Optional,
    /// Always: `@family.alias`, or the family's default.
    Required,
    /// Always, as [`Required`](Self::Required); or, where the family has no default, the fields that the step writes itself, if these are
    /// all that its `Connection` type must have. Secrets are never among them.
    Inline,
}

impl ConnectionUse {
    /// Whether the component cannot run without a connection, wherever that is written.
    pub const fn is_needed(self) -> bool {
        matches!(self, Self::Required | Self::Inline)
    }
}

/// The facts of a component that are known without its code running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ComponentSpec {
    /// `family.name`, such as `mysql.extractor`.
    pub name: &'static str,
    /// The version of the component, that of its crate.
    pub version: &'static str,
    /// What it does with tables.
    pub role: Role,
    /// One line for lists and the reference.
    pub title: &'static str,
    /// Whether it uses a connection.
    pub connection: ConnectionUse,
    /// What it can do besides.
    pub features: &'static [Feature],
}

/// What a component can do besides its role, for whoever chooses one. The conformance suite compares it with what the component
/// does [DRV-032].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Feature {
    /// It reads its source page by page [DRV-012].
    Pages,
    /// It can read only what is new, by the state that its last run left [CRT-008].
    Incremental,
    /// It can read parts of its source over several connections at once.
    ParallelReads,
    /// With some configuration its rows may go over a [direct edge](crate::store::DirectEdge): see [`Component::streams`].
    Streams,
}

impl Feature {
    /// What it means, in a few words after "it".
    pub const fn about(self) -> &'static str {
        match self {
            Self::Pages => "reads page by page",
            Self::Incremental => "can read only what is new",
            Self::ParallelReads => "can read over several connections at once",
            Self::Streams => "can pass rows on without storing them",
        }
    }
}

impl ComponentSpec {
    /// A component without a connection.
    pub const fn new(name: &'static str, version: &'static str, role: Role, title: &'static str) -> Self {
        Self { name, version, role, title, connection: ConnectionUse::None, features: &[] }
    }

    /// The same with a connection.
    #[must_use]
    pub const fn with_connection(mut self, connection: ConnectionUse) -> Self {
        self.connection = connection;
        self
    }

    /// The same with features.
    #[must_use]
    pub const fn with_features(mut self, features: &'static [Feature]) -> Self {
        self.features = features;
        self
    }

    /// The family: what stands before the dot, and after `@` in a connection reference.
    pub fn family(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(family, _)| family)
    }
}

/// What a run that is resumed takes the rows of an extractor from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ResumeFrom {
    /// The source, which is read again: no table has to be kept, so that rows may go over a [direct
    /// edge](crate::store::DirectEdge).
    Source,
    /// The table in the run store.
    #[default]
    Store,
}

/// The standard streams of the program that a step uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stdio {
    /// It reads the standard input, which can be read once.
    pub stdin: bool,
    /// It writes its rows to the standard output, where nothing else may then be printed.
    pub stdout: bool,
}

impl Stdio {
    /// Neither.
    pub const NONE: Self = Self { stdin: false, stdout: false };
    /// The standard input.
    pub const INPUT: Self = Self { stdin: true, stdout: false };
    /// The standard output.
    pub const OUTPUT: Self = Self { stdin: false, stdout: true };
}

/// The connection type of components that have none.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoConnection {}

/// What every component has, whatever its role.
pub trait Component: Sized + Send + Sync + 'static {
    /// Its name, version, role and title.
    const SPEC: ComponentSpec;

    /// The resolved connection, parsed: with `deny_unknown_fields`, [`Secret`](crate::Secret) for what must not show.
    /// That of its [family](crate::Family), if it has one.
    type Connection: DeserializeOwned + JsonSchema + Send + Sync;

    /// The step's configuration: with `deny_unknown_fields`, doc comments on every field (they are the reference),
    /// `serde(flatten)` only of a struct that several drivers share, which itself takes unknown fields. Old names of a field go into `#[schemars(extend("x-aliases" = [...]))]`.
    type Config: DeserializeOwned + JsonSchema + Send + Sync;

    /// The problems that the configuration's JSON Schema cannot express, all of them. Pure: no I/O, clock,
    /// environment or secrets [DRV-005].
    fn validate(config: &Self::Config) -> Vec<Problem> {
        let _ = config;
        Vec::new()
    }

    /// Problems that can be found once the names of the inputs are known, such as SQL over a table that is not an
    /// input. `inputs` are the upstream step ids and their keys. Pure, like [`validate`](Self::validate).
    fn check_inputs(config: &Self::Config, inputs: &[&str]) -> Vec<Problem> {
        let _ = (config, inputs);
        Vec::new()
    }

    /// The local files that the run store's SQL reads for the step, each by its exact name: SQL has access to these
    /// files only. Called once, when a run begins; `base` is where relative paths start. It may look at the disk; what
    /// cannot be listed is left out. Files that do not exist yet may be copied to
    /// [`Store::scratch_dir`](crate::Store::scratch_dir) later.
    fn files(config: &Self::Config, connection: &Self::Connection, base: &Path) -> Vec<PathBuf> {
        let _ = (config, connection, base);
        Vec::new()
    }

    /// Warnings that depend on the connection; pointers are into the configuration. Pure, like
    /// [`validate`](Self::validate).
    fn warnings(config: &Self::Config, connection: &Self::Connection) -> Vec<Problem> {
        let _ = (config, connection);
        Vec::new()
    }

    /// Whether the rows may go over a [direct edge](crate::store::DirectEdge) instead of a table. True for an extractor or
    /// a transformation that only uses [`TableSink::sender`], [`TableSink::rows`] and
    /// [`create_table_as`](crate::store::StoreTransaction::create_table_as), and for a writer that reads its input once,
    /// in full, uses [`TableRef::rows`] only after that, commits nothing before it, and tells the
    /// [outcome](Write::outcome) of a commit without its input. A component that ever does has [`Feature::Streams`]. Pure, like
    /// [`validate`](Self::validate).
    fn streams(config: &Self::Config, connection: &Self::Connection) -> bool {
        let _ = (config, connection);
        false
    }

    /// What a resumed run takes the rows of an extractor or a transformation from, where the pipeline does not say.
    /// [`ResumeFrom::Source`] for a source that is cheap to read again, such as a database; the default is the store, for
    /// sources that are slow or have a limit, such as an API. Of a component that does not [stream](Self::streams) there
    /// is always a table. Pure, like [`validate`](Self::validate).
    fn resume_from(config: &Self::Config, connection: &Self::Connection) -> ResumeFrom {
        let _ = (config, connection);
        ResumeFrom::default()
    }

    /// What the step will do that its configuration does not say, a line each, for `osiris plan`: such as the number of the first page.
    /// Pure, like [`validate`](Self::validate).
    fn notes(config: &Self::Config, connection: &Self::Connection) -> Vec<String> {
        let _ = (config, connection);
        Vec::new()
    }

    /// The standard streams that the step uses: a plan in which two steps read the standard input is refused, and the
    /// program prints nothing to a standard output that a step writes to. Pure, like [`validate`](Self::validate).
    fn stdio(config: &Self::Config, connection: &Self::Connection) -> Stdio {
        let _ = (config, connection);
        Stdio::NONE
    }
}

/// One run of one component, parsed.
pub struct Step<'a, C: Component> {
    pub(crate) id: &'a str,
    pub(crate) config: &'a C::Config,
    pub(crate) connection: &'a C::Connection,
    pub(crate) base_dir: &'a Path,
    pub(crate) state: Option<&'a Value>,
    pub(crate) source: Option<&'a SourceIdentity>,
    pub(crate) input_step: Option<&'a str>,
    pub(crate) destinations: &'a [DestinationId],
    pub(crate) dry_run: bool,
    pub(crate) fingerprint: Option<&'a str>,
}

impl<'a, C: Component> Step<'a, C> {
    /// A step for a test or an embedder that calls a role trait by hand. The runner makes its own.
    pub fn new(id: &'a str, config: &'a C::Config, connection: &'a C::Connection, base_dir: &'a Path) -> Self {
        Self {
            id,
            config,
            connection,
            base_dir,
            state: None,
            source: None,
            input_step: None,
            destinations: &[],
            dry_run: false,
            fingerprint: None,
        }
    }

    /// The step's id.
    pub fn id(&self) -> &'a str {
        self.id
    }

    /// Its configuration, checked.
    pub fn config(&self) -> &'a C::Config {
        self.config
    }

    /// Its connection, resolved: the only one it may use [DRV-004].
    pub fn connection(&self) -> &'a C::Connection {
        self.connection
    }

    /// Where relative paths start: the directory of the pipeline file.
    pub fn base_dir(&self) -> &'a Path {
        self.base_dir
    }

    /// The state that the last successful run of this step left, for incremental extraction. It was taken from the
    /// source that the step reads: one of another source never gets here.
    pub fn state(&self) -> Option<&'a Value> {
        self.state
    }

    /// Which of several inputs to take, for a component that takes one [DRV-007].
    pub fn input_step(&self) -> Option<&'a str> {
        self.input_step
    }

    /// Whether a step of the run writes the file at `path`, which is resolved: whoever reads it must not count on what is
    /// in it later.
    pub fn is_written(&self, path: &Path) -> bool {
        let file = DestinationId::file(path);
        self.destinations.iter().any(|destination| destination.is_same_as(&file))
    }

    /// Whether everything is to be checked and nothing changed: an extractor reads at most
    /// [`DRY_RUN_ROWS`](crate::DRY_RUN_ROWS), a writer writes nothing [DRV-026].
    pub fn dry_run(&self) -> bool {
        self.dry_run
    }
}

/// What an extractor reports. Rows that reached the store are counted by the store, rejects by the reject table.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Extracted {
    pub(crate) read: u64,
    pub(crate) deduplicated: u64,
    pub(crate) altered: u64,
    pub(crate) skipped: u64,
    pub(crate) ignored: u64,
    pub(crate) state: Option<Value>,
}

impl Extracted {
    /// `read` rows came out of the source, as the source itself counts them where it can be asked.
    pub fn rows(read: u64) -> Self {
        Self { read, ..Self::default() }
    }

    /// Of these, `rows` were left out as already taken.
    #[must_use]
    pub fn with_deduplicated(mut self, rows: u64) -> Self {
        self.deduplicated = rows;
        self
    }

    /// `values` were changed on the way, as a policy of the step allows.
    #[must_use]
    pub fn with_altered(mut self, values: u64) -> Self {
        self.altered = values;
        self
    }

    /// `rows` of the source were not read and will not be, as a policy of the step allows: those without a cursor.
    #[must_use]
    pub fn with_skipped(mut self, rows: u64) -> Self {
        self.skipped = rows;
        self
    }

    /// Of the rows that were read, `rows` are not stored because there is nothing in them, as a policy of the step allows: items
    /// that are null.
    #[must_use]
    pub fn with_ignored(mut self, rows: u64) -> Self {
        self.ignored = rows;
        self
    }

    /// The state the next run starts from. It is saved only after every step downstream has succeeded.
    #[must_use]
    pub fn with_state(mut self, state: Value) -> Self {
        self.state = Some(state);
        self
    }
}

/// What a writer reports: the rows that the destination acknowledged, by outcome.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Written {
    /// New in the destination.
    pub inserted: u64,
    /// Replaced existing rows.
    pub updated: u64,
    /// Existed already and were equal.
    pub unchanged: u64,
    /// Ignored because their key existed, as configured.
    pub ignored: u64,
    /// Rows of the destination that were deleted, as the mode requires.
    pub deleted: u64,
    /// Values changed on the way, as a policy of the step allows.
    pub altered: u64,
}

impl Written {
    /// `rows` inserted rows, nothing else.
    pub fn inserted(rows: u64) -> Self {
        Self { inserted: rows, ..Self::default() }
    }

    pub(crate) fn add_to(self, counts: &mut StepCounts) {
        counts.inserted = self.inserted;
        counts.updated = self.updated;
        counts.unchanged = self.unchanged;
        counts.ignored = self.ignored;
        counts.deleted = self.deleted;
        counts.altered += self.altered;
    }
}

/// Makes a table from a source.
#[async_trait]
pub trait Extract: Component {
    /// Sends every row of the source into `out`. The table is committed when this returns `Ok`; on an error, a timeout
    /// or a cancellation nothing of it stays.
    ///
    /// # Errors
    /// Not all rows could be read. Never return `Ok` with rows missing.
    ///
    /// # Cancel safety
    /// The future is dropped at any await point when the run is cancelled or timed out; release resources in `Drop`.
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, ctx: &ExecutionContext) -> Result<Extracted>;
}

/// Makes a table from tables.
#[async_trait]
pub trait Transform: Component {
    /// Whether it cannot run without an input [CRT-004].
    const NEEDS_INPUT: bool = true;

    /// Makes the step's table in `out` from `inputs`, which are never changed [CRT-002].
    ///
    /// # Errors
    /// As for [`Extract::extract`]; the same cancel safety.
    async fn transform(
        &self,
        step: &Step<'_, Self>,
        inputs: &Inputs,
        out: &TableSink,
        ctx: &ExecutionContext,
    ) -> Result<()>;
}

/// Writes a table to a destination.
#[async_trait]
pub trait Write: Component {
    /// The destination of the step, however it is spelt: a plan with two steps that write one destination is refused
    /// where one would destroy what the other wrote [DRV-030]. `base` is where relative paths start. No I/O except
    /// resolving paths.
    fn destination(&self, config: &Self::Config, connection: &Self::Connection, base: &Path) -> DestinationId;

    /// Writes every row of `input`, all or nothing, and returns what the destination acknowledged. Rejected rows go to
    /// [`ExecutionContext::rejects`].
    ///
    /// Before the first statement or request that may change the destination permanently (`COMMIT`, `RENAME TABLE`,
    /// renaming a file, the first request to an API that commits each request) it calls
    /// [`ExecutionContext::begin_commit`] and afterwards resolves the [`Commit`](crate::commit::Commit). What can be
    /// undone, such as a staging table or an open transaction, needs no announcement.
    ///
    /// # Errors
    /// The write failed. Before `begin_commit`, or with a commit that was resolved as not committed, the destination is
    /// unchanged, and the step may be retried. With an unresolved commit, core calls [`outcome`](Self::outcome) and, if
    /// that does not tell, reports the error as the source of an [ambiguous](crate::ErrorKind::Ambiguous) one; a
    /// component with a more precise message returns [`Error::ambiguous`](crate::Error::ambiguous) itself. A component
    /// with a repeatable intent returns its error as it is.
    ///
    /// # Cancel safety
    /// Before `begin_commit` as for [`Extract::extract`]: dropping the future leaves the destination as it was.
    /// Afterwards the future is dropped only when [`CommitLimits`](crate::commit::CommitLimits) are exceeded or the
    /// process ends, which leaves the old data, or the new, or, with an [intent in parts](Intent::with_parts), some of
    /// the rows.
    async fn write(&self, step: &Step<'_, Self>, input: &TableRef, ctx: &ExecutionContext) -> Result<Written>;

    /// Queries the outcome of a commit of this step: one that was left unresolved, or one that a killed run had begun.
    /// `input` is the table that was being written, if it still exists. Returns
    /// [`NotCommitted`](CommitOutcome::NotCommitted) only if the commit can no longer take place: a session that may
    /// still be committing is waited for or ended first. It changes nothing else. `ctx` is not cancelled; the time is
    /// limited by [`CommitLimits::asking`](crate::commit::CommitLimits::asking), after which the future is dropped.
    ///
    /// The default returns `Unknown`. It is not called for repeatable intents.
    ///
    /// # Errors
    /// The destination could not be queried: the outcome stays unknown.
    async fn outcome(
        &self,
        step: &Step<'_, Self>,
        intent: &Intent,
        input: Option<&TableRef>,
        ctx: &ExecutionContext,
    ) -> Result<CommitOutcome> {
        let _ = (step, intent, input, ctx);
        Ok(CommitOutcome::Unknown)
    }
}

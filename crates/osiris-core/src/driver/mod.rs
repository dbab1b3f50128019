//! The object-safe side of a component: what the registry keeps and a runner calls.
//!
//! Authors never implement [`Driver`]. The adapters here wrap a typed component and do, once for all of them, what the
//! contract asks of every driver.

mod adapter;
mod attempt;
mod output;
mod settle;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};

pub use output::{StepFailure, StepOutput};

pub(crate) use adapter::Adapter;

use crate::commit::{CommitOutcome, Intent};
use crate::config::ConfigSchema;
use crate::state::{SourceIdentity, StepOrigin};
use crate::{
    Catalog, ComponentSpec, DestinationId, ExecutionContext, Health, Inputs, Problem, Redactor, ResolvedConnection,
    Result, RetryPolicy,
};

/// One step to run, still untyped.
#[derive(Debug, Clone)]
pub struct StepRequest {
    /// The step's id: the name of its table.
    pub step_id: String,
    /// Its configuration, without `connection` and without overrides of connection fields.
    pub config: Value,
    /// Its connection.
    pub connection: ResolvedConnection,
    /// Where relative paths start.
    pub base_dir: PathBuf,
    /// What the last successful run left, as a [`SavedState`](crate::state::SavedState).
    pub state: Option<Value>,
    /// The pipeline that the step belongs to: part of what a state is compared with.
    pub origin: StepOrigin,
    /// Which of several inputs to take, for a component that takes one.
    pub input_step: Option<String>,
    /// Check everything, change nothing.
    pub dry_run: bool,
    /// What the step's table depends on, in one word: a resumed run takes a committed table only if this is the same.
    pub fingerprint: Option<String>,
    /// When to try again.
    pub retry: RetryPolicy,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
}

impl StepRequest {
    /// A step with defaults: no connection, no state, relative paths from the current directory, three attempts.
    pub fn new(step_id: impl Into<String>, config: Value) -> Self {
        Self {
            step_id: step_id.into(),
            config,
            connection: ResolvedConnection::none(),
            base_dir: PathBuf::from("."),
            state: None,
            origin: StepOrigin::default(),
            input_step: None,
            dry_run: false,
            fingerprint: None,
            retry: RetryPolicy::default(),
            timeout: None,
        }
    }
}

/// A component whose types are erased.
#[async_trait]
pub trait Driver: Send + Sync {
    /// Its name, version, role, title.
    fn spec(&self) -> &ComponentSpec;

    /// The schema of its configuration.
    fn config_schema(&self) -> &ConfigSchema;

    /// The schema of its connection.
    fn connection_schema(&self) -> &ConfigSchema;

    /// Every problem of a configuration: schema, types, and the component's own checks. No I/O.
    fn check_config(&self, config: &Value) -> Vec<Problem>;

    /// Every problem of a configuration that shows once the inputs are known by name. No I/O.
    fn check_inputs(&self, config: &Value, inputs: &[&str]) -> Vec<Problem>;

    /// Every problem of a resolved connection. No I/O.
    fn check_connection(&self, connection: &ResolvedConnection) -> Vec<Problem>;

    /// The files that the run store's SQL reads for a step with this configuration, see
    /// [`Component::files`](crate::Component::files); empty when either value is not valid.
    fn files(&self, config: &Value, connection: &ResolvedConnection, base: &Path) -> Vec<PathBuf>;

    /// Whether rows may pass through a step with this configuration without a table: see
    /// [`Component::streams`](crate::Component::streams). False when either value is not valid.
    fn streams(&self, config: &Value, connection: &ResolvedConnection) -> bool;

    /// The source that a step reads, with its secrets masked by `redactor`.
    fn source(&self, request: &StepRequest, redactor: &Redactor) -> SourceIdentity;

    /// Whether the step's state is of the source that it reads. No I/O; [`run`](Self::run) makes sure of it again.
    ///
    /// # Errors
    /// A state of another source, or of one that is not known.
    fn check_state(&self, request: &StepRequest, redactor: &Redactor) -> Result<()>;

    /// Warnings that show once the connection is known. No I/O.
    fn warnings(&self, config: &Value, connection: &ResolvedConnection) -> Vec<Problem>;

    /// What a writer with this configuration writes to; none when either value is not valid, or it is no writer. See
    /// [`Write::destination`](crate::Write::destination).
    fn destination(&self, config: &Value, connection: &ResolvedConnection, base: &Path) -> Option<DestinationId>;

    /// Runs a step to its end: retries, times out, honours cancellation, rolls back, counts, logs, redacts.
    ///
    /// # Errors
    /// What the last attempt ended in, naming the step, with the counts so far.
    async fn run(
        &self,
        request: &StepRequest,
        inputs: &Inputs,
        ctx: &ExecutionContext,
    ) -> Result<StepOutput, StepFailure>;

    /// Asks the destination what became of a commit that an earlier process had begun: see
    /// [`Write::outcome`](crate::Write::outcome). `inputs` may be empty. Unknown for a component that writes nothing.
    ///
    /// # Errors
    /// The request is not valid, or the destination could not be asked in time.
    async fn outcome(
        &self,
        request: &StepRequest,
        intent: &Intent,
        inputs: &Inputs,
        ctx: &ExecutionContext,
    ) -> Result<CommitOutcome>;

    /// Whether [`discover`](Self::discover) is implemented.
    fn can_discover(&self) -> bool;

    /// Whether [`check`](Self::check) is implemented.
    fn can_check(&self) -> bool;

    /// What the connection can reach; with a pattern, only [what fits it](Catalog::matching).
    ///
    /// # Errors
    /// When the component declares no discovery, or the source cannot be asked.
    async fn discover(&self, connection: &ResolvedConnection, pattern: Option<&str>) -> Result<Catalog>;

    /// Whether the connection works.
    async fn check(&self, connection: &ResolvedConnection, limit: Duration) -> Health;
}

/// Splits what a pipeline step writes under `config` into the component's own configuration and what every step may have: the
/// connection reference, overrides of connection fields, `input_step`, `dry_run`. A name that the component knows is its own.
pub fn split_config(driver: &dyn Driver, config: &Map<String, Value>) -> SplitConfig {
    let mut split = SplitConfig::default();
    for (name, value) in config {
        let own = driver.config_schema().field_named(name).is_some();
        match name.as_str() {
            _ if own => drop(split.config.insert(name.clone(), value.clone())),
            "connection" => split.connection = Some(value.clone()),
            "input_step" => split.input_step = Some(value.clone()),
            "dry_run" => split.dry_run = Some(value.clone()),
            _ if driver.connection_schema().field_named(name).is_some() => {
                split.overrides.insert(name.clone(), value.clone());
            }
            _ => drop(split.config.insert(name.clone(), value.clone())),
        }
    }
    split
}

/// What [`split_config`] returns.
#[derive(Debug, Default, Clone)]
pub struct SplitConfig {
    /// The component's own fields.
    pub config: Map<String, Value>,
    /// What stands under `connection`.
    pub connection: Option<Value>,
    /// Fields of the connection that the step overrides.
    pub overrides: Map<String, Value>,
    /// Which of several inputs to take.
    pub input_step: Option<Value>,
    /// Check everything, change nothing.
    pub dry_run: Option<Value>,
}

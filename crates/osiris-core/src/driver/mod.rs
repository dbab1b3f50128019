//! The object-safe side of a component: what the registry keeps and a runner calls.
//!
//! [`Driver::prepare`] parses a configuration and a connection once and reports all problems. For valid ones it returns
//! a [`PreparedStep`], the only type that knows what the step reads and writes and can be run. Authors implement
//! neither trait. The adapters here wrap a typed component and implement what the driver rules require of every driver.

mod adapter;
mod attempt;
mod attempts;
mod family;
mod misplaced;
mod output;
mod parsed;
mod prepared;
mod settle;
mod step;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

pub use output::{StepFailure, StepOutput};
pub use prepared::Prepared;

pub(crate) use adapter::{Adapter, Runner};
pub(crate) use family::{FamilyAdapter, Unnamed};

use crate::commit::{CommitOutcome, Intent};
use crate::config::ConfigSchema;
use crate::state::{SourceIdentity, StepOrigin};
use crate::{
    Catalog, ComponentSpec, DestinationId, ExecutionContext, Health, Inputs, Problem, Redactor, ResolvedConnection,
    Result, ResumeFrom, RetryPolicy, Stdio,
};

/// One run of a [`PreparedStep`]: its name in the run, and how it is to run.
#[derive(Debug, Clone)]
pub struct StepRequest {
    /// The step's id: the name of its table.
    pub step_id: String,
    /// What the last successful run left, as a [`SavedState`](crate::state::SavedState).
    pub state: Option<Value>,
    /// The pipeline that the step belongs to: part of what a state is compared with.
    pub origin: StepOrigin,
    /// Which of several inputs to take, for a component that takes one.
    pub input_step: Option<String>,
    /// What the steps of the run write to.
    pub destinations: Arc<[DestinationId]>,
    /// Check everything, change nothing.
    pub dry_run: bool,
    /// A hash of everything that the step's table depends on: a resumed run reuses a committed table only if it is the
    /// same.
    pub fingerprint: Option<String>,
    /// When to try again.
    pub retry: RetryPolicy,
    /// The number of its first attempt in the run, from 1: more where it was begun before.
    pub first_attempt: u32,
    /// How long was waited between the attempts before that one.
    pub waited: Duration,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
}

impl StepRequest {
    /// A run with defaults: no state, three attempts, no time limit.
    pub fn new(step_id: impl Into<String>) -> Self {
        Self {
            step_id: step_id.into(),
            state: None,
            origin: StepOrigin::default(),
            input_step: None,
            destinations: Arc::default(),
            dry_run: false,
            fingerprint: None,
            retry: RetryPolicy::default(),
            first_attempt: 1,
            waited: Duration::ZERO,
            timeout: None,
        }
    }
}

/// A component whose types are erased.
pub trait Driver: Send + Sync {
    /// Its name, version, role, title.
    fn spec(&self) -> &ComponentSpec;

    /// Whether it cannot run without an input: a writer, and a transformation that says so.
    fn needs_input(&self) -> bool;

    /// The schema of its configuration.
    fn config_schema(&self) -> &ConfigSchema;

    /// What it shares with the other components of its family.
    fn family(&self) -> &dyn FamilyDriver;

    /// The schema of its connection: that of its family.
    fn connection_schema(&self) -> &ConfigSchema {
        self.family().connection_schema()
    }

    /// Parses a configuration and a connection, and checks both: schema, types, and the component's own checks. Every
    /// problem is reported, those of the configuration also without a connection, which is for one that could not be
    /// resolved. `base_dir` is where relative paths start. No I/O.
    fn prepare(&self, config: &Value, connection: Option<&ResolvedConnection>, base_dir: &Path) -> Prepared;
}

/// A [`Family`](crate::Family) whose types are erased.
#[async_trait]
pub trait FamilyDriver: Send + Sync {
    /// What stands before the dot of its components' names.
    fn name(&self) -> &'static str;

    /// The schemes of addresses that lead to a connection of it.
    fn schemes(&self) -> &'static [&'static str];

    /// The schema of its connection.
    fn connection_schema(&self) -> &ConfigSchema;

    /// Every problem of a resolved connection. No I/O.
    fn check_connection(&self, connection: &ResolvedConnection) -> Vec<Problem>;

    /// Whether [`discover`](Self::discover) is implemented.
    fn has_discovery(&self) -> bool;

    /// Whether [`check`](Self::check) is implemented.
    fn has_doctor(&self) -> bool;

    /// The resources of the connection, of which relative paths start at `base`.
    ///
    /// # Errors
    /// As for [`discover`](Self::discover).
    async fn discover_from(&self, connection: &ResolvedConnection, base: &Path) -> Result<Catalog>;

    /// The schema of the resources that discovery names without one, where the source has schemas. No I/O.
    fn default_schema(&self, connection: &ResolvedConnection) -> Option<String>;

    /// The resources of the connection; with a pattern, only [those that match](Catalog::matching).
    ///
    /// # Errors
    /// The family has no discovery, or the source cannot be queried.
    async fn discover(&self, connection: &ResolvedConnection, pattern: Option<&str>) -> Result<Catalog>;

    /// Whether the connection works.
    async fn check(&self, connection: &ResolvedConnection, limit: Duration) -> Health;
}

/// A step whose configuration and connection are valid and parsed. It holds secrets, so it does not implement `Debug`.
#[async_trait]
pub trait PreparedStep: Send + Sync {
    /// The files that the run store's SQL reads for the step, see [`Component::files`](crate::Component::files). It may
    /// look at the disk.
    fn files(&self) -> Vec<PathBuf>;

    /// Whether the rows may go over a direct edge: see [`Component::streams`](crate::Component::streams).
    fn streams(&self) -> bool;

    /// What a resumed run takes the rows from, see [`Component::resume_from`](crate::Component::resume_from).
    fn resume_from(&self) -> ResumeFrom;

    /// What the step will do that its configuration does not say, see [`Component::notes`](crate::Component::notes).
    fn notes(&self) -> Vec<String>;

    /// The standard streams that the step uses, see [`Component::stdio`](crate::Component::stdio).
    fn stdio(&self) -> Stdio;

    /// What a writer writes to, see [`Write::destination`](crate::Write::destination); none for any other component.
    fn destination(&self) -> Option<DestinationId>;

    /// The source that the step reads in the pipeline `origin`, with secrets masked by `redactor`.
    fn source(&self, origin: &StepOrigin, redactor: &Redactor) -> SourceIdentity;

    /// Whether the state of the request is of the source that the step reads. No I/O; [`run`](Self::run) makes sure of
    /// it again.
    ///
    /// # Errors
    /// A state of another source, or of one that is not known.
    fn check_state(&self, request: &StepRequest, redactor: &Redactor) -> Result<()>;

    /// Runs the step to its end, with retries, time limit, cancellation, rollback, counts, telemetry and redaction.
    ///
    /// # Errors
    /// The error of the last attempt, with the step and the counts so far.
    async fn run(
        &self,
        request: &StepRequest,
        inputs: &Inputs,
        ctx: &ExecutionContext,
    ) -> Result<StepOutput, StepFailure>;

    /// Queries the outcome of a commit that an earlier process had begun: see
    /// [`Write::outcome`](crate::Write::outcome). `inputs` may be empty. Unknown for a component that writes nothing.
    ///
    /// # Errors
    /// The destination could not be queried in time.
    async fn outcome(
        &self,
        request: &StepRequest,
        intent: &Intent,
        inputs: &Inputs,
        ctx: &ExecutionContext,
    ) -> Result<CommitOutcome>;
}

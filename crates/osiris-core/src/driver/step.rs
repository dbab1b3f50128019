//! A step whose configuration and connection are parsed: what it says of itself, and its run.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::adapter::Runner;
use super::attempt::Attempted;
use super::attempts::LastAttempt;
use super::{PreparedStep, StepFailure, StepOutput, StepRequest};
use crate::commit::{CommitOutcome, Intent};
use crate::state::{self, SavedState, SourceIdentity, StepOrigin};
use crate::telemetry::{Unit, event, metric};
use crate::{
    Code, Component, DestinationId, Error, ExecutionContext, Inputs, Redactor, Result, ResumeFrom, Role, Stdio, Step,
    StepCounts,
};

/// A component with one configuration and one connection of it.
pub(super) struct TypedStep<C: Component> {
    pub(super) runner: Arc<Runner<C>>,
    pub(super) config: Arc<C::Config>,
    pub(super) connection: C::Connection,
    pub(super) base_dir: PathBuf,
    /// The fields of its source by name, not yet redacted.
    pub(super) source: Vec<(String, String)>,
    /// Knows the secrets of the connection.
    pub(super) redactor: Redactor,
}

impl<C: Component> TypedStep<C> {
    async fn run_attempts(&self, request: &StepRequest, inputs: &Inputs, ctx: &ExecutionContext) -> LastAttempt {
        let invalid = LastAttempt::failed;
        if self.runner.needs_input && inputs.is_empty() {
            return invalid(
                Error::validation("this step needs an input but has none")
                    .with_code(Code::UnknownStep)
                    .with_hint("name the step it reads from: `needs: [step]`"),
            );
        }
        let source = self.source(&request.origin, &ctx.telemetry().redactor());
        let saved = match own_state(request, &source) {
            Ok(saved) => saved,
            Err(error) => return invalid(error),
        };
        let step =
            Step { state: saved.as_ref().map(SavedState::state), source: Some(&source), ..self.step_of(request) };
        self.attempts(&step, request, inputs, ctx).await
    }

    fn step_of<'a>(&'a self, request: &'a StepRequest) -> Step<'a, C> {
        Step {
            id: &request.step_id,
            config: &self.config,
            connection: &self.connection,
            base_dir: &self.base_dir,
            state: None,
            source: None,
            input_step: request.input_step.as_deref(),
            destinations: &request.destinations,
            dry_run: request.dry_run,
            fingerprint: request.fingerprint.as_deref(),
        }
    }

    /// The metrics that the contract requires, exactly once for a step that ended well [DRV-009]. `took` is the time of
    /// the attempt that did.
    fn log_metrics(counts: &StepCounts, rows: u64, took: Duration, ctx: &ExecutionContext) {
        let (name, duration_name) = match C::SPEC.role {
            Role::Extract => (metric::ROWS_READ, metric::QUERY_DURATION_MS),
            Role::Transform => (metric::ROWS_PROCESSED, metric::QUERY_DURATION_MS),
            Role::Write => (metric::ROWS_WRITTEN, metric::WRITE_DURATION_MS),
        };
        let required = if C::SPEC.role == Role::Extract { counts.read } else { rows };
        ctx.log_metric(name, required, Unit::Rows, Value::Null);
        ctx.log_metric(duration_name, millis(took), Unit::Milliseconds, Value::Null);
        for (name, value, unit) in [
            (metric::ROWS_DEDUPLICATED, counts.deduplicated, Unit::Rows),
            (metric::ROWS_REJECTED, counts.rejected, Unit::Rows),
            (metric::VALUES_ALTERED, counts.altered, Unit::Values),
            (metric::ROWS_WITHOUT_CURSOR, counts.skipped, Unit::Rows),
            (metric::ROWS_INSERTED, counts.inserted, Unit::Rows),
            (metric::ROWS_UPDATED, counts.updated, Unit::Rows),
            (metric::ROWS_UNCHANGED, counts.unchanged, Unit::Rows),
            (metric::ROWS_IGNORED, counts.ignored, Unit::Rows),
            (metric::ROWS_DELETED, counts.deleted, Unit::Rows),
        ] {
            if value > 0 {
                ctx.log_metric(name, value, unit, Value::Null);
            }
        }
    }
}

/// The step's state, if it was taken from `source`.
fn own_state(request: &StepRequest, source: &SourceIdentity) -> Result<Option<SavedState>> {
    let Some(value) = &request.state else { return Ok(None) };
    let saved = SavedState::parse(value)?.ok_or_else(|| state::unknown_source(source, &request.step_id))?;
    state::state_of(&saved, source, &request.step_id)?;
    Ok(Some(saved))
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl<C: Component> PreparedStep for TypedStep<C> {
    fn files(&self) -> Vec<PathBuf> {
        C::files(&self.config, &self.connection, &self.base_dir)
    }

    fn streams(&self) -> bool {
        C::streams(&self.config, &self.connection)
    }

    fn resume_from(&self) -> ResumeFrom {
        C::resume_from(&self.config, &self.connection)
    }

    fn notes(&self) -> Vec<String> {
        C::notes(&self.config, &self.connection)
    }

    fn stdio(&self) -> Stdio {
        C::stdio(&self.config, &self.connection)
    }

    fn destination(&self) -> Option<DestinationId> {
        let destination = self.runner.destination?;
        Some(destination(&self.runner.component, &self.config, &self.connection, &self.base_dir))
    }

    fn source(&self, origin: &StepOrigin, redactor: &Redactor) -> SourceIdentity {
        let mut source = SourceIdentity::new(&C::SPEC, origin);
        for (name, value) in &self.source {
            source.insert(name.clone(), value, redactor);
        }
        source
    }

    fn check_state(&self, request: &StepRequest, redactor: &Redactor) -> Result<()> {
        let checked = own_state(request, &self.source(&request.origin, redactor));
        checked.map(|_| ()).map_err(|error| error.with_step(&request.step_id))
    }

    async fn run(
        &self,
        request: &StepRequest,
        inputs: &Inputs,
        ctx: &ExecutionContext,
    ) -> Result<StepOutput, StepFailure> {
        let started = Instant::now();
        ctx.telemetry().add_secrets(&self.redactor);
        ctx.log_event(event::STEP_START, json!({"driver": C::SPEC.name}));
        for input in inputs.iter() {
            ctx.log_event(
                event::INPUTS_RESOLVED,
                json!({"from_step": input.table.step(), "key": input.key, "rows": input.table.expected_rows()}),
            );
        }
        let LastAttempt { attempted, number, took, waited } = self.run_attempts(request, inputs, ctx).await;
        let Attempted { counts, result, may_have_written } = attempted;
        let (attempts, waited) = (request.first_attempt + number - 1, request.waited + waited);
        let duration = started.elapsed();
        match result {
            Ok((table, state)) => {
                let rows = table.as_ref().map_or_else(|| counts.acknowledged(), |table| table.rows());
                Self::log_metrics(&counts, rows, took, ctx);
                if attempts > 1 {
                    ctx.log_metric(metric::ATTEMPTS, attempts, Unit::Calls, Value::Null);
                    ctx.log_metric(metric::RETRY_WAIT_MS, millis(waited), Unit::Milliseconds, Value::Null);
                }
                ctx.log_event(event::STEP_COMPLETE, json!({"rows_processed": rows, "duration_ms": millis(duration)}));
                Ok(StepOutput { table, rows, state, counts, duration, attempts, waited })
            }
            Err(error) => {
                let error = error.with_step(&request.step_id).redacted(&ctx.telemetry().redactor());
                ctx.log_event(
                    event::STEP_FAILED,
                    json!({
                        "error": error.report(),
                        "error_type": error.kind().as_str(),
                        "category": error.kind().category(),
                    }),
                );
                Err(StepFailure { error, counts, duration, attempts, waited, may_have_written })
            }
        }
    }

    async fn outcome(
        &self,
        request: &StepRequest,
        intent: &Intent,
        inputs: &Inputs,
        ctx: &ExecutionContext,
    ) -> Result<CommitOutcome> {
        ctx.telemetry().add_secrets(&self.redactor);
        let input = inputs.single(request.input_step.as_deref()).ok();
        let asked = self.ask(&self.step_of(request), intent, input, ctx).await;
        asked.map_err(|error| error.with_step(&request.step_id).redacted(&ctx.telemetry().redactor()))
    }
}

//! From a typed component to a [`Driver`]: parsing, then the loop of attempts, then the books.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::attempt::{self, Attempted};
use super::settle::{Ask, caught, settled};
use super::{Driver, StepFailure, StepOutput, StepRequest};
use crate::commit::{CommitOutcome, Intent};
use crate::config::ConfigSchema;
use crate::problem::ensure_none;
use crate::state::{self, SavedState, SourceIdentity};
use crate::telemetry::{Unit, event, metric};
use crate::{
    Catalog, Component, ComponentSpec, ConnectionUse, DestinationId, Discover, Doctor, Error, ErrorKind,
    ExecutionContext, Extract, Health, Inputs, NextTry, Problem, Redactor, ResolvedConnection, Result, Role, Step,
    StepCounts, TableRef, Transform, Write,
};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
type RunFn<C> = for<'a> fn(&'a C, &'a Step<'a, C>, &'a Inputs, &'a ExecutionContext) -> Boxed<'a, Attempted>;
type OutcomeFn<C> = for<'a> fn(
    &'a C,
    &'a Step<'a, C>,
    &'a Intent,
    Option<&'a TableRef>,
    &'a ExecutionContext,
) -> Boxed<'a, Result<CommitOutcome>>;
type DiscoverFn<C> = for<'a> fn(&'a C, &'a <C as Component>::Connection, Option<&'a str>) -> Boxed<'a, Result<Catalog>>;
type CheckFn<C> = for<'a> fn(&'a C, &'a <C as Component>::Connection, Duration) -> Boxed<'a, Health>;

type DestinationFn<C> = fn(&C, &<C as Component>::Config, &<C as Component>::Connection, &Path) -> DestinationId;

/// A component with its schemas and the functions of the traits it implements.
pub(crate) struct Adapter<C: Component> {
    component: C,
    config_schema: ConfigSchema,
    connection_schema: ConfigSchema,
    run: RunFn<C>,
    outcome: Option<OutcomeFn<C>>,
    discover: Option<DiscoverFn<C>>,
    check: Option<CheckFn<C>>,
    destination: Option<DestinationFn<C>>,
}

impl<C: Component> Adapter<C> {
    fn new(component: C, run: RunFn<C>) -> Self {
        Self {
            component,
            config_schema: ConfigSchema::of::<C::Config>(),
            connection_schema: ConfigSchema::of::<C::Connection>(),
            run,
            outcome: None,
            discover: None,
            check: None,
            destination: None,
        }
    }

    pub(crate) fn extract(component: C) -> Self
    where
        C: Extract,
    {
        Self::new(component, |c, step, _, ctx| Box::pin(attempt::extract(c, step, ctx)))
    }

    pub(crate) fn transform(component: C) -> Self
    where
        C: Transform,
    {
        Self::new(component, |c, step, inputs, ctx| Box::pin(attempt::transform(c, step, inputs, ctx)))
    }

    pub(crate) fn write(component: C) -> Self
    where
        C: Write,
    {
        let adapter = Self::new(component, |c, step, inputs, ctx| Box::pin(attempt::write(c, step, inputs, ctx)));
        Self {
            outcome: Some(|c, step, intent, input, ctx| Box::pin(c.outcome(step, intent, input, ctx))),
            destination: Some(C::destination),
            ..adapter
        }
    }

    pub(crate) fn set_discovery(&mut self)
    where
        C: Discover,
    {
        self.discover = Some(|c, connection, pattern| Box::pin(c.discover(connection, pattern)));
    }

    pub(crate) fn set_doctor(&mut self)
    where
        C: Doctor,
    {
        self.check = Some(|c, connection, limit| Box::pin(c.check(connection, limit)));
    }

    fn renamed(&self, config: &Value) -> (Value, Vec<Problem>) {
        let mut config = config.clone();
        let problems = config.as_object_mut().map(|map| self.config_schema.rename_aliases(map)).unwrap_or_default();
        (config, problems)
    }

    fn parse_config(&self, config: &Value) -> Result<C::Config, Vec<Problem>> {
        let (config, mut problems) = self.renamed(config);
        problems.extend(self.config_schema.violations(&config));
        if problems.iter().any(Problem::is_error) {
            return Err(problems);
        }
        let parsed: C::Config = ConfigSchema::parse(&config).map_err(|problem| vec![problem])?;
        problems.extend(C::validate(&parsed));
        if problems.iter().any(Problem::is_error) { Err(problems) } else { Ok(parsed) }
    }

    fn parse_connection(&self, connection: &ResolvedConnection) -> Result<C::Connection, Vec<Problem>> {
        if C::SPEC.connection == ConnectionUse::None {
            return ConfigSchema::parse(&json!({})).map_err(|problem| vec![problem]);
        }
        let mut fields = connection.fields().clone();
        let mut problems =
            fields.as_object_mut().map(|map| self.connection_schema.rename_aliases(map)).unwrap_or_default();
        problems.extend(self.connection_schema.violations(&fields));
        if problems.is_empty() {
            return ConfigSchema::parse(&fields).map_err(|problem| vec![problem]);
        }
        Err(problems)
    }

    /// One attempt: stopped by its timeout or by cancellation, whose errors say which. A writer that has begun to commit is
    /// waited for.
    async fn attempt(
        &self,
        step: &Step<'_, C>,
        request: &StepRequest,
        inputs: &Inputs,
        ctx: &ExecutionContext,
    ) -> Attempted {
        let limit = async {
            match request.timeout {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let run = caught((self.run)(&self.component, step, inputs, ctx));
        tokio::pin!(run);
        let stopped = tokio::select! {
            biased;
            // An answer that has arrived counts, whatever else has happened.
            attempted = &mut run => return attempted.unwrap_or_else(Attempted::failed),
            () = ctx.cancel().cancelled() => Error::cancelled("cancelled before it was done"),
            () = limit => {
                let millis = request.timeout.map_or(0, |limit| limit.as_millis());
                Error::timeout(format!("not done within {millis} ms"))
                    .with_hint("raise `timeout: {step_ms: ...}` of the step, or give it less to do")
            }
        };
        if !ctx.phase().close() {
            return Attempted::failed(stopped);
        }
        ctx.cancel().cancel();
        let Some(attempted) = ctx.phase().wait_for(run, ctx.commit_limits()).await else {
            return Attempted::failed(stopped);
        };
        let Attempted { counts, result, .. } = attempted.unwrap_or_else(Attempted::failed);
        Attempted::new(
            counts,
            result.map_err(|error| match (stopped.kind(), error.kind()) {
                // The component saw a cancellation; why there was one is known here.
                (ErrorKind::Timeout, ErrorKind::Cancelled) => stopped.with_source(error),
                _ => error,
            }),
        )
    }

    /// One attempt and, when it ended without an answer to a commit, the question what became of that.
    async fn settled_attempt(
        &self,
        step: &Step<'_, C>,
        request: &StepRequest,
        inputs: &Inputs,
        ctx: &ExecutionContext,
    ) -> Attempted {
        let attempted = self.attempt(step, request, inputs, ctx).await;
        let input = inputs.single(step.input_step()).ok();
        let ask: &Ask<'_> = &|intent| {
            let asking = ctx.for_asking();
            Box::pin(async move { self.ask(step, &intent, input, &asking).await })
        };
        let mut attempted = settled(attempted, ctx, ask).await;
        attempted.counts.rejected = ctx.rejects().len();
        attempted
    }

    /// Asks the component what became of a commit, within the time for it.
    async fn ask(
        &self,
        step: &Step<'_, C>,
        intent: &Intent,
        input: Option<&TableRef>,
        ctx: &ExecutionContext,
    ) -> Result<CommitOutcome> {
        let Some(outcome) = self.outcome else { return Ok(CommitOutcome::Unknown) };
        // Rows that arrived are gone.
        let input = input.filter(|input| !input.is_arriving());
        let limit = ctx.commit_limits().asking;
        let asked = tokio::time::timeout(limit, caught(outcome(&self.component, step, intent, input, ctx))).await;
        let outcome = asked.unwrap_or_else(|_| {
            Err(Error::timeout(format!(
                "the destination did not say within {} s what became of the write",
                limit.as_secs()
            )))
        });
        let outcome = outcome.and_then(|outcome| outcome);
        let said = match &outcome {
            Ok(CommitOutcome::Committed { .. }) => "committed",
            Ok(CommitOutcome::NotCommitted) => "not_committed",
            Ok(CommitOutcome::Unknown) | Err(_) => "unknown",
        };
        ctx.log_event(event::COMMIT_ASKED, json!({"destination": intent.destination(), "outcome": said}));
        outcome
    }

    async fn attempts(
        &self,
        step: &Step<'_, C>,
        request: &StepRequest,
        inputs: &Inputs,
        ctx: &ExecutionContext,
    ) -> (Attempted, u32) {
        let mut number = 1;
        let mut failing_since = None;
        loop {
            ctx.progress().reset();
            if let Err(error) = ctx.rejects().clear().await {
                return (Attempted::failed(error), number);
            }
            let of_attempt = ctx.for_attempt(number, step.fingerprint);
            let attempted = self.settled_attempt(step, request, inputs, &of_attempt).await;
            let Err(error) = &attempted.result else { return (attempted, number) };
            if error.is_connection_failed() && C::SPEC.connection == ConnectionUse::Required {
                ctx.log_event(
                    event::CONNECTION_FAILED,
                    json!({"category": error.kind().category(), "error": error.report()}),
                );
            }
            let jitter = f64::from(fastrand::u32(..1000)) / 1000.0;
            let failing_for = failing_since.get_or_insert_with(Instant::now).elapsed();
            let delay = match request.retry.next_try(number, failing_for, error, jitter) {
                NextTry::After(delay) => delay,
                NextTry::Never => return (attempted, number),
                NextTry::TooFarAway(wait) => {
                    let explained = |error| request.retry.explained(error, wait, SystemTime::now());
                    return (Attempted { result: attempted.result.map_err(explained), ..attempted }, number);
                }
            };
            ctx.log_event(
                event::STEP_RETRY_ATTEMPT,
                json!({
                    "attempt": number + 1,
                    "max_attempts": request.retry.max_attempts.max(number + 1),
                    "delay_ms": millis(delay),
                    "category": error.kind().category(),
                    "error": error.report(),
                }),
            );
            tracing::warn!(
                step = ctx.step_id(),
                attempt = number,
                error = %ctx.telemetry().redactor().scrub(error.message()),
                "trying again in {:.1} s",
                delay.as_secs_f64()
            );
            tokio::select! {
                () = ctx.cancel().cancelled() => return (attempted, number),
                () = tokio::time::sleep(delay) => {}
            }
            number += 1;
        }
    }

    async fn run_parsed(&self, request: &StepRequest, inputs: &Inputs, ctx: &ExecutionContext) -> (Attempted, u32) {
        let invalid = |error: Error| (Attempted::failed(error), 1);
        let (config, connection) = match self.parsed(request) {
            Ok(parsed) => parsed,
            Err(error) => return invalid(error),
        };
        if C::SPEC.role.needs_input() && inputs.is_empty() {
            return invalid(
                Error::validation("this step needs an input and has none")
                    .with_hint("name the step it reads from: `needs: [step]`"),
            );
        }
        let source = self.source(request, &ctx.telemetry().redactor());
        let saved = match own_state(request, &source) {
            Ok(saved) => saved,
            Err(error) => return invalid(error),
        };
        let step = Step {
            state: saved.as_ref().map(SavedState::state),
            source: Some(&source),
            ..step_of(request, &config, &connection)
        };
        self.attempts(&step, request, inputs, ctx).await
    }

    fn parsed(&self, request: &StepRequest) -> Result<(C::Config, C::Connection)> {
        let config = self.parse_config(&request.config);
        let config = config.map_err(|problems| problems_error(&problems, "its config"))?;
        let connection = self.parse_connection(&request.connection);
        Ok((config, connection.map_err(|problems| problems_error(&problems, "its connection"))?))
    }

    /// The metrics that the contract requires, exactly once for a step that ended well [DRV-009].
    fn log_metrics(counts: &StepCounts, rows: u64, duration: Duration, ctx: &ExecutionContext) {
        let (name, duration_name) = match C::SPEC.role {
            Role::Extract => (metric::ROWS_READ, metric::QUERY_DURATION_MS),
            Role::Transform => (metric::ROWS_PROCESSED, metric::QUERY_DURATION_MS),
            Role::Write => (metric::ROWS_WRITTEN, metric::WRITE_DURATION_MS),
        };
        let required = if C::SPEC.role == Role::Extract { counts.read } else { rows };
        ctx.log_metric(name, required, Unit::Rows, Value::Null);
        ctx.log_metric(duration_name, millis(duration), Unit::Milliseconds, Value::Null);
        for (name, value, unit) in [
            (metric::ROWS_DEDUPLICATED, counts.deduplicated, Unit::Rows),
            (metric::ROWS_REJECTED, counts.rejected, Unit::Rows),
            (metric::VALUES_ALTERED, counts.altered, Unit::Values),
            (metric::ROWS_WITHOUT_CURSOR, counts.skipped, Unit::Rows),
        ] {
            if value > 0 {
                ctx.log_metric(name, value, unit, Value::Null);
            }
        }
    }
}

fn step_of<'a, C: Component>(
    request: &'a StepRequest,
    config: &'a C::Config,
    connection: &'a C::Connection,
) -> Step<'a, C> {
    Step {
        id: &request.step_id,
        config,
        connection,
        base_dir: &request.base_dir,
        state: None,
        source: None,
        input_step: request.input_step.as_deref(),
        dry_run: request.dry_run,
        fingerprint: request.fingerprint.as_deref(),
    }
}

/// The step's state, if it was taken from `source`.
fn own_state(request: &StepRequest, source: &SourceIdentity) -> Result<Option<SavedState>> {
    let Some(value) = &request.state else { return Ok(None) };
    let saved = SavedState::parse(value)?.ok_or_else(|| state::unknown_source(source, &request.step_id))?;
    state::state_of(&saved, source, &request.step_id)?;
    Ok(Some(saved))
}

fn problems_error(problems: &[Problem], what: &str) -> Error {
    ensure_none(problems, what).err().unwrap_or_else(|| Error::validation(format!("{what} is not valid")))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl<C: Component> Driver for Adapter<C> {
    fn spec(&self) -> &ComponentSpec {
        const { &C::SPEC }
    }

    fn config_schema(&self) -> &ConfigSchema {
        &self.config_schema
    }

    fn connection_schema(&self) -> &ConfigSchema {
        &self.connection_schema
    }

    fn check_config(&self, config: &Value) -> Vec<Problem> {
        let (renamed, mut problems) = self.renamed(config);
        problems.extend(self.config_schema.violations(&renamed));
        if problems.iter().any(Problem::is_error) {
            return problems;
        }
        match ConfigSchema::parse::<C::Config>(&renamed) {
            Ok(parsed) => problems.extend(C::validate(&parsed)),
            Err(problem) => problems.push(problem),
        }
        problems
    }

    fn check_inputs(&self, config: &Value, inputs: &[&str]) -> Vec<Problem> {
        self.parse_config(config).map(|config| C::check_inputs(&config, inputs)).unwrap_or_default()
    }

    fn check_connection(&self, connection: &ResolvedConnection) -> Vec<Problem> {
        self.parse_connection(connection).err().unwrap_or_default()
    }

    fn files(&self, config: &Value, connection: &ResolvedConnection, base: &Path) -> Vec<PathBuf> {
        match (self.parse_config(config), self.parse_connection(connection)) {
            (Ok(config), Ok(connection)) => C::files(&config, &connection, base),
            _ => Vec::new(),
        }
    }

    fn streams(&self, config: &Value, connection: &ResolvedConnection) -> bool {
        match (self.parse_config(config), self.parse_connection(connection)) {
            (Ok(config), Ok(connection)) => C::streams(&config, &connection),
            _ => false,
        }
    }

    fn source(&self, request: &StepRequest, redactor: &Redactor) -> SourceIdentity {
        let mut source = SourceIdentity::new(&C::SPEC, &request.origin);
        let (config, _) = self.renamed(&request.config);
        source.insert_fields("", &self.config_schema, &config, redactor);
        let mut fields = request.connection.fields().clone();
        if let Some(fields) = fields.as_object_mut() {
            self.connection_schema.rename_aliases(fields);
        }
        source.insert_fields("connection.", &self.connection_schema, &fields, redactor);
        if let (Ok(config), Ok(connection)) =
            (self.parse_config(&request.config), self.parse_connection(&request.connection))
        {
            for (name, value) in C::source(&config, &connection) {
                source.insert(name.to_owned(), &value, redactor);
            }
        }
        source
    }

    fn check_state(&self, request: &StepRequest, redactor: &Redactor) -> Result<()> {
        let checked = own_state(request, &self.source(request, redactor));
        checked.map(|_| ()).map_err(|error| error.with_step(&request.step_id))
    }

    fn warnings(&self, config: &Value, connection: &ResolvedConnection) -> Vec<Problem> {
        match (self.parse_config(config), self.parse_connection(connection)) {
            (Ok(config), Ok(connection)) => C::warnings(&config, &connection),
            _ => Vec::new(),
        }
    }

    fn destination(&self, config: &Value, connection: &ResolvedConnection, base: &Path) -> Option<DestinationId> {
        let destination = self.destination?;
        match (self.parse_config(config), self.parse_connection(connection)) {
            (Ok(config), Ok(connection)) => Some(destination(&self.component, &config, &connection, base)),
            _ => None,
        }
    }

    async fn run(
        &self,
        request: &StepRequest,
        inputs: &Inputs,
        ctx: &ExecutionContext,
    ) -> Result<StepOutput, StepFailure> {
        let started = Instant::now();
        ctx.telemetry().add_secrets(request.connection.redactor());
        ctx.log_event(event::STEP_START, json!({"driver": C::SPEC.name}));
        for input in inputs.iter() {
            ctx.log_event(
                event::INPUTS_RESOLVED,
                json!({"from_step": input.table.step(), "key": input.key, "rows": input.table.expected_rows()}),
            );
        }
        let (Attempted { counts, result, may_have_written }, attempts) = self.run_parsed(request, inputs, ctx).await;
        let duration = started.elapsed();
        match result {
            Ok((table, state)) => {
                let rows = table.as_ref().map_or_else(|| counts.acknowledged(), |table| table.rows());
                Self::log_metrics(&counts, rows, duration, ctx);
                ctx.log_event(event::STEP_COMPLETE, json!({"rows_processed": rows, "duration_ms": millis(duration)}));
                Ok(StepOutput { table, rows, state, counts, duration, attempts })
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
                Err(StepFailure { error, counts, duration, attempts, may_have_written })
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
        ctx.telemetry().add_secrets(request.connection.redactor());
        let asked = async {
            let (config, connection) = self.parsed(request)?;
            let input = inputs.single(request.input_step.as_deref()).ok();
            self.ask(&step_of(request, &config, &connection), intent, input, ctx).await
        };
        asked.await.map_err(|error| error.with_step(&request.step_id).redacted(&ctx.telemetry().redactor()))
    }

    fn can_discover(&self) -> bool {
        self.discover.is_some()
    }

    fn can_check(&self) -> bool {
        self.check.is_some()
    }

    async fn discover(&self, connection: &ResolvedConnection, pattern: Option<&str>) -> Result<Catalog> {
        let Some(discover) = self.discover else {
            return Err(Error::validation(format!("`{}` cannot discover", C::SPEC.name)));
        };
        let parsed =
            self.parse_connection(connection).map_err(|problems| problems_error(&problems, "the connection"))?;
        let discovered = discover(&self.component, &parsed, pattern).await;
        let catalog = discovered.map_err(|error| error.redacted(connection.redactor()))?;
        match pattern {
            Some(pattern) => catalog.matching(pattern),
            None => Ok(catalog),
        }
    }

    async fn check(&self, connection: &ResolvedConnection, limit: Duration) -> Health {
        let started = Instant::now();
        let Some(check) = self.check else { return Health::unchecked() };
        let parsed = match self.parse_connection(connection) {
            Ok(parsed) => parsed,
            Err(problems) => return Health::failed(started.elapsed(), &problems_error(&problems, "the connection")),
        };
        let checked = tokio::time::timeout(limit, check(&self.component, &parsed, limit)).await;
        let mut health = checked.unwrap_or_else(|_| {
            let error = Error::timeout(format!("no answer within {} ms", limit.as_millis()))
                .with_hint("check host and port, and firewalls on the way; a slow server needs a higher limit");
            Health::failed(started.elapsed(), &error)
        });
        health.message = connection.redactor().scrub(&health.message).into_owned();
        for detail in health.details.values_mut() {
            *detail = connection.redactor().scrub(detail).into_owned();
        }
        health
    }
}

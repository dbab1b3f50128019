//! From a typed component to a [`Driver`]: its schemas, and the one parse of a configuration and a connection.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::Driver;
use super::attempt::{self, Attempted};
use super::prepared::Prepared;
use super::step::TypedStep;
use crate::commit::{CommitOutcome, Intent};
use crate::config::ConfigSchema;
use crate::problem::ensure_none;
use crate::state::source_fields;
use crate::{
    Catalog, Component, ComponentSpec, ConnectionUse, DestinationId, Discover, Doctor, Error, ExecutionContext,
    Extract, Health, Inputs, Problem, ResolvedConnection, Result, Step, TableRef, Transform, Write,
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
type DestinationFn<C> = fn(&C, &<C as Component>::Config, &<C as Component>::Connection, &Path) -> DestinationId;
type DiscoverFn<C> = for<'a> fn(&'a C, &'a <C as Component>::Connection, Option<&'a str>) -> Boxed<'a, Result<Catalog>>;
type CheckFn<C> = for<'a> fn(&'a C, &'a <C as Component>::Connection, Duration) -> Boxed<'a, Health>;

/// A component with the functions of its role trait.
pub(super) struct Runner<C: Component> {
    pub(super) component: C,
    pub(super) run: RunFn<C>,
    pub(super) outcome: Option<OutcomeFn<C>>,
    pub(super) destination: Option<DestinationFn<C>>,
}

/// A component with its schemas.
pub(crate) struct Adapter<C: Component> {
    runner: Arc<Runner<C>>,
    config_schema: ConfigSchema,
    connection_schema: ConfigSchema,
    discover: Option<DiscoverFn<C>>,
    check: Option<CheckFn<C>>,
}

impl<C: Component> Adapter<C> {
    fn new(runner: Runner<C>) -> Self {
        Self {
            runner: Arc::new(runner),
            config_schema: ConfigSchema::of::<C::Config>(),
            connection_schema: ConfigSchema::of::<C::Connection>(),
            discover: None,
            check: None,
        }
    }

    pub(crate) fn extract(component: C) -> Self
    where
        C: Extract,
    {
        let run: RunFn<C> = |c, step, _, ctx| Box::pin(attempt::extract(c, step, ctx));
        Self::new(Runner { component, run, outcome: None, destination: None })
    }

    pub(crate) fn transform(component: C) -> Self
    where
        C: Transform,
    {
        let run: RunFn<C> = |c, step, inputs, ctx| Box::pin(attempt::transform(c, step, inputs, ctx));
        Self::new(Runner { component, run, outcome: None, destination: None })
    }

    pub(crate) fn write(component: C) -> Self
    where
        C: Write,
    {
        Self::new(Runner {
            component,
            run: |c, step, inputs, ctx| Box::pin(attempt::write(c, step, inputs, ctx)),
            outcome: Some(|c, step, intent, input, ctx| Box::pin(c.outcome(step, intent, input, ctx))),
            destination: Some(C::destination),
        })
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

    fn parse_config(&self, config: &Value) -> Parsed<C::Config> {
        let (fields, mut problems) = renamed(config, &self.config_schema);
        problems.extend(self.config_schema.violations(&fields));
        if problems.iter().any(Problem::is_error) {
            return Parsed { problems, value: None, fields };
        }
        match ConfigSchema::parse::<C::Config>(&fields) {
            Ok(config) => {
                problems.extend(C::validate(&config));
                let is_valid = !problems.iter().any(Problem::is_error);
                Parsed { problems, value: is_valid.then_some(config), fields }
            }
            Err(problem) => {
                problems.push(problem);
                Parsed { problems, value: None, fields }
            }
        }
    }

    fn parse_connection(&self, connection: &ResolvedConnection) -> Parsed<C::Connection> {
        let (fields, mut problems) = match C::SPEC.connection {
            ConnectionUse::None => (json!({}), Vec::new()),
            _ => renamed(connection.fields(), &self.connection_schema),
        };
        if C::SPEC.connection != ConnectionUse::None {
            problems.extend(self.connection_schema.violations(&fields));
        }
        if problems.iter().any(Problem::is_error) {
            return Parsed { problems, value: None, fields };
        }
        match ConfigSchema::parse(&fields) {
            Ok(connection) => Parsed { problems, value: Some(connection), fields },
            Err(problem) => Parsed { problems: vec![problem], value: None, fields },
        }
    }

    /// What the step's rows come from, by the schemas and by the component itself.
    fn source(
        &self,
        config: (&Value, &C::Config),
        connection: (&ResolvedConnection, &C::Connection),
    ) -> Vec<(String, String)> {
        let (fields, _) = renamed(connection.0.fields(), &self.connection_schema);
        let mut source = source_fields("", &self.config_schema, config.0);
        source.extend(source_fields("connection.", &self.connection_schema, &fields));
        let own = C::source(config.1, connection.1).into_iter();
        source.extend(own.map(|(name, value)| (name.to_owned(), value)));
        source
    }
}

/// A value by the names of its schema, its problems, and what it is if it has none.
struct Parsed<T> {
    problems: Vec<Problem>,
    value: Option<T>,
    fields: Value,
}

fn renamed(value: &Value, schema: &ConfigSchema) -> (Value, Vec<Problem>) {
    let mut value = value.clone();
    let problems = value.as_object_mut().map(|map| schema.rename_aliases(map)).unwrap_or_default();
    (value, problems)
}

fn invalid_connection(problems: &[Problem]) -> Error {
    let error = ensure_none(problems, "the connection").err();
    error.unwrap_or_else(|| Error::validation("the connection is not valid"))
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

    fn prepare(&self, config: &Value, connection: Option<&ResolvedConnection>, base_dir: &Path) -> Prepared {
        let parsed = self.parse_config(config);
        let mut prepared = Prepared { config_problems: parsed.problems, ..Prepared::default() };
        let typed = parsed.value.map(Arc::new);
        if let Some(config) = typed.clone() {
            prepared.input_check = Some(Box::new(move |inputs| C::check_inputs(&config, inputs)));
        }
        let Some(connection) = connection else { return prepared };
        let parsed_connection = self.parse_connection(connection);
        prepared.redactor = connection.redactor().clone();
        prepared.connection_problems = parsed_connection.problems;
        if let (Some(config), Some(typed_connection)) = (typed, parsed_connection.value) {
            prepared.warnings = C::warnings(&config, &typed_connection);
            prepared.step = Some(Arc::new(TypedStep {
                runner: Arc::clone(&self.runner),
                source: self.source((&parsed.fields, &config), (connection, &typed_connection)),
                config,
                connection: typed_connection,
                base_dir: base_dir.to_path_buf(),
                redactor: connection.redactor().clone(),
            }));
        }
        prepared
    }

    fn check_connection(&self, connection: &ResolvedConnection) -> Vec<Problem> {
        self.parse_connection(connection).problems
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
        let Parsed { problems, value, .. } = self.parse_connection(connection);
        let parsed = value.ok_or_else(|| invalid_connection(&problems))?;
        let discovered = discover(&self.runner.component, &parsed, pattern).await;
        let catalog = discovered.map_err(|error| error.redacted(connection.redactor()))?;
        match pattern {
            Some(pattern) => catalog.matching(pattern),
            None => Ok(catalog),
        }
    }

    async fn check(&self, connection: &ResolvedConnection, limit: Duration) -> Health {
        let started = Instant::now();
        let Some(check) = self.check else { return Health::unchecked() };
        let Parsed { problems, value, .. } = self.parse_connection(connection);
        let Some(parsed) = value else { return Health::failed(started.elapsed(), &invalid_connection(&problems)) };
        let checked = tokio::time::timeout(limit, check(&self.runner.component, &parsed, limit)).await;
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

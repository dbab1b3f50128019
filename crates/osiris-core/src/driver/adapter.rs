//! From a typed component to a [`Driver`]: its schemas, and what a configuration and a connection of it come to.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use super::attempt::{self, Attempted};
use super::family::FamilyAdapter;
use super::misplaced::{masked, misplaced};
use super::parsed::Parsed;
use super::prepared::Prepared;
use super::step::TypedStep;
use super::{Driver, FamilyDriver};
use crate::commit::{CommitOutcome, Intent};
use crate::config::ConfigSchema;
use crate::state::source_fields;
use crate::{
    Component, ComponentSpec, ConnectionUse, DestinationId, ExecutionContext, Extract, Inputs, ResolvedConnection,
    Result, Step, TableRef, Transform, Write,
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
type FamilyOf<C> = Arc<FamilyAdapter<<C as Component>::Connection>>;

/// A component with the functions of its role trait.
pub(crate) struct Runner<C: Component> {
    pub(super) component: C,
    pub(super) needs_input: bool,
    pub(super) run: RunFn<C>,
    pub(super) outcome: Option<OutcomeFn<C>>,
    pub(super) destination: Option<DestinationFn<C>>,
}

impl<C: Component> Runner<C> {
    pub(crate) fn extract(component: C) -> Self
    where
        C: Extract,
    {
        let run: RunFn<C> = |c, step, _, ctx| Box::pin(attempt::extract(c, step, ctx));
        Self { component, needs_input: false, run, outcome: None, destination: None }
    }

    pub(crate) fn transform(component: C) -> Self
    where
        C: Transform,
    {
        let run: RunFn<C> = |c, step, inputs, ctx| Box::pin(attempt::transform(c, step, inputs, ctx));
        Self { component, needs_input: C::NEEDS_INPUT, run, outcome: None, destination: None }
    }

    pub(crate) fn write(component: C) -> Self
    where
        C: Write,
    {
        Self {
            component,
            needs_input: true,
            run: |c, step, inputs, ctx| Box::pin(attempt::write(c, step, inputs, ctx)),
            outcome: Some(|c, step, intent, input, ctx| Box::pin(c.outcome(step, intent, input, ctx))),
            destination: Some(C::destination),
        }
    }
}

/// A component with its schema and its family.
pub(crate) struct Adapter<C: Component> {
    runner: Arc<Runner<C>>,
    config_schema: ConfigSchema,
    family: FamilyOf<C>,
}

impl<C: Component> Adapter<C> {
    pub(crate) fn new(runner: Runner<C>, family: FamilyOf<C>) -> Self {
        Self { runner: Arc::new(runner), config_schema: ConfigSchema::of::<C::Config>(), family }
    }

    fn parse_connection(&self, connection: &ResolvedConnection) -> Parsed<C::Connection> {
        match C::SPEC.connection {
            ConnectionUse::None => self.family.parse(&ResolvedConnection::none()),
            _ => self.family.parse(connection),
        }
    }

    /// What the step's rows come from, by the schemas and by the family.
    fn source(&self, config: &Value, connection: (&Value, &C::Connection)) -> Vec<(String, String)> {
        let mut source = source_fields("", &self.config_schema, config);
        source.extend(source_fields("connection.", self.family.schema(), connection.0));
        let hidden = self.family.source(connection.1).into_iter();
        source.extend(hidden.map(|(name, value)| (format!("connection.{name}"), value)));
        source
    }
}

impl<C: Component> Driver for Adapter<C> {
    fn spec(&self) -> &ComponentSpec {
        const { &C::SPEC }
    }

    fn needs_input(&self) -> bool {
        self.runner.needs_input
    }

    fn config_schema(&self) -> &ConfigSchema {
        &self.config_schema
    }

    fn family(&self) -> &dyn FamilyDriver {
        &*self.family
    }

    fn prepare(&self, config: &Value, connection: Option<&ResolvedConnection>, base_dir: &Path) -> Prepared {
        let config = Parsed::of(config, &self.config_schema, C::validate);
        let confused = misplaced(&config.fields, &self.config_schema, self.family.schema());
        let typed = config.value.filter(|_| confused.is_empty()).map(Arc::new);
        let config_problems = config.problems.into_iter().chain(confused).map(masked).collect();
        let mut prepared = Prepared { config_problems, ..Prepared::default() };
        if let Some(config) = typed.clone() {
            prepared.input_check = Some(Box::new(move |inputs| C::check_inputs(&config, inputs)));
        }
        let Some(resolved) = connection else { return prepared };
        let connection = self.parse_connection(resolved);
        prepared.redactor = resolved.redactor().clone();
        prepared.connection_problems = connection.problems;
        if let (Some(typed), Some(typed_connection)) = (typed, connection.value) {
            prepared.warnings = C::warnings(&typed, &typed_connection);
            prepared.step = Some(Arc::new(TypedStep {
                runner: Arc::clone(&self.runner),
                source: self.source(&config.fields, (&connection.fields, &typed_connection)),
                config: typed,
                connection: typed_connection,
                base_dir: base_dir.to_path_buf(),
                redactor: resolved.redactor().clone(),
            }));
        }
        prepared
    }
}

//! From a pipeline file to steps that can run: components looked up, configurations checked, connections resolved, the
//! order fixed. Nothing is opened or connected to, and all that is wrong is said in one go.

mod connection;
mod destinations;
mod fingerprint;
mod manifest;
mod split;
mod stdio;
mod step;
mod wiring;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use osiris_core::secret::looks_secret;
use osiris_core::{
    DestinationId, Driver, Error, ErrorKind, MASK, PreparedStep, Redactor, Registry, ResolvedConnection, ResumeFrom,
    StepRequest,
};
use serde_json::Value;

use crate::connections_file::ConnectionsFile;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::environment::Environment;
use crate::graph;
use crate::interpolate::Edit;
use crate::model::Pipeline;
use crate::params::{self, Chosen};
use crate::parse::{self, KnownIds};
use crate::source::SourceFile;

use step::{Checked, Context};
use wiring::Wiring;

/// What the user chose for this run.
#[derive(Debug, Clone, Default)]
pub struct PlanOptions {
    /// `--param name=value`, as texts.
    pub params: BTreeMap<String, String>,
    /// `--profile name`.
    pub profile: Option<String>,
    /// Check everything, change nothing.
    pub dry_run: bool,
}

/// A pipeline that is ready to run.
pub struct Plan {
    pipeline: Pipeline,
    params: BTreeMap<String, Value>,
    options: PlanOptions,
    steps: Vec<PlannedStep>,
    redactor: Redactor,
    warnings: Diagnostics,
}

/// A step that is ready to run.
pub struct PlannedStep {
    /// Its id.
    pub id: String,
    /// The component.
    pub driver: Arc<dyn Driver>,
    /// The component with the step's configuration and connection, parsed.
    pub prepared: Arc<dyn PreparedStep>,
    /// How to run it; its `state` is for the runner to fill in.
    pub request: StepRequest,
    /// What a resumed run takes its rows from.
    pub resume: ResumeFrom,
    /// The tables it reads: the key that its SQL may use, and the step that makes the table.
    pub upstream: Vec<(Option<String>, String)>,
    /// The steps that must have ended well before it begins, those of `upstream` among them.
    pub dependencies: Vec<String>,
    index: usize,
    edits: BTreeMap<String, Vec<Edit>>,
    config: Value,
    connection: ResolvedConnection,
    /// The name of the file that defines the connection.
    connection_file: Option<String>,
    shown: Value,
    overrides: Value,
}

impl PlannedStep {
    /// Its configuration with parameters put in, which may hold secrets. A fingerprint is made of it; the component has
    /// its own, parsed.
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// Its configuration as it may be shown: literal secrets are masked.
    pub(crate) fn shown_config(&self) -> &Value {
        &self.shown
    }

    /// Its connection, with secrets.
    pub fn connection(&self) -> &ResolvedConnection {
        &self.connection
    }

    /// The same error, with the name of the step's connection and of the file that defines it where it is about the
    /// server or the way to it.
    pub(crate) fn with_connection(&self, error: Error) -> Error {
        let is_about =
            error.is_connection_failed() || matches!(error.kind(), ErrorKind::Network | ErrorKind::Permission);
        if is_about { self.name_connection(error) } else { error }
    }

    /// The same error with the name of the step's connection and of the file that defines it, if it has one.
    pub(crate) fn name_connection(&self, error: Error) -> Error {
        let Some(reference) = self.connection.reference() else { return error };
        let error = error.with_context("connection", reference);
        match &self.connection_file {
            Some(file) => error.with_context("defined in", file),
            None => error,
        }
    }
}

impl Plan {
    /// Plans a pipeline.
    ///
    /// # Errors
    /// Everything that is wrong with the file, the connections it names, and the user's choices.
    pub fn new(
        source: &Arc<SourceFile>,
        registry: &Registry,
        connections: &ConnectionsFile,
        environment: &Environment,
        options: &PlanOptions,
    ) -> Result<Self, Diagnostics> {
        let mut diagnostics = Diagnostics::default();
        let Some(pipeline) = parse::parse(source, &mut diagnostics) else { return Err(diagnostics.sorted()) };
        diagnostics.extend(connections.masks());
        let chosen = Chosen { params: options.params.clone(), profile: options.profile.clone() };
        let params = params::resolve(&pipeline, &chosen, environment, &mut diagnostics);
        let known = KnownIds::from_ids(pipeline.steps.iter().map(|step| step.id.value.as_str()));
        let shown_params = shown_params(&pipeline, &params);
        let context = Context {
            pipeline: &pipeline,
            params: &params,
            shown_params: &shown_params,
            known: &known,
            registry,
            connections,
            environment,
        };
        let checked: Vec<Checked> = pipeline.steps.iter().map(|step| context.check(step, &mut diagnostics)).collect();
        let wirings = wiring::wire(&pipeline, &checked, &mut diagnostics);
        for (step, (checked, wiring)) in pipeline.steps.iter().zip(checked.iter().zip(&wirings)) {
            context.check_inputs(step, checked, wiring, &mut diagnostics);
        }
        destinations::check(&pipeline, &checked, &wirings, &mut diagnostics);
        stdio::check(&pipeline, &checked, &mut diagnostics);
        let dependencies = wirings.iter().map(|wiring| wiring.dependencies.clone()).collect();
        let order = graph::order(&dependencies).unwrap_or_else(|cycles| {
            cycles.iter().for_each(|cycle| diagnostics.push(wiring::cycle(&pipeline, cycle)));
            Vec::new()
        });
        let mut redactor = Redactor::default();
        checked.iter().for_each(|step| redactor.merge(step.connection.redactor()));
        // A secret parameter may have been put into SQL, a path, anywhere.
        let secret = params.iter().filter(|(name, _)| is_secret_param(&pipeline, name));
        secret.for_each(|(_, value)| redactor.add(&params::text_of(value)));
        // So is what an address has of them, wherever it stands.
        params
            .values()
            .chain(checked.iter().map(|step| &step.config))
            .for_each(|value| redactor.add_addresses_of(value));
        diagnostics.redact(&redactor);
        if diagnostics.has_errors() {
            return Err(diagnostics.sorted());
        }
        wiring::warn_of_unread(&pipeline, &checked, &wirings, &mut diagnostics);
        let destinations: Arc<[DestinationId]> =
            checked.iter().filter_map(|checked| checked.prepared.step()?.destination()).collect();
        let mut checked: Vec<Option<Checked>> = checked.into_iter().map(Some).collect();
        let ordered = order.into_iter().filter_map(|index| Some((index, checked[index].take()?)));
        let mut steps: Vec<PlannedStep> = ordered
            .filter_map(|(index, checked)| {
                let file = checked.connection.reference().and_then(|reference| connections.file_of(reference));
                let planned = planned(&pipeline, index, checked, &wirings[index], &destinations, options)?;
                Some(PlannedStep { connection_file: file.map(str::to_owned), ..planned })
            })
            .collect();
        fingerprint::assign(&mut steps);
        let warnings = diagnostics.sorted();
        Ok(Self { pipeline, params, options: options.clone(), steps, redactor, warnings })
    }

    /// The pipeline's name.
    pub fn name(&self) -> &str {
        &self.pipeline.name
    }

    /// What the user chose.
    pub fn options(&self) -> &PlanOptions {
        &self.options
    }

    /// Whether everything is to be checked and nothing changed.
    pub fn is_dry_run(&self) -> bool {
        self.options.dry_run
    }

    /// The file as it was read.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// The parameters with their values.
    pub fn params(&self) -> &BTreeMap<String, Value> {
        &self.params
    }

    /// Whether the values of a parameter are secret: by its declaration or by its name.
    pub fn is_secret_param(&self, name: &str) -> bool {
        is_secret_param(&self.pipeline, name)
    }

    /// The steps, in an order in which they can run.
    pub fn steps(&self) -> &[PlannedStep] {
        &self.steps
    }

    /// The step of that id.
    pub fn step(&self, id: &str) -> Option<&PlannedStep> {
        self.steps.iter().find(|step| step.id == id)
    }

    /// Knows the secrets of all connections.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// The files that the run store's SQL reads for the steps, sorted: what it may reach. Looks at the disk, where
    /// steps read directories or patterns.
    pub fn files(&self) -> Vec<PathBuf> {
        let all = self.steps.iter().flat_map(|step| step.prepared.files());
        all.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Warnings and other notes of the plan.
    pub fn warnings(&self) -> &Diagnostics {
        &self.warnings
    }

    /// Adds a warning.
    pub(crate) fn warn(&mut self, warning: Diagnostic) {
        self.warnings.push(warning);
    }

    /// Drops the warnings; what hides secrets stays.
    pub(crate) fn forget_warnings(&mut self) {
        self.warnings = self.warnings.masks_only();
    }

    /// What a compile writes: the same bytes for the same input on every machine.
    pub fn manifest(&self) -> Value {
        manifest::manifest(self)
    }

    /// An error of a run, shown in the pipeline file: at byte `offset` of the text at `pointer` of the step's config,
    /// such as `/query`. None when the step or the field is not there.
    pub fn diagnose(&self, step: &str, pointer: &str, offset: usize, error: &Error) -> Option<Diagnostics> {
        let planned = self.step(step)?;
        let step = &self.pipeline.steps[planned.index];
        let schema = planned.driver.config_schema();
        let found = step.config.find(&step::pointer_as_written(&step.config, pointer, schema));
        if !found.is_exact {
            return None;
        }
        let span = step::word_at(&self.pipeline.source, found.node, planned.edits.get(pointer), offset);
        let diagnostic = Diagnostic::from_core(&without_place(error)).at(&self.pipeline.source, span);
        let mut diagnostics = self.warnings.masks_only();
        diagnostics.push(diagnostic);
        Some(diagnostics)
    }
}

/// The error without the place in its text that its context names: there is one position, that of the file.
fn without_place(error: &Error) -> Error {
    let place = error.context().iter().find(|(key, _)| *key == "place").map(|(_, place)| format!(" {place}"));
    let message = place.map_or_else(|| error.message().to_owned(), |place| error.message().replacen(&place, "", 1));
    let shown = Error::new(error.kind(), message).with_code(error.code());
    match error.hint() {
        Some(hint) => shown.with_hint(hint.to_owned()),
        None => shown,
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let steps: Vec<&str> = self.steps.iter().map(|step| step.id.as_str()).collect();
        f.debug_struct("Plan").field("name", &self.pipeline.name).field("steps", &steps).finish_non_exhaustive()
    }
}

fn is_secret_param(pipeline: &Pipeline, name: &str) -> bool {
    let spec = pipeline.params.iter().find(|spec| spec.name == name);
    spec.map_or_else(|| looks_secret(name), params::ParamSpec::is_secret)
}

fn shown_params(pipeline: &Pipeline, params: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let shown = |(name, value): (&String, &Value)| {
        let value = if is_secret_param(pipeline, name) { Value::from(MASK) } else { value.clone() };
        (name.clone(), value)
    };
    params.iter().map(shown).collect()
}

fn planned(
    pipeline: &Pipeline,
    index: usize,
    checked: Checked,
    wiring: &Wiring,
    destinations: &Arc<[DestinationId]>,
    options: &PlanOptions,
) -> Option<PlannedStep> {
    let step = &pipeline.steps[index];
    let id_of = |index: &usize| pipeline.steps[*index].id.value.clone();
    let request = StepRequest {
        input_step: checked.input_step.map(|step| step.value),
        destinations: Arc::clone(destinations),
        dry_run: options.dry_run || checked.dry_run,
        retry: step.retry.clone(),
        timeout: step.timeout,
        ..StepRequest::new(step.id.value.clone())
    };
    let prepared = Arc::clone(checked.prepared.step()?);
    Some(PlannedStep {
        id: step.id.value.clone(),
        driver: checked.driver?,
        resume: step.resume.as_ref().map_or_else(|| prepared.resume_from(), |resume| resume.value),
        prepared,
        request,
        upstream: wiring.upstream.iter().map(|(key, index)| (key.clone(), id_of(index))).collect(),
        dependencies: wiring.dependencies.iter().map(id_of).collect(),
        index,
        edits: checked.edits,
        config: checked.config,
        connection: checked.connection,
        connection_file: None,
        shown: Value::Object(checked.shown),
        overrides: Value::Object(checked.overrides),
    })
}

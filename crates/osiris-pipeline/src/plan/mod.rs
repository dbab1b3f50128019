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

use futures::future::try_join_all;
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
use crate::group::{self, FoundTable, FoundTables, GroupMember, GroupScope, TableGroup};
use crate::interpolate::Edit;
use crate::model::Pipeline;
use crate::params::{self, Chosen};
use crate::parse::{self, KnownIds};
use crate::run::PastRun;
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
    groups: Vec<TableGroup>,
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
    /// Its place in a group of steps that were made of one step of the file.
    pub group: Option<GroupMember>,
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
    /// Plans a pipeline. The tables of its [groups](Self::groups) stay unknown: such a plan [is an outline](Self::is_outline).
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
        Self::of(source, registry, connections, environment, options, None)
    }

    /// Plans a pipeline with a step for each table of its groups, among those that were [found](Self::find_tables).
    ///
    /// # Errors
    /// As for [`new`](Self::new); a group that has no tables, or not the ones that its steps need.
    pub fn with_tables(
        source: &Arc<SourceFile>,
        registry: &Registry,
        connections: &ConnectionsFile,
        environment: &Environment,
        options: &PlanOptions,
        found: &FoundTables,
    ) -> Result<Self, Diagnostics> {
        Self::of(source, registry, connections, environment, options, Some(found))
    }

    pub(crate) fn of(
        source: &Arc<SourceFile>,
        registry: &Registry,
        connections: &ConnectionsFile,
        environment: &Environment,
        options: &PlanOptions,
        found: Option<&FoundTables>,
    ) -> Result<Self, Diagnostics> {
        let mut diagnostics = Diagnostics::default();
        let Some(mut pipeline) = parse::parse(source, &mut diagnostics) else { return Err(diagnostics.sorted()) };
        diagnostics.extend(connections.masks());
        let chosen = Chosen { params: options.params.clone(), profile: options.profile.clone() };
        let params = params::resolve(&pipeline, &chosen, environment, &mut diagnostics);
        let groups = expand(&mut pipeline, &params, registry, found, &mut diagnostics)?;
        let known = known_ids(&pipeline);
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
        Ok(Self { pipeline, params, options: options.clone(), steps, groups, redactor, warnings })
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

    /// The steps that read many tables, as they stand in the file.
    pub fn groups(&self) -> &[TableGroup] {
        &self.groups
    }

    /// Whether there are groups whose tables are not known: each is one step, with placeholders for the names. It can be
    /// checked and shown, not run.
    pub fn is_outline(&self) -> bool {
        self.groups.iter().any(|group| group.tables.is_none())
    }

    /// The tables that its groups read.
    pub(crate) fn tables(&self) -> FoundTables {
        let mut tables = FoundTables::default();
        for group in &self.groups {
            tables.insert(&group.id, group.tables.clone().unwrap_or_default());
        }
        tables
    }

    /// Asks the sources of its groups for their tables.
    ///
    /// # Errors
    /// A source that cannot be queried.
    pub async fn find_tables(&self) -> Result<FoundTables, Error> {
        let base = self.pipeline.source.directory();
        let base = base.as_path();
        let asked = self.groups.iter().filter_map(|group| self.step(&group.id)).map(|step| async move {
            let family = step.driver.family();
            let named = |error: Error| step.name_connection(error).with_step(&step.id).redacted(&self.redactor);
            let catalog = family.discover_from(&step.connection, base).await.map_err(named)?;
            let has_schemas = step.driver.config_schema().field_named("schema").is_some();
            let default = family.default_schema(&step.connection);
            let table = |resource| FoundTable::new(resource, has_schemas, default.as_deref());
            Ok::<_, Error>((step.id.clone(), catalog.resources.iter().map(table).collect::<Vec<_>>()))
        });
        let mut found = FoundTables::default();
        try_join_all(asked).await?.into_iter().for_each(|(group, tables)| found.insert(group, tables));
        Ok(found)
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

    /// Warns of tables of its groups that are new, or gone, since `last`.
    pub(crate) fn name_changes(&mut self, last: Option<&PastRun>) {
        let Some(last) = last.map(PastRun::record) else { return };
        let source = Arc::clone(&self.pipeline.source);
        for group in &self.groups {
            let (Some(now), Some(then)) = (&group.tables, last.tables.of(&group.id)) else { continue };
            for message in group::changes(&group.id, now, then, &last.run_id) {
                self.warnings.push(Diagnostic::warning(message).at(&source, group.span));
            }
        }
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

/// Makes steps of the groups of a pipeline.
///
/// # Errors
/// What is wrong with the tables that were found: nothing can be said of their steps.
fn expand(
    pipeline: &mut Pipeline,
    params: &BTreeMap<String, Value>,
    registry: &Registry,
    found: Option<&FoundTables>,
    diagnostics: &mut Diagnostics,
) -> Result<Vec<TableGroup>, Diagnostics> {
    let known = known_ids(pipeline);
    let (source, specs) = (&pipeline.source, pipeline.params.as_slice());
    let scope = GroupScope { source, specs, params, known: &known, registry, found };
    let mut of_groups = Diagnostics::default();
    let (steps, groups) = group::expand(pipeline, &scope, &mut of_groups);
    pipeline.steps = steps;
    if found.is_some() && !groups.is_empty() && !of_groups.has_errors() {
        parse::check_ids(&pipeline.steps, &pipeline.source, &mut of_groups);
    }
    let is_refused = found.is_some() && of_groups.has_errors();
    diagnostics.extend(of_groups);
    if is_refused { Err(std::mem::take(diagnostics).sorted()) } else { Ok(groups) }
}

fn known_ids(pipeline: &Pipeline) -> KnownIds {
    KnownIds::from_ids(pipeline.steps.iter().map(|step| step.id.value.as_str()))
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
        group: step.group.clone(),
        index,
        edits: checked.edits,
        config: checked.config,
        connection: checked.connection,
        connection_file: None,
        shown: Value::Object(checked.shown),
        overrides: Value::Object(checked.overrides),
    })
}

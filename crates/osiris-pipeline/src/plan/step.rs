//! One step against its component: does the configuration fit, and the connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use osiris_core::connection::OverridePolicy;
use osiris_core::secret::{has_secret_address, is_guarded_header, is_reference};
use osiris_core::{Code, ConfigSchema, Driver, Prepared, Problem, Registry, ResolvedConnection, Role};
use serde_json::{Map, Value};

use super::connection::{self, StepConnection};
use super::split::StepFields;
use super::wiring::Wiring;
use crate::connections_file::ConnectionsFile;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::environment::Environment;
use crate::interpolate::{Edit, Interpolated, Scope, interpolate, offset_as_written};
use crate::model::{Pipeline, Spanned, Step};
use crate::parse::{KnownIds, mask_literals};
use crate::source::{SourceFile, Span};
use crate::yaml::{Entry, Node};

/// What a step is checked against.
pub(super) struct Context<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) params: &'a BTreeMap<String, Value>,
    /// The same with a mask for each secret.
    pub(super) shown_params: &'a BTreeMap<String, Value>,
    pub(super) known: &'a KnownIds,
    pub(super) registry: &'a Registry,
    pub(super) connections: &'a ConnectionsFile,
    pub(super) environment: &'a Environment,
}

/// A step with what its component makes of it.
pub(super) struct Checked {
    pub(super) driver: Option<Arc<dyn Driver>>,
    /// The component's own fields, as an object.
    pub(super) config: Value,
    /// The same as it may be shown.
    pub(super) shown: Map<String, Value>,
    pub(super) overrides: Map<String, Value>,
    pub(super) connection: ResolvedConnection,
    /// The component's result for the two. It has no step unless all values of the file could be resolved.
    pub(super) prepared: Prepared,
    pub(super) input_step: Option<Spanned<String>>,
    pub(super) dry_run: bool,
    pub(super) tables: Vec<Spanned<String>>,
    pub(super) edits: BTreeMap<String, Vec<Edit>>,
    /// Whether a parameter or a step that the configuration names was not there, so that its values are not the true
    /// ones.
    is_incomplete: bool,
}

impl Checked {
    /// What the step does with tables, unless its component is not known.
    pub(super) fn role(&self) -> Option<Role> {
        self.driver.as_ref().map(|driver| driver.spec().role)
    }

    /// Whether the step cannot run without an input.
    pub(super) fn needs_input(&self) -> bool {
        self.driver.as_ref().is_some_and(|driver| driver.needs_input())
    }
}

impl Context<'_> {
    /// Checks everything of a step that does not depend on other steps.
    pub(super) fn check(&self, step: &Step, diagnostics: &mut Diagnostics) -> Checked {
        let scope = Scope {
            source: &self.pipeline.source,
            specs: &self.pipeline.params,
            params: self.params,
            steps: self.known,
        };
        let done = interpolate(&step.config, &scope, diagnostics);
        let driver = self.driver(step, &done.config, diagnostics);
        let Some(driver) = driver else { return Checked::without_driver(done) };
        self.check_mode(step, driver.spec().role, diagnostics);
        if let Some(resume) = step.resume.as_ref().filter(|_| driver.spec().role != Role::Extract) {
            diagnostics.push(
                self.error(resume.span, "`resume` is for a step that reads from a source")
                    .with_hint("write it at the step whose rows this one uses"),
            );
        }
        let secrets = self.refuse_inline_secrets(step, driver.as_ref(), diagnostics);
        let mut split = StepFields::of(driver.as_ref(), done.config);
        split.overrides.retain(|name, _| !secrets.contains(name));
        let StepConnection { resolved, is_found, reported } =
            connection::resolve(self, step, driver.as_ref(), &split, &done.incomplete, diagnostics);
        let config = Value::Object(std::mem::take(&mut split.config));
        let base_dir = self.pipeline.source.directory();
        let prepared = driver.prepare(&config, is_found.then_some(&resolved), &base_dir);
        for problem in prepared.config_problems().iter().filter(|problem| !done.incomplete.contains(&problem.pointer)) {
            diagnostics.push(self.place(step, &done.edits, driver.config_schema(), problem));
        }
        let problems = prepared.connection_problems().iter().filter(|problem| !reported.contains(&problem.pointer));
        connection::report(self, step, driver.as_ref(), &split, resolved.reference(), problems, diagnostics);
        let shown = self.shown(step, driver.as_ref());
        let input_step = self.text_field(step, "input_step", split.input_step.as_ref(), diagnostics);
        let dry_run = self.flag(step, "dry_run", split.dry_run.as_ref(), diagnostics);
        Checked {
            driver: Some(driver),
            config,
            shown,
            overrides: split.overrides,
            connection: resolved,
            prepared,
            input_step,
            dry_run,
            tables: done.tables,
            edits: done.edits,
            is_incomplete: !done.incomplete.is_empty(),
        }
    }

    /// The configuration with a mask wherever a secret parameter stands.
    fn shown(&self, step: &Step, driver: &dyn Driver) -> Map<String, Value> {
        let scope = Scope {
            source: &self.pipeline.source,
            specs: &self.pipeline.params,
            params: self.shown_params,
            steps: self.known,
        };
        // What is wrong has been said of the true one.
        let done = interpolate(&step.config, &scope, &mut Diagnostics::default());
        StepFields::of(driver, done.config).config
    }

    /// Checks that need the names of the inputs.
    pub(super) fn check_inputs(&self, step: &Step, checked: &Checked, wiring: &Wiring, diagnostics: &mut Diagnostics) {
        let id_of = |index: &usize| self.pipeline.steps[*index].id.value.as_str();
        for table in &checked.tables {
            if !wiring.upstream.iter().any(|(_, index)| id_of(index) == table.value) {
                let message = format!("`{}` is not an input of step `{}`", table.value, step.id.value);
                let diagnostic = self.error(table.span, message).with_code(Code::UnknownStep);
                diagnostics.push(diagnostic.with_hint(format!("add it: `needs: [{}]`", table.value)));
            }
        }
        let Some(driver) = checked.driver.as_ref().filter(|_| !checked.is_incomplete) else { return };
        let mut names: Vec<&str> = wiring.upstream.iter().map(|(_, index)| id_of(index)).collect();
        names.extend(wiring.upstream.iter().filter_map(|(key, _)| key.as_deref()));
        let of_inputs = checked.prepared.check_inputs(&names);
        for problem in checked.prepared.warnings().iter().chain(&of_inputs) {
            diagnostics.push(self.place(step, &checked.edits, driver.config_schema(), problem));
        }
    }

    fn driver(
        &self,
        step: &Step,
        config: &Map<String, Value>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<dyn Driver>> {
        match self.registry.find(&step.component.value, config) {
            Ok(driver) => Some(Arc::clone(driver)),
            Err(error) => {
                diagnostics.push(Diagnostic::from_core(&error).at(&self.pipeline.source, step.component.span));
                None
            }
        }
    }

    fn check_mode(&self, step: &Step, role: Role, diagnostics: &mut Diagnostics) {
        let Some(mode) = step.mode.as_ref().filter(|mode| mode.value != role) else { return };
        let component = &step.component.value;
        let message = format!("`{component}` does not {}: its mode is `{}`", verb(mode.value), role.mode());
        diagnostics.push(
            self.error(mode.span, message)
                .with_hint(format!("write `mode: {}`, or choose another component", role.mode())),
        );
    }

    /// The names of fields that hold a secret; each is an error.
    fn refuse_inline_secrets(&self, step: &Step, driver: &dyn Driver, diagnostics: &mut Diagnostics) -> Vec<String> {
        let mut found = Vec::new();
        let elsewhere = format!(
            "put it into osiris_connections.yaml as a variable, and name that connection: `connection: \"@{}.alias\"`",
            driver.spec().family()
        );
        for entry in step.config.as_mapping().unwrap_or_default() {
            let schema = match driver.config_schema().field_named(&entry.key) {
                Some(_) => driver.config_schema(),
                None => driver.connection_schema(),
            };
            let is_open_address = driver.config_schema().field_named(&entry.key).is_none()
                && !schema.is_secret(&entry.key)
                && entry.value.as_str().is_some_and(has_secret_address);
            if is_open_address {
                found.push(entry.key.clone());
                let message = format!(
                    "the address in `{}` has a secret, which must not be written in a pipeline file",
                    entry.key
                );
                diagnostics.push(self.literal_secret(entry, message, &elsewhere));
                continue;
            }
            if !schema.is_secret(&entry.key) || entry.value.is_null() {
                continue;
            }
            let field = schema.field_named(&entry.key).unwrap_or(&entry.key);
            if let (OverridePolicy::Headers, Some(headers)) =
                (OverridePolicy::of(field, schema), entry.value.as_mapping())
            {
                found.extend(self.check_headers(step, &entry.key, headers, diagnostics));
                continue;
            }
            found.push(entry.key.clone());
            mask_literals(&entry.value, &self.pipeline.source, diagnostics);
            // A variable that is no parameter was an error before.
            let is_parameter = |text: &str| text.trim().starts_with("${params.");
            if entry.value.as_str().is_some_and(|text| is_reference(text) && !is_parameter(text)) {
                continue;
            }
            let message = format!("`{}` is a secret and must not be written in a pipeline file", entry.key);
            diagnostics.push(self.literal_secret(entry, message, &elsewhere));
        }
        found
    }

    fn literal_secret(&self, entry: &Entry, message: String, elsewhere: &str) -> Diagnostic {
        self.error(entry.key_span, message).with_code(Code::LiteralSecret).with_hint(elsewhere)
    }

    /// Headers that a step adds to those of its connection: each is an error if its name may be that of a credential, otherwise a
    /// warning. Returns the field if one is an error.
    fn check_headers(
        &self,
        step: &Step,
        field: &str,
        headers: &[Entry],
        diagnostics: &mut Diagnostics,
    ) -> Option<String> {
        let (guarded, open): (Vec<&Entry>, Vec<&Entry>) =
            headers.iter().partition(|header| is_guarded_header(&header.key));
        for header in &guarded {
            mask_literals(&header.value, &self.pipeline.source, diagnostics);
            let message = format!("the header `{}` may carry a credential and must not be set in a step", header.key);
            diagnostics.push(
                self.error(header.key_span, message)
                    .with_code(Code::LiteralSecret)
                    .with_hint(format!("write it under `{field}` of the connection, with a variable as its value")),
            );
        }
        if !guarded.is_empty() {
            return Some(field.to_owned());
        }
        for header in open {
            let message = format!(
                "step `{}` adds the header `{}` to its connection: its value is not treated as a secret",
                step.written_id(),
                header.key
            );
            diagnostics.push(Diagnostic::warning(message).at(&self.pipeline.source, header.key_span));
        }
        None
    }

    /// A problem of the configuration, at its place in the file.
    pub(super) fn place(
        &self,
        step: &Step,
        edits: &BTreeMap<String, Vec<Edit>>,
        schema: &ConfigSchema,
        problem: &Problem,
    ) -> Diagnostic {
        let pointer = pointer_as_written(&step.config, &problem.pointer, schema);
        let found = step.config.find(&pointer);
        let span = match (problem.offset, found.entry, problem.of_name) {
            (Some(offset), _, _) if found.is_exact => {
                let edits = edits.get(&problem.pointer).or_else(|| edits.get(&pointer));
                word_at(&self.pipeline.source, found.node, edits, offset)
            }
            (_, None, _) if std::ptr::eq(found.node, &raw const step.config) => step.config_span,
            (_, _, true) => found.key_span(),
            (_, _, false) => found.value_span(),
        };
        let diagnostic = Diagnostic::from_problem(problem).at(&self.pipeline.source, span);
        // The line shows the field; only what is missing from it must be said to be of which component.
        match (problem.pointer.is_empty(), problem.hint.is_some()) {
            (true, false) => {
                diagnostic.with_hint(format!("`osiris components show {}` lists its fields", step.component.value))
            }
            _ => diagnostic,
        }
    }

    pub(super) fn error(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(message).at(&self.pipeline.source, span)
    }

    fn text_field(
        &self,
        step: &Step,
        name: &str,
        value: Option<&Value>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Spanned<String>> {
        let value = value.filter(|value| !value.is_null())?;
        let span = step.config.get(name).map_or(step.config_span, |node| node.span);
        match value.as_str() {
            Some(text) => Some(Spanned { value: text.to_owned(), span }),
            None => {
                diagnostics.push(self.error(span, format!("`{name}` must be a string")).with_code(Code::InvalidValue));
                None
            }
        }
    }

    fn flag(&self, step: &Step, name: &str, value: Option<&Value>, diagnostics: &mut Diagnostics) -> bool {
        match value {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => {
                let span = step.config.get(name).map_or(step.config_span, |node| node.span);
                diagnostics
                    .push(self.error(span, format!("`{name}` must be true or false")).with_code(Code::InvalidValue));
                false
            }
        }
    }
}

impl Checked {
    fn without_driver(done: Interpolated) -> Self {
        Self {
            driver: None,
            config: Value::Object(done.config),
            shown: Map::new(),
            overrides: Map::new(),
            connection: ResolvedConnection::none(),
            prepared: Prepared::default(),
            input_step: None,
            dry_run: false,
            tables: Vec::new(),
            edits: done.edits,
            is_incomplete: true,
        }
    }
}

/// The word at a byte of a text of the file; the byte counts after parameters were put in.
pub(super) fn word_at(source: &SourceFile, node: &Node, edits: Option<&Vec<Edit>>, offset: usize) -> Span {
    let offset = edits.map_or(offset, |edits| offset_as_written(edits, offset));
    let start = node.offset_in_file(source, offset);
    let text = source.text().get(start..).unwrap_or_default();
    let word = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').map(char::len_utf8).sum::<usize>();
    Span::new(start, start + word.max(1))
}

/// A pointer by the names of a schema, as a pointer by the names of the file, which may be aliases.
pub(super) fn pointer_as_written(config: &Node, pointer: &str, schema: &ConfigSchema) -> String {
    let Some((first, rest)) = pointer.strip_prefix('/').map(|path| path.split_once('/').unwrap_or((path, ""))) else {
        return pointer.to_owned();
    };
    if config.get(first).is_some() {
        return pointer.to_owned();
    }
    match schema.aliases(first).find(|alias| config.get(alias).is_some()) {
        Some(alias) if rest.is_empty() => format!("/{alias}"),
        Some(alias) => format!("/{alias}/{rest}"),
        None => pointer.to_owned(),
    }
}

const fn verb(role: Role) -> &'static str {
    match role {
        Role::Extract => "read",
        Role::Transform => "transform",
        Role::Write => "write",
    }
}

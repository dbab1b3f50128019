//! The tools: the JSON documents of the commands.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use osiris::core::{CancellationToken, ConnectionRef, Role};
use osiris::pipeline::inspect::{DOCTOR_LIMIT, DiscoverOptions};
use osiris::pipeline::{list_connections, summaries};
use osiris::{
    Environment, Error, Outcome, Plan, PlanOptions, Project, Registry, RunOptions, Settings, Silent, SourceFile,
};
use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use super::super::{components, connections, discover, explain, project, report, runs, wait};
use super::arguments::Arguments;
use super::mask::ConnectionValues;
use crate::command_error::CommandError;
use crate::logging::{LogSecrets, known_secrets};

/// What the tools work with.
pub(super) struct Tools {
    pub(super) directory: PathBuf,
    pub(super) registry: Registry,
    pub(super) given: Settings,
    pub(super) secrets: LogSecrets,
    pub(super) allow_run: bool,
    pub(super) allow_writes: bool,
    /// Cancelled when nothing may go on.
    pub(super) halt: CancellationToken,
    /// Dropped when no tool is at work any more.
    pub(super) _working: Sender<()>,
}

/// What a tool answers.
pub(super) struct Answer {
    pub(super) document: Value,
    pub(super) is_error: bool,
}

/// The name of a tool, what it does, and the schema of its arguments.
struct Definition {
    name: &'static str,
    about: &'static str,
    arguments: fn() -> Value,
}

const RUN: &str = "run";

const TOOLS: &[Definition] = &[
    Definition { name: "list_components", about: "The components that steps can use", arguments: none },
    Definition {
        name: "show_component",
        about: "What a component does, with the JSON Schemas of its configuration and its connection",
        arguments: component,
    },
    Definition {
        name: "list_connections",
        about: "The names and families of the project's connections, none of their fields",
        arguments: none,
    },
    Definition {
        name: "check_connection",
        about: "Whether a connection works, or every one of the project",
        arguments: connection,
    },
    Definition {
        name: "discover",
        about: "The tables, views or endpoints that a component could read or write, with their fields",
        arguments: resources,
    },
    Definition {
        name: "validate",
        about: "Everything that is wrong with a pipeline, a file of the project or a text; nothing is opened",
        arguments: pipeline,
    },
    Definition { name: "plan", about: "What a run of a pipeline would do, as a manifest", arguments: pipeline },
    Definition {
        name: "explain",
        about: "What an error code means and what to do; without a code all of them",
        arguments: code,
    },
    Definition { name: "list_runs", about: "Past runs, the latest first", arguments: none },
    Definition { name: "show_run", about: "A past run with its ledger", arguments: run_id },
    Definition { name: RUN, about: "Runs a pipeline of the project and returns its ledger", arguments: runnable },
];

fn none() -> Value {
    schema(&[], &[])
}

fn component() -> Value {
    schema(&[("name", "string", "Its name, such as `mysql.extractor`")], &["name"])
}

fn connection() -> Value {
    schema(&[("connection", "string", "The connection, as `@family.alias`; default: all of them")], &[])
}

fn resources() -> Value {
    let fields = [
        ("component", "string", "The component, such as `mysql.extractor`"),
        ("connection", "string", "The connection, as `@family.alias`; default: that of the family"),
        ("table", "string", "Only tables of this name; `*` matches anything, `?` one character"),
        ("refresh", "boolean", "Ignore cached results"),
    ];
    schema(&fields, &["component"])
}

const PATH: (&str, &str, &str) = ("path", "string", "The pipeline file, in the project's directory");
const PARAMS: (&str, &str, &str) = ("params", "object", "The values of parameters, by name");
const PROFILE: (&str, &str, &str) = ("profile", "string", "The profile whose parameters are used");

fn pipeline() -> Value {
    let text = ("text", "string", "The text of a pipeline, in the place of `path`");
    schema(&[PATH, text, PARAMS, PROFILE], &[])
}

fn runnable() -> Value {
    let dry_run = ("dry_run", "boolean", "Check everything, read a little, write nothing");
    schema(&[PATH, PARAMS, PROFILE, dry_run], &["path"])
}

fn code() -> Value {
    schema(&[("code", "string", "The code, such as `E0401`")], &[])
}

fn run_id() -> Value {
    schema(&[("run", "string", "Its id, or the beginning of it; default: the latest run")], &[])
}

fn schema(fields: &[(&str, &str, &str)], required: &[&str]) -> Value {
    let field =
        |(name, kind, about): &(&str, &str, &str)| ((*name).to_owned(), json!({"type": kind, "description": about}));
    let properties: Map<String, Value> = fields.iter().map(field).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

impl Tools {
    /// Whether there is a tool of this name, allowed or not.
    pub(super) fn has(name: &str) -> bool {
        TOOLS.iter().any(|tool| tool.name == name)
    }

    /// The tools that may be called.
    pub(super) fn list(&self) -> Vec<Tool> {
        TOOLS.iter().filter(|tool| tool.name != RUN || self.allow_run).map(described).collect()
    }

    /// Calls a tool; a failure is an answer, too.
    pub(super) fn call(&self, name: &str, given: Option<Map<String, Value>>, cancel: &CancellationToken) -> Answer {
        let (mut document, is_error) = match self.answer(name, given, cancel) {
            Ok((document, is_done)) => (document, !is_done),
            Err(error) => (error.to_json(), true),
        };
        ConnectionValues::of(self.project().ok().as_ref(), &self.registry, known_secrets()).mask(&mut document);
        Answer { document, is_error }
    }

    /// The document of a tool, and whether it did what was asked.
    fn answer(
        &self,
        name: &str,
        given: Option<Map<String, Value>>,
        cancel: &CancellationToken,
    ) -> Result<(Value, bool), CommandError> {
        let schema = TOOLS.iter().find(|tool| tool.name == name).map_or(Value::Null, |tool| (tool.arguments)());
        let given = Arguments::new(given, &schema)?;
        let document = match name {
            "list_components" => summaries(&self.registry).into(),
            "show_component" => components::document(given.text("name")?.unwrap_or_default(), &self.registry)?,
            "list_connections" => self.connections()?,
            "check_connection" => {
                let only = reference(&given)?;
                json!(connections::checked(
                    &self.project()?,
                    only.as_ref(),
                    DOCTOR_LIMIT,
                    &self.registry,
                    &self.secrets
                )?)
            }
            "discover" => self.discover(&given)?,
            "validate" => self.validate(&given)?,
            "plan" => self.planned(&given, false)?.1.manifest(),
            "explain" => explain::document(&explain::parsed(given.text("code")?.as_slice())?),
            "list_runs" => self.project()?.runs().list()?.iter().map(|run| runs::document(run, false)).collect(),
            "show_run" => runs::document(&self.project()?.runs().find(given.text("run")?)?, true),
            _ => return self.run(&given, cancel),
        };
        Ok((document, true))
    }

    fn project(&self) -> Result<Project, CommandError> {
        project::here(self.given.clone())
    }

    fn connections(&self) -> Result<Value, CommandError> {
        let project = self.project()?;
        let connections = project.connections()?;
        let environment = project.environment(&connections)?;
        let listed = list_connections(&connections, &self.registry, &environment);
        let named = listed.iter().map(|listing| {
            let family = listing.name.trim_start_matches('@').split('.').next();
            json!({"name": listing.name, "family": family, "default": listing.default, "known": listing.known})
        });
        Ok(named.collect())
    }

    fn discover(&self, given: &Arguments) -> Result<Value, CommandError> {
        let project = self.project()?;
        let options = DiscoverOptions {
            connection: reference(given)?,
            pattern: given.text("table")?.map(str::to_owned),
            refresh: given.flag("refresh")?,
            cache: Some(project.catalog_cache()),
        };
        let component = given.text("component")?.unwrap_or_default();
        let found = discover::discovered(&project, component, &options, &self.registry, &self.secrets)?;
        Ok(json!(found.catalog))
    }

    /// The pipeline that is meant, with its project.
    fn source(&self, given: &Arguments) -> Result<(Project, Arc<SourceFile>), CommandError> {
        let source = match (given.path("path", &self.directory)?, given.text("text")?) {
            (Some(path), None) => SourceFile::read(&path)?,
            (None, Some(text)) => SourceFile::from_text("the pipeline", text).with_path("pipeline.yaml"),
            _ => {
                let error = Error::validation("expected either `path` or `text`");
                return Err(error
                    .with_hint("`path` names a file of the project, `text` is the pipeline itself")
                    .into());
            }
        };
        let file = source.path().unwrap_or(Path::new(""));
        let project = Project::of_pipeline(file, self.given.clone(), Environment::of_process())?;
        Ok((project, Arc::new(source)))
    }

    fn validate(&self, given: &Arguments) -> Result<Value, CommandError> {
        let (project, source) = self.source(given)?;
        Ok(project::checked(&project, &source, &self.registry, &options(given, false)?)?.to_json())
    }

    fn planned(&self, given: &Arguments, dry_run: bool) -> Result<(Project, Plan), CommandError> {
        let (project, source) = self.source(given)?;
        let plan = project::plan(&project, &source, &self.registry, &options(given, dry_run)?)?;
        self.secrets.add(plan.redactor());
        Ok((project, plan))
    }

    /// Runs a pipeline, if the user allows it.
    fn run(&self, given: &Arguments, cancel: &CancellationToken) -> Result<(Value, bool), CommandError> {
        if !self.allow_run {
            let error = Error::validation("this server runs no pipelines");
            return Err(error.with_hint("the user allows it with `osiris mcp --allow-run`").into());
        }
        let (project, plan) = self.planned(given, given.flag("dry_run")?)?;
        self.ensure_allowed(&plan)?;
        let options = RunOptions { cancel: cancel.clone(), ..project.run_options() };
        let ended = wait(osiris::run(&plan, &options, None, &Silent)).map_err(CommandError::Run)?;
        Ok((report::document(&ended, &plan), ended.outcome == Outcome::Done))
    }

    fn ensure_allowed(&self, plan: &Plan) -> Result<(), Error> {
        let uses_streams = |stdio: osiris::core::Stdio| stdio.stdin || stdio.stdout;
        if let Some(step) = plan.steps().iter().find(|step| uses_streams(step.prepared.stdio())) {
            let message = format!("step `{}` uses a standard stream, and those are for the protocol", step.id);
            return Err(Error::validation(message).with_hint("name a file"));
        }
        let writes = plan.steps().iter().find(|step| step.driver.spec().role == Role::Write && !step.request.dry_run);
        match writes.filter(|_| !self.allow_writes) {
            Some(step) => Err(Error::validation(format!("step `{}` writes, and this server writes nothing", step.id))
                .with_hint(
                    "run it with `dry_run`; the user allows writing with `osiris mcp --allow-run --allow-writes`",
                )),
            None => Ok(()),
        }
    }
}

fn described(tool: &Definition) -> Tool {
    let arguments = match (tool.arguments)() {
        Value::Object(arguments) => arguments,
        _ => Map::new(),
    };
    let annotations = ToolAnnotations::new().read_only(tool.name != RUN);
    Tool::new(tool.name, tool.about, arguments).with_annotations(annotations)
}

fn reference(given: &Arguments) -> Result<Option<ConnectionRef>, Error> {
    given.text("connection")?.map(|text| crate::args::connection(text).map_err(Error::validation)).transpose()
}

fn options(given: &Arguments, dry_run: bool) -> Result<PlanOptions, Error> {
    Ok(PlanOptions { params: given.texts("params")?, profile: given.text("profile")?.map(str::to_owned), dry_run })
}

//! The directory that a pipeline belongs to, with what is found there: settings, connections, variables, runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use osiris_core::{Error, Registry, Result, Secret};

use crate::connections_file::{CONNECTIONS_FILE, ConnectionsFile};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::environment::Environment;
use crate::group::FoundTables;
use crate::parse;
use crate::plan::{Plan, PlanOptions};
use crate::run::{PastRun, RunOptions, Runs};
use crate::settings::{RUN_DIRECTORY, SETTINGS_FILE, Settings};
use crate::source::SourceFile;

/// The variable that names a directory with a connections file.
const HOME: &str = "OSIRIS_HOME";

/// A project: the nearest directory with an `osiris.yaml` or a connections file, upwards from where one starts, or that
/// directory itself when there is neither.
#[derive(Debug, Clone)]
pub struct Project {
    start: PathBuf,
    directory: PathBuf,
    settings: Settings,
    environment: Environment,
}

impl Project {
    /// The project of a directory, with the settings that the user gave.
    ///
    /// # Errors
    /// A setting in the environment or in the settings file is wrong.
    pub fn of_directory(start: &Path, given: Settings, environment: Environment) -> Result<Self, Diagnostics> {
        let start = if start == Path::new("") { PathBuf::from(".") } else { start.to_path_buf() };
        let mut diagnostics = Diagnostics::default();
        let of_environment = Settings::of_environment(&environment).unwrap_or_else(|wrong| {
            diagnostics.extend(wrong);
            Settings::default()
        });
        let of_file = nearest(&start, &[SETTINGS_FILE]).map(|path| Settings::read(strip_dot(&path))).transpose();
        let of_file = of_file.unwrap_or_else(|wrong| {
            diagnostics.extend(wrong);
            None
        });
        if diagnostics.has_errors() {
            return Err(diagnostics);
        }
        let settings = given.or(of_environment).or(of_file.unwrap_or_default());
        let marker = nearest(&start, &[SETTINGS_FILE, CONNECTIONS_FILE]);
        let directory = marker.as_deref().and_then(Path::parent).map_or_else(|| start.clone(), Path::to_path_buf);
        Ok(Self { start, directory, settings, environment })
    }

    /// The project of a pipeline file, which need not exist.
    ///
    /// # Errors
    /// As for [`of_directory`](Self::of_directory).
    pub fn of_pipeline(pipeline: &Path, given: Settings, environment: Environment) -> Result<Self, Diagnostics> {
        Self::of_directory(pipeline.parent().unwrap_or(Path::new("")), given, environment)
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its settings, those that the user gave and those of the environment included.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where its runs and state are.
    pub fn run_root(&self) -> PathBuf {
        self.settings.run_dir.clone().unwrap_or_else(|| strip_dot(&self.directory).join(RUN_DIRECTORY))
    }

    /// The directory of cached catalogs.
    pub fn catalog_cache(&self) -> PathBuf {
        self.run_root().join("cache").join("catalogs")
    }

    /// Where a run that failed is reported, with variables put in; they may be in the `.env` file.
    ///
    /// # Errors
    /// A variable has no value.
    pub fn failure_webhook(&self) -> Result<Option<Secret>> {
        let Some(address) = &self.settings.on_failure else { return Ok(None) };
        let environment = self.connections().and_then(|connections| self.environment(&connections))?;
        address.resolve(&environment).map(Some)
    }

    /// Its runs.
    pub fn runs(&self) -> Runs {
        Runs::below(&self.run_root())
    }

    /// How to run in it.
    pub fn run_options(&self) -> RunOptions {
        let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| self.environment.get(name));
        RunOptions { user: user.filter(|name| !name.is_empty()), ..self.settings.run_options(self.run_root()) }
    }

    /// Its connections.
    ///
    /// # Errors
    /// The file cannot be used, or the one that was named is not there.
    pub fn connections(&self) -> Result<ConnectionsFile, Diagnostics> {
        match &self.settings.connections {
            Some(path) => ConnectionsFile::read(path),
            None => match self.of_home().or_else(|| ConnectionsFile::nearest(&self.start)) {
                Some(path) => ConnectionsFile::read(strip_dot(&path)),
                None => Ok(ConnectionsFile::none()),
            },
        }
    }

    /// The connections file in `OSIRIS_HOME`, where the original Osiris looks first.
    fn of_home(&self) -> Option<PathBuf> {
        let home = self.environment.get(HOME).filter(|home| !home.is_empty())?;
        Some(Path::new(&home).join(CONNECTIONS_FILE)).filter(|path| path.is_file())
    }

    /// The variables that connections and parameters may use: the environment's, then those of the `.env` file beside
    /// the connections file, or in the project's directory when there are no connections.
    ///
    /// # Errors
    /// The `.env` file cannot be used.
    pub fn environment(&self, connections: &ConnectionsFile) -> Result<Environment, Diagnostics> {
        let directory = connections.directory().unwrap_or_else(|| self.directory.clone());
        self.environment.clone().with_dotenv(&directory)
    }

    /// The run to go on with: the one of that id or of the only id that begins so, or the latest that failed. With a
    /// pipeline file only its runs are candidates. With `force` also a run that a later one has overtaken.
    ///
    /// # Errors
    /// There is none, it is of another pipeline, or it cannot be resumed: see [`Runs::resumable`].
    pub fn resumable(&self, run: Option<&str>, file: Option<&Path>, force: bool) -> Result<PastRun> {
        if let (Some(id), Some(file)) = (run, file) {
            let past = self.runs().find(Some(id))?;
            if !past.is_of(file) {
                return Err(of_another_pipeline(&past, file));
            }
        }
        self.runs().resumable(run, file, force)
    }

    /// Plans the pipeline of a past run again, with the choices made then; `params` are those given now, for parameters
    /// that a run does not keep. Returns the project of the pipeline as well, with runs and state where they were.
    ///
    /// # Errors
    /// As for [`plan`](Self::plan); the pipeline file may be gone.
    pub fn plan_again(
        &self,
        past: &PastRun,
        registry: &Registry,
        params: BTreeMap<String, String>,
    ) -> Result<(Self, Plan), Diagnostics> {
        let record = past.record();
        let Some(path) = &record.file else {
            let message = format!("run {} was not started from a file: it cannot be resumed", record.run_id);
            return Err(Diagnostic::error(message).into());
        };
        let missing: Vec<&str> =
            record.withheld.iter().map(String::as_str).filter(|name| !params.contains_key(*name)).collect();
        if let Some(first) = missing.first() {
            let names = missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let message = format!("run {} was started with a value for {names}, which is not saved", record.run_id);
            return Err(Diagnostic::error(message)
                .with_hint(format!("give the same value again: `--param {first}=...`"))
                .into());
        }
        let given = Settings { run_dir: Some(self.run_root()), ..self.settings.clone() };
        let project = Self::of_pipeline(path, given, self.environment.clone())?;
        let source = Arc::new(SourceFile::read_named(path, shown(path))?);
        let params = record.params.clone().into_iter().chain(params).collect();
        let options = PlanOptions { params, profile: record.profile.clone(), dry_run: record.dry_run };
        let mut plan = project.plan(&source, registry, &options)?;
        if plan.is_outline() {
            // The tables are those that the run knew: others are for the next one.
            plan = project.plan_found(&source, registry, &options, Some(&record.tables))?;
        }
        Ok((project, plan))
    }

    /// Plans a pipeline of the project, without asking anything of a source: the tables of groups stay unknown.
    ///
    /// # Errors
    /// Everything that is wrong with the pipeline file, the connections file, and the user's choices.
    pub fn plan(
        &self,
        source: &Arc<SourceFile>,
        registry: &Registry,
        options: &PlanOptions,
    ) -> Result<Plan, Diagnostics> {
        self.plan_found(source, registry, options, None)
    }

    /// Plans a pipeline of the project. The sources of its groups are asked for their tables, and tables that are new or gone
    /// since the last run are named in a warning.
    ///
    /// # Errors
    /// As for [`plan`](Self::plan), with the [`Diagnostics`] as its source; or a source cannot be queried.
    pub async fn plan_tables(
        &self,
        source: &Arc<SourceFile>,
        registry: &Registry,
        options: &PlanOptions,
    ) -> Result<Plan> {
        let outline = self.plan(source, registry, options)?;
        if !outline.is_outline() {
            return Ok(outline);
        }
        let found = outline.find_tables().await?;
        let mut plan = self.plan_found(source, registry, options, Some(&found))?;
        plan.name_changes(self.last_run(&plan)?.as_ref());
        Ok(plan)
    }

    /// Plans a pipeline of the project with the tables that its last run has read, where there is one, without asking anything
    /// of a source.
    ///
    /// # Errors
    /// As for [`plan`](Self::plan).
    pub fn plan_recorded(
        &self,
        source: &Arc<SourceFile>,
        registry: &Registry,
        options: &PlanOptions,
    ) -> Result<Plan, Diagnostics> {
        let outline = self.plan(source, registry, options)?;
        let last = if outline.is_outline() { self.last_run(&outline).unwrap_or_default() } else { None };
        match last {
            Some(past) => self.plan_found(source, registry, options, Some(&past.record().tables)),
            None => Ok(outline),
        }
    }

    /// The last run of a pipeline with groups that was to change something.
    fn last_run(&self, plan: &Plan) -> Result<Option<PastRun>> {
        let path = plan.pipeline().source.path();
        let runs = self.runs().list()?;
        Ok(runs.into_iter().find(|run| {
            let record = run.record();
            let is_own = record.pipeline == plan.name() && path.is_none_or(|path| run.is_of(path));
            is_own && !record.dry_run && !record.tables.is_empty()
        }))
    }

    fn plan_found(
        &self,
        source: &Arc<SourceFile>,
        registry: &Registry,
        options: &PlanOptions,
        found: Option<&FoundTables>,
    ) -> Result<Plan, Diagnostics> {
        let files = self.connections().and_then(|connections| {
            let environment = self.environment(&connections)?;
            Ok((connections, environment))
        });
        match files {
            Ok((connections, environment)) => Plan::of(source, registry, &connections, &environment, options, found),
            Err(mut diagnostics) => {
                // Problems of the pipeline that do not depend on connections are reported as well.
                let mut of_pipeline = Diagnostics::default();
                parse(source, &mut of_pipeline);
                diagnostics.extend(of_pipeline.sorted());
                Err(diagnostics)
            }
        }
    }
}

fn of_another_pipeline(past: &PastRun, file: &Path) -> Error {
    let record = past.record();
    let of = |name: &str, file: Option<&Path>| match file {
        Some(file) => format!("`{name}` ({})", shown(file)),
        None => format!("`{name}`"),
    };
    let source = SourceFile::read(file).ok().map(Arc::new);
    let given = source.and_then(|source| parse(&source, &mut Diagnostics::default()));
    let given = given.map_or_else(|| shown(file), |pipeline| of(&pipeline.name, Some(file)));
    let own = of(&record.pipeline, record.file.as_deref());
    Error::validation(format!("run {} belongs to pipeline {own}, not to {given}", record.run_id))
        .with_hint("omit the file to resume that run, or omit the id to resume the latest run of the file")
}

/// The nearest file of one of these names, from `directory` upwards.
fn nearest(directory: &Path, names: &[&str]) -> Option<PathBuf> {
    let among = |directory: &Path| names.iter().map(|name| directory.join(name)).find(|path| path.is_file());
    // A path as the user would write it is worth more than an absolute one.
    among(directory).or_else(|| {
        let absolute = std::path::absolute(directory).ok()?;
        absolute.ancestors().skip(1).find_map(among)
    })
}

/// A path below the current directory as one would write it there.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

/// `./osiris.yaml` reads worse than `osiris.yaml`.
fn strip_dot(path: &Path) -> &Path {
    path.strip_prefix(".").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        Environment::of(pairs.iter().copied())
    }

    #[test]
    fn flags_win_over_variables_over_the_file() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(SETTINGS_FILE), "jobs: 3\nthreads: 3\nmemory_limit: 3GB\n").unwrap();
        let below = directory.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        let given = Settings { jobs: Some(1), ..Settings::default() };
        let environment = environment(&[("OSIRIS_JOBS", "2"), ("OSIRIS_THREADS", "2"), ("OSIRIS_STORE", "")]);
        let project = Project::of_directory(&below, given, environment).unwrap();
        let settings = project.settings();
        assert_eq!(
            (settings.jobs, settings.threads, settings.memory_limit, settings.store),
            (Some(1), Some(2), Some(3_000_000_000), None)
        );
        assert_eq!(project.run_root(), std::path::absolute(directory.path()).unwrap().join(RUN_DIRECTORY));
    }

    #[test]
    fn without_a_marker_the_project_is_where_the_pipeline_is() {
        let directory = tempfile::tempdir().unwrap();
        let pipeline = directory.path().join("pipeline.yaml");
        let project = Project::of_pipeline(&pipeline, Settings::default(), environment(&[])).unwrap();
        assert_eq!(project.run_root(), directory.path().join(RUN_DIRECTORY));
    }

    #[test]
    fn a_broken_connections_file_does_not_hide_what_is_wrong_with_the_pipeline() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(CONNECTIONS_FILE), "version: 2\n").unwrap();
        let pipeline = directory.path().join("pipeline.yaml");
        let project = Project::of_pipeline(&pipeline, Settings::default(), environment(&[])).unwrap();
        let source = SourceFile::from_text("pipeline.yaml", "name: x\nsteps: []\n").with_path(pipeline);
        let report =
            project.plan(&Arc::new(source), &Registry::new(), &PlanOptions::default()).unwrap_err().to_string();
        assert!(report.contains("version of the connections file"), "{report}");
        assert!(report.contains("oml_version"), "{report}");
    }
}

//! The saved states of a pipeline as users see them: `osiris state`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use osiris_core::state::{SavedState, SourceIdentity};
use osiris_core::{Error, PreparedStep, Result, Role, StepRequest};
use serde_json::Value;

use super::state::States;
use super::{source, state_files};
use crate::file::file_error;
use crate::{Diagnostics, Plan, SourceFile, parse as parse_pipeline};

/// The saved states of a pipeline, for users: to show, remove or accept.
#[derive(Debug, Clone)]
pub struct SavedStates {
    states: States,
    root: PathBuf,
}

/// The saved state of one step.
#[derive(Debug, Clone)]
pub struct StepState {
    /// The step's id; of a state that no step of the pipeline has, the name of its file.
    pub step: String,
    /// Its file.
    pub path: PathBuf,
    /// Its content. `None` if it does not record its source.
    pub saved: Option<SavedState>,
    /// Why the step as it is now may not use it.
    pub refused: Option<String>,
}

/// The id of the step whose state is in this file, as its name spells it.
fn step_of(path: &Path) -> String {
    path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

impl SavedStates {
    /// Those of the pipeline called `pipeline`, below `root`, the directory called `.osiris`.
    pub fn below(root: &Path, pipeline: &str) -> Self {
        Self { states: States::new(root, pipeline), root: root.to_path_buf() }
    }

    /// Those of a pipeline file, below `root`. Only its name counts: its steps may be wrong.
    ///
    /// # Errors
    /// A file that does not say its name.
    pub fn of_file(root: &Path, source: &Arc<SourceFile>) -> Result<Self, Diagnostics> {
        let mut diagnostics = Diagnostics::default();
        match parse_pipeline(source, &mut diagnostics) {
            Some(pipeline) if !pipeline.name.is_empty() => Ok(Self::below(root, &pipeline.name)),
            _ => Err(diagnostics.sorted()),
        }
    }

    /// All of them, those of steps that are no longer in the plan included.
    ///
    /// # Errors
    /// One that cannot be read.
    pub fn list(&self, plan: &Plan) -> Result<Vec<StepState>> {
        let mut found = Vec::new();
        for step in plan.steps() {
            let Some(state) = self.states.load(&step.id)? else { continue };
            let saved = SavedState::parse(&state)?;
            let request = self.request(plan, &step.id, Some(state));
            let refused = request.and_then(|(step, request)| step.check_state(&request, plan.redactor()).err());
            let refused = refused.map(|error| error.message().to_owned());
            found.push(StepState { step: step.id.clone(), path: self.states.path(&step.id), saved, refused });
        }
        let known: Vec<PathBuf> = plan.steps().iter().map(|step| self.states.path(&step.id)).collect();
        for path in self.files()?.into_iter().filter(|path| !known.contains(path)) {
            let step = step_of(&path);
            let state = self.states.load(&step)?.unwrap_or_default();
            let refused = Some("the pipeline has no such step".to_owned());
            found.push(StepState { step, path, saved: SavedState::parse(&state)?, refused });
        }
        Ok(found)
    }

    /// The ids of the steps whose state a [reset](Self::reset) would remove.
    ///
    /// # Errors
    /// The step has none.
    pub fn resettable(&self, step: Option<&str>) -> Result<Vec<String>> {
        let found: Vec<String> = self.paths(step)?.iter().map(|path| step_of(path)).collect();
        match (found.is_empty(), step) {
            (true, Some(step)) => Err(self.none_of(step)),
            _ => Ok(found),
        }
    }

    /// Removes the state of a step, or of all steps, with its files: the next run reads all rows. Returns the ids of
    /// the steps.
    ///
    /// # Errors
    /// When there is none, or a file cannot be removed.
    pub fn reset(&self, step: Option<&str>) -> Result<Vec<String>> {
        let _lock = self.states.lock_now()?;
        let names = self.resettable(step)?;
        for path in self.paths(step)? {
            fs::remove_file(&path).map_err(|error| file_error(error, &path))?;
            state_files::remove(&self.states.files().join(step_of(&path)))?;
        }
        Ok(names)
    }

    /// The files of the state of a step, or of all steps, that are there.
    fn paths(&self, step: Option<&str>) -> Result<Vec<PathBuf>> {
        let mut paths = match step {
            Some(step) => vec![self.states.path(step)],
            None => self.files()?,
        };
        paths.retain(|path| path.exists());
        Ok(paths)
    }

    fn none_of(&self, step: &str) -> Error {
        Error::validation(format!("there is no saved state of step `{step}`"))
            .with_context("directory", self.states.directory().display())
            .with_hint("`osiris state show PIPELINE` lists the saved states")
    }

    /// Accepts the state of a step, or of all steps, for the source that the plan reads now. Returns the ids of the
    /// steps.
    ///
    /// # Errors
    /// When there is none, or it cannot be written.
    pub fn accept(&self, plan: &Plan, step: Option<&str>) -> Result<Vec<String>> {
        let _lock = self.states.lock_now()?;
        let mut accepted = Vec::new();
        for planned in plan.steps().iter().filter(|planned| step.is_none_or(|step| step == planned.id)) {
            let Some(state) = self.states.load(&planned.id)? else { continue };
            let Some(source) = self.source(plan, &planned.id) else { continue };
            let own = SavedState::parse(&state)?.map_or(state, |saved| saved.state().clone());
            self.states.write(&planned.id, "", &SavedState::new(source, own).to_value()?)?;
            accepted.push(planned.id.clone());
        }
        match (accepted.is_empty(), step) {
            (true, Some(step)) => Err(self.none_of(step)),
            _ => Ok(accepted),
        }
    }

    fn source(&self, plan: &Plan, step: &str) -> Option<SourceIdentity> {
        let (step, request) = self.request(plan, step, None)?;
        Some(step.source(&request.origin, plan.redactor()))
    }

    fn request<'a>(
        &self,
        plan: &'a Plan,
        step: &str,
        state: Option<Value>,
    ) -> Option<(&'a dyn PreparedStep, StepRequest)> {
        let planned = plan.step(step).filter(|planned| planned.driver.spec().role == Role::Extract)?;
        let origin = source::origin(plan, &self.root);
        Some((planned.prepared.as_ref(), StepRequest { state, origin, ..planned.request.clone() }))
    }

    /// The files of states that there are, by name.
    fn files(&self) -> Result<Vec<PathBuf>> {
        let directory = self.states.directory();
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(file_error(error, directory)),
        };
        let paths = entries.flatten().map(|entry| entry.path());
        let mut files: Vec<PathBuf> =
            paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
        files.sort();
        Ok(files)
    }
}

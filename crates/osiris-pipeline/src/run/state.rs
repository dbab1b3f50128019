//! The state of incremental extraction: `.osiris/state/<pipeline>/<step>.json`, replaced as a whole once a run has ended well. What
//! is too large to stand in it is in `files/<step>/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use osiris_core::state::{SavedState, SourceIdentity};
use osiris_core::{Error, Result, Role, StepRequest, safe_name};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::report::StepReport;
use super::{source, state_files};
use crate::file::{file_error, write_atomically};
use crate::{Diagnostics, Plan, SourceFile, parse};

/// The states of one pipeline.
#[derive(Debug, Clone)]
pub(super) struct States {
    directory: PathBuf,
}

impl States {
    pub(super) fn new(root: &Path, pipeline: &str) -> Self {
        Self { directory: root.join("state").join(directory_name(pipeline)) }
    }

    /// The state of a step.
    ///
    /// # Errors
    /// A file that is there and cannot be read: going on without it would read everything again.
    pub(super) fn load(&self, step: &str) -> Result<Option<Value>> {
        let path = self.path(step);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(file_error(error, &path)),
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            Error::validation("the saved state of the step is not JSON")
                .with_context("path", path.display())
                .with_source(error)
                .with_hint("restore the file, or remove it to read everything again")
        })
    }

    /// Saves what the steps of a run that ended well have left.
    /// Its files, which are in `new`, are there before the state is, and those that it does not need any more go after it.
    pub(super) fn save(&self, steps: &[StepReport], new: &Path) -> Result<()> {
        for step in steps {
            if let Some(state) = &step.state {
                let name = safe_name(&step.id);
                let saved = self.files().join(&name);
                state_files::install(state, &new.join(&name), &saved)?;
                self.write(&step.id, state)?;
                state_files::prune(state, &saved);
            }
        }
        Ok(())
    }

    fn write(&self, step: &str, state: &Value) -> Result<()> {
        let path = self.path(step);
        write_atomically(&path, state.to_string().as_bytes()).map_err(|error| file_error(error, &path))
    }

    /// Where the files of states are, in a directory for each step.
    pub(super) fn files(&self) -> PathBuf {
        self.directory.join("files")
    }

    fn path(&self, step: &str) -> PathBuf {
        self.directory.join(format!("{}.json", safe_name(step)))
    }
}

/// The pipeline's name where a file system takes it; else its safe form and a few digits that keep it apart from others
/// with the same one.
fn directory_name(pipeline: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !pipeline.is_empty() && pipeline.chars().all(plain) {
        return pipeline.to_owned();
    }
    let digits: String = Sha256::digest(pipeline).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{digits}", safe_name(pipeline))
}

/// The saved states of a pipeline, for people: to look at, to remove, to take over.
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
    /// What it holds. None: it does not say which source it is of.
    pub saved: Option<SavedState>,
    /// Why the step as it is now may not use it.
    pub refused: Option<String>,
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
        match parse(source, &mut diagnostics) {
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
            let refused = request.and_then(|(driver, request)| driver.check_state(&request, plan.redactor()).err());
            let refused = refused.map(|error| error.message().to_owned());
            found.push(StepState { step: step.id.clone(), path: self.states.path(&step.id), saved, refused });
        }
        let known: Vec<PathBuf> = plan.steps().iter().map(|step| self.states.path(&step.id)).collect();
        for path in self.files()?.into_iter().filter(|path| !known.contains(path)) {
            let step = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let state = self.states.load(&step)?.unwrap_or_default();
            let refused = Some("the pipeline has no such step".to_owned());
            found.push(StepState { step, path, saved: SavedState::parse(&state)?, refused });
        }
        Ok(found)
    }

    /// Removes the state of a step, or of all steps, with its files: the next run reads all rows. Returns whose state it was.
    ///
    /// # Errors
    /// When there is none, or a file cannot be removed.
    pub fn reset(&self, step: Option<&str>) -> Result<Vec<String>> {
        let paths = match step {
            Some(step) => vec![self.states.path(step)],
            None => self.files()?,
        };
        let mut removed = Vec::new();
        for path in paths.into_iter().filter(|path| path.exists()) {
            let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            fs::remove_file(&path).map_err(|error| file_error(error, &path))?;
            state_files::remove(&self.states.files().join(&name))?;
            removed.push(name);
        }
        match (removed.is_empty(), step) {
            (true, Some(step)) => Err(Error::validation(format!("there is no saved state of step `{step}`"))
                .with_context("directory", self.states.directory.display())
                .with_hint("`osiris state show PIPELINE` lists what there is")),
            _ => Ok(removed),
        }
    }

    /// Says that the state of a step, or of all steps, is of the source that the plan reads now. Returns whose state it was.
    ///
    /// # Errors
    /// When there is none, or it cannot be written.
    pub fn accept(&self, plan: &Plan, step: Option<&str>) -> Result<Vec<String>> {
        let mut accepted = Vec::new();
        for planned in plan.steps().iter().filter(|planned| step.is_none_or(|step| step == planned.id)) {
            let Some(state) = self.states.load(&planned.id)? else { continue };
            let Some(source) = self.source(plan, &planned.id) else { continue };
            let own = SavedState::parse(&state)?.map_or(state, |saved| saved.state().clone());
            self.states.write(&planned.id, &SavedState::new(source, own).to_value()?)?;
            accepted.push(planned.id.clone());
        }
        match (accepted.is_empty(), step) {
            (true, Some(step)) => Err(Error::validation(format!("there is no saved state of step `{step}`"))
                .with_context("directory", self.states.directory.display())
                .with_hint("`osiris state show PIPELINE` lists what there is")),
            _ => Ok(accepted),
        }
    }

    fn source(&self, plan: &Plan, step: &str) -> Option<SourceIdentity> {
        let (driver, request) = self.request(plan, step, None)?;
        Some(driver.source(&request, plan.redactor()))
    }

    fn request<'a>(
        &self,
        plan: &'a Plan,
        step: &str,
        state: Option<Value>,
    ) -> Option<(&'a dyn osiris_core::Driver, StepRequest)> {
        let planned = plan.step(step).filter(|planned| planned.driver.spec().role == Role::Extract)?;
        let origin = source::origin(plan, &self.root);
        Some((planned.driver.as_ref(), StepRequest { state, origin, ..planned.request.clone() }))
    }

    /// The files of states that there are, by name.
    fn files(&self) -> Result<Vec<PathBuf>> {
        let directory = &self.states.directory;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipelines_whose_names_look_alike_keep_their_own_state() {
        let names = ["a-b", "a_b", "a b", "a/b", "../a", "ů"].map(directory_name);
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
        assert!(names.iter().all(|name| !name.contains(['/', '.', ' '])), "{names:?}");
        assert_eq!(names[0], "a-b");
    }

    #[test]
    fn damaged_state_is_an_error_and_missing_state_is_not() {
        let root = tempfile::tempdir().unwrap();
        let states = States::new(root.path(), "p");
        assert!(states.load("s").unwrap().is_none());
        write_atomically(&states.path("s"), b"{\"cursor\":1}").unwrap();
        assert_eq!(states.load("s").unwrap(), Some(serde_json::json!({"cursor": 1})));
        fs::write(states.path("s"), "{").unwrap();
        assert!(states.load("s").unwrap_err().hint().unwrap().contains("restore the file"));
    }
}

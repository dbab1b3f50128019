//! The state of incremental extractions: `.osiris/state/<pipeline>/<step>.json`, replaced as a whole once a run has
//! succeeded, and only if it is still the one that the run began with. What is too large for it is in `files/<step>/`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use osiris_core::lock::{Asked, FileLock, Holder, LockFile};
use osiris_core::{Code, Error, Result, private, safe_name};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::{Observer, state_files};
use crate::file::{file_error, remove_unfinished, write_atomically};

/// The version of the files. Later fields may be added without another one.
const FORMAT: u32 = 1;

/// The file whose lock is the pipeline's. No step's file is called so: those end in `.json`.
const LOCK: &str = "lock";

/// A file of state.
#[derive(Debug, Serialize, Deserialize)]
struct StateFile {
    /// The version of this form. A file without it is what the step returned, as earlier versions kept it.
    osiris_state: u32,
    /// How often it has been saved.
    generation: u64,
    /// The step that it is of.
    step: String,
    /// The run that saved it.
    run_id: String,
    /// When.
    saved_at: DateTime<Utc>,
    /// What the step returned.
    state: Value,
}

/// The version of a state: two equal versions are the same file, saved by the same run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StateGeneration {
    /// How often the state has been saved; 0 where there is none, or one that an earlier version of Osiris saved.
    pub generation: u64,
    /// A digest of the file, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// The states of one pipeline.
#[derive(Debug, Clone)]
pub(super) struct States {
    pipeline: String,
    directory: PathBuf,
}

/// The lock of a pipeline, held while it runs. `None` where the file system does not support locks.
pub(super) struct PipelineLock(Option<FileLock>);

impl PipelineLock {
    /// Records the run that holds it.
    pub(super) fn name(&self, holder: Holder, run_id: &str) {
        if let Some(lock) = &self.0 {
            lock.name(&Holder { run: Some(run_id.to_owned()), ..holder });
        }
    }
}

impl States {
    pub(super) fn new(root: &Path, pipeline: &str) -> Self {
        Self { pipeline: pipeline.to_owned(), directory: root.join("state").join(directory_name(pipeline)) }
    }

    /// Locks the pipeline: one process at a time runs it, until the lock is dropped.
    ///
    /// # Errors
    /// Another process runs it, and `wait` does not allow to wait or the wait was too short; or the run was cancelled
    /// meanwhile.
    pub(super) async fn lock(
        &self,
        holder: &Holder,
        wait: Wait,
        cancel: &CancellationToken,
        observer: &dyn Observer,
    ) -> Result<PipelineLock> {
        self.make_directory()?;
        let path = self.directory.join(LOCK);
        let failed = |error| file_error(error, &path);
        let mut asked = FileLock::ask(&path, LockFile::Lasting, holder).map_err(failed)?;
        if let (Asked::Held(other), Some(limit)) = (&asked, wait.limit()) {
            observer.waiting(&format!("waiting for the end of another run of `{}`: {}", self.pipeline, named(other)));
            asked = tokio::select! {
                asked = FileLock::wait(&path, LockFile::Lasting, holder, limit) => asked.map_err(failed)?,
                () = cancel.cancelled() => return Err(Error::cancelled("cancelled while it waited for another run")),
            };
        }
        match asked {
            Asked::Ours(lock) => {
                remove_unfinished(&self.directory);
                Ok(PipelineLock(Some(lock)))
            }
            Asked::Held(other) => Err(self.held(other.as_ref(), wait)),
            Asked::Unsupported => {
                tracing::warn!(path = %path.display(), "this file system does not support locks: a second run is not prevented");
                Ok(PipelineLock(None))
            }
        }
    }

    fn held(&self, other: Option<&Holder>, wait: Wait) -> Error {
        let (waited, hint) = match wait.limit() {
            Some(Some(limit)) => {
                let waited = format!(" after {} s of waiting", limit.as_secs_f64());
                (waited, "wait until it has ended, or wait longer: `--wait` without a limit")
            }
            _ => (String::new(), "wait until it has ended, or let this run wait with `--wait`"),
        };
        Error::validation(format!(
            "pipeline `{}` is already running{waited}: {}",
            self.pipeline,
            named(&other.cloned())
        ))
        .with_code(Code::AlreadyRunning)
        .with_hint(hint)
    }

    fn make_directory(&self) -> Result<()> {
        self.adopt_old_directory();
        private::create_dir_all(&self.directory).map_err(|error| file_error(error, &self.directory))
    }

    /// Names with capitals had a directory of the same name once, which another pipeline's could be on some file
    /// systems.
    fn adopt_old_directory(&self) {
        let Some(parent) = self.directory.parent().filter(|_| !self.directory.exists()) else { return };
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        let exact = entries.into_iter().find(|entry| entry.file_name().to_str() == Some(self.pipeline.as_str()));
        if let Some(old) = exact.filter(|_| is_plain(&self.pipeline)) {
            let _ = fs::rename(old.path(), &self.directory);
        }
    }

    /// The state of a step.
    ///
    /// # Errors
    /// A file that is there and cannot be read: going on without it would read everything again.
    pub(super) fn load(&self, step: &str) -> Result<Option<Value>> {
        Ok(self.read(step)?.map(|(file, _)| file.state))
    }

    /// Which state each of these steps has.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub(super) fn generations<'a>(
        &self,
        steps: impl IntoIterator<Item = &'a str>,
    ) -> Result<BTreeMap<String, StateGeneration>> {
        steps.into_iter().map(|step| Ok((step.to_owned(), self.generation(step)?))).collect()
    }

    /// The steps whose state is no longer the one they began with.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub(super) fn changed_since(
        &self,
        began_with: &BTreeMap<String, StateGeneration>,
        run_id: &str,
    ) -> Result<Vec<String>> {
        let mut changed = Vec::new();
        for (step, generation) in began_with {
            if !self.is_unchanged(step, generation, run_id)? {
                changed.push(step.clone());
            }
        }
        Ok(changed)
    }

    /// Whether the state is still that of `generation`, or was saved by the run itself: for the tables of a group that had
    /// arrived when it failed, or for all before it was killed and could not record that it was done.
    fn is_unchanged(&self, step: &str, generation: &StateGeneration, run_id: &str) -> Result<bool> {
        Ok(self.is_saved_by(step, run_id)? || self.generation(step)? == *generation)
    }

    /// Whether the run has saved the state of the step.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub(super) fn is_saved_by(&self, step: &str, run_id: &str) -> Result<bool> {
        Ok(self.read(step)?.is_some_and(|(file, _)| file.run_id == run_id))
    }

    fn generation(&self, step: &str) -> Result<StateGeneration> {
        let read = self.read(step)?;
        Ok(read.map_or_else(StateGeneration::default, |(file, text)| StateGeneration {
            generation: file.generation,
            digest: Some(hex(&Sha256::digest(text), 16)),
        }))
    }

    fn read(&self, step: &str) -> Result<Option<(StateFile, String)>> {
        let path = self.path(step);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(file_error(error, &path)),
        };
        let file = parse(&text, step).map_err(|error| {
            Error::validation("the saved state of the step cannot be read")
                .with_context("path", path.display())
                .with_source(error)
                .with_hint("restore the file, or remove it to read everything again")
        })?;
        if file.osiris_state > FORMAT {
            return Err(Error::validation("the saved state of the step was saved by a newer version of Osiris")
                .with_context("path", path.display())
                .with_hint("run the pipeline with that version"));
        }
        Ok(Some((file, text)))
    }

    /// Saves the states of the steps of a successful run. Their files, which are in `new`, are moved before the state
    /// is written, and files that are no longer needed are removed after it. Nothing is saved if the state of one step
    /// is not the one that the run began with.
    ///
    /// # Errors
    /// Another run has saved meanwhile; or a file cannot be written.
    pub(super) fn save(
        &self,
        run_id: &str,
        states: &BTreeMap<&str, &Value>,
        began_with: &BTreeMap<String, StateGeneration>,
        new: &Path,
    ) -> Result<()> {
        for step in states.keys() {
            let is_unchanged = |began: &StateGeneration| self.is_unchanged(step, began, run_id).unwrap_or(false);
            if !began_with.get(*step).is_none_or(is_unchanged) {
                return Err(Error::validation(format!(
                    "the state of step `{step}` was changed by another run in the meantime"
                ))
                .with_context("path", self.path(step).display())
                .with_hint("this run's state was not saved: its rows are written, and the next run reads them again"));
            }
        }
        for (step, state) in states {
            let name = safe_name(step);
            let saved = self.files().join(&name);
            state_files::install(state, &new.join(&name), &saved)?;
            self.write(step, run_id, state)?;
            state_files::prune(state, &saved);
        }
        Ok(())
    }

    pub(super) fn write(&self, step: &str, run_id: &str, state: &Value) -> Result<()> {
        let path = self.path(step);
        let file = StateFile {
            osiris_state: FORMAT,
            generation: self.generation(step)?.generation + 1,
            step: step.to_owned(),
            run_id: run_id.to_owned(),
            saved_at: Utc::now(),
            state: state.clone(),
        };
        let text = serde_json::to_vec_pretty(&file).map_err(|error| Error::unknown(error.to_string()))?;
        write_atomically(&path, &text).map_err(|error| file_error(error, &path))
    }

    /// Locks the pipeline while a user changes its states. Without a state directory there is nothing to lock.
    pub(super) fn lock_now(&self) -> Result<PipelineLock> {
        if !self.directory.exists() {
            return Ok(PipelineLock(None));
        }
        let path = self.directory.join(LOCK);
        match FileLock::ask(&path, LockFile::Lasting, &Holder::this_process())
            .map_err(|error| file_error(error, &path))?
        {
            Asked::Ours(lock) => Ok(PipelineLock(Some(lock))),
            Asked::Unsupported => Ok(PipelineLock(None)),
            Asked::Held(other) => Err(self.held(other.as_ref(), Wait::Forever).with_hint("wait until it has ended")),
        }
    }

    /// Where the files of states are, in a directory for each step.
    pub(super) fn files(&self) -> PathBuf {
        self.directory.join("files")
    }

    /// Where they are.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn path(&self, step: &str) -> PathBuf {
        self.directory.join(format!("{}.json", safe_name(step)))
    }
}

/// Whether a run waits for another one of its pipeline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wait {
    /// It does not: it is refused.
    #[default]
    No,
    /// It waits so long at most.
    AtMost(Duration),
    /// It waits until the other one has ended.
    Forever,
}

impl Wait {
    /// How long to wait, if at all; for ever where there is no limit.
    fn limit(self) -> Option<Option<Duration>> {
        match self {
            Self::No => None,
            Self::AtMost(limit) => Some(Some(limit)),
            Self::Forever => Some(None),
        }
    }
}

fn named(holder: &Option<Holder>) -> String {
    holder.as_ref().map_or_else(|| "it does not say which".to_owned(), ToString::to_string)
}

fn parse(text: &str, step: &str) -> Result<StateFile, serde_json::Error> {
    let value: Value = serde_json::from_str(text)?;
    if value.get("osiris_state").is_some() {
        return serde_json::from_value(value);
    }
    Ok(StateFile {
        osiris_state: 0,
        generation: 0,
        step: step.to_owned(),
        run_id: String::new(),
        saved_at: DateTime::UNIX_EPOCH,
        state: value,
    })
}

/// The pipeline's name where every file system takes it and keeps it apart from others; else its safe form and a few
/// digits that do so. Some file systems take `Movies` and `movies` for one.
fn directory_name(pipeline: &str) -> String {
    let ends_in_digits = pipeline
        .rsplit_once('-')
        .is_some_and(|(_, end)| end.len() == 8 && end.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    if is_plain(pipeline) && !ends_in_digits && !pipeline.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return pipeline.to_owned();
    }
    let kept: String = if is_plain(pipeline) { pipeline.to_owned() } else { safe_name(pipeline) };
    format!("{}-{}", kept.to_ascii_lowercase(), hex(&Sha256::digest(pipeline), 4))
}

fn is_plain(pipeline: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    !pipeline.is_empty() && pipeline.chars().all(plain)
}

/// The first bytes of a digest.
fn hex(digest: &[u8], bytes: usize) -> String {
    digest.iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Silent;

    #[test]
    fn s15_pipelines_whose_names_look_alike_keep_their_own_state() {
        let names = ["a-b", "a_b", "a b", "a/b", "../a", "ů", "A-b", "movies", "Movies", "MOVIES"].map(directory_name);
        let distinct: std::collections::BTreeSet<_> = names.iter().map(|name| name.to_lowercase()).collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
        assert!(names.iter().all(|name| !name.contains(['/', '.', ' '])), "{names:?}");
        assert_eq!(names[0], "a-b");
        let taken = directory_name("Movies");
        assert_ne!(directory_name(&taken), taken, "a pipeline may be called as the directory of another");
    }

    #[tokio::test]
    async fn s15_the_state_of_a_name_with_capitals_is_taken_over() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("state/Movies")).unwrap();
        fs::write(root.path().join("state/Movies/s.json"), "{\"cursor\":1}").unwrap();
        let states = States::new(root.path(), "Movies");
        let cancel = CancellationToken::new();
        let lock = states.lock(&Holder::this_process(), Wait::No, &cancel, &Silent).await.unwrap();
        assert_eq!(states.load("s").unwrap(), Some(serde_json::json!({"cursor": 1})));
        drop(lock);
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
        fs::write(
            states.path("s"),
            r#"{"osiris_state": 99, "generation": 1, "step": "s", "run_id": "r",
            "saved_at": "2026-01-01T00:00:00Z", "state": 1, "more": 2}"#,
        )
        .unwrap();
        assert!(states.load("s").unwrap_err().message().contains("newer version"));
    }

    #[test]
    fn s7_state_is_saved_only_over_the_one_that_the_run_began_with() {
        let root = tempfile::tempdir().unwrap();
        let states = States::new(root.path(), "p");
        let began = states.generations(["a", "b"]).unwrap();
        assert_eq!(began["a"], StateGeneration::default());
        let new = &root.path().join("new");
        let (zero, one) = (Value::from(0), Value::from(1));
        states.save("r1", &BTreeMap::from([("a", &one)]), &began, new).unwrap();
        assert_eq!(states.changed_since(&began, "r2").unwrap(), ["a"]);
        // The run that was killed after that goes on with its own.
        assert!(states.changed_since(&began, "r1").unwrap().is_empty());
        let both = BTreeMap::from([("a", &zero), ("b", &zero)]);
        let error = states.save("r2", &both, &began, new).unwrap_err();
        assert_eq!(error.message(), "the state of step `a` was changed by another run in the meantime");
        assert_eq!((states.load("a").unwrap(), states.load("b").unwrap()), (Some(one.clone()), None), "all or nothing");
        let began = states.generations(["a", "b"]).unwrap();
        states.save("r3", &both, &began, new).unwrap();
        assert_eq!(states.generation("a").unwrap().generation, 2);
        // Removed and saved anew, it is another one.
        fs::remove_file(states.path("b")).unwrap();
        let began = states.generations(["a", "b"]).unwrap();
        assert_eq!(began["b"].generation, 0);
    }

    #[tokio::test]
    async fn s7_one_run_of_a_pipeline_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let states = States::new(root.path(), "p");
        let (cancel, holder) = (CancellationToken::new(), Holder::this_process());
        let first = states.lock(&holder, Wait::No, &cancel, &Silent).await.unwrap();
        first.name(holder.clone(), "r1");
        let other = States::new(root.path(), "q").lock(&holder, Wait::No, &cancel, &Silent).await;
        assert!(other.is_ok(), "another pipeline is not concerned");
        for wait in [Wait::No, Wait::AtMost(Duration::from_millis(1))] {
            let error = states.lock(&holder, wait, &cancel, &Silent).await.err().unwrap();
            let wanted = format!("process {}", std::process::id());
            assert!(error.message().contains(&wanted) && error.message().contains("run r1"), "{error}");
            assert!(error.hint().unwrap().contains("--wait"));
        }
        let second = async { states.lock(&holder, Wait::Forever, &cancel, &Silent).await };
        let (second, ()) = tokio::join!(second, async { drop(first) });
        assert!(second.is_ok());
        let third = states.lock(&holder, Wait::Forever, &cancel, &Silent);
        let (third, ()) = tokio::join!(third, async { cancel.cancel() });
        assert_eq!(third.err().unwrap().kind(), osiris_core::ErrorKind::Cancelled);
    }
}

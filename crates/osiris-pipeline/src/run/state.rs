//! The state of incremental extraction: `.osiris/state/<pipeline>/<step>.json`, replaced as a whole once a run has ended well.

use std::fs;
use std::path::{Path, PathBuf};

use osiris_core::{Error, Result, safe_name};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::report::StepReport;
use crate::file::{file_error, write_atomically};

/// The states of one pipeline.
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
    pub(super) fn save(&self, steps: &[StepReport]) -> Result<()> {
        for step in steps {
            if let Some(state) = &step.state {
                let path = self.path(&step.id);
                write_atomically(&path, state.to_string().as_bytes()).map_err(|error| file_error(error, &path))?;
            }
        }
        Ok(())
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

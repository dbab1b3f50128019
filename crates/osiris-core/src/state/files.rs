//! Where the files of a state are: those of the run that is going on, and those that earlier runs have saved. A file is
//! named after its content, so that neither replaces the other before the state itself does.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{Error, Result};

/// The member of a state that names a file.
pub(super) const FILE: &str = "digest_file";

/// The directories of a step's state files.
#[derive(Debug, Clone)]
pub struct StateFiles {
    new: PathBuf,
    saved: Option<PathBuf>,
}

impl StateFiles {
    /// New files go to `new`; those of the saved state are in `saved`.
    pub fn new(new: impl Into<PathBuf>, saved: Option<PathBuf>) -> Self {
        Self { new: new.into(), saved }
    }

    /// Where new files go; made on first use.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn directory(&self) -> Result<&Path> {
        crate::private::create_dir_all(&self.new)?;
        Ok(&self.new)
    }

    /// The file of that name.
    ///
    /// # Errors
    /// When there is none, or the name is none of ours.
    pub fn find(&self, name: &str) -> Result<PathBuf> {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(Error::validation("the saved state names a file that cannot be one of its own"));
        }
        let places = self.saved.iter().chain([&self.new]);
        places.map(|place| place.join(name)).find(|path| path.is_file()).ok_or_else(|| {
            Error::validation(format!("the file `{name}` of the saved state is not there")).with_hint(
                "restore it next to the state, or remove the state with `osiris state reset` to read all rows again",
            )
        })
    }
}

/// The names of all files that a state, or any part of it, refers to.
pub fn named_files(state: &Value) -> Vec<String> {
    let mut names = Vec::new();
    collect(state, &mut names);
    names
}

fn collect(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            names.extend(fields.get(FILE).and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| collect(value, names));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, names)),
        _ => {}
    }
}

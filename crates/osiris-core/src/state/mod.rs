//! What a run leaves for the next: the driver's own value, the source it was taken from, and files for what is too
//! large for a value. Every state has its source, and none is handed to a driver that reads another one.

mod digests;
mod fields;
mod files;
mod source;

pub use digests::{Digest, DigestReader, DigestWriter};
pub use fields::refuse_unknown_fields;
pub use files::{StateFiles, named_files};
pub use source::{SourceDifference, SourceIdentity, StepOrigin};

pub(crate) use source::source_fields;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Code, Error, Result};

/// The format version that is written.
const FORMAT: u32 = 1;

/// The state of a step, as it is saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedState {
    format: u32,
    source: SourceIdentity,
    state: Value,
}

impl SavedState {
    /// The state that a driver left after reading `source`.
    pub fn new(source: SourceIdentity, state: Value) -> Self {
        Self { format: FORMAT, source, state }
    }

    /// Reads a saved state. `None` when it does not record its source, as in early versions.
    ///
    /// # Errors
    /// A state of a later version, or one that is damaged.
    pub fn parse(saved: &Value) -> Result<Option<Self>> {
        let (Some(format), Some(_)) = (saved.get("format"), saved.get("source")) else { return Ok(None) };
        if *format != FORMAT {
            return Err(Error::validation(format!(
                "the saved state has format {format}, but this version supports format {FORMAT}"
            ))
            .with_hint("use the version of osiris that saved it, or a later one"));
        }
        refuse_unknown_fields(saved, &["format", "source", "state"])?;
        serde_json::from_value(saved.clone()).map(Some).map_err(|error| {
            Error::validation("the saved state is damaged")
                .with_hint("restore it, or remove it with `osiris state reset PIPELINE STEP` to read all rows again")
                .with_source(error)
        })
    }

    /// The source it was taken from.
    pub fn source(&self) -> &SourceIdentity {
        &self.source
    }

    /// What the driver left.
    pub fn state(&self) -> &Value {
        &self.state
    }

    /// The names of the files that belong to it.
    pub fn files(&self) -> Vec<String> {
        named_files(&self.state)
    }

    /// The form in which it is saved.
    ///
    /// # Errors
    /// The state cannot be serialized, which no state of a driver causes.
    pub fn to_value(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(|error| Error::unknown("the state cannot be saved").with_source(error))
    }
}

/// The driver's own part of a saved state, if it was taken from `now`, which step `step` reads.
///
/// # Errors
/// The state belongs to another source; all differences are listed.
pub fn state_of<'a>(saved: &'a SavedState, now: &SourceIdentity, step: &str) -> Result<&'a Value> {
    let differences = saved.source.differences(now);
    if differences.is_empty() {
        return Ok(&saved.state);
    }
    let list: Vec<String> = differences.iter().map(ToString::to_string).collect();
    Err(Error::validation(format!("the saved state belongs to another source:\n  - {}", list.join("\n  - ")))
        .with_code(Code::StateOfOtherSource)
        .with_hint(format!("{}; {}", reset_or_rename(now, step), accept(now, step))))
}

/// The error for a state that does not record its source.
pub fn unknown_source(now: &SourceIdentity, step: &str) -> Error {
    Error::validation("the saved state does not record its source").with_code(Code::StateOfOtherSource).with_hint(
        format!("if it belongs to this source, {}; otherwise {}", accept(now, step), reset_or_rename(now, step)),
    )
}

/// How to read all rows again, for hints of errors about a saved state.
pub fn reset_hint(file: Option<&str>, step: &str) -> String {
    format!(
        "`osiris state reset {} {step}` removes the state, so that the next run reads all rows",
        file.unwrap_or("PIPELINE")
    )
}

fn reset_or_rename(now: &SourceIdentity, step: &str) -> String {
    format!("give the step another id, or read all rows again: {}", reset_hint(now.file(), step))
}

fn accept(now: &SourceIdentity, step: &str) -> String {
    format!("`osiris state accept {} {step}` accepts it as it is", now.file().unwrap_or("PIPELINE"))
}

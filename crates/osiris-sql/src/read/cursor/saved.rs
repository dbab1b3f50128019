//! What a run leaves for the next.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Boundaries, Cursor, NullCursor};
use osiris_core::state::{Digest, DigestReader, DigestWriter, StateFiles};
use osiris_core::{Error, Result};

/// So many digests stand in the state itself; more are in a file beside it.
const INLINE: usize = 10_000;

/// What a run leaves for the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedCursor {
    /// The cursor column.
    column: String,
    /// Its greatest value, as the source prints it; none where all rows had NULL.
    value: Option<String>,
    /// The rows at that value that were taken.
    taken: Taken,
    /// The rows with NULL that were taken.
    #[serde(default, skip_serializing_if = "Taken::is_empty")]
    nulls: Taken,
}

/// Digests of rows that were taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Taken {
    /// Few.
    Here(Vec<String>),
    /// Many.
    File { digest_file: String, rows: u64 },
}

impl Default for Taken {
    fn default() -> Self {
        Self::Here(Vec::new())
    }
}

impl Taken {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Here(digests) if digests.is_empty())
    }

    /// Saves what was written.
    pub(super) fn save(written: DigestWriter, files: &StateFiles) -> Result<Self> {
        if let Some(digests) = written.in_memory().filter(|digests| digests.len() <= INLINE) {
            return Ok(Self::Here(digests.iter().map(|digest| digest.to_hex()).collect()));
        }
        let rows = written.len();
        Ok(Self::File { digest_file: written.finish(files.directory()?)?, rows })
    }

    pub(super) fn open(&self, files: &StateFiles) -> Result<TakenRows> {
        match self {
            Self::Here(digests) => {
                let digests: Option<Vec<Digest>> = digests.iter().map(|text| Digest::from_hex(text)).collect();
                let mut counts = std::collections::HashMap::new();
                for digest in digests.ok_or_else(|| damaged("a digest of the saved state is none"))? {
                    *counts.entry(digest).or_default() += 1;
                }
                Ok(TakenRows::Memory(counts))
            }
            Self::File { digest_file, .. } => {
                Ok(TakenRows::File(DigestReader::open(&files.find(digest_file)?, files.directory()?)?))
            }
        }
    }
}

/// Rows that an earlier run took, with how many there are of each.
#[derive(Debug)]
pub(super) enum TakenRows {
    Memory(std::collections::HashMap<Digest, usize>),
    File(DigestReader),
}

impl TakenRows {
    /// Takes one of those that are equal to `digest`.
    pub(super) fn take(&mut self, digest: Digest) -> Result<bool> {
        match self {
            Self::File(reader) => reader.take(digest),
            Self::Memory(counts) => Ok(match counts.get_mut(&digest) {
                Some(count) if *count > 0 => {
                    *count -= 1;
                    true
                }
                _ => false,
            }),
        }
    }
}

fn damaged(message: &'static str) -> Error {
    Error::validation(message)
        .with_hint("restore the state, or remove it with `osiris state reset PIPELINE STEP` to read all rows again")
}

impl SavedCursor {
    /// Reads the state of the last run.
    ///
    /// # Errors
    /// A state that is none of ours, or of another column.
    pub fn parse(state: &Value, cursor: &Cursor) -> Result<Self> {
        let saved: Self = serde_json::from_value(state.clone())
            .map_err(|error| damaged("the saved state is not a cursor's").with_source(error))?;
        if saved.column == cursor.column {
            return Ok(saved);
        }
        Err(Error::validation(format!(
            "the saved state is of the cursor column `{}`, the step has `{}`",
            saved.column, cursor.column
        ))
        .with_hint("give the step another id, or remove the state with `osiris state reset PIPELINE STEP` to read all rows again"))
    }

    /// As the state of a step.
    ///
    /// # Errors
    /// None that a cursor could cause.
    pub fn state(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(|error| Error::unknown("the cursor cannot be saved").with_source(error))
    }

    /// The greatest value that was taken.
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    pub(super) fn taken(&self) -> &Taken {
        &self.taken
    }

    pub(super) fn nulls(&self) -> &Taken {
        &self.nulls
    }
}

impl Cursor {
    /// What the next run starts from, after one that ended at `upper`. Writes the files that belong to it.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub fn next(
        &self,
        saved: Option<&SavedCursor>,
        upper: Option<&str>,
        boundaries: Boundaries,
    ) -> Result<Option<SavedCursor>> {
        let Boundaries { at_saved, at_upper, at_null, files } = boundaries;
        let (value, taken) = match (upper, saved) {
            (Some(upper), _) if at_upper.has_rows() => (Some(upper.to_owned()), Taken::save(at_upper.seen, &files)?),
            // Without a row at the upper bound the saved value was read once more, unless there was nothing to read.
            (Some(_), Some(saved)) if self.include_boundary && saved.value.is_some() => {
                (saved.value.clone(), Taken::save(at_saved.seen, &files)?)
            }
            (_, Some(saved)) => (saved.value.clone(), saved.taken.clone()),
            (_, None) => (None, Taken::default()),
        };
        let nulls = match (self.nulls, saved) {
            (NullCursor::Include, _) => Taken::save(at_null.seen, &files)?,
            (_, Some(saved)) => saved.nulls.clone(),
            (_, None) => Taken::default(),
        };
        let next = SavedCursor { column: self.column.clone(), value, taken, nulls };
        let is_empty = next.value.is_none() && next.nulls.is_empty();
        Ok((!is_empty || saved.is_some()).then_some(next))
    }
}

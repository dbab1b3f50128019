//! What a run leaves for the next.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Boundaries, Cursor, NullCursor};
use osiris_core::state::{Digest, DigestReader, DigestWriter, StateFiles, refuse_unknown_fields};
use osiris_core::{Error, Result};

/// Up to this many digests are stored in the state itself; more are stored in a file next to it.
const MAX_INLINE_DIGESTS: usize = 10_000;

/// What a run leaves for the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedCursor {
    /// The cursor column.
    column: String,
    /// Its greatest value, as the source prints it; none where all rows had NULL.
    value: Option<String>,
    /// The rows at that value that were taken.
    taken: SeenRows,
    /// The rows with NULL that were taken.
    #[serde(default, skip_serializing_if = "SeenRows::is_empty")]
    nulls: SeenRows,
}

/// Digests of rows that were taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum SeenRows {
    /// Few.
    Inline(Vec<String>),
    /// Many.
    File { digest_file: String, rows: u64 },
}

impl Default for SeenRows {
    fn default() -> Self {
        Self::Inline(Vec::new())
    }
}

impl SeenRows {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Inline(digests) if digests.is_empty())
    }

    /// Saves what was written.
    pub(super) fn save(written: DigestWriter, files: &StateFiles) -> Result<Self> {
        if let Some(digests) = written.in_memory().filter(|digests| digests.len() <= MAX_INLINE_DIGESTS) {
            return Ok(Self::Inline(digests.iter().map(|digest| digest.to_hex()).collect()));
        }
        let rows = written.len();
        Ok(Self::File { digest_file: written.finish(files.directory()?)?, rows })
    }

    pub(super) fn open(&self, files: &StateFiles) -> Result<SeenRowSet> {
        match self {
            Self::Inline(digests) => {
                let digests: Option<Vec<Digest>> = digests.iter().map(|text| Digest::from_hex(text)).collect();
                let mut counts = std::collections::HashMap::new();
                for digest in digests.ok_or_else(|| damaged("invalid digest in the saved state"))? {
                    *counts.entry(digest).or_default() += 1;
                }
                Ok(SeenRowSet::Memory(counts))
            }
            Self::File { digest_file, .. } => {
                Ok(SeenRowSet::File(DigestReader::open(&files.find(digest_file)?, files.directory()?)?))
            }
        }
    }
}

/// Rows that an earlier run took, with how many there are of each.
#[derive(Debug)]
pub(super) enum SeenRowSet {
    Memory(std::collections::HashMap<Digest, usize>),
    File(DigestReader),
}

impl SeenRowSet {
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
    /// A state that is invalid, or of another column.
    pub fn parse(state: &Value, cursor: &Cursor) -> Result<Self> {
        refuse_unknown_fields(state, &["column", "value", "taken", "nulls"])?;
        for seen in ["taken", "nulls"].iter().filter_map(|name| state.get(name)).filter(|seen| seen.is_object()) {
            refuse_unknown_fields(seen, &["digest_file", "rows"])?;
        }
        let saved: Self = serde_json::from_value(state.clone())
            .map_err(|error| damaged("the saved state is not a cursor state").with_source(error))?;
        if saved.column == cursor.column {
            return Ok(saved);
        }
        Err(Error::validation(format!(
            "the saved state belongs to the cursor column `{}`, but the step has `{}`",
            saved.column, cursor.column
        ))
        .with_hint("give the step another id, or remove the state with `osiris state reset PIPELINE STEP` to read all rows again"))
    }

    /// As the state of a step.
    ///
    /// # Errors
    /// The state cannot be serialized, which no cursor causes.
    pub fn state(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(|error| Error::unknown("the cursor cannot be saved").with_source(error))
    }

    /// The greatest value that was taken.
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    pub(super) fn taken(&self) -> &SeenRows {
        &self.taken
    }

    pub(super) fn nulls(&self) -> &SeenRows {
        &self.nulls
    }
}

impl Cursor {
    /// What the next run starts from, after one that ended at `upper`. Writes the files that belong to it.
    ///
    /// # Errors
    /// When they cannot be written to disk.
    pub fn next(
        &self,
        saved: Option<&SavedCursor>,
        upper: Option<&str>,
        boundaries: Boundaries,
    ) -> Result<Option<SavedCursor>> {
        let Boundaries { at_saved, at_upper, at_null, files } = boundaries;
        let (value, taken) = match (upper, saved) {
            (Some(upper), _) if at_upper.has_rows() => (Some(upper.to_owned()), SeenRows::save(at_upper.seen, &files)?),
            // Without a row at the upper bound the saved value was read once more, unless there was nothing to read.
            (Some(_), Some(saved)) if self.include_boundary && saved.value.is_some() => {
                (saved.value.clone(), SeenRows::save(at_saved.seen, &files)?)
            }
            (_, Some(saved)) => (saved.value.clone(), saved.taken.clone()),
            (_, None) => (None, SeenRows::default()),
        };
        let nulls = match (self.nulls, saved) {
            (NullCursor::Include, _) => SeenRows::save(at_null.seen, &files)?,
            (_, Some(saved)) => saved.nulls.clone(),
            (_, None) => SeenRows::default(),
        };
        let next = SavedCursor { column: self.column.clone(), value, taken, nulls };
        let is_empty = next.value.is_none() && next.nulls.is_empty();
        Ok((!is_empty || saved.is_some()).then_some(next))
    }
}

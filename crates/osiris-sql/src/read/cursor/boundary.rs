//! Rows that are remembered one by one: those at the saved value, at the upper bound, and those without a value.

use sha2::{Digest as _, Sha256};

use super::saved::SeenRowSet;
use super::{PartRole, SavedCursor};
use osiris_core::Result;
use osiris_core::state::{Digest, DigestWriter, StateFiles};

/// The rows of a run that are remembered, by the role of their part. However many there are, they take little memory.
#[derive(Debug)]
pub struct Boundaries {
    pub(super) at_saved: Boundary,
    pub(super) at_upper: Boundary,
    pub(super) at_null: Boundary,
    pub(super) files: StateFiles,
}

impl Boundaries {
    /// Those of a run that begins at `saved`.
    ///
    /// # Errors
    /// A saved state that is damaged, a file of it that is missing.
    pub fn new(saved: Option<&SavedCursor>, files: &StateFiles) -> Result<Self> {
        let before = |taken: Option<&super::saved::SeenRows>| taken.map(|taken| taken.open(files)).transpose();
        let boundary = |before| Boundary { before, seen: DigestWriter::default(), files: files.clone() };
        Ok(Self {
            at_saved: boundary(before(saved.map(SavedCursor::taken))?),
            at_upper: boundary(None),
            at_null: boundary(before(saved.map(SavedCursor::nulls))?),
            files: files.clone(),
        })
    }

    /// The boundary that records the rows of a part; `None` where all are taken and none is recorded.
    pub fn of(&mut self, role: PartRole) -> Option<&mut Boundary> {
        match role {
            PartRole::Between => None,
            PartRole::AtSaved => Some(&mut self.at_saved),
            PartRole::AtUpper => Some(&mut self.at_upper),
            PartRole::AtNull => Some(&mut self.at_null),
        }
    }
}

/// The rows at a boundary.
#[derive(Debug)]
pub struct Boundary {
    /// Rows that an earlier run took.
    before: Option<SeenRowSet>,
    /// All rows that are there now.
    pub(super) seen: DigestWriter,
    files: StateFiles,
}

impl Boundary {
    /// Records a row. Returns whether it is new.
    ///
    /// # Errors
    /// When digests cannot be written to disk.
    pub fn note(&mut self, row: RowDigest) -> Result<bool> {
        let digest = Digest::finish(row.0);
        let was_taken = match &mut self.before {
            Some(before) => before.take(digest)?,
            None => false,
        };
        self.seen.push(digest, &self.files)?;
        Ok(!was_taken)
    }

    pub(super) fn has_rows(&self) -> bool {
        !self.seen.is_empty()
    }
}

/// 128 bits of a digest over all values of a row, in order.
#[derive(Debug, Clone, Default)]
pub struct RowDigest(Sha256);

impl RowDigest {
    /// Adds a value as the source sends it; `None` for NULL.
    pub fn add(&mut self, value: Option<&[u8]>) {
        let Some(bytes) = value else { return self.0.update([0]) };
        self.0.update([1]);
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Cursor;
    use super::*;

    fn cursor(fields: Value) -> Cursor {
        serde_json::from_value(fields).unwrap()
    }

    fn row(value: &str) -> RowDigest {
        let mut digest = RowDigest::default();
        digest.add(Some(value.as_bytes()));
        digest
    }

    fn files(directory: &tempfile::TempDir) -> StateFiles {
        StateFiles::new(directory.path(), None)
    }

    /// What a first run leaves after these rows at its upper bound.
    fn saved(cursor: &Cursor, rows: impl IntoIterator<Item = String>, files: &StateFiles) -> SavedCursor {
        let mut first = Boundaries::new(None, files).unwrap();
        for value in rows {
            assert!(first.of(PartRole::AtUpper).unwrap().note(row(&value)).unwrap());
        }
        let saved = cursor.next(None, Some("5"), first).unwrap().unwrap();
        SavedCursor::parse(&saved.state().unwrap(), cursor).unwrap()
    }

    #[test]
    fn rows_at_the_boundary_are_taken_once_each() {
        let directory = tempfile::tempdir().unwrap();
        let (cursor, files) = (cursor(json!({"column": "c"})), files(&directory));
        let saved = saved(&cursor, ["a", "a"].map(str::to_owned), &files);
        let mut again = Boundaries::new(Some(&saved), &files).unwrap();
        let at_saved = again.of(PartRole::AtSaved).unwrap();
        let taken = ["a", "b", "a", "a"].map(|value| at_saved.note(row(value)).unwrap());
        assert_eq!(taken, [false, true, false, true]);
    }

    #[test]
    fn s22_many_rows_at_the_boundary_are_in_a_file_and_are_taken_once_each() {
        let directory = tempfile::tempdir().unwrap();
        let (cursor, files) = (cursor(json!({"column": "c"})), files(&directory));
        let count = 1_000_050_u32;
        let saved = saved(&cursor, (0..count).map(|number| number.to_string()), &files);
        let state = saved.state().unwrap();
        assert!(state.to_string().len() < 300, "{state}");
        assert_eq!(state["taken"]["rows"], count);
        assert_eq!(osiris_core::state::named_files(&state).len(), 1);
        let mut again = Boundaries::new(Some(&saved), &files).unwrap();
        let at_saved = again.of(PartRole::AtSaved).unwrap();
        let new = (0..count + 3).filter(|number| at_saved.note(row(&number.to_string())).unwrap()).count();
        assert_eq!(new, 3);
    }

    #[test]
    fn s22_a_file_that_is_gone_is_an_error_not_rows_that_come_twice() {
        let directory = tempfile::tempdir().unwrap();
        let (cursor, files) = (cursor(json!({"column": "c"})), files(&directory));
        let saved = saved(&cursor, (0..10_001).map(|number| number.to_string()), &files);
        let elsewhere = tempfile::tempdir().unwrap();
        let error = Boundaries::new(Some(&saved), &self::files(&elsewhere)).unwrap_err();
        assert!(error.message().contains("is not there") && error.hint().unwrap().contains("state reset"));
    }

    #[test]
    fn a_state_of_another_column_is_refused() {
        let state = json!({"column": "other", "value": "1", "taken": []});
        let error = SavedCursor::parse(&state, &cursor(json!({"column": "c"}))).unwrap_err();
        assert!(error.message().contains("`other`"));
        assert!(SavedCursor::parse(&json!([1]), &cursor(json!({"column": "c"}))).is_err());
    }

    #[test]
    fn g26_a_state_with_fields_that_are_not_read_is_refused_by_their_names() {
        let refused = |state: Value| SavedCursor::parse(&state, &cursor(json!({"column": "c"}))).unwrap_err();
        let error = refused(json!({"column": "c", "value": "1", "taken": [], "last_id": 7}));
        assert_eq!(error.message(), "the saved state has unknown fields: `last_id`");
        let error = refused(json!({"column": "c", "value": "1", "taken": {"digest_file": "x", "rows": 1, "sha": "y"}}));
        assert_eq!(error.message(), "the saved state has unknown fields: `sha`");
    }

    #[test]
    fn null_and_the_empty_text_are_not_the_same_row() {
        let (mut null, mut empty) = (RowDigest::default(), RowDigest::default());
        null.add(None);
        empty.add(Some(b""));
        assert_ne!(Digest::finish(null.0), Digest::finish(empty.0));
    }

    #[test]
    fn s21_rows_without_a_value_that_were_taken_are_left_out_also_when_there_is_no_value_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let (cursor, files) = (cursor(json!({"column": "c", "nulls": "include"})), files(&directory));
        let mut first = Boundaries::new(None, &files).unwrap();
        assert!(first.of(PartRole::AtNull).unwrap().note(row("a")).unwrap());
        let saved = cursor.next(None, None, first).unwrap().unwrap();
        assert_eq!(saved.value(), None);
        let mut again = Boundaries::new(Some(&saved), &files).unwrap();
        let taken = ["a", "b"].map(|value| again.of(PartRole::AtNull).unwrap().note(row(value)).unwrap());
        assert_eq!(taken, [false, true]);
    }
}

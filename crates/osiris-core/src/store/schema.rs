//! The columns of a table in the run store, and the reference a step hands to the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use arrow::datatypes::{Schema, SchemaRef};

use super::direct::{Channel, RowStream};
use super::file_identity::FileIdentity;
use super::threads::Workload;
use super::types::ColumnType;
use crate::{Code, Error, Result, StepCounts};

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name. Two columns never differ by case alone.
    pub name: String,
    /// Its type.
    pub column_type: ColumnType,
}

impl Column {
    /// A column.
    pub fn new(name: impl Into<String>, column_type: ColumnType) -> Self {
        Self { name: name.into(), column_type }
    }
}

/// The columns of a table, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableSchema {
    columns: Vec<Column>,
}

impl TableSchema {
    /// A schema.
    ///
    /// # Errors
    /// No column, an empty name, or two names that differ by case alone; all are named.
    pub fn new(columns: Vec<Column>) -> Result<Self> {
        if columns.is_empty() {
            return Err(Error::validation("a table needs at least one column"));
        }
        let mut seen = std::collections::BTreeMap::new();
        let mut clashes = Vec::new();
        for column in &columns {
            if column.name.is_empty() {
                clashes.push("a column without a name".to_owned());
            } else if let Some(first) = seen.insert(column.name.to_lowercase(), &column.name) {
                clashes.push(format!("`{first}` and `{}`", column.name));
            }
        }
        if clashes.is_empty() {
            return Ok(Self { columns });
        }
        Err(Error::validation(format!("column names must differ by more than case: {}", clashes.join("; ")))
            .with_code(Code::DuplicateName)
            .with_hint("rename one of each pair"))
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column called `name`, whatever the case.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// The column names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// The Arrow schema of a scan of all columns.
    pub fn arrow(&self) -> SchemaRef {
        let fields: Vec<_> =
            self.columns.iter().map(|column| column.column_type.arrow_field(&column.name, true)).collect();
        Arc::new(Schema::new(fields))
    }

    /// The columns as their values are [carried](ColumnType::carried).
    #[must_use]
    pub fn carried(&self) -> Self {
        let carried = |column: &Column| Column { column_type: column.column_type.carried(), ..column.clone() };
        Self { columns: self.columns.iter().map(carried).collect() }
    }

    /// The columns that a scan of these can be turned back into; see [`ColumnType::restored`].
    pub(crate) fn restored(&self) -> Self {
        let restored = |column: &Column| Column { column_type: column.column_type.restored(), ..column.clone() };
        Self { columns: self.columns.iter().map(restored).collect() }
    }
}

/// What is stored with a committed table, or of rows that went over a direct edge, for a resumed run.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct StepNote {
    /// The counts of the step that made it.
    pub counts: StepCounts,
    /// The state it left.
    pub state: Option<serde_json::Value>,
    /// What it depends on.
    pub fingerprint: Option<String>,
    /// The step that received the rows, where there is no table of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_to: Option<String>,
    /// The files that the table reads where they lie.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileIdentity>,
    /// The rows of each scan of CSV files in it, where its step alone has counted them, and not DuckDB.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scans: Vec<u64>,
}

/// The output of a step: a committed table of the run store, or rows that arrive over a [direct
/// edge](super::DirectEdge).
#[derive(Debug, Clone)]
pub struct TableRef(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    step: String,
    schema: TableSchema,
    rows: Rows,
    files: Vec<FileIdentity>,
    /// As in the note of its step.
    scans: Vec<u64>,
    /// Whether DuckDB has met these rows.
    counted: AtomicBool,
}

#[derive(Debug)]
enum Rows {
    Stored(u64),
    Streamed(RowStream),
}

impl TableRef {
    pub(crate) fn new(step: impl Into<String>, schema: TableSchema, rows: u64) -> Self {
        Self::over_files(step, schema, rows, &StepNote::default())
    }

    /// A table that reads the files of its `note` where they lie, as do the views that it reads.
    pub(super) fn over_files(step: impl Into<String>, schema: TableSchema, rows: u64, note: &StepNote) -> Self {
        let (files, scans) = (note.files.clone(), note.scans.clone());
        let counted = AtomicBool::new(scans.is_empty());
        Self(Arc::new(Inner { step: step.into(), schema, rows: Rows::Stored(rows), files, scans, counted }))
    }

    pub(super) fn streamed(step: impl Into<String>, schema: TableSchema, rows: RowStream) -> Self {
        let (files, scans, counted) = (Vec::new(), Vec::new(), AtomicBool::new(true));
        Self(Arc::new(Inner { step: step.into(), schema, rows: Rows::Streamed(rows), files, scans, counted }))
    }

    /// The step that made it, which is its name.
    pub fn step(&self) -> &str {
        &self.0.step
    }

    /// Its columns.
    pub fn schema(&self) -> &TableSchema {
        &self.0.schema
    }

    /// The files that it reads where they lie.
    pub(crate) fn files(&self) -> &[FileIdentity] {
        &self.0.files
    }

    /// Whether DuckDB has met as many rows as the step that made it has counted.
    pub(crate) fn is_counted(&self) -> bool {
        self.0.counted.load(Relaxed)
    }

    /// The rows of each scan of CSV files in it, as its step has counted them.
    pub(super) fn scans(&self) -> &[u64] {
        &self.0.scans
    }

    pub(super) fn set_counted(&self) {
        self.0.counted.store(true, Relaxed);
    }

    /// Whether the files that it reads where they lie are still those whose rows were counted.
    ///
    /// # Errors
    /// The first that is another.
    pub fn ensure_unchanged(&self) -> Result<()> {
        FileIdentity::ensure_unchanged(self.files())
    }

    /// Its number of rows; while they are arriving, the number read so far. It is complete once they were read to the
    /// end.
    pub fn rows(&self) -> u64 {
        match &self.0.rows {
            Rows::Stored(rows) => *rows,
            Rows::Streamed(stream) => stream.channel().received(),
        }
    }

    /// How many rows there are to read, where that is known: for rows that are arriving, once all have been read.
    pub fn expected_rows(&self) -> Option<u64> {
        let is_known = match &self.0.rows {
            Rows::Stored(_) => true,
            Rows::Streamed(stream) => stream.channel().is_complete(),
        };
        is_known.then(|| self.rows())
    }

    /// Whether its rows are still arriving; they can be read once. Only components that
    /// [say so](crate::Component::streams) get such a table.
    pub fn is_arriving(&self) -> bool {
        self.channel().is_some()
    }

    /// The workload of a thread that only scans the rows.
    pub(super) fn workload(&self) -> Workload {
        if self.is_arriving() { Workload::Stream } else { Workload::Transfer }
    }

    /// The channel, if the rows come over a direct edge.
    pub(crate) fn channel(&self) -> Option<&Channel> {
        match &self.0.rows {
            Rows::Stored(_) => None,
            Rows::Streamed(stream) => Some(stream.channel()),
        }
    }

    /// The table in the FROM clause of the store's SQL: its quoted name, or the call of a table function.
    pub fn sql(&self) -> String {
        match &self.0.rows {
            Rows::Stored(_) => super::table_sql(self.step()),
            Rows::Streamed(stream) => stream.sql(self.schema()),
        }
    }
}

impl PartialEq for TableRef {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.step(), self.schema(), self.rows(), self.is_arriving())
                == (other.step(), other.schema(), other.rows(), other.is_arriving())
    }
}

impl Eq for TableRef {}

//! The footer of a Parquet file, read without DuckDB: an independent count of its rows and a list of its columns.

use std::fs::File;
use std::path::Path;

use osiris_core::{Error, Result};
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::error::io_error;

/// What a footer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Footer {
    /// The rows of the file, summed over its row groups.
    pub(crate) rows: u64,
    /// Path and type of every leaf column, in order.
    pub(crate) columns: Vec<(String, String)>,
}

/// Reads the footer of the file at `path`, which messages call `name`.
///
/// # Errors
/// It is no Parquet file, or its parts do not agree on the number of rows.
pub(crate) fn read(path: &Path, name: &str) -> Result<Footer> {
    let file = File::open(path).map_err(|error| io_error("cannot be opened", name, error))?;
    if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
        return Err(Error::validation(format!("`{name}` is empty: not even a footer is in it"))
            .with_hint("check what made the file"));
    }
    let reader = SerializedFileReader::new(file).map_err(|error| {
        Error::validation(format!("`{name}` is no Parquet file that can be read: {error}"))
            .with_source(error)
            .with_hint("check what made the file; it may be cut short, or of another format")
    })?;
    let metadata = reader.metadata();
    let rows: i64 = metadata.row_groups().iter().map(parquet::file::metadata::RowGroupMetaData::num_rows).sum();
    let stated = metadata.file_metadata().num_rows();
    if rows != stated {
        return Err(Error::integrity(format!(
            "the footer of `{name}` states {stated} rows, its row groups have {rows}"
        ))
        .with_hint("the file is damaged: make it again"));
    }
    let columns = metadata
        .file_metadata()
        .schema_descr()
        .columns()
        .iter()
        .map(|column| {
            let kind = match column.logical_type_ref() {
                Some(logical) => format!("{} as {logical:?}", column.physical_type()),
                None => format!("{} {:?}", column.physical_type(), column.converted_type()),
            };
            (column.path().string(), kind)
        })
        .collect();
    Ok(Footer { rows: u64::try_from(rows).unwrap_or(0), columns })
}

impl Footer {
    /// How `other`, of the file `name`, differs in its columns from this one of the file `first`.
    ///
    /// # Errors
    /// The differences.
    pub(crate) fn compare(&self, first: &str, other: &Self, name: &str) -> Result<()> {
        let mut differences = Vec::new();
        for (path, kind) in &self.columns {
            match other.columns.iter().find(|(theirs, _)| theirs == path) {
                None => differences.push(format!("lacks `{path}`")),
                Some((_, theirs)) if theirs != kind => {
                    differences.push(format!("has `{path}` as {theirs}, not {kind}"))
                }
                Some(_) => {}
            }
        }
        let extra = other.columns.iter().filter(|(path, _)| !self.columns.iter().any(|(ours, _)| ours == path));
        differences.extend(extra.map(|(path, _)| format!("has `{path}` besides")));
        if differences.is_empty() {
            return Ok(());
        }
        Err(Error::validation(format!("`{name}` has other columns than `{first}`: it {}", differences.join(", ")))
            .with_hint("read the files in two steps and join them in SQL"))
    }
}

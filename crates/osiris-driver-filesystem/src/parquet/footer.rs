//! The footer of a Parquet file, read without DuckDB: an independent count of its rows and a list of its columns.

use std::fs::File;
use std::path::Path;

use osiris_core::{Code, Error, Result};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use crate::error::io_error;

/// The contents of a footer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Footer {
    /// The rows of the file, summed over its row groups.
    pub(crate) rows: u64,
    /// Path and type of every leaf column, in order.
    pub(crate) columns: Vec<(String, String)>,
    /// The names of the columns as the file has them, nested ones as one: repeated and empty ones too.
    pub(crate) roots: Vec<String>,
    /// Whether a column, or a part of it, is an INT96: a timestamp of nanoseconds in the form of old writers.
    pub(crate) has_int96: bool,
    /// Decimals of more digits than DuckDB has.
    pub(crate) wide_decimals: Vec<WideDecimal>,
    /// The places among the [roots](Self::roots) of columns with times of day of nanoseconds in UTC, which DuckDB cuts.
    pub(crate) cut_times: Vec<usize>,
    /// Whether there is BSON, which DuckDB does not know.
    pub(crate) has_bson: bool,
}

/// Maximum precision of a DECIMAL in the run store.
pub(crate) const DIGITS: i32 = 38;

/// A decimal of more than [`DIGITS`] digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WideDecimal {
    /// The place of its column among the [roots](Footer::roots).
    pub(crate) root: usize,
    pub(crate) precision: i32,
    pub(crate) scale: i32,
}

impl WideDecimal {
    /// Whether the store has a DECIMAL of this scale: values of few enough digits are kept exactly then.
    pub(crate) fn scale_fits(&self) -> bool {
        self.scale <= DIGITS
    }
}

/// Whether it is a time of day of nanoseconds in UTC.
pub(super) fn is_cut_time(logical: Option<&LogicalType>) -> bool {
    matches!(logical, Some(LogicalType::Time(time)) if time.is_adjusted_to_u_t_c && time.unit == TimeUnit::NANOS)
}

/// Whether it is BSON.
pub(super) fn is_bson(logical: Option<&LogicalType>, converted: ConvertedType) -> bool {
    logical == Some(&LogicalType::Bson) || converted == ConvertedType::BSON
}

/// Precision and scale, where the column is a decimal.
pub(super) fn decimal(
    precision_and_scale: (i32, i32),
    logical: Option<&LogicalType>,
    converted: ConvertedType,
) -> Option<(i32, i32)> {
    match (logical, converted) {
        (Some(LogicalType::Decimal(decimal)), _) => Some((decimal.precision, decimal.scale)),
        (None, ConvertedType::DECIMAL) => Some(precision_and_scale),
        _ => None,
    }
}

/// Reads the footer of the file at `path`, named `name` in messages.
///
/// # Errors
/// When it is not a Parquet file, or its row counts are inconsistent.
pub(crate) fn read(path: &Path, name: &str) -> Result<Footer> {
    let file = File::open(path).map_err(|error| io_error("cannot be opened", name, error))?;
    if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
        return Err(Error::validation(format!("`{name}` is empty: it has no footer"))
            .with_code(Code::InvalidFile)
            .with_hint("check how the file was created"));
    }
    let metadata = metadata(file, name)?;
    let rows: i64 = metadata.row_groups().iter().map(parquet::file::metadata::RowGroupMetaData::num_rows).sum();
    let stated = metadata.file_metadata().num_rows();
    if rows != stated {
        return Err(Error::integrity(format!(
            "the footer of `{name}` declares {stated} rows, but its row groups have {rows}"
        ))
        .with_hint("the file is damaged: create it again"));
    }
    let schema = metadata.file_metadata().schema_descr();
    let columns = schema.columns();
    let wide = columns.iter().enumerate().filter_map(|(leaf, column)| {
        let (precision, scale) = decimal_of(column).filter(|(precision, _)| *precision > DIGITS)?;
        Some(WideDecimal { root: schema.get_column_root_idx(leaf), precision, scale })
    });
    Ok(Footer {
        rows: u64::try_from(rows).unwrap_or(0),
        columns: columns.iter().map(|column| (column.path().string(), kind(column))).collect(),
        roots: schema.root_schema().get_fields().iter().map(|field| field.name().to_owned()).collect(),
        has_int96: columns.iter().any(|column| column.physical_type() == Type::INT96),
        wide_decimals: wide.collect(),
        cut_times: (0..columns.len())
            .filter(|leaf| is_cut_time(columns[*leaf].logical_type_ref()))
            .map(|leaf| schema.get_column_root_idx(leaf))
            .collect(),
        has_bson: columns.iter().any(|column| is_bson(column.logical_type_ref(), column.converted_type())),
    })
}

/// The metadata of a file, named `name` in messages.
///
/// # Errors
/// When it is not a Parquet file.
pub(super) fn metadata(file: File, name: &str) -> Result<ParquetMetaData> {
    let reader = SerializedFileReader::new(file).map_err(|error| {
        Error::validation(format!("`{name}` is not a valid Parquet file: {error}"))
            .with_code(Code::InvalidFile)
            .with_source(error)
            .with_hint("check how the file was created: it may be truncated, or in another format")
    })?;
    Ok(reader.metadata().clone())
}

fn decimal_of(column: &ColumnDescriptor) -> Option<(i32, i32)> {
    decimal((column.type_precision(), column.type_scale()), column.logical_type_ref(), column.converted_type())
}

/// The type of a column, for comparisons and messages.
fn kind(column: &ColumnDescriptor) -> String {
    let physical = column.physical_type();
    match (column.logical_type_ref(), decimal_of(column)) {
        (_, Some((precision, scale))) => format!("{physical} DECIMAL({precision},{scale})"),
        (Some(logical), None) => format!("{physical} as {logical:?}"),
        (None, None) => format!("{physical} {:?}", column.converted_type()),
    }
}

impl Footer {
    fn has_twins(&self) -> bool {
        let mut seen = std::collections::BTreeSet::new();
        !self.roots.iter().all(|name| seen.insert(name.to_lowercase()))
    }

    /// Compares the columns of `other`, of the file `name`, with this one, of the file `first`.
    ///
    /// # Errors
    /// When they differ.
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
        differences.extend(extra.map(|(path, _)| format!("also has `{path}`")));
        // Columns whose names differ only by case, or not at all, are distinguished by position.
        if differences.is_empty() && self.roots != other.roots && self.has_twins() {
            differences.push("has them in another order, and some names differ only by case".to_owned());
        }
        if differences.is_empty() {
            return Ok(());
        }
        Err(Error::validation(format!("columns of `{name}` differ from `{first}`: it {}", differences.join(", ")))
            .with_code(Code::ColumnsDiffer)
            .with_hint("read the files in two steps and join them in SQL"))
    }
}

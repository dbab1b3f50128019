//! The configuration of Excel workbooks.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{AddFilename, Dtype, OnBadLines};

/// A sheet of a workbook.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Sheet {
    /// The number of the sheet, from 1.
    Number(u32),
    /// Its name, ignoring case.
    Name(String),
}

/// The row of a sheet with the column names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SheetHeader {
    /// `true`: the first row with a value. `false`: none; columns are named `column0`, `column1`, ... or by `columns`.
    Present(bool),
    /// The number of the row as Excel shows it, from 1; rows above it are skipped.
    Row(u32),
}

impl Default for SheetHeader {
    fn default() -> Self {
        Self::Present(true)
    }
}

/// Configuration of `filesystem.excel_extractor`. The sheet is read as a stream and its rows are copied to a scratch file: only the
/// texts and formats of the workbook are held in memory, at most 1 GiB of them.
///
/// A column gets the type that holds every value in it: whole numbers are BIGINT, numbers with a fraction DOUBLE, dates DATE, dates
/// with a time TIMESTAMP, times of day TIME. A cell is a date if its number has a date format, counted from 1900 or 1904 as the
/// workbook says; a date format on a number below 1 makes it a time of day, and a duration such as `[h]:mm` is text. Text stays text,
/// even `007`, unless `dtype` says otherwise. A column with values of several kinds is text, with each value as a CSV file would have
/// it: `1.5`, `true`, `2024-01-31`. A formula has the value that was saved with it. Of merged cells the first has the value, the others
/// are NULL. Hidden rows, columns and sheets are read like others.
///
/// Rows without a value are skipped, in a sheet with one column only those at the end. A column without a name and without a value is
/// left out. A value beside the named columns is a bad row.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExcelExtractorConfig {
    /// A file, a directory (its `.xlsx` and `.xlsm` files, sorted by name) or a glob such as `in/2024-*.xlsx`. `-` is the standard
    /// input. Other formats of workbooks are refused: save them as `.xlsx`.
    #[schemars(length(min = 1))]
    pub path: String,
    /// The sheet: its name, ignoring case, or its number from 1. Default: the first.
    #[serde(default)]
    pub sheet: Option<Sheet>,
    /// The part of the sheet to read, such as `B2:F100`, or `B:F` and `B2:F` for all rows to the end. Default: all of it.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub range: Option<String>,
    /// The row with the column names: `true` (default) for the first row that has a value, within `range` if that is set; the number
    /// of a row as Excel shows it, from 1; or `false` for none. Empty and duplicate names are made unique as for
    /// `filesystem.csv_extractor`.
    #[serde(default)]
    pub header: SheetHeader,
    /// The columns to read, in this order. Default: all, in the order of the sheet. With `header: false`, the names of the columns.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<String>>,
    /// Maximum number of rows to read, over all files. Default: all.
    #[serde(default)]
    pub limit: Option<u64>,
    /// `text` disables type inference; a mapping such as `{id: VARCHAR}` sets the types of some columns, with the names and rules of
    /// `filesystem.csv_extractor`. A value that its type cannot hold exactly is an error with row and column. Default: all types are
    /// inferred.
    #[serde(default)]
    pub dtype: Option<Dtype>,
    /// Texts that mean NULL besides the empty cell, such as `[NA, "-"]`. Default: none.
    #[serde(default)]
    pub na_values: Vec<String>,
    /// Maximum size of a workbook in bytes once it is decompressed. Default: 200 times its size, and at least 4 GiB.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_uncompressed_bytes: Option<u64>,
    /// How to handle a row with an error such as `#DIV/0!` or `#N/A` in a column that is read, a value beside the named columns, or
    /// a value that does not fit its configured type: `error` (default), or `reject`, which stores the row in the rejects.
    #[serde(default)]
    pub on_bad_lines: OnBadLines,
    /// Maximum number of rejects. Default 0.
    #[serde(default)]
    pub max_rejects: u64,
    /// `true` adds a column `filename` with the path of the file of each row; a string sets the name of the column.
    /// Default `false`.
    #[serde(default)]
    pub add_filename: Option<AddFilename>,
}

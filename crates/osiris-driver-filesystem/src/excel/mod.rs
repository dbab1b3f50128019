//! Excel workbooks: an extractor. A sheet becomes a plain copy as CSV with a profile of its columns, which is loaded like CSV.

mod archive;
mod area;
mod cell;
mod extract;
mod sheet;
mod workbook;

pub use extract::ExcelExtractor;

use crate::client::FileKind;

/// The files of a directory that are workbooks.
pub(crate) const EXCEL_FILES: FileKind = FileKind { name: "Excel", extensions: &["xlsx", "xlsm"], compressions: &[] };

//! Scans the cells of a sheet once: names, types, rows and bad rows. The rows are written as plain CSV at the same time.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use osiris_core::{Code, Error, Reject, Result};
use serde_json::{Map, Value as Json};

use super::area::Area;
use super::cell::Value;
use crate::config::{OnBadLines, SheetHeader};
use crate::csv::{ColumnProfile, Scanned, from_header, numbered};
use crate::error::io_error;

/// What stands between the values of the copy.
pub(super) const DELIMITER: u8 = b',';

/// The options of a scan.
pub(super) struct SheetOptions<'a> {
    pub(super) area: Area,
    pub(super) header: SheetHeader,
    /// The columns that are read, or without a header all columns of the sheet; `None` for all.
    pub(super) columns: Option<&'a [String]>,
    pub(super) na_values: &'a [String],
    pub(super) on_bad_lines: OnBadLines,
    /// Maximum number of rejects to keep; the rest is only counted.
    pub(super) keep_rejects: u64,
    /// Maximum number of rows.
    pub(super) limit: Option<u64>,
}

/// A sheet that was scanned.
pub(super) struct ScannedSheet {
    pub(super) scanned: Scanned,
    pub(super) numbers: RowNumbers,
    /// For each column, whether the header has no name for it.
    pub(super) unnamed: Vec<bool>,
}

/// The numbers that the rows of a copy have in their sheet, as Excel shows them.
#[derive(Debug, Default)]
pub(super) struct RowNumbers {
    /// Rows of the copy, from 1, and their numbers, where these are not those of the row before plus one.
    runs: Vec<(u64, u64)>,
    next: u64,
}

impl RowNumbers {
    fn push(&mut self, row: u64, number: u64) {
        if number != self.next || self.runs.is_empty() {
            self.runs.push((row, number));
        }
        self.next = number + 1;
    }

    /// The number of a row of the copy.
    pub(super) fn of(&self, row: u64) -> u64 {
        let after = self.runs.partition_point(|(first, _)| *first <= row);
        let run = after.checked_sub(1).and_then(|index| self.runs.get(index));
        run.map_or(row, |(first, number)| number + (row - first))
    }
}

/// A scan in the middle of a sheet.
pub(super) struct SheetScan<'a> {
    options: &'a SheetOptions<'a>,
    /// The file and the sheet, for messages.
    place: String,
    out: BufWriter<File>,
    /// The row that is being read, from 0, and its values.
    row: u32,
    values: Vec<Value>,
    /// The last row of the copy or above it, from 0.
    last: u32,
    has_names: bool,
    /// For each column, whether its values are read.
    kept: Vec<bool>,
    unnamed: Vec<bool>,
    scanned: Scanned,
    numbers: RowNumbers,
    line: Vec<u8>,
}

impl<'a> SheetScan<'a> {
    /// A scan that writes its copy to a new file at `path`; `place` is what the sheet is called in messages.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub(super) fn new(options: &'a SheetOptions<'a>, place: String, path: &Path) -> Result<Self> {
        let file = osiris_core::private::create(path);
        let mut out = BufWriter::with_capacity(1 << 18, file.map_err(|error| copy_failed(&place, error))?);
        // DuckDB takes U+FEFF at the start of a file for a byte order mark, even if it is a value.
        out.write_all("\u{feff}".as_bytes()).map_err(|error| copy_failed(&place, error))?;
        let scanned = Scanned {
            names: Vec::new(),
            profiles: Vec::new(),
            rows: 0,
            rejects: Vec::new(),
            rejected: 0,
            located: Vec::new(),
            preamble: 0,
            longest: 0,
            new_line: "\\n",
            plain: false,
        };
        let (values, kept, unnamed, line) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let numbers = RowNumbers::default();
        Ok(Self {
            options,
            place,
            out,
            row: 0,
            values,
            last: 0,
            has_names: false,
            kept,
            unnamed,
            scanned,
            numbers,
            line,
        })
    }

    /// Adds a cell, by row and column from 0. False when no more are wanted.
    ///
    /// # Errors
    /// For a bad row, unless these are rejected; when the names cannot be known; when the copy cannot be written.
    pub(super) fn cell(&mut self, row: u32, column: u32, value: Value) -> Result<bool> {
        let area = &self.options.area;
        if row > area.bottom || self.is_full() {
            return Ok(false);
        }
        if row < self.row {
            return Err(Error::validation(format!("{}: row {} comes after row {}", self.place, row + 1, self.row + 1))
                .with_code(Code::InvalidFile)
                .with_hint(super::archive::DAMAGED));
        }
        if row > self.row {
            self.end_row()?;
            self.row = row;
        }
        if row < area.top || value == Value::Empty {
            return Ok(true);
        }
        if let Some(place) = area.place(column) {
            if self.values.len() <= place {
                self.values.resize_with(place + 1, Value::default);
            }
            self.values[place] = value;
        }
        Ok(true)
    }

    /// Ends the sheet.
    ///
    /// # Errors
    /// As for [`cell`](Self::cell); when there is no header.
    pub(super) fn finish(mut self) -> Result<ScannedSheet> {
        if !self.is_full() {
            self.end_row()?;
        }
        if !self.has_names {
            match (self.options.header, self.options.columns) {
                (SheetHeader::Present(false), Some(names)) => self.set_names(names.to_vec(), names.len()),
                (SheetHeader::Row(row), _) => return Err(self.without_header(row)),
                _ => return Err(self.empty()),
            }
        }
        self.out.flush().map_err(|error| copy_failed(&self.place, error))?;
        Ok(ScannedSheet { scanned: self.scanned, numbers: self.numbers, unnamed: self.unnamed })
    }

    fn is_full(&self) -> bool {
        self.has_names && self.options.limit.is_some_and(|limit| self.scanned.rows >= limit)
    }

    fn end_row(&mut self) -> Result<()> {
        let values = std::mem::take(&mut self.values);
        if values.iter().all(Value::is_blank) {
            return Ok(());
        }
        let number = u64::from(self.row) + 1;
        if !self.has_names {
            match self.options.header {
                SheetHeader::Present(false) => self.names_without_header(&values)?,
                SheetHeader::Row(row) if number < u64::from(row) => return Ok(()),
                SheetHeader::Row(row) if number > u64::from(row) => return Err(self.without_header(row)),
                SheetHeader::Row(_) | SheetHeader::Present(true) => return self.header(&values),
            }
        }
        self.record(values)
    }

    fn header(&mut self, values: &[Value]) -> Result<()> {
        if let Some(place) = values.iter().position(|value| matches!(value, Value::Fault(_))) {
            let reason = format!("the header has an error in column {}", self.options.area.letters(place));
            return Err(self.error(reason));
        }
        let used = values.iter().rposition(|value| !value.is_blank()).map_or(0, |last| last + 1);
        let width = self.options.area.width.unwrap_or(used);
        let text = |place: usize| values.get(place).and_then(Value::text).unwrap_or_default().to_owned();
        let fields: Vec<String> = (0..width).map(text).collect();
        let names = from_header(&self.place, &fields);
        self.set_names(names, width);
        self.unnamed = fields.iter().map(|field| field.trim().is_empty()).collect();
        if let Some(columns) = self.options.columns {
            let wanted: HashSet<String> = columns.iter().map(|name| name.to_lowercase()).collect();
            self.kept = self.scanned.names.iter().map(|name| wanted.contains(&name.to_lowercase())).collect();
        }
        self.last = self.row;
        Ok(())
    }

    fn names_without_header(&mut self, values: &[Value]) -> Result<()> {
        let used = values.iter().rposition(|value| !value.is_blank()).map_or(0, |last| last + 1);
        let width = self.options.area.width.unwrap_or(used);
        let names = match self.options.columns {
            Some(names) if names.len() < width || self.options.area.width.is_some_and(|width| width < names.len()) => {
                let (place, row) = (&self.place, self.row + 1);
                let message =
                    format!("{place}: `columns` has {} names, but row {row} has {width} columns", names.len());
                return Err(
                    Error::validation(message).with_hint("with `header: false`, name every column of the sheet")
                );
            }
            Some(names) => names.to_vec(),
            None => numbered(width),
        };
        let width = names.len();
        self.set_names(names, width);
        self.last = self.row.saturating_sub(1);
        Ok(())
    }

    fn set_names(&mut self, names: Vec<String>, width: usize) {
        self.scanned.names = names;
        self.scanned.profiles = vec![ColumnProfile::default(); width];
        self.kept = vec![true; width];
        self.unnamed = vec![false; width];
        self.has_names = true;
    }

    fn record(&mut self, values: Vec<Value>) -> Result<()> {
        if self.kept.len() == 1 {
            self.blank_rows()?;
        }
        self.last = self.row;
        if self.is_full() {
            return Ok(());
        }
        let width = self.kept.len();
        if let Some(place) = values.iter().skip(width).position(|value| !value.is_blank()) {
            let letters = self.options.area.letters(width + place);
            return self.bad_row(None, &format!("column {letters} has a value, but no name"), &values);
        }
        let faults = values.iter().zip(&self.kept).enumerate();
        let fault = faults.filter(|(_, (_, kept))| **kept).find_map(|(place, (value, _))| match value {
            Value::Fault(fault) => Some((place, fault.clone())),
            _ => None,
        });
        match fault {
            Some((place, fault)) => self.bad_row(Some(place), &format!("the value is {fault}"), &values),
            None => self.write(&values),
        }
    }

    /// The rows without a value since the last one: in a sheet with one column they are NULLs.
    fn blank_rows(&mut self) -> Result<()> {
        for row in self.last + 1..self.row {
            if self.is_full() {
                break;
            }
            self.count(row);
            self.line.clear();
            self.end_line()?;
        }
        Ok(())
    }

    fn count(&mut self, row: u32) {
        self.scanned.rows += 1;
        self.numbers.push(self.scanned.rows, u64::from(row) + 1);
    }

    fn write(&mut self, values: &[Value]) -> Result<()> {
        self.count(self.row);
        self.line.clear();
        for place in 0..self.kept.len() {
            if place > 0 {
                self.line.push(DELIMITER);
            }
            let Some(value) = values.get(place).filter(|_| self.kept[place]) else { continue };
            let profile = &mut self.scanned.profiles[place];
            match value {
                Value::Empty | Value::Fault(_) => {}
                Value::Plain(text) => {
                    profile.observe(text.as_bytes());
                    self.line.extend_from_slice(text.as_bytes());
                }
                Value::Text(text) if self.options.na_values.contains(text) => {}
                Value::Text(text) => {
                    if text.is_empty() {
                        profile.quoted_null = true;
                    } else {
                        profile.observe_text();
                    }
                    self.line.push(b'"');
                    self.line.extend_from_slice(text.replace('"', "\"\"").as_bytes());
                    self.line.push(b'"');
                }
            }
        }
        self.end_line()
    }

    fn end_line(&mut self) -> Result<()> {
        self.line.push(b'\n');
        self.scanned.longest = self.scanned.longest.max(self.line.len());
        self.out.write_all(&self.line).map_err(|error| copy_failed(&self.place, error))
    }

    fn bad_row(&mut self, place: Option<usize>, reason: &str, values: &[Value]) -> Result<()> {
        let column = place.map(|place| self.scanned.names[place].clone());
        if self.options.on_bad_lines == OnBadLines::Error {
            let at = column.map_or_else(String::new, |column| format!("column `{column}`: "));
            return Err(self.error(format!("{at}{reason}")));
        }
        self.scanned.rejected += 1;
        if self.scanned.rejected <= self.options.keep_rejects {
            self.scanned.rejects.push(Reject {
                row_number: Some(u64::from(self.row) + 1),
                column,
                reason: format!("{}: {reason}", self.place),
                row: Some(self.json(values)),
            });
        }
        Ok(())
    }

    /// A row as an object.
    fn json(&self, values: &[Value]) -> String {
        let key = |place: usize| match self.scanned.names.get(place) {
            Some(name) => name.clone(),
            None => self.options.area.letters(place),
        };
        let members = values.iter().enumerate().map(|(place, value)| (key(place), Json::from(value.text())));
        Json::from(members.collect::<Map<_, _>>()).to_string()
    }

    /// The error of the current row.
    fn error(&self, reason: String) -> Error {
        let error = Error::validation(format!("{}: row {}: {reason}", self.place, self.row + 1));
        error.with_code(Code::BadLine).with_hint(
            "fix the cell, read a part of the sheet with `range` or `columns`, or set `on_bad_lines: reject`",
        )
    }

    fn without_header(&self, row: u32) -> Error {
        Error::validation(format!("{}: row {row} has no column names", self.place))
            .with_code(Code::InvalidFile)
            .with_hint("set `header` to the row with the names, counted from 1 as Excel does, or to `false`")
    }

    fn empty(&self) -> Error {
        Error::validation(format!("{} is empty: it has no header", self.place))
            .with_code(Code::InvalidFile)
            .with_hint("set `sheet` or `range` to where the rows are: rows without a value still need a header")
    }
}

fn copy_failed(place: &str, error: std::io::Error) -> Error {
    io_error("could not be copied to the scratch directory", place.trim_matches('`'), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_the_numbers_of_the_sheet() {
        let mut numbers = RowNumbers::default();
        for (row, number) in [(1, 2), (2, 3), (3, 7), (4, 8), (5, 20)] {
            numbers.push(row, number);
        }
        assert_eq!([1, 2, 3, 4, 5].map(|row| numbers.of(row)), [2, 3, 7, 8, 20]);
        assert_eq!(numbers.runs.len(), 3);
    }
}

//! A workbook and the cells of its sheets.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use calamine::{Reader as _, Xlsx, XlsxError};
use osiris_core::problem::nearest;
use osiris_core::{Code, Error, Result};

use super::archive::{self, Container, DAMAGED, SAVE_AS, refused};
use super::cell::Value;
use crate::blocking::StopFlag;
use crate::client::SourceFile;
use crate::compression::open;
use crate::config::Sheet;
use crate::error::{io_error, is_of_system};

/// A file whose bytes are counted as they are read, each part of it once.
struct Counted<'a> {
    file: File,
    /// How many bytes may still be counted.
    left: u64,
    on_bytes: &'a dyn Fn(u64),
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        let counted = self.left.min(read as u64);
        self.left -= counted;
        (self.on_bytes)(counted);
        Ok(read)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

/// An open workbook, with its texts and formats.
pub(super) struct Workbook<'a> {
    inner: Xlsx<BufReader<Counted<'a>>>,
    name: &'a str,
}

impl<'a> Workbook<'a> {
    /// Opens a file that has at most `most` bytes once it is decompressed. `on_bytes` is called with the bytes that are read.
    ///
    /// # Errors
    /// When it is not a workbook, damaged, protected by a password, or too large.
    pub(super) fn open(source: &'a SourceFile, most: u64, on_bytes: &'a dyn Fn(u64), stop: &StopFlag) -> Result<Self> {
        let name = source.name.as_str();
        let mut file = open(&source.path, name)?;
        let is_archive = archive::container(&mut file, name)? == Container::Archive;
        if is_archive {
            archive::check(&file, name, most, stop)?;
        }
        file.rewind().map_err(|error| io_error("cannot be read", name, error))?;
        let counted = Counted { file, left: source.size, on_bytes };
        match Xlsx::new(BufReader::new(counted)) {
            Ok(inner) => Ok(Self { inner, name }),
            Err(error) if is_archive || matches!(error, XlsxError::Password) => Err(failed(name, error)),
            Err(_) => Err(refused(name, "is not an Excel workbook of 2007 or later", SAVE_AS)),
        }
    }

    /// The name of the sheet that is wanted; the first by default.
    ///
    /// # Errors
    /// When there is no such sheet.
    pub(super) fn sheet(&self, wanted: Option<&Sheet>) -> Result<String> {
        let names = self.inner.sheet_names();
        let found = match wanted {
            None => names.first(),
            Some(Sheet::Number(number)) => {
                let place = usize::try_from(*number).ok().and_then(|number| number.checked_sub(1));
                place.and_then(|place| names.get(place))
            }
            Some(Sheet::Name(wanted)) => {
                let alike = |name: &&String| name.to_lowercase() == wanted.to_lowercase();
                names.iter().find(|name| *name == wanted).or_else(|| names.iter().find(alike))
            }
        };
        found.cloned().ok_or_else(|| self.without(wanted, &names))
    }

    fn without(&self, wanted: Option<&Sheet>, names: &[String]) -> Error {
        let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let message = match wanted {
            None => format!("`{}` has no sheet", self.name),
            Some(Sheet::Number(number)) => format!("`{}` has no sheet {number}", self.name),
            Some(Sheet::Name(wanted)) => format!("`{}` has no sheet `{wanted}`", self.name),
        };
        let error = Error::validation(message).with_code(Code::InvalidFile);
        let similar = match wanted {
            Some(Sheet::Name(wanted)) => nearest(wanted, names.iter().map(String::as_str)),
            _ => None,
        };
        let hint = match (similar, names.len()) {
            (Some(similar), _) => format!("did you mean `{similar}`? its sheets: {}", listed.join(", ")),
            (None, 0) => "check how the file was created".to_owned(),
            (None, _) => format!("its sheets: {}", listed.join(", ")),
        };
        error.with_hint(hint)
    }

    /// Passes the cells of a sheet to `each`, row by row, with row and column from 0, until it returns false.
    ///
    /// # Errors
    /// What `each` returns; when the sheet is damaged.
    pub(super) fn cells(&mut self, sheet: &str, mut each: impl FnMut(u32, u32, Value) -> Result<bool>) -> Result<()> {
        let name = self.name;
        let mut cells = self.inner.worksheet_cells_reader(sheet).map_err(|error| failed(name, error))?;
        while let Some(cell) = cells.next_cell().map_err(|error| failed(name, error))? {
            let (row, column) = cell.get_position();
            if !each(row, column, Value::of(cell.get_value()))? {
                break;
            }
        }
        Ok(())
    }
}

/// The error of a workbook that cannot be parsed.
fn failed(name: &str, error: XlsxError) -> Error {
    match error {
        XlsxError::Password => refused(
            name,
            "is protected by a password",
            "open it in Excel, remove the password under File > Info > Protect Workbook, and save it",
        ),
        XlsxError::Io(error) if is_of_system(&error) => io_error("cannot be read", name, error),
        XlsxError::NotAWorksheet(_) => {
            refused(name, "has a chart or a dialog in the place of the sheet", "set `sheet` to one with cells")
        }
        error => refused(name, "is damaged: it cannot be read as a workbook", DAMAGED).with_source(error),
    }
}

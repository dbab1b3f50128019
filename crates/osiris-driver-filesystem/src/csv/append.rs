//! Whether rows can be appended to an existing file.

use std::io::Read;
use std::path::Path;

use osiris_core::{Code, Error, Result};

use super::dialect::Dialect;
use super::encoding::Charset;
use super::source::open_text;
use crate::config::CsvWriterConfig;
use crate::error::unpack;
use crate::text::{last_byte, last_of};

/// Checks that rows with these columns can be appended to the file, and returns whether its last line is terminated.
///
/// # Errors
/// For another header, or a file that cannot be read.
pub(crate) fn check_append(
    path: &Path,
    name: &str,
    config: &CsvWriterConfig,
    delimiter: u8,
    charset: Charset,
    columns: &[String],
) -> Result<bool> {
    let dialect = Dialect::of_output(delimiter, charset);
    let compression = config.compression.resolve(&config.path).reading();
    let found = open_text(path, name, compression, &dialect, u64::MAX, |source| first_record(source, name, delimiter))?;
    match found {
        None => return Ok(true),
        Some(found) if config.header && found != columns => return Err(other_header(name, &found, columns)),
        Some(found) if found.len() != columns.len() => {
            return Err(Error::validation(format!(
                "`{name}` has {} fields per line, but the rows to append have {}",
                found.len(),
                columns.len()
            ))
            .with_hint("write the same columns, or set `mode: overwrite`"));
        }
        Some(_) => {}
    }
    let last = if matches!(charset, Charset::Utf16 | Charset::Utf16Le | Charset::Utf16Be) {
        open_text(path, name, compression, &dialect, u64::MAX, |source| last_of(source, name))?
    } else {
        last_byte(path, name, compression)?
    };
    Ok(matches!(last, None | Some(b'\n' | b'\r')))
}

/// The fields of the first record; in names the empty string and NULL are the same.
fn first_record(source: &mut dyn Read, name: &str, delimiter: u8) -> Result<Option<Vec<String>>> {
    let mut builder = csv::ReaderBuilder::new();
    let mut reader = builder.has_headers(false).flexible(true).delimiter(delimiter).from_reader(source);
    let mut record = csv::StringRecord::new();
    match reader.read_record(&mut record) {
        Ok(false) => Ok(None),
        Ok(true) => Ok(Some(record.iter().map(str::to_owned).collect())),
        Err(error) => Err(match error.into_kind() {
            csv::ErrorKind::Io(error) => unpack("cannot be read", name, error),
            _ => Error::validation(format!("the first line of `{name}` is not UTF-8"))
                .with_hint("set `encoding` to that of the file, or `mode: overwrite`"),
        }),
    }
}

fn other_header(name: &str, found: &[String], columns: &[String]) -> Error {
    let error = Error::validation(format!(
        "the header of `{name}` is `{}`, but the rows to append have `{}`",
        found.join(", "),
        columns.join(", ")
    ))
    .with_code(Code::ColumnsDiffer);
    let (mut one, mut two) = (found.to_vec(), columns.to_vec());
    one.sort();
    two.sort();
    if one == two {
        return error.with_hint(format!("set `columns: [{}]`", found.join(", ")));
    }
    error.with_hint("write the same columns, or set `mode: overwrite`")
}

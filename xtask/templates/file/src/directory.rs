//! The default client, and the only file that knows how the external system stores its tables: here as text files, in
//! the format that the README describes. A driver for a server talks its protocol here.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use osiris_core::Result;
use tempfile::NamedTempFile;

use crate::client::{Client, Draft, Row, Table};
use crate::error::{check_directory, io_error, line_error};

/// A directory of tables.
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// Opens a directory, which must exist.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        check_directory(path)?;
        Ok(Self(path.to_path_buf()))
    }

    fn file(&self, table: &str) -> PathBuf {
        self.0.join(format!("{table}.txt"))
    }
}

impl Client for Directory {
    fn tables(&self) -> Result<Vec<String>> {
        let mut tables = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(|error| io_error(error, &self.0))? {
            let path = entry.map_err(|error| io_error(error, &self.0))?.path();
            let name = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".txt"));
            tables.extend(name.filter(|_| path.is_file()).map(str::to_owned));
        }
        Ok(tables)
    }

    fn read(&self, table: &str) -> Result<Table> {
        let path = self.file(table);
        let file = File::open(&path).map_err(|error| io_error(error, &path))?;
        let line_path = path.clone();
        let mut lines = (1..).zip(BufReader::new(file).lines()).map(move |(number, line)| {
            let line = line.map_err(|error| io_error(error, &line_path))?;
            row(&line).ok_or_else(|| line_error("has an unknown escape sequence", number, &line_path))
        });
        let names = lines.next().transpose()?.unwrap_or_default();
        let columns: Option<Vec<String>> = names.into_iter().collect();
        let columns = columns.ok_or_else(|| line_error("has a column without a name", 1, &path))?;
        let width = columns.len();
        let rows = (2..).zip(lines).map(move |(number, row)| match row {
            Ok(row) if row.len() != width => {
                Err(line_error(&format!("has {} cells: expected {width}", row.len()), number, &path))
            }
            row => row,
        });
        Ok(Table { columns, rows: Box::new(rows) })
    }

    fn draft(&self, table: &str, columns: &[String], keep: bool) -> Result<Box<dyn Draft>> {
        let path = self.file(table);
        let failed = |error| io_error(error, &path);
        // A unique name: another run may write the same table, and the last to publish wins.
        let unfinished = tempfile::Builder::new()
            .prefix(&format!(".{table}."))
            .suffix(".part")
            .make_in(&self.0, |path| File::create_new(path))
            .map_err(failed)?;
        let mut draft = FileDraft { file: BufWriter::new(unfinished), path: path.clone(), rows: 0 };
        if keep {
            copy(&path, &mut draft.file).map_err(failed)?;
        } else {
            write_line(&mut draft.file, columns.iter().map(|name| Some(name.as_str()))).map_err(failed)?;
        }
        Ok(Box::new(draft))
    }
}

/// A temporary file next to that of the table, removed when dropped.
struct FileDraft {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
    rows: u64,
}

impl Draft for FileDraft {
    fn push(&mut self, row: &Row) -> Result<()> {
        self.rows += 1;
        write_line(&mut self.file, row.iter().map(Option::as_deref)).map_err(|error| io_error(error, &self.path))
    }

    fn publish(self: Box<Self>) -> Result<u64> {
        let Self { file, path, rows } = *self;
        let failed = |error| io_error(error, &path);
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(rows)
    }
}

/// Copies the lines of a table, and ends the last one.
fn copy(table: &Path, out: &mut impl Write) -> io::Result<()> {
    let mut file = File::open(table)?;
    io::copy(&mut file, out)?;
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last == *b"\n" { Ok(()) } else { out.write_all(b"\n") }
}

fn write_line<'a>(out: &mut impl Write, cells: impl Iterator<Item = Option<&'a str>>) -> io::Result<()> {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            out.write_all(b"\t")?;
        }
        out.write_all(cell.map_or_else(|| r"\N".to_owned(), escaped).as_bytes())?;
    }
    out.write_all(b"\n")
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('\t', r"\t").replace('\n', r"\n").replace('\r', r"\r")
}

/// The cells of a line; `None` when one has an unknown escape sequence.
fn row(line: &str) -> Option<Row> {
    line.split('\t').map(|cell| if cell == r"\N" { Some(None) } else { unescaped(cell).map(Some) }).collect()
}

fn unescaped(cell: &str) -> Option<String> {
    if !cell.contains('\\') {
        return Some(cell.to_owned());
    }
    let (mut text, mut characters) = (String::with_capacity(cell.len()), cell.chars());
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' => match characters.next()? {
                't' => '\t',
                'n' => '\n',
                'r' => '\r',
                '\\' => '\\',
                _ => return None,
            },
            other => other,
        });
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_comes_back_as_it_was_written() {
        for cells in [vec![None, Some("")], vec![Some("\\N"), Some("a\tb\r\nc\\t")], vec![Some("ů")]] {
            let mut line = Vec::new();
            write_line(&mut line, cells.iter().copied()).unwrap();
            let line = String::from_utf8(line).unwrap();
            assert_eq!(line.matches('\n').count(), 1);
            let back = row(line.trim_end_matches('\n')).unwrap();
            assert_eq!(back.iter().map(Option::as_deref).collect::<Vec<_>>(), cells);
        }
    }

    #[test]
    fn an_unknown_escape_sequence_is_rejected() {
        assert_eq!(row(r"a\x"), None);
        assert_eq!(row(r"a\"), None);
    }
}

//! The SQL that reads scanned files with DuckDB: every option is set, so that nothing is sniffed.

use std::collections::HashMap;

use duckdb::Connection;
use osiris_core::problem::nearest;
use osiris_core::store::{quote, quote_text};
use osiris_core::{Code, ColumnType, Error, Result};

use super::scan::copied_delimiter;
use super::source::{Piece, Scanning};
use super::types::{DeclaredType, Reading, internal, reading};
use crate::config::AddFilename;
use crate::error::engine_error;

/// DuckDB's default maximum line size.
const MAX_LINE: usize = 2_000_000;
/// Buffer size of DuckDB's reader per thread, in bytes: a quarter of its default, which is a tenth faster and takes more memory.
const BUFFER: usize = 8_000_000;

/// The placeholder in SQL for the column; it cannot occur in the text of a pipeline.
const COLUMN: &str = "\0";

/// A column of the table.
#[derive(Debug, Clone)]
pub(crate) struct LoadColumn {
    /// Its position in the first file.
    pub(crate) index: usize,
    /// The name in the table.
    pub(crate) name: String,
    /// The type for DuckDB's reader.
    read_as: String,
    /// The value as SQL over [`COLUMN`].
    value: String,
    /// How the configured type parses the text, if values have to be checked.
    pub(crate) checked: Option<Reading>,
}

/// Everything needed to read the files.
pub(crate) struct Load {
    pub(crate) scanning: Scanning,
    columns: Vec<LoadColumn>,
    na_values: Vec<String>,
    filename: Option<String>,
}

/// A row that does not fit a configured type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadValue {
    /// Its number among the rows of its file, from 1.
    pub(crate) row: u64,
    /// The column.
    pub(crate) column: String,
    /// The expected type.
    pub(crate) wanted: String,
    /// The row as JSON.
    pub(crate) json: String,
}

impl Load {
    /// Plans how each column is read: `selected` of the file's columns, with `stated` types by name.
    ///
    /// # Errors
    /// For columns that the file does not have; lists all of them.
    pub(crate) fn new(
        scanning: Scanning,
        selected: Option<&[String]>,
        stated: &dyn Fn(&str) -> Option<DeclaredType>,
        na_values: Vec<String>,
        filename: Option<String>,
    ) -> Result<Self> {
        let indexes = match selected {
            None => (0..scanning.names.len()).collect(),
            Some(names) => find_all(&scanning.names, names, "columns")?,
        };
        let columns: Vec<LoadColumn> =
            indexes.into_iter().map(|index| column(&scanning, index, stated, &na_values)).collect();
        if let Some(filename) = &filename
            && let Some(clash) = columns.iter().find(|column| column.name.eq_ignore_ascii_case(filename))
        {
            return Err(Error::validation(format!("the file already has a column `{}`", clash.name))
                .with_hint(AddFilename::TAKEN));
        }
        Ok(Self { scanning, columns, na_values, filename })
    }

    /// The columns with checked values.
    pub(crate) fn checked(&self) -> impl Iterator<Item = (&LoadColumn, &Reading)> {
        self.columns.iter().filter_map(|column| Some((column, column.checked.as_ref()?)))
    }

    /// A SELECT of the table. Values that do not fit a configured type are an error, or with `drop_bad` their rows are
    /// left out.
    pub(crate) fn select(&self, drop_bad: bool) -> String {
        let selects: Vec<String> = self
            .groups()
            .iter()
            .map(|pieces| {
                let piece = pieces[0];
                let mut values: Vec<String> = self
                    .columns
                    .iter()
                    .map(|column| {
                        let text = internal(piece.places[column.index]);
                        format!("{} AS {}", column.value(&text, drop_bad), quote(&column.name))
                    })
                    .collect();
                if let Some(filename) = &self.filename {
                    values.push(format!("{} AS {}", quote_text(&piece.source.name), quote(filename)));
                }
                let bad = self.bad(piece);
                let filter = if drop_bad && !bad.is_empty() { format!(" WHERE NOT ({bad})") } else { String::new() };
                format!("SELECT {} FROM {}{filter}", values.join(", "), self.read(pieces))
            })
            .collect();
        selects.join("\nUNION ALL\n")
    }

    /// The first `keep` rows of a file that do not fit a configured type, in order, and the number of all of them.
    ///
    /// # Errors
    /// When DuckDB cannot read the file.
    pub(crate) fn bad_values(&self, connection: &Connection, piece: &Piece, keep: u64) -> Result<(Vec<BadValue>, u64)> {
        let failed = |error| engine_error(error, &piece.source.name, "could not be read");
        let select = self.select_bad(piece);
        let count: u64 = connection
            .query_row(&format!("SELECT CAST(count(*) AS UBIGINT) FROM ({select})"), [], |row| row.get(0))
            .map_err(failed)?;
        let checked: Vec<_> = self.checked().collect();
        let mut statement =
            connection.prepare(&format!("{select} ORDER BY row_number LIMIT {keep}")).map_err(failed)?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, usize>(1)?, row.get::<_, String>(2)?)))
            .map_err(failed)?;
        let bad = rows.map(|row| {
            let (row, place, json) = row.map_err(failed)?;
            let (column, reading) = checked[place];
            Ok(BadValue { row, column: column.name.clone(), wanted: reading.name.clone(), json })
        });
        Ok((bad.collect::<Result<_>>()?, count))
    }

    /// A SELECT of the rows of a file that do not fit a configured type: row number, position among the checked
    /// columns, the row as JSON.
    fn select_bad(&self, piece: &Piece) -> String {
        let cases: Vec<String> = self
            .checked()
            .enumerate()
            .map(|(place, (column, reading))| {
                format!("WHEN {} THEN {place}", refuses(reading, &internal(piece.places[column.index])))
            })
            .collect();
        let fields: Vec<String> = self
            .columns
            .iter()
            .map(|column| format!("{}: {}", quote_text(&column.name), internal(piece.places[column.index])))
            .collect();
        format!(
            "SELECT row_number, CAST(CASE {} END AS UBIGINT) AS place, CAST(to_json({{{}}}) AS VARCHAR) AS line
             FROM (SELECT CAST(row_number() OVER () AS UBIGINT) AS row_number, * FROM {}) WHERE {}",
            cases.join(" "),
            fields.join(", "),
            self.read(&[piece]),
            self.bad(piece)
        )
    }

    /// Whether a value of a row does not fit its configured type.
    fn bad(&self, piece: &Piece) -> String {
        let bad: Vec<String> =
            self.checked().map(|(column, reading)| refuses(reading, &internal(piece.places[column.index]))).collect();
        bad.join(" OR ")
    }

    /// Files that one call of the reader can read: consecutive ones with the same layout.
    fn groups(&self) -> Vec<Vec<&Piece>> {
        let mut groups: Vec<Vec<&Piece>> = Vec::new();
        for piece in &self.scanning.pieces {
            let alike = |other: &Piece| {
                self.filename.is_none()
                    && (other.copied, other.delimiter, other.preamble, other.new_line, &other.places)
                        == (piece.copied, piece.delimiter, piece.preamble, piece.new_line, &piece.places)
            };
            match groups.last_mut() {
                Some(group) if alike(group[0]) => group.push(piece),
                _ => groups.push(vec![piece]),
            }
        }
        groups
    }

    /// The rows of each call of the reader.
    pub(crate) fn scans(&self) -> Vec<u64> {
        self.groups().iter().map(|pieces| pieces.iter().map(|piece| piece.rows).sum()).collect()
    }

    /// No name is a pattern: the run store cannot access such files, which are read from the scratch directory.
    fn read(&self, pieces: &[&Piece]) -> String {
        let first = pieces[0];
        let mut types = vec!["VARCHAR"; first.places.len()];
        for column in &self.columns {
            types[first.places[column.index]] = &column.read_as;
        }
        let columns: Vec<String> =
            types.iter().enumerate().map(|(index, name)| format!("'c{index}': {}", quote_text(name))).collect();
        let files: Vec<String> = pieces.iter().map(|piece| quote_text(&piece.path.display().to_string())).collect();
        let nulls: Vec<String> = if first.copied { Vec::new() } else { self.na_values.clone() };
        let nulls: Vec<String> = [String::new()].iter().chain(&nulls).map(|text| quote_text(text)).collect();
        let skip = if first.copied { 0 } else { first.preamble };
        let longest = pieces.iter().map(|piece| piece.longest).max().unwrap_or(0);
        let buffers = if longest > MAX_LINE {
            // One buffer holds the longest line: read sequentially, or every thread would have its own.
            format!(", max_line_size = {}, buffer_size = {}, parallel = false", longest + 64, longest + 1024)
        } else {
            format!(", buffer_size = {BUFFER}")
        };
        let delimiter = if first.copied { copied_delimiter(first.delimiter) } else { first.delimiter };
        format!(
            "read_csv([{}], auto_detect = false, header = false, skip = {skip}, delim = {}, new_line = {}, quote = '\"', \
             escape = '\"', nullstr = [{}], allow_quoted_nulls = false, columns = {{{}}}{buffers})",
            files.join(", "),
            quote_text(&char::from(delimiter).to_string()),
            quote_text(first.new_line),
            nulls.join(", "),
            columns.join(", ")
        )
    }
}

impl LoadColumn {
    fn value(&self, text: &str, drop_bad: bool) -> String {
        match &self.checked {
            None => self.value.replace(COLUMN, text),
            Some(reading) if drop_bad => reading.value.replace(COLUMN, text),
            Some(reading) => format!(
                "CASE WHEN {} THEN error('a value does not fit its declared type') ELSE {} END",
                refuses(reading, text),
                reading.value.replace(COLUMN, text)
            ),
        }
    }
}

fn refuses(reading: &Reading, text: &str) -> String {
    format!("({}) IS NOT NULL AND NOT ({})", reading.text.replace(COLUMN, text), reading.fits.replace(COLUMN, text))
}

fn column(
    scanning: &Scanning,
    index: usize,
    stated: &dyn Fn(&str) -> Option<DeclaredType>,
    na_values: &[String],
) -> LoadColumn {
    let name = scanning.names[index].clone();
    let profile = &scanning.profiles[index];
    let stated = stated(&name);
    let (wanted, native) = match &stated {
        None => (profile.column_type(), true),
        Some(DeclaredType::Type(stated)) => (stated.clone(), profile.fits(stated)),
        Some(DeclaredType::Dates) => {
            let inferred = profile.column_type();
            let dates = matches!(inferred, ColumnType::Date | ColumnType::Timestamp | ColumnType::Instant);
            (inferred, dates)
        }
        Some(DeclaredType::Format(_)) => (ColumnType::Varchar, false),
    };
    let null_texts = |empty: bool| {
        let texts: Vec<String> = empty.then(String::new).iter().chain(na_values).map(|text| quote_text(text)).collect();
        if profile.quoted_null && !texts.is_empty() {
            format!("CASE WHEN {COLUMN} IN ({}) THEN NULL ELSE {COLUMN} END", texts.join(", "))
        } else {
            COLUMN.to_owned()
        }
    };
    if let (Some(stated), false) = (&stated, native) {
        let checked = reading(stated, &null_texts(true));
        return LoadColumn { index, name, read_as: "VARCHAR".to_owned(), value: String::new(), checked: Some(checked) };
    }
    let text = null_texts(wanted != ColumnType::Varchar);
    let (read_as, value) = match &wanted {
        ColumnType::Varchar => ("VARCHAR".to_owned(), text),
        ColumnType::Instant => ("VARCHAR".to_owned(), format!("CAST({text} AS TIMESTAMP WITH TIME ZONE)")),
        other if profile.quoted_null => ("VARCHAR".to_owned(), format!("CAST({text} AS {})", other.sql())),
        other => (other.sql(), COLUMN.to_owned()),
    };
    LoadColumn { index, name, read_as, value, checked: None }
}

/// The positions of `wanted` in `names`.
///
/// # Errors
/// For missing names; lists all of them.
pub(crate) fn find_all(names: &[String], wanted: &[String], field: &str) -> Result<Vec<usize>> {
    let known: HashMap<String, usize> =
        names.iter().enumerate().map(|(place, name)| (name.to_lowercase(), place)).collect();
    let mut missing = Vec::new();
    let mut places = Vec::new();
    for name in wanted {
        match known.get(&name.to_lowercase()).copied() {
            Some(place) => places.push(place),
            None => missing.push(match nearest(name, names.iter().map(String::as_str)) {
                Some(similar) => format!("`{name}` (did you mean `{similar}`?)"),
                None => format!("`{name}`"),
            }),
        }
    }
    if missing.is_empty() {
        return Ok(places);
    }
    let shown: Vec<&str> = names.iter().take(20).map(String::as_str).collect();
    let more =
        if names.len() > shown.len() { format!(", and {} more", names.len() - shown.len()) } else { String::new() };
    Err(Error::validation(format!("`{field}` names columns that the file does not have: {}", missing.join(", ")))
        .with_code(Code::ColumnNotFound)
        .with_hint(format!("its columns: {}{more}", shown.join(", "))))
}

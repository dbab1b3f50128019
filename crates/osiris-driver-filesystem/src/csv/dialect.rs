//! The CSV dialect, parsed from the configuration.

use osiris_core::Problem;

use super::encoding::Charset;
use crate::config::{CsvExtractorConfig, Header};

/// The dialect of a file to read.
#[derive(Debug, Clone)]
pub(crate) struct Dialect {
    /// None: by the extension.
    delimiter: Option<u8>,
    pub(crate) comment: Option<u8>,
    pub(crate) charset: Charset,
    pub(crate) header: Header,
    pub(crate) skip_rows: u64,
    pub(crate) skip_blank_lines: Option<bool>,
    pub(crate) na_values: Vec<String>,
}

impl Dialect {
    /// The dialect of the configuration.
    ///
    /// # Errors
    /// All of its problems.
    pub(crate) fn new(config: &CsvExtractorConfig) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut keep = |result: Result<Option<u8>, Problem>| {
            result.unwrap_or_else(|problem| {
                problems.push(problem);
                None
            })
        };
        let delimiter = keep(delimiter(config.delimiter.as_deref()));
        let comment = keep(single("/comment", config.comment.as_deref()));
        let charset = Charset::named(&config.encoding);
        if let Err(problem) = &charset {
            problems.push(problem.clone());
        }
        if comment.is_some() && comment == delimiter {
            problems.push(Problem::error("/comment", "conflicts with the delimiter"));
        }
        match (charset, problems.is_empty()) {
            (Ok(charset), true) => Ok(Self {
                delimiter,
                comment,
                charset,
                header: config.header,
                skip_rows: config.skip_rows,
                skip_blank_lines: config.skip_blank_lines,
                na_values: config.na_values.iter().filter(|text| !text.is_empty()).cloned().collect(),
            }),
            _ => Err(problems),
        }
    }

    /// The dialect of a file written by a writer.
    pub(crate) fn of_output(delimiter: u8, charset: Charset) -> Self {
        Self {
            delimiter: Some(delimiter),
            comment: None,
            charset,
            header: Header::Present(true),
            skip_rows: 0,
            skip_blank_lines: None,
            na_values: Vec::new(),
        }
    }

    /// The delimiter of the file `name`.
    pub(crate) fn delimiter(&self, name: &str) -> u8 {
        self.delimiter.unwrap_or_else(|| default_delimiter(name))
    }

    /// Whether empty lines are skipped in a file of `width` columns.
    pub(crate) fn skips_blank_lines(&self, width: usize) -> bool {
        self.skip_blank_lines.unwrap_or(width > 1)
    }
}

/// A tab for `.tsv`, also when compressed; else a comma.
pub(crate) fn default_delimiter(name: &str) -> u8 {
    let lower = name.to_ascii_lowercase();
    if lower.ends_with(".tsv") || lower.contains(".tsv.") { b'\t' } else { b',' }
}

/// The delimiter as configured.
///
/// # Errors
/// When it is not one ASCII character, or a reserved one.
pub(crate) fn delimiter(text: Option<&str>) -> Result<Option<u8>, Problem> {
    let text = match text {
        Some("\\t" | "tab") => Some("\t"),
        other => other,
    };
    single("/delimiter", text)
}

/// The problem with a configured quote character.
pub(crate) fn quote_problem(text: Option<&str>) -> Option<Problem> {
    text.filter(|text| *text != "\"").map(|_| {
        Problem::error("/quotechar", "must be `\"`: no other quote character is supported")
            .with_hint("remove it; convert files with other quotes first")
    })
}

fn single(pointer: &str, text: Option<&str>) -> Result<Option<u8>, Problem> {
    match text.map(str::as_bytes) {
        None => Ok(None),
        Some([b'"' | b'\n' | b'\r' | 0]) => {
            Err(Problem::error(pointer, "must not be a quote, a line end or NUL").with_hint("such as `,`, `;`, `|`"))
        }
        Some([byte]) if byte.is_ascii() => Ok(Some(*byte)),
        Some(_) => {
            Err(Problem::error(pointer, "must be one ASCII character").with_hint("such as `,`, `;`, `|` or `\\t`"))
        }
    }
}

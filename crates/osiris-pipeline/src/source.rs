//! The text of a file that a person wrote, and where its lines begin. It reads files; it understands none of them.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use osiris_core::Code;

use crate::diagnostic::{Diagnostic, Diagnostics};

/// The largest file that is read, in bytes. A pipeline of a thousand steps has a tenth of it.
pub const MAX_FILE_BYTES: usize = 2 * 1024 * 1024;

/// A range of bytes of a [`SourceFile`], end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte behind the last one.
    pub end: usize,
}

impl Span {
    /// From `start` to `end`, exclusive.
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The smallest span that holds both.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self::new(self.start.min(other.start), self.end.max(other.end))
    }
}

/// A place in a file as people count: line and column from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A file as it was read, named as the user named it.
pub struct SourceFile {
    name: String,
    path: Option<PathBuf>,
    text: String,
    line_starts: Vec<usize>,
    confidential: bool,
    is_value: bool,
}

impl SourceFile {
    /// Text that came from somewhere else than a file, such as standard input. Relative paths in it start at the
    /// current directory.
    pub fn from_text(name: impl Into<String>, text: impl Into<String>) -> Self {
        let mut text: String = text.into();
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(index, _)| index + 1);
        let line_starts = std::iter::once(0).chain(starts).collect();
        Self { name: name.into(), path: None, text, line_starts, confidential: false, is_value: false }
    }

    /// A value that a program made instead of a file: problems with it are named by their path, such as
    /// `steps[2].config.mode`, and no line of it is shown. For connections, [`confidential`](Self::confidential) as well.
    /// Relative paths in it start at the current directory, or where [`with_path`](Self::with_path) says.
    pub fn from_value(name: impl Into<String>, value: &serde_json::Value) -> Self {
        // JSON is YAML: one parser for both.
        Self { is_value: true, ..Self::from_text(name, format!("{value:#}")) }
    }

    /// Whether it was made of a value, so that its text is nobody's.
    pub(crate) fn is_value(&self) -> bool {
        self.is_value
    }

    /// The same, with the path that the text belongs to.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Reads a file of at most [`MAX_FILE_BYTES`].
    ///
    /// # Errors
    /// It is missing, a directory, not readable, too large, or not UTF-8.
    pub fn read(path: &Path) -> Result<Self, Diagnostics> {
        Self::read_named(path, path.display().to_string())
    }

    /// The same, shown under another name.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_named(path: &Path, name: impl Into<String>) -> Result<Self, Diagnostics> {
        let name = name.into();
        let bytes = read_bytes(path).map_err(|error| unreadable(&name, path, &error))?;
        if bytes.len() > MAX_FILE_BYTES {
            let message = format!("`{name}` is larger than {} MiB", MAX_FILE_BYTES / 1024 / 1024);
            return Err(Diagnostic::error(message).with_hint("is this the right file? Pipelines hold no data").into());
        }
        let text = String::from_utf8(bytes).map_err(|error| not_utf8(&name, &error))?;
        Ok(Self::from_text(name, text).with_path(path))
    }

    /// Marks a file that holds secrets: when it cannot be parsed, no line of it is shown.
    #[must_use]
    pub fn confidential(mut self) -> Self {
        self.confidential = true;
        self
    }

    /// Whether no line may be shown that has not been searched for secrets.
    pub fn is_confidential(&self) -> bool {
        self.confidential
    }

    /// The name to show.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it was read from.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Where relative paths in it start: its own directory, or the current one for text without a path.
    pub fn directory(&self) -> PathBuf {
        match self.path.as_deref().and_then(Path::parent) {
            Some(parent) if parent != Path::new("") => parent.to_path_buf(),
            _ => PathBuf::from("."),
        }
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A part of it; empty when the span lies outside.
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    /// The line and column of a byte.
    pub fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts[line - 1];
        let column = self.text.get(start..offset).map_or(0, |before| before.chars().count()) + 1;
        Position { line, column }
    }

    /// A line without its line break; lines count from 1.
    pub fn line(&self, line: usize) -> Span {
        let start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len());
        let end = self.line_starts.get(line).copied().unwrap_or(self.text.len());
        let text = self.text.get(start..end).unwrap_or_default();
        let text = text.strip_suffix('\n').unwrap_or(text);
        Span::new(start, start + text.strip_suffix('\r').unwrap_or(text).len())
    }

    /// How many lines there are, the empty one behind a last line break included.
    pub fn line_count(&self) -> usize {
        self.line_starts.len()
    }
}

impl fmt::Debug for SourceFile {
    /// The name only: the text may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceFile({})", self.name)
    }
}

fn read_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    let limit = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(name: &str, path: &Path, error: &std::io::Error) -> Diagnostics {
    use std::io::ErrorKind;
    let (code, message, hint) = match error.kind() {
        ErrorKind::NotFound => (Code::FileNotFound, format!("no file `{name}`"), similar_file(path)),
        ErrorKind::IsADirectory => (Code::FileNotFound, format!("`{name}` is a directory, not a file"), None),
        ErrorKind::PermissionDenied => (Code::PermissionDenied, format!("`{name}`: permission denied"), None),
        _ => (Code::Unexpected, format!("`{name}` cannot be read: {error}"), None),
    };
    let diagnostic = Diagnostic::error(message).with_code(code);
    match hint {
        Some(hint) => diagnostic.with_hint(hint).into(),
        None => diagnostic.into(),
    }
}

/// A file in the same directory with a similar name.
fn similar_file(path: &Path) -> Option<String> {
    let wanted = path.file_name()?.to_str()?;
    let parent = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Some(format!("there is no directory `{}` either", parent.display()));
    };
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    osiris_core::problem::nearest(wanted, names.iter().map(String::as_str))
        .map(|similar| format!("did you mean `{similar}`?"))
}

fn not_utf8(name: &str, error: &std::string::FromUtf8Error) -> Diagnostics {
    let valid = error.utf8_error().valid_up_to();
    let line = error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count() + 1;
    Diagnostic::error(format!("`{name}` is not UTF-8: line {line} holds a byte that is not"))
        .with_code(Code::InvalidEncoding)
        .with_hint("save the file as UTF-8")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let source = SourceFile::from_text("x", "\u{feff}äb\r\nc\n");
        assert_eq!(source.position(0), Position { line: 1, column: 1 });
        assert_eq!(source.position(2), Position { line: 1, column: 2 });
        assert_eq!(source.position(5), Position { line: 2, column: 1 });
        assert_eq!(source.position(999), Position { line: 3, column: 1 });
        assert_eq!(source.slice(source.line(1)), "äb");
        assert_eq!(source.slice(source.line(2)), "c");
        assert_eq!(source.slice(source.line(9)), "");
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let read = |name: &str| SourceFile::read_named(&at(name), name).unwrap_err().to_string();
        std::fs::write(at("movies.yaml"), "x").unwrap();
        std::fs::write(at("latin.yaml"), b"a: 1\nb: \xe4\n").unwrap();
        std::fs::write(at("huge.yaml"), vec![b' '; MAX_FILE_BYTES + 1]).unwrap();
        std::fs::create_dir(at("dir.yaml")).unwrap();
        insta::assert_snapshot!(read("movie.yaml"), @r"
        error: no file `movie.yaml`
        hint: did you mean `movies.yaml`?
        ");
        insta::assert_snapshot!(read("dir.yaml"), @"error: `dir.yaml` is a directory, not a file");
        insta::assert_snapshot!(read("latin.yaml"), @r"
        error: `latin.yaml` is not UTF-8: line 2 holds a byte that is not
        hint: save the file as UTF-8
        ");
        insta::assert_snapshot!(read("huge.yaml"), @r"
        error: `huge.yaml` is larger than 2 MiB
        hint: is this the right file? Pipelines hold no data
        ");
    }
}

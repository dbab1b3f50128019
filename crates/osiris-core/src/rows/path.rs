//! Where the rows of a document are: the part of JSONPath (RFC 9535) that leads there without a search.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// The path from the document to its rows, such as `data.items` or `$.data.issues.edges[*].node`.
///
/// The value there is one row, or an array of rows. A path that ends in `[*]` names the rows themselves: an array there
/// is one row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowPath(pub(super) Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Name(String),
    Index(usize),
    Each,
}

impl RowPath {
    /// The document itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// A member of a member of the document, and so on.
    pub fn names<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self(names.into_iter().map(|name| Segment::Name(name.into())).collect())
    }

    /// Whether the last step is `[*]`.
    pub(super) fn names_rows(&self) -> bool {
        self.0.last() == Some(&Segment::Each)
    }
}

impl fmt::Display for RowPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        self.0.iter().try_for_each(|segment| write!(f, "{segment}"))
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |name: &str| name.chars().all(|c| c.is_alphanumeric() || c == '_');
        match self {
            Self::Name(name) if plain(name) => write!(f, ".{name}"),
            Self::Name(name) => write!(f, "['{}']", name.replace('\\', "\\\\").replace('\'', "\\'")),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Each => f.write_str("[*]"),
        }
    }
}

impl FromStr for RowPath {
    type Err = Error;

    /// Reads `a.b`, `$.a.b`, `$['a b'][0]`, `a[*].b`, `a.*`. Searches (`..`), filters and slices are refused: they cannot be
    /// followed without keeping the whole document.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = |at: &str| {
            Error::validation(format!("invalid path to rows `{text}`: unsupported syntax at `{at}`"))
                .with_hint("write names, `[n]` and `[*]`, such as `data.items` or `$.data.edges[*].node`")
        };
        let mut segments = Vec::new();
        let mut rest = text.trim();
        if let Some(after) = rest.strip_prefix('$') {
            rest = after;
        } else if !rest.is_empty() && !rest.starts_with('[') {
            let (segment, after) = name(rest).ok_or_else(|| refused(rest))?;
            segments.push(segment);
            rest = after;
        }
        while !rest.is_empty() {
            let step = match rest.strip_prefix('.') {
                Some(after) => name(after),
                None => rest.strip_prefix('[').and_then(bracket),
            };
            let (segment, after) = step.ok_or_else(|| refused(rest))?;
            segments.push(segment);
            rest = after;
        }
        Ok(Self(segments))
    }
}

/// A name or `*`, up to the next dot or bracket.
fn name(text: &str) -> Option<(Segment, &str)> {
    let end = text.find(['.', '[', ']', '\'', '"', ' ']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    match name {
        "" => None,
        "*" => Some((Segment::Each, rest)),
        _ => Some((Segment::Name(name.to_owned()), rest)),
    }
}

/// What is in brackets; `text` begins after the opening one.
fn bracket(text: &str) -> Option<(Segment, &str)> {
    let text = text.trim_start();
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let Some(quote) = quote else {
        let (inside, rest) = text.split_once(']')?;
        let inside = inside.trim();
        let segment = if inside == "*" { Segment::Each } else { Segment::Index(inside.parse().ok()?) };
        return Some((segment, rest));
    };
    let mut name = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            name.push(chars.next()?.1);
        } else if c == quote {
            let rest = text[at + 1..].trim_start().strip_prefix(']')?;
            return Some((Segment::Name(name), rest));
        } else {
            name.push(c);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_in_both_notations() {
        for (text, shown) in [
            ("", "$"),
            ("$", "$"),
            ("data", "$.data"),
            ("data.items", "$.data.items"),
            ("$.data.edges[*].node", "$.data.edges[*].node"),
            ("$['a b'][0][ * ]", "$['a b'][0][*]"),
            ("[*]", "$[*]"),
            ("a.*", "$.a[*]"),
            (r#"$["it's"]"#, r"$['it\'s']"),
        ] {
            let path: RowPath = text.parse().unwrap();
            assert_eq!(path.to_string(), shown);
            assert_eq!(path.to_string().parse::<RowPath>().unwrap(), path);
        }
    }

    #[test]
    fn searches_filters_and_slices_are_refused_with_the_place() {
        for text in ["$..a", "a..b", "a[?@.b > 1]", "a[0:2]", "a.", "a['b'", "a b", "$a", "a[-1]"] {
            let error = text.parse::<RowPath>().unwrap_err();
            assert!(error.message().contains("invalid path to rows"), "{text}: {error:?}");
        }
    }
}

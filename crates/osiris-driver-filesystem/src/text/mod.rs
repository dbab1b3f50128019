//! What the writers of text have in common: values as text, files that are written in the background and appear whole, one
//! or many.

mod date;
mod ends;
mod field;
mod json;
mod output;
mod write;

use chrono::format::Item;

pub(crate) use ends::{last_byte, last_of};
pub(crate) use field::{Values, date_items, nulls};
pub(crate) use json::{embedded, not_finite, string};
pub(crate) use write::{CHUNK_ROWS, TextFile, TextFormat, TextWriteTask, columns};

/// How values are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style<'a> {
    /// What stands between the date and the time of day of a timestamp.
    separator: u8,
    /// What follows a point in time.
    utc: &'static [u8],
    /// The format of dates and timestamps, where it is configured.
    dates: Option<&'a [Item<'a>]>,
    /// Whether nested values are JSON all through: JSON in them is embedded, NaN and infinity are errors. They are strings
    /// else.
    strict: bool,
}

impl<'a> Style<'a> {
    /// As DuckDB writes them: `2024-01-31 12:00:00+00:00`.
    pub(crate) fn plain(dates: Option<&'a [Item<'a>]>) -> Self {
        Self { separator: b' ', utc: b"+00:00", dates, strict: false }
    }

    /// As JSON is written on the internet, by RFC 3339: `2024-01-31T12:00:00Z`.
    pub(crate) const fn json() -> Self {
        Self { separator: b'T', utc: b"Z", dates: None, strict: true }
    }

    /// The style of nested values.
    fn inside(self) -> Style<'static> {
        Style { separator: self.separator, utc: self.utc, dates: None, strict: self.strict }
    }
}

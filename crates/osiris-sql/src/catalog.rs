//! Rows of a server's catalog, which arrive as text.

use osiris_core::Error;

/// A field of a row; empty where it is NULL.
pub fn cell(row: &[Option<String>], index: usize) -> &str {
    row.get(index).and_then(Option::as_deref).unwrap_or_default()
}

/// Reads the fields of a row in order.
#[derive(Debug)]
pub struct CatalogRow {
    fields: std::vec::IntoIter<Option<String>>,
    unexpected: fn() -> Error,
}

impl CatalogRow {
    /// The fields of `row`; `unexpected` is the error of a NULL where there must be none.
    pub fn new(row: Vec<Option<String>>, unexpected: fn() -> Error) -> Self {
        Self { fields: row.into_iter(), unexpected }
    }

    /// A text, or NULL.
    pub fn optional(&mut self) -> Option<String> {
        self.fields.next().flatten()
    }

    /// A text.
    ///
    /// # Errors
    /// NULL.
    pub fn text(&mut self) -> Result<String, Error> {
        self.optional().ok_or_else(self.unexpected)
    }

    /// A count; `None` for NULL and for a negative number.
    pub fn number(&mut self) -> Option<u64> {
        self.optional()?.parse().ok()
    }
}

/// A size in megabytes, rounded to three digits.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
pub fn megabytes(bytes: u64) -> f64 {
    (bytes as f64 / f64::from(1 << 20) * 1000.0).round() / 1000.0
}

//! A small table as text: what a test expects, and what it finds.

use std::fmt::Write as _;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use osiris_core::{Error, Result};

/// One row: a text for each column, `None` for NULL.
pub type Row = Vec<Option<String>>;

/// A table as text. Numbers are written without grouping, decimals with all digits of their scale, dates as
/// `2024-01-31`, timestamps as `2024-01-31 12:00:00` with a fraction where there is one, booleans as `true` and `false`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    columns: Vec<String>,
    types: Option<Vec<String>>,
    rows: Vec<Row>,
}

impl Rows {
    /// No rows yet.
    pub fn new<S: Into<String>>(columns: impl IntoIterator<Item = S>) -> Self {
        Self { columns: columns.into_iter().map(Into::into).collect(), types: None, rows: Vec::new() }
    }

    /// The types that the store must have for the columns, in its names, such as `BIGINT`.
    #[must_use]
    pub fn with_types<S: Into<String>>(mut self, types: impl IntoIterator<Item = S>) -> Self {
        self.types = Some(types.into_iter().map(Into::into).collect());
        self
    }

    /// Whether types are promised.
    pub fn has_types(&self) -> bool {
        self.types.is_some()
    }

    /// Adds a row.
    pub fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Adds a row of texts, without NULL.
    #[must_use]
    pub fn row<S: Into<String>>(mut self, values: impl IntoIterator<Item = S>) -> Self {
        self.rows.push(values.into_iter().map(|value| Some(value.into())).collect());
        self
    }

    /// The rows of Arrow batches, as text. Columns come from the first batch.
    ///
    /// # Errors
    /// A type that cannot be written as text.
    pub fn from_batches(batches: &[RecordBatch]) -> Result<Self> {
        let mut rows = batches.first().map_or_else(Self::default, |batch| {
            Self::new(batch.schema().fields().iter().map(|field| field.name().clone()))
        });
        for batch in batches {
            rows.append(batch)?;
        }
        Ok(rows)
    }

    fn append(&mut self, batch: &RecordBatch) -> Result<()> {
        let options = FormatOptions::new()
            .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
            .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f+00:00"));
        let unreadable = |error| Error::unknown("a column could not be written as text").with_source(error);
        let formatters = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<Result<Vec<_>, _>>()
            .map_err(unreadable)?;
        for index in 0..batch.num_rows() {
            let cells = batch.columns().iter().zip(&formatters);
            self.rows.push(
                cells
                    .map(|(column, formatter)| (!column.is_null(index)).then(|| formatter.value(index).to_string()))
                    .collect(),
            );
        }
        Ok(())
    }

    /// The column names.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The rows, in order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// These rows, then those of `other`, whose columns are brought into this order; one that is not there is NULL.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        let order: Vec<_> =
            self.columns.iter().map(|name| other.columns.iter().position(|column| column == name)).collect();
        let aligned = |row: &Row| order.iter().map(|index| row.get((*index)?).cloned().flatten()).collect();
        self.rows.extend(other.rows.iter().map(aligned));
        self
    }

    /// How `found` differs, in words; nothing when it has the same columns and rows, in whatever order. Types are
    /// compared when both sides have them.
    pub fn difference(&self, found: &Self) -> Option<String> {
        let (wanted, present) = (self.in_order(), found.in_order());
        if wanted.columns != present.columns {
            return Some(format!("expected the columns {:?}, found {:?}", wanted.columns, present.columns));
        }
        if let (Some(wanted), Some(present)) = (&wanted.types, &present.types)
            && wanted != present
        {
            return Some(format!("expected the types {wanted:?}, found {present:?}"));
        }
        let mut text = String::new();
        if self.len() != found.len() {
            let _ = write!(text, "expected {} rows, found {}. ", self.len(), found.len());
        }
        if let Some(row) = first_only_in(&wanted.rows, &present.rows) {
            let _ = write!(text, "Missing: {row:?}. ");
        }
        if let Some(row) = first_only_in(&present.rows, &wanted.rows) {
            let _ = write!(text, "Not expected: {row:?}. ");
        }
        (!text.is_empty()).then(|| text.trim_end().to_owned())
    }

    /// Columns sorted by name, rows by value.
    fn in_order(&self) -> Self {
        let mut order: Vec<usize> = (0..self.columns.len()).collect();
        order.sort_by(|a, b| self.columns[*a].cmp(&self.columns[*b]));
        let mut rows: Vec<Row> =
            self.rows.iter().map(|row| order.iter().map(|i| row.get(*i).cloned().flatten()).collect()).collect();
        rows.sort();
        Self {
            columns: order.iter().map(|i| self.columns[*i].clone()).collect(),
            types: self.types.as_ref().map(|types| order.iter().filter_map(|i| types.get(*i).cloned()).collect()),
            rows,
        }
    }
}

/// The first of the sorted `rows` that `others`, sorted too, has fewer times.
fn first_only_in<'a>(rows: &'a [Row], others: &[Row]) -> Option<&'a Row> {
    let mut others = others.iter().peekable();
    for row in rows {
        while others.peek().is_some_and(|other| *other < row) {
            others.next();
        }
        if others.next_if(|other| *other == row).is_none() {
            return Some(row);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_rows_and_columns_does_not_matter_but_counts_do() {
        let one = Rows::new(["a", "b"]).row(["1", "x"]).row(["2", "y"]);
        let two = Rows::new(["b", "a"]).row(["y", "2"]).row(["x", "1"]);
        assert_eq!(one.difference(&two), None);
        let twice = two.clone().row(["x", "1"]);
        assert_eq!(
            one.difference(&twice).unwrap(),
            r#"expected 2 rows, found 3. Not expected: [Some("1"), Some("x")]."#
        );
        let mut null = Rows::new(["a", "b"]).row(["2", "y"]);
        null.push(vec![Some("1".to_owned()), None]);
        assert!(one.difference(&null).unwrap().starts_with("Missing"));
    }

    #[test]
    fn rows_are_added_by_the_names_of_their_columns() {
        let both = Rows::new(["a", "b"]).row(["1", "x"]).and(&Rows::new(["b", "a"]).row(["y", "2"]));
        assert_eq!(both.rows()[1], [Some("2".to_owned()), Some("y".to_owned())]);
    }

    #[test]
    fn types_are_compared_when_both_sides_have_them() {
        let one = Rows::new(["a"]).with_types(["BIGINT"]);
        assert!(one.difference(&Rows::new(["a"]).with_types(["VARCHAR"])).is_some());
        assert_eq!(one.difference(&Rows::new(["a"])), None);
    }
}

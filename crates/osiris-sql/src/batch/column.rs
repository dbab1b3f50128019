//! The columns of a source: what each becomes, and how its values are decoded.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use osiris_core::{Code, Error, Result};

use super::Values;

/// The most digits of a decimal of the run store.
pub const MAX_DECIMAL_DIGITS: u32 = 38;

/// A column whose type is known before the first row.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ColumnPlan<D> {
    /// The column of the batches, whose name is that of the source's column.
    pub field: Field,
    /// How its values are decoded.
    pub decoder: D,
}

impl<D> ColumnPlan<D> {
    /// Values decoded by `decoder` become `field`.
    pub fn new(field: Field, decoder: D) -> Self {
        Self { field, decoder }
    }

    /// The name of the column.
    pub fn name(&self) -> &str {
        self.field.name()
    }
}

/// How the values of one column are decoded.
pub trait Decoder: Clone {
    /// A value as the source sends it: its bytes, or its bytes with their type where each value has its own.
    type Value<'a>;
    /// Why a value was rejected.
    type Refused;

    /// The size of a value, in bytes.
    fn size(value: &Self::Value<'_>) -> usize;

    /// Appends a value. Returns whether it was altered, as a policy of the step allows.
    ///
    /// # Errors
    /// A value that the column's type cannot hold.
    fn decode(&mut self, value: Self::Value<'_>, values: &mut Values) -> Result<bool, Self::Refused>;

    /// Why a text was rejected whose encoding is invalid, which is found when the batch is full.
    fn invalid_text() -> Self::Refused;

    /// The error for the user: the column `name` and what to do, never the value.
    fn error(&self, name: &str, refused: Self::Refused) -> Error;
}

/// Why a value was rejected, and what to do; never the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueError {
    what: &'static str,
    hint: &'static str,
    is_malformed: bool,
}

impl ValueError {
    /// `what` follows the name of the column: `has invalid UTF-8`.
    pub const fn new(what: &'static str, hint: &'static str) -> Self {
        Self { what, hint, is_malformed: false }
    }

    /// Bytes that are not a value of the type, which the driver did not expect.
    pub const fn malformed(hint: &'static str) -> Self {
        Self { what: "has a value in an unexpected format", hint, is_malformed: true }
    }

    /// The error for the user.
    pub fn in_column(self, name: &str) -> Error {
        let message = format!("column `{name}` {}", self.what);
        let error = if self.is_malformed { Error::unknown(message) } else { Error::validation(message) };
        let error = if self.is_malformed { error } else { error.with_code(Code::ValueDoesNotFit) };
        error.with_hint(self.hint)
    }
}

/// The plans of all columns of a source.
///
/// # Errors
/// Every column that cannot be mapped, each with advice.
pub fn column_plans<P>(plans: impl Iterator<Item = Result<P, String>>, hint: &'static str) -> Result<Vec<P>> {
    let (mut planned, mut problems) = (Vec::new(), Vec::new());
    for plan in plans {
        match plan {
            Ok(plan) => planned.push(plan),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        return Ok(planned);
    }
    Err(Error::validation(format!("columns without an exact type: {}", problems.join("; "))).with_hint(hint))
}

/// The schema of the batches of these columns.
pub fn schema<D>(plans: &[ColumnPlan<D>]) -> SchemaRef {
    Arc::new(Schema::new(plans.iter().map(|plan| plan.field.clone()).collect::<Vec<_>>()))
}

/// A column of UUIDs.
pub fn uuid_field(name: &str) -> Field {
    Field::new(name, DataType::FixedSizeBinary(16), true)
        .with_metadata([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_value_is_the_users_to_fix_and_one_of_a_wrong_form_is_not() {
        let refused = ValueError::new("has invalid UTF-8", "read the bytes").in_column("c");
        assert_eq!(
            (refused.kind(), refused.message()),
            (osiris_core::ErrorKind::Validation, "column `c` has invalid UTF-8")
        );
        assert_eq!(ValueError::malformed("run again").in_column("c").kind(), osiris_core::ErrorKind::Unknown);
    }
}

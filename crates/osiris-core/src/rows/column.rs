//! A column being built: values of one type at a time. When the type cannot hold a value exactly, the caller is told
//! which wider type it needs, by the store's lattice. A value keeps its JSON type: where a column meets values of
//! several, or numbers that no type of numbers holds, it becomes JSON, whatever came first. A number that becomes JSON
//! keeps the text that it was sent with.

use std::mem::take;

use arrow::array::{ArrayRef, BooleanBufferBuilder};
use arrow::buffer::NullBuffer;
use arrow::error::ArrowError;

use super::number::{Exact, Number, int_as_double};
use super::values::Values;
use crate::ColumnType;

/// A value of a row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Bool(bool),
    Number(&'a str),
    Text(&'a str),
    /// Nested JSON.
    Json(&'a str),
}

/// The result of adding a value.
#[derive(Debug, PartialEq)]
pub(super) enum Pushed {
    /// It was added, and takes about so many bytes.
    Done(usize),
    /// The row already has a value in this column.
    Twice,
    /// The column must have this type first.
    Needs(ColumnType),
}

pub(super) struct Column {
    /// The type of its values; none as long as all are NULL.
    column_type: Option<ColumnType>,
    /// Whether the type was declared: then values are read as that type, whatever their JSON type is.
    declared: bool,
    /// Whether the type is one that values must fit.
    typed: bool,
    /// Whether it was part of a batch.
    taken: bool,
    /// Whether the type is fixed from outside: declared, or already part of a batch.
    settled: bool,
    values: Values,
    /// The numbers as they were sent, where `values` do not tell: `1.0` and `1` are one double.
    sent: Values,
    valid: BooleanBufferBuilder,
    /// Values that are not NULL.
    present: usize,
}

impl Column {
    pub(super) fn new() -> Self {
        Self {
            column_type: None,
            declared: false,
            typed: false,
            taken: false,
            settled: false,
            values: Values::None,
            sent: Values::None,
            valid: BooleanBufferBuilder::new(0),
            present: 0,
        }
    }

    /// A column whose type is declared. Types without a form in JSON become text.
    pub(super) fn declared(column_type: &ColumnType) -> Self {
        use ColumnType as T;
        let column_type = match column_type {
            T::UBigInt => T::Decimal(20, 0),
            T::HugeInt | T::UHugeInt => T::Decimal(38, 0),
            T::TimestampNs => T::Timestamp,
            T::List(_) | T::Array(..) | T::Struct(_) | T::Map(..) => T::Json,
            T::Blob | T::Bit | T::Uuid | T::Interval | T::Other(_) => T::Varchar,
            plain => plain.clone(),
        };
        let values = Values::of(&column_type);
        Self { values, column_type: Some(column_type), declared: true, settled: true, ..Self::new() }
    }

    /// A declared column whose values must fit its type.
    pub(super) fn typed(column_type: &ColumnType) -> Self {
        Self { typed: true, ..Self::declared(column_type) }
    }

    /// Whether a declared column has exactly this type.
    pub(super) fn can_be(column_type: &ColumnType) -> bool {
        Self::declared(column_type).column_type.as_ref() == Some(column_type)
    }

    /// Whether the value fits the type that the column must keep.
    pub(super) fn fits(&self, value: Value<'_>) -> bool {
        if !self.typed {
            return true;
        }
        match (&self.column_type, value) {
            (None | Some(ColumnType::Json), _) | (Some(ColumnType::Varchar), Value::Text(_)) => true,
            (Some(column_type), value) => Values::of(column_type).push(column_type, value, self.declared).is_some(),
        }
    }

    pub(super) fn column_type(&self) -> Option<&ColumnType> {
        self.column_type.as_ref()
    }

    /// Whether it was part of a batch.
    pub(super) fn was_taken(&self) -> bool {
        self.taken
    }

    /// Whether there is any value in it since the last batch.
    pub(super) fn has_values(&self) -> bool {
        self.present > 0
    }

    /// Puts a value in row `row`; the rows it has skipped are NULL.
    #[inline]
    pub(super) fn push(&mut self, row: usize, value: Value<'_>) -> Pushed {
        if self.valid.len() > row {
            return Pushed::Twice;
        }
        let Some(column_type) = &self.column_type else { return Pushed::Needs(or_json(natural(value), value)) };
        if self.valid.len() < row {
            self.valid.append_n(row - self.valid.len(), false);
            self.values.resize(row);
            self.sent.resize(row);
        }
        match self.values.push(column_type, value, self.declared) {
            Some(bytes) => {
                self.keep(value);
                self.valid.append(true);
                self.present += 1;
                Pushed::Done(bytes)
            }
            None => Pushed::Needs(self.widened(value)),
        }
    }

    /// Keeps the text of a number that was added, where the number does not tell it.
    #[inline]
    fn keep(&mut self, value: Value<'_>) {
        if matches!(self.sent, Values::None) {
            let (Values::Int(ints), Value::Number(text)) = (&self.values, value) else { return };
            if self.declared || is_plain_integer(text) {
                return;
            }
            let Some(before) = Values::texts(ints[..ints.len() - 1].iter(), &self.valid) else { return };
            self.sent = before;
        }
        if self.sent.push(&ColumnType::Json, value, false).is_none() {
            self.sent = Values::None;
        }
    }

    /// The type that holds this value and all before it.
    fn widened(&self, value: Value<'_>) -> ColumnType {
        match &self.column_type {
            Some(present) if !self.declared && !is_of_family(value, present) => ColumnType::Json,
            Some(_) if !self.declared => or_json(self.joined(value), value),
            _ => self.joined(value),
        }
    }

    fn joined(&self, value: Value<'_>) -> ColumnType {
        let (Some(present), new) = (&self.column_type, natural(value)) else { return natural(value) };
        // Next to large integers a fraction is a decimal: a double might not hold them.
        let new = match (present, new, value) {
            (ColumnType::BigInt, ColumnType::Double, Value::Number(text)) if self.settled || !self.fits_double() => {
                Exact::parse(text).map_or(ColumnType::Varchar, decimal_type)
            }
            (ColumnType::Decimal(..), ColumnType::Double, Value::Number(text)) => {
                Exact::parse(text).map_or(ColumnType::Varchar, decimal_type)
            }
            (ColumnType::BigInt, ColumnType::Double, _) => return ColumnType::Double,
            (_, new, _) => new,
        };
        present.join(&new)
    }

    fn fits_double(&self) -> bool {
        match &self.values {
            Values::Int(ints) => ints.iter().all(|int| int_as_double(*int).is_some()),
            _ => false,
        }
    }

    /// Gives it this type, if that needs no new batch: it has no values, or its values are the same under the new type
    /// and its type is not settled. Next to any type, the store takes JSON.
    pub(super) fn retype(&mut self, column_type: &ColumnType) -> bool {
        let is_settled = self.declared || (self.settled && *column_type != ColumnType::Json);
        if self.present == 0 {
            self.values = Values::of(column_type);
            self.values.resize(self.valid.len());
            self.sent = self.sent_of(column_type);
            self.sent.resize(self.valid.len());
        } else if is_settled || !self.convert(column_type) {
            return false;
        }
        self.column_type = Some(column_type.clone());
        true
    }

    /// What takes the texts of a column of this type, where they are needed.
    fn sent_of(&self, column_type: &ColumnType) -> Values {
        match column_type {
            ColumnType::Double | ColumnType::Decimal(..) if !self.declared => Values::of(&ColumnType::Json),
            _ => Values::None,
        }
    }

    fn convert(&mut self, column_type: &ColumnType) -> bool {
        let Some(sent) = self.take_sent() else { return false };
        let converted = match (&self.values, column_type) {
            (_, ColumnType::Json) => {
                self.values = sent;
                return true;
            }
            (Values::Int(ints), ColumnType::Double) => {
                ints.iter().map(|int| int_as_double(*int)).collect::<Option<_>>().map(Values::Double)
            }
            (Values::Int(ints), ColumnType::Decimal(_, scale)) => {
                ints.iter().map(|int| rescaled((*int).into(), *scale)).collect::<Option<_>>().map(Values::Decimal)
            }
            (Values::Decimal(decimals), ColumnType::Decimal(_, scale)) => {
                let Some(ColumnType::Decimal(_, present)) = self.column_type else { return false };
                let more = scale.saturating_sub(present);
                decimals.iter().map(|decimal| rescaled(*decimal, more)).collect::<Option<_>>().map(Values::Decimal)
            }
            _ => None,
        };
        let Some(converted) = converted else { return false };
        (self.values, self.sent) = (converted, sent);
        true
    }

    /// The values as they were sent; nothing for texts, which JSON has in quotes.
    fn take_sent(&mut self) -> Option<Values> {
        match (take(&mut self.sent), &self.values) {
            (Values::None, Values::Int(ints)) => Values::texts(ints.iter(), &self.valid),
            (Values::None, Values::Bool(bools)) => Values::texts(bools.iter(), &self.valid),
            (Values::None, _) => None,
            (sent, _) => Some(sent),
        }
    }

    /// Forgets everything from row `rows` on.
    pub(super) fn truncate(&mut self, rows: usize) {
        if self.valid.len() > rows {
            self.present -= (rows..self.valid.len()).filter(|row| self.valid.get_bit(*row)).count();
            self.valid.truncate(rows);
        }
        self.values.resize(rows.min(self.valid.len()));
        self.sent.resize(rows.min(self.valid.len()));
    }

    /// The `rows` values since the last batch, and an empty column of the same type from here on.
    pub(super) fn take(&mut self, rows: usize) -> Result<ArrayRef, ArrowError> {
        let column_type = self.column_type.get_or_insert(ColumnType::Varchar).clone();
        if matches!(self.values, Values::None) {
            self.values = Values::of(&column_type);
        }
        self.valid.append_n(rows.saturating_sub(self.valid.len()), false);
        self.values.resize(rows);
        let nulls = NullBuffer::new(self.valid.finish());
        let nulls = (nulls.null_count() > 0).then_some(nulls);
        let values = std::mem::replace(&mut self.values, Values::of(&column_type));
        self.sent = self.sent_of(&column_type);
        self.present = 0;
        self.settled = true;
        self.taken = true;
        values.into_array(&column_type, nulls)
    }
}

/// Whether the text is the one that the integer has by itself, unlike `1.0` or `-0`.
fn is_plain_integer(text: &str) -> bool {
    text != "-0" && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// A number of a decimal with so many more digits behind the point.
fn rescaled(unscaled: i128, more: u8) -> Option<i128> {
    unscaled.checked_mul(10i128.checked_pow(more.into())?)
}

/// The narrowest type for a value of which nothing else is known.
fn natural(value: Value<'_>) -> ColumnType {
    match value {
        Value::Bool(_) => ColumnType::Boolean,
        Value::Text(_) => ColumnType::Varchar,
        Value::Json(_) => ColumnType::Json,
        Value::Number(text) => match Number::parse(text) {
            Number::Int(_) => ColumnType::BigInt,
            Number::Double(_) => ColumnType::Double,
            Number::Decimal(exact) => decimal_type(exact),
            Number::Text => ColumnType::Varchar,
        },
    }
}

/// The type, but JSON for numbers that no type of numbers holds: as text they would be texts.
fn or_json(column_type: ColumnType, value: Value<'_>) -> ColumnType {
    match (&column_type, value) {
        (ColumnType::Varchar, Value::Number(_)) => ColumnType::Json,
        _ => column_type,
    }
}

/// Whether a column of this type, which was not declared, has values of this JSON type.
fn is_of_family(value: Value<'_>, column_type: &ColumnType) -> bool {
    match value {
        Value::Bool(_) => *column_type == ColumnType::Boolean,
        Value::Number(_) => column_type.is_numeric(),
        Value::Text(_) => *column_type == ColumnType::Varchar,
        Value::Json(_) => *column_type == ColumnType::Json,
    }
}

fn decimal_type(exact: Exact) -> ColumnType {
    ColumnType::Decimal((exact.whole + exact.scale).max(1), exact.scale)
}

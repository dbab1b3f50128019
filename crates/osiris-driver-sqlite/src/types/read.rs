//! Values of a column as Arrow. A value of another type than the column's is refused, never converted.

use osiris_core::{ColumnType, Error};
use osiris_sql::batch::{self, Decoder, Values};
use osiris_sql::text::number::{parse_decimal, significant_digits};
use osiris_sql::text::temporal::{parse_date, parse_instant, parse_time, parse_timestamp};

use super::Affinity;
use super::write::DIGITS;
use crate::client::Value;

/// Integers up to this are exact as floating point.
const EXACT: i64 = 1 << 53;

/// How the values of a column are decoded.
#[derive(Debug, Clone)]
pub(crate) struct ValueDecoder {
    /// As the column was declared, or empty.
    pub(crate) declared: String,
    pub(crate) column_type: ColumnType,
}

pub(crate) type ColumnPlan = batch::ColumnPlan<ValueDecoder>;

/// The plan of a column.
pub(crate) fn plan(name: &str, declared: String, column_type: ColumnType) -> ColumnPlan {
    ColumnPlan::new(column_type.arrow_field(name, true), ValueDecoder { declared, column_type })
}

/// The type that a declaration stands for; none where the values have to be looked at.
pub(crate) fn declared_type(declared: &str) -> Option<ColumnType> {
    let upper = declared.to_ascii_uppercase();
    let word = upper.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    match word {
        "BOOLEAN" | "BOOL" => Some(ColumnType::Boolean),
        "DATE" => Some(ColumnType::Date),
        "TIMESTAMPTZ" => Some(ColumnType::Instant),
        "TIMESTAMP" if upper.contains("WITH TIME ZONE") => Some(ColumnType::Instant),
        "DATETIME" | "TIMESTAMP" => Some(ColumnType::Timestamp),
        "TIME" => Some(ColumnType::Time),
        "DECIMAL" | "NUMERIC" if precision(&upper).is_some() => precision(&upper),
        _ => match Affinity::of(declared) {
            Affinity::Integer => Some(ColumnType::BigInt),
            Affinity::Text => Some(ColumnType::Varchar),
            Affinity::Real => Some(ColumnType::Double),
            Affinity::Numeric | Affinity::Blob => None,
        },
    }
}

/// The digits of `DECIMAL(12,2)`.
fn precision(declared: &str) -> Option<ColumnType> {
    let (_, inside) = declared.split_once('(')?;
    let mut numbers = inside.trim_end().strip_suffix(')')?.split(',').map(|number| number.trim().parse::<u8>());
    let precision = numbers.next()?.ok()?;
    let scale = numbers.next().unwrap_or(Ok(0)).ok()?;
    (1..=38).contains(&precision).then_some(())?;
    (scale <= precision && numbers.next().is_none()).then_some(ColumnType::Decimal(precision, scale))
}

/// The types that the values of a column have.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Found {
    pub(crate) integer: bool,
    pub(crate) real: bool,
    pub(crate) text: bool,
    pub(crate) blob: bool,
}

/// The type of a column whose declaration says nothing.
///
/// # Errors
/// Values of several types.
pub(crate) fn type_of_values(name: &str, declared: &str, found: Found) -> Result<ColumnType, Error> {
    match (found.integer || found.real, found.text, found.blob) {
        (true, false, false) if found.real => Ok(ColumnType::Double),
        (true, false, false) => Ok(ColumnType::BigInt),
        (false, true, false) => Ok(ColumnType::Varchar),
        (false, false, true) => Ok(ColumnType::Blob),
        (false, false, false) if declared.eq_ignore_ascii_case("BLOB") => Ok(ColumnType::Blob),
        (false, false, false) if Affinity::of(declared) == Affinity::Numeric => Ok(ColumnType::Double),
        (false, false, false) => Ok(ColumnType::Varchar),
        _ => {
            let types = [(found.integer, "INTEGER"), (found.real, "REAL"), (found.text, "TEXT"), (found.blob, "BLOB")];
            let types: Vec<&str> = types.iter().filter(|(is_found, _)| *is_found).map(|(_, name)| *name).collect();
            Err(Error::validation(format!("column `{name}` has values of several types: {}", types.join(", ")))
                .with_hint(format!("convert them in a `query`, such as CAST({} AS TEXT)", crate::client::quote(name))))
        }
    }
}

/// Why a value was refused: what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused(&'static str);

impl ValueDecoder {
    /// Adds a value that fits; returns whether it does.
    fn fits(&self, value: Value<'_>, values: &mut Values) -> bool {
        let is_instant = self.column_type == ColumnType::Instant;
        match (values, value) {
            (Values::Boolean(values), Value::Integer(value @ (0 | 1))) => {
                add(Some(value == 1), |it| values.append_value(it))
            }
            (Values::Int64(values), Value::Integer(value)) => add(Some(value), |it| values.append_value(it)),
            (Values::Float64(values), Value::Real(value)) => add(Some(value), |it| values.append_value(it)),
            (Values::Float64(values), Value::Integer(value)) => add(float(value), |it| values.append_value(it)),
            (Values::Decimal(values), value) => add(decimal(value, &self.column_type), |it| values.append_value(it)),
            (Values::Text(values), Value::Text(text)) => add(Some(text), |it| values.append_value(it)),
            (Values::Blob(values), Value::Blob(bytes)) => add(Some(bytes), |it| values.append_value(it)),
            (Values::Date(values), Value::Text(text)) => add(parse_date(text), |it| values.append_value(it)),
            (Values::Time(values), Value::Text(text)) => add(parse_time(text), |it| values.append_value(it)),
            (Values::Timestamp(values), Value::Text(text)) => {
                let timestamp = if is_instant { parse_instant(text) } else { parse_timestamp(text) };
                add(timestamp, |it| values.append_value(it))
            }
            _ => false,
        }
    }
}

/// Appends a value, if there is one.
fn add<T>(value: Option<T>, append: impl FnOnce(T)) -> bool {
    value.map(append).is_some()
}

/// An integer as floating point, if that is exact.
#[expect(clippy::cast_precision_loss, reason = "the range is checked")]
pub(super) fn float(value: i64) -> Option<f64> {
    (-EXACT..=EXACT).contains(&value).then_some(value as f64)
}

fn decimal(value: Value<'_>, column_type: &ColumnType) -> Option<i128> {
    let ColumnType::Decimal(precision, scale) = *column_type else { return None };
    let text = match value {
        Value::Integer(value) => value.to_string(),
        // The shortest text that means this number: up to 15 digits are those that were written.
        Value::Real(value) => Some(value.to_string()).filter(|text| significant_digits(text) <= usize::from(DIGITS))?,
        Value::Text(text) => std::str::from_utf8(text).ok()?.to_owned(),
        Value::Blob(_) => return None,
    };
    parse_decimal(&text, precision, scale)
}

impl Decoder for ValueDecoder {
    type Value<'a> = Value<'a>;
    type Refused = Refused;

    fn size(value: &Value<'_>) -> usize {
        match value {
            Value::Integer(_) | Value::Real(_) => 8,
            Value::Text(bytes) | Value::Blob(bytes) => bytes.len(),
        }
    }

    fn decode(&mut self, value: Value<'_>, values: &mut Values) -> Result<bool, Refused> {
        if self.fits(value, values) { Ok(false) } else { Err(Refused(value.type_name())) }
    }

    fn invalid_text() -> Refused {
        Refused("TEXT that is not UTF-8")
    }

    fn error(&self, name: &str, refused: Refused) -> Error {
        let Self { declared, column_type } = self;
        let quoted = crate::client::quote(name);
        let hint = match (column_type, refused.0) {
            (_, "TEXT that is not UTF-8") => format!("read it as bytes in a `query`: CAST({quoted} AS BLOB)"),
            (ColumnType::Date | ColumnType::Time | ColumnType::Timestamp | ColumnType::Instant, "TEXT") => {
                format!("correct the values, or read them as text in a `query`: CAST({quoted} AS TEXT)")
            }
            (ColumnType::Date | ColumnType::Timestamp | ColumnType::Instant, "INTEGER") => {
                format!("convert it in a `query`, such as datetime({quoted}, 'unixepoch')")
            }
            _ => format!("convert it in a `query`, such as CAST({quoted} AS TEXT), or correct the values"),
        };
        let column = if declared.is_empty() { String::new() } else { format!(", declared {declared}") };
        Error::validation(format!(
            "column `{name}` is {column_type}{column}, but a value is {} that does not fit",
            refused.0
        ))
        .with_hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_read_as_sqlite_does() {
        for (declared, expected) in [
            ("INTEGER", Some(ColumnType::BigInt)),
            ("unsigned big int", Some(ColumnType::BigInt)),
            ("VARCHAR(20)", Some(ColumnType::Varchar)),
            ("double precision", Some(ColumnType::Double)),
            ("decimal( 12 , 2 )", Some(ColumnType::Decimal(12, 2))),
            ("DECIMAL TEXT(38,4)", Some(ColumnType::Decimal(38, 4))),
            ("NUMERIC(10)", Some(ColumnType::Decimal(10, 0))),
            ("NUMERIC(50,2)", None),
            ("NUMERIC", None),
            ("timestamp with time zone", Some(ColumnType::Instant)),
            ("datetime", Some(ColumnType::Timestamp)),
            ("STRING", None),
            ("BLOB", None),
            ("", None),
        ] {
            assert_eq!(declared_type(declared), expected, "{declared}");
        }
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        let found = |value| decimal(value, &ColumnType::Decimal(5, 2));
        assert_eq!(found(Value::Text(b"-1.5")), Some(-150));
        assert_eq!(found(Value::Text(b"0001.500")), Some(150));
        assert_eq!(found(Value::Real(999.99)), Some(99_999));
        assert_eq!(found(Value::Integer(7)), Some(700));
        let mut refused = vec![Value::Integer(1000), Value::Real(0.125), Value::Real(0.1 + 0.2), Value::Real(f64::NAN)];
        refused.extend([&b"1e2"[..], b"1.005", b"", b".5", b"\xff"].map(Value::Text));
        for value in refused {
            assert_eq!(found(value), None, "{value:?}");
        }
    }
}

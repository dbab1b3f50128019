//! Arrow values as SQLite's. What the affinity of a column would change is refused, never sent.

use arrow::array::{Array, AsArray as _};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use osiris_core::ColumnType;
use osiris_sql::text::number::{decimal_text, significant_digits};
use osiris_sql::text::temporal::{date_text, time_text, timestamp_text};
use osiris_sql::write::TargetColumn;

use super::Affinity;
use super::ddl::NO_TYPE;
use super::read::float;

/// Digits of a decimal that survive floating point, which is how SQLite keeps numbers with a fraction.
pub(crate) const DIGITS: u8 = 15;

/// What is known of a column of a table besides its declaration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ColumnDetails {
    /// Whether it is another name for the number of the row.
    pub(crate) is_rowid_alias: bool,
}

/// A value of a row, ready to be bound.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    /// A zero whose sign SQLite does not keep.
    NegativeZero,
    Text(String),
    Blob(Vec<u8>),
}

impl Cell {
    /// Its size in bytes.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Null | Self::Integer(_) | Self::Real(_) | Self::NegativeZero => 8,
            Self::Text(text) => text.len(),
            Self::Blob(bytes) => bytes.len(),
        }
    }
}

/// How the values of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conversion {
    /// The affinity of the column of the table.
    pub(crate) to: Affinity,
    /// Whether the column is another name for the number of the row: SQLite writes an id of its own instead of NULL.
    is_rowid_alias: bool,
    /// Whether texts are kept in UTF-16.
    in_utf_16: bool,
}

/// How a column of the input is written to a column of the table, in a file whose texts are in UTF-16 or not.
///
/// # Errors
/// Types that do not go together, and what to do.
pub(crate) fn conversion(
    from: &ColumnType,
    target: &TargetColumn<ColumnDetails>,
    in_utf_16: bool,
) -> Result<Conversion, String> {
    use ColumnType as T;
    let declared = &target.declared;
    let to = Affinity::of(declared);
    let fits = match from {
        T::Interval | T::List(_) | T::Array(..) | T::Struct(_) | T::Map(..) => return Err(NO_TYPE.to_owned()),
        T::Float | T::Double => to != Affinity::Text,
        T::Blob => to == Affinity::Blob,
        from if from.is_numeric() || *from == T::Boolean => true,
        _ => !matches!(to, Affinity::Integer | Affinity::Real),
    };
    if fits {
        return Ok(Conversion { to, is_rowid_alias: target.details.is_rowid_alias, in_utf_16 });
    }
    Err("no exact conversion: cast it in an earlier step, or change the table".to_owned())
}

/// The value at `row`.
///
/// # Errors
/// Why SQLite would not keep it as it is; never the value.
pub(crate) fn cell(array: &dyn Array, row: usize, conversion: Conversion) -> Result<Cell, &'static str> {
    let to = conversion.to;
    if array.is_null(row) {
        let is_kept = !conversion.is_rowid_alias;
        return is_kept.then_some(Cell::Null).ok_or("NULL in an INTEGER PRIMARY KEY, for which SQLite makes up an id");
    }
    macro_rules! value {
        ($kind:ty) => {
            array.as_primitive::<$kind>().value(row)
        };
    }
    match array.data_type() {
        DataType::Boolean => integer(i64::from(array.as_boolean().value(row)), to),
        DataType::Int8 => integer(i64::from(value!(Int8Type)), to),
        DataType::Int16 => integer(i64::from(value!(Int16Type)), to),
        DataType::Int32 => integer(i64::from(value!(Int32Type)), to),
        DataType::Int64 => integer(value!(Int64Type), to),
        DataType::UInt8 => integer(i64::from(value!(UInt8Type)), to),
        DataType::UInt16 => integer(i64::from(value!(UInt16Type)), to),
        DataType::UInt32 => integer(i64::from(value!(UInt32Type)), to),
        DataType::UInt64 => {
            integer(i64::try_from(value!(UInt64Type)).map_err(|_| "integer exceeds 64 bits with a sign")?, to)
        }
        DataType::Float32 => real(f64::from(value!(Float32Type)), to),
        DataType::Float64 => real(value!(Float64Type), to),
        DataType::Decimal128(_, scale) => decimal(value!(Decimal128Type), *scale, to),
        DataType::Utf8 => text(array.as_string::<i32>().value(row), conversion),
        DataType::Binary => Ok(Cell::Blob(array.as_binary::<i32>().value(row).to_vec())),
        DataType::Date32 => dated(date_text(i64::from(value!(Date32Type)))),
        DataType::Time64(_) => Ok(Cell::Text(time_text(value!(Time64MicrosecondType)))),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let nanos = value!(TimestampNanosecondType);
            if nanos % 1000 != 0 {
                return Err("timestamp has more digits than microseconds");
            }
            dated(timestamp_text(nanos.div_euclid(1000)))
        }
        DataType::Timestamp(_, None) => dated(timestamp_text(value!(TimestampMicrosecondType))),
        DataType::Timestamp(_, Some(_)) => {
            dated(timestamp_text(value!(TimestampMicrosecondType)).map(|text| format!("{text}+00:00")))
        }
        _ => Err("type has no counterpart in SQLite"),
    }
}

fn integer(value: i64, to: Affinity) -> Result<Cell, &'static str> {
    match to {
        Affinity::Text => Ok(Cell::Text(value.to_string())),
        Affinity::Real if float(value).is_none() => Err("integer exceeds the 53 bits that REAL keeps"),
        _ => Ok(Cell::Integer(value)),
    }
}

fn real(value: f64, to: Affinity) -> Result<Cell, &'static str> {
    if value.is_nan() {
        return Err("NaN cannot be stored: SQLite would store NULL");
    }
    if to == Affinity::Integer && value.fract() != 0.0 {
        return Err("number has a fraction, but the column is an integer");
    }
    let loses_sign = value == 0.0 && value.is_sign_negative() && to != Affinity::Blob;
    Ok(if loses_sign { Cell::NegativeZero } else { Cell::Real(value) })
}

fn decimal(units: i128, scale: i8, to: Affinity) -> Result<Cell, &'static str> {
    let text = decimal_text(units, usize::try_from(scale).unwrap_or(0));
    if matches!(to, Affinity::Text | Affinity::Blob) {
        return Ok(Cell::Text(text));
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    if fraction.bytes().all(|digit| digit == b'0') {
        return integer(whole.parse().map_err(|_| "integer exceeds 64 bits with a sign")?, to);
    }
    if significant_digits(&text) > usize::from(DIGITS) {
        return Err("decimal has more than 15 digits, which only a column with TEXT affinity keeps");
    }
    real(text.parse().map_err(|_| "invalid decimal")?, to)
}

fn text(value: &str, Conversion { to, in_utf_16, .. }: Conversion) -> Result<Cell, &'static str> {
    if in_utf_16 && value.contains(['\u{fffe}', '\u{ffff}']) {
        return Err("text has U+FFFE or U+FFFF, for which SQLite writes U+FFFD in a file in UTF-16");
    }
    if to == Affinity::Numeric && is_like_number(value) {
        return Err("text looks like a number, which the column would make of it");
    }
    if value.contains('\0') {
        return Err("text has a NUL character, at which SQLite's functions end it");
    }
    Ok(Cell::Text(value.to_owned()))
}

/// Whether NUMERIC affinity may convert it; rather too often than not.
fn is_like_number(value: &str) -> bool {
    let trimmed = value.trim();
    trimmed.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) && trimmed.parse::<f64>().is_ok()
}

fn dated(text: Option<String>) -> Result<Cell, &'static str> {
    text.map(Cell::Text).ok_or("year is outside of 0000 to 9999")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_written_as_the_column_keeps_them() {
        assert_eq!(decimal(-150, 2, Affinity::Text), Ok(Cell::Text("-1.50".to_owned())));
        assert_eq!(decimal(-5, 2, Affinity::Numeric), Ok(Cell::Real(-0.05)));
        assert_eq!(decimal(200, 2, Affinity::Numeric), Ok(Cell::Integer(2)));
        assert!(decimal(1_234_567_890_123_456, 2, Affinity::Numeric).is_err());
        assert!(decimal(150, 2, Affinity::Integer).is_err());
        assert!(decimal(i128::from(i64::MAX) + 1, 0, Affinity::Numeric).is_err());
    }

    #[test]
    fn what_an_affinity_would_change_is_refused() {
        let conversion = |from, declared: &str| {
            let target = TargetColumn { declared: declared.to_owned(), ..TargetColumn::default() };
            conversion(&from, &target, false)
        };
        let text = |value, declared| text(value, conversion(ColumnType::Varchar, declared).unwrap());
        for value in ["12", " 0012 ", "1e5", "+.5", "-1"] {
            assert!(text(value, "NUMERIC").is_err(), "{value}");
            assert!(text(value, "TEXT").is_ok(), "{value}");
        }
        assert!(text("2024-01-31", "NUMERIC").is_ok() && text("inf", "NUMERIC").is_ok());
        assert!(integer(EXACT_PLUS_ONE, Affinity::Real).is_err() && real(f64::NAN, Affinity::Real).is_err());
        assert!(conversion(ColumnType::Varchar, "INT").is_err());
        assert!(conversion(ColumnType::Double, "TEXT").is_err());
    }

    const EXACT_PLUS_ONE: i64 = (1 << 53) + 1;
}

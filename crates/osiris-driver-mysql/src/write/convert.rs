//! How values of a run store type are converted for a MySQL column, decided once from the two types. What the server
//! would change without a warning (truncated fractions, rounded numbers, stripped spaces) is checked here, value by
//! value; what it reports is left to the server.

use osiris_core::ColumnType;

use super::target::Kind;

/// How a column is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Conversion {
    /// Integers; with a limit if the column holds only this many bits exactly.
    Integer {
        bits: Option<u32>,
    },
    /// A year of four digits.
    Year,
    /// 0 and 1.
    Flag,
    /// `false` and `true`.
    Word,
    /// Decimals with a maximum number of decimal places.
    Decimal {
        scale: u8,
    },
    /// Decimals in a floating point column, with a maximum number of significant digits.
    Approximate {
        digits: usize,
    },
    /// Floating point.
    Float,
    /// The shortest text of a number of its width.
    FloatText,
    /// DOUBLE into FLOAT: only exactly representable values.
    Narrow,
    /// Floating point as a decimal.
    FloatAsDecimal {
        scale: u8,
    },
    Date,
    /// A timestamp with this number of fractional digits.
    Timestamp {
        digits: u8,
    },
    /// A timestamp at midnight as a date.
    TimestampAsDate,
    Time {
        digits: u8,
    },
    /// Days and microseconds as a TIME; months are not supported.
    Interval {
        digits: u8,
    },
    /// Text, checked by a rule.
    Text(TextRule),
    Bytes {
        exact: Option<usize>,
    },
    /// A UUID as its 16 bytes.
    UuidBytes,
    /// A bit string as a number.
    Bits,
    /// A nested value as JSON.
    Nested,
}

impl Conversion {
    /// Whether distinct values stay distinct in the column, whatever its collation: exact numbers and dates with one
    /// text form.
    pub(super) fn keeps_apart(&self) -> bool {
        matches!(
            self,
            Self::Integer { .. } | Self::Year | Self::Flag | Self::Decimal { .. } | Self::Date | Self::Timestamp { .. }
        )
    }
}

/// The check that text is stored unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TextRule {
    /// Any text; the server checks length and character set.
    Any,
    /// JSON keeps one value of each key.
    Json,
    /// CHAR drops trailing spaces.
    NoBlankAtEnd,
    /// ENUM interprets a number as a position.
    Member(Vec<String>),
    /// SET too.
    Members(Vec<String>),
    Integer,
    Decimal {
        scale: u8,
    },
    Number,
    Year,
    Date,
    Timestamp {
        digits: u8,
    },
    Time {
        digits: u8,
    },
}

/// How the encoded bytes are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Characters that need no escaping.
    Plain,
    /// Any text.
    Text,
    /// Any bytes, sent as hexadecimal digits, since a file has one character set.
    Hex,
    /// A number that the server must not interpret as bytes.
    Number,
}

impl Form {
    /// The expression for the column, from the variable or parameter with the sent value; `None` if it is used as it
    /// is.
    pub(super) fn expression(self, sent: &str) -> Option<String> {
        match self {
            Self::Plain | Self::Text => None,
            Self::Hex => Some(format!("UNHEX({sent})")),
            Self::Number => Some(format!("CAST({sent} AS UNSIGNED)")),
        }
    }
}

/// The conversion between two types, and the wire form.
///
/// # Errors
/// With advice, if there is no exact one.
pub(super) fn conversion(source: &ColumnType, target: &Kind) -> Result<(Conversion, Form), String> {
    use ColumnType as T;
    let found = match (source, target) {
        (_, Kind::Geometry) => {
            return match source {
                T::Blob => Ok((Conversion::Bytes { exact: None }, Form::Hex)),
                _ => Err("a geometry column takes a BLOB in the server's own format".to_owned()),
            };
        }
        (_, Kind::Vector) => {
            return match source {
                T::Blob => Ok((Conversion::Bytes { exact: None }, Form::Hex)),
                _ => Err("a VECTOR column takes a BLOB of four-byte little-endian floats".to_owned()),
            };
        }
        (T::Boolean, kind) => boolean(kind),
        (
            T::TinyInt | T::SmallInt | T::Integer | T::BigInt | T::UTinyInt | T::USmallInt | T::UInteger | T::UBigInt,
            kind,
        ) => integer(kind),
        (T::HugeInt | T::UHugeInt | T::Decimal(..), kind) => decimal(source, kind),
        (T::Float | T::Double, kind) => float(source, kind),
        (T::Date, Kind::Date) => Some(Conversion::Date),
        (T::Date, Kind::Timestamp { .. } | Kind::Char | Kind::Text) => Some(Conversion::Date),
        (T::Timestamp | T::TimestampNs | T::Instant, kind) => match kind {
            Kind::Timestamp { digits } => Some(Conversion::Timestamp { digits: *digits }),
            Kind::Date => Some(Conversion::TimestampAsDate),
            Kind::Char | Kind::Text => Some(Conversion::Timestamp { digits: 9 }),
            _ => None,
        },
        (T::Time, Kind::Time { digits }) => Some(Conversion::Time { digits: *digits }),
        (T::Time, Kind::Char | Kind::Text) => Some(Conversion::Time { digits: 6 }),
        (T::Interval, Kind::Time { digits }) => Some(Conversion::Interval { digits: *digits }),
        (T::Interval, Kind::Char | Kind::Text) => Some(Conversion::Interval { digits: 6 }),
        (T::Blob, Kind::Binary { length }) => Some(Conversion::Bytes { exact: Some(*length) }),
        (T::Blob, Kind::Bytes) => Some(Conversion::Bytes { exact: None }),
        (T::Uuid, Kind::Binary { length: 16 }) => Some(Conversion::UuidBytes),
        (T::Bit, Kind::Bit | Kind::Integer) => Some(Conversion::Bits),
        (T::List(_) | T::Array(..) | T::Struct(_) | T::Map(..), Kind::Json | Kind::Text) => Some(Conversion::Nested),
        (T::Varchar | T::Json | T::Uuid | T::Bit | T::Other(_), kind) => text(kind).map(Conversion::Text),
        _ => None,
    };
    let conversion = found.ok_or_else(|| "no exact conversion: cast it in an earlier step".to_owned())?;
    let form = form(&conversion, target);
    Ok((conversion, form))
}

fn boolean(target: &Kind) -> Option<Conversion> {
    match target {
        Kind::Integer | Kind::Bit | Kind::Decimal { .. } | Kind::Float | Kind::Double => Some(Conversion::Flag),
        Kind::Char | Kind::Text => Some(Conversion::Word),
        _ => None,
    }
}

fn integer(target: &Kind) -> Option<Conversion> {
    Some(match target {
        Kind::Integer | Kind::Decimal { .. } | Kind::Char | Kind::Text | Kind::Bit => {
            Conversion::Integer { bits: None }
        }
        Kind::Double => Conversion::Integer { bits: Some(53) },
        Kind::Float => Conversion::Integer { bits: Some(24) },
        Kind::Year => Conversion::Year,
        _ => return None,
    })
}

fn decimal(source: &ColumnType, target: &Kind) -> Option<Conversion> {
    let own = match source {
        ColumnType::Decimal(_, scale) => *scale,
        _ => 0,
    };
    Some(match target {
        Kind::Decimal { scale } => Conversion::Decimal { scale: *scale },
        Kind::Integer => Conversion::Decimal { scale: 0 },
        Kind::Char | Kind::Text => Conversion::Decimal { scale: own },
        Kind::Double => Conversion::Approximate { digits: 15 },
        Kind::Float => Conversion::Approximate { digits: 6 },
        _ => return None,
    })
}

fn float(source: &ColumnType, target: &Kind) -> Option<Conversion> {
    Some(match target {
        Kind::Float if *source == ColumnType::Double => Conversion::Narrow,
        Kind::Float | Kind::Double => Conversion::Float,
        Kind::Char | Kind::Text => Conversion::FloatText,
        Kind::Decimal { scale } => Conversion::FloatAsDecimal { scale: *scale },
        Kind::Integer => Conversion::FloatAsDecimal { scale: 0 },
        _ => return None,
    })
}

fn text(target: &Kind) -> Option<TextRule> {
    Some(match target {
        Kind::Text | Kind::Uuid | Kind::Other | Kind::Bytes => TextRule::Any,
        Kind::Json => TextRule::Json,
        Kind::Char => TextRule::NoBlankAtEnd,
        Kind::Enum(members) => TextRule::Member(members.clone()),
        Kind::Set(members) => TextRule::Members(members.clone()),
        Kind::Integer => TextRule::Integer,
        Kind::Decimal { scale } => TextRule::Decimal { scale: *scale },
        Kind::Float | Kind::Double => TextRule::Number,
        Kind::Year => TextRule::Year,
        Kind::Date => TextRule::Date,
        Kind::Timestamp { digits } => TextRule::Timestamp { digits: *digits },
        Kind::Time { digits } => TextRule::Time { digits: *digits },
        Kind::Bit | Kind::Binary { .. } | Kind::Geometry | Kind::Vector => return None,
    })
}

fn form(conversion: &Conversion, target: &Kind) -> Form {
    match (conversion, target) {
        (_, Kind::Bit) => Form::Number,
        (Conversion::Bytes { .. } | Conversion::UuidBytes, _) => Form::Hex,
        (Conversion::Text(_), Kind::Bytes) => Form::Hex,
        (Conversion::Text(_) | Conversion::Nested, _) => Form::Text,
        _ => Form::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_would_change_in_silence_is_checked_or_refused() {
        let of = |source: ColumnType, target: Kind| conversion(&source, &target).map(|(conversion, _)| conversion);
        assert_eq!(of(ColumnType::Double, Kind::Float), Ok(Conversion::Narrow));
        assert_eq!(of(ColumnType::BigInt, Kind::Double), Ok(Conversion::Integer { bits: Some(53) }));
        assert_eq!(of(ColumnType::Timestamp, Kind::Timestamp { digits: 0 }), Ok(Conversion::Timestamp { digits: 0 }));
        assert_eq!(of(ColumnType::Varchar, Kind::Char), Ok(Conversion::Text(TextRule::NoBlankAtEnd)));
        assert!(of(ColumnType::Blob, Kind::Text).is_err());
        assert!(of(ColumnType::Timestamp, Kind::Time { digits: 6 }).is_err());
        assert!(of(ColumnType::Varchar, Kind::Geometry).is_err());
    }

    #[test]
    fn bytes_and_bits_travel_in_forms_that_no_character_set_touches() {
        let form = |source: ColumnType, target: Kind| conversion(&source, &target).unwrap().1;
        assert_eq!(form(ColumnType::Blob, Kind::Bytes), Form::Hex);
        assert_eq!(form(ColumnType::Varchar, Kind::Bytes), Form::Hex);
        assert_eq!(form(ColumnType::Boolean, Kind::Bit), Form::Number);
        assert_eq!(form(ColumnType::BigInt, Kind::Text), Form::Plain);
    }
}

//! How values of a run store type are converted for a column, decided once from the two types. What the server would
//! change without a warning (rounded fractions, truncated spaces) is checked value by value; other errors are left to
//! the server.

use osiris_core::ColumnType;

use super::kind::Kind;
use super::numeric::Limit;

/// How a column is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Conversion {
    Bool,
    /// An integer with this number of bytes.
    Integer(Width),
    Float4,
    Float8,
    Numeric(Option<Limit>),
    /// Text, with a maximum number of characters.
    Text {
        limit: Option<usize>,
    },
    Json,
    /// JSON in the binary format of `jsonb`, which begins with a version.
    Jsonb,
    Bytes,
    Uuid,
    Date,
    Time {
        digits: u8,
    },
    /// A timestamp, with time zone (UTC) or without.
    Timestamp {
        digits: u8,
        zoned: bool,
    },
    Interval {
        digits: u8,
    },
    Bits,
    /// A list, as an array of elements of this type.
    Array {
        element: Box<Conversion>,
        oid: u32,
    },
    /// JSON, or a nested list, as a multidimensional array.
    ArrayJson {
        element: Box<Conversion>,
        oid: u32,
    },
    /// The same as the text of an array, for elements parsed by the server.
    ArrayText,
    /// Text that the server parses as a value of the column's type.
    Literal,
}

/// The bytes of an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    Two,
    Four,
    Eight,
    /// Four unsigned bytes, as in `oid`.
    Unsigned,
}

impl Conversion {
    /// Whether text is sent and cast to the column's type.
    pub(crate) fn is_literal(&self) -> bool {
        matches!(self, Self::Literal | Self::ArrayText)
    }
}

/// The conversion between two types.
///
/// # Errors
/// With advice, if there is no exact one.
pub(crate) fn conversion(source: &ColumnType, target: &Kind) -> Result<Conversion, String> {
    use ColumnType as T;
    let found = match (source, target) {
        (_, Kind::Refused(why)) => return Err((*why).to_owned()),
        (T::List(_) | T::Array(..) | T::Struct(_) | T::Map(..), kind) => nested(source, kind),
        (T::Boolean, Kind::Bool) => Some(Conversion::Bool),
        (T::Boolean, Kind::Integer(width)) => Some(Conversion::Integer(*width)),
        (
            T::TinyInt | T::SmallInt | T::Integer | T::BigInt | T::UTinyInt | T::USmallInt | T::UInteger | T::UBigInt,
            kind,
        ) => number(kind).or_else(|| (*kind == Kind::Bool).then_some(Conversion::Bool)),
        (T::HugeInt | T::UHugeInt | T::Decimal(..) | T::Float | T::Double, kind) => number(kind),
        (T::Date | T::Timestamp | T::TimestampNs | T::Instant, kind) => moment(kind),
        (T::Time, Kind::Time { digits }) => Some(Conversion::Time { digits: *digits }),
        (T::Interval, Kind::Interval { digits }) => Some(Conversion::Interval { digits: *digits }),
        (T::Blob, Kind::Bytes) => Some(Conversion::Bytes),
        (T::Varchar | T::Json | T::Uuid | T::Bit | T::Other(_), kind) => return text(source, kind),
        _ => None,
    };
    let shown = found.or(match target {
        // Everything but bytes has a single text form.
        Kind::Text { limit } if !matches!(source, T::Blob) => Some(Conversion::Text { limit: *limit }),
        _ => None,
    });
    shown.ok_or_else(|| "no exact conversion: cast it in an earlier step".to_owned())
}

fn number(target: &Kind) -> Option<Conversion> {
    Some(match target {
        Kind::Integer(width) => Conversion::Integer(*width),
        Kind::Float4 => Conversion::Float4,
        Kind::Float8 => Conversion::Float8,
        Kind::Numeric(limit) => Conversion::Numeric(*limit),
        _ => return None,
    })
}

fn moment(target: &Kind) -> Option<Conversion> {
    Some(match target {
        Kind::Date => Conversion::Date,
        Kind::Timestamp { digits, zoned } => Conversion::Timestamp { digits: *digits, zoned: *zoned },
        _ => return None,
    })
}

fn nested(source: &ColumnType, target: &Kind) -> Option<Conversion> {
    match (source, target) {
        (_, Kind::Json) => Some(Conversion::Json),
        (_, Kind::Jsonb) => Some(Conversion::Jsonb),
        (ColumnType::List(item) | ColumnType::Array(item, _), Kind::Array { element, oid }) => {
            // Lists in lists are dimensions, also where the elements are text, which a list could be written as.
            let is_list = matches!(**item, ColumnType::List(_) | ColumnType::Array(..));
            match conversion(item, element) {
                Ok(inner)
                    if !is_list && !inner.is_literal() && !matches!(inner, Conversion::Json | Conversion::Jsonb) =>
                {
                    Some(Conversion::Array { element: Box::new(inner), oid: *oid })
                }
                // More dimensions, or elements of another type.
                _ => Some(array(element, *oid)),
            }
        }
        _ => None,
    }
}

/// JSON as an array: each element is converted like text, if that is exact.
fn array(element: &Kind, oid: u32) -> Conversion {
    match text(&ColumnType::Varchar, element) {
        Ok(found) if !found.is_literal() => Conversion::ArrayJson { element: Box::new(found), oid },
        _ => Conversion::ArrayText,
    }
}

fn text(source: &ColumnType, target: &Kind) -> Result<Conversion, String> {
    Ok(match target {
        Kind::Text { limit } => Conversion::Text { limit: *limit },
        Kind::Enum => Conversion::Text { limit: None },
        Kind::Json => Conversion::Json,
        Kind::Jsonb => Conversion::Jsonb,
        Kind::Uuid => Conversion::Uuid,
        Kind::Bits if *source == ColumnType::Bit || *source == ColumnType::Varchar => Conversion::Bits,
        Kind::Array { element, oid } => array(element, *oid),
        Kind::Literal => Conversion::Literal,
        _ if *source == ColumnType::Json || *source == ColumnType::Bit || *source == ColumnType::Uuid => {
            return Err("no exact conversion: cast it in an earlier step".to_owned());
        }
        Kind::Bool => Conversion::Bool,
        Kind::Integer(width) => Conversion::Integer(*width),
        Kind::Float4 => Conversion::Float4,
        Kind::Float8 => Conversion::Float8,
        Kind::Numeric(limit) => Conversion::Numeric(*limit),
        Kind::Date => Conversion::Date,
        Kind::Time { digits } => Conversion::Time { digits: *digits },
        Kind::Timestamp { digits, zoned } => Conversion::Timestamp { digits: *digits, zoned: *zoned },
        Kind::Bytes => {
            return Err("text has no defined bytes: cast it to BLOB in an earlier step".to_owned());
        }
        Kind::Interval { .. } => {
            return Err("text can be more precise than an interval: cast it to INTERVAL in an earlier step".to_owned());
        }
        Kind::Bits | Kind::Refused(_) => {
            return Err("no exact conversion: cast it in an earlier step".to_owned());
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(source: ColumnType, target: Kind) -> Result<Conversion, String> {
        conversion(&source, &target)
    }

    #[test]
    fn lists_are_arrays_in_binary_where_elements_are_and_in_text_elsewhere() {
        let ints = Kind::Array { element: Box::new(Kind::Integer(Width::Four)), oid: 23 };
        let list = |item| ColumnType::List(Box::new(item));
        let element = Box::new(Conversion::Integer(Width::Four));
        assert_eq!(of(list(ColumnType::BigInt), ints.clone()), Ok(Conversion::Array { element, oid: 23 }));
        let nested = Conversion::ArrayJson { element: Box::new(Conversion::Integer(Width::Four)), oid: 23 };
        assert_eq!(of(list(list(ColumnType::BigInt)), ints.clone()), Ok(nested.clone()));
        assert_eq!(of(ColumnType::Json, ints), Ok(nested));
        let texts = Kind::Array { element: Box::new(Kind::Text { limit: None }), oid: 25 };
        let nested = Conversion::ArrayJson { element: Box::new(Conversion::Text { limit: None }), oid: 25 };
        assert_eq!(of(list(list(ColumnType::Varchar)), texts), Ok(nested));
        let addresses = Kind::Array { element: Box::new(Kind::Literal), oid: 869 };
        assert_eq!(of(ColumnType::Json, addresses), Ok(Conversion::ArrayText));
        assert_eq!(of(list(ColumnType::Integer), Kind::Jsonb), Ok(Conversion::Jsonb));
        assert!(of(list(ColumnType::Integer), Kind::Date).is_err());
    }

    #[test]
    fn what_would_be_guessed_is_refused() {
        assert!(of(ColumnType::Blob, Kind::Text { limit: None }).is_err());
        assert!(of(ColumnType::Varchar, Kind::Bytes).is_err());
        assert!(of(ColumnType::Varchar, Kind::Interval { digits: 6 }).is_err());
        assert!(of(ColumnType::Timestamp, Kind::Time { digits: 6 }).is_err());
        assert!(of(ColumnType::Integer, Kind::Jsonb).is_err());
        assert_eq!(of(ColumnType::Integer, Kind::Text { limit: Some(3) }), Ok(Conversion::Text { limit: Some(3) }));
        assert_eq!(of(ColumnType::Varchar, Kind::Literal), Ok(Conversion::Literal));
    }
}

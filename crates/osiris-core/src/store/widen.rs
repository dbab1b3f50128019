//! Widening: what becomes of a column when a source sends another type for it, or a column it had not sent before.

use super::types::ColumnType;

/// The narrowest type that holds every value of both, exactly. Anything and anything is at worst text: nothing is
/// dropped.
///
/// The lattice: booleans, numbers, dates and times each grow among themselves; across families the column becomes text,
/// or JSON where either side is nested or JSON.
pub(super) fn join(a: &ColumnType, b: &ColumnType) -> ColumnType {
    use ColumnType as T;
    if a == b {
        return a.clone();
    }
    if a.is_numeric() && b.is_numeric() {
        return join_numbers(a, b);
    }
    match (a, b) {
        (T::Date, T::Timestamp) | (T::Timestamp, T::Date) => T::Timestamp,
        (T::Timestamp | T::Date, T::TimestampNs) | (T::TimestampNs, T::Timestamp | T::Date) => T::TimestampNs,
        (T::List(a), T::List(b)) => match join(a, b) {
            // A list of mixed things is JSON, not a list of texts that look like JSON.
            T::Varchar | T::Json if a != b => T::Json,
            item => T::List(Box::new(item)),
        },
        (T::Struct(_) | T::List(_) | T::Array(..) | T::Map(..) | T::Json, _)
        | (_, T::Struct(_) | T::List(_) | T::Array(..) | T::Map(..) | T::Json) => T::Json,
        _ => T::Varchar,
    }
}

/// Integers grow; an integer and a decimal make a decimal; a double swallows only what it holds exactly.
fn join_numbers(a: &ColumnType, b: &ColumnType) -> ColumnType {
    use ColumnType as T;
    match (a, b) {
        (T::Float | T::Double, T::Float | T::Double) => T::Double,
        (T::Float | T::Double, other) | (other, T::Float | T::Double) => match digits(other) {
            // 2^53 has 16 digits, of which 15 are always exact.
            Some((whole, 0)) if whole <= 15 => T::Double,
            _ => T::Varchar,
        },
        _ => {
            let (Some((whole_a, scale_a)), Some((whole_b, scale_b))) = (digits(a), digits(b)) else {
                return T::Varchar;
            };
            if scale_a == 0 && scale_b == 0 && integer_rank(a).is_some() && integer_rank(b).is_some() {
                return join_integers(a, b);
            }
            let (whole, scale) = (whole_a.max(whole_b), scale_a.max(scale_b));
            if whole + scale <= 38 { T::Decimal(whole + scale, scale) } else { T::Varchar }
        }
    }
}

/// Digits before and behind the point that a numeric type can have.
fn digits(column_type: &ColumnType) -> Option<(u8, u8)> {
    use ColumnType as T;
    Some(match column_type {
        T::TinyInt | T::UTinyInt => (3, 0),
        T::SmallInt | T::USmallInt => (5, 0),
        T::Integer | T::UInteger => (10, 0),
        T::BigInt => (19, 0),
        T::UBigInt => (20, 0),
        T::HugeInt | T::UHugeInt => (39, 0),
        T::Decimal(precision, scale) => (precision - scale, *scale),
        _ => return None,
    })
}

/// Bits of magnitude, and whether there is a sign.
fn integer_rank(column_type: &ColumnType) -> Option<(u32, bool)> {
    use ColumnType as T;
    Some(match column_type {
        T::TinyInt => (7, true),
        T::SmallInt => (15, true),
        T::Integer => (31, true),
        T::BigInt => (63, true),
        T::HugeInt => (127, true),
        T::UTinyInt => (8, false),
        T::USmallInt => (16, false),
        T::UInteger => (32, false),
        T::UBigInt => (64, false),
        T::UHugeInt => (128, false),
        _ => return None,
    })
}

fn join_integers(a: &ColumnType, b: &ColumnType) -> ColumnType {
    use ColumnType as T;
    let (Some((bits_a, sign_a)), Some((bits_b, sign_b))) = (integer_rank(a), integer_rank(b)) else {
        return T::Varchar;
    };
    let (bits, signed) = (bits_a.max(bits_b), sign_a || sign_b);
    match (bits, signed) {
        (..=7, true) => T::TinyInt,
        (..=15, true) => T::SmallInt,
        (..=31, true) => T::Integer,
        (..=63, true) => T::BigInt,
        (..=127, true) => T::HugeInt,
        (..=8, false) => T::UTinyInt,
        (..=16, false) => T::USmallInt,
        (..=32, false) => T::UInteger,
        (..=64, false) => T::UBigInt,
        (_, false) => T::UHugeInt,
        _ => T::Varchar,
    }
}

/// How a stored column of type `from` is rewritten as `to`, in SQL.
pub(super) fn conversion(column: &str, from: &ColumnType, to: &ColumnType) -> String {
    match (from, to) {
        // An instant in JSON is the text that it is elsewhere.
        (ColumnType::Instant, ColumnType::Json) => format!("to_json(CAST({column} AS VARCHAR) || '+00')"),
        // JSON has one kind of number: a whole one is the same text, whatever type a fraction has given the column.
        // DuckDB writes `.5`, which is no JSON, where a type has no digits before the point.
        (ColumnType::Decimal(_, 1..), ColumnType::Json) => {
            let text = format!("regexp_replace(CAST({column} AS VARCHAR), '^(-?)[.]', '\\10.')");
            format!("CAST(rtrim(rtrim({text}, '0'), '.') AS JSON)")
        }
        (ColumnType::Float | ColumnType::Double, ColumnType::Json) => {
            format!("CAST(regexp_replace(CAST(to_json({column}) AS VARCHAR), '[.]0$', '') AS JSON)")
        }
        (_, ColumnType::Json) if *from != ColumnType::Json => format!("to_json({column})"),
        (ColumnType::Instant, ColumnType::Varchar) => format!("CAST({column} AS VARCHAR) || '+00'"),
        _ => format!("CAST({column} AS {})", to.sql()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ColumnType as T;

    #[test]
    fn integers_grow_without_losing_sign_or_size() {
        assert_eq!(join(&T::Integer, &T::UInteger), T::BigInt);
        assert_eq!(join(&T::UBigInt, &T::BigInt), T::HugeInt);
        assert_eq!(join(&T::UTinyInt, &T::UBigInt), T::UBigInt);
    }

    #[test]
    fn doubles_swallow_only_what_they_hold_exactly() {
        assert_eq!(join(&T::Integer, &T::Double), T::Double);
        assert_eq!(join(&T::BigInt, &T::Double), T::Varchar);
        assert_eq!(join(&T::Decimal(10, 2), &T::Double), T::Varchar);
        assert_eq!(join(&T::Decimal(10, 2), &T::BigInt), T::Decimal(21, 2));
        assert_eq!(join(&T::Decimal(38, 30), &T::BigInt), T::Varchar);
    }

    #[test]
    fn different_families_meet_in_text_and_nested_ones_in_json() {
        assert_eq!(join(&T::Boolean, &T::Integer), T::Varchar);
        assert_eq!(join(&T::Instant, &T::Timestamp), T::Varchar);
        assert_eq!(join(&T::Date, &T::Timestamp), T::Timestamp);
        assert_eq!(join(&T::List(Box::new(T::Integer)), &T::Varchar), T::Json);
        assert_eq!(join(&T::List(Box::new(T::Integer)), &T::List(Box::new(T::BigInt))), T::List(Box::new(T::BigInt)));
        assert_eq!(join(&T::List(Box::new(T::Integer)), &T::List(Box::new(T::Varchar))), T::Json);
    }

    #[test]
    fn joining_is_symmetric_and_idempotent() {
        let all = [
            T::Boolean,
            T::TinyInt,
            T::BigInt,
            T::UBigInt,
            T::HugeInt,
            T::Double,
            T::Float,
            T::Decimal(18, 3),
            T::Varchar,
            T::Json,
            T::Date,
            T::Timestamp,
            T::TimestampNs,
            T::Instant,
            T::Interval,
            T::List(Box::new(T::Integer)),
        ];
        for a in &all {
            for b in &all {
                let joined = join(a, b);
                assert_eq!(joined, join(b, a), "{a} {b}");
                assert_eq!(join(&joined, a), joined, "{a} {b}");
            }
        }
    }
}

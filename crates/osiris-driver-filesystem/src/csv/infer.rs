//! Infers the type of a CSV column from every value of the file, never from a sample.
//!
//! The rule is in the crate's documentation, in one paragraph; this is its only implementation.

use osiris_core::ColumnType;

/// A set of kinds of values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Kinds(u8);

impl Kinds {
    const BOOLEAN: Self = Self(1);
    const NUMBER: Self = Self(2);
    const DATE: Self = Self(4);
    const TIMESTAMP: Self = Self(8);
    const INSTANT: Self = Self(16);
    const TIME: Self = Self(32);
    const TEXT: Self = Self(64);

    fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    fn contains(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// The profile of a column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ColumnProfile {
    kinds: Kinds,
    numbers: Numbers,
    /// A quoted empty field or a quoted `na_values` was seen.
    pub(crate) quoted_null: bool,
}

/// The profile of the numbers of a column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Numbers {
    /// Maximum digits before the decimal point.
    integer_digits: u32,
    /// Maximum decimal places.
    scale: u32,
    /// One had a decimal point or a signed exponent.
    fractional: bool,
    /// One had an exponent without decimal point or sign: `1e5`.
    bare_exponent: bool,
    /// One cannot be a decimal: an exponent, NaN, infinity, minus zero.
    float_only: bool,
    /// One is beyond 64 bits.
    beyond_i64: bool,
    /// One loses digits as a double.
    inexact: bool,
}

impl ColumnProfile {
    /// Adds a value that is neither NULL nor empty.
    #[inline]
    pub(crate) fn observe(&mut self, value: &[u8]) {
        self.observe_prefix(value, value.len());
    }

    /// Adds the first `length` of `bytes`, a value that is neither NULL nor empty. What follows it costs nothing and lets
    /// eight bytes be read at once.
    #[inline]
    pub(crate) fn observe_prefix(&mut self, bytes: &[u8], length: usize) {
        if self.kinds.contains(Kinds::TEXT) {
            return;
        }
        if (1..=8).contains(&length)
            && let Some(eight) = bytes.first_chunk()
            && self.numbers.observe_short(u64::from_le_bytes(*eight), length)
        {
            self.kinds.insert(Kinds::NUMBER);
            return;
        }
        let value = &bytes[..length];
        // Most columns of dates hold nothing else.
        if self.kinds == Kinds::DATE && value.len() == 10 && is_date(value) {
            return;
        }
        if !self.numbers.observe_plain(value) {
            self.observe_other(value);
        } else {
            self.kinds.insert(Kinds::NUMBER);
        }
    }

    /// Adds a value that is text, whatever it looks like.
    pub(crate) fn observe_text(&mut self) {
        self.kinds.insert(Kinds::TEXT);
    }

    /// Whether no value was seen.
    pub(crate) fn is_empty(&self) -> bool {
        self.kinds == Kinds::default() && !self.quoted_null
    }

    fn observe_other(&mut self, value: &[u8]) {
        let kind = match value {
            b"true" | b"false" | b"True" | b"False" | b"TRUE" | b"FALSE" => Kinds::BOOLEAN,
            _ if self.numbers.observe_odd(value) => Kinds::NUMBER,
            _ => temporal(value),
        };
        self.kinds.insert(kind);
    }

    /// Merges the profile of the same column in another file.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.kinds.insert(other.kinds);
        self.numbers.merge(&other.numbers);
        self.quoted_null |= other.quoted_null;
    }

    /// The type that holds every value seen.
    pub(crate) fn column_type(&self) -> ColumnType {
        const DATE_OR_TIMESTAMP: u8 = Kinds::DATE.0 | Kinds::TIMESTAMP.0;
        match self.kinds {
            Kinds::BOOLEAN => ColumnType::Boolean,
            Kinds::NUMBER => self.numbers.column_type(),
            Kinds::DATE => ColumnType::Date,
            Kinds::TIMESTAMP | Kinds(DATE_OR_TIMESTAMP) => ColumnType::Timestamp,
            Kinds::INSTANT => ColumnType::Instant,
            Kinds::TIME => ColumnType::Time,
            _ => ColumnType::Varchar,
        }
    }

    /// Whether DuckDB's reader parses every value as `stated` exactly.
    pub(crate) fn fits(&self, stated: &ColumnType) -> bool {
        let numbers = &self.numbers;
        let whole = self.kinds == Kinds::NUMBER && !numbers.fractional && !numbers.float_only;
        match stated {
            ColumnType::Varchar => true,
            _ if self.kinds == Kinds::default() => true,
            ColumnType::TinyInt => whole && numbers.integer_digits <= 2,
            ColumnType::SmallInt => whole && numbers.integer_digits <= 4,
            ColumnType::Integer => whole && numbers.integer_digits <= 9,
            ColumnType::BigInt => whole && !numbers.beyond_i64,
            ColumnType::HugeInt => whole && numbers.integer_digits <= 38,
            ColumnType::Double => self.kinds == Kinds::NUMBER && !numbers.inexact,
            ColumnType::Decimal(precision, scale) => {
                self.kinds == Kinds::NUMBER
                    && !numbers.float_only
                    && numbers.scale <= u32::from(*scale)
                    && numbers.integer_digits + u32::from(*scale) <= u32::from(*precision)
            }
            ColumnType::Timestamp => matches!(self.column_type(), ColumnType::Timestamp | ColumnType::Date),
            other => self.column_type() == *other,
        }
    }
}

impl Numbers {
    /// The fastest path: `digits[.digits]` of one to eight bytes, the first of them the lowest of `eight`. False for
    /// others.
    #[inline]
    fn observe_short(&mut self, eight: u64, length: usize) -> bool {
        const EACH: u64 = 0x0101_0101_0101_0101;
        let length = small(length);
        // Bytes without their high bit stay below 256 in the sum, so that none carries into the next.
        let values = eight ^ (EACH * u64::from(b'0'));
        let beyond_nine = ((values & (EACH * 0x7F)) + EACH * (0x80 - 10)) | values;
        let others = beyond_nine & (EACH * 0x80) & (u64::MAX >> (64 - 8 * length));
        let point = if others == 0 { length } else { others.trailing_zeros() / 8 };
        let is_led_by_zero = eight & 0xFF == u64::from(b'0') && point > 1;
        if is_led_by_zero {
            return false;
        }
        if others != 0 {
            let is_point = others & (others - 1) == 0 && (eight >> (8 * point)) & 0xFF == u64::from(b'.');
            if !is_point || point == 0 || point + 1 == length {
                return false;
            }
            self.fractional = true;
            self.scale = self.scale.max(length - point - 1);
        }
        self.integer_digits = self.integer_digits.max(point);
        true
    }

    /// Fast path for most numbers: `-?digits[.digits]` with at most 15 digits. False for others.
    #[inline]
    fn observe_plain(&mut self, value: &[u8]) -> bool {
        let digits = value.strip_prefix(b"-").unwrap_or(value);
        if digits.is_empty() || digits.len() > 15 || (digits[0] == b'0' && digits.len() != value.len()) {
            return false;
        }
        let mut point = digits.len();
        for (index, byte) in digits.iter().enumerate() {
            if !byte.is_ascii_digit() {
                if *byte != b'.' || point < digits.len() {
                    return false;
                }
                point = index;
            }
        }
        if point == 0 || point + 1 == digits.len() || (digits[0] == b'0' && point > 1) {
            return false;
        }
        self.integer_digits = self.integer_digits.max(small(point));
        if point < digits.len() {
            self.fractional = true;
            self.scale = self.scale.max(small(digits.len() - point - 1));
        }
        true
    }

    /// Any other number: many digits, exponents, minus zero, NaN, infinity, a leading point.
    fn observe_odd(&mut self, value: &[u8]) -> bool {
        if matches!(value, b"NaN" | b"nan" | b"inf" | b"-inf" | b"Inf" | b"-Inf" | b"Infinity" | b"-Infinity") {
            self.float_only = true;
            return true;
        }
        let Some(number) = Literal::parse(value) else { return false };
        let Some(exact) = number.exact_as_double(value) else { return false };
        self.inexact |= !exact;
        self.integer_digits = self.integer_digits.max(small(number.integer.len()));
        self.scale = self.scale.max(small(number.fraction.len()));
        self.fractional |= number.point || number.signed_exponent;
        self.bare_exponent |= number.exponent.is_some() && !number.point && !number.signed_exponent;
        let zero = number.digits().all(|digit| digit == b'0');
        self.float_only |= number.exponent.is_some() || (number.negative && zero);
        let whole = !number.point && number.exponent.is_none();
        self.beyond_i64 |= whole && std::str::from_utf8(value).is_ok_and(|text| text.parse::<i64>().is_err());
        true
    }

    fn merge(&mut self, other: &Self) {
        self.integer_digits = self.integer_digits.max(other.integer_digits);
        self.scale = self.scale.max(other.scale);
        self.fractional |= other.fractional;
        self.bare_exponent |= other.bare_exponent;
        self.float_only |= other.float_only;
        self.beyond_i64 |= other.beyond_i64;
        self.inexact |= other.inexact;
    }

    fn column_type(&self) -> ColumnType {
        let finite = self.integer_digits > 0 || self.scale > 0;
        if !finite || (self.bare_exponent && !self.fractional) {
            return ColumnType::Varchar;
        }
        let digits = self.integer_digits + self.scale;
        if !self.fractional && !self.float_only {
            return match (self.beyond_i64, digits) {
                (false, _) => ColumnType::BigInt,
                (true, ..=38) => ColumnType::Decimal(38, 0),
                _ => ColumnType::Varchar,
            };
        }
        match (self.inexact, self.float_only, digits) {
            (false, _, _) => ColumnType::Double,
            (true, false, ..=18) => ColumnType::Decimal(18, scale(self.scale)),
            (true, false, ..=38) => ColumnType::Decimal(38, scale(self.scale)),
            _ => ColumnType::Varchar,
        }
    }
}

fn small(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX / 2)
}

fn scale(scale: u32) -> u8 {
    u8::try_from(scale).unwrap_or(u8::MAX)
}

/// Parses a number: `-?(0|[1-9][0-9]*)?(\.[0-9]+)?([eE][+-]?[0-9]+)?`, with a digit somewhere.
struct Literal<'a> {
    negative: bool,
    integer: &'a [u8],
    point: bool,
    fraction: &'a [u8],
    exponent: Option<i32>,
    signed_exponent: bool,
}

impl<'a> Literal<'a> {
    fn parse(value: &'a [u8]) -> Option<Self> {
        let (negative, rest) = match value.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, value),
        };
        let (integer, rest) = leading_digits(rest);
        if integer.len() > 1 && integer[0] == b'0' {
            return None;
        }
        let (point, fraction, rest) = match rest.strip_prefix(b".") {
            Some(rest) => {
                let (fraction, rest) = leading_digits(rest);
                (true, fraction, rest)
            }
            None => (false, &rest[..0], rest),
        };
        if (point && fraction.is_empty()) || (!point && integer.is_empty()) {
            return None;
        }
        let mut literal = Self { negative, integer, point, fraction, exponent: None, signed_exponent: false };
        if rest.is_empty() {
            return Some(literal);
        }
        let rest = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E"))?;
        literal.signed_exponent = matches!(rest.first(), Some(b'+' | b'-'));
        let digits = if literal.signed_exponent { &rest[1..] } else { rest };
        let (exponent, behind) = leading_digits(digits);
        if exponent.is_empty() || exponent.len() > 5 || !behind.is_empty() {
            return None;
        }
        literal.exponent = std::str::from_utf8(rest).ok()?.parse().ok();
        Some(literal)
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.integer.iter().chain(self.fraction).copied()
    }

    /// Whether the nearest double has the same digits when it is printed as short as can be. None when there is no such
    /// double at all: too large, or so small that it becomes zero.
    fn exact_as_double(&self, value: &[u8]) -> Option<bool> {
        let parsed: f64 = std::str::from_utf8(value).ok()?.parse().ok()?;
        let zero = self.digits().all(|digit| digit == b'0');
        if !parsed.is_finite() || (parsed == 0.0 && !zero) {
            return None;
        }
        let significant = self.digits().skip_while(|digit| *digit == b'0').count();
        if significant <= 15 {
            return Some(true);
        }
        let shortest = format!("{parsed:e}");
        let shortest = Literal::parse(shortest.as_bytes())?;
        Some(self.normalised() == shortest.normalised())
    }

    /// The digits without zeros at either end, and the power of ten of the last one.
    fn normalised(&self) -> (Vec<u8>, i64) {
        let mut digits: Vec<u8> = self.digits().skip_while(|digit| *digit == b'0').collect();
        let mut power = i64::from(self.exponent.unwrap_or(0)) - i64::from(small(self.fraction.len()));
        while digits.last() == Some(&b'0') {
            digits.pop();
            power += 1;
        }
        (digits, power)
    }
}

fn leading_digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    bytes.split_at(end)
}

/// Whether the value is a date, timestamp, point in time or time of day; text otherwise.
fn temporal(value: &[u8]) -> Kinds {
    if is_time(value).is_some_and(|rest| rest.is_empty()) && value.len() >= 8 {
        return Kinds::TIME;
    }
    if !is_date(value) {
        return Kinds::TEXT;
    }
    match value.get(10) {
        None => return Kinds::DATE,
        Some(b' ' | b'T') => {}
        Some(_) => return Kinds::TEXT,
    }
    match is_time(&value[11..]) {
        Some([]) => Kinds::TIMESTAMP,
        Some(b"Z") => Kinds::INSTANT,
        Some(offset) if is_offset(offset) => Kinds::INSTANT,
        _ => Kinds::TEXT,
    }
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))
}

/// Whether the value begins with a `YYYY-MM-DD` that exists.
fn is_date(value: &[u8]) -> bool {
    let Some([y3, y2, y1, y0, b'-', m1, m0, b'-', d1, d0]) = value.first_chunk::<10>() else { return false };
    let digit = |byte: &u8| u32::from(byte.wrapping_sub(b'0'));
    let [y3, y2, y1, y0] = [digit(y3), digit(y2), digit(y1), digit(y0)];
    let [m1, m0, d1, d0] = [digit(m1), digit(m0), digit(d1), digit(d0)];
    if y3.max(y2).max(y1).max(y0).max(m1).max(m0).max(d1).max(d0) > 9 {
        return false;
    }
    let (year, month, day) = (y3 * 1000 + y2 * 100 + y1 * 10 + y0, m1 * 10 + m0, d1 * 10 + d0);
    if day <= 28 && day > 0 && (1..=12).contains(&month) && year > 0 {
        return true;
    }
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    year >= 1 && (1..=days).contains(&day)
}

/// Takes `HH:MM[:SS[.f{1,6}]]` off the front and returns what is behind it.
fn is_time(value: &[u8]) -> Option<&[u8]> {
    let (hour, rest) = value.split_at_checked(2)?;
    let (minute, rest) = rest.strip_prefix(b":")?.split_at_checked(2)?;
    if number(hour)? > 23 || number(minute)? > 59 {
        return None;
    }
    let Some(rest) = rest.strip_prefix(b":") else { return Some(rest) };
    let (second, rest) = rest.split_at_checked(2)?;
    if number(second)? > 59 {
        return None;
    }
    let Some(rest) = rest.strip_prefix(b".") else { return Some(rest) };
    let (fraction, rest) = leading_digits(rest);
    (1..=6).contains(&fraction.len()).then_some(rest)
}

/// `+HH`, `+HHMM`, `+HH:MM`, or with a minus.
fn is_offset(value: &[u8]) -> bool {
    let Some(rest) = value.strip_prefix(b"+").or_else(|| value.strip_prefix(b"-")) else { return false };
    let (hour, minute) = match rest.len() {
        2 => (number(rest), Some(0)),
        5 if rest[2] == b':' => (number(&rest[..2]), number(&rest[3..])),
        _ => return false,
    };
    hour.is_some_and(|hour| hour <= 15) && minute.is_some_and(|minute| minute <= 59)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn infer(values: &[&str]) -> String {
        let mut profile = ColumnProfile::default();
        values.iter().for_each(|value| profile.observe(value.as_bytes()));
        profile.column_type().to_string()
    }

    #[test]
    fn identifiers_stay_text() {
        for value in ["00123", "+420", " 12", "12 ", "1_000", "0x1F", "5.", "-007", "1e5", "01.5", "1.2.3", "-", "."] {
            assert_eq!(infer(&["1", value]), "VARCHAR", "{value}");
            assert_eq!(infer(&[value]), "VARCHAR", "{value}");
        }
    }

    #[test]
    fn whole_numbers_keep_every_digit() {
        assert_eq!(infer(&["0", "-1", "123456789012345"]), "BIGINT");
        assert_eq!(infer(&["9223372036854775807", "-9223372036854775808"]), "BIGINT");
        assert_eq!(infer(&["9223372036854775808"]), "DECIMAL(38,0)");
        assert_eq!(infer(&[&"9".repeat(39)]), "VARCHAR");
    }

    #[test]
    fn numbers_are_doubles_while_doubles_hold_them() {
        assert_eq!(infer(&["1.10", ".5", "-0.25", "3"]), "DOUBLE");
        assert_eq!(infer(&["0.30000000000000004", "1e-05", "NaN", "-inf"]), "DOUBLE");
        assert_eq!(infer(&["1.5", "1e5"]), "DOUBLE");
        assert_eq!(infer(&["-0"]), "DOUBLE");
        assert_eq!(infer(&["1e+16"]), "DOUBLE");
        assert_eq!(infer(&["1234567890123456.75"]), "DECIMAL(18,2)");
        assert_eq!(infer(&["0.12345678901234567890"]), "DECIMAL(38,20)");
        assert_eq!(infer(&["9007199254740993", "0.5"]), "DECIMAL(18,1)");
        assert_eq!(infer(&["1e400"]), "VARCHAR");
        assert_eq!(infer(&["NaN"]), "VARCHAR");
    }

    #[test]
    fn dates_are_iso_or_text() {
        assert_eq!(infer(&["2024-02-29"]), "DATE");
        assert_eq!(infer(&["2023-02-29"]), "VARCHAR");
        assert_eq!(infer(&["13/12/2024"]), "VARCHAR");
        assert_eq!(infer(&["2024-01-05", "2024-01-05T10:00:00.5"]), "TIMESTAMP");
        assert_eq!(infer(&["2024-01-05 10:00:00Z", "2024-01-05T10:00:00+02:00"]), "INSTANT");
        assert_eq!(infer(&["2024-01-05 10:00:00Z", "2024-01-05T10:00:00"]), "VARCHAR");
        assert_eq!(infer(&["2024-01-05 10:00:00.1234567"]), "VARCHAR");
        assert_eq!(infer(&["10:00:00", "23:59:59.25"]), "TIME");
        assert_eq!(infer(&["10:00"]), "VARCHAR");
    }

    #[test]
    fn mixtures_and_nothing_are_text() {
        assert_eq!(infer(&["true", "FALSE"]), "BOOLEAN");
        assert_eq!(infer(&["yes"]), "VARCHAR");
        assert_eq!(infer(&["true", "1"]), "VARCHAR");
        assert_eq!(infer(&["1", "2024-01-01"]), "VARCHAR");
        assert_eq!(infer(&[]), "VARCHAR");
    }

    #[test]
    fn merging_is_the_same_as_reading_on() {
        let values = ["1", "2.5", "123456789012345678.5", "x", "2024-01-01"];
        for split in 0..values.len() {
            let (mut one, mut two, mut both) =
                (ColumnProfile::default(), ColumnProfile::default(), ColumnProfile::default());
            values[..split].iter().for_each(|value| one.observe(value.as_bytes()));
            values[split..].iter().for_each(|value| two.observe(value.as_bytes()));
            values.iter().for_each(|value| both.observe(value.as_bytes()));
            one.merge(&two);
            assert_eq!(one.column_type(), both.column_type());
        }
    }

    proptest::proptest! {
        #[test]
        fn what_follows_a_value_changes_nothing(value in "[0-9.eE+-]{1,9}|[ -~]{1,12}", behind in "[0-9.,\"\\n]{0,12}") {
            let (mut alone, mut within) = (ColumnProfile::default(), ColumnProfile::default());
            alone.observe(value.as_bytes());
            within.observe_prefix(format!("{value}{behind}").as_bytes(), value.len());
            proptest::prop_assert_eq!(alone, within);
        }
    }
}

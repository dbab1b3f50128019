//! Numbers by their text: which type holds one exactly.

/// A number, in the narrowest form that is exact.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Int(i64),
    /// Its shortest text is the one that was read, apart from zeros and the notation of the exponent.
    Double(f64),
    Decimal(Exact),
    /// More digits than any type has.
    Text,
}

/// An integer and the position of the decimal point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exact {
    pub(super) unscaled: i128,
    pub(super) scale: u8,
    /// Digits before the point.
    pub(super) whole: u8,
}

/// The largest magnitude below which every integer is a double.
const SAFE: u64 = 1 << 53;

impl Number {
    #[inline]
    pub(super) fn parse(text: &str) -> Self {
        // 18 digits and a sign always fit; most numbers end here.
        if let Some(int) = short_int(text) {
            return Self::Int(int);
        }
        if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
            return match text.parse() {
                Ok(int) => Self::Int(int),
                Err(_) => Self::exact_or_text(text),
            };
        }
        match exact_double(text) {
            Some(double) => Self::Double(double),
            None => Self::exact_or_text(text),
        }
    }

    fn exact_or_text(text: &str) -> Self {
        Exact::parse(text).map_or(Self::Text, Self::Decimal)
    }
}

fn short_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut value: i64 = 0;
    for byte in digits.bytes() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// An integer as a double, where that is exact.
pub(super) fn int_as_double(int: i64) -> Option<f64> {
    if int.unsigned_abs() > SAFE {
        return None;
    }
    let (high, low) = (int >> 32, int & 0xFFFF_FFFF);
    Some(f64::from(i32::try_from(high).ok()?) * 4_294_967_296.0 + f64::from(u32::try_from(low).ok()?))
}

/// The double that a text stands for, if its shortest text is that one. Halfway between two texts of one length each
/// program takes its own: `1304228222714850.25` is printed with a last digit of 2 or of 3.
pub(super) fn exact_double(text: &str) -> Option<f64> {
    let double: f64 = text.parse().ok()?;
    let digits = Digits::of(text)?;
    // 15 digits always survive, as long as the double is a normal one.
    if digits.count <= 15 && (double == 0.0) == (digits.count == 0) && (double == 0.0 || double.is_normal()) {
        return Some(double);
    }
    if !double.is_finite() {
        return None;
    }
    let mut buffer = zmij::Buffer::new();
    let shortest = buffer.format(double);
    is_shortest(text, shortest, double).then_some(double)
}

/// The same for 32 bits.
pub(super) fn exact_float(text: &str) -> Option<f64> {
    let float: f32 = text.parse().ok()?;
    if !float.is_finite() {
        return None;
    }
    let mut buffer = zmij::Buffer::new();
    let shortest = buffer.format(float);
    is_shortest(text, shortest, f64::from(float)).then_some(f64::from(float))
}

/// Whether `text` is the `shortest` of a number, or the other of two that are as near to it.
fn is_shortest(text: &str, shortest: &str, number: f64) -> bool {
    let (Some(given), Some(digits)) = (Digits::of(text), Digits::of(shortest)) else { return false };
    if given.count == 0 || digits.count == 0 {
        return given.count == digits.count;
    }
    if (given.negative, given.count, given.exponent) != (digits.negative, digits.count, digits.exponent) {
        return false;
    }
    let (Some(given), Some(last)) = (given.whole(text), digits.whole(shortest)) else { return false };
    if given == last {
        return true;
    }
    // The one digit that a number has in the middle between two neighbours. No double has more than 767 digits.
    let exact = format!("{number:.766e}");
    let half = given.min(last).checked_mul(10).and_then(|low| low.checked_add(5));
    given.abs_diff(last) == 1
        && Digits::of(&exact)
            .is_some_and(|exactly| exactly.exponent == digits.exponent - 1 && exactly.whole(&exact) == half)
}

impl Exact {
    /// A number's exact value, of up to 38 digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = Digits::of(text)?;
        let unscaled = digits.whole(text)?;
        let unscaled = if digits.negative { -unscaled } else { unscaled };
        if digits.count == 0 {
            return Some(Self { unscaled: 0, scale: 0, whole: 1 });
        }
        let count = i64::try_from(digits.count).ok()?;
        let whole = (count + digits.exponent).max(0);
        let scale = (-digits.exponent).max(0);
        if whole + scale > 38 {
            return None;
        }
        let zeros = u32::try_from(digits.exponent.max(0)).ok()?;
        let unscaled = unscaled.checked_mul(10i128.checked_pow(zeros)?)?;
        Some(Self { unscaled, scale: u8::try_from(scale).ok()?, whole: u8::try_from(whole).ok()? })
    }

    /// The integer that stands for it in a column of this precision and scale, where it fits.
    pub(super) fn scaled_to(self, precision: u8, scale: u8) -> Option<i128> {
        if self.unscaled == 0 {
            return Some(0);
        }
        let more = scale.checked_sub(self.scale)?;
        (self.whole <= precision - scale).then(|| self.unscaled.checked_mul(10i128.pow(more.into())))?
    }
}

/// What a decimal text says, without its zeros at either end: `count` digits times ten to the `exponent`.
struct Digits {
    negative: bool,
    count: usize,
    exponent: i64,
    /// The position of the first significant digit.
    start: usize,
}

impl Digits {
    /// Of a text that is a number by JSON's grammar, or nearly.
    fn of(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i64>().ok()?),
            None => (text, 0),
        };
        let (mut count, mut zeros, mut behind, mut start, mut point) = (0usize, 0usize, 0i64, 0, false);
        for (at, byte) in mantissa.bytes().enumerate() {
            match byte {
                b'-' if at == 0 => {}
                b'.' => point = true,
                b'0'..=b'9' => {
                    behind += i64::from(point);
                    if byte == b'0' {
                        zeros += usize::from(count > 0);
                        continue;
                    }
                    if count == 0 {
                        start = at;
                    }
                    count += zeros + 1;
                    zeros = 0;
                }
                _ => return None,
            }
        }
        let trailing = if count == 0 { 0 } else { i64::try_from(zeros).ok()? };
        let exponent = exponent.checked_sub(behind)?.checked_add(trailing)?;
        Some(Self { negative: mantissa.starts_with('-'), count, exponent, start })
    }

    fn significant<'a>(&self, text: &'a str) -> impl Iterator<Item = u8> + 'a {
        let digits = text.as_bytes()[self.start..].iter().filter(|byte| **byte != b'.');
        digits.take(self.count).map(|byte| byte - b'0')
    }

    /// The digits as a whole number.
    fn whole(&self, text: &str) -> Option<i128> {
        self.significant(text).try_fold(0i128, |value, digit| value.checked_mul(10)?.checked_add(i128::from(digit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(unscaled: i128, scale: u8, whole: u8) -> Number {
        Number::Decimal(Exact { unscaled, scale, whole })
    }

    #[test]
    fn a_number_takes_the_narrowest_type_that_is_exact() {
        for (text, number) in [
            ("0", Number::Int(0)),
            ("-12", Number::Int(-12)),
            ("9223372036854775807", Number::Int(i64::MAX)),
            ("-9223372036854775808", Number::Int(i64::MIN)),
            ("9223372036854775808", decimal(9_223_372_036_854_775_808, 0, 19)),
            ("0.1", Number::Double(0.1)),
            ("1.10", Number::Double(1.1)),
            ("1E-7", Number::Double(1e-7)),
            ("0.30000000000000004", Number::Double(0.1 + 0.2)),
            ("5e-324", Number::Double(5e-324)),
            ("1.7976931348623157e308", Number::Double(f64::MAX)),
            ("0.1000000000000000055", decimal(1_000_000_000_000_000_055, 19, 0)),
            ("1234567890123456789.123456789", decimal(1_234_567_890_123_456_789_123_456_789, 9, 19)),
            (
                "99999999999999999999999999999999999999",
                decimal(99_999_999_999_999_999_999_999_999_999_999_999_999, 0, 38),
            ),
            ("100000000000000000000000000000000000000", Number::Text),
            ("1e400", Number::Text),
            ("0.0", Number::Double(0.0)),
        ] {
            assert_eq!(Number::parse(text), number, "{text}");
        }
    }

    #[test]
    fn a_double_between_two_texts_of_its_length_has_both() {
        for text in ["-1304228222714850.2", "-1304228222714850.3", "-1.3042282227148503e15"] {
            assert_eq!(exact_double(text).map(|double| double * 4.0), Some(-5_216_912_890_859_401.0), "{text}");
        }
        assert_eq!(exact_double("1304228222714850.25"), None);
        // Texts of the same length that are farther away than the shortest one.
        for text in ["0.30000000000000001", "0.30000000000000003", "9007199254740993.0", "3e-324", "7e-324"] {
            assert_eq!(exact_double(text), None, "{text}");
        }
        assert_eq!(exact_float("16777217"), None);
    }

    #[test]
    fn decimals_fit_where_no_digit_is_lost() {
        let exact = Exact::parse("12.50").unwrap();
        assert_eq!(exact, Exact { unscaled: 125, scale: 1, whole: 2 });
        assert_eq!(exact.scaled_to(10, 2), Some(1250));
        assert_eq!(exact.scaled_to(3, 2), None);
        assert_eq!(exact.scaled_to(10, 0), None);
        assert_eq!(Exact::parse("1e3").unwrap(), Exact { unscaled: 1000, scale: 0, whole: 4 });
    }

    proptest! {
        #[test]
        fn doubles_and_integers_come_back_as_they_were(double in any::<f64>(), int in any::<i64>()) {
            prop_assume!(double.is_finite());
            let text = format!("{double:e}");
            prop_assert_eq!(exact_double(&text).map(f64::to_bits), Some(double.to_bits()));
            prop_assert_eq!(Number::parse(&int.to_string()), Number::Int(int));
            let small = int >> 11;
            prop_assert_eq!(int_as_double(small).map(|d| format!("{d:.0}")).map(|t| t.parse::<i64>()), Some(Ok(small)));
        }

        #[test]
        fn decimals_keep_every_digit(unscaled in -10i128.pow(37)..10i128.pow(37), scale in 0u8..30) {
            let sign = if unscaled < 0 { "-" } else { "" };
            let width = usize::from(scale) + 1;
            let mut text = format!("{sign}{:0>width$}", unscaled.unsigned_abs());
            if scale > 0 {
                text.insert(text.len() - usize::from(scale), '.');
            }
            if let Some(exact) = Exact::parse(&text) {
                prop_assert_eq!(exact.scaled_to(38, scale), Some(unscaled), "{}", text);
            } else {
                prop_assert!(text.len() > 38, "{}", text);
            }
        }
    }
}

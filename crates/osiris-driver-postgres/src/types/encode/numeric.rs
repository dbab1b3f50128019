//! Encodes PostgreSQL's `numeric`: a sign, and base-10,000 digits around the decimal point. Never rounds.
//!
//! The form: <https://www.postgresql.org/docs/current/protocol-message-formats.html> does not document the format; it
//! is that of `numeric_recv`: number of digits, weight of the first one, sign, display scale, digits; 16 bits each.

use super::ConversionError;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

/// The reason for digits that would be rounded.
pub(super) const FINER: &str = "more decimal places than the column allows";
const LARGER: &str = "more digits before the decimal point than the column allows";
const NO_NUMBER: &str = "invalid number";

/// Precision and scale of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) precision: u16,
    pub(crate) scale: i16,
}

/// Writes `value` with `scale` decimal places.
pub(super) fn decimal(value: i128, scale: u8, limit: Option<Limit>, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    if let Some(limit) = limit {
        fits(value, scale, limit)?;
    }
    let pad = (4 - scale % 4) % 4;
    let behind = usize::from(scale + pad) / 4;
    let magnitude = value.unsigned_abs();
    match u64::try_from(magnitude).ok().and_then(|small| small.checked_mul(10_u64.pow(pad.into()))) {
        Some(mut rest) => {
            // Least significant first; 64 bits need five digits, possibly with zeros before the decimal point.
            let mut digits = [0_u16; 5];
            let mut count = 0;
            while rest > 0 {
                digits[count] = u16::try_from(rest % 10_000).unwrap_or(0);
                rest /= 10_000;
                count += 1;
            }
            digits[..count].reverse();
            put(value < 0, &digits[..count], count, behind, scale.into(), out);
        }
        None => {
            let text = magnitude.to_string();
            let (whole, fraction) = text.split_at(text.len().saturating_sub(scale.into()));
            let fraction = format!("{fraction:0>width$}", width = usize::from(scale));
            parts(value < 0, whole.as_bytes(), fraction.as_bytes(), scale.into(), out);
        }
    }
    Ok(())
}

/// Whether the column can hold a number of this scale exactly.
fn fits(value: i128, scale: u8, limit: Limit) -> Result<(), ConversionError> {
    let surplus = i32::from(scale) - i32::from(limit.scale);
    let unit = |digits: i32| u32::try_from(digits).ok().and_then(|digits| 10_u128.checked_pow(digits));
    let magnitude = value.unsigned_abs();
    if surplus > 0 && magnitude != 0 && unit(surplus).is_none_or(|unit| !magnitude.is_multiple_of(unit)) {
        return Err(FINER.into());
    }
    // The digits before the decimal point that the column allows, plus the scale of this number.
    let most = i32::from(limit.precision) - i32::from(limit.scale) + i32::from(scale);
    let small = if most < 0 { magnitude == 0 } else { unit(most).is_none_or(|most| magnitude < most) };
    if small { Ok(()) } else { Err(LARGER.into()) }
}

/// Parses a number: sign, digits, optionally a decimal point and digits; or `NaN`, `Infinity`.
pub(super) fn parse(text: &str, limit: Option<Limit>, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    let Some(number) = Number::of(text) else {
        let sign = match text.to_ascii_lowercase().as_str() {
            "nan" => NAN,
            "infinity" | "+infinity" | "inf" => INFINITY,
            "-infinity" | "-inf" => NEGATIVE_INFINITY,
            _ => return Err(NO_NUMBER.into()),
        };
        if sign != NAN && limit.is_some() {
            return Err("the column does not support infinity".into());
        }
        special(sign, out);
        return Ok(());
    };
    if let Some(limit) = limit {
        let fraction = number.fraction.trim_end_matches('0').len();
        if i64::try_from(fraction).unwrap_or(i64::MAX) > i64::from(limit.scale.max(0)) {
            return Err(FINER.into());
        }
        let whole = number.whole.trim_start_matches('0');
        let before = i64::from(limit.precision) - i64::from(limit.scale);
        if i64::try_from(whole.len()).unwrap_or(i64::MAX) > before {
            return Err(LARGER.into());
        }
        let zeros = usize::from(limit.scale.min(0).unsigned_abs());
        if whole.len() > zeros && !whole[whole.len() - zeros..].bytes().all(|digit| digit == b'0') {
            return Err("digits that the column would round".into());
        }
    }
    // PostgreSQL's limits: 131,072 digits before the decimal point and 16,383 after it.
    if number.whole.len() > 131_072 || number.fraction.len() > 16_383 {
        return Err("more digits than numeric supports".into());
    }
    let scale = u16::try_from(number.fraction.len()).unwrap_or(u16::MAX);
    parts(number.negative, number.whole.as_bytes(), number.fraction.as_bytes(), scale, out);
    Ok(())
}

/// The digits of a number before and after the decimal point.
pub(super) struct Number<'a> {
    pub(super) negative: bool,
    pub(super) whole: &'a str,
    pub(super) fraction: &'a str,
}

impl<'a> Number<'a> {
    /// Parses it; no spaces, no exponent.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let numeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let found = !(whole.is_empty() && fraction.is_empty()) && numeric(whole) && numeric(fraction);
        found.then_some(Self { negative: text.starts_with('-'), whole, fraction })
    }

    /// Converts it to an integer.
    ///
    /// # Errors
    /// When it is not an integer, or needs more than 128 bits.
    pub(super) fn integer(&self) -> Result<i128, ConversionError> {
        if self.fraction.bytes().any(|digit| digit != b'0') {
            return Err("expected a whole number".into());
        }
        let magnitude: i128 = if self.whole.is_empty() { 0 } else { self.whole.parse().map_err(|_| LARGER)? };
        Ok(if self.negative { -magnitude } else { magnitude })
    }
}

/// Groups decimal digits by four, starting at the decimal point.
fn parts(negative: bool, whole: &[u8], fraction: &[u8], scale: u16, out: &mut Vec<u8>) {
    let mut digits: Vec<u16> = Vec::with_capacity(whole.len() / 4 + fraction.len() / 4 + 2);
    let group = |part: &[u8]| part.iter().fold(0_u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let (first, rest) = whole.split_at(whole.len() % 4);
    if !first.is_empty() {
        digits.push(group(first));
    }
    digits.extend(rest.chunks(4).map(group));
    let before = digits.len();
    for chunk in fraction.chunks(4) {
        digits.push(group(chunk) * 10_u16.pow(u32::try_from(4 - chunk.len()).unwrap_or(0)));
    }
    let behind = digits.len() - before;
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    put(negative, &digits[zeros..], digits.len() - zeros, behind, scale, out);
}

/// Writes digits, the first of which is not zero; `behind` of them are after the decimal point.
fn put(negative: bool, digits: &[u16], count: usize, behind: usize, scale: u16, out: &mut Vec<u8>) {
    let kept = digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1);
    let weight = i32::try_from(count).unwrap_or(0) - i32::try_from(behind).unwrap_or(0) - 1;
    let weight = if kept == 0 { 0 } else { i16::try_from(weight).unwrap_or(i16::MAX) };
    let sign = if negative && kept > 0 { NEGATIVE } else { 0 };
    let kept_digits = u16::try_from(kept).unwrap_or(u16::MAX);
    out.extend_from_slice(&(8 + 2 * u32::from(kept_digits)).to_be_bytes());
    out.extend_from_slice(&kept_digits.to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&scale.to_be_bytes());
    for digit in &digits[..kept] {
        out.extend_from_slice(&digit.to_be_bytes());
    }
}

fn special(sign: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(&8_u32.to_be_bytes());
    for part in [0, 0, sign, 0] {
        out.extend_from_slice(&part.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Decodes the bytes as text.
    fn read(bytes: &[u8]) -> String {
        let parts: Vec<i16> = bytes[4..].chunks(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect();
        assert_eq!(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize, bytes.len() - 4);
        let (weight, scale) = (parts[1], usize::try_from(parts[3]).unwrap());
        let digit = |at: i16| {
            let index = weight - at;
            let found = if index < 0 { None } else { parts.get(4 + usize::try_from(index).unwrap()) };
            format!("{:04}", found.copied().unwrap_or(0))
        };
        let whole: String = (0..=weight.max(0)).rev().map(digit).collect();
        let fraction: String = (1..=scale.div_ceil(4)).map(|at| digit(-i16::try_from(at).unwrap())).collect();
        let whole = whole.trim_start_matches('0');
        let sign = if parts[2] == 0x4000 { "-" } else { "" };
        let whole = if whole.is_empty() { "0" } else { whole };
        if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{}", &fraction[..scale]) }
    }

    fn written(write: impl FnOnce(&mut Vec<u8>) -> Result<(), ConversionError>) -> Result<String, String> {
        let mut out = Vec::new();
        write(&mut out).map_err(ConversionError::into_owned)?;
        Ok(read(&out))
    }

    proptest! {
        #[test]
        fn every_decimal_is_written_with_all_its_digits(value: i128, scale in 0_u8..=38) {
            let value = value % 10_i128.pow(38);
            let mut expected = Vec::new();
            osiris_sql::text::print::decimal(value, scale.into(), &mut expected);
            let expected = String::from_utf8(expected).unwrap();
            prop_assert_eq!(written(|out| decimal(value, scale, None, out)).unwrap(), expected.clone());
            prop_assert_eq!(written(|out| parse(&expected, None, out)).unwrap(), expected);
        }

        #[test]
        fn small_decimals_too(value in -20_000_i64..20_000, scale in 0_u8..=12) {
            let mut expected = Vec::new();
            osiris_sql::text::print::decimal(value.into(), scale.into(), &mut expected);
            prop_assert_eq!(written(|out| decimal(value.into(), scale, None, out)).unwrap(), String::from_utf8(expected).unwrap());
        }
    }

    #[test]
    fn what_a_column_would_round_or_has_no_room_for_is_refused() {
        let limit = |precision, scale| Some(Limit { precision, scale });
        let of = |value, scale, most| written(|out| decimal(value, scale, most, out));
        assert_eq!(of(1250, 3, limit(4, 2)).unwrap(), "1.250");
        assert_eq!(of(1255, 3, limit(4, 2)).unwrap_err(), FINER);
        assert_eq!(of(10_000, 2, limit(4, 2)).unwrap_err(), LARGER);
        assert_eq!(of(9999, 2, limit(4, 2)).unwrap(), "99.99");
        assert_eq!(of(1200, 0, limit(2, -2)).unwrap(), "1200");
        assert_eq!(of(1250, 0, limit(2, -2)).unwrap_err(), FINER);
        assert_eq!(of(0, 38, limit(2, 0)).unwrap(), format!("0.{}", "0".repeat(38)));
        let text = |text: &str, most| written(|out| parse(text, most, out));
        assert_eq!(text("99.990", limit(4, 2)).unwrap(), "99.990");
        assert_eq!(text("100", limit(4, 2)).unwrap_err(), LARGER);
        assert_eq!(text("0.001", limit(4, 2)).unwrap_err(), FINER);
        assert!(text("1250", limit(2, -2)).is_err());
        for wrong in ["", ".", "1e3", "12a", " 1", "--1"] {
            assert_eq!(text(wrong, None).unwrap_err(), NO_NUMBER, "{wrong}");
        }
    }
}

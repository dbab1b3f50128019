//! Parses decimals, which the server sends as text.

use arrow::datatypes::{Decimal128Type, DecimalType as _};

/// The unscaled value of a decimal: `-1.5` with scale 2 is -150. `None` if the text is not a
/// decimal, or has more than `scale` non-zero decimal places, or more than `precision` digits.
pub(crate) fn parse(text: &[u8], precision: u8, scale: u8) -> Option<i128> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    let point = digits.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match point {
        Some(point) => (&digits[..point], &digits[point + 1..]),
        None => (digits, &[][..]),
    };
    let scale = usize::from(scale);
    let (kept, rest) = fraction.split_at(fraction.len().min(scale));
    if (whole.is_empty() && fraction.is_empty()) || rest.iter().any(|byte| *byte != b'0') {
        return None;
    }
    let magnitude = if whole.len() + scale <= 18 {
        i128::from(accumulate_short(whole, kept, scale)?)
    } else {
        accumulate(whole, kept, scale)?
    };
    let greatest = *Decimal128Type::MAX_FOR_EACH_PRECISION.get(usize::from(precision))?;
    (magnitude <= greatest).then_some(if negative { -magnitude } else { magnitude })
}

fn digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

/// At most 18 digits, the common case.
fn accumulate_short(whole: &[u8], fraction: &[u8], scale: usize) -> Option<i64> {
    let mut value = 0_i64;
    for byte in whole.iter().chain(fraction) {
        value = value * 10 + i64::from(digit(*byte)?);
    }
    (fraction.len()..scale).for_each(|_| value *= 10);
    Some(value)
}

fn accumulate(whole: &[u8], fraction: &[u8], scale: usize) -> Option<i128> {
    let mut value = 0_i128;
    for byte in whole.iter().chain(fraction) {
        value = value.checked_mul(10)?.checked_add(i128::from(digit(*byte)?))?;
    }
    for _ in fraction.len()..scale {
        value = value.checked_mul(10)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_become_units_of_the_last_place() {
        for (text, precision, scale, units) in [
            ("0", 1, 0, Some(0)),
            ("-1.5", 10, 2, Some(-150)),
            ("+7", 3, 1, Some(70)),
            (".5", 3, 1, Some(5)),
            ("1.", 3, 1, Some(10)),
            ("1.500", 3, 1, Some(15)),
            ("1.501", 3, 1, None),
            ("100", 2, 0, None),
            ("99", 2, 0, Some(99)),
            ("", 2, 0, None),
            ("-", 2, 0, None),
            (".", 2, 0, None),
            ("1e5", 9, 0, None),
            ("99999999999999999999999999999999999999", 38, 0, Some(10_i128.pow(38) - 1)),
            ("-9999999999999999999999999999.9999999999", 38, 10, Some(1 - 10_i128.pow(38))),
            ("999999999999999999999999999999999999999999", 38, 0, None),
        ] {
            assert_eq!(parse(text.as_bytes(), precision, scale), units, "{text}");
        }
    }
}

//! Formats numbers and bytes as text, or rejects them if inexact.

use osiris_sql::text::print;

use super::cell::ConversionError;

const FINER: &str = "more decimal places than the column allows";

/// A decimal of scale `own` with at most `keep` decimal places.
pub(super) fn decimal(value: i128, own: u8, keep: u8, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    let (mut value, mut scale) = (value, own);
    if own > keep {
        let unit = 10_i128.checked_pow(u32::from(own - keep)).ok_or(FINER)?;
        if value % unit != 0 {
            return Err(FINER.into());
        }
        value /= unit;
        scale = keep;
    }
    print::decimal(value, scale.into(), out);
    Ok(())
}

/// Digits without leading and trailing zeros.
pub(super) fn significant_digits(value: i128) -> usize {
    let mut buffer = itoa::Buffer::new();
    buffer.format(value.unsigned_abs()).trim_end_matches('0').len()
}

/// The shortest text that parses to this number.
pub(super) fn float64(value: f64, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    if !value.is_finite() {
        return Err("MySQL does not support NaN or infinity".into());
    }
    out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    Ok(())
}

/// The same for 32 bits.
pub(super) fn float32(value: f32, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    if !value.is_finite() {
        return Err("MySQL does not support NaN or infinity".into());
    }
    out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    Ok(())
}

/// Converts a 64-bit float to 32 bits, exactly.
#[expect(clippy::cast_possible_truncation, reason = "what is lost is looked for right after")]
pub(super) fn narrow(value: f64, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    let narrow = value as f32;
    if value.is_finite() && f64::from(narrow).to_bits() != value.to_bits() {
        return Err("not exactly representable in a FLOAT column: use DOUBLE".into());
    }
    float64(value, out)
}

/// A floating point number as a decimal, without an exponent.
pub(super) fn plain_float(text: String, keep: u8, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    if text.contains(['N', 'i']) {
        return Err("MySQL does not support NaN or infinity".into());
    }
    number_text(&text, keep, out)
}

/// A number as text, with sign and decimal point, and at most `keep` decimal places, not counting trailing
/// zeros.
pub(super) fn number_text(text: &str, keep: u8, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let numeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !numeric(whole) || !numeric(fraction) {
        return Err("invalid number".into());
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > usize::from(keep) {
        return Err(FINER.into());
    }
    if text.starts_with('-') {
        out.push(b'-');
    }
    out.extend_from_slice(if whole.is_empty() { b"0" } else { whole.as_bytes() });
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
    Ok(())
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    print::hex(bytes, b"0123456789ABCDEF", out);
}

/// The digits of a UUID.
pub(super) fn uuid_bytes(text: &str, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    let start = out.len();
    out.extend(text.bytes().filter(u8::is_ascii_hexdigit));
    if out.len() - start == 32 { Ok(()) } else { Err("invalid UUID".into()) }
}

/// A string of bits as a number.
pub(super) fn bits(text: &str, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    let value = u64::from_str_radix(text, 2).map_err(|_| ConversionError::from("more than 64 bits"))?;
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    Ok(())
}

/// A comma-separated list of distinct members.
pub(super) fn members(value: &str, members: &[String]) -> Result<(), ConversionError> {
    if value.is_empty() {
        return Ok(());
    }
    let mut seen = std::collections::BTreeSet::new();
    for part in value.split(',') {
        if !members.iter().any(|member| member == part) || !seen.insert(part) {
            return Err("expected a comma-separated list of the column's SET values".into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>) -> Result<(), ConversionError>) -> Result<String, ConversionError> {
        let mut out = Vec::new();
        write(&mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn decimals_keep_every_digit_or_are_refused() {
        assert_eq!(written(|out| decimal(-1234, 2, 2, out)).unwrap(), "-12.34");
        assert_eq!(written(|out| decimal(5, 3, 3, out)).unwrap(), "0.005");
        assert_eq!(written(|out| decimal(1500, 3, 1, out)).unwrap(), "1.5");
        assert_eq!(written(|out| decimal(i128::from(i64::MIN), 0, 5, out)).unwrap(), i64::MIN.to_string());
        assert!(written(|out| decimal(1501, 3, 1, out)).is_err());
    }

    #[test]
    fn texts_are_numbers_or_are_refused() {
        for (text, keep, expected) in [("12", 0, "12"), ("-0.50", 1, "-0.5"), ("1.000", 0, "1"), (".5", 2, "0.5")] {
            assert_eq!(written(|out| number_text(text, keep, out)).unwrap(), expected);
        }
        for text in ["", ".", "1e3", "12a", " 1", "1.25", "--1"] {
            assert!(written(|out| number_text(text, 1, out)).is_err(), "{text}");
        }
    }

    #[test]
    fn floats_that_a_column_cannot_hold_are_refused() {
        assert!(written(|out| narrow(0.1, out)).is_err());
        assert_eq!(written(|out| narrow(0.5, out)).unwrap(), "0.5");
        assert!(written(|out| float64(f64::NAN, out)).is_err());
        assert!(written(|out| plain_float(f64::INFINITY.to_string(), 3, out)).is_err());
    }

    #[test]
    fn bytes_uuids_and_bits_are_digits() {
        assert_eq!(
            written(|out| {
                hex(&[0, 255, 16], out);
                Ok(())
            })
            .unwrap(),
            "00FF10"
        );
        let uuid = "00112233-4455-6677-8899-aabbccddeeff";
        assert_eq!(written(|out| uuid_bytes(uuid, out)).unwrap(), uuid.replace('-', ""));
        assert_eq!(written(|out| bits("0101", out)).unwrap(), "5");
        assert!(members("a,c", &["a".to_owned(), "b".to_owned()]).is_err());
    }
}

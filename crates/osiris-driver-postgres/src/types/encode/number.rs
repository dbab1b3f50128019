//! Encodes numbers exactly, or rejects them.

use super::ConversionError;
use super::convert::Width;
use super::numeric::Number;

const RANGE: &str = "number out of range for the column";
const INEXACT: &str = "not exactly representable in the column";

/// Writes a whole number.
pub(super) fn integer(value: i128, width: Width, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    match width {
        Width::Two => {
            let value = i16::try_from(value).map_err(|_| RANGE)?;
            out.extend_from_slice(&[0, 0, 0, 2]);
            out.extend_from_slice(&value.to_be_bytes());
        }
        Width::Four => {
            let value = i32::try_from(value).map_err(|_| RANGE)?;
            out.extend_from_slice(&[0, 0, 0, 4]);
            out.extend_from_slice(&value.to_be_bytes());
        }
        Width::Unsigned => {
            let value = u32::try_from(value).map_err(|_| RANGE)?;
            out.extend_from_slice(&[0, 0, 0, 4]);
            out.extend_from_slice(&value.to_be_bytes());
        }
        Width::Eight => eight(i64::try_from(value).map_err(|_| RANGE)?, out),
    }
    Ok(())
}

/// Writes 64 bits.
pub(super) fn eight(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0, 0, 8]);
    out.extend_from_slice(&value.to_be_bytes());
}

/// Writes 32 bits.
pub(super) fn four(value: i32, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0, 0, 4]);
    out.extend_from_slice(&value.to_be_bytes());
}

pub(super) fn float8(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0, 0, 8]);
    out.extend_from_slice(&value.to_be_bytes());
}

pub(super) fn float4(value: f32, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0, 0, 4]);
    out.extend_from_slice(&value.to_be_bytes());
}

/// Converts a decimal of this scale to an integer.
pub(super) fn whole(value: i128, scale: u8) -> Result<i128, ConversionError> {
    let unit = 10_i128.checked_pow(scale.into()).ok_or(RANGE)?;
    if value % unit == 0 { Ok(value / unit) } else { Err("expected a whole number".into()) }
}

/// Converts a floating point number to an integer.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked, and that nothing is behind the point")]
pub(super) fn whole_float(value: f64) -> Result<i128, ConversionError> {
    const END: f64 = 9_223_372_036_854_775_808.0;
    if !value.is_finite() || value.fract() != 0.0 {
        return Err("expected a whole number".into());
    }
    if (-END..END).contains(&value) { Ok(value as i128) } else { Err(RANGE.into()) }
}

/// Converts a 64-bit float to 32 bits, exactly.
#[expect(clippy::cast_possible_truncation, reason = "what is lost is looked for right after")]
pub(super) fn narrow(value: f64) -> Result<f32, ConversionError> {
    let narrow = value as f32;
    if value.is_nan() || f64::from(narrow).to_bits() == value.to_bits() {
        Ok(narrow)
    } else {
        Err("not exactly representable in a real column: use double precision".into())
    }
}

/// Converts an integer to a float with this many mantissa bits.
#[expect(clippy::cast_precision_loss, reason = "what would be lost is refused before")]
pub(super) fn exact_float(value: i128, bits: u32) -> Result<f64, ConversionError> {
    if value.unsigned_abs() > 1 << bits { Err(INEXACT.into()) } else { Ok(value as f64) }
}

/// Converts a decimal to a float with this many significant digits.
pub(super) fn approximate(value: i128, scale: u8, digits: usize) -> Result<f64, ConversionError> {
    let text = value.unsigned_abs().to_string();
    if text.trim_end_matches('0').len() > digits {
        return Err(INEXACT.into());
    }
    format!("{value}e-{scale}").parse().map_err(|_| INEXACT.into())
}

/// Parses a floating point number within the range of its width.
pub(super) fn float_text(text: &str) -> Result<f64, ConversionError> {
    let special = matches!(text.to_ascii_lowercase().as_str(), "nan" | "infinity" | "-infinity" | "inf" | "-inf");
    match text.parse::<f64>() {
        Ok(value) if special || value.is_finite() => Ok(value),
        Ok(_) => Err(RANGE.into()),
        Err(_) => Err("invalid number".into()),
    }
}

/// The same in 32 bits, rounded to the nearest.
pub(super) fn float4_text(text: &str) -> Result<f32, ConversionError> {
    float_text(text)?;
    match text.parse::<f32>() {
        Ok(value) if value.is_infinite() && text.contains(|digit: char| digit.is_ascii_digit()) => Err(RANGE.into()),
        Ok(value) => Ok(value),
        Err(_) => Err("invalid number".into()),
    }
}

/// Parses an integer.
pub(super) fn integer_text(text: &str) -> Result<i128, ConversionError> {
    Number::of(text).ok_or("invalid number")?.integer()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_a_column_cannot_hold_are_refused() {
        let mut out = Vec::new();
        integer(-2, Width::Two, &mut out).unwrap();
        assert_eq!(out, [0, 0, 0, 2, 0xFF, 0xFE]);
        assert!(integer(32_768, Width::Two, &mut out).is_err() && integer(1 << 31, Width::Four, &mut out).is_err());
        assert!(integer(i128::from(u64::MAX), Width::Eight, &mut out).is_err());
        assert_eq!(whole(1200, 2), Ok(12));
        assert!(whole(1201, 2).is_err());
        assert_eq!(whole_float(-3.0), Ok(-3));
        assert!(whole_float(0.5).is_err() && whole_float(1e19).is_err() && whole_float(f64::NAN).is_err());
    }

    #[test]
    fn what_floating_point_would_round_is_refused() {
        assert!(narrow(0.1).is_err() && narrow(1e300).is_err());
        assert!(narrow(0.5).is_ok() && narrow(f64::NAN).is_ok() && narrow(f64::INFINITY).is_ok());
        assert!(exact_float((1 << 53) + 1, 53).is_err() && exact_float(1 << 53, 53).is_ok());
        assert_eq!(approximate(-125, 2, 15), Ok(-1.25));
        assert!(approximate(1_234_567, 3, 6).is_err());
    }

    #[test]
    fn texts_are_numbers_or_are_refused() {
        assert_eq!(float_text("-1.5e3"), Ok(-1500.0));
        assert!(float_text("1e999").is_err() && float_text("1,5").is_err() && float4_text("1e39").is_err());
        assert_eq!(float4_text("Infinity"), Ok(f32::INFINITY));
        assert_eq!(integer_text("0012.0"), Ok(12));
        assert!(integer_text("12a").is_err() && integer_text("1.5").is_err());
    }
}

//! Numbers that fit into the bytes of a column, exactly or not at all.

use super::Refusal;
use super::convert::Width;
use super::numeric::Number;

const RANGE: &str = "the column keeps no number of this size";
const INEXACT: &str = "the column does not keep it exactly";

/// Writes a whole number.
pub(super) fn integer(value: i128, width: Width, out: &mut Vec<u8>) -> Result<(), Refusal> {
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

/// Writes a number of 64 bits, whatever they mean.
pub(super) fn eight(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0, 0, 8]);
    out.extend_from_slice(&value.to_be_bytes());
}

/// Writes a number of 32 bits, whatever they mean.
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

/// An exact number of this scale as a whole one.
pub(super) fn whole(value: i128, scale: u8) -> Result<i128, Refusal> {
    let unit = 10_i128.checked_pow(scale.into()).ok_or(RANGE)?;
    if value % unit == 0 { Ok(value / unit) } else { Err("it is not a whole number".into()) }
}

/// A floating point number as a whole one.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked, and that nothing is behind the point")]
pub(super) fn whole_float(value: f64) -> Result<i128, Refusal> {
    const END: f64 = 9_223_372_036_854_775_808.0;
    if !value.is_finite() || value.fract() != 0.0 {
        return Err("it is not a whole number".into());
    }
    if (-END..END).contains(&value) { Ok(value as i128) } else { Err(RANGE.into()) }
}

/// A number of 64 bits that 32 bits hold as well.
#[expect(clippy::cast_possible_truncation, reason = "what is lost is looked for right after")]
pub(super) fn narrow(value: f64) -> Result<f32, Refusal> {
    let narrow = value as f32;
    if value.is_nan() || f64::from(narrow).to_bits() == value.to_bits() {
        Ok(narrow)
    } else {
        Err("a real column does not keep it exactly: use double precision".into())
    }
}

/// A whole number as floating point that has so many bits for it.
#[expect(clippy::cast_precision_loss, reason = "what would be lost is refused before")]
pub(super) fn exact_float(value: i128, bits: u32) -> Result<f64, Refusal> {
    if value.unsigned_abs() > 1 << bits { Err(INEXACT.into()) } else { Ok(value as f64) }
}

/// An exact number as floating point that keeps so many significant digits of it.
pub(super) fn approximate(value: i128, scale: u8, digits: usize) -> Result<f64, Refusal> {
    let text = value.unsigned_abs().to_string();
    if text.trim_end_matches('0').len() > digits {
        return Err(INEXACT.into());
    }
    format!("{value}e-{scale}").parse().map_err(|_| INEXACT.into())
}

/// A text that is a floating point number, of a finite one within the range of its width.
pub(super) fn float_text(text: &str) -> Result<f64, Refusal> {
    let special = matches!(text.to_ascii_lowercase().as_str(), "nan" | "infinity" | "-infinity" | "inf" | "-inf");
    match text.parse::<f64>() {
        Ok(value) if special || value.is_finite() => Ok(value),
        Ok(_) => Err(RANGE.into()),
        Err(_) => Err("it is not a number".into()),
    }
}

/// The same in 32 bits, the nearest one to the text.
pub(super) fn float4_text(text: &str) -> Result<f32, Refusal> {
    float_text(text)?;
    match text.parse::<f32>() {
        Ok(value) if value.is_infinite() && text.contains(|digit: char| digit.is_ascii_digit()) => Err(RANGE.into()),
        Ok(value) => Ok(value),
        Err(_) => Err("it is not a number".into()),
    }
}

/// A text that is a whole number.
pub(super) fn integer_text(text: &str) -> Result<i128, Refusal> {
    Number::of(text).ok_or("it is not a number")?.integer()
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

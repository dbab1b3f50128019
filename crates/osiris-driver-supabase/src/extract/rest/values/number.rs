//! Parses numbers. A decimal never passes through a float.

use super::ConversionError;

/// A double, which the server prints with enough digits to be exact.
pub(super) fn float64(text: &str) -> Result<f64, ConversionError> {
    not_finite(text).map_or_else(|| text.parse().map_err(|_| "invalid number".to_owned()), Ok)
}

/// The same in single precision.
pub(super) fn float32(text: &str) -> Result<f32, ConversionError> {
    match text {
        "NaN" => Ok(f32::NAN),
        "Infinity" => Ok(f32::INFINITY),
        "-Infinity" => Ok(f32::NEG_INFINITY),
        _ => text.parse().map_err(|_| "invalid number".to_owned()),
    }
}

fn not_finite(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// The unscaled value.
pub(super) fn decimal(text: &str, precision: u8, scale: u8) -> Result<i128, ConversionError> {
    if not_finite(text).is_some() {
        return Err("NaN or infinity: set `numeric: text`".to_owned());
    }
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return Err("invalid number".to_owned());
    }
    let scale = usize::from(scale);
    let (kept, rest) = fraction.split_at(fraction.len().min(scale));
    if rest.bytes().any(|byte| byte != b'0') {
        return Err(format!("more than {scale} decimal places"));
    }
    let all = format!("{whole}{kept:0<scale$}");
    let all = all.trim_start_matches('0');
    if all.len() > usize::from(precision) {
        return Err(format!("more than {precision} digits"));
    }
    let value: i128 = if all.is_empty() { 0 } else { all.parse().map_err(|_| "number too large".to_owned())? };
    Ok(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(decimal("-1.50", 10, 2), Ok(-150));
        assert_eq!(decimal("1.5000", 10, 2), Ok(150));
        assert_eq!(decimal("0.001", 3, 3), Ok(1));
        let digits = "12345678901234567890123456789012345678";
        assert_eq!(decimal(digits, 38, 0), Ok(digits.parse().unwrap()));
        for (text, precision, scale) in
            [("1.005", 10, 2), ("1000", 3, 0), ("NaN", 10, 2), ("1e5", 10, 2), ("", 10, 2), (".5", 10, 2)]
        {
            assert!(decimal(text, precision, scale).is_err(), "{text}");
        }
    }

    #[test]
    fn floats_that_are_no_numbers_have_their_names() {
        assert!(float64("NaN").unwrap().is_nan() && float32("-Infinity").unwrap().is_infinite());
        assert_eq!(float64("1e-300"), Ok(1e-300));
        assert!(float64("x").is_err());
    }
}

//! Decimals: a count of units and the digits behind the point.

/// `-12.50` in units of the scale, if that is exact: further digits must be zeros. No exponent.
pub fn parse_decimal(text: &str, precision: u8, scale: u8) -> Option<i128> {
    let (negative, number) = text.strip_prefix('-').map_or((false, text), |number| (true, number));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let (kept, rest) = fraction.split_at_checked(fraction.len().min(usize::from(scale)))?;
    let is_number = !whole.is_empty() && whole.bytes().chain(kept.bytes()).all(|byte| byte.is_ascii_digit());
    if !is_number || rest.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let digits = format!("{whole}{kept:0<scale$}", scale = usize::from(scale));
    let digits = digits.trim_start_matches('0');
    (digits.len() <= usize::from(precision)).then_some(())?;
    let units: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    Some(if negative { -units } else { units })
}

/// The text of `units`, with all digits of the scale.
pub fn decimal_text(units: i128, scale: usize) -> String {
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if units < 0 { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}

/// The digits of a number without the zeros around them: up to 15 survive floating point of 64 bits.
pub fn significant_digits(number: &str) -> usize {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    digits.trim_start_matches('0').trim_end_matches('0').len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_or_nothing() {
        for (text, units) in [("-1.5", -150), ("0001.500", 150), ("0", 0), ("999.99", 99_999)] {
            assert_eq!(parse_decimal(text, 5, 2), Some(units), "{text}");
        }
        for text in ["1000", "1.005", "1e2", "", ".5", "--1", "NaN", "1.5\u{16f}"] {
            assert_eq!(parse_decimal(text, 5, 2), None, "{text}");
        }
        assert_eq!(decimal_text(-5, 2), "-0.05");
        assert_eq!(decimal_text(700, 0), "700");
        assert_eq!((significant_digits("-0.0120"), significant_digits("1000000000000000000000")), (2, 1));
    }
}

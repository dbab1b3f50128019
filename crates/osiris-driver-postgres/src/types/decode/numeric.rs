//! NUMERIC of the binary protocol (`numeric_send` of PostgreSQL's source): groups of four digits, the number of groups
//! in front of the decimal point minus one, a sign. Exact, without conversion to text.

/// Why a numeric cannot be a decimal of the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumericError {
    /// Invalid bytes.
    Malformed,
    /// NaN, or infinite.
    NotFinite,
    /// More digits than the column.
    Digits,
}

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const MINUS_INFINITY: u16 = 0xf000;

/// The powers of ten that fit in 128 bits.
const POWERS: [i128; 39] = {
    let mut powers = [1_i128; 39];
    let mut index = 1;
    while index < 39 {
        powers[index] = powers[index - 1] * 10;
        index += 1;
    }
    powers
};

fn power(exponent: i32) -> Option<i128> {
    POWERS.get(usize::try_from(exponent).ok()?).copied()
}

/// The unscaled value with `scale` decimal places and at most `precision` digits.
pub(super) fn unscaled(raw: &[u8], precision: u8, scale: u8) -> Result<i128, NumericError> {
    let [count_1, count_0, weight_1, weight_0, sign_1, sign_0, _, _, digits @ ..] = raw else {
        return Err(NumericError::Malformed);
    };
    let sign = u16::from_be_bytes([*sign_1, *sign_0]);
    match sign {
        0 | NEGATIVE => {}
        NAN | INFINITY | MINUS_INFINITY => return Err(NumericError::NotFinite),
        _ => return Err(NumericError::Malformed),
    }
    if digits.len() != usize::from(u16::from_be_bytes([*count_1, *count_0])) * 2 {
        return Err(NumericError::Malformed);
    }
    // Of the group at hand: the power of ten of its last digit, in units of the column's last digit.
    let mut exponent = i32::from(i16::from_be_bytes([*weight_1, *weight_0])) * 4 + i32::from(scale);
    let mut value = 0_i128;
    for group in digits.chunks_exact(2) {
        let group = i128::from(i16::from_be_bytes([group[0], group[1]]));
        let (factor, part) = match exponent {
            0.. => (10_000, group),
            -3..0 => {
                let divisor = power(-exponent).ok_or(NumericError::Malformed)?;
                if group % divisor != 0 {
                    return Err(NumericError::Digits);
                }
                (10_000 / divisor, group / divisor)
            }
            _ if group != 0 => return Err(NumericError::Digits),
            _ => (1, 0),
        };
        value = value.checked_mul(factor).and_then(|value| value.checked_add(part)).ok_or(NumericError::Digits)?;
        exponent -= 4;
    }
    // Trailing groups of zeros are not sent.
    let missing = exponent + 4;
    if missing > 0 && value != 0 {
        value = power(missing).and_then(|power| value.checked_mul(power)).ok_or(NumericError::Digits)?;
    }
    if power(i32::from(precision)).is_none_or(|limit| value >= limit) {
        return Err(NumericError::Digits);
    }
    Ok(if sign == NEGATIVE { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(weight: i16, sign: u16, digits: &[i16]) -> Vec<u8> {
        let count = u16::try_from(digits.len()).unwrap();
        let head = [count.to_be_bytes(), weight.to_be_bytes(), sign.to_be_bytes(), 0_u16.to_be_bytes()].concat();
        head.into_iter().chain(digits.iter().flat_map(|digit| digit.to_be_bytes())).collect()
    }

    #[test]
    fn groups_of_four_become_units_of_the_last_digit() {
        for (weight, sign, digits, scale, expected) in [
            (0, 0, &[12, 3400][..], 2, 1234),
            (0, NEGATIVE, &[1], 0, -1),
            (1, 0, &[1], 2, 1_000_000),
            (-1, 0, &[5000], 1, 5),
            (-2, 0, &[1], 8, 1),
            (0, 0, &[], 5, 0),
            (0, 0, &[7], 3, 7000),
            (0, 0, &[1, 2500], 4, 12_500),
            (2, 0, &[1, 2, 3], 1, 1_000_200_030),
        ] {
            assert_eq!(unscaled(&raw(weight, sign, digits), 38, scale), Ok(expected), "{digits:?}");
        }
    }

    #[test]
    fn all_38_digits_are_exact_and_one_more_is_refused() {
        let digits = [99, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999];
        assert_eq!(unscaled(&raw(9, 0, &digits), 38, 0), Ok(10_i128.pow(38) - 1));
        assert_eq!(unscaled(&raw(6, 0, &digits), 38, 12), Ok(10_i128.pow(38) - 1));
        assert_eq!(unscaled(&raw(9, 0, &[100]), 38, 0), Err(NumericError::Digits));
        assert_eq!(unscaled(&raw(0, 0, &[12, 3450]), 38, 2), Err(NumericError::Digits));
        assert_eq!(unscaled(&raw(0, 0, &[12, 0, 1]), 38, 2), Err(NumericError::Digits));
        assert_eq!(unscaled(&raw(0, 0, &[100]), 2, 0), Err(NumericError::Digits));
        assert_eq!(unscaled(&raw(2000, 0, &[1]), 38, 0), Err(NumericError::Digits));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for sign in [NAN, INFINITY, MINUS_INFINITY] {
            assert_eq!(unscaled(&raw(0, sign, &[]), 10, 2), Err(NumericError::NotFinite));
        }
        assert_eq!(unscaled(&[0, 1, 0], 10, 2), Err(NumericError::Malformed));
        assert_eq!(unscaled(&raw(0, 0, &[1])[..9], 10, 2), Err(NumericError::Malformed));
    }
}

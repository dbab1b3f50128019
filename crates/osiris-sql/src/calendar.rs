//! Days and dates of the proleptic Gregorian calendar, for any year that a count of days reaches. No clock, no zones,
//! no text.
//!
//! The arithmetic is Howard Hinnant's (<https://howardhinnant.github.io/date_algorithms.html>): eras of 400 years that
//! begin in March.

const DAYS_OF_ERA: i64 = 146_097;
/// Days from the first day of era 0 to 1970-01-01.
const EPOCH: i64 = 719_468;

/// Year, month and day of a day counted from 1970-01-01. Year 0 is 1 BC.
pub fn civil_from_days(day: i64) -> (i64, i64, i64) {
    let day = day + EPOCH;
    let era = day.div_euclid(DAYS_OF_ERA);
    let of_era = day.rem_euclid(DAYS_OF_ERA);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The day, counted from 1970-01-01, of a date; nothing when there is no such date.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=days_of_month(year, month)).contains(&day) {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    era.checked_mul(DAYS_OF_ERA)?.checked_add(day_of_era)?.checked_sub(EPOCH)
}

fn days_of_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates_and_dates_are_days() {
        for (day, date) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_016, (2000, 2, 29)),
            (2_932_896, (9999, 12, 31)),
            (-719_162, (1, 1, 1)),
            (-719_163, (0, 12, 31)),
        ] {
            assert_eq!(civil_from_days(day), date);
            assert_eq!(days_from_civil(date.0, date.1, date.2), Some(day));
        }
    }

    #[test]
    fn a_date_that_the_calendar_lacks_is_none() {
        for (year, month, day) in
            [(2023, 2, 29), (1900, 2, 29), (2024, 4, 31), (2024, 13, 1), (2024, 0, 1), (2024, 1, 0)]
        {
            assert_eq!(days_from_civil(year, month, day), None);
        }
    }
}

//! Formats binary dates and timestamps as PostgreSQL does in JSON.

use osiris_sql::calendar::civil_from_days;

/// Days from 1970 to 2000, the epoch of PostgreSQL.
const DAYS_TO_2000: i64 = 10_957;
const MICROS_A_DAY: i64 = 86_400_000_000;

/// A day.
pub(super) fn date(bytes: &[u8]) -> Option<String> {
    let days = i32::from_be_bytes(bytes.try_into().ok()?);
    Some(match days {
        i32::MAX => "infinity".to_owned(),
        i32::MIN => "-infinity".to_owned(),
        days => {
            let (date, era) = day(i64::from(days) + DAYS_TO_2000);
            format!("{date}{era}")
        }
    })
}

/// A timestamp, with its offset (UTC) if the column has one.
pub(super) fn timestamp(bytes: &[u8], zoned: bool) -> Option<String> {
    let micros = i64::from_be_bytes(bytes.try_into().ok()?);
    Some(match micros {
        i64::MAX => "infinity".to_owned(),
        i64::MIN => "-infinity".to_owned(),
        micros => {
            let (date, era) = day(micros.div_euclid(MICROS_A_DAY) + DAYS_TO_2000);
            let of_day = micros.rem_euclid(MICROS_A_DAY);
            let (seconds, fraction) = (of_day / 1_000_000, of_day % 1_000_000);
            let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:06}") };
            let zone = if zoned { "+00:00" } else { "" };
            format!("{date}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}{era}")
        }
    })
}

fn day(days: i64) -> (String, &'static str) {
    let (year, month, day) = civil_from_days(days);
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    (format!("{year:04}-{month:02}-{day:02}"), era)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_timestamps_are_written_as_the_server_reads_them() {
        assert_eq!(date(&0_i32.to_be_bytes()).unwrap(), "2000-01-01");
        assert_eq!(date(&(-730_485_i32).to_be_bytes()).unwrap(), "0001-01-01 BC");
        assert_eq!(date(&i32::MIN.to_be_bytes()).unwrap(), "-infinity");
        assert_eq!(timestamp(&1_i64.to_be_bytes(), true).unwrap(), "2000-01-01T00:00:00.000001+00:00");
        assert_eq!(timestamp(&(-1_000_000_i64).to_be_bytes(), false).unwrap(), "1999-12-31T23:59:59");
        assert_eq!(timestamp(&i64::MAX.to_be_bytes(), true).unwrap(), "infinity");
        assert_eq!(date(&[1, 2]), None);
    }
}

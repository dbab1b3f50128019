//! Formats dates, times and intervals: ISO 8601, fractional seconds without trailing zeros. No locale and no time zone
//! but UTC.

/// Two digits of every number below 100.
const PAIRS: &[u8; 200] = b"00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

fn pair(number: u32, out: &mut Vec<u8>) {
    let at = (number as usize % 100) * 2;
    out.extend_from_slice(&PAIRS[at..at + 2]);
}

/// Year, month and day of a number of days since 1970-01-01, in the proleptic Gregorian calendar
/// (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
pub(crate) fn civil(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, small(month), small(day))
}

fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// `YYYY-MM-DD`; years before 1 as `YYYY-MM-DD (BC)`, as DuckDB writes them.
pub(crate) fn date(days: i32, out: &mut Vec<u8>) {
    match days {
        i32::MAX => out.extend_from_slice(b"infinity"),
        days if days == -i32::MAX => out.extend_from_slice(b"-infinity"),
        days => {
            let before_christ = day(i64::from(days), out);
            out.extend_from_slice(before_christ);
        }
    }
}

/// Writes the date and returns its suffix.
fn day(days: i64, out: &mut Vec<u8>) -> &'static [u8] {
    let (year, month, day) = civil(days);
    let (year, suffix): (i64, &[u8]) = if year < 1 { (1 - year, b" (BC)") } else { (year, b"") };
    if year < 10_000 {
        let year = small(year);
        pair(year / 100, out);
        pair(year % 100, out);
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(year).as_bytes());
    }
    out.push(b'-');
    pair(month, out);
    out.push(b'-');
    pair(day, out);
    suffix
}

/// `HH:MM:SS[.ffffff]` of microseconds since midnight.
pub(crate) fn time(micros: i64, out: &mut Vec<u8>) {
    clock(micros.div_euclid(MICROS_PER_SECOND), out);
    fraction(micros.rem_euclid(MICROS_PER_SECOND) * 1000, out);
}

fn clock(seconds: i64, out: &mut Vec<u8>) {
    let seconds = small(seconds);
    pair(seconds / 3600, out);
    out.push(b':');
    pair(seconds / 60 % 60, out);
    out.push(b':');
    pair(seconds % 60, out);
}

/// `.` and up to nine digits, without trailing zeros; nothing for zero.
fn fraction(nanos: i64, out: &mut Vec<u8>) {
    if nanos == 0 {
        return;
    }
    out.push(b'.');
    let mut rest = small(nanos);
    let mut unit = 100_000_000;
    while rest > 0 {
        out.push(b'0' + u8::try_from(rest / unit).unwrap_or(0));
        rest %= unit;
        unit /= 10;
    }
}

/// `YYYY-MM-DD HH:MM:SS[.ffffff]` of microseconds since 1970, with another `separator` than the space if asked; `zone`
/// follows the time of day.
pub(crate) fn timestamp(micros: i64, separator: u8, zone: &[u8], out: &mut Vec<u8>) {
    match micros {
        i64::MAX => out.extend_from_slice(b"infinity"),
        micros if micros == -i64::MAX => out.extend_from_slice(b"-infinity"),
        micros => moment(
            micros.div_euclid(MICROS_PER_SECOND),
            micros.rem_euclid(MICROS_PER_SECOND) * 1000,
            separator,
            zone,
            out,
        ),
    }
}

/// The same of nanoseconds, with up to nine digits.
pub(crate) fn timestamp_nanos(nanos: i64, separator: u8, out: &mut Vec<u8>) {
    const PER_SECOND: i64 = 1_000_000_000;
    match nanos {
        i64::MAX => out.extend_from_slice(b"infinity"),
        nanos if nanos == -i64::MAX => out.extend_from_slice(b"-infinity"),
        nanos => moment(nanos.div_euclid(PER_SECOND), nanos.rem_euclid(PER_SECOND), separator, b"", out),
    }
}

fn moment(seconds: i64, nanos: i64, separator: u8, zone: &[u8], out: &mut Vec<u8>) {
    let suffix = day(seconds.div_euclid(SECONDS_PER_DAY), out);
    out.push(separator);
    clock(seconds.rem_euclid(SECONDS_PER_DAY), out);
    fraction(nanos, out);
    out.extend_from_slice(zone);
    out.extend_from_slice(suffix);
}

/// `1 year 2 months 3 days 04:05:06.5`, as DuckDB writes and reads intervals.
pub(crate) fn interval(months: i32, days: i32, nanos: i64, out: &mut Vec<u8>) {
    let start = out.len();
    let mut part = |amount: i64, unit: &str| {
        if amount != 0 {
            if out.len() > start {
                out.push(b' ');
            }
            let plural = if amount.abs() == 1 { "" } else { "s" };
            out.extend_from_slice(format!("{amount} {unit}{plural}").as_bytes());
        }
    };
    part(i64::from(months) / 12, "year");
    part(i64::from(months) % 12, "month");
    part(i64::from(days), "day");
    if nanos == 0 && out.len() > start {
        return;
    }
    if out.len() > start {
        out.push(b' ');
    }
    if nanos < 0 {
        out.push(b'-');
    }
    let micros = nanos.unsigned_abs() / 1000;
    let seconds = micros / 1_000_000;
    let hours = seconds / 3600;
    if hours < 10 {
        out.push(b'0');
    }
    out.extend_from_slice(itoa::Buffer::new().format(hours).as_bytes());
    for number in [seconds / 60 % 60, seconds % 60] {
        out.push(b':');
        pair(u32::try_from(number).unwrap_or(0), out);
    }
    fraction(i64::try_from(micros % 1_000_000).unwrap_or(0) * 1000, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_day_of_the_calendar_is_right() {
        let first = chrono::NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        for days in (-719_000..2_932_000).step_by(17) {
            let day = first + chrono::Duration::days(i64::from(days));
            assert_eq!(text(|out| date(days, out)), day.to_string());
        }
    }

    #[test]
    fn far_dates_are_as_duckdb_writes_them() {
        assert_eq!(text(|out| date(-735_599, out)), "0045-01-01 (BC)");
        assert_eq!(text(|out| date(3_672_072, out)), "12023-10-17");
        assert_eq!(text(|out| date(i32::MAX, out)), "infinity");
    }

    #[test]
    fn fractions_are_kept_when_there_are_any() {
        assert_eq!(text(|out| timestamp(0, b' ', b"", out)), "1970-01-01 00:00:00");
        assert_eq!(text(|out| timestamp(-1, b' ', b"", out)), "1969-12-31 23:59:59.999999");
        assert_eq!(text(|out| timestamp(1_500_000, b' ', b"+00:00", out)), "1970-01-01 00:00:01.5+00:00");
        assert_eq!(text(|out| timestamp_nanos(1, b' ', out)), "1970-01-01 00:00:00.000000001");
        assert_eq!(text(|out| timestamp(1_500_000, b'T', b"Z", out)), "1970-01-01T00:00:01.5Z");
        assert_eq!(text(|out| time(86_399_000_010, out)), "23:59:59.00001");
    }

    #[test]
    fn intervals_read_like_those_of_duckdb() {
        assert_eq!(text(|out| interval(14, -3, 14_706_500_000_000, out)), "1 year 2 months -3 days 04:05:06.5");
        assert_eq!(text(|out| interval(0, 0, 0, out)), "00:00:00");
        assert_eq!(text(|out| interval(1, 0, 0, out)), "1 month");
        assert_eq!(text(|out| interval(0, 0, -838 * 3_600_000_000_000, out)), "-838:00:00");
    }
}

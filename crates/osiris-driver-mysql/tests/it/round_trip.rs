//! Random values of every type: what the server was given is what is read, and what is written and read again is the same.

use chrono::{DateTime, NaiveDate};
use osiris_testkit::database::{texts, types};
use osiris_testkit::services::MysqlOptions;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::Server;
use super::subject::Reading;

const COLUMNS: &str = "id INT, i BIGINT, u BIGINT UNSIGNED, d DECIMAL(38,10), x DOUBLE, v VARCHAR(100), b VARBINARY(100), da DATE, \
                       m DATETIME(6), s TIMESTAMP(6) NULL, t TIME(6), w BIT(64), f FLOAT, ti TINYINT, mu MEDIUMINT UNSIGNED, y YEAR";

/// A value as SQL, and as the text that it is read as.
type Cell = (String, Option<String>);

/// A number at its ends more often than chance would have it.
fn wide(least: i128, most: i128) -> impl Strategy<Value = i128> {
    prop_oneof![Just(least), Just(most), Just(0.clamp(least, most)), least..=most]
}

fn number(least: i128, most: i128) -> BoxedStrategy<Cell> {
    wide(least, most).prop_map(|number| (number.to_string(), Some(number.to_string()))).boxed()
}

fn moment(least: i64, most: i64) -> BoxedStrategy<Cell> {
    wide(least.into(), most.into())
        .prop_map(|micros| {
            let moment = DateTime::from_timestamp_micros(i64::try_from(micros).unwrap()).unwrap();
            (
                format!("'{}'", moment.format("%Y-%m-%d %H:%M:%S%.6f")),
                Some(moment.format("%Y-%m-%d %H:%M:%S%.f").to_string()),
            )
        })
        .boxed()
}

fn cells() -> Vec<BoxedStrategy<Cell>> {
    const DIGITS: i128 = 10_i128.pow(38) - 1;
    let decimal = wide(-DIGITS, DIGITS).prop_map(|units| {
        let (sign, units) = (if units < 0 { "-" } else { "" }, units.unsigned_abs());
        let text = format!("{sign}{}.{:010}", units / 10_u128.pow(10), units % 10_u128.pow(10));
        (text.clone(), Some(text))
    });
    let double = proptest::num::f64::NORMAL.prop_map(|number| (format!("{number:e}"), Some(format!("{number:e}"))));
    let float = (-1000_i32..1000)
        .prop_map(|number| (format!("{number}.5"), Some(format!("{:e}", f64::from(number) + number.signum_half()))));
    let text = "\\PC{0,20}|['\"\\\\%_;]{0,9}"
        .prop_map(|text: String| (format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")), Some(text)));
    let bytes = proptest::collection::vec(any::<u8>(), 0..30).prop_map(|bytes| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        (format!("x'{hex}'"), Some(hex))
    });
    let date = (-719_162_i32..=2_932_896).prop_map(|days| {
        let date = NaiveDate::default() + chrono::Duration::days(i64::from(days));
        (format!("'{}'", date.format("%Y-%m-%d")), Some(date.format("%Y-%m-%d").to_string()))
    });
    // MySQL ends at the whole second.
    let most = if Server::IS_MARIADB { 3_020_399_999_999 } else { 3_020_399_000_000 };
    let time = wide(-most, most).prop_map(|micros| {
        let (sign, micros) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
        let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
        let text = format!("{sign}{:02}:{:02}:{:02}.{fraction:06}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        (format!("'{text}'"), Some(text))
    });
    vec![
        number(i64::MIN.into(), i64::MAX.into()),
        number(0, u64::MAX.into()),
        decimal.boxed(),
        double.boxed(),
        text.boxed(),
        bytes.boxed(),
        date.boxed(),
        moment(-62_135_596_800_000_000, 253_402_300_799_999_999),
        moment(1_000_000, 2_147_483_647_999_999),
        time.boxed(),
        number(0, u64::MAX.into()),
        float.boxed(),
        number(-128, 127),
        number(0, 16_777_215),
        number(1901, 2155),
    ]
}

trait SignumHalf {
    /// A half on the side of zero that `{number}.5` is read as.
    fn signum_half(self) -> f64;
}

impl SignumHalf for i32 {
    fn signum_half(self) -> f64 {
        if self < 0 { -0.5 } else { 0.5 }
    }
}

/// Numbers with an exponent are compared as numbers.
fn same(read: &str, given: &str, column: usize) -> bool {
    match column {
        4 | 12 => read.parse::<f64>().unwrap().to_bits() == given.parse::<f64>().unwrap().to_bits(),
        _ => read == given,
    }
}

#[tokio::test]
async fn random_values_are_read_as_they_are_and_survive_being_written() {
    let Some(reading) = Reading::start(MysqlOptions::new().with_setting("default_time_zone", "-03:30")).await else {
        return;
    };
    let mut runner = TestRunner::deterministic();
    let strategy: Vec<_> = cells().into_iter().map(|cell| proptest::option::weighted(0.9, cell)).collect();
    reading.execute(&format!("CREATE TABLE r ({COLUMNS})")).await;
    let mut given = Vec::new();
    for id in 0..400 {
        let row: Vec<Option<Cell>> = strategy.new_tree(&mut runner).unwrap().current();
        let sql = row.iter().map(|cell| cell.as_ref().map_or("NULL".to_owned(), |(sql, _)| sql.clone()));
        given.push((format!("({id}, {})", sql.collect::<Vec<_>>().join(", ")), row));
    }
    for rows in given.chunks(100) {
        let rows: Vec<&str> = rows.iter().map(|(sql, _)| sql.as_str()).collect();
        reading.execute(&format!("INSERT INTO r VALUES {}", rows.join(", "))).await;
    }
    let config = json!({"table": "r", "time": "text", "order_by": "id", "verify": "checksums"});
    let rows = texts(&reading.rows(config).await);
    assert_eq!(rows.len(), given.len());
    for (read, (_, given)) in rows.iter().zip(&given) {
        for (index, (read, given)) in read[1..].iter().zip(given).enumerate() {
            let given = given.as_ref().and_then(|(_, text)| text.as_deref()).unwrap_or("∅");
            let given = if index == 8 && given != "∅" { format!("{given}+00:00") } else { given.to_owned() };
            assert!(
                *read == given || same(read, &given, index + 1),
                "column {}: read {read:?}, given {given:?}",
                index + 1
            );
        }
    }
    // Once more through the writer.
    let first =
        reading.run("first", json!({"table": "r", "order_by": "id", "verify": "checksums"}), json!({})).await.unwrap();
    let table = first.table.clone().unwrap();
    let writer = reading.bench.step("write", "mysql.writer", json!({"table": "w", "create_table": true}));
    writer.connection(reading.server.connection()).input(&table).run().await.unwrap();
    let second =
        reading.run("second", json!({"table": "w", "order_by": "id", "verify": "checksums"}), json!({})).await.unwrap();
    assert_eq!(types(&first), types(&second));
    let again = reading.bench.rows(&second.table.unwrap()).await.unwrap();
    assert_eq!(texts(&reading.bench.rows(&table).await.unwrap()), texts(&again));
}

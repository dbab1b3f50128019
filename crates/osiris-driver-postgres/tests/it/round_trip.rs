//! Random values of every type: what the server was given is what is read, and what is written and read
//! again is the same.

use chrono::{DateTime, NaiveDate};
use osiris_testkit::database::{texts, types};
use osiris_testkit::services::PostgresOptions;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;

use crate::subject::Reading;

const COLUMNS: &str = "id int PRIMARY KEY, i bigint, s smallint, d numeric(38,10), x double precision, f real, v text, b bytea, da date, \
                       m timestamp, tz timestamptz, t time, u uuid, nu numeric, bi varbit, o boolean, j jsonb, iv interval, oi oid, a text[]";

/// A value as SQL, and as the text that it is read as; nothing where reading it back is enough.
type Cell = (String, Option<String>);

/// A number at its ends more often than chance would have it.
fn wide(least: i128, most: i128) -> impl Strategy<Value = i128> {
    prop_oneof![Just(least), Just(most), Just(0.clamp(least, most)), least..=most]
}

fn number(least: i128, most: i128) -> BoxedStrategy<Cell> {
    wide(least, most).prop_map(|number| (format!("'{number}'"), Some(number.to_string()))).boxed()
}

fn moment(zone: &'static str) -> BoxedStrategy<Cell> {
    wide(-62_135_596_800_000_000, 253_402_300_799_999_999)
        .prop_map(move |micros| {
            let moment = DateTime::from_timestamp_micros(i64::try_from(micros).unwrap()).unwrap();
            (
                format!("'{}{zone}'", moment.format("%Y-%m-%d %H:%M:%S%.6f")),
                Some(format!("{}{zone}", moment.format("%Y-%m-%d %H:%M:%S%.f"))),
            )
        })
        .boxed()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A strategy for each column behind `id`.
fn cells() -> Vec<BoxedStrategy<Cell>> {
    const DIGITS: i128 = 10_i128.pow(38) - 1;
    let decimal = wide(-DIGITS, DIGITS).prop_map(|units| {
        let (sign, units) = (if units < 0 { "-" } else { "" }, units.unsigned_abs());
        let text = format!("{sign}{}.{:010}", units / 10_u128.pow(10), units % 10_u128.pow(10));
        (text.clone(), Some(text))
    });
    let double = prop_oneof![
        proptest::num::f64::NORMAL.prop_map(|number| (format!("'{number:e}'"), Some(format!("{number:e}")))),
        Just(("'NaN'".to_owned(), Some("NaN".to_owned()))),
        Just(("'-Infinity'".to_owned(), Some("-inf".to_owned()))),
    ];
    let float = proptest::num::f32::NORMAL.prop_map(|number| (format!("'{number:e}'"), Some(format!("{number:e}"))));
    let text = "\\PC{0,20}|['\"\\\\%_;{},]{0,9}".prop_map(|text: String| (quoted(&text), Some(text)));
    let bytes = proptest::collection::vec(any::<u8>(), 0..30)
        .prop_map(|bytes| (format!("'\\x{}'", hex(&bytes)), Some(hex(&bytes))));
    let date = (-719_162_i32..=2_932_896).prop_map(|days| {
        let date = NaiveDate::default() + chrono::Duration::days(i64::from(days));
        (format!("'{}'", date.format("%Y-%m-%d")), Some(date.format("%Y-%m-%d").to_string()))
    });
    let time = wide(0, 86_399_999_999).prop_map(|micros| {
        let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
        let text = format!("{:02}:{:02}:{:02}.{fraction:06}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        (format!("'{text}'"), Some(text.trim_end_matches('0').trim_end_matches('.').to_owned()))
    });
    let uuid = proptest::array::uniform16(any::<u8>()).prop_map(|bytes| {
        let digits = hex(&bytes);
        let text = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-");
        (quoted(&text), Some(text))
    });
    // Of any length, as the server prints them.
    let free = ("[1-9][0-9]{0,60}", "[0-9]{0,60}").prop_map(|(whole, fraction)| {
        let text = if fraction.is_empty() { whole } else { format!("{whole}.{fraction}") };
        (text.clone(), Some(text))
    });
    let bits = "[01]{0,70}".prop_map(|bits: String| (format!("B'{bits}'"), Some(bits)));
    let truth = any::<bool>().prop_map(|truth| (truth.to_string(), Some(truth.to_string())));
    let document = ("\\PC{0,9}", any::<i64>()).prop_map(|(text, number)| {
        let document = json!({"k": text, "n": [number, null, true]}).to_string();
        (quoted(&document), None)
    });
    let interval =
        (-2000_i32..2000, -40_000_i32..40_000, -10_i64.pow(15)..10_i64.pow(15)).prop_map(|(months, days, micros)| {
            // Before version 15 a server takes no more than 2^31 of one unit.
            let (sign, micros) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
            let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
            (format!("'{months} mons {days} days {sign}{seconds}.{fraction:06} seconds'"), None)
        });
    let array = proptest::collection::vec(proptest::option::weighted(0.9, "\\PC{0,5}|[{},\"\\\\ ]{0,4}|NULL"), 0..4)
        .prop_map(|values| {
            let values = values.iter().map(|value: &Option<String>| value.as_deref().map_or("NULL".to_owned(), quoted));
            (format!("ARRAY[{}]::text[]", values.collect::<Vec<_>>().join(", ")), None)
        });
    vec![
        number(i64::MIN.into(), i64::MAX.into()),
        number(i16::MIN.into(), i16::MAX.into()),
        decimal.boxed(),
        double.boxed(),
        float.boxed(),
        text.boxed(),
        bytes.boxed(),
        date.boxed(),
        moment(""),
        moment("+00:00"),
        time.boxed(),
        uuid.boxed(),
        free.boxed(),
        bits.boxed(),
        truth.boxed(),
        document.boxed(),
        interval.boxed(),
        number(0, u32::MAX.into()),
        array.boxed(),
    ]
}

/// Numbers with an exponent are compared as numbers; a NaN is a NaN.
fn same(read: &str, given: &str, column: usize) -> bool {
    match column {
        4 => read.parse::<f64>().unwrap().to_bits() == given.parse::<f64>().unwrap().to_bits(),
        5 => read.parse::<f32>().unwrap().to_bits() == given.parse::<f32>().unwrap().to_bits(),
        11 => read.trim_end_matches('0').trim_end_matches('.') == given,
        _ => read == given,
    }
}

#[tokio::test]
async fn random_values_are_read_as_they_are_and_survive_being_written() {
    let Some(reading) = Reading::start(PostgresOptions::new().with_setting("timezone", "America/St_Johns")).await
    else {
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
    // Row by row: in one VALUES the server would look for one type for each column.
    for rows in given.chunks(100) {
        let rows: Vec<String> = rows.iter().map(|(sql, _)| format!("INSERT INTO r VALUES {sql}")).collect();
        reading.execute(&rows.join(";\n")).await;
    }
    let first = reading.run("first", json!({"table": "r", "order_by": "id"}), json!({})).await.unwrap();
    let table = first.table.clone().unwrap();
    let rows = texts(&reading.bench.rows(&table).await.unwrap());
    assert_eq!(rows.len(), given.len());
    for (read, (_, given)) in rows.iter().zip(&given) {
        for (index, (read, given)) in read[1..].iter().zip(given).enumerate() {
            let wanted = match given {
                None => "∅",
                Some((_, Some(text))) => text,
                Some((_, None)) => continue,
            };
            assert!(
                *read == wanted || same(read, wanted, index + 1),
                "column {}: read {read:?}, given {wanted:?}",
                index + 1
            );
        }
    }
    // Through the writer into a table of the same types, and compared by the server itself.
    reading.execute(&format!("CREATE TABLE w ({COLUMNS})")).await;
    let writer = reading.bench.step("write", "postgres.writer", json!({"table": "w"}));
    let written = writer.connection(reading.server.connection()).input(&table).run().await;
    let written = written.unwrap_or_else(|failure| panic!("{}", failure.error.report()));
    assert_eq!(written.counts.inserted, 400);
    let columns: Vec<&str> =
        COLUMNS.split(", ").filter_map(|column| column.split(' ').find(|word| !word.is_empty())).collect();
    for column in columns {
        // Bytes of the value, where equality would be too mild: -0 and 0, 1.0 and 1.00, intervals of one length.
        let sql = format!(
            "SELECT count(*) FROM r JOIN w USING (id) WHERE r.{column}::text IS DISTINCT FROM w.{column}::text"
        );
        assert_eq!(reading.server.value(&sql).await.unwrap().as_deref(), Some("0"), "{column} changed");
    }
    let second = reading.run("second", json!({"table": "w", "order_by": "id"}), json!({})).await.unwrap();
    assert_eq!(types(&first), types(&second));
    let again = reading.bench.rows(&second.table.unwrap()).await.unwrap();
    assert_eq!(rows, texts(&again));
}

#[tokio::test]
async fn the_ends_of_time_survive_being_written() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    reading
        .execute(
            "CREATE TABLE r (id int, d date, ts timestamp, tz timestamptz, t time, x double precision); \
             CREATE TABLE w (LIKE r); INSERT INTO r VALUES \
             (1, 'infinity', 'infinity', 'infinity', '24:00:00', '-0'), \
             (2, '-infinity', '-infinity', '-infinity', '00:00:00', '-infinity'), \
             (3, '4713-01-01 BC', '4713-01-01 BC', '0001-01-01 00:00:00+00', '23:59:59.999999', '5e-324'), \
             (4, '5874897-12-31', '294246-12-31 23:59:59.999999', '294246-12-31 23:59:59.999999+00', NULL, 'NaN')",
        )
        .await;
    let read = reading.run("read", json!({"table": "r"}), json!({})).await.unwrap();
    let writer = reading.bench.step("write", "postgres.writer", json!({"table": "w"}));
    let written = writer.connection(reading.server.connection()).input(&read.table.unwrap()).run().await;
    written.unwrap_or_else(|failure| panic!("{}", failure.error.report()));
    let differing = "SELECT count(*) FROM r FULL JOIN w USING (id) WHERE r::text IS DISTINCT FROM w::text";
    assert_eq!(reading.server.value(differing).await.unwrap().as_deref(), Some("0"));
}

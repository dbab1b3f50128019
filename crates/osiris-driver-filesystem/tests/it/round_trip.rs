//! What is written is what is read back: property tests over generated tables and texts.

use osiris_core::Inputs;
use proptest::prelude::*;
use serde_json::json;

use crate::bench::Bench;

/// Text that could trip a CSV reader over.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z0-9,;\"'\\\\ \n\r\té€𝄞#\u{feff}-]{0,12}",
        1 => prop_oneof![Just("NULL"), Just("NA"), Just("00123"), Just("1e5"), Just("true"), Just("2024-01-01"), Just("\"")].prop_map(str::to_owned),
    ]
}

fn sql_text(value: &Option<String>) -> String {
    match value {
        None => "NULL".to_owned(),
        Some(text) => format!("'{}'", text.replace('\'', "''")),
    }
}

/// A row of the tables that are written and read back.
type Row = (Option<String>, Option<i64>, Option<f64>, Option<String>);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    proptest::collection::vec(
        (
            proptest::option::of(text()),
            proptest::option::of(any::<i64>()),
            proptest::option::of(any::<f64>().prop_filter("finite", |number| number.is_finite())),
            proptest::option::of(text()),
        ),
        0..40,
    )
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(future)
}

fn select(rows: &[Row]) -> String {
    let mut values: Vec<String> = rows
        .iter()
        .map(|(a, b, c, d)| {
            let b = b.map_or("NULL".to_owned(), |b| format!("'{b}'"));
            let c = c.map_or("NULL".to_owned(), |c| format!("'{c:e}'"));
            format!("({}, {b}, {c}, {})", sql_text(a), sql_text(d))
        })
        .collect();
    values.push("(NULL, NULL, NULL, NULL)".to_owned());
    format!(
        "SELECT a, CAST(b AS BIGINT) AS b, CAST(c AS DOUBLE) AS c, d FROM (VALUES {}) t(a, b, c, d) LIMIT {}",
        values.join(", "),
        rows.len()
    )
}

/// U+FEFF is a byte order mark once, at the very start of a file, and a character everywhere else: in every encoding that has
/// it, in the first place and in later ones, with a header and without, over DuckDB's own reading and over a copy.
#[test]
fn a_byte_order_mark_that_is_a_value_is_kept() {
    block_on(async {
        for encoding in ["utf-8", "utf-16", "utf-16le", "utf-16be", "gb18030"] {
            for (header, quoting) in [(true, "minimal"), (false, "minimal")] {
                for first in ["chr(65279)", "chr(65279) || chr(65279)", "'a'"] {
                    let bench = Bench::new();
                    let rows = format!(
                        "SELECT * FROM (VALUES ({first}, 'x'), (chr(65279) || 'b', chr(65279)), ('c', chr(65279) || 'd')) t(a, d)"
                    );
                    let original = bench.make(&rows).await;
                    let config = json!({"path": "o.csv", "encoding": encoding, "header": header, "quoting": quoting});
                    bench.run("filesystem.csv_writer", config, Inputs::one(original)).await.unwrap();
                    for limit in [json!(null), json!(10)] {
                        let mut config =
                            json!({"path": "o.csv", "encoding": encoding, "header": header, "dtype": "text"});
                        if !limit.is_null() {
                            config["limit"] = limit.clone();
                        }
                        if !header {
                            config["columns"] = json!(["a", "d"]);
                        }
                        let case = format!("{config} {quoting} {first}");
                        let table = bench.csv(config).await.unwrap();
                        assert_eq!(
                            (table.columns(), table.output.rows),
                            (vec!["a VARCHAR".to_owned(), "d VARCHAR".to_owned()], 3),
                            "{case}"
                        );
                        let same = bench.query("SELECT CAST(count(*) AS VARCHAR) FROM (SELECT * FROM steps.step INTERSECT ALL SELECT * FROM steps.input)").await;
                        assert_eq!(same, "3", "{case}");
                    }
                }
            }
        }
    });
}

/// One mark is taken off the start of a file, whatever comes behind it; a name may begin with U+FEFF too.
#[tokio::test]
async fn one_byte_order_mark_is_taken_off_a_file() {
    let bench = Bench::new();
    for (text, header) in [
        ("\u{feff}\u{feff}a,b\n1,2\n", "\u{feff}a"),
        ("\u{feff}a,b\n1,2\n", "a"),
        ("\u{feff}\"\u{feff}a\",b\n1,2\n", "\u{feff}a"),
    ] {
        let utf16 = |unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        for (encoding, bytes) in [
            ("utf-8", text.as_bytes().to_vec()),
            ("utf-16", utf16(u16::to_le_bytes)),
            ("utf-16", utf16(u16::to_be_bytes)),
            ("utf-16le", utf16(u16::to_le_bytes)),
            ("utf-16be", utf16(u16::to_be_bytes)),
        ] {
            bench.put("t.csv", bytes);
            let table = bench.csv(json!({"path": "t.csv", "encoding": encoding})).await.unwrap();
            assert_eq!(table.table.schema().columns()[0].name, header, "{encoding} {text:?}");
            assert_eq!(table.rows(), [["1", "2"]], "{encoding} {text:?}");
            let values = bench.csv(json!({"path": "t.csv", "encoding": encoding, "header": false})).await.unwrap();
            assert_eq!(values.rows()[0][0], header, "{encoding} {text:?}");
        }
    }
    bench.write("filesystem.csv_writer", "SELECT 1 AS \"\u{feff}a\"", json!({"path": "o.csv"})).await.unwrap();
    assert_eq!(bench.text("o.csv"), "\"\u{feff}a\"\n1\n");
    let config = json!({"path": "o.csv", "quoting": "none", "header": false});
    let error = bench.write("filesystem.csv_writer", "SELECT '\u{feff}a' AS a", config).await.err().unwrap();
    assert_eq!(error.message(), "row 1, column `a`: the value needs quotes, which `quoting: none` forbids");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn csv_reads_back_what_it_wrote(
        rows in rows(),
        delimiter in prop_oneof![Just(","), Just(";"), Just("\t"), Just("-"), Just("e"), Just(" ")],
        quoting in prop_oneof![Just("minimal"), Just("all"), Just("nonnumeric")],
        newline in prop_oneof![Just("lf"), Just("crlf"), Just("cr")],
        null_value in prop_oneof![Just(""), Just("NULL"), Just("\\N")],
        encoding in prop_oneof![3 => Just("utf-8"), 1 => Just("utf-16")],
        compression in prop_oneof![3 => Just("none"), 1 => Just("gzip")],
    ) {
        block_on(async {
            let bench = Bench::new();
            let original = bench.make(&select(&rows)).await;
            let config = json!({"path": "o.csv", "delimiter": delimiter, "quoting": quoting, "newline": newline,
                "null_value": null_value, "encoding": encoding, "compression": compression});
            let valid = !null_value.contains(delimiter);
            let result = bench.run("filesystem.csv_writer", config, Inputs::one(original)).await;
            prop_assert_eq!(result.is_ok(), valid, "{:?}", result);
            if !valid {
                return Ok(());
            }
            let config = json!({"path": "o.csv", "delimiter": delimiter, "encoding": encoding, "compression": compression,
                "dtype": {"a": "VARCHAR", "b": "BIGINT", "c": "DOUBLE", "d": "VARCHAR"},
                "na_values": if null_value.is_empty() { vec![] } else { vec![null_value] }});
            let table = bench.csv(config).await.unwrap();
            // A text that is the word for NULL is quoted by the writer and NULL to this reader.
            let null = if null_value.is_empty() { "NULL".to_owned() } else { format!("'{null_value}'") };
            let difference = bench.query(&format!(
                "SELECT CAST(count(*) AS VARCHAR) FROM (SELECT row_number() OVER () AS n, * FROM steps.step) s \
                 FULL JOIN (SELECT row_number() OVER () AS n, * FROM steps.input) i USING (n) \
                 WHERE s.a IS DISTINCT FROM nullif(i.a, {null}) OR s.b IS DISTINCT FROM i.b \
                 OR s.c IS DISTINCT FROM i.c OR s.d IS DISTINCT FROM nullif(i.d, {null})"
            )).await;
            prop_assert_eq!(difference, "0");
            prop_assert_eq!(table.output.rows, rows.len() as u64);
            Ok(())
        })?;
    }

    /// The crate `csv` reads what the writer wrote as the same texts, and the extractor what that crate wrote.
    #[test]
    fn the_crate_csv_reads_and_writes_the_same_texts(
        rows in proptest::collection::vec((text(), text(), text()), 1..20),
        names in proptest::collection::btree_set("[a-z,;\" \n]{1,6}", 3),
        delimiter in prop_oneof![Just(b','), Just(b';'), Just(b'\t'), Just(b'|')],
        quoting in prop_oneof![Just(("minimal", csv::QuoteStyle::Necessary)), Just(("all", csv::QuoteStyle::Always))],
        newline in prop_oneof![Just(("lf", csv::Terminator::Any(b'\n'))), Just(("crlf", csv::Terminator::CRLF)), Just(("cr", csv::Terminator::Any(b'\r')))],
    ) {
        let names: Vec<String> = names.iter().enumerate().map(|(index, name)| format!("{index}{name}{index}")).collect();
        let rows: Vec<Vec<String>> = rows.into_iter().map(|(a, b, c)| vec![a, b, c]).collect();
        let separator = char::from(delimiter).to_string();
        block_on(async {
            let bench = Bench::new();
            let mut writer = csv::WriterBuilder::new().delimiter(delimiter).quote_style(quoting.1).terminator(newline.1)
                .from_path(bench.path("theirs.csv")).unwrap();
            writer.write_record(&names).unwrap();
            rows.iter().for_each(|row| writer.write_record(row).unwrap());
            writer.flush().unwrap();
            let config = json!({"path": "theirs.csv", "delimiter": separator, "dtype": "text"});
            let table = bench.csv(config).await.unwrap();
            let found: Vec<&str> = table.table.schema().names().collect();
            prop_assert_eq!(&found, &names);
            // Nothing between delimiters is NULL, and the empty text of that crate.
            let texts: Vec<Vec<String>> = table.rows().into_iter()
                .map(|row| row.into_iter().map(|text| if text == "∅" { String::new() } else { text }).collect()).collect();
            prop_assert_eq!(&texts, &rows);
            let config = json!({"path": "ours.csv", "delimiter": separator, "quoting": quoting.0, "newline": newline.0, "columns": "source"});
            bench.run("filesystem.csv_writer", config, Inputs::one(table.table)).await.unwrap();
            let mut reader = csv::ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_path(bench.path("ours.csv")).unwrap();
            let records: Vec<Vec<String>> = reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
            let all: Vec<Vec<String>> = [names].into_iter().chain(rows).collect();
            prop_assert_eq!(records, all);
            Ok(())
        })?;
    }

    /// The scan and DuckDB's reader must agree on any text: on its rows, its fields, its NULLs.
    #[test]
    fn any_text_is_read_alike_by_the_scan_and_by_duckdb(
        lines in proptest::collection::vec("[a1,\" \r#]{0,8}", 0..12),
        header in any::<bool>(),
        reject in any::<bool>(),
        skip in 0u64..2,
    ) {
        block_on(async {
            let bench = Bench::new();
            bench.put("t.csv", lines.join("\n"));
            let config = json!({"path": "t.csv", "header": header, "skip_rows": skip,
                "on_bad_lines": if reject { "reject" } else { "error" }, "max_rejects": if reject { 100 } else { 0 }});
            let direct = bench.csv(config.clone()).await;
            if let Ok(table) = &direct {
                // With a limit the file is copied first: both ways must come to the same.
                let mut copied = config;
                copied["limit"] = json!(1000);
                let copied = bench.csv(copied).await.unwrap();
                prop_assert_eq!(table.rows(), copied.rows());
                prop_assert_eq!(table.columns(), copied.columns());
            }
            if let Err(error) = direct {
                prop_assert!(error.message().starts_with('`'), "an error of DuckDB's: {:?}", error);
            }
            Ok(())
        })?;
    }

    #[test]
    fn json_lines_read_back_what_they_wrote(
        rows in rows(),
        omit in any::<bool>(),
        compression in prop_oneof![3 => Just("none"), 1 => Just("gzip"), 1 => Just("zstd")],
    ) {
        block_on(async {
            let bench = Bench::new();
            // Further types, made of the numbers.
            let original = bench.make(&format!(
                "SELECT *, CAST(CAST(b % 1000000000 AS DECIMAL(18,0)) * 0.001 AS DECIMAL(18,3)) AS e, \
                 CAST(DATE '1970-01-01' + CAST(b % 20000 AS INTEGER) AS DATE) AS f, make_timestamp(b % 4000000000000000) AS g, \
                 b % 2 = 0 AS h, CASE WHEN b IS NULL THEN NULL ELSE to_json({{'k': a, 'n': [b, NULL]}}) END AS j FROM ({})",
                select(&rows)
            )).await;
            let nulls = if omit { "omit" } else { "write" };
            let config = json!({"path": "o.jsonl", "nulls": nulls, "compression": compression});
            bench.run("filesystem.jsonl_writer", config, Inputs::one(original)).await.unwrap();
            // Where every key is there, the types of the first columns follow the values.
            let typed = omit || rows.is_empty();
            let mut types = json!({"e": "DECIMAL(18,3)", "f": "DATE", "g": "TIMESTAMP", "h": "BOOLEAN", "j": "JSON"});
            if typed {
                for (column, name) in [("a", "VARCHAR"), ("b", "BIGINT"), ("c", "DOUBLE"), ("d", "VARCHAR")] {
                    types[column] = json!(name);
                }
            }
            let table = bench.jsonl(json!({"path": "o.jsonl", "dtype": types, "compression": compression})).await.unwrap();
            let difference = bench.query(
                "SELECT CAST(count(*) AS VARCHAR) FROM (SELECT row_number() OVER () AS n, * FROM steps.step) s \
                 FULL JOIN (SELECT row_number() OVER () AS n, * FROM steps.input) i USING (n) \
                 WHERE s.a IS DISTINCT FROM i.a OR s.d IS DISTINCT FROM i.d OR CAST(s.b AS BIGINT) IS DISTINCT FROM i.b \
                 OR CAST(s.c AS DOUBLE) IS DISTINCT FROM i.c OR s.e IS DISTINCT FROM i.e OR s.f IS DISTINCT FROM i.f \
                 OR s.g IS DISTINCT FROM i.g OR s.h IS DISTINCT FROM i.h \
                 OR CAST(s.j AS VARCHAR) IS DISTINCT FROM CAST(i.j AS VARCHAR)"
            ).await;
            prop_assert_eq!(difference, "0");
            prop_assert_eq!(table.output.rows, rows.len() as u64);
            Ok(())
        })?;
    }

    #[test]
    fn arrow_reads_back_what_it_wrote(
        rows in rows(),
        path in prop_oneof![Just("o.arrow"), Just("o.arrows")],
        compression in prop_oneof![Just("none"), Just("lz4"), Just("zstd")],
    ) {
        block_on(async {
            let bench = Bench::new();
            // Further types, made of the numbers.
            let original = bench.make(&format!(
                "SELECT *, CAST(CAST(b % 1000000000 AS DECIMAL(18,0)) * 0.001 AS DECIMAL(18,3)) AS e, \
                 CAST(DATE '1970-01-01' + CAST(b % 20000 AS INTEGER) AS DATE) AS f, make_timestamp(b % 4000000000000000) AS g, \
                 b % 2 = 0 AS h, CAST(encode(a) AS BLOB) AS j, {{'k': a, 'n': [b, NULL]}} AS k FROM ({})",
                select(&rows)
            )).await;
            let config = json!({"path": path, "compression": compression});
            bench.run("filesystem.arrow_writer", config, Inputs::one(original.clone())).await.unwrap();
            let table = bench.arrow(json!({"path": path})).await.unwrap();
            prop_assert_eq!(table.table.schema(), original.schema());
            let difference = bench.query(
                "SELECT CAST(count(*) AS VARCHAR) FROM (SELECT row_number() OVER () AS n, s FROM steps.step s) s \
                 FULL JOIN (SELECT row_number() OVER () AS n, i FROM steps.input i) i USING (n) WHERE s IS DISTINCT FROM i"
            ).await;
            prop_assert_eq!(difference, "0");
            prop_assert_eq!(table.output.rows, rows.len() as u64);
            Ok(())
        })?;
    }

    #[test]
    fn parquet_reads_back_what_it_wrote(rows in rows(), partitioned in any::<bool>()) {
        block_on(async {
            let bench = Bench::new();
            let original = bench.make(&select(&rows)).await;
            let mut config = json!({"path": "out"});
            if partitioned {
                config["partition_by"] = json!(["d"]);
            } else {
                config["max_rows_per_file"] = json!(7);
            }
            let written = bench.run("filesystem.parquet_writer", config, Inputs::one(original)).await;
            prop_assert_eq!(written.unwrap().rows, rows.len() as u64);
            if partitioned && rows.is_empty() {
                return Ok(());
            }
            bench.parquet(json!({"path": "out", "columns": ["a", "b", "c", "d"]})).await.unwrap();
            // The type of a partition is inferred from its texts, which stay the same.
            let columns = if partitioned { "a, b, c, CAST(d AS VARCHAR)" } else { "a, b, c, d" };
            let difference = bench.query(&format!(
                "SELECT CAST(count(*) AS VARCHAR) FROM ((SELECT {columns} FROM steps.step EXCEPT ALL SELECT {columns} FROM steps.input) \
                 UNION ALL (SELECT {columns} FROM steps.input EXCEPT ALL SELECT {columns} FROM steps.step))"
            )).await;
            prop_assert_eq!(difference, "0");
            Ok(())
        })?;
    }
}

//! What the CSV extractor reads.

use osiris_core::Inputs;
use serde_json::json;

use crate::bench::Bench;

#[tokio::test]
async fn types_hold_for_the_whole_file() {
    let bench = Bench::new();
    bench.put(
        "t.csv",
        "id,zip,price,day,at,when,ok,name\n\
         1,00123,1.10,2024-01-05,2024-01-05T10:00:00,2024-01-05 10:00:00+02:00,true,\"a, \"\"b\"\"\"\n\
         ,,,,,,,\n\
         -7,9,.5,2024-02-29,2024-01-05 10:00:00.25,2024-01-05T08:00:00Z,FALSE,\"\"\n",
    );
    let table = bench.csv(json!({"path": "t.csv"})).await.unwrap();
    assert_eq!(
        table.columns(),
        [
            "id BIGINT",
            "zip VARCHAR",
            "price DOUBLE",
            "day DATE",
            "at TIMESTAMP",
            "when INSTANT",
            "ok BOOLEAN",
            "name VARCHAR"
        ]
    );
    let rows = table.rows();
    assert_eq!(
        rows[0],
        ["1", "00123", "1.1", "2024-01-05", "2024-01-05T10:00:00", "2024-01-05T08:00:00Z", "true", "a, \"b\""]
    );
    assert_eq!(rows[1], ["∅"; 8]);
    assert_eq!(
        rows[2],
        ["-7", "9", "0.5", "2024-02-29", "2024-01-05T10:00:00.250", "2024-01-05T08:00:00Z", "false", ""]
    );
    assert_eq!(table.output.counts.read, 3);
    assert_eq!(bench.metric("rows_read"), Some(3));
    assert_eq!(bench.scratch(), 0);
}

#[tokio::test]
async fn an_empty_quoted_field_is_empty_text_and_null_elsewhere() {
    let bench = Bench::new();
    bench.put("t.csv", "a,b\n\"\",\"\"\n\"5\",\"x\"\n,\n");
    let table = bench.csv(json!({"path": "t.csv"})).await.unwrap();
    assert_eq!(table.columns(), ["a BIGINT", "b VARCHAR"]);
    assert_eq!(table.rows(), [["∅", ""], ["5", "x"], ["∅", "∅"]]);
}

#[tokio::test]
async fn inference_can_be_switched_off() {
    let bench = Bench::new();
    bench.put("t.csv", "a,b\n1,2024-01-01\n,\"\"\n");
    let table = bench.csv(json!({"path": "t.csv", "dtype": "text"})).await.unwrap();
    assert_eq!(table.columns(), ["a VARCHAR", "b VARCHAR"]);
    assert_eq!(table.rows(), [["1", "2024-01-01"], ["∅", ""]]);
}

#[tokio::test]
async fn stated_types_and_date_formats_are_used() {
    let bench = Bench::new();
    bench.put(
        "t.csv",
        "id,price,born,seen,code\n007,1.5,13/12/2024,2024-01-05,5\n8,2.25,01/02/2023,2024-01-05 10:00,\n",
    );
    let config = json!({
        "path": "t.csv",
        "dtype": {"id": "int64", "price": "DECIMAL(10,3)", "code": "VARCHAR"},
        "parse_dates": {"born": "%d/%m/%Y"},
    });
    let table = bench.csv(config).await.unwrap();
    assert_eq!(table.columns(), ["id BIGINT", "price DECIMAL(10,3)", "born DATE", "seen TIMESTAMP", "code VARCHAR"]);
    assert_eq!(table.rows()[0], ["7", "1.500", "2024-12-13", "2024-01-05T00:00:00", "5"]);
    assert_eq!(table.rows()[1], ["8", "2.250", "2023-02-01", "2024-01-05T10:00:00", "∅"]);
}

#[tokio::test]
async fn columns_are_selected_or_named() {
    let bench = Bench::new();
    bench.put("t.csv", "a,b,c\n1,2,3\n");
    let table = bench.csv(json!({"path": "t.csv", "columns": ["c", "A"]})).await.unwrap();
    assert_eq!(table.columns(), ["c BIGINT", "a BIGINT"]);
    assert_eq!(table.rows(), [["3", "1"]]);
    let table = bench.csv(json!({"path": "t.csv", "header": false, "columns": ["x", "y", "z"]})).await.unwrap();
    assert_eq!(table.rows(), [["a", "b", "c"], ["1", "2", "3"]]);
    assert_eq!(table.columns()[0], "x VARCHAR");
    let table = bench.csv(json!({"path": "t.csv", "header": false})).await.unwrap();
    assert_eq!(table.columns(), ["column0 VARCHAR", "column1 VARCHAR", "column2 VARCHAR"]);
}

#[tokio::test]
async fn lines_above_the_header_comments_and_blank_lines_are_left_out() {
    let bench = Bench::new();
    bench.put("t.csv", "made by \"x\n\na,b\n# no\n1,2\n\n3,4\n\n");
    let table = bench.csv(json!({"path": "t.csv", "skip_rows": 1, "comment": "#"})).await.unwrap();
    assert_eq!(table.rows(), [["1", "2"], ["3", "4"]]);
    let table =
        bench.csv(json!({"path": "t.csv", "header": 2, "comment": "#", "skip_blank_lines": false})).await.unwrap();
    assert_eq!(table.rows(), [["1", "2"], ["∅", "∅"], ["3", "4"], ["∅", "∅"]]);
    bench.put("s.csv", "title\nsubtitle\na,b\n1,2\n");
    let table = bench.csv(json!({"path": "s.csv", "skip_rows": 2})).await.unwrap();
    assert_eq!((table.columns()[0].as_str(), table.rows()), ("a BIGINT", vec![vec!["1".to_owned(), "2".to_owned()]]));
}

#[tokio::test]
async fn a_line_break_in_quotes_above_the_records_is_counted_by_lines_or_by_rows() {
    let bench = Bench::new();
    let records = "x,y,\"qty\n(pcs)\"\r\na,b,1\r\n\"c\nc\",d,2\r\n";
    let title = "\"Report\nof 2024\",,\r\n";
    bench.put("plain.csv", records).put("title.csv", format!("{title}{records}"));
    bench.put("two.csv", format!("{title}\n\"a\"b\n{records}"));
    for config in [
        json!({"path": "plain.csv"}),
        json!({"path": "title.csv", "skip_rows": 2}),
        json!({"path": "title.csv", "header": 1}),
        json!({"path": "two.csv", "header": 3}),
        json!({"path": "two.csv", "skip_rows": 2, "header": 2}),
        json!({"path": "two.csv", "skip_rows": 4}),
    ] {
        let table = bench.csv(config.clone()).await.unwrap();
        assert_eq!(table.columns(), ["x VARCHAR", "y VARCHAR", "qty\n(pcs) BIGINT"], "{config}");
        assert_eq!(table.rows(), [["a", "b", "1"], ["c\nc", "d", "2"]], "{config}");
    }
    // What was read is written so that it reads back, also behind what is there.
    let select = "SELECT 'a' AS x, 1 AS \"qty\n(pcs)\"";
    for mode in ["overwrite", "append"] {
        bench
            .write("filesystem.csv_writer", select, json!({"path": "o.csv", "columns": "source", "mode": mode}))
            .await
            .unwrap();
    }
    assert_eq!(bench.text("o.csv"), "x,\"qty\n(pcs)\"\na,1\na,1\n");
}

#[tokio::test]
async fn a_renamed_twin_never_takes_the_name_of_another_column() {
    let bench = Bench::new();
    bench.put("t.csv", "c;c;c;c_1;C_2;; x ;x\n1;2;3;4;5;6;7;8\n");
    let table = bench.csv(json!({"path": "t.csv", "delimiter": ";"})).await.unwrap();
    let names: Vec<&str> = table.table.schema().names().collect();
    assert_eq!(names, ["c", "c_3", "c_4", "c_1", "C_2", "column5", "x", "x_1"]);
    assert_eq!(table.rows(), [["1", "2", "3", "4", "5", "6", "7", "8"]]);
    let table = bench.csv(json!({"path": "t.csv", "delimiter": ";", "columns": ["C_1", "c"]})).await.unwrap();
    assert_eq!(table.rows(), [["4", "1"]]);
}

#[tokio::test]
async fn a_single_quote_above_the_records_opens_no_field() {
    let bench = Bench::new();
    for (text, config) in [
        ("5\" disks\na,b\n1,2\n3,4\n", json!({"path": "q.csv", "skip_rows": 1})),
        ("5\" disks\na,b\n1,2\n3,4\n", json!({"path": "q.csv", "header": 1})),
        ("# 5\" disks\na,b\n1,2\n3,4\n", json!({"path": "q.csv", "comment": "#"})),
        ("\"\n1,2\n3,4", json!({"path": "q.csv", "skip_rows": 1, "header": false})),
    ] {
        bench.put("q.csv", text);
        assert_eq!(bench.csv(config).await.unwrap().rows(), [["1", "2"], ["3", "4"]], "{text}");
    }
}

#[tokio::test]
async fn a_blank_line_of_a_single_column_is_a_null() {
    let bench = Bench::new();
    bench.put("t.csv", "a\n1\n\n2\n");
    assert_eq!(bench.csv(json!({"path": "t.csv"})).await.unwrap().rows(), [["1"], ["∅"], ["2"]]);
    let skipped = bench.csv(json!({"path": "t.csv", "skip_blank_lines": true})).await.unwrap();
    assert_eq!(skipped.rows(), [["1"], ["2"]]);
}

#[tokio::test]
async fn texts_can_mean_null() {
    let bench = Bench::new();
    bench.put("t.csv", "n,t\nNA,NA\n\"NA\",\"-\"\n5,x\n");
    let table = bench.csv(json!({"path": "t.csv", "na_values": ["NA", "-"]})).await.unwrap();
    assert_eq!(table.columns(), ["n BIGINT", "t VARCHAR"]);
    assert_eq!(table.rows(), [["∅", "∅"], ["∅", "∅"], ["5", "x"]]);
}

#[tokio::test]
async fn a_limit_ends_the_reading() {
    let bench = Bench::new();
    bench.put("a.csv", "x\n1\n2\n3\n").put("b.csv", "x\n4\nbad,line\n");
    let table = bench.csv(json!({"path": "*.csv", "limit": 4})).await.unwrap();
    assert_eq!(table.rows(), [["1"], ["2"], ["3"], ["4"]]);
    assert_eq!(table.output.counts.read, 4);
    let none = bench.csv(json!({"path": "a.csv", "limit": 0})).await.unwrap();
    assert_eq!((none.columns(), none.rows().len()), (vec!["x VARCHAR".to_owned()], 0));
}

#[tokio::test]
async fn a_dry_run_reads_a_sample() {
    let bench = Bench::new();
    let rows: String = (0..1000).map(|row| format!("{row}\n")).collect();
    bench.put("t.csv", format!("x\n{rows}"));
    let config = json!({"path": "t.csv"});
    let output = bench.dry_run("filesystem.csv_extractor", config, Inputs::none()).await.unwrap();
    assert_eq!(output.rows, osiris_core::DRY_RUN_ROWS);
}

#[tokio::test]
async fn directories_and_globs_are_read_in_the_order_of_names() {
    let bench = Bench::new();
    bench.put("in/b.csv", "x,y\n3,c\n").put("in/a.csv.gz", gzip("x,y\n1,a\n2,b\n")).put("in/notes.md", "x");
    bench.put("in/.hidden.csv", "z\n").put("in/sub/c.tsv", "Y\tx\nd\t4\n");
    let table = bench.csv(json!({"path": "in", "add_filename": true})).await.unwrap();
    assert_eq!(
        table.rows(),
        [["1", "a", "in/a.csv.gz"], ["2", "b", "in/a.csv.gz"], ["3", "c", "in/b.csv"], ["4", "d", "in/sub/c.tsv"]]
    );
    let table = bench.csv(json!({"path": "in/*.csv", "add_filename": "source"})).await.unwrap();
    assert_eq!(table.columns(), ["x BIGINT", "y VARCHAR", "source VARCHAR"]);
    assert_eq!(table.rows(), [["3", "c", "in/b.csv"]]);
}

#[tokio::test]
async fn a_type_is_decided_over_all_files() {
    let bench = Bench::new();
    bench.put("a.csv", "x\n1\n").put("b.csv", "x\n2.5\n").put("c.csv", "x\n00\n");
    assert_eq!(bench.csv(json!({"path": "[ab].csv"})).await.unwrap().columns(), ["x DOUBLE"]);
    assert_eq!(bench.csv(json!({"path": "*.csv"})).await.unwrap().rows(), [["1"], ["2.5"], ["00"]]);
}

fn gzip(text: &str) -> Vec<u8> {
    compressed(text, "gzip")
}

fn compressed(text: &str, how: &str) -> Vec<u8> {
    use std::io::Write;
    match how {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        }
        "bz2" => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        }
        "xz" => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        }
        "zstd" => zstd::stream::encode_all(text.as_bytes(), 3).unwrap(),
        "zip" => {
            let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
            archive.start_file("t.csv", zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(text.as_bytes()).unwrap();
            archive.finish().unwrap().into_inner()
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn every_compression_is_read() {
    let bench = Bench::new();
    for (how, ending) in [("gzip", "gz"), ("bz2", "bz2"), ("xz", "xz"), ("zstd", "zst"), ("zip", "zip")] {
        let name = format!("t.csv.{ending}");
        bench.put(&name, compressed("x,y\n1,é\n2,b\n", how)).put("plain", compressed("x,y\n1,é\n2,b\n", how));
        for config in [json!({"path": name}), json!({"path": "plain", "compression": how})] {
            let table = bench.csv(config).await.unwrap();
            assert_eq!(table.rows(), [["1", "é"], ["2", "b"]], "{how}");
        }
    }
    assert_eq!(bench.scratch(), 0);
}

#[tokio::test]
async fn encodings_are_decoded() {
    let bench = Bench::new();
    let utf16: Vec<u8> = [0xFF, 0xFE].into_iter().chain("x\nač€\n".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    bench
        .put("16.csv", utf16)
        .put("l1.csv", b"x\ncaf\xe9\n")
        .put("1250.csv", b"x\nP\xf8erov\n")
        .put("8.csv", "\u{feff}x\nž\n");
    for (name, encoding, value) in [
        ("16.csv", "utf-16", "ač€"),
        ("l1.csv", "latin-1", "café"),
        ("1250.csv", "cp1250", "Přerov"),
        ("8.csv", "utf-8", "ž"),
    ] {
        let table = bench.csv(json!({"path": name, "encoding": encoding})).await.unwrap();
        assert_eq!(
            (table.columns(), table.rows()),
            (vec!["x VARCHAR".to_owned()], vec![vec![value.to_owned()]]),
            "{name}"
        );
    }
}

#[tokio::test]
async fn every_line_ending_is_read_mixed_ones_too() {
    let bench = Bench::new();
    for text in ["a,b\n1,2\n3,4\n", "a,b\r\n1,2\r\n3,4", "a,b\r1,2\r3,4\r", "a,b\r\n1,2\n3,4\r"] {
        bench.put("t.csv", text);
        let table = bench.csv(json!({"path": "t.csv"})).await.unwrap();
        assert_eq!(table.rows(), [["1", "2"], ["3", "4"]], "{text:?}");
    }
}

#[tokio::test]
async fn delimiters_are_as_stated_or_by_the_extension() {
    let bench = Bench::new();
    bench.put("a.csv", "a;b\n1;x,y\n").put("b.tsv", "a\tb\n1\tx,y\n");
    assert_eq!(bench.csv(json!({"path": "a.csv", "delimiter": ";"})).await.unwrap().rows(), [["1", "x,y"]]);
    assert_eq!(bench.csv(json!({"path": "b.tsv"})).await.unwrap().rows(), [["1", "x,y"]]);
    assert_eq!(bench.csv(json!({"path": "b.tsv", "separator": "\\t"})).await.unwrap().rows(), [["1", "x,y"]]);
}

#[tokio::test]
async fn standard_input_is_read() {
    let bench = Bench::with_stdin(b"a,b\n1,x\n");
    let table = bench.csv(json!({"path": "-"})).await.unwrap();
    assert_eq!(table.rows(), [["1", "x"]]);
    assert_eq!(bench.scratch(), 0);
}

#[tokio::test]
async fn duplicate_and_empty_names_are_made_unique() {
    let bench = Bench::new();
    bench.put("t.csv", "a,A,,a,b\n1,2,3,4,5\n");
    let table = bench.csv(json!({"path": "t.csv"})).await.unwrap();
    let names: Vec<&str> = table.table.schema().names().collect();
    assert_eq!(names, ["a", "A_1", "column2", "a_2", "b"]);
    assert_eq!(table.rows(), [["1", "2", "3", "4", "5"]]);
}

#[tokio::test]
async fn only_a_header_makes_an_empty_table() {
    let bench = Bench::new();
    bench.put("t.csv", "a,b\n").put("u.csv", "a,b");
    for name in ["t.csv", "u.csv"] {
        let table = bench.csv(json!({"path": name})).await.unwrap();
        assert_eq!((table.columns(), table.rows().len()), (vec!["a VARCHAR".to_owned(), "b VARCHAR".to_owned()], 0));
    }
}

#[tokio::test]
async fn ten_thousand_columns_are_read() {
    let bench = Bench::new();
    let line = |value: &dyn Fn(usize) -> String| (0..10_000).map(value).collect::<Vec<_>>().join(",");
    let header = line(&|column| format!("c{column}"));
    let row = line(&|column| column.to_string());
    bench.put("t.csv", format!("{header}\n{row}\n{row}\n"));
    let table = bench.csv(json!({"path": "t.csv"})).await.unwrap();
    assert_eq!(table.table.schema().columns().len(), 10_000);
    assert_eq!(table.rows()[1][9_999], "9999");
}

#[tokio::test]
async fn a_field_of_100_mb_is_read() {
    let bench = Bench::new();
    let mut text = b"a,b\n1,\"".to_vec();
    text.resize(text.len() + 100_000_000, b'x');
    text.extend_from_slice(b"\"\n2,y\n");
    bench.put("t.csv", text);
    let table = bench.csv(json!({"path": "t.csv"})).await.unwrap();
    let rows = table.rows();
    assert_eq!((rows[0][1].len(), rows[1][1].as_str()), (100_000_000, "y"));
}

#[tokio::test]
async fn a_column_that_turns_to_text_at_row_two_million_is_text() {
    use std::fmt::Write;
    let bench = Bench::new();
    let mut text = String::from("id,code\n");
    for row in 0..2_000_000 {
        writeln!(text, "{row},{row}").unwrap();
    }
    text.push_str("2000000,A7\n");
    bench.put("t.csv", text);
    let table = bench.csv(json!({"path": "t.csv"})).await.unwrap();
    assert_eq!(table.columns(), ["id BIGINT", "code VARCHAR"]);
    assert_eq!(table.output.rows, 2_000_001);
    let last = table.batches.last().unwrap();
    assert_eq!(Bench::query(&bench, "SELECT max(code) FROM steps.step").await, "A7");
    assert!(last.num_rows() > 0);
}

#[tokio::test]
async fn files_that_the_store_does_not_reach_are_copied() {
    let bench = Bench::new();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("o.csv"), "a\n1\n").unwrap();
    std::os::unix::fs::symlink(outside.path().join("o.csv"), bench.path("link.csv")).unwrap();
    bench.put("noextension", "a\n2\n");
    assert_eq!(bench.csv(json!({"path": "link.csv"})).await.unwrap().rows(), [["1"]]);
    assert_eq!(bench.csv(json!({"path": "noextension"})).await.unwrap().rows(), [["2"]]);
}

#[tokio::test]
async fn names_with_wildcards_are_files_when_they_are_there() {
    let bench = Bench::new();
    bench.put("a[1]*.csv", "a\n1\n").put("a1x.csv", "a\n2\n");
    assert_eq!(bench.csv(json!({"path": "a[1]*.csv"})).await.unwrap().rows(), [["1"]]);
}

/// Text of more than 16 MB: a file that is scanned on several threads where there are several cores.
fn large(middle: &str, end: &str) -> String {
    let line = "12345,2024-01-05,some text that makes the line longer\n";
    let half = line.repeat(9_000_000 / line.len());
    format!("id,day,text\n{half}{middle}{half}{end}")
}

#[tokio::test]
async fn a_large_file_reads_alike_on_one_thread_and_on_several() {
    let bench = Bench::new();
    // A field in the middle whose lines look like records: every share of the file ends somewhere in one of these files.
    let inside = "1,2024-01-05,x\n".repeat(100_000);
    for middle in [String::new(), format!("7,2024-01-05,\"{inside}\"\n"), "7.5,,\"\u{feff}\"\n".to_owned()] {
        bench.put("t.csv", large(&middle, "\u{feff}8,,\n"));
        let direct = bench.csv(json!({"path": "t.csv"})).await.unwrap();
        let summary = "SELECT CAST([count(*), sum(length(text)), count(DISTINCT text), hash(list(id ORDER BY row))] AS VARCHAR) \
             FROM (SELECT *, row_number() OVER () AS row FROM steps.step)";
        let one = (direct.columns(), bench.query(summary).await);
        let copied = bench.csv(json!({"path": "t.csv", "limit": 1_000_000_000})).await.unwrap();
        assert_eq!(one, (copied.columns(), bench.query(summary).await));
        assert_eq!(direct.columns(), ["id VARCHAR", "day DATE", "text VARCHAR"]);
    }
}

#[tokio::test]
async fn a_bad_line_deep_in_a_large_file_is_named_by_its_number() {
    let bench = Bench::new();
    let text = large("", "1,2024-01-05\n");
    let line = text.lines().count();
    bench.put("t.csv", text);
    let error = bench.csv_error(json!({"path": "t.csv"})).await;
    assert!(error.contains(&format!("`t.csv`: line {line} has 2 fields, expected 3")), "{error}");
}

#[tokio::test]
async fn dates_are_inferred_whether_or_not_that_is_asked_for() {
    let bench = Bench::new();
    bench.put("t.csv", "a,b\n2024-01-05,13/12/2024\n");
    for switch in [json!(true), json!(false)] {
        let table = bench.csv(json!({"path": "t.csv", "parse_dates": switch})).await.unwrap();
        assert_eq!(table.columns(), ["a DATE", "b VARCHAR"]);
    }
}

#[tokio::test]
async fn a_field_without_effect_is_a_warning() {
    let bench = Bench::new();
    bench.put("t.csv", "a\n1\n");
    let config = json!({"path": "t.csv", "chunk_size": 10});
    assert_eq!(bench.csv(config.clone()).await.unwrap().rows(), [["1"]]);
    let mut registry = osiris_core::Registry::new();
    osiris_driver_filesystem::register(&mut registry).unwrap();
    let prepared = registry.get("filesystem.csv_extractor").unwrap().prepare(&config, None, &bench.data());
    let problems: Vec<String> = prepared.config_problems().iter().map(ToString::to_string).collect();
    assert_eq!(problems, ["chunk_size: `chunk_size` has no effect: rows are streamed (remove it)"]);
}

#[test]
fn lines_that_others_drop_are_refused_with_what_keeps_them() {
    let bench = Bench::new();
    let mut registry = osiris_core::Registry::new();
    osiris_driver_filesystem::register(&mut registry).unwrap();
    for component in ["filesystem.csv_extractor", "filesystem.jsonl_extractor"] {
        for word in ["skip", "warn"] {
            let config = json!({"path": "t", "on_bad_lines": word});
            let prepared = registry.get(component).unwrap().prepare(&config, None, &bench.data());
            let problems: Vec<String> = prepared.config_problems().iter().map(ToString::to_string).collect();
            let expected = format!(
                "on_bad_lines: `{word}` is not supported: no line is dropped: `reject` with `max_rejects` keeps bad lines in the \
                 rejects of the run (supported: error, reject)"
            );
            assert_eq!(problems, [expected]);
        }
    }
}

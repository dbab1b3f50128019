//! What the CSV writer writes.

use std::io::Read;

use osiris_core::{ErrorKind, Inputs};
use serde_json::{Value, json};

use crate::bench::Bench;

const WRITER: &str = "filesystem.csv_writer";

/// A column of every type.
const ALL_TYPES: &str = "SELECT * FROM (VALUES
    (1::TINYINT, -2::BIGINT, 18446744073709551615::UBIGINT, 170141183460469231731687303715884105::HUGEINT, 1.5::FLOAT, 0.1::DOUBLE, 1.50::DECIMAL(9,2), true, 'a,\"b\"', '\\xAB'::BLOB,
     DATE '2024-02-29', TIME '10:00:00.5', TIMESTAMP '2024-01-05 10:00:00', TIMESTAMP_NS '2024-01-05 10:00:00.000000001', TIMESTAMP '2024-01-05 10:00:00.25', INTERVAL '14 months -3 days',
     [1, NULL, 3], {'k': 'v', 'n': [1.50]}, MAP {'x': DATE '2024-01-01'}, 'e'::ENUM('e'), uuid '00000000-0000-0000-0000-000000000001', '101'::BIT),
    (NULL, NULL, NULL, NULL, NULL, 'nan'::DOUBLE, NULL, NULL, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
  ) t(a_tiny, b_big, c_ubig, d_huge, e_float, f_double, g_decimal, h_bool, i_text, j_blob, k_date, l_time, m_timestamp, n_nanos, o_instant, p_interval, q_list, r_struct, s_map, t_enum, u_uuid, v_bit)";

async fn written(bench: &Bench, select: &str, config: Value) -> String {
    bench.write(WRITER, select, config).await.unwrap();
    bench.text("o.csv")
}

#[tokio::test]
async fn every_type_has_its_text() {
    let bench = Bench::new();
    let table = bench.make_with_instants(ALL_TYPES, &["o_instant"]).await;
    let config = json!({"path": "o.csv", "columns": "source"});
    let output = bench.run(WRITER, config, Inputs::one(table)).await.unwrap();
    assert_eq!((output.rows, output.counts.inserted), (2, 2));
    insta::assert_snapshot!(bench.text("o.csv"), @r#"
    a_tiny,b_big,c_ubig,d_huge,e_float,f_double,g_decimal,h_bool,i_text,j_blob,k_date,l_time,m_timestamp,n_nanos,o_instant,p_interval,q_list,r_struct,s_map,t_enum,u_uuid,v_bit
    1,-2,18446744073709551615,170141183460469231731687303715884105,1.5,0.1,1.50,true,"a,""b""",\xab,2024-02-29,10:00:00.5,2024-01-05 10:00:00,2024-01-05 10:00:00.000000001,2024-01-05 10:00:00.25+00:00,1 year 2 months -3 days,"[1,null,3]","{""k"":""v"",""n"":[1.50]}","{""x"":""2024-01-01""}",e,00000000-0000-0000-0000-000000000001,101
    ,,,,,NaN,,,"",,,,,,,,,,,,,
    "#);
    assert_eq!(bench.metric("rows_written"), Some(2));
    assert_eq!(bench.metric("files_written"), Some(1));
    assert_eq!(bench.metric("bytes_written"), Some(bench.bytes("o.csv").len() as u64));
    assert_eq!(bench.files(), ["o.csv"]);
    assert_eq!(bench.scratch(), 0);
}

#[tokio::test]
async fn columns_are_sorted_unless_stated() {
    let bench = Bench::new();
    let select = "SELECT 1 AS b, 2 AS a, 3 AS c";
    assert_eq!(written(&bench, select, json!({"path": "o.csv"})).await, "a,b,c\n2,1,3\n");
    assert_eq!(written(&bench, select, json!({"path": "o.csv", "columns": "source"})).await, "b,a,c\n1,2,3\n");
    assert_eq!(written(&bench, select, json!({"path": "o.csv", "columns": ["c", "b"]})).await, "c,b\n3,1\n");
    let error = bench.write(WRITER, select, json!({"path": "o.csv", "columns": ["c", "d"]})).await.err().unwrap();
    insta::assert_snapshot!(bench.shown(error), @"
    validation: step `write`: the table of step `input` has no column `d` (did you mean `b`?)
    hint: its columns: b, a, c
    ");
}

#[tokio::test]
async fn the_options_of_the_format_are_honoured() {
    let bench = Bench::new();
    let select = "SELECT * FROM (VALUES ('ž;', 1.5, DATE '2024-01-05'), (NULL, NULL, NULL)) t(a, b, c)";
    let config = json!({
        "path": "o.csv", "separator": ";", "newline": "crlf", "include_header": false, "quoting": "nonnumeric",
        "null_value": "NULL", "date_format": "%d.%m.%Y", "write_mode": "overwrite",
    });
    assert_eq!(written(&bench, select, config).await, "\"ž;\";1.5;\"05.01.2024\"\r\nNULL;NULL;NULL\r\n");
    let config = json!({"path": "o.csv", "encoding": "windows-1250", "header": false, "newline": "cr"});
    bench.write(WRITER, select, config).await.unwrap();
    assert_eq!(bench.bytes("o.csv"), b"\x9e;,1.5,2024-01-05\r,,\r");
    let error = bench.write(WRITER, select, json!({"path": "o.csv", "encoding": "latin-1"})).await.err().unwrap();
    insta::assert_snapshot!(bench.shown(error), @"
    validation: step `write`: the character U+017E on line 2 cannot be encoded in Latin-1
    hint: set `encoding: utf-8`
    ");
    let error =
        bench.write(WRITER, select, json!({"path": "o.csv", "quoting": "none", "delimiter": ";"})).await.err().unwrap();
    insta::assert_snapshot!(bench.shown(error), @"
    validation: step `write`: row 1, column `a`: the value needs quotes, which `quoting: none` forbids
    hint: choose another `delimiter`, a `null_value` if the text is empty, or `quoting: minimal`
    ");
    assert_eq!(bench.bytes("o.csv"), b"\x9e;,1.5,2024-01-05\r,,\r", "a failed write leaves the old file");
    assert_eq!(bench.files(), ["o.csv"]);
}

#[tokio::test]
async fn the_same_rows_make_the_same_bytes_in_every_compression() {
    let bench = Bench::new();
    let select = "SELECT i AS id, 'name ' || i AS name FROM range(50000) t(i)";
    for (how, ending) in [("none", "csv"), ("gzip", "gz"), ("bz2", "bz2"), ("zip", "zip"), ("zstd", "zst")] {
        let (one, two) = (format!("1/o.csv.{ending}"), format!("2/o.csv.{ending}"));
        for path in [&one, &two] {
            bench.write(WRITER, select, json!({"path": path, "compression": how})).await.unwrap();
        }
        assert_eq!(bench.bytes(&one), bench.bytes(&two), "{how}");
        let table = bench.csv(json!({"path": one, "compression": how})).await.unwrap();
        assert_eq!((table.output.rows, table.columns()[0].as_str()), (50_000, "id BIGINT"), "{how}");
    }
}

#[tokio::test]
async fn a_file_is_compressed_as_its_ending_says() {
    let bench = Bench::new();
    for (path, begin) in [
        ("o.csv", b"a\n".as_slice()),
        ("o.csv.gz", b"\x1f\x8b".as_slice()),
        ("O.CSV.GZ", b"\x1f\x8b".as_slice()),
        ("o.csv.zst", b"\x28\xb5\x2f\xfd".as_slice()),
        ("o.csv.bz2", b"BZh".as_slice()),
        ("o.csv.zip", b"PK".as_slice()),
    ] {
        bench.write(WRITER, "SELECT 1 AS a", json!({"path": path})).await.unwrap();
        assert!(bench.bytes(path).starts_with(begin), "{path}");
        assert_eq!(bench.csv(json!({"path": path})).await.unwrap().rows(), [["1"]], "{path}");
    }
    bench.write(WRITER, "SELECT 2 AS a", json!({"path": "o.csv.gz", "mode": "append"})).await.unwrap();
    assert_eq!(bench.csv(json!({"path": "o.csv.gz"})).await.unwrap().rows(), [["1"], ["2"]]);
    bench.write(WRITER, "SELECT 1 AS a", json!({"path": "out.gz", "max_rows_per_file": 5})).await.unwrap();
    assert!(bench.files().contains(&"out.gz/part-00001.csv.gz".to_owned()), "{:?}", bench.files());
}

#[tokio::test]
async fn an_ending_that_says_another_compression_is_refused() {
    for writer in [WRITER, "filesystem.jsonl_writer"] {
        let bench = Bench::new();
        for (config, message, hint) in [
            (json!({"path": "o.csv.xz"}), "path: a file ending in `.xz` cannot be written", "end `path` with `.gz`"),
            (
                json!({"path": "o.csv.XZ", "compression": "gzip"}),
                "compression: is `gzip`, but a file ending in `.XZ` is read as `xz`",
                "end `path` with `.gz`",
            ),
            (
                json!({"path": "o.csv.gz", "compression": "none"}),
                "compression: is `none`, but a file ending in `.gz` is read as `gzip`",
                "remove `compression`",
            ),
            (
                json!({"path": "o.csv.gz", "compression": "zstd"}),
                "compression: is `zstd`, but a file ending in `.gz` is read as `gzip`",
                "remove `compression`",
            ),
        ] {
            let error = bench.write(writer, "SELECT 1 AS a", config).await.err().unwrap();
            let shown = bench.shown(error);
            assert!(shown.contains(message) && shown.contains(hint), "{shown}");
        }
        assert!(bench.files().is_empty(), "{:?}", bench.files());
    }
}

#[tokio::test]
async fn append_puts_rows_behind_those_with_the_same_header() {
    let bench = Bench::new();
    bench.put("o.csv", "a,b\n1,2");
    let select = "SELECT 4 AS b, 3 AS a";
    let output = bench.write(WRITER, select, json!({"path": "o.csv", "mode": "append"})).await.unwrap();
    assert_eq!((output.rows, bench.text("o.csv").as_str()), (1, "a,b\n1,2\n3,4\n"));
    let config = json!({"path": "o.csv", "mode": "append", "columns": ["b", "a"]});
    let error = bench.write(WRITER, select, config).await.err().unwrap();
    insta::assert_snapshot!(bench.shown(error), @"
    validation: step `write`: the header of `o.csv` is `a, b`, but the rows to append have `b, a`
    hint: set `columns: [a, b]`
    ");
    let error = bench.write(WRITER, "SELECT 1 AS x", json!({"path": "o.csv", "mode": "append"})).await.err().unwrap();
    insta::assert_snapshot!(bench.shown(error), @"
    validation: step `write`: the header of `o.csv` is `a, b`, but the rows to append have `x`
    hint: write the same columns, or set `mode: overwrite`
    ");
    assert_eq!(bench.text("o.csv"), "a,b\n1,2\n3,4\n");
    for how in ["gzip", "bz2", "zstd"] {
        let config = json!({"path": format!("o.{how}"), "mode": "append", "compression": how});
        bench.write(WRITER, select, config.clone()).await.unwrap();
        bench.write(WRITER, select, config).await.unwrap();
        let table = bench.csv(json!({"path": format!("o.{how}"), "compression": how})).await.unwrap();
        assert_eq!(table.rows(), [["3", "4"], ["3", "4"]], "{how}");
    }
    let config = json!({"path": "o.utf16.csv", "mode": "append", "encoding": "utf-16"});
    bench.write(WRITER, select, config.clone()).await.unwrap();
    bench.write(WRITER, select, config).await.unwrap();
    let table = bench.csv(json!({"path": "o.utf16.csv", "encoding": "utf-16"})).await.unwrap();
    assert_eq!(table.rows(), [["3", "4"], ["3", "4"]]);
}

#[tokio::test]
async fn several_files_fill_a_directory_that_is_replaced_as_a_whole() {
    let bench = Bench::new();
    let rows = |count: u64| format!("SELECT i AS id FROM range({count}) t(i)");
    let config = json!({"path": "out", "max_rows_per_file": 2000});
    let output = bench.write(WRITER, &rows(5000), config.clone()).await.unwrap();
    assert_eq!(output.rows, 5000);
    assert_eq!(bench.files(), ["out/part-00001.csv", "out/part-00002.csv", "out/part-00003.csv"]);
    assert_eq!(bench.text("out/part-00003.csv").lines().nth(1), Some("4000"));
    bench.write(WRITER, &rows(1), config).await.unwrap();
    assert_eq!(bench.files(), ["out/part-00001.csv"]);
    let config = json!({"path": "out", "max_rows_per_file": 2000, "mode": "append"});
    bench.write(WRITER, &rows(2001), config).await.unwrap();
    assert_eq!(bench.files(), ["out/part-00001.csv", "out/part-00002.csv", "out/part-00003.csv"]);
    assert_eq!(bench.csv(json!({"path": "out"})).await.unwrap().output.rows, 2002);
    bench.put("other/notes.txt", "x");
    let config = json!({"path": "other", "max_rows_per_file": 1});
    let error = bench.write(WRITER, &rows(1), config).await.err().unwrap();
    insta::assert_snapshot!(bench.shown(error), @"
    validation: step `write`: the directory `other` has `notes.txt`, which this step did not write
    hint: use a separate directory for the step: it is replaced as a whole
    ");
}

#[tokio::test]
async fn an_empty_table_makes_a_file_with_a_header() {
    let bench = Bench::new();
    let select = "SELECT 1 AS a WHERE false";
    assert_eq!(written(&bench, select, json!({"path": "o.csv"})).await, "a\n");
    bench.write(WRITER, select, json!({"path": "out", "max_rows_per_file": 5})).await.unwrap();
    assert_eq!(bench.files(), ["o.csv", "out/part-00001.csv"]);
}

#[tokio::test]
async fn standard_output_gets_the_whole_text() {
    let bench = Bench::new();
    bench.write(WRITER, "SELECT 1 AS a, 'é' AS b", json!({"path": "-"})).await.unwrap();
    assert_eq!(bench.stdout(), "a,b\n1,é\n".as_bytes());
    bench.write(WRITER, "SELECT 1 AS a", json!({"path": "-", "compression": "gzip"})).await.unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bench.stdout()["a,b\n1,é\n".len()..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, "a\n1\n");
    assert_eq!(bench.scratch(), 0);
}

#[tokio::test]
async fn a_dry_run_checks_and_writes_nothing() {
    let bench = Bench::new();
    bench.put("o.csv", "x,y\n1,2\n");
    for (config, fails) in [
        (json!({"path": "new/o.csv"}), false),
        (json!({"path": "o.csv", "mode": "append"}), true),
        (json!({"path": "new/o.csv", "create_dirs": false}), true),
        (json!({"path": "o.csv", "columns": ["b"]}), true),
    ] {
        let table = bench.make("SELECT 1 AS a").await;
        let result = bench.dry_run(WRITER, config.clone(), Inputs::one(table)).await;
        assert_eq!(result.is_err(), fails, "{config}: {result:?}");
    }
    assert_eq!((bench.files(), bench.text("o.csv").as_str()), (vec!["o.csv".to_owned()], "x,y\n1,2\n"));
}

#[tokio::test]
async fn a_directory_where_a_file_is_meant_is_refused() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("out")).unwrap();
    for path in ["out", "out/"] {
        let error = bench.write(WRITER, "SELECT 1 AS a", json!({"path": path})).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Validation);
    }
    let error = bench.write(WRITER, "SELECT 1 AS a", json!({"path": "out"})).await.err().unwrap();
    insta::assert_snapshot!(bench.shown(error), @"
    validation: step `write`: `out` is a directory
    hint: set `path` to a file in it, or set `max_rows_per_file` to write several files
    ");
    let config = json!({"path": "no/such/o.csv", "create_dirs": false});
    let error = bench.write(WRITER, "SELECT 1 AS a", config).await.err().unwrap();
    insta::assert_snapshot!(bench.shown(error), @"
    validation: step `write`: the directory of `no/such/o.csv` does not exist
    hint: create it, or set `create_dirs: true`
    ");
    bench.put("file", "x");
    let config = json!({"path": "file", "max_rows_per_file": 1});
    let error = bench.write(WRITER, "SELECT 1 AS a", config).await.err().unwrap();
    insta::assert_snapshot!(bench.shown(error), @"
    validation: step `write`: `file` is a file
    hint: several files need a directory: remove the file, or set another path
    ");
}

#[tokio::test]
async fn a_place_that_may_not_be_written_is_a_permission_error() {
    let bench = Bench::new();
    let error = bench.write(WRITER, "SELECT 1 AS a", json!({"path": "/sys/o.csv"})).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Permission, "{error:?}");
    insta::assert_snapshot!(bench.shown(error), @"
    permission: step `write`: `/sys/o.csv` cannot be written: Permission denied
    hint: change the file's owner or mode, or run as a user with access
    ");
}

#[tokio::test]
async fn a_full_disk_leaves_the_old_file_and_nothing_else() {
    let bench = Bench::new();
    bench.put("o.csv", "old");
    let error = crate::limited::write_beyond_a_limit(WRITER, &bench.data(), json!({"path": "o.csv"}));
    insta::assert_snapshot!(error, @"
    unknown: step `write`: `[data]/o.csv` could not be written: File too large
    hint: the file would exceed a limit of this process or file system: check `ulimit -f`
    ");
    assert_eq!((bench.files(), bench.text("o.csv").as_str()), (vec!["o.csv".to_owned()], "old"));
}

#[tokio::test]
async fn problems_of_a_configuration_are_reported_at_once() {
    let bench = Bench::new();
    let config = json!({
        "path": "-", "mode": "append", "delimiter": "\"", "encoding": "nope", "date_format": "%Q", "null_value": "a,b",
        "compression": "zip", "columns": [],
    });
    let error = bench.write(WRITER, "SELECT 1 AS a", config).await.err().unwrap();
    insta::assert_snapshot!(bench.shown(error), @r"
    validation: step `write`: its config has 7 problems:
      - mode: cannot append to standard output (remove `mode`)
      - delimiter: must not be a quote, a line end or NUL (such as `,`, `;`, `|`)
      - encoding: unknown encoding `nope` (such as utf-8, utf-16, utf-16le, utf-16be, latin-1, ascii, windows-1250, windows-1252, shift_jis, gbk)
      - date_format: invalid date format `%Q`: unknown specifier (such as `%Y-%m-%d %H:%M:%S%.f`)
      - null_value: must not contain a delimiter, quote or line end (such as `NULL` or `\N`)
      - mode: cannot append to a zip archive (use `compression: gzip`)
      - columns: needs at least one column
    hint: fix them all and run again
    ");
}

#[tokio::test]
async fn the_modes_have_the_words_of_all_writers() {
    for (writer, path) in [(WRITER, "o.csv"), ("filesystem.parquet_writer", "o.parquet")] {
        let bench = Bench::new();
        for (mode, rows) in [("replace", 1), ("insert", 2), ("append", 3), ("overwrite", 1)] {
            bench.write(writer, "SELECT 1 AS a", json!({"path": path, "mode": mode})).await.unwrap();
            let config = json!({"path": path});
            let table = if path == "o.csv" { bench.csv(config).await } else { bench.parquet(config).await };
            assert_eq!(table.unwrap().output.rows, rows, "{path} {mode}");
        }
        let error = bench.write(writer, "SELECT 1 AS a", json!({"path": path, "mode": "upsert"})).await.err().unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(bench.shown(error), @"
            validation: step `write`: its config is not valid: mode: `upsert` is not supported: a file has no key by which a row could be found and replaced
            hint: supported: overwrite, replace, append, insert
            ");
        }
    }
}

#[tokio::test]
async fn no_quote_but_the_double_one_is_taken() {
    let bench = Bench::new();
    let config = json!({"path": "o.csv", "quotechar": "\""});
    bench.write(WRITER, "SELECT 'a,b' AS a", config.clone()).await.unwrap();
    assert_eq!(bench.csv(config).await.unwrap().rows(), [["a,b"]]);
    let config = json!({"path": "o.csv", "quotechar": "'"});
    insta::assert_snapshot!(bench.csv_error(config.clone()).await, @r#"
    validation: step `step`: its config is not valid: quotechar: must be `"`: no other quote character is supported
    hint: remove it; convert files with other quotes first
    "#);
    let error = bench.write(WRITER, "SELECT 1 AS a", config).await.err().unwrap();
    assert!(error.message().contains("quotechar: must be"), "{error}");
}

#[tokio::test]
async fn a_chunk_changes_no_byte_of_the_file() {
    let bench = Bench::new();
    let select = "SELECT i, 'text ' || i AS t FROM range(5000) r(i)";
    bench.write(WRITER, select, json!({"path": "a.csv"})).await.unwrap();
    for chunk_size in [1, 7, 2048, 1_000_000] {
        bench.write(WRITER, select, json!({"path": "b.csv", "chunk_size": chunk_size})).await.unwrap();
        assert!(bench.bytes("a.csv") == bench.bytes("b.csv"), "{chunk_size}");
    }
    // Parts are cut by their rows, whatever the chunk.
    let config = json!({"path": "out", "chunk_size": 900, "max_rows_per_file": 2000});
    bench.write(WRITER, select, config).await.unwrap();
    assert_eq!(bench.files(), ["a.csv", "b.csv", "out/part-00001.csv", "out/part-00002.csv", "out/part-00003.csv"]);
}

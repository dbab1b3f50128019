//! What the extractor of JSON lines reads and refuses.

use osiris_core::{Code, ErrorKind};
use serde_json::json;

use crate::bench::Bench;

#[tokio::test]
async fn types_follow_the_values_and_late_keys_widen_the_table() {
    let bench = Bench::new();
    bench.put(
        "t.jsonl",
        "\u{feff}{\"id\": 1, \"name\": \"a\", \"big\": 12345678901234567890, \"price\": 1.5, \"tags\": [\"x\", 1], \"o\": {\"k\": null}, \"none\": null}\r\n\
         \n\
         {\"late\": true, \"id\": 9223372036854775807, \"price\": 2, \"tags\": \"y\"}",
    );
    let table = bench.jsonl(json!({"path": "t.jsonl"})).await.unwrap();
    assert_eq!(
        table.columns(),
        [
            "id BIGINT",
            "name VARCHAR",
            "big DECIMAL(20,0)",
            "price DOUBLE",
            "tags JSON",
            "o JSON",
            "none VARCHAR",
            "late BOOLEAN"
        ]
    );
    assert_eq!(
        table.rows(),
        [
            ["1", "a", "12345678901234567890", "1.5", "[\"x\", 1]", "{\"k\": null}", "∅", "∅"],
            ["9223372036854775807", "∅", "∅", "2.0", "\"y\"", "∅", "∅", "true"]
        ]
    );
    assert_eq!(table.output.counts.read, 2);
    assert_eq!(bench.scratch(), 0);
}

#[tokio::test]
async fn a_column_is_widened_after_batches_that_are_stored() {
    let bench = Bench::new();
    let mut text: String = (0..130_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    text.push_str("{\"n\":1.5,\"late\":\"x\"}\n");
    bench.put("t.ndjson", text);
    let table = bench.jsonl(json!({"path": "t.ndjson"})).await.unwrap();
    assert_eq!(table.columns(), ["n DECIMAL(20,1)", "late VARCHAR"]);
    let sums = bench.query("SELECT concat(count(*), ' ', sum(n), ' ', count(late)) FROM steps.step").await;
    assert_eq!(sums, "130001 8449935001.5 1");
}

#[tokio::test]
async fn columns_types_limit_and_file_names() {
    let bench = Bench::new();
    bench.put("in/a.jsonl", "{\"id\": \"007\", \"day\": \"2024-01-31\", \"x\": {\"y\": 1}}\n");
    bench.put("in/b.jsonl", "{\"day\": null, \"id\": 8, \"new\": 1}\n{\"id\": 9}\n").put("in/c.txt", "no");
    let config = json!({"path": "in", "columns": ["ID", "day", "x"], "dtype": {"id": "VARCHAR", "day": "DATE", "at": "TIMESTAMP"},
        "add_filename": true, "limit": 2});
    let table = bench.jsonl(config).await.unwrap();
    assert_eq!(table.columns(), ["id VARCHAR", "day DATE", "x JSON", "filename VARCHAR"]);
    assert_eq!(table.rows(), [["007", "2024-01-31", "{\"y\": 1}", "in/a.jsonl"], ["8", "∅", "∅", "in/b.jsonl"]]);
    let typed = bench.jsonl(json!({"path": "in/b.jsonl", "dtype": {"at": "TIMESTAMP"}})).await.unwrap();
    assert_eq!(typed.columns(), ["day VARCHAR", "id BIGINT", "new BIGINT", "at TIMESTAMP"]);
}

#[tokio::test]
async fn a_type_of_a_key_that_is_left_out_is_never_checked() {
    let bench = Bench::new();
    for text in ["{\"n\": \"x\", \"a\": 1}\n{\"n\": 1}\n", "{\"a\": 1, \"n\": 1}\n{\"n\": \"x\"}\n"] {
        bench.put("t.jsonl", text);
        let config = json!({"path": "t.jsonl", "columns": ["a"], "dtype": {"n": "INTEGER"}});
        assert_eq!(bench.jsonl(config).await.unwrap().rows(), [["1"], ["∅"]]);
    }
}

#[tokio::test]
async fn standard_input_is_read() {
    let bench = Bench::with_stdin(b"{\"a\": 1}\n{\"a\": 2}\n");
    let table = bench.jsonl(json!({"path": "-"})).await.unwrap();
    assert_eq!(table.rows(), [["1"], ["2"]]);
}

#[tokio::test]
async fn bad_lines_are_named() {
    let bench = Bench::new();
    for (text, expected) in [
        ("{\"a\": 1}\n\n{\"a\": 1, \"b\": 2, \"a\": 3}\n", "line 3: the key `a` occurs more than once"),
        ("{\"a\": null, \"a\": null}", "line 1: the key `a` occurs more than once"),
        ("{\"a\": 1}\n{\"a\": ", "line 2: the JSON is incomplete"),
        ("{\"a\": 1} {\"a\": 2}\n", "line 1: not valid JSON at byte 9"),
        ("{\"a\": nan}\n", "line 1: not valid JSON at byte 6"),
        ("{\"a\": 1}\n[{\"a\": 1}]\n", "line 2: expected an object, found a list"),
        ("7", "line 1: expected an object, found a number"),
        ("{\"a\": 1}\n{\"b\\u0000\": 1}\n", "line 2: a key has the character U+0000, which no column name can have"),
    ] {
        bench.put("t.jsonl", text);
        let error = bench.jsonl(json!({"path": "t.jsonl"})).await.err().unwrap();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Validation, format!("`t.jsonl`: {expected}").as_str()));
        assert_eq!(error.code(), Code::BadLine);
    }
    bench.put("t.jsonl", format!("{{\"a\": {}{}}}\n", "[".repeat(200), "]".repeat(200)));
    let error = bench.jsonl(json!({"path": "t.jsonl"})).await.err().unwrap();
    assert_eq!(error.message(), "`t.jsonl`: line 1: nested deeper than 128 levels");
    bench.put("t.jsonl", "{\"n\": 1}\n{\"n\": \"x\"}\n");
    insta::assert_snapshot!(bench.jsonl_error(json!({"path": "t.jsonl", "dtype": {"n": "INTEGER"}})).await, @"
    validation: step `step`: `t.jsonl`: line 2: column `n`: the value is not INTEGER
    hint: fix the value, set another type for `n`, or set `on_bad_lines: reject`
    ");
}

#[tokio::test]
async fn an_array_is_told_as_such() {
    let bench = Bench::new();
    for text in ["[{\"a\": 1}]\n", " [\n  {\"a\": 1}\n]\n"] {
        bench.put("t.jsonl", text);
        let error = bench.jsonl_error(json!({"path": "t.jsonl"})).await;
        assert!(error.contains("`t.jsonl` is an array, not JSON lines"), "{error}");
        assert!(error.contains("hint: read it with `filesystem.json_extractor`"), "{error}");
    }
}

#[tokio::test]
async fn bad_lines_are_kept_as_rejects_and_add_nothing() {
    let bench = Bench::new();
    let lines = ["{\"a\": 1}", "{\"b\": 1, \"a\": 1, \"a\": 2}", "[1]", "", "{\"a\": \"x\", \"c\": 1}", "{\"a\": 2"];
    bench.put("t.jsonl", lines.join("\n"));
    let config = json!({"path": "t.jsonl", "on_bad_lines": "reject", "max_rejects": 4, "dtype": {"a": "INTEGER"}});
    let table = bench.jsonl(config.clone()).await.unwrap();
    assert_eq!((table.columns(), table.rows()), (vec!["a INTEGER".to_owned()], vec![vec!["1".to_owned()]]));
    assert_eq!((table.output.counts.read, table.output.counts.stored, table.output.counts.rejected), (5, 1, 4));
    let reject = |line: usize, column: Option<&str>, why: &str| json!({"n": line, "c": column, "why": format!("`t.jsonl`: {why}"), "row": lines[line - 1]});
    assert_eq!(
        bench.rejects().await,
        json!([
            reject(2, None, "the key `a` occurs more than once"),
            reject(3, None, "expected an object, found a list"),
            reject(5, Some("a"), "the value is not INTEGER"),
            reject(6, None, "the JSON is incomplete"),
        ])
    );
    let error =
        bench.jsonl(json!({"path": "t.jsonl", "on_bad_lines": "reject", "max_rejects": 1})).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    bench.put("u.jsonl", "[1]\n");
    let error = bench.jsonl(json!({"path": "u.jsonl", "on_bad_lines": "reject"})).await.err().unwrap();
    assert_eq!(error.message(), "1 row was rejected, at most 0 are allowed");
}

#[tokio::test]
async fn a_key_that_no_column_can_have_is_a_fault_of_its_line_unless_it_is_left_out() {
    let bench = Bench::new();
    bench.put("t.jsonl", "{\"a\": 1}\n{\"a\": 2, \"b\\u0000\": 1}\n{\"b\\u0000\": 2}\n{\"a\": 3}\n");
    let config = json!({"path": "t.jsonl", "on_bad_lines": "reject", "max_rejects": 2});
    let table = bench.jsonl(config).await.unwrap();
    assert_eq!((table.rows(), table.output.counts.rejected), (vec![vec!["1".to_owned()], vec!["3".to_owned()]], 2));
    let table = bench.jsonl(json!({"path": "t.jsonl", "columns": ["a"]})).await.unwrap();
    assert_eq!(table.rows(), [["1"], ["2"], ["∅"], ["3"]]);
}

#[tokio::test]
async fn what_cannot_be_a_table_is_refused() {
    let bench = Bench::new();
    bench.put("empty.jsonl", "\n").put("bare.jsonl", "{}\n").put("t.jsonl", "{\"id\": 1, \"name\": \"x\"}\n");
    insta::assert_snapshot!(bench.jsonl_error(json!({"path": "empty.jsonl"})).await, @"
    validation: step `step`: `empty.jsonl` has no rows, so its columns are unknown
    hint: set the columns and their types, for example `dtype: {id: BIGINT}`
    ");
    insta::assert_snapshot!(bench.jsonl_error(json!({"path": "bare.jsonl"})).await, @"
    validation: step `step`: no line of `bare.jsonl` has a key that is read
    hint: set the columns and their types, for example `dtype: {id: BIGINT}`
    ");
    insta::assert_snapshot!(bench.jsonl_error(json!({"path": "t.jsonl", "columns": ["id", "nam"]})).await, @"
    validation: step `step`: `columns` names columns that the file does not have: `nam` (did you mean `name`?)
    hint: its columns: id, name
    ");
    insta::assert_snapshot!(bench.jsonl_error(json!({"path": "t.jsonl", "dtype": {"ID": "BIGINT"}})).await, @"
    validation: step `step`: `dtype` names the key `ID`, but the lines have `id`
    hint: write `dtype: {id: ...}`
    ");
    for (name, how) in [("id", json!("error")), ("ID", json!("reject"))] {
        let config = json!({"path": "t.jsonl", "add_filename": name, "on_bad_lines": how});
        let error = bench.jsonl_error(config).await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @"
            validation: step `step`: `t.jsonl`: line 1: the key `id` is the name of an added column
            hint: rename the column of file names: `add_filename: source_file`
            ");
        }
    }
    let empty = bench.jsonl(json!({"path": "empty.jsonl", "dtype": {"id": "BIGINT"}})).await.unwrap();
    assert_eq!((empty.columns(), empty.rows().len()), (vec!["id BIGINT".to_owned()], 0));
    let config = json!({"path": "empty.jsonl", "dtype": {"id": "BIGINT"}, "add_filename": true});
    let empty = bench.jsonl(config).await.unwrap();
    assert_eq!((empty.columns().join(", "), empty.rows().len()), ("id BIGINT, filename VARCHAR".to_owned(), 0));
    bench.put("latin.jsonl", b"{\"a\": \"caf\xe9\"}\n");
    let config = json!({"path": "latin.jsonl", "on_bad_lines": "reject", "max_rejects": 9});
    let error = bench.jsonl(config).await.err().unwrap();
    assert_eq!(error.code(), Code::InvalidEncoding);
    insta::assert_snapshot!(bench.shown(error), @"
    validation: step `step`: `latin.jsonl` is not UTF-8: byte 10 on line 1 is not valid
    hint: JSON lines are UTF-8: convert the file, for example with `iconv -f LATIN1 -t UTF-8`
    ");
}

#[tokio::test]
async fn problems_of_the_configuration_are_all_told() {
    let bench = Bench::new();
    let config =
        json!({"path": "t.jsonl", "dtype": {"a": "INTEGR", "b": "UUID"}, "max_rejects": 5, "columns": ["a", "A"]});
    let error = bench.jsonl_error(config).await;
    for part in ["INTEGER", "JSON has no values of the type `UUID`", "max_rejects", "`A` is named twice"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

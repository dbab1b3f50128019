//! What the extractor and the writer of JSON documents read, write and refuse.

use osiris_core::{Code, ErrorKind, Inputs};
use serde_json::json;

use crate::bench::Bench;

const WRITER: &str = "filesystem.json_writer";

#[tokio::test]
async fn the_elements_of_an_array_are_rows() {
    let bench = Bench::new();
    bench.put(
        "t.json",
        "\u{feff}[\n  {\"id\": 1, \"big\": 12345678901234567890, \"price\": 1.5, \"tags\": [\"x\", 1], \"o\": {\"k\": null}},\n  \
         {\"late\": \"ů\", \"id\": 9223372036854775807, \"price\": 2}\n]\n",
    );
    let table = bench.json(json!({"path": "t.json"})).await.unwrap();
    assert_eq!(
        table.columns(),
        ["id BIGINT", "big DECIMAL(20,0)", "price DOUBLE", "tags JSON", "o JSON", "late VARCHAR"]
    );
    assert_eq!(
        table.rows(),
        [
            ["1", "12345678901234567890", "1.5", "[\"x\", 1]", "{\"k\": null}", "∅"],
            ["9223372036854775807", "∅", "2.0", "∅", "∅", "ů"]
        ]
    );
    assert_eq!((table.output.counts.read, bench.scratch()), (2, 0));
    let dry = bench.dry_run("filesystem.json_extractor", json!({"path": "t.json"}), Inputs::none()).await;
    assert!(dry.is_ok(), "{:?}", dry.err());
}

#[tokio::test]
async fn an_array_inside_of_the_document_is_found_by_its_path() {
    let bench = Bench::new();
    let document =
        r#"{"meta": {"items": [0]}, "data": {"items": [{"id": 1, "day": "2024-01-31"}, {"id": 2}], "next": null}}"#;
    bench.put("in/a.json", document).put("in/b.json", document).put("in/c.jsonl", "{}");
    for path in ["data.items", "$.data['items']"] {
        let table = bench.json(json!({"path": "in/a.json", "data_path": path})).await.unwrap();
        assert_eq!(table.rows(), [["1", "2024-01-31"], ["2", "∅"]]);
    }
    let config = json!({"path": "in", "data_path": "data.items", "columns": ["ID", "day"], "dtype": {"day": "DATE"},
        "add_filename": true, "limit": 3});
    let table = bench.json(config).await.unwrap();
    assert_eq!(table.columns(), ["id BIGINT", "day DATE", "filename VARCHAR"]);
    assert_eq!(table.rows()[2], ["1", "2024-01-31", "in/b.json"]);
    assert_eq!(table.rows().len(), 3);
    for (path, message) in [
        ("data.rows", "`in/a.json` has no array at `$.data.rows`"),
        ("data", "`in/a.json` has no array at `$.data`"),
        ("data.items[*].x", "the rows at `$.data.items[*].x` cannot be streamed"),
        ("data..x", "invalid path to rows `data..x`"),
    ] {
        let error = bench.json_error(json!({"path": "in/a.json", "data_path": path})).await;
        assert!(error.contains(message), "{error}");
    }
}

#[tokio::test]
async fn many_elements_are_streamed() {
    let bench = Bench::new();
    let elements: Vec<String> = (0..130_000).map(|n| format!("{{\"n\":{n},\"text\":\"é{n}\"}}")).collect();
    bench.put("t.json", format!("{{\"rows\": [{}], \"count\": 130000}}", elements.join(",\n")));
    bench.json(json!({"path": "t.json", "data_path": "rows"})).await.unwrap();
    let sums = bench.query("SELECT concat(count(*), ' ', sum(n), ' ', max(text)) FROM steps.step").await;
    assert_eq!(sums, "130000 8449935000 é99999");
}

#[tokio::test]
async fn bad_elements_are_named_or_rejected_with_number_and_byte() {
    let bench = Bench::new();
    bench.put("t.json", "[{\"a\": 1}, 7,\n{\"a\": 2, \"a\": 3}, {\"a\": \"x\"}, {\"a\": 4}]");
    let error = bench.json(json!({"path": "t.json"})).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Validation, Code::BadLine));
    assert_eq!(error.message(), "`t.json`: element 2 at byte 11: expected an object, found a number");
    let config = json!({"path": "t.json", "on_bad_lines": "reject", "max_rejects": 3, "dtype": {"a": "INTEGER"}});
    let table = bench.json(config).await.unwrap();
    assert_eq!((table.rows(), table.output.counts.rejected), (vec![vec!["1".to_owned()], vec!["4".to_owned()]], 3));
    assert_eq!(
        bench.rejects().await,
        json!([
            {"n": 2, "c": null, "why": "`t.json`: byte 11: expected an object, found a number", "row": "7"},
            {"n": 3, "c": null, "why": "`t.json`: byte 14: the key `a` occurs more than once", "row": "{\"a\": 2, \"a\": 3}"},
            {"n": 4, "c": "a", "why": "`t.json`: byte 32: the value is not INTEGER", "row": "{\"a\": \"x\"}"},
        ])
    );
}

#[tokio::test]
async fn what_is_not_a_document_with_an_array_is_told_as_such() {
    let bench = Bench::new();
    let cases: [(&[u8], &str, &str); 12] = [
        (b"{\"a\": 1}\n{\"a\": 2}\n", "`t.json` is JSON lines, not one JSON document", "filesystem.jsonl_extractor"),
        (b"{\"a\": {\"b\": 1}}", "`t.json` is an object, not an array", "set `data_path`"),
        (b"7", "`t.json` is a single value, not an array", "set `data_path`"),
        (b"[{\"a\": 1}", "`t.json` ends in the middle of its JSON", "truncated"),
        (b"", "`t.json` is empty", "no rows are `[]`"),
        (b"[{\"a\": 1} {\"a\": 2}]", "`t.json` is not valid JSON at byte 10", "fix the file"),
        (b"\xef\xbb\xbf[{\"a\": 1}] 1", "`t.json` is not valid JSON at byte 14", "fix the file"),
        (b"[{\"a\": nan}]", "`t.json` is not valid JSON at byte 7", "fix the file"),
        (b"[{\"a\": \"caf\xe9\"}]", "`t.json` is not UTF-8: byte 11 is not valid", "iconv"),
        (b"\xff\xfe[\0]\0", "`t.json` is not UTF-8: byte 0 is not valid", "UTF-16"),
        (b"[]", "`t.json` has no rows, so its columns are unknown", "dtype"),
        (b"[{}]", "no element of `t.json` has a key that is read", "dtype"),
    ];
    for (bytes, message, hint) in cases {
        bench.put("t.json", bytes);
        let error = bench.json_error(json!({"path": "t.json"})).await;
        assert!(error.starts_with("validation") && error.contains(message) && error.contains(hint), "{error}");
    }
    let typed = bench.json(json!({"path": "t.json", "dtype": {"id": "BIGINT"}})).await.unwrap();
    assert_eq!((typed.columns().join(", "), typed.rows().len()), ("id BIGINT".to_owned(), 1));
    assert_eq!(bench.scratch(), 0);
}

#[tokio::test]
async fn rows_are_written_as_one_array_and_read_again() {
    let bench = Bench::new();
    let select =
        "SELECT i AS id, CAST('1.50' AS DECIMAL(10,2)) AS price, if(i = 2, NULL, 'a\"b') AS t FROM range(1, 3) r(i)";
    bench.write(WRITER, select, json!({"path": "o.json"})).await.unwrap();
    assert_eq!(
        bench.text("o.json"),
        "[\n{\"id\":1,\"price\":1.50,\"t\":\"a\\\"b\"},\n{\"id\":2,\"price\":1.50,\"t\":null}\n]\n"
    );
    let read = bench.json(json!({"path": "o.json", "dtype": {"price": "DECIMAL(10,2)"}})).await.unwrap();
    assert_eq!(read.rows(), [["1", "1.50", "a\"b"], ["2", "1.50", "∅"]]);
    bench.write(WRITER, "SELECT 1 AS a LIMIT 0", json!({"path": "o.json"})).await.unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&bench.text("o.json")).unwrap(), json!([]));
    bench.write(WRITER, "SELECT 1 AS a, NULL AS b", json!({"path": "o.json.gz", "nulls": "omit"})).await.unwrap();
    assert_eq!(bench.json(json!({"path": "o.json.gz"})).await.unwrap().rows(), [["1"]]);
    let parts = json!({"path": "parts", "max_rows_per_file": 2});
    bench.write(WRITER, "SELECT i AS id FROM range(5) r(i)", parts).await.unwrap();
    assert_eq!(bench.text("parts/part-00003.json"), "[\n{\"id\":4}\n]\n");
    let read = bench.json(json!({"path": "parts"})).await.unwrap();
    assert_eq!(read.rows().concat(), ["0", "1", "2", "3", "4"]);
    let refused =
        bench.write(WRITER, "SELECT 1 AS a", json!({"path": "o.json", "mode": "append"})).await.err().unwrap();
    assert!(bench.shown(refused).contains("rows cannot be appended to a JSON array"));
}

#[tokio::test]
async fn a_chunk_of_rows_after_another_goes_on_with_the_array() {
    let bench = Bench::new();
    bench.write(WRITER, "SELECT i AS id FROM range(150000) r(i)", json!({"path": "o.json"})).await.unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&bench.text("o.json")).unwrap();
    assert_eq!((rows.len(), &rows[149_999]), (150_000, &json!({"id": 149_999})));
}

#[tokio::test]
async fn standard_streams_are_read_and_written() {
    let bench = Bench::with_stdin(b"[{\"a\": 1}, {\"a\": 2}]");
    assert_eq!(bench.json(json!({"path": "-"})).await.unwrap().rows(), [["1"], ["2"]]);
    bench.write(WRITER, "SELECT 1 AS a", json!({"path": "-"})).await.unwrap();
    assert_eq!(bench.stdout(), b"[\n{\"a\":1}\n]\n");
}

//! What the writer of JSON lines writes.

use osiris_core::{Code, ErrorKind, Inputs};
use serde_json::json;

use crate::bench::Bench;

const WRITER: &str = "filesystem.jsonl_writer";

#[tokio::test]
async fn every_type_has_an_exact_form() {
    let bench = Bench::new();
    let select = r#"SELECT 9223372036854775807::BIGINT AS "the ""id""", CAST('1.50' AS DECIMAL(10,2)) AS price,
        18446744073709551615::UBIGINT AS u, 170141183460469231731687303715::HUGEINT AS h, 0.1::DOUBLE AS f, 1e300::DOUBLE AS e,
        'a"b' || chr(10) AS t, NULL::INTEGER AS n, DATE '2024-01-31' AS day, TIME '12:00:00.5' AS tm,
        TIMESTAMP '2024-01-31 12:00:00.25' AS ts, TIMESTAMP '2024-01-31 11:00:00' AS at, '\x01\xFF'::BLOB AS b,
        ('{"k": [1,' || chr(10) || '2]}')::JSON AS j, [1, NULL] AS l, {'a': DATE '2024-01-31', 'b': 'x'} AS s, true AS ok"#;
    let table = bench.make_with_instants(select, &["at"]).await;
    let output = bench.run(WRITER, json!({"path": "o.jsonl"}), Inputs::one(table)).await.unwrap();
    assert_eq!(output.rows, 1);
    assert_eq!(
        bench.text("o.jsonl"),
        concat!(
            r#"{"the \"id\"":9223372036854775807,"price":1.50,"u":18446744073709551615,"h":170141183460469231731687303715,"#,
            r#""f":0.1,"e":1e+300,"t":"a\"b\n","n":null,"day":"2024-01-31","tm":"12:00:00.5","ts":"2024-01-31T12:00:00.25","#,
            r#""at":"2024-01-31T11:00:00Z","b":"\\x01ff","j":{"k": [1, 2]},"l":[1,null],"s":{"a":"2024-01-31","b":"x"},"ok":true}"#,
            "\n"
        )
    );
    assert_eq!(bench.metric("bytes_written"), Some(bench.bytes("o.jsonl").len() as u64));
    assert_eq!(bench.scratch(), 0);
}

#[tokio::test]
async fn keys_are_in_the_order_of_the_columns_and_null_may_be_left_out() {
    let bench = Bench::new();
    let select = "SELECT 1 AS b, NULL::INTEGER AS a, 'x' AS c";
    for (config, expected) in [
        (json!({}), "{\"b\":1,\"a\":null,\"c\":\"x\"}\n"),
        (json!({"columns": "sorted"}), "{\"a\":null,\"b\":1,\"c\":\"x\"}\n"),
        (json!({"columns": ["c", "b"]}), "{\"c\":\"x\",\"b\":1}\n"),
        (json!({"nulls": "omit"}), "{\"b\":1,\"c\":\"x\"}\n"),
        (json!({"nulls": "omit", "columns": ["a"]}), "{}\n"),
    ] {
        let mut config = config;
        config["path"] = json!("o.jsonl");
        bench.write(WRITER, select, config).await.unwrap();
        assert_eq!(bench.text("o.jsonl"), expected);
    }
    bench.write(WRITER, "SELECT 1 AS a LIMIT 0", json!({"path": "empty.jsonl"})).await.unwrap();
    assert_eq!(bench.text("empty.jsonl"), "");
}

#[tokio::test]
async fn nan_and_infinity_are_named_and_nothing_is_written() {
    let bench = Bench::new();
    let number = ("NaN and infinity are not numbers of JSON", "isfinite");
    let embedded = ("the JSON has what DuckDB alone accepts: NaN, infinity or a trailing comma", "json(x)");
    for (select, place, (message, hint)) in [
        ("SELECT * FROM (VALUES (1.5::DOUBLE), ('inf'::DOUBLE)) t(x)", "row 2, column `x`", number),
        ("SELECT 'nan'::FLOAT AS y", "row 1, column `y`", number),
        ("SELECT ['nan'::DOUBLE] AS l", "row 1, column `l`", number),
        ("SELECT to_json({'x': 'nan'::DOUBLE}) AS j", "row 1, column `j`", embedded),
        ("SELECT '[-Infinity]'::JSON AS j", "row 1, column `j`", embedded),
        ("SELECT {'k': ['NaN'::JSON]} AS s", "row 1, column `s`", embedded),
        ("SELECT '{\"b\":[1,2,]}'::JSON AS j", "row 1, column `j`", embedded),
    ] {
        let error = bench.write(WRITER, select, json!({"path": "o.jsonl"})).await.err().unwrap();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Validation, format!("{place}: {message}").as_str()));
        assert!(error.hint().unwrap().contains(hint), "{error:?}");
        assert_eq!(bench.files(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn json_inside_of_nested_values_is_part_of_them() {
    let bench = Bench::new();
    let select = r#"SELECT ['{"k": 2}'::JSON, NULL] AS l, {'j': '[1]'::JSON, 't': '[1]'} AS s, MAP {'k': '"x"'::JSON} AS m,
        [[to_json(1)]] AS n, ['true'::JSON]::JSON[1] AS a"#;
    bench.write(WRITER, select, json!({"path": "o.jsonl"})).await.unwrap();
    let expected = r#"{"l":[{"k": 2},null],"s":{"j":[1],"t":"[1]"},"m":{"k":"x"},"n":[[1]],"a":[true]}"#;
    assert_eq!(bench.text("o.jsonl"), format!("{expected}\n"));
}

#[tokio::test]
async fn json_is_written_as_deep_as_it_is() {
    let bench = Bench::new();
    let select = "SELECT (repeat('[', 300) || repeat(']', 300))::JSON AS j";
    bench.write(WRITER, select, json!({"path": "o.jsonl"})).await.unwrap();
    assert_eq!(bench.text("o.jsonl"), format!("{{\"j\":{}{}}}\n", "[".repeat(300), "]".repeat(300)));
}

#[tokio::test]
async fn append_puts_rows_behind_other_lines() {
    let bench = Bench::new();
    bench.put("o.jsonl", "{\"a\": 1}");
    bench.write(WRITER, "SELECT 2 AS a", json!({"path": "o.jsonl", "mode": "append"})).await.unwrap();
    assert_eq!(bench.text("o.jsonl"), "{\"a\": 1}\n{\"a\":2}\n");
    for compression in ["gzip", "bz2", "zstd"] {
        for n in 1..=2 {
            let config = json!({"path": "z.jsonl", "mode": "append", "compression": compression});
            bench.write(WRITER, &format!("SELECT {n} AS a"), config).await.unwrap();
        }
        let table = bench.jsonl(json!({"path": "z.jsonl", "compression": compression})).await.unwrap();
        assert_eq!(table.rows(), [["1"], ["2"]], "{compression}");
        std::fs::remove_file(bench.path("z.jsonl")).unwrap();
    }
    bench.put("t.jsonl", "a,b\n1,2\n");
    let error = bench.write(WRITER, "SELECT 2 AS a", json!({"path": "t.jsonl", "mode": "append"})).await.err().unwrap();
    assert_eq!(error.message(), "cannot append to `t.jsonl`: line 1: not valid JSON at byte 0");
    assert_eq!(error.code(), Code::BadLine);
    assert_eq!(bench.text("t.jsonl"), "a,b\n1,2\n");
}

#[tokio::test]
async fn parts_and_standard_output() {
    let bench = Bench::new();
    let select = "SELECT i AS n FROM range(5) t(i)";
    bench.write(WRITER, select, json!({"path": "out", "max_rows_per_file": 2, "compression": "zstd"})).await.unwrap();
    assert_eq!(bench.files(), ["out/part-00001.jsonl.zst", "out/part-00002.jsonl.zst", "out/part-00003.jsonl.zst"]);
    let table = bench.jsonl(json!({"path": "out"})).await.unwrap();
    assert_eq!(table.rows(), [["0"], ["1"], ["2"], ["3"], ["4"]]);
    bench.write(WRITER, "SELECT 1 AS n", json!({"path": "-"})).await.unwrap();
    assert_eq!(bench.stdout(), b"{\"n\":1}\n");
}

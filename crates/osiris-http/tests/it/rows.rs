//! Rows of an answer, through the decoder and a widening sender into a real store.

use osiris_core::{ColumnType, Result};
use osiris_http::{Document, Nested, Request, RowDecoder, RowOptions, RowPath};
use osiris_testkit::Bench;
use osiris_testkit::http_server::{HttpServer, Reply};

use crate::{client, settings};

/// Each text is a page of rows; the table that they make, with its types, as text.
async fn stored(options: RowOptions, pages: &[&str]) -> Result<String> {
    let bench = Bench::new(|_| Ok(()))?;
    let sink = bench.store().sink("rows").await?;
    let sender = sink.widening_sender().unwrap();
    let mut decoder = RowDecoder::new(options);
    for page in pages {
        let document = Document::parse(page.as_bytes().to_vec().into(), &RowPath::root())?;
        decoder = decoder.decode(document).await?;
        while let Some(batch) = decoder.take_batch()? {
            sender.send(batch).await?;
        }
    }
    while let Some(batch) = decoder.finish()? {
        sender.send(batch).await?;
    }
    let table = sink.finish().await?;
    assert_eq!(table.rows(), decoder.rows());
    let columns = table.schema().columns().iter();
    let columns: Vec<_> = columns.map(|column| format!("{} {}", column.name, column.column_type)).collect();
    let mut lines = vec![columns.join(" | ")];
    for row in bench.rows(&table).await?.rows() {
        let cells: Vec<_> = row.iter().map(|cell| cell.as_deref().unwrap_or("NULL")).collect();
        lines.push(cells.join(" | "));
    }
    Ok(lines.join("\n"))
}

#[tokio::test]
async fn pages_that_widen_each_other_keep_every_value() {
    let pages = [
        r#"[{"id": 1, "v": 1, "t": 1, "j": 1}]"#,
        r#"[{"id": 2, "v": 2.25, "t": "x", "j": [1]}, {"id": 9223372036854775808}]"#,
        r#"[{"id": 3, "v": 12345678901234567890.5, "t": true, "new": {"deep": "y"}, "never": null}]"#,
    ];
    insta::assert_snapshot!(stored(RowOptions::new(), &pages).await.unwrap(), @r#"
    id DECIMAL(19,0) | v DECIMAL(22,2) | t JSON | j JSON | new.deep VARCHAR | never VARCHAR
    1 | 1.00 | 1 | 1 | NULL | NULL
    2 | 2.25 | "x" | [1] | NULL | NULL
    9223372036854775808 | NULL | NULL | NULL | NULL | NULL
    3 | 12345678901234567890.50 | true | NULL | y | NULL
    "#);
}

#[tokio::test]
async fn a_value_among_others_of_another_kind_has_one_text_whatever_came_before_it_and_in_which_page() {
    let values = ["1", "2.5", "\"s\"", "100", "-0.25", "true"];
    for first in 0..values.len() {
        for step in [1, 5] {
            let values: Vec<_> = (0..values.len()).map(|index| values[(first + index * step) % values.len()]).collect();
            let rows: Vec<_> = values.iter().map(|value| format!(r#"{{"v": {value}}}"#)).collect();
            for pages in [1, 2, 3, 6] {
                let pages: Vec<_> =
                    rows.chunks(rows.len() / pages).map(|rows| format!("[{}]", rows.join(","))).collect();
                let pages: Vec<_> = pages.iter().map(String::as_str).collect();
                let table = stored(RowOptions::new(), &pages).await.unwrap();
                assert_eq!(table, format!("v JSON\n{}", values.join("\n")), "{pages:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_big_integer_and_a_long_decimal_survive_to_the_store() {
    let page = r#"[{"id": 1234567890123456789, "n": 12345678901234567890123456789.012345678, "f": 0.1, "long": 1.00000000000000000000000000000000000000001}]"#;
    insta::assert_snapshot!(stored(RowOptions::new(), &[page]).await.unwrap(), @"
    id BIGINT | n DECIMAL(38,9) | f DOUBLE | long JSON
    1234567890123456789 | 12345678901234567890123456789.012345678 | 0.1 | 1.00000000000000000000000000000000000000001
    ");
}

/// The values of a column in each order of a page for each, as they are in the store.
#[tokio::test]
async fn the_type_and_the_values_of_a_column_do_not_depend_on_what_came_first() {
    for values in [
        &["1", r#""1""#, "true", "2.5", r#""true""#, r#"{"a":1}"#, "null"][..],
        &["1", r#""1""#],
        &["false", "1e400"],
        &["9007199254740993", "0.5", r#""x""#],
        &["0.1", "0.1000000000000000055", "null", "123456789012345678901234567890123456789"],
    ] {
        for turn in 0..2 * values.len() {
            let mut order = values.to_vec();
            order.rotate_left(turn % values.len());
            if turn >= values.len() {
                order.reverse();
            }
            let pages: Vec<_> = order.iter().map(|value| format!(r#"[{{"i": 0, "v": {value}}}]"#)).collect();
            let pages: Vec<_> = pages.iter().map(String::as_str).collect();
            let found = plain(&stored(whole(), &pages).await.unwrap());
            let expected = order.iter().map(|value| format!("0 | {value}")).collect::<Vec<_>>().join("\n");
            let expected = format!("i BIGINT | v JSON\n{}", expected.replace("null", "NULL"));
            assert_eq!(found, expected, "{order:?}");
            // The same in one page, where types widen before anything is in the store.
            let page = format!("[{}]", pages.iter().map(|page| &page[1..page.len() - 1]).collect::<Vec<_>>().join(","));
            assert_eq!(plain(&stored(whole(), &[&page]).await.unwrap()), expected, "{order:?}");
        }
    }
}

/// Objects are kept whole.
fn whole() -> RowOptions {
    RowOptions::new().with_nested(Nested::Json)
}

/// Without the zeros behind a number: `1` and `1.0` are one number.
fn plain(rows: &str) -> String {
    let plain = |row: &str| match row.rsplit_once('.') {
        Some((_, digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            row.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => row.to_owned(),
    };
    rows.lines().map(plain).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn what_json_may_hold_and_duckdb_refuses_is_stored_in_json_columns() {
    let page = "[{\"v\": [\"geheim\\ud83d\"]}, {\"v\": {\"a\": \"x\ny\"}}, {\"v\": \"\\ude00\"}]";
    assert_eq!(
        stored(whole(), &[page]).await.unwrap(),
        "v JSON\n[\"geheim\u{fffd}\"]\n{\"a\": \"x\\u000ay\"}\n\"\u{fffd}\""
    );
    let mut decoder = RowDecoder::new(whole());
    decoder.push_document(&Document::parse(page.into(), &RowPath::root()).unwrap()).unwrap();
    assert_eq!(decoder.altered(), 2);
}

#[tokio::test]
async fn declared_columns_make_a_table_without_rows() {
    let options = RowOptions::new().with_columns([("at", ColumnType::Instant), ("id", ColumnType::BigInt)]);
    insta::assert_snapshot!(stored(options, &["[]"]).await.unwrap(), @"
    at INSTANT | id BIGINT
    ");
}

#[tokio::test]
async fn arrays_with_names_of_an_answer_become_rows() {
    let body = r#"{"columns": ["uuid", "properties"], "results": [["u1", "{\"a\": {\"b\": 1}}"]], "hasMore": false}"#;
    let server = HttpServer::start(move |_| std::future::ready(Reply::text(200, body))).unwrap();
    let client = client(settings(&server));
    let page = client.fetch(&Request::post(client.url("query").unwrap())).await.unwrap();
    let document = page.document(&RowPath::names(["results"])).unwrap();
    let names: Vec<String> = serde_json::from_value(document.envelope()["columns"].clone()).unwrap();
    let nested = Nested::Flatten { separator: "_".to_owned(), depth: Some(1) };
    let options = RowOptions::new().with_nested(nested).with_embedded("properties").with_names(names);
    let mut decoder = RowDecoder::new(options);
    decoder.push_document(&document).unwrap();
    let batch = decoder.finish().unwrap().unwrap();
    let names: Vec<_> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["uuid", "properties_a"]);
}

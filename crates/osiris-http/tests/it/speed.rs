//! How fast rows are read, on one core: run it by hand, optimised, with `--run-ignored only --no-capture`.

use std::fmt::Write as _;
use std::time::Instant;

use osiris_http::{Bytes, Document, Nested, RowDecoder, RowOptions, RowPath};

const ROWS: usize = 200_000;

/// Flat events, 30 properties each.
fn events() -> String {
    let mut text = String::from("{\"results\": [");
    for id in 0..ROWS {
        let comma = if id > 0 { "," } else { "" };
        write!(
            text,
            r#"{comma}{{"uuid":"018f2a5e-7c1b-7000-8000-{id:012}","timestamp":"2024-05-01T12:00:00.{:06}Z""#,
            id % 1_000_000
        )
        .unwrap();
        for property in 0..10 {
            write!(
                text,
                r#","text_{property}":"a value of property {property}","count_{property}":{},"ratio_{property}":{}.25"#,
                id * property,
                id % 1000
            )
            .unwrap();
        }
        text.push('}');
    }
    text.push_str("]}");
    text
}

/// The same as the PostHog API has them: arrays, properties as JSON in a text.
fn embedded(events: &str) -> String {
    let page = Document::parse(Bytes::copy_from_slice(events.as_bytes()), &RowPath::names(["results"])).unwrap();
    let rows: Vec<_> =
        page.rows().map(|row| format!("[\"u\",{}]", serde_json::to_string(row.as_str()).unwrap())).collect();
    format!("{{\"results\":[{}]}}", rows.join(","))
}

fn measure(name: &str, text: String, options: RowOptions) {
    let body = Bytes::from(text);
    let started = Instant::now();
    let page = Document::parse(body.clone(), &RowPath::names(["results"])).unwrap();
    let found = started.elapsed();
    let mut decoder = RowDecoder::new(options);
    decoder.push_document(&page).unwrap();
    let mut rows = 0;
    while let Some(batch) = decoder.finish().unwrap() {
        rows += batch.num_rows();
    }
    let all = started.elapsed();
    assert_eq!(rows, ROWS);
    let megabytes = u32::try_from(body.len() / 1_000_000).unwrap();
    let rate = f64::from(megabytes) / all.as_secs_f64();
    println!("{name}: {megabytes} MB, rows found in {found:?}, all in {all:?}: {rate:.0} MB/s");
}

#[test]
#[ignore = "a measurement"]
fn measure_how_fast_events_are_read() {
    let events = events();
    let nested = Nested::Flatten { separator: "_".to_owned(), depth: Some(1) };
    let properties =
        RowOptions::new().with_names(["uuid", "properties"]).with_embedded("properties").with_nested(nested);
    measure("embedded", embedded(&events), properties);
    measure("flat", events, RowOptions::new());
}

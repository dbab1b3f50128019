//! Rows of JSON, and the batches they must become.

use std::fmt::Write as _;

use crate::ErrorKind;
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use proptest::prelude::*;

use super::super::options::{FieldTree, Nested};
use super::*;

/// The batches of these rows, each as its types and its values as text.
fn batches(options: RowOptions, rows: &[&str]) -> Vec<RecordBatch> {
    let mut decoder = RowDecoder::new(options);
    rows.iter().try_for_each(|row| decoder.push(&Row::new(row))).unwrap();
    drain(&mut decoder)
}

fn drain(decoder: &mut RowDecoder) -> Vec<RecordBatch> {
    std::iter::from_fn(|| decoder.finish().unwrap()).collect()
}

/// `name type: value, value` of each column, batches apart by `--`.
fn shown(batches: &[RecordBatch]) -> String {
    let mut text = String::new();
    for (index, batch) in batches.iter().enumerate() {
        if index > 0 {
            text.push_str("--\n");
        }
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            let json = if field.metadata().is_empty() { "" } else { " JSON" };
            let values: Vec<_> = (0..column.len())
                .map(|row| arrow::util::display::array_value_to_string(column, row).unwrap())
                .map(|value| if value.is_empty() { "NULL".to_owned() } else { value })
                .collect();
            writeln!(text, "{} {}{json}: {}", field.name(), field.data_type(), values.join(", ")).unwrap();
        }
    }
    text
}

fn table(rows: &[&str]) -> String {
    shown(&batches(RowOptions::new(), rows))
}

#[test]
fn each_column_has_the_narrowest_exact_type() {
    let rows = [
        r#"{"id": 1, "ok": true, "name": "a\nb", "price": 1.5, "tags": ["x", 1], "none": null}"#,
        r#"{"id": 9223372036854775807, "ok": null, "name": "é", "price": 2, "tags": [], "late": 7}"#,
    ];
    insta::assert_snapshot!(table(&rows), @r#"
    id Int64: 1, 9223372036854775807
    ok Boolean: true, NULL
    name Utf8: a
    b, é
    price Float64: 1.5, 2.0
    tags Utf8 JSON: ["x", 1], []
    none Utf8: NULL, NULL
    late Int64: NULL, 7
    "#);
}

#[test]
fn numbers_keep_every_digit() {
    let rows = [
        r#"{"big": 1234567890123456789, "numeric": 12345678901234567890123456789.012345678, "float": 0.30000000000000004}"#,
    ];
    let batch = &batches(RowOptions::new(), &rows)[0];
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), 1_234_567_890_123_456_789);
    assert_eq!(batch.column(1).data_type(), &DataType::Decimal128(38, 9));
    assert_eq!(
        batch.column(1).as_primitive::<Decimal128Type>().value(0),
        12_345_678_901_234_567_890_123_456_789_012_345_678
    );
    assert_eq!(batch.column(2).as_primitive::<Float64Type>().value(0).to_bits(), (0.1f64 + 0.2).to_bits());
}

#[test]
fn a_fraction_after_whole_numbers_makes_them_doubles_only_where_they_all_are() {
    assert_eq!(table(&[r#"{"a": 1}"#, r#"{"a": 1.5}"#]), "a Float64: 1.0, 1.5\n");
    assert_eq!(
        table(&[r#"{"a": 9007199254740993}"#, r#"{"a": 1.5}"#]),
        "a Decimal128(20, 1): 9007199254740993.0, 1.5\n"
    );
}

#[test]
fn what_has_left_in_a_batch_is_widened_by_the_store() {
    let mut decoder = RowDecoder::new(RowOptions::new());
    decoder.push(&Row::new(r#"{"a": 1}"#)).unwrap();
    let first = decoder.take_batch().unwrap().unwrap();
    decoder.push(&Row::new(r#"{"a": 2.25}"#)).unwrap();
    decoder.push(&Row::new(r#"{"a": "x"}"#)).unwrap();
    decoder.push(&Row::new(r#"{"a": 3.10}"#)).unwrap();
    let mut all = vec![first];
    all.extend(drain(&mut decoder));
    assert_eq!(shown(&all), "a Int64: 1\n--\na Utf8 JSON: 2.25, \"x\", 3.10\n");
}

#[test]
fn a_row_that_widens_a_column_is_read_once() {
    let rows = [r#"{"a": "x", "b": 1.5, "c": 1}"#, r#"{"a": "y", "b": true, "c": 2}"#];
    assert_eq!(table(&rows), "a Utf8: x, y\nb Utf8 JSON: 1.5, true\nc Int64: 1, 2\n");
}

#[test]
fn objects_are_flattened_as_deep_as_asked_and_else_kept() {
    let row = [r#"{"a": {"b": {"c": 1.10, "d": []}, "e": {}}, "f": 1}"#];
    let nested = |separator: &str, depth| Nested::Flatten { separator: separator.to_owned(), depth };
    let read = |nested| shown(&batches(RowOptions::new().with_nested(nested), &row));
    assert_eq!(table(&row), "a.b.c Float64: 1.1\na.b.d Utf8 JSON: []\nf Int64: 1\n");
    assert_eq!(read(nested("_", Some(1))), "a_b Utf8 JSON: {\"c\": 1.10, \"d\": []}\na_e Utf8 JSON: {}\nf Int64: 1\n");
    assert_eq!(read(Nested::Json), "a Utf8 JSON: {\"b\": {\"c\": 1.10, \"d\": []}, \"e\": {}}\nf Int64: 1\n");
}

#[test]
fn with_a_tree_of_fields_no_column_depends_on_what_a_leaf_holds() {
    let leaf = FieldTree::default;
    let fields = FieldTree::from_iter([("id", leaf()), ("doc", leaf()), ("o", FieldTree::from_iter([("a", leaf())]))]);
    let nested = Nested::Fields { separator: ".".to_owned(), fields };
    let rows = [
        r#"{"id": 1, "doc": {"a.b": 1, "a": {"b": 2}}, "o": {"a": {"k": 1}}, "more": {"x": null}}"#,
        r#"{"id": 2, "doc": {}, "o": {"a": [1]}}"#,
        r#"{"id": 3, "doc": {"x": null}, "o": null}"#,
    ];
    insta::assert_snapshot!(shown(&batches(RowOptions::new().with_nested(nested), &rows)), @r#"
    id Int64: 1, 2, 3
    doc Utf8 JSON: {"a.b": 1, "a": {"b": 2}}, {}, {"x": null}
    o.a Utf8 JSON: {"k": 1}, [1], NULL
    more Utf8 JSON: {"x": null}, NULL, NULL
    o Utf8: NULL, NULL, NULL
    "#);
}

#[test]
fn a_text_that_holds_json_is_taken_as_that() {
    let options = RowOptions::new()
        .with_names(["uuid", "properties"])
        .with_embedded("properties")
        .with_nested(Nested::Flatten { separator: "_".to_owned(), depth: Some(1) });
    let rows = [r#"["u1", "{\"$os\": \"Mac\", \"n\": {\"x\": 1}}"]"#, r#"["u2", "not json"]"#, r#"["u3", null]"#];
    insta::assert_snapshot!(shown(&batches(options, &rows)), @r#"
    uuid Utf8: u1, u2, u3
    properties_$os Utf8: Mac, NULL, NULL
    properties_n Utf8 JSON: {"x": 1}, NULL, NULL
    properties Utf8: NULL, not json, NULL
    "#);
}

#[test]
fn declared_columns_have_their_type_and_are_there_without_rows() {
    let options = || {
        RowOptions::new().with_columns([
            ("at", ColumnType::Instant),
            ("day", ColumnType::Date),
            ("n", ColumnType::Integer),
            ("price", ColumnType::Decimal(10, 2)),
            ("text", ColumnType::Varchar),
        ])
    };
    let row =
        r#"{"text": 1.10, "price": "12.5", "n": "7", "day": "2024-01-31", "at": "2024-01-31T12:00:00.000001+01:00"}"#;
    insta::assert_snapshot!(shown(&batches(options(), &[row])), @r#"
    at Timestamp(µs, "+00:00"): 2024-01-31T11:00:00.000001Z
    day Date32: 2024-01-31
    n Int32: 7
    price Decimal128(10, 2): 12.50
    text Utf8: 1.10
    "#);
    assert_eq!(batches(options(), &[])[0].num_columns(), 5);
    let batch = &batches(options(), &[row])[0];
    assert_eq!(batch.column(0).as_primitive::<TimestampMicrosecondType>().value(0), 1_706_698_800_000_001);
}

#[test]
fn a_value_that_a_declared_column_cannot_hold_widens_it() {
    let options = RowOptions::new().with_columns([("at", ColumnType::Instant), ("n", ColumnType::Integer)]);
    let rows = [r#"{"at": "2024-01-31T12:00:00Z", "n": 1}"#, r#"{"at": "infinity", "n": 3000000000}"#];
    insta::assert_snapshot!(shown(&batches(options, &rows)), @r#"
    at Timestamp(µs, "+00:00"): 2024-01-31T12:00:00Z
    n Int32: 1
    --
    at Utf8: infinity
    n Int64: 3000000000
    "#);
}

#[test]
fn names_that_differ_by_case_alone_and_paths_that_meet_get_numbers() {
    let rows = [r#"{"Email": 1, "email": 2, "a.b": 3, "a": {"b": 4}, "": 5}"#];
    assert_eq!(table(&rows), "Email Int64: 1\nemail_2 Int64: 2\na.b Int64: 3\na.b_2 Int64: 4\n_ Int64: 5\n");
}

#[test]
fn a_filter_leaves_columns_out() {
    let options = RowOptions::new().with_filter(Arc::new(|name| !name.starts_with("p.") || name == "p.keep"));
    assert_eq!(
        shown(&batches(options, &[r#"{"a": 1, "p": {"keep": 2, "drop": {"x": 1}}}"#])),
        "a Int64: 1\np.keep Int64: 2\n"
    );
}

#[test]
fn rows_of_every_form_are_rows() {
    assert_eq!(table(&["1", "null", "2"]), "value Int64: 1, NULL, 2\n");
    let mut decoder = RowDecoder::new(RowOptions::new().with_names(["a", "b"]));
    for wrong in ["[1]", "[1, 2, 3]", "[]"] {
        let error = decoder.push(&Row::new(wrong)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation, "{wrong}");
    }
}

#[tokio::test]
async fn a_list_in_the_place_of_an_object_is_named_by_its_number_among_all_that_were_sent() {
    for wrong in ["[1]", "[]", "[[1], 2]"] {
        let text = format!("[{{\"a\": 1}}, null, null, {{\"a\": 2}}, {wrong}]");
        let page = Document::parse(text.into(), &super::super::RowPath::root()).unwrap();
        let decoded = RowDecoder::new(RowOptions::new()).decode_where(page, |_, row| row.as_str() != "null").await;
        assert_eq!(decoded.unwrap_err().message(), "row 5 is a list: expected an object", "{wrong}");
    }
}

#[test]
fn a_member_that_comes_twice_is_an_error_without_its_value() {
    let error = RowDecoder::new(RowOptions::new()).push(&Row::new(r#"{"a": "v1", "a": "v2"}"#)).unwrap_err();
    assert!(error.message().contains("row 1 has the member `a` more than once"), "{error:?}");
    assert!(!error.report().contains("v1"));
}

#[test]
fn rows_without_members_are_an_error_and_columns_without_values_are_text() {
    let mut decoder = RowDecoder::new(RowOptions::new());
    decoder.push(&Row::new("{}")).unwrap();
    assert!(decoder.take_batch().unwrap().is_none());
    assert!(decoder.finish().unwrap_err().message().contains("none of the 1 rows has a member"));
    assert_eq!(table(&[r#"{"a": null}"#, "{}"]), "a Utf8: NULL, NULL\n");
}

#[test]
fn a_column_that_gets_no_value_in_a_batch_is_not_in_it_but_in_the_end() {
    let mut decoder = RowDecoder::new(RowOptions::new());
    decoder.push(&Row::new(r#"{"a": 1, "b": null}"#)).unwrap();
    let first = decoder.take_batch().unwrap().unwrap();
    assert_eq!(shown(&[first]), "a Int64: 1\n");
    assert_eq!(shown(&drain(&mut decoder)), "a Int64: \nb Utf8: \n");
}

#[test]
fn batches_are_cut_by_their_bytes() {
    let mut decoder = RowDecoder::new(RowOptions::new().with_batch_bytes(1000));
    let text = "x".repeat(96);
    for id in 0..50 {
        decoder.push(&Row::new(&format!(r#"{{"id": {id}, "text": "{text}"}}"#))).unwrap();
    }
    let rows: Vec<_> = drain(&mut decoder).iter().map(RecordBatch::num_rows).collect();
    assert_eq!(rows, [10, 10, 10, 10, 10]);
}

#[test]
fn keys_that_few_rows_have_do_not_make_batches_of_null_without_end() {
    let mut decoder = RowDecoder::new(RowOptions::new().with_batch_bytes(1000));
    for id in 0..100 {
        decoder.push(&Row::new(&format!(r#"{{"key {id}": {id}}}"#))).unwrap();
    }
    let batches = drain(&mut decoder);
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 100);
    // 1000 bytes four times, and one row more.
    let most = 4 * 1000 / 8 + 100;
    assert!(batches.iter().all(|batch| batch.num_rows() * batch.num_columns() < most), "{batches:?}");
}

#[test]
fn half_a_surrogate_pair_is_replaced_and_counted_once() {
    let mut decoder = RowDecoder::new(RowOptions::new());
    decoder.push(&Row::new(r#"{"a": 1.5, "b": "x"}"#)).unwrap();
    decoder.push(&Row::new(r#"{"b": "\ud83d", "a": "widens"}"#)).unwrap();
    assert_eq!(decoder.altered(), 1);
}

#[tokio::test]
async fn a_document_is_decoded_on_another_thread_and_only_the_rows_to_keep() {
    let page = Document::parse("[{\"a\": 1}, {\"a\": 2}, {\"a\": 3}]".into(), &super::super::RowPath::root()).unwrap();
    let mut decoder = RowDecoder::new(RowOptions::new())
        .decode_where(page, |index, row| index != 1 && row.get("a").is_some())
        .await
        .unwrap();
    assert_eq!(shown(&drain(&mut decoder)), "a Int64: 1, 3\n");
    assert_eq!(decoder.rows(), 2);
}

/// A value as text that any column type keeps: numbers as they are written, the rest by what it means.
fn any_value() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::json;
    prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|v| json!(v)),
        any::<i64>().prop_map(|v| json!(v)),
        (-1000i64..1000).prop_map(|v| json!(v)),
        "[a-zé\"\\\\]{0,6}".prop_map(|v| json!(v)),
        Just(json!([1, {"x": null}])),
    ]
}

/// A value as its text, that is no string: numbers of every type and notation.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|int| int.to_string()),
        any::<i8>().prop_map(|int| int.to_string()),
        "-?[1-9][0-9]{0,3}[.][0-9]{1,4}",
        "-?0[.][0-9]{1,40}",
        "-?[1-9][0-9]{17,45}([.][0-9]{1,9})?",
        "-?[1-9]([.][0-9]{1,5})?[eE][+-]?[0-9]{1,2}",
        "(-0|[1-9][.]0|-?[1-9]e[0-9])",
        Just("true".to_owned()),
        Just(r#"[{"x": 1.0}]"#.to_owned()),
    ]
}

proptest! {
    /// What a value is in a column of JSON does not depend on what came before it or after it.
    #[test]
    fn a_value_that_becomes_json_keeps_the_text_that_it_was_sent_with(
        mut texts in prop::collection::vec(any_text(), 0..12),
        at in any::<prop::sample::Index>(),
        page in 0usize..6,
    ) {
        texts.insert(at.index(texts.len() + 1), "[1]".to_owned());
        let mut decoder = RowDecoder::new(RowOptions::new());
        let mut sent = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            decoder.push(&Row::new(&format!("{{\"a\": {text}}}"))).unwrap();
            if page > 0 && index % page == page - 1 {
                sent.extend(decoder.take_batch().unwrap());
            }
        }
        sent.extend(drain(&mut decoder));
        prop_assert!(page > 0 || sent.len() == 1, "{} batches", sent.len());
        let mut texts = texts.iter();
        for batch in &sent {
            let column = batch.column(0);
            for (row, text) in (0..column.len()).zip(&mut texts) {
                let found = arrow::util::display::array_value_to_string(column, row).unwrap();
                match column.data_type() {
                    DataType::Utf8 | DataType::Boolean => prop_assert_eq!(&found, text),
                    _ => prop_assert_eq!(found.parse::<f64>().unwrap(), text.parse::<f64>().unwrap()),
                }
            }
        }
        prop_assert_eq!(texts.next(), None);
    }
}

proptest! {
    /// Whatever the order of types in a column, and wherever the batches end, every row is there with its value.
    #[test]
    fn no_value_is_lost_or_changed(values in prop::collection::vec((any_value(), any_value()), 1..40), every in 1usize..9) {
        let mut decoder = RowDecoder::new(RowOptions::new());
        let mut all = Vec::new();
        for (index, (a, b)) in values.iter().enumerate() {
            let row = serde_json::json!({"a": a, "b": b, "i": index}).to_string();
            decoder.push(&Row::new(&row)).unwrap();
            if index % every == 0 {
                all.extend(decoder.take_batch().unwrap());
            }
        }
        all.extend(drain(&mut decoder));
        let mut row = 0;
        for batch in &all {
            for at in 0..batch.num_rows() {
                for (name, value) in [("a", &values[row].0), ("b", &values[row].1)] {
                    let found = batch.column_by_name(name).filter(|column| column.is_valid(at));
                    let found = found.map(|column| arrow::util::display::array_value_to_string(column, at).unwrap());
                    let json = batch.schema().field_with_name(name).is_ok_and(|field| !field.metadata().is_empty());
                    let is_text = batch.column_by_name(name).is_some_and(|column| *column.data_type() == DataType::Utf8);
                    prop_assert!(found.is_none() || json || is_text == value.is_string(), "{} of row {}", name, row);
                    let expected = match value {
                        serde_json::Value::Null => None,
                        serde_json::Value::String(text) if !json => Some(text.clone()),
                        other => Some(other.to_string()),
                    };
                    prop_assert_eq!(found, expected, "{} of row {}", name, row);
                }
                row += 1;
            }
        }
        prop_assert_eq!(row, values.len());
    }
}

#[test]
fn a_row_that_is_refused_adds_nothing() {
    let options = RowOptions::new().with_nested(Nested::Json).with_types([("n", ColumnType::BigInt)]);
    let mut decoder = RowDecoder::new(options);
    for (row, expected) in [
        (r#"{"n": 1, "a": "x"}"#, Ok(())),
        (r#"{"n": 2, "a": {"deep": [1]}, "new": 1, "a": 2}"#, Err("the key `a` occurs more than once")),
        (r#"{"a": null, "a": null}"#, Err("the key `a` occurs more than once")),
        (r#"{"n": "x", "other": 1}"#, Err("column `n`: the value is not BIGINT")),
        (r#"{"n": 1.5}"#, Err("column `n`: the value is not BIGINT")),
        (r#"{"n": 1.0, "a": "\u00e9"}"#, Ok(())),
        ("[1]", Err("expected an object, found a list")),
        ("null", Err("expected an object, found null")),
        ("{\"n\": 1", Err("the JSON is incomplete")),
        ("{\"n\": 1} 2", Err("not valid JSON at byte 9")),
        ("hello", Err("not valid JSON at byte 0")),
        ("{}", Ok(())),
    ] {
        let row = Row::new(row);
        let checked = decoder.check(&row).map_err(|fault| fault.to_string());
        assert_eq!(checked, expected.map_err(str::to_owned), "{row:?}");
        if checked.is_ok() {
            decoder.push(&row).unwrap();
        }
    }
    assert_eq!(decoder.columns(), ["n", "a"]);
    let batches = drain(&mut decoder);
    assert_eq!(batches.len(), 1);
    assert_eq!((batches[0].num_rows(), batches[0].column(1).data_type()), (3, &DataType::Utf8));
}

#[test]
fn keys_that_json_escapes_stay_apart() {
    let mut decoder = RowDecoder::new(RowOptions::new());
    for row in [r#"{"a\\n": 1}"#, r#"{"a\n": 2}"#, r#"{"a\\n": 3}"#] {
        decoder.push(&Row::new(row)).unwrap();
    }
    assert_eq!(decoder.columns(), ["a\\n", "a\n"]);
    assert!(decoder.push(&Row::new("{\"b\\\"c\": 1}")).is_ok() && decoder.push(&Row::new("{\"b\"c\": 1}")).is_err());
}

#[test]
fn types_that_json_has_no_values_for_are_known() {
    for (column_type, can) in
        [("DECIMAL(12,2)", true), ("DATE", true), ("JSON", true), ("UUID", false), ("UBIGINT", false)]
    {
        assert_eq!(RowDecoder::can_have(&ColumnType::parse(column_type)), can, "{column_type}");
    }
}

#[test]
fn columns_with_types_stand_where_the_rows_bring_them() {
    let types = [("day", ColumnType::Date), ("never", ColumnType::Integer)];
    let mut decoder = RowDecoder::new(RowOptions::new().with_types(types));
    decoder.set_constant("file", "a.jsonl");
    decoder.push(&Row::new(r#"{"id": 1, "day": "2024-01-31"}"#)).unwrap();
    decoder.set_constant("file", "b.jsonl");
    decoder.push(&Row::new(r#"{"late": 1.5, "day": null}"#)).unwrap();
    for key in ["file", "FILE"] {
        let taken = decoder.check(&Row::new(&format!(r#"{{"{key}": "x"}}"#))).unwrap_err();
        assert_eq!(taken.to_string(), format!("the key `{key}` is the name of an added column"));
        assert!(taken.is_about_constant());
        let broken = decoder.check(&Row::new(&format!(r#"{{"{key}": "x""#))).unwrap_err();
        assert!(!broken.is_about_constant(), "{broken}");
    }
    insta::assert_snapshot!(shown(&drain(&mut decoder)), @"
    id Int64: 1, NULL
    day Date32: 2024-01-31, NULL
    file Utf8: a.jsonl, b.jsonl
    late Float64: NULL, 1.5
    never Int32: NULL, NULL
    ");
}

//! Whatever the writer writes, the extractor reads back.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::datatypes::DataType;
use osiris_testkit::{InputTable, Rows};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::json;

use crate::database::Database;

const MICROS: std::ops::Range<i64> = -62_167_219_200_000_000..253_402_300_800_000_000;

fn column<A: arrow::array::Array + 'static>(array: A) -> ArrayRef {
    Arc::new(array)
}

/// A column of any type, by its name.
fn columns(rows: usize) -> impl Strategy<Value = Vec<(&'static str, ArrayRef)>> {
    let decimal = |digits: u32, precision, scale| {
        let limit = 10_i128.pow(digits) - 1;
        vec(of(-limit..=limit), rows).prop_map(move |values| {
            let array = Decimal128Array::from(values).with_data_type(DataType::Decimal128(precision, scale));
            column(array)
        })
    };
    let text = of("[a-z0-9 .'\"ů\u{1F980}-]{0,12}");
    let float =
        of(any::<f64>().prop_filter("SQLite has neither", |value| !value.is_nan() && value.to_bits() != 1 << 63));
    (
        vec(of(any::<i64>()), rows).prop_map(|values| column(Int64Array::from(values))),
        vec(float, rows).prop_map(|values| column(Float64Array::from(values))),
        decimal(12, 12, 2),
        decimal(38, 38, 9),
        vec(text, rows).prop_map(|values| column(StringArray::from(values))),
        vec(of(vec(any::<u8>(), 0..9)), rows).prop_map(|values| column(values.into_iter().collect::<BinaryArray>())),
        vec(of(any::<bool>()), rows).prop_map(|values| column(BooleanArray::from(values))),
        vec(of(-719_528..2_932_897), rows).prop_map(|values| column(Date32Array::from(values))),
        vec(of(0..86_400_000_000_i64), rows).prop_map(|values| column(Time64MicrosecondArray::from(values))),
        vec(of(MICROS), rows).prop_map(|values| column(TimestampMicrosecondArray::from(values))),
        vec(of(MICROS), rows)
            .prop_map(|values| column(TimestampMicrosecondArray::from(values).with_timezone("+00:00"))),
    )
        .prop_map(|(i, f, d, x, s, b, t, day, clock, at, z)| {
            let names = ["i", "f", "d", "x", "s", "b", "t", "day", "clock", "at", "z"];
            names.into_iter().zip([i, f, d, x, s, b, t, day, clock, at, z]).collect()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_and_types_survive(columns in (1..40_usize).prop_flat_map(columns)) {
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
        let batch = batch.unwrap();
        let expected = Rows::from_batches(std::slice::from_ref(&batch)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let database = Database::new("").await;
            let config = json!({"table": "t", "create_if_missing": true, "batch_size": 7});
            let written = database.write(config, InputTable::Batches(vec![batch])).await;
            written.unwrap_or_else(|failure| panic!("{}", failure.error.report()));
            let read = database.read(json!({"table": "t"})).await.unwrap_or_else(|failure| panic!("{}", failure.error.report()));
            let table = read.table.unwrap();
            let types: Vec<String> = table.schema().columns().iter().map(|column| column.column_type.to_string()).collect();
            assert_eq!(
                types.join(" "),
                "BIGINT DOUBLE DECIMAL(12,2) DECIMAL(38,9) VARCHAR BLOB BOOLEAN DATE TIME TIMESTAMP INSTANT"
            );
            let found = database.bench.rows(&table).await.unwrap();
            assert_eq!(expected.difference(&found), None);
        });
    }
}

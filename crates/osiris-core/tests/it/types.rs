//! What goes into the store comes out again: for every Arrow type a driver may send, with random values.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::*;
use osiris_core::store::DirectEdge;
use osiris_core::{Column, ColumnType, Store, TableSchema};
use proptest::prelude::*;

use crate::{batch, memory_store, read};

/// Sends one column and reads it back: through a table, and straight, which must come to the same.
fn round_trip(array: ArrayRef) -> osiris_core::Result<ArrayRef> {
    round_trip_field(Field::new("v", array.data_type().clone(), true), array)
}

fn round_trip_field(field: Field, array: ArrayRef) -> osiris_core::Result<ArrayRef> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (store, _directory) = memory_store();
        let data = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array]).unwrap();
        let stored = through_a_table(&store, data.clone()).await;
        let passed = over_an_edge(&store, data).await;
        match (&stored, &passed) {
            (Ok(stored), Ok(passed)) => assert_eq!((stored, stored.data_type()), (passed, passed.data_type())),
            (Err(_), Err(_)) => {}
            _ => panic!("through a table: {stored:?}, straight: {passed:?}"),
        }
        stored
    })
}

async fn through_a_table(store: &Store, data: RecordBatch) -> osiris_core::Result<ArrayRef> {
    let sink = store.sink("s").await?;
    sink.sender(data.schema()).await?.send(data).await?;
    let table = sink.finish().await?;
    Ok(column(&table, &read(store, &table).await))
}

async fn over_an_edge(store: &Store, data: RecordBatch) -> osiris_core::Result<ArrayRef> {
    let (edge, mut tables) = DirectEdge::new("receiver");
    let sink = store.direct_sink(edge, "s");
    let giving = async move {
        sink.sender(data.schema()).await?.send(data).await?;
        sink.finish().await.map(drop)
    };
    let taking = async move {
        let Some(table) = tables.next().await else { return Err(osiris_core::Error::unknown("no table")) };
        let mut scan = store.scan(&table).open().await?;
        let mut batches = Vec::new();
        while let Some(batch) = scan.next().await? {
            batches.push(batch);
        }
        Ok(column(&table, &batches))
    };
    let (given, taken) = tokio::join!(giving, taking);
    given.and(taken)
}

fn column(table: &osiris_core::TableRef, batches: &[RecordBatch]) -> ArrayRef {
    arrow::compute::concat_batches(&table.schema().arrow(), batches).unwrap().column(0).clone()
}

/// The same values come back in the same Arrow type.
fn assert_same(array: impl Array + 'static) {
    let array: ArrayRef = Arc::new(array);
    let back = round_trip(array.clone()).unwrap();
    assert_eq!(back.data_type(), array.data_type());
    assert_eq!(&back, &array);
}

macro_rules! primitives {
    ($($name:ident: $array:ty, $value:ty;)*) => { proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        $(#[test]
        fn $name(values in prop::collection::vec(any::<Option<$value>>(), 1..50)) {
            assert_same(<$array>::from(values));
        })*
    } };
}

primitives! {
    booleans: BooleanArray, bool;
    tiny_integers: Int8Array, i8;
    small_integers: Int16Array, i16;
    integers: Int32Array, i32;
    big_integers: Int64Array, i64;
    unsigned_tiny_integers: UInt8Array, u8;
    unsigned_small_integers: UInt16Array, u16;
    unsigned_integers: UInt32Array, u32;
    unsigned_big_integers: UInt64Array, u64;
    texts: StringArray, String;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn floats_keep_every_bit(values in prop::collection::vec(any::<Option<u64>>(), 1..50)) {
        let array: Float64Array = values.iter().map(|bits| bits.map(f64::from_bits)).collect();
        let back = round_trip(Arc::new(array.clone())).unwrap();
        let back = back.as_primitive::<Float64Type>();
        for (sent, got) in array.iter().zip(back) {
            let same = match (sent, got) {
                (Some(a), Some(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
                (a, b) => a == b,
            };
            prop_assert!(same);
        }
    }

    #[test]
    fn bytes(values in prop::collection::vec(any::<Option<Vec<u8>>>(), 1..50)) {
        assert_same(BinaryArray::from_iter(values));
    }

    #[test]
    fn decimals_of_full_width(values in prop::collection::vec(prop::option::of(-99999999999999999999999999999999999999i128..=99999999999999999999999999999999999999), 1..30), scale in 0i8..=38) {
        assert_same(Decimal128Array::from(values).with_precision_and_scale(38, scale).unwrap());
    }

    #[test]
    fn dates(values in prop::collection::vec(prop::option::of(-2_000_000i32..2_900_000), 1..50)) {
        assert_same(Date32Array::from(values));
    }

    #[test]
    fn times(values in prop::collection::vec(prop::option::of(0i64..86_400_000_000), 1..50)) {
        assert_same(Time64MicrosecondArray::from(values));
    }

    #[test]
    fn timestamps_with_and_without_zone(values in prop::collection::vec(prop::option::of(-200_000_000_000_000_000i64..250_000_000_000_000_000), 1..50)) {
        assert_same(TimestampMicrosecondArray::from(values.clone()));
        assert_same(TimestampMicrosecondArray::from(values).with_timezone("+00:00"));
    }

    #[test]
    fn nanosecond_timestamps(values in prop::collection::vec(prop::option::of(-9_000_000_000_000_000_000i64..9_000_000_000_000_000_000), 1..50)) {
        assert_same(TimestampNanosecondArray::from(values));
    }

    #[test]
    fn intervals_and_their_nulls(values in prop::collection::vec(prop::option::of((-9999i32..9999, -9999i32..9999, -9_000_000_000_000i64..9_000_000_000_000)), 1..50)) {
        let values: IntervalMonthDayNanoArray = values.into_iter()
            .map(|value| value.map(|(m, d, us)| IntervalMonthDayNano::new(m, d, us * 1000))).collect();
        assert_same(values);
    }

    #[test]
    fn lists_of_lists(values in prop::collection::vec(prop::option::of(prop::collection::vec(prop::option::of(any::<Vec<Option<i64>>>()), 0..4)), 1..20)) {
        let mut builder = ListBuilder::new(ListBuilder::new(Int64Builder::new()).with_field(Field::new("l", DataType::Int64, true)))
            .with_field(Field::new("l", DataType::new_list(DataType::Int64, true), true));
        let inner = Field::new("l", DataType::Int64, true);
        let outer = Field::new("l", DataType::List(Arc::new(inner.clone())), true);
        let mut builder2 = ListBuilder::new(ListBuilder::new(Int64Builder::new()).with_field(inner)).with_field(outer);
        std::mem::swap(&mut builder, &mut builder2);
        for value in values {
            match value {
                None => builder.append_null(),
                Some(lists) => {
                    for list in lists {
                        match list {
                            None => builder.values().append_null(),
                            Some(items) => builder.values().append_value(items),
                        }
                    }
                    builder.append(true);
                }
            }
        }
        assert_same(builder.finish());
    }

    #[test]
    fn structs_of_everything(values in prop::collection::vec(any::<(Option<i32>, Option<String>, bool)>(), 1..30)) {
        let fields = Fields::from(vec![Field::new("a b", DataType::Int32, true), Field::new("\"", DataType::Utf8, true)]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(values.iter().map(|v| v.0).collect::<Int32Array>()),
            Arc::new(values.iter().map(|v| v.1.clone()).collect::<StringArray>()),
        ];
        let nulls = arrow::buffer::NullBuffer::from(values.iter().map(|v| v.2).collect::<Vec<_>>());
        let array = StructArray::new(fields, columns, Some(nulls));
        let back = round_trip(Arc::new(array.clone())).unwrap();
        let back = back.as_struct();
        for row in 0..array.len() {
            prop_assert_eq!(array.is_null(row), back.is_null(row));
            if array.is_valid(row) {
                prop_assert_eq!(array.slice(row, 1).column(0).to_data(), back.slice(row, 1).column(0).to_data());
                prop_assert_eq!(array.slice(row, 1).column(1).to_data(), back.slice(row, 1).column(1).to_data());
            }
        }
    }

    #[test]
    fn maps(values in prop::collection::vec(prop::option::of(prop::collection::btree_map("[a-z]{1,3}", any::<Option<i64>>(), 0..4)), 1..20)) {
        let names = MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
        let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), Int64Builder::new());
        for value in values {
            for (key, item) in value.iter().flatten() {
                builder.keys().append_value(key);
                builder.values().append_option(*item);
            }
            builder.append(value.is_some()).unwrap();
        }
        assert_same(builder.finish());
    }
}

#[test]
fn empty_text_is_not_null_and_nan_is_a_value() {
    assert_same(StringArray::from(vec![Some(""), None, Some("ů\u{10FFFF}")]));
    let back =
        round_trip(Arc::new(Float64Array::from(vec![Some(f64::NAN), None, Some(f64::INFINITY), Some(-0.0)]))).unwrap();
    let back = back.as_primitive::<Float64Type>();
    assert!(
        back.value(0).is_nan() && back.is_null(1) && back.value(2).is_infinite() && back.value(3).is_sign_negative()
    );
}

fn extension(name: &str) -> std::collections::HashMap<String, String> {
    [("ARROW:extension:name".to_owned(), name.to_owned())].into()
}

#[test]
fn json_and_uuids_keep_their_type() {
    let field = Field::new("v", DataType::Utf8, true).with_metadata(extension("arrow.json"));
    let back = round_trip_field(field, Arc::new(StringArray::from(vec![Some(r#"{"a": [1, null]}"#), None]))).unwrap();
    assert_eq!(back.as_string::<i32>().value(0), r#"{"a": [1, null]}"#);
    let field = Field::new("v", DataType::FixedSizeBinary(16), true).with_metadata(extension("arrow.uuid"));
    let uuids =
        FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some([0xabu8; 16]), None].into_iter(), 16).unwrap();
    let back = round_trip_field(field, Arc::new(uuids)).unwrap();
    assert_eq!(back.as_string::<i32>().value(0), "abababab-abab-abab-abab-abababababab");
}

#[test]
fn types_without_a_counterpart_of_their_own_become_one_that_holds_them_exactly() {
    let cases: Vec<(ArrayRef, DataType)> = vec![
        (Arc::new(NullArray::new(2)), DataType::Utf8),
        (Arc::new(LargeStringArray::from(vec!["a"])), DataType::Utf8),
        (Arc::new(StringViewArray::from(vec!["a"])), DataType::Utf8),
        (Arc::new(BinaryViewArray::from(vec![b"a".as_slice()])), DataType::Binary),
        (Arc::new(DictionaryArray::<Int8Type>::from_iter([Some("a"), None])), DataType::Utf8),
        (
            Arc::new(Decimal256Array::from(vec![i256::from(7)]).with_precision_and_scale(38, 2).unwrap()),
            DataType::Decimal128(38, 2),
        ),
        (Arc::new(Decimal128Array::from(vec![7]).with_precision_and_scale(5, -3).unwrap()), DataType::Decimal128(8, 0)),
        (Arc::new(Decimal32Array::from(vec![7]).with_precision_and_scale(5, 1).unwrap()), DataType::Decimal128(5, 1)),
        (Arc::new(Float16Array::from(vec![half::f16::from_f32(0.5)])), DataType::Float32),
        (Arc::new(Time32SecondArray::from(vec![3])), DataType::Time64(TimeUnit::Microsecond)),
        (Arc::new(TimestampSecondArray::from(vec![3])), DataType::Timestamp(TimeUnit::Microsecond, None)),
        (
            Arc::new(TimestampNanosecondArray::from(vec![3000]).with_timezone("+01:00")),
            DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        ),
        (
            Arc::new(DurationMillisecondArray::from(vec![Some(1500), None])),
            DataType::Interval(IntervalUnit::MonthDayNano),
        ),
        (Arc::new(IntervalYearMonthArray::from(vec![14])), DataType::Interval(IntervalUnit::MonthDayNano)),
    ];
    for (array, expected) in cases {
        let sent = array.data_type().clone();
        let back = round_trip(array.clone()).unwrap_or_else(|error| panic!("{sent}: {error:?}"));
        assert_eq!(back.data_type(), &expected, "{sent}");
        assert_eq!(back.null_count(), array.logical_null_count(), "{sent}");
    }
}

#[test]
fn what_cannot_be_held_exactly_is_an_error_and_not_a_rounding() {
    let cases: Vec<ArrayRef> = vec![
        Arc::new(TimestampNanosecondArray::from(vec![1]).with_timezone("UTC")),
        Arc::new(Time64NanosecondArray::from(vec![1])),
        Arc::new(DurationNanosecondArray::from(vec![1])),
        Arc::new(Date64Array::from(vec![1])),
        Arc::new(TimestampSecondArray::from(vec![i64::MAX])),
        Arc::new(Decimal256Array::from(vec![i256::from(7)]).with_precision_and_scale(50, 2).unwrap()),
    ];
    for array in cases {
        let error =
            round_trip(array.clone()).err().unwrap_or_else(|| panic!("{} must not be stored", array.data_type()));
        assert!(error.message().contains("`v`"), "the column is named: {error:?}");
    }
}

#[test]
fn huge_integers_made_by_sql_are_read_exactly_or_not_at_all() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (store, _directory) = memory_store();
        for (value, fits) in
            [("99999999999999999999999999999999999999", true), ("170141183460469231731687303715884105727", false)]
        {
            let sink = store.sink("s").await.unwrap();
            let sql = format!("SELECT {value}::HUGEINT AS v");
            sink.call(move |tx| tx.create_table_as(&sql, &|_| false)).await.unwrap();
            let table = sink.finish().await.unwrap();
            let read = store.scan(&table).open().await.unwrap().next().await;
            assert_eq!(read.is_ok(), fits, "{value}");
            if let Ok(Some(batch)) = read {
                assert_eq!(batch.column(0).as_primitive::<Decimal128Type>().value_as_string(0), value);
            }
        }
    });
}

#[test]
fn types_that_only_duckdb_has_are_read_as_text() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (store, _directory) = memory_store();
        let sink = store.sink("s").await.unwrap();
        let sql = "SELECT '101'::BIT AS bits, 'a'::ENUM('a', 'b') AS choice, '12:00:00+02'::TIMETZ AS zoned, NULL AS nothing, \
                   union_value(n := 5) AS either, {'x': '10'::BIT, 'y': [uuid()]} AS nested, '2024-01-01'::TIMESTAMP_S AS seconds";
        sink.call(move |tx| tx.create_table_as(sql, &|_| false)).await.unwrap();
        let table = sink.finish().await.unwrap();
        let batch = store.scan(&table).open().await.unwrap().next().await.unwrap().unwrap();
        assert_eq!(batch.column(0).as_string::<i32>().value(0), "101");
        assert_eq!(batch.column(1).as_string::<i32>().value(0), "a");
        assert_eq!(batch.column(2).as_string::<i32>().value(0), "12:00:00+02");
        assert_eq!(batch.column(4).as_string::<i32>().value(0), "5");
        assert_eq!(batch.column(6).data_type(), &DataType::Timestamp(TimeUnit::Microsecond, None));
    });
}

#[test]
fn a_batch_helper_makes_one_column() {
    assert_eq!(batch(Int64Array::from(vec![1])).num_columns(), 1);
}

/// Of types that Arrow does not have, or that a scan changes.
#[test]
fn what_is_carried_as_text_arrives_as_what_it_is_through_a_table_and_straight() {
    let types = ["HUGEINT", "BIT", "UUID", "INTERVAL", "ENUM('a', 'b')", "BIGNUM", "HUGEINT[]", "INSTANT"];
    let columns =
        types.iter().enumerate().map(|(index, name)| Column::new(format!("c{index}"), ColumnType::parse(name)));
    let columns = TableSchema::new(columns.collect()).unwrap();
    let values = [
        "-170141183460469231731687303715884105728",
        "0101",
        "abcdef00-0000-0000-0000-000000000001",
        "1 month -2 days 03:04:05.000006",
        "b",
        "123456789012345678901234567890123456789012345678",
    ];
    let texts = values.map(|value| Arc::new(StringArray::from(vec![Some(value), None])) as ArrayRef);
    let mut list = ListBuilder::new(StringBuilder::new()).with_field(Field::new("l", DataType::Utf8, true));
    list.append_value([Some("170141183460469231731687303715884105727"), None]);
    list.append_null();
    let instants = TimestampMicrosecondArray::from(vec![Some(-1), None]).with_timezone("+00:00");
    let lists = [Arc::new(list.finish()) as ArrayRef, Arc::new(instants) as ArrayRef];
    let data = RecordBatch::try_new(columns.carried().arrow(), texts.into_iter().chain(lists).collect()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (store, _directory) = memory_store();
        let sink = store.sink("s").await.unwrap();
        sink.carrying_sender(columns.clone()).await.unwrap().send(data.clone()).await.unwrap();
        let table = sink.finish().await.unwrap();
        assert_eq!(table.schema(), &columns);
        let mut scan = store.scan(&table).carried().open().await.unwrap();
        assert_eq!(scan.next().await.unwrap(), Some(data.clone()));
        let (edge, mut tables) = DirectEdge::new("receiver");
        let sink = store.direct_sink(edge, "straight");
        let (schema, sent) = (columns.clone(), data.clone());
        let giving = async move {
            sink.carrying_sender(schema).await?.send(sent).await?;
            sink.finish().await.map(drop)
        };
        let taking = async {
            let table = tables.next().await.unwrap();
            assert_eq!(table.schema(), &columns);
            let mut scan = store.scan(&table).carried().open().await.unwrap();
            assert_eq!(scan.next().await.unwrap(), Some(data));
            assert_eq!(scan.next().await.unwrap(), None);
        };
        let (given, ()) = tokio::join!(giving, taking);
        given.unwrap();
    });
}

use arrow::array::{Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit};
use osiris_core::{ColumnType, Store, StoreKind, StoreOptions};

use crate::{batch, read};

fn store_started(at: &str) -> (Store, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions::new(StoreKind::Memory, directory.path()).with_start(at.parse().unwrap());
    (Store::open(&options).unwrap(), directory)
}

async fn text(store: &Store, sql: &'static str) -> String {
    store
        .call(move |connection| {
            let query = format!("SELECT ({sql})::VARCHAR");
            connection
                .query_row(&query, [], |row| row.get(0))
                .map_err(|error| osiris_core::store::store_error(error, sql))
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn the_clock_of_sql_is_the_start_of_the_run() {
    let (store, _directory) = store_started("2024-02-29T23:30:00.123456Z");
    for sql in ["now()", "current_timestamp", "get_current_timestamp()"] {
        assert_eq!(text(&store, sql).await, "2024-02-29 23:30:00.123456", "{sql}");
    }
    for sql in ["today()", "current_date", "now()::DATE"] {
        assert_eq!(text(&store, sql).await, "2024-02-29", "{sql}");
    }
}

#[tokio::test]
async fn instants_are_computed_with_and_come_back_as_instants() {
    let (store, _directory) = store_started("2024-01-01T00:00:00Z");
    let sink = store.sink("events").await.unwrap();
    let data = batch(TimestampMicrosecondArray::from(vec![Some(1_700_000_000_123_456), None]).with_timezone("+02:00"));
    sink.sender(data.schema()).await.unwrap().send(data).await.unwrap();
    let table = sink.finish().await.unwrap();
    assert_eq!(table.schema().columns()[0].column_type, ColumnType::Instant);
    for (sql, expected) in [
        ("SELECT date_trunc('day', v) FROM steps.events LIMIT 1", "2023-11-14 00:00:00"),
        ("SELECT extract(hour FROM v) FROM steps.events LIMIT 1", "22"),
        ("SELECT v::DATE FROM steps.events LIMIT 1", "2023-11-14"),
        ("SELECT v + INTERVAL 1 DAY FROM steps.events LIMIT 1", "2023-11-15 22:13:20.123456"),
        ("SELECT now() - v FROM steps.events LIMIT 1", "47 days 01:46:39.876544"),
        ("SELECT v < now() FROM steps.events LIMIT 1", "true"),
    ] {
        assert_eq!(text(&store, sql).await, expected, "{sql}");
    }
    let batches = read(&store, &table).await;
    assert_eq!(
        batches[0].schema().field(0).data_type(),
        &DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))
    );
}

#[tokio::test]
async fn what_sql_makes_with_a_zone_becomes_an_instant() {
    let (store, _directory) = store_started("2024-01-01T00:00:00Z");
    let sink = store.sink("made").await.unwrap();
    sink.call(|tx| {
        tx.create_table_as(
            "SELECT '2024-06-01 12:00:00+02'::TIMESTAMPTZ AS zoned, TIMESTAMP '2024-06-01 12:00:00' AS plain, \
             TIMESTAMP '2024-06-01 10:00:00' AS marked",
            &|column| column.name == "marked",
        )
    })
    .await
    .unwrap();
    let table = sink.finish().await.unwrap();
    let types: Vec<_> = table.schema().columns().iter().map(|column| column.column_type.clone()).collect();
    assert_eq!(types, [ColumnType::Instant, ColumnType::Timestamp, ColumnType::Instant]);
    assert_eq!(text(&store, "SELECT zoned FROM steps.made").await, "2024-06-01 10:00:00");
}

#[tokio::test]
async fn an_instant_that_becomes_text_says_that_it_is_utc() {
    let (store, _directory) = store_started("2024-01-01T00:00:00Z");
    let sink = store.sink("mixed").await.unwrap();
    let sender = sink.widening_sender().unwrap();
    sender.send(batch(TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC"))).await.unwrap();
    sender.send(batch(StringArray::from(vec!["soon"]))).await.unwrap();
    sender.send(batch(TimestampMicrosecondArray::from(vec![1_500_000]).with_timezone("UTC"))).await.unwrap();
    let table = sink.finish().await.unwrap();
    let batches = read(&store, &table).await;
    let values: Vec<&str> = batches
        .iter()
        .flat_map(|b| b.column(0).as_any().downcast_ref::<StringArray>().unwrap().iter().flatten())
        .collect();
    assert_eq!(values, ["1970-01-01 00:00:00+00", "soon", "1970-01-01 00:00:01.500+00"]);
}

#[tokio::test]
async fn instants_beyond_every_calendar_come_back_as_they_were() {
    let (store, _directory) = store_started("2024-01-01T00:00:00Z");
    let sink = store.sink("events").await.unwrap();
    // The infinities of the store, and the last and first moments it has.
    let values =
        vec![Some(i64::MAX), Some(-i64::MAX), Some(9_223_372_036_854_775_000), Some(-9_000_000_000_000_000_000), None];
    let data = batch(TimestampMicrosecondArray::from(values.clone()).with_timezone("+00:00"));
    sink.sender(data.schema()).await.unwrap().send(data).await.unwrap();
    let table = sink.finish().await.unwrap();
    assert_eq!(text(&store, "SELECT list(v::VARCHAR)[1:2] FROM steps.events").await, "[infinity, -infinity]");
    let batches = read(&store, &table).await;
    let array: &TimestampMicrosecondArray = batches[0].column(0).as_any().downcast_ref().unwrap();
    assert_eq!(array.iter().collect::<Vec<_>>(), values);
    assert_eq!(array.timezone(), Some("+00:00"));
}

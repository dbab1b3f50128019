//! Direct edges: rows from one step to another without a table, complete or not at all, with little memory.

use std::time::Duration;

use arrow::array::{AsArray as _, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use osiris_core::store::{DirectEdge, StreamReceiver};
use osiris_core::{ErrorKind, Store, StoreKind, StoreOptions, TableRef, TableSink};

use crate::{batch, memory_store};

fn edge(store: &Store) -> (TableSink, StreamReceiver) {
    let (edge, tables) = DirectEdge::new("writer");
    (store.direct_sink(edge, "source"), tables)
}

fn numbers(range: std::ops::Range<i64>) -> RecordBatch {
    batch(Int64Array::from_iter_values(range))
}

/// Reads the only column.
async fn values(store: &Store, table: &TableRef) -> osiris_core::Result<Vec<i64>> {
    let mut scan = store.scan(table).open().await?;
    let mut values = Vec::new();
    while let Some(batch) = scan.next().await? {
        values.extend(batch.column(0).as_primitive::<Int64Type>().values());
    }
    Ok(values)
}

#[tokio::test]
async fn rows_pass_in_order_and_are_counted_on_both_sides() {
    let (store, _directory) = memory_store();
    let (sink, mut tables) = edge(&store);
    let giving = async {
        let sender = sink.sender(numbers(0..0).schema()).await.unwrap();
        for range in [0..5000, 5000..5001, 5001..5001, 5001..20_000] {
            sender.send(numbers(range)).await.unwrap();
        }
        assert_eq!(sink.rows().await.unwrap(), 20_000);
        let table = sink.finish().await.unwrap();
        assert_eq!((table.step(), table.rows()), ("source", 20_000));
        let late = sender.send(numbers(0..1)).await.unwrap_err();
        assert!(late.message().contains("finished"), "{late:?}");
    };
    let taking = async {
        let table = tables.next().await.unwrap();
        assert!(table.is_arriving());
        assert_eq!((table.step(), table.expected_rows()), ("source", None));
        assert_eq!(values(&store, &table).await.unwrap(), (0..20_000).collect::<Vec<_>>());
        assert_eq!(table.rows(), 20_000);
    };
    tokio::join!(giving, taking);
    assert_eq!(store.table("source").await.unwrap(), None);
    assert!(tables.next().await.is_none());
}

#[tokio::test]
async fn a_source_without_rows_still_has_columns() {
    let (store, _directory) = memory_store();
    let (sink, mut tables) = edge(&store);
    sink.sender(numbers(0..0).schema()).await.unwrap();
    let table = tables.next().await.unwrap();
    let (finished, read) = tokio::join!(sink.finish(), values(&store, &table));
    assert_eq!((finished.unwrap().rows(), read.unwrap().len()), (0, 0));
}

#[tokio::test]
async fn a_column_that_a_batch_lacks_is_null() {
    let (store, _directory) = memory_store();
    let (sink, mut tables) = edge(&store);
    let both = RecordBatch::try_from_iter_with_nullable([
        ("v", std::sync::Arc::new(Int64Array::from(vec![1])) as _, true),
        ("w", std::sync::Arc::new(StringArray::from(vec!["a"])) as _, true),
    ]);
    let both = both.unwrap();
    let sender = sink.sender(both.schema()).await.unwrap();
    sender.send(both).await.unwrap();
    sender.send(numbers(2..3)).await.unwrap();
    let table = tables.next().await.unwrap();
    let sql = format!("SELECT string_agg(concat(v, coalesce(w, '-')), ',') FROM {}", table.sql());
    let query = store.call_over(&table, move |connection| {
        Ok(connection.query_row(&sql, [], |row| row.get::<_, String>(0)).unwrap())
    });
    let (finished, read) = tokio::join!(sink.finish(), query);
    assert_eq!((finished.unwrap().rows(), read.unwrap().as_str()), (2, "1a,2-"));
}

#[tokio::test]
async fn rows_that_break_off_are_no_end() {
    let (store, _directory) = memory_store();
    let (sink, mut tables) = edge(&store);
    let sender = sink.sender(numbers(0..0).schema()).await.unwrap();
    sender.send(numbers(0..10_000)).await.unwrap();
    let table = tables.next().await.unwrap();
    // A sender that is still around does not keep the receiver waiting.
    drop(sink);
    let error = values(&store, &table).await.unwrap_err();
    assert!(error.to_string().contains("step `source`, which sends its rows, did not finish"), "{error}");
    assert!(sender.send(numbers(0..1)).await.is_err());
}

#[tokio::test]
async fn a_taker_that_is_gone_stops_the_source() {
    let (store, _directory) = memory_store();
    let (sink, mut tables) = edge(&store);
    let sender = sink.sender(numbers(0..0).schema()).await.unwrap();
    let table = tables.next().await.unwrap();
    let sql = format!("SELECT error(v::VARCHAR) FROM {}", table.sql());
    let failing = store.call_over(&table, move |connection| Ok(connection.execute_batch(&sql).is_err()));
    let giving = async {
        loop {
            if let Err(error) = sender.send(numbers(0..10_000)).await {
                return error;
            }
        }
    };
    let (failed, error) = tokio::join!(failing, giving);
    assert!(failed.unwrap());
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(error.message().contains("step `writer`, which receives its rows, did not finish"), "{error}");
    assert_eq!(sink.rows().await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(sink.finish().await.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[tokio::test]
async fn a_table_that_nobody_reads_stops_the_source() {
    let (store, _directory) = memory_store();
    let (sink, mut tables) = edge(&store);
    let sender = sink.sender(numbers(0..0).schema()).await.unwrap();
    drop(tables.next().await.unwrap());
    assert_eq!(sender.send(numbers(0..1)).await.unwrap_err().kind(), ErrorKind::Cancelled);
    drop(tables);
    let (edge, tables) = DirectEdge::new("writer");
    drop(tables);
    let error = store.direct_sink(edge, "source").sender(numbers(0..0).schema()).await.err().unwrap();
    assert!(error.message().contains("`writer`"), "{error}");
}

/// For what must not wait for anybody.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(5), work).await.unwrap()
}

/// Checks that the sender of rows that nobody reads is told so, and that no thread is left.
async fn assert_stopped(store: &Store, sink: TableSink) {
    assert_eq!(soon(sink.rows()).await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(soon(sink.finish()).await.unwrap_err().kind(), ErrorKind::Cancelled);
    soon(store.settle()).await;
}

#[tokio::test]
async fn a_scan_that_is_dropped_before_the_first_rows_stops_the_source_and_ends() {
    let (store, _directory) = memory_store();
    let (sink, mut tables) = edge(&store);
    sink.sender(numbers(0..0).schema()).await.unwrap();
    let table = tables.next().await.unwrap();
    let scan = store.scan(&table).open().await.unwrap();
    drop((scan, table));
    assert_stopped(&store, sink).await;
}

#[tokio::test]
async fn a_statement_that_is_dropped_before_the_first_rows_stops_the_source_and_does_not_begin() {
    let (store, _directory) = memory_store();
    let (sink, mut tables) = edge(&store);
    sink.sender(numbers(0..0).schema()).await.unwrap();
    let table = tables.next().await.unwrap();
    let (begun, has_begun) = std::sync::mpsc::channel();
    let waiting = store.call_over(&table, move |_| Ok(begun.send(()).is_ok()));
    assert!(tokio::time::timeout(Duration::from_millis(50), waiting).await.is_err());
    drop(table);
    assert_stopped(&store, sink).await;
    assert!(has_begun.try_recv().is_err());
}

#[tokio::test]
async fn a_source_that_stops_before_its_first_rows_keeps_nobody_waiting() {
    let (store, _directory) = memory_store();
    let (sink, mut tables) = edge(&store);
    sink.sender(numbers(0..0).schema()).await.unwrap();
    let table = tables.next().await.unwrap();
    let sql = format!("FROM {}", table.sql());
    let statement = store.call_over(&table, move |connection| Ok(connection.execute_batch(&sql).is_err()));
    let (has_failed, ()) = tokio::join!(soon(statement), async { drop(sink) });
    assert!(has_failed.unwrap());
    soon(store.settle()).await;
}

#[tokio::test]
async fn rows_pass_once() {
    let (store, _directory) = memory_store();
    let (sink, mut tables) = edge(&store);
    sink.sender(numbers(0..0).schema()).await.unwrap().send(numbers(0..3)).await.unwrap();
    let table = tables.next().await.unwrap();
    let (finished, read) = tokio::join!(sink.finish(), values(&store, &table));
    assert_eq!((finished.unwrap().rows(), read.unwrap().len()), (3, 3));
    let again = values(&store, &table).await.unwrap_err();
    assert!(again.to_string().contains("was already read"), "{again}");
}

#[tokio::test]
async fn a_source_waits_while_too_many_bytes_are_on_their_way() {
    let directory = tempfile::tempdir().unwrap();
    // An eighth of it: 4 MiB.
    let options = StoreOptions::new(StoreKind::Memory, directory.path()).with_memory_limit(32 << 20);
    let store = Store::open(&options).unwrap();
    let (sink, mut tables) = edge(&store);
    let mebibyte = batch(Int64Array::from(vec![7; 1 << 17]));
    let sender = sink.sender(mebibyte.schema()).await.unwrap();
    let mut sent = 0;
    while tokio::time::timeout(Duration::from_millis(300), sender.send(mebibyte.clone())).await.is_ok() {
        sent += 1;
    }
    assert!((3..=4).contains(&sent), "{sent} MiB went ahead");
    let table = tables.next().await.unwrap();
    let (finished, read) = tokio::join!(sink.finish(), values(&store, &table));
    assert_eq!((finished.unwrap().rows(), read.unwrap().len() as u64), (sent * (1 << 17), sent * (1 << 17)));
}

#[tokio::test]
async fn what_needs_a_table_is_refused_and_says_why() {
    let (store, _directory) = memory_store();
    let (sink, _arrivals) = edge(&store);
    let call = sink.call(|tx| tx.create_view_as("SELECT 1 AS n", &|_| false)).await.unwrap_err();
    let widening = sink.widening_sender().err().unwrap();
    for error in [call, widening] {
        assert!(error.hint().unwrap().contains("`streams`"), "{error:?}");
    }
    assert!(sink.finish().await.unwrap_err().message().contains("made no table"));
}

#[tokio::test]
async fn senders_of_one_edge_have_one_schema() {
    let (store, _directory) = memory_store();
    let (sink, _arrivals) = edge(&store);
    sink.sender(numbers(0..0).schema()).await.unwrap();
    sink.sender(numbers(0..0).schema()).await.unwrap();
    let other = sink.sender(batch(StringArray::from(vec!["a"])).schema()).await.err().unwrap();
    assert!(other.message().contains("different schemas"), "{other}");
}

#[tokio::test]
async fn sql_that_calls_the_function_by_hand_finds_nothing() {
    let (store, _directory) = memory_store();
    for call in ["osiris_rows('0')", "osiris_rows('')", "osiris_rows(NULL)"] {
        let sql = format!("SELECT * FROM {call}");
        let said = store.call(move |connection| Ok(connection.execute_batch(&sql).unwrap_err().to_string())).await;
        assert!(said.unwrap().contains("is not for pipelines"));
    }
}

#[tokio::test]
async fn what_sql_selects_is_sent_instead_of_stored() {
    let (store, _directory) = memory_store();
    let (sink, mut tables) = edge(&store);
    let select = "SELECT range::BIGINT AS n, 'x' || range AS t, range::HUGEINT AS h FROM range(100000)";
    let (sent, read) = tokio::join!(
        async {
            let rows = sink.call(move |tx| tx.create_table_as(select, &|_| false)).await?;
            Ok::<_, osiris_core::Error>((rows, sink.finish().await?.rows()))
        },
        async {
            let table = tables.next().await.unwrap();
            (table.schema().names().collect::<Vec<_>>().join(","), values(&store, &table).await)
        }
    );
    assert_eq!(sent.unwrap(), (100_000, 100_000));
    assert_eq!((read.0.as_str(), read.1.unwrap().len()), ("n,t,h", 100_000));
    assert!(store.table("from").await.unwrap().is_none());
}

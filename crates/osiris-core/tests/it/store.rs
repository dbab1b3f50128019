use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use osiris_core::{Column, ColumnType, ErrorKind, Reject, Store, StoreKind, StoreOptions};

use crate::{batch, memory_store, read};

fn types(table: &osiris_core::TableRef) -> Vec<(String, String)> {
    table.schema().columns().iter().map(|c| (c.name.clone(), c.column_type.to_string())).collect()
}

#[tokio::test]
async fn a_finished_table_holds_what_was_sent_in_order() {
    let (store, _directory) = memory_store();
    let sink = store.sink("numbers").await.unwrap();
    let first = batch(Int64Array::from_iter_values(0..3000));
    let sender = sink.sender(first.schema()).await.unwrap();
    sender.send(first).await.unwrap();
    sender.send(batch(Int64Array::from_iter_values(3000..5000))).await.unwrap();
    assert_eq!(sink.rows().await.unwrap(), 5000);
    let table = sink.finish().await.unwrap();
    assert_eq!((table.step(), table.rows()), ("numbers", 5000));
    let values: Vec<i64> = read(&store, &table)
        .await
        .iter()
        .flat_map(|batch| batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec())
        .collect();
    assert_eq!(values, (0..5000).collect::<Vec<_>>());
}

#[tokio::test]
async fn batches_of_any_size_arrive_in_order() {
    let (store, _directory) = memory_store();
    let sink = store.sink("numbers").await.unwrap();
    let sender = sink.sender(batch(Int64Array::from(vec![0])).schema()).await.unwrap();
    let mut next = 0;
    for rows in std::iter::repeat_n(1, 12_000).chain([30_000, 1, 9_999, 2]) {
        sender.send(batch(Int64Array::from_iter_values(next..next + rows))).await.unwrap();
        next += rows;
    }
    let table = sink.finish().await.unwrap();
    let sql = format!("SELECT bool_and(v = rowid) FROM {}", table.sql());
    let in_order =
        store.call(move |connection| Ok(connection.query_row(&sql, [], |row| row.get::<_, bool>(0)).unwrap()));
    assert!(in_order.await.unwrap());
    assert_eq!(table.rows(), 52_002);
}

#[tokio::test]
async fn a_sender_waits_while_too_many_bytes_are_on_their_way() {
    let directory = tempfile::tempdir().unwrap();
    // An eighth of it: 4 MiB.
    let options = StoreOptions::new(StoreKind::Memory, directory.path()).with_memory_limit(32 << 20);
    let store = Store::open(&options).unwrap();
    let sink = store.sink("numbers").await.unwrap();
    let mebibyte = batch(Int64Array::from(vec![7; 1 << 17]));
    let sender = sink.sender(mebibyte.schema()).await.unwrap();
    let (go_on, wait) = std::sync::mpsc::channel();
    let busy = sink.call(move |_| Ok(wait.recv().is_ok()));
    let fill = async {
        let mut sent = 0;
        while tokio::time::timeout(Duration::from_millis(500), sender.send(mebibyte.clone())).await.is_ok() {
            sent += 1;
        }
        go_on.send(()).unwrap();
        sent
    };
    let (done, sent) = tokio::join!(busy, fill);
    assert!(done.unwrap());
    assert!((3..=4).contains(&sent), "{sent} MiB went ahead");
    // More than all the room there is passes alone.
    sender.send(batch(Int64Array::from(vec![7; 1 << 20]))).await.unwrap();
    assert_eq!(sink.finish().await.unwrap().rows(), sent * (1 << 17) + (1 << 20));
}

#[tokio::test]
async fn a_dropped_sink_leaves_nothing_and_the_step_can_start_again() {
    let (store, _directory) = memory_store();
    for _ in 0..3 {
        let sink = store.sink("s").await.unwrap();
        let data = batch(Int64Array::from(vec![1, 2]));
        sink.sender(data.schema()).await.unwrap().send(data).await.unwrap();
        drop(sink);
    }
    assert!(store.table("s").await.unwrap().is_none());
    let sink = store.sink("s").await.unwrap();
    let data = batch(Int64Array::from(vec![1, 2]));
    sink.sender(data.schema()).await.unwrap().send(data).await.unwrap();
    assert_eq!(sink.finish().await.unwrap().rows(), 2);
}

#[tokio::test]
async fn a_second_run_of_a_step_replaces_its_table() {
    let (store, _directory) = memory_store();
    for rows in [3, 5] {
        let sink = store.sink("step-1").await.unwrap();
        let data = batch(Int64Array::from_iter_values(0..rows));
        sink.sender(data.schema()).await.unwrap().send(data).await.unwrap();
        sink.finish().await.unwrap();
    }
    assert_eq!(store.table("step-1").await.unwrap().unwrap().rows(), 5);
}

#[tokio::test]
async fn a_table_without_rows_has_columns_and_one_without_columns_is_an_error() {
    let (store, _directory) = memory_store();
    let sink = store.sink("empty").await.unwrap();
    sink.sender(batch(Int64Array::from(Vec::<i64>::new())).schema()).await.unwrap();
    assert_eq!(sink.finish().await.unwrap().rows(), 0);
    let sink = store.sink("nothing").await.unwrap();
    assert!(sink.finish().await.unwrap_err().message().contains("made no table"));
}

#[tokio::test]
async fn clones_of_a_sender_fill_one_table() {
    let (store, _directory) = memory_store();
    let sink = store.sink("many").await.unwrap();
    let schema = batch(Int64Array::from(vec![0])).schema();
    let sender = sink.sender(schema).await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|part| {
            let sender = sender.clone();
            tokio::spawn(
                async move { sender.send(batch(Int64Array::from_iter_values(part * 100..part * 100 + 100))).await },
            )
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(sink.finish().await.unwrap().rows(), 800);
}

#[tokio::test]
async fn the_first_error_reaches_the_sender_and_the_finish() {
    let (store, _directory) = memory_store();
    let sink = store.sink("s").await.unwrap();
    let sender = sink.sender(batch(Int64Array::from(vec![1])).schema()).await.unwrap();
    sender.send(batch(StringArray::from(vec!["no number"]))).await.unwrap();
    let error = sink.finish().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation, "{error:?}");
    assert!(!format!("{error:?}").contains("no number"), "a cell value in an error: {error:?}");
    assert!(sender.send(batch(Int64Array::from(vec![1]))).await.is_err());
}

#[tokio::test]
async fn columns_that_differ_by_case_alone_are_refused_with_both_names() {
    let (store, _directory) = memory_store();
    let sink = store.sink("s").await.unwrap();
    let schema = Schema::new(vec![Field::new("Id", DataType::Int64, true), Field::new("id", DataType::Int64, true)]);
    let error = sink.sender(Arc::new(schema)).await.err().unwrap();
    assert!(error.message().contains("`Id` and `id`"), "{error:?}");
}

#[tokio::test]
async fn a_widening_table_grows_columns_and_types_and_keeps_every_value() {
    let (store, _directory) = memory_store();
    let sink = store.sink("api").await.unwrap();
    let sender = sink.widening_sender().unwrap();
    let columns = |columns: Vec<(&str, ArrayRef)>| {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
    };
    sender.send(columns(vec![("a", Arc::new(Int64Array::from(vec![1, 2])))])).await.unwrap();
    sender
        .send(columns(vec![
            ("b", Arc::new(BooleanArray::from(vec![true]))),
            ("a", Arc::new(StringArray::from(vec!["x"]))),
        ]))
        .await
        .unwrap();
    sender.send(columns(vec![("c", Arc::new(Float64Array::from(vec![0.5])))])).await.unwrap();
    sender.send(columns(vec![("a", Arc::new(Int64Array::from(vec![7])))])).await.unwrap();
    let table = sink.finish().await.unwrap();
    let expected = [("a", "VARCHAR"), ("b", "BOOLEAN"), ("c", "DOUBLE")];
    assert_eq!(types(&table), expected.map(|(name, column)| (name.to_owned(), column.to_owned())));
    let rows: Vec<String> = store
        .call({
            let sql = format!(
                "SELECT concat_ws('|', coalesce(a, '-'), coalesce(b::VARCHAR, '-'), coalesce(c::VARCHAR, '-')) FROM {}",
                table.sql()
            );
            move |connection| {
                let mut statement = connection.prepare(&sql).unwrap();
                Ok(statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect())
            }
        })
        .await
        .unwrap();
    assert_eq!(rows, ["1|-|-", "2|-|-", "x|true|-", "-|-|0.5", "7|-|-"]);
}

#[tokio::test]
async fn nested_values_meet_others_as_json() {
    let (store, _directory) = memory_store();
    let sink = store.sink("api").await.unwrap();
    let sender = sink.widening_sender().unwrap();
    sender.send(batch(StringArray::from(vec![Some("te\"xt"), None]))).await.unwrap();
    let mut lists = arrow::array::ListBuilder::new(arrow::array::Int64Builder::new());
    lists.append_value([Some(1), None]);
    sender.send(batch(lists.finish())).await.unwrap();
    sender.send(batch(Int64Array::from(vec![5]))).await.unwrap();
    let table = sink.finish().await.unwrap();
    assert_eq!(table.schema().columns(), [Column::new("v", ColumnType::Json)]);
    let batches = read(&store, &table).await;
    let values: Vec<Option<&str>> =
        batches.iter().flat_map(|b| b.column(0).as_any().downcast_ref::<StringArray>().unwrap()).collect();
    assert_eq!(values, [Some(r#""te\"xt""#), None, Some("[1,null]"), Some("5")]);
}

#[tokio::test]
async fn a_file_store_is_read_again_after_the_process_that_made_it() {
    let directory = tempfile::tempdir().unwrap();
    let options =
        StoreOptions::new(StoreKind::File(directory.path().join("store.duckdb")), directory.path().join("tmp"));
    {
        let store = Store::open(&options).unwrap();
        let sink = store.sink("a-b").await.unwrap();
        let data = batch(StringArray::from(vec!["ů", ""]));
        sink.sender(data.schema()).await.unwrap().send(data).await.unwrap();
        sink.finish().await.unwrap();
        let unfinished = store.sink("c").await.unwrap();
        unfinished.sender(batch(Int64Array::from(vec![1])).schema()).await.unwrap();
    }
    let store = Store::open(&options).unwrap();
    let table = store.table("a-b").await.unwrap().unwrap();
    assert_eq!((table.rows(), read(&store, &table).await[0].num_rows()), (2, 2));
    assert!(store.table("c").await.unwrap().is_none());
    let by_safe_name =
        store.call(|c| Ok(c.query_row("SELECT count(*) FROM steps.a_b", [], |r| r.get::<_, i64>(0)).unwrap()));
    assert_eq!(by_safe_name.await.unwrap(), 2);
}

#[tokio::test]
async fn dropping_a_call_interrupts_its_query() {
    let (store, _directory) = memory_store();
    let endless = store.call(|connection| {
        let counted = connection
            .query_row("SELECT count(*) FROM range(100000000000) a, range(1000) b", [], |row| row.get::<_, i64>(0));
        counted.map_err(|error| osiris_core::store::store_error(error, "interrupted"))
    });
    let started = std::time::Instant::now();
    assert!(tokio::time::timeout(Duration::from_millis(200), endless).await.is_err());
    drop(store);
    assert!(started.elapsed().as_secs() < 30);
}

#[tokio::test]
async fn a_scan_names_the_columns_it_lacks() {
    let (store, _directory) = memory_store();
    let sink = store.sink("s").await.unwrap();
    let data = batch(Int64Array::from(vec![2, 1]));
    sink.sender(data.schema()).await.unwrap().send(data).await.unwrap();
    let table = sink.finish().await.unwrap();
    let error = store.scan(&table).columns(["w"]).open().await.err().unwrap();
    assert!(error.message().contains("no column `w`"), "{error:?}");
    let mut scan = store.scan(&table).columns(["V"]).order_by(["v"]).open().await.unwrap();
    let sorted = scan.next().await.unwrap().unwrap();
    assert_eq!(sorted.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values(), &[1, 2]);
}

#[tokio::test]
async fn rejects_are_kept_counted_and_limited() {
    let (store, directory) = memory_store();
    let run = osiris_core::RunContext::new(
        store,
        osiris_core::Telemetry::discard(),
        directory.path(),
        tokio_util::sync::CancellationToken::new(),
    );
    let ctx = run.step("load");
    let reject =
        Reject { row_number: Some(3), column: Some("a".into()), reason: "no number".into(), row: Some("{}".into()) };
    ctx.rejects().push(vec![reject.clone()]).await.unwrap();
    assert_eq!(ctx.rejects().enforce_limit().unwrap_err().kind(), ErrorKind::Integrity);
    ctx.rejects().set_limit(1);
    ctx.rejects().enforce_limit().unwrap();
    let flood = ctx.rejects().push(vec![reject; 1000]).await.unwrap_err();
    assert!(flood.message().contains("1001 rows were rejected, at most 1"), "{flood:?}");
    ctx.rejects().export(&directory.path().join("rejects.parquet")).await.unwrap();
    assert!(directory.path().join("rejects.parquet").exists());

    let resumed = run.step("load");
    resumed.rejects().note(vec![Reject { reason: "still no number".into(), ..Reject::default() }]).await.unwrap();
    let reasons = resumed.rejects().reasons(5).await.unwrap();
    assert_eq!(
        reasons.iter().map(|reason| (reason.rows, reason.reason.as_str())).collect::<Vec<_>>(),
        [(1, "still no number")]
    );
}

#[tokio::test]
async fn the_nulls_of_each_column_are_counted() {
    let (store, _directory) = memory_store();
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, None]));
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![true, false, true]));
    let data = RecordBatch::try_from_iter_with_nullable([("a \"b\"", numbers, true), ("c", flags, true)]).unwrap();
    let sink = store.sink("s").await.unwrap();
    sink.sender(data.schema()).await.unwrap().send(data).await.unwrap();
    let table = sink.finish().await.unwrap();
    assert_eq!(store.null_counts(&table, &["c", "a \"b\""]).await.unwrap(), [0, 2]);
    assert!(store.null_counts(&table, &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_key_is_unique_or_it_is_not() {
    let (store, _directory) = memory_store();
    let sink = store.sink("keys").await.unwrap();
    let sql = "SELECT * FROM (VALUES (1, 'a', NULL), (1, 'b', 1), (2, 'a', NULL)) x(n, t, \"o p\")";
    sink.call(move |transaction| transaction.create_table_as(sql, &|_| false)).await.unwrap();
    let table = sink.finish().await.unwrap();
    for (key, unique) in [
        (&["n"][..], false),
        (&["t"], false),
        (&["n", "t"], true),
        (&["o p"], false),
        (&["N", "o p"], true),
        (&[], false),
    ] {
        assert_eq!(store.is_unique(&table, key).await.unwrap(), unique, "{key:?}");
    }
    assert!(store.is_unique(&table, &["absent"]).await.is_err());
}

#[tokio::test]
async fn a_table_is_dropped_as_a_whole_or_not_at_all() {
    let (store, _directory) = memory_store();
    let sink = store.sink("numbers").await.unwrap();
    let numbers = batch(Int64Array::from(vec![1, 2]));
    sink.sender(numbers.schema()).await.unwrap().send(numbers).await.unwrap();
    let table = sink.finish().await.unwrap();
    // Another transaction holds the entry in the catalog: the second half of the work fails.
    let (holds, held) = tokio::sync::oneshot::channel();
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let other = store.clone();
    let holding = tokio::spawn(async move {
        let work = move |connection: &duckdb::Connection| {
            connection.execute_batch("BEGIN; DELETE FROM osiris.tables WHERE step = 'numbers'").unwrap();
            holds.send(()).unwrap();
            let _ = wait.recv();
            connection.execute_batch("ROLLBACK").unwrap();
            Ok(())
        };
        other.call(work).await.unwrap();
    });
    held.await.unwrap();
    store.drop_table("numbers").await.unwrap_err();
    drop(go_on);
    holding.await.unwrap();
    assert_eq!(read(&store, &table).await.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
    store.drop_table("numbers").await.unwrap();
    assert!(store.table("numbers").await.unwrap().is_none());
}

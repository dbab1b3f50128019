//! What the extractor and the writer of Arrow IPC files read, write and refuse.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal256Array, DictionaryArray, Int64Array, LargeStringArray, RecordBatch, TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, i256};
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use osiris_core::{Code, ErrorKind, Inputs};
use serde_json::json;

use crate::bench::Bench;

const WRITER: &str = "filesystem.arrow_writer";

/// One batch of columns that may have NULLs.
fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn file(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = FileWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

fn numbers(values: std::ops::Range<i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

#[tokio::test]
async fn files_and_streams_are_read_with_their_types() {
    let bench = Bench::new();
    let words: DictionaryArray<Int32Type> = [Some("a"), None, Some("a")].into_iter().collect();
    let rows = batch(vec![
        ("id", numbers(1..4)),
        ("word", Arc::new(words)),
        ("text", Arc::new(LargeStringArray::from(vec![Some("ů"), Some(""), None]))),
        ("at", Arc::new(TimestampNanosecondArray::from(vec![1, 2, 3]))),
        ("ID", numbers(7..10)),
    ]);
    // Told apart by their bytes.
    bench
        .put("t.arrow", file(&[rows.clone(), rows.slice(0, 1)]))
        .put("u.arrow", stream(&[rows.clone(), rows.slice(0, 1)]));
    for path in ["t.arrow", "u.arrow"] {
        let table = bench.arrow(json!({"path": path})).await.unwrap();
        assert_eq!(table.columns(), ["id BIGINT", "word VARCHAR", "text VARCHAR", "at TIMESTAMP_NS", "ID_1 BIGINT"]);
        assert_eq!(table.rows()[1], ["2", "∅", "", "1970-01-01T00:00:00.000000002", "8"]);
        assert_eq!((table.rows().len(), table.output.counts.read, bench.scratch()), (4, 4, 0));
        let picked = bench.arrow(json!({"path": path, "columns": ["text", "ID_1", "id"], "limit": 2})).await.unwrap();
        assert_eq!(picked.columns(), ["text VARCHAR", "ID_1 BIGINT", "id BIGINT"]);
        assert_eq!(picked.rows(), [["ů", "7", "1"], ["", "8", "2"]]);
    }
    let error = bench.arrow_error(json!({"path": "t.arrow", "columns": ["txt"]})).await;
    assert!(error.contains("did you mean `text`?"), "{error}");
    bench.put("empty.feather", file(&[rows.slice(0, 0)]));
    let empty = bench.arrow(json!({"path": "empty.feather"})).await.unwrap();
    assert_eq!((empty.columns().len(), empty.rows().len()), (5, 0));
}

#[tokio::test]
async fn several_files_have_the_columns_of_the_first() {
    let bench = Bench::new();
    bench.put("in/a.arrow", file(&[batch(vec![("n", numbers(0..2)), ("m", numbers(5..7))])]));
    bench.put("in/b.arrows", stream(&[batch(vec![("M", numbers(7..8)), ("n", numbers(2..3))])]));
    let table = bench.arrow(json!({"path": "in"})).await.unwrap();
    assert_eq!(table.rows(), [["0", "5"], ["1", "6"], ["2", "7"]]);
    let words: ArrayRef = Arc::new(LargeStringArray::from(vec!["x"]));
    for (columns, what) in [
        (vec![("n", numbers(0..1)), ("m", words)], "`m` is LargeUtf8, not Int64"),
        (vec![("n", numbers(0..1)), ("k", numbers(0..1))], "it lacks `m`"),
        (vec![("n", numbers(0..1))], "it has 1 columns, not 2"),
    ] {
        bench.put("in/c.arrow", file(&[batch(columns)]));
        let error = bench.arrow(json!({"path": "in"})).await.err().unwrap();
        assert_eq!(error.code(), Code::ColumnsDiffer);
        assert_eq!(error.message(), format!("columns of `in/c.arrow` differ from `in/a.arrow`: {what}"));
    }
}

#[tokio::test]
async fn what_the_store_cannot_hold_exactly_is_refused_with_the_cast_to_use() {
    let bench = Bench::new();
    let wide = Decimal256Array::from(vec![i256::from_i128(1)]).with_precision_and_scale(60, 2).unwrap();
    let nanos = TimestampNanosecondArray::from(vec![1]).with_timezone("UTC");
    for (column, message) in [
        (Arc::new(wide) as ArrayRef, "column `x` has the Arrow type Decimal256(60, 2), which has no exact counterpart"),
        (Arc::new(nanos) as ArrayRef, "column `x` has a value that INSTANT cannot hold exactly"),
    ] {
        bench.put("t.arrow", file(&[batch(vec![("id", numbers(0..1)), ("x", column)])]));
        let error = bench.arrow(json!({"path": "t.arrow"})).await.err().unwrap();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Validation, message));
        let hint = error.hint().unwrap();
        assert!(hint.contains("cast the column where the file is created") && hint.contains("`columns`"), "{hint}");
        assert_eq!(bench.arrow(json!({"path": "t.arrow", "columns": ["id"]})).await.unwrap().rows(), [["0"]]);
    }
}

#[tokio::test]
async fn what_is_no_whole_file_is_told_as_such() {
    let bench = Bench::new();
    let rows = batch(vec![("n", numbers(0..1000))]);
    let (whole, streamed) = (file(std::slice::from_ref(&rows)), stream(&[rows.clone(), rows]));
    for (bytes, message, hint) in [
        (whole[..whole.len() - 20].to_vec(), "`t.arrow` is damaged", "copy the file again"),
        (whole[..100].to_vec(), "`t.arrow` is damaged", "copy the file again"),
        (streamed[..streamed.len() - 8].to_vec(), "`t.arrow` has no end: it may be truncated", "close the writer"),
        (streamed[..streamed.len() / 2].to_vec(), "`t.arrow` has no end: it may be truncated", "copy the file again"),
        (b"FEA1 and more".to_vec(), "`t.arrow` is Feather version 1, which is not read", "version 2"),
        (b"PAR1 and more".to_vec(), "`t.arrow` is a Parquet file", "filesystem.parquet_extractor"),
        (b"a,b\n1,2\n3,4\n".to_vec(), "`t.arrow` is not an Arrow IPC file", "check how"),
        (Vec::new(), "`t.arrow` is empty", "check how"),
    ] {
        bench.put("t.arrow", bytes);
        let error = bench.arrow(json!({"path": "t.arrow"})).await.err().unwrap();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Validation, Code::InvalidFile), "{error:?}");
        assert!(error.message().contains(message) && error.hint().unwrap().contains(hint), "{error:?}");
    }
    assert_eq!(bench.scratch(), 0);
}

#[tokio::test]
async fn both_formats_are_written_and_other_programs_can_read_them() {
    let bench = Bench::new();
    let select = "SELECT i AS id, CAST('1.50' AS DECIMAL(10,2)) AS price, '{\"k\": 1}'::JSON AS j, [i, NULL] AS l, \
                  if(i = 1, NULL, DATE '2024-01-31') AS day FROM range(150000) r(i)";
    for (path, compression) in [("o.feather", "zstd"), ("o.arrow", "lz4"), ("o.arrows", "none")] {
        let output = bench.write(WRITER, select, json!({"path": path, "compression": compression})).await.unwrap();
        assert_eq!(output.rows, 150_000);
        assert_eq!(bench.metric("bytes_written"), Some(bench.bytes(path).len() as u64));
        let table = bench.arrow(json!({"path": path})).await.unwrap();
        assert_eq!(table.columns(), ["id BIGINT", "price DECIMAL(10,2)", "j JSON", "l BIGINT[]", "day DATE"]);
        let rows = table.rows();
        assert_eq!((rows.len(), &rows[1][..3]), (150_000, ["1", "1.50", "{\"k\": 1}"].map(str::to_owned).as_slice()));
    }
    let read = FileReader::try_new(File::open(bench.path("o.arrow")).unwrap(), None).unwrap();
    assert_eq!(read.schema().field(1).data_type(), &DataType::Decimal128(10, 2));
    assert!(read.num_batches() < 4);
    let empty = "SELECT 1 AS a, 'x' AS b LIMIT 0";
    bench.write(WRITER, empty, json!({"path": "o.arrow", "columns": ["b"]})).await.unwrap();
    assert_eq!(bench.arrow(json!({"path": "o.arrow"})).await.unwrap().columns(), ["b VARCHAR"]);
    let refused = bench.write(WRITER, empty, json!({"path": "o.arrow", "mode": "append"})).await.err().unwrap();
    assert!(bench.shown(refused).contains("rows cannot be appended to an Arrow IPC file"));
}

#[tokio::test]
async fn standard_streams_are_read_and_written() {
    let bench = Bench::new();
    bench.write(WRITER, "SELECT 1 AS a", json!({"path": "-"})).await.unwrap();
    let written: &'static [u8] = bench.stdout().leak();
    let bench = Bench::with_stdin(written);
    assert_eq!(bench.arrow(json!({"path": "-"})).await.unwrap().rows(), [["1"]]);
    let options = IpcWriteOptions::default();
    let schema = Schema::new(vec![Field::new("a", DataType::Null, true)]);
    let nulls = FileWriter::try_new_with_options(Vec::new(), &schema, options).unwrap().into_inner().unwrap();
    bench.put("nulls.arrow", nulls);
    let dry = bench.dry_run("filesystem.arrow_extractor", json!({"path": "nulls.arrow"}), Inputs::none()).await;
    assert!(dry.is_ok(), "{:?}", dry.err());
}

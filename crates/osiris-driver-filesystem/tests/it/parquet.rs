//! What the Parquet components read and write.

use osiris_core::{ErrorKind, Inputs};
use serde_json::json;

use crate::bench::Bench;

const WRITER: &str = "filesystem.parquet_writer";

#[tokio::test]
async fn every_type_survives_or_becomes_what_is_declared() {
    let bench = Bench::new();
    let select = "SELECT 1::TINYINT AS tiny, 18446744073709551615::UBIGINT AS ubig, 12345678901234567890123::HUGEINT AS huge, 1.5::FLOAT AS f, 0.1::DOUBLE AS d, 1.50::DECIMAL(38,2) AS dec,
        true AS b, 'é' AS t, '\\xAB'::BLOB AS blob, DATE '2024-02-29' AS day, TIME '10:00:00.5' AS time, TIMESTAMP '2024-01-05 10:00:00.25' AS ts, TIMESTAMP_NS '2024-01-05 10:00:00.000000001' AS ns,
        TIMESTAMP '2024-01-05 10:00:00' AS instant, INTERVAL '-838:59:59.000001' AS iv, [1, NULL] AS list, {'k': [1.5]} AS struct, MAP {'x': 1} AS map, uuid '00000000-0000-0000-0000-000000000001' AS uuid,
        'e'::ENUM('e') AS enum, '101'::BIT AS bit, NULL::VARCHAR AS nothing, '' AS empty, {'h': 5::HUGEINT} AS nested, [NULL::INTERVAL, INTERVAL 1 DAY] AS ivs";
    let table = bench.make_with_instants(select, &["instant"]).await;
    let config = json!({"path": "o.parquet"});
    let output = bench.run(WRITER, config, Inputs::one(table)).await.unwrap();
    assert_eq!((output.rows, output.counts.inserted), (1, 1));
    let table = bench.parquet(json!({"path": "o.parquet"})).await.unwrap();
    insta::assert_snapshot!(
        table.columns().iter().zip(&table.rows()[0]).map(|(column, value)| format!("{column} = {value}")).collect::<Vec<_>>().join("\n"),
        @r#"
        tiny TINYINT = 1
        ubig UBIGINT = 18446744073709551615
        huge DECIMAL(38,0) = 12345678901234567890123
        f FLOAT = 1.5
        d DOUBLE = 0.1
        dec DECIMAL(38,2) = 1.50
        b BOOLEAN = true
        t VARCHAR = é
        blob BLOB = ab
        day DATE = 2024-02-29
        time TIME = 10:00:00.500
        ts TIMESTAMP = 2024-01-05T10:00:00.250
        ns TIMESTAMP_NS = 2024-01-05T10:00:00.000000001
        instant INSTANT = 2024-01-05T10:00:00Z
        iv VARCHAR = -838:59:59.000001
        list INTEGER[] = [1, ∅]
        struct STRUCT("k" DECIMAL(2,1)[]) = {k: [1.5]}
        map MAP(VARCHAR, INTEGER) = {x: 1}
        uuid UUID = 00000000-0000-0000-0000-000000000001
        enum VARCHAR = e
        bit VARCHAR = 101
        nothing VARCHAR = ∅
        empty VARCHAR = 
        nested STRUCT("h" DECIMAL(38,0)) = {h: 5}
        ivs VARCHAR[] = [∅, 1 day]
        "#
    );
    assert_eq!(bench.files(), ["o.parquet"]);
}

#[tokio::test]
async fn a_point_in_time_is_adjusted_to_utc_in_the_file() {
    let bench = Bench::new();
    let table = bench
        .make_with_instants(
            "SELECT TIMESTAMP '2024-01-05 10:00:00' AS at, TIMESTAMP '2024-01-05 10:00:00' AS plain",
            &["at"],
        )
        .await;
    bench.run(WRITER, json!({"path": "o.parquet"}), Inputs::one(table)).await.unwrap();
    let reader = parquet::file::serialized_reader::SerializedFileReader::new(
        std::fs::File::open(bench.path("o.parquet")).unwrap(),
    )
    .unwrap();
    let metadata = parquet::file::reader::FileReader::metadata(&reader);
    let kinds: Vec<String> = metadata
        .file_metadata()
        .schema_descr()
        .columns()
        .iter()
        .map(|column| format!("{} {:?}", column.name(), column.logical_type_ref().unwrap()))
        .collect();
    insta::assert_snapshot!(kinds.join("\n"), @"
    at Timestamp(TimestampType { is_adjusted_to_u_t_c: true, unit: MICROS })
    plain Timestamp(TimestampType { is_adjusted_to_u_t_c: false, unit: MICROS })
    ");
}

#[tokio::test]
async fn the_same_rows_make_the_same_file() {
    let bench = Bench::new();
    let select = "SELECT i AS id, md5(i::VARCHAR) AS name FROM range(300000) t(i)";
    for path in ["a.parquet", "b.parquet"] {
        bench.write(WRITER, select, json!({"path": path, "row_group_bytes": 1_000_000})).await.unwrap();
    }
    assert!(bench.bytes("a.parquet") == bench.bytes("b.parquet"));
    let select = "SELECT i AS id, md5(i::VARCHAR) AS name FROM range(3000) t(i)";
    for compression in ["zstd", "snappy", "gzip", "lz4", "brotli", "none"] {
        let output =
            bench.write(WRITER, select, json!({"path": "c.parquet", "compression": compression})).await.unwrap();
        assert_eq!(output.rows, 3000, "{compression}");
        assert_eq!(bench.parquet(json!({"path": "c.parquet"})).await.unwrap().output.counts.read, 3000);
    }
}

#[tokio::test]
async fn partitions_are_written_and_read_back_with_their_types() {
    let bench = Bench::new();
    let select = "SELECT i AS id, CASE WHEN i % 3 = 2 THEN NULL ELSE 'a/b ' || (i % 3) END AS p, '00' || (i % 2) AS q FROM range(12) t(i)";
    let config = json!({"path": "out", "partition_by": ["p", "q"], "max_rows_per_file": 1});
    let output = bench.write(WRITER, select, config).await.unwrap();
    assert_eq!((output.rows, bench.metric("files_written")), (12, Some(12)));
    insta::assert_snapshot!(bench.files().join("\n"), @"
    out/p=__HIVE_DEFAULT_PARTITION__/q=000/part-00001.parquet
    out/p=__HIVE_DEFAULT_PARTITION__/q=000/part-00002.parquet
    out/p=__HIVE_DEFAULT_PARTITION__/q=001/part-00001.parquet
    out/p=__HIVE_DEFAULT_PARTITION__/q=001/part-00002.parquet
    out/p=a%2Fb%200/q=000/part-00001.parquet
    out/p=a%2Fb%200/q=000/part-00002.parquet
    out/p=a%2Fb%200/q=001/part-00001.parquet
    out/p=a%2Fb%200/q=001/part-00002.parquet
    out/p=a%2Fb%201/q=000/part-00001.parquet
    out/p=a%2Fb%201/q=000/part-00002.parquet
    out/p=a%2Fb%201/q=001/part-00001.parquet
    out/p=a%2Fb%201/q=001/part-00002.parquet
    ");
    let table = bench.parquet(json!({"path": "out", "columns": ["q", "p", "id"], "filter": "id < 4"})).await.unwrap();
    assert_eq!(table.columns(), ["q VARCHAR", "p VARCHAR", "id BIGINT"]);
    let mut rows = table.rows();
    rows.sort();
    assert_eq!(rows, [["000", "a/b 0", "0"], ["000", "∅", "2"], ["001", "a/b 0", "3"], ["001", "a/b 1", "1"]]);
    // Rows keep their order inside a partition, and appending goes on with the numbers.
    let config = json!({"path": "out", "partition_by": ["p", "q"], "mode": "append"});
    bench.write(WRITER, select, config).await.unwrap();
    assert_eq!(bench.parquet(json!({"path": "out"})).await.unwrap().output.rows, 24);
    assert!(bench.path("out/p=a%2Fb%200/q=000/part-00003.parquet").exists());
    let config = json!({"path": "out", "partition_by": ["q"]});
    bench.write(WRITER, "SELECT 1 AS id, 5 AS q", config).await.unwrap();
    assert_eq!(bench.files(), ["out/q=5/part-00001.parquet"]);
    let table = bench.parquet(json!({"path": "out"})).await.unwrap();
    assert_eq!(
        (table.columns(), table.rows()),
        (vec!["id INTEGER".to_owned(), "q BIGINT".to_owned()], vec![vec!["1".to_owned(), "5".to_owned()]])
    );
}

#[tokio::test]
async fn several_files_keep_the_order_of_the_rows() {
    let bench = Bench::new();
    let select = "SELECT i AS id FROM range(10000) t(i)";
    bench.write(WRITER, select, json!({"path": "out", "max_rows_per_file": 3000})).await.unwrap();
    assert_eq!(bench.files().len(), 4);
    let table = bench.parquet(json!({"path": "out", "limit": 7000})).await.unwrap();
    let ids: Vec<u64> = table.rows().iter().map(|row| row[0].parse().unwrap()).collect();
    assert_eq!(ids, (0..7000).collect::<Vec<_>>());
    assert_eq!(table.output.counts.read, 7000);
}

#[tokio::test]
async fn append_keeps_the_old_rows_when_the_columns_are_the_same() {
    let bench = Bench::new();
    bench.write(WRITER, "SELECT 1 AS a, 'x' AS b", json!({"path": "o.parquet"})).await.unwrap();
    let output =
        bench.write(WRITER, "SELECT 'y' AS b, 2 AS a", json!({"path": "o.parquet", "mode": "append"})).await.unwrap();
    assert_eq!(output.rows, 1);
    assert_eq!(bench.parquet(json!({"path": "o.parquet"})).await.unwrap().rows(), [["1", "x"], ["2", "y"]]);
    let error = bench
        .write(WRITER, "SELECT 1::BIGINT AS a, 1 AS c", json!({"path": "o.parquet", "mode": "append"}))
        .await
        .err()
        .unwrap();
    insta::assert_snapshot!(bench.shown(error), @"
    validation: step `write`: cannot append rows to `o.parquet`: it has `a` as INTEGER, not BIGINT, lacks `c`, also has `b`
    hint: write the same columns, or set `mode: overwrite`
    ");
}

#[tokio::test]
async fn an_empty_table_makes_a_file() {
    let bench = Bench::new();
    for config in [json!({"path": "o.parquet"}), json!({"path": "out", "max_rows_per_file": 5})] {
        let output = bench.write(WRITER, "SELECT 1 AS a WHERE false", config.clone()).await.unwrap();
        assert_eq!(output.rows, 0);
        let table = bench.parquet(json!({"path": config["path"]})).await.unwrap();
        assert_eq!((table.columns(), table.rows().len()), (vec!["a INTEGER".to_owned()], 0));
    }
}

#[tokio::test]
async fn standard_streams_hold_parquet_too() {
    let bench = Bench::new();
    bench.write(WRITER, "SELECT 1 AS a", json!({"path": "-"})).await.unwrap();
    let other = Bench::with_stdin(bench.stdout().leak());
    assert_eq!(other.parquet(json!({"path": "-"})).await.unwrap().rows(), [["1"]]);
    assert_eq!((bench.scratch(), other.scratch()), (0, 0));
}

#[tokio::test]
async fn a_file_that_the_store_does_not_reach_is_linked() {
    let bench = Bench::new();
    bench.write(WRITER, "SELECT 1 AS a", json!({"path": "noextension"})).await.unwrap();
    assert_eq!(bench.parquet(json!({"path": "noextension"})).await.unwrap().rows(), [["1"]]);
}

#[tokio::test]
async fn dry_runs_read_a_sample_and_write_nothing() {
    let bench = Bench::new();
    bench.write(WRITER, "SELECT i AS a FROM range(1000) t(i)", json!({"path": "o.parquet"})).await.unwrap();
    let config = json!({"path": "o.parquet"});
    let output = bench.dry_run("filesystem.parquet_extractor", config, Inputs::none()).await.unwrap();
    assert_eq!(output.rows, osiris_core::DRY_RUN_ROWS);
    let table = bench.make("SELECT 1 AS a").await;
    let config = json!({"path": "new/p.parquet"});
    bench.dry_run(WRITER, config, Inputs::one(table)).await.unwrap();
    assert_eq!(bench.files(), ["o.parquet"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let bench = Bench::new();
    bench.write(WRITER, "SELECT 1 AS a, 2 AS b", json!({"path": "in/a.parquet"})).await.unwrap();
    bench.write(WRITER, "SELECT 1::BIGINT AS a, 2 AS c", json!({"path": "in/b.parquet"})).await.unwrap();
    bench.put("t.parquet", "PAR1 is not enough").put("e.parquet", "").put("h/x=1/a.md", "");
    let cut = bench.bytes("in/a.parquet");
    bench.put("cut.parquet", &cut[..cut.len() - 9]);
    insta::assert_snapshot!(bench.parquet_error(json!({"path": "in/c.parquet"})).await, @"
    validation: step `step`: `in/c.parquet` does not exist
    hint: did you mean `a.parquet`?
    ");
    insta::assert_snapshot!(bench.parquet_error(json!({"path": "t.parquet"})).await, @"
    validation: step `step`: `t.parquet` is not a valid Parquet file: Parquet error: Invalid Parquet file. Corrupt footer
    hint: check how the file was created: it may be truncated, or in another format
    ");
    insta::assert_snapshot!(bench.parquet_error(json!({"path": "cut.parquet"})).await, @"
    validation: step `step`: `cut.parquet` is not a valid Parquet file: Parquet error: Invalid Parquet file. Corrupt footer
    hint: check how the file was created: it may be truncated, or in another format
    ");
    insta::assert_snapshot!(bench.parquet_error(json!({"path": "e.parquet"})).await, @"
    validation: step `step`: `e.parquet` is empty: it has no footer
    hint: check how the file was created
    ");
    insta::assert_snapshot!(bench.parquet_error(json!({"path": "h"})).await, @"
    validation: step `step`: the directory `h` has no Parquet file
    hint: it has `x=1/a.md`; use a glob for files with other extensions
    ");
    insta::assert_snapshot!(bench.parquet_error(json!({"path": "in/*.parquet"})).await, @"
    validation: step `step`: columns of `in/b.parquet` differ from `in/a.parquet`: it has `a` as INT64 INT_64, not INT32 INT_32, lacks `b`, also has `c`
    hint: read the files in two steps and join them in SQL
    ");
    insta::assert_snapshot!(bench.parquet_error(json!({"path": "in/a.parquet", "columns": ["A", "bb"]})).await, @"
    validation: step `step`: `columns` names columns that the file does not have: `bb` (did you mean `b`?)
    hint: its columns: a, b
    ");
    insta::assert_snapshot!(bench.parquet_error(json!({"path": "in/a.parquet", "filter": "aa > 1"})).await, @"
    validation: step `step`: `filter` is not a condition on the columns of the file
    hint: write SQL such as `year >= 2020 AND country = 'CZ'`
    ");
}

#[tokio::test]
async fn partitions_of_different_names_are_refused() {
    let bench = Bench::new();
    bench.write(WRITER, "SELECT 1 AS a", json!({"path": "in/x=1/a.parquet"})).await.unwrap();
    bench.write(WRITER, "SELECT 1 AS a", json!({"path": "in/y=1/a.parquet"})).await.unwrap();
    insta::assert_snapshot!(bench.parquet_error(json!({"path": "in"})).await, @"
    validation: step `step`: `in/x=1/a.parquet` has the partition columns [x], but `in/y=1/a.parquet` has [y]
    hint: all files must have the same partition columns; select fewer of them with a glob
    ");
}

#[tokio::test]
async fn what_cannot_be_written_is_named() {
    let bench = Bench::new();
    let select = "SELECT 1 AS a, 2 AS b";
    let error = bench.write(WRITER, select, json!({"path": "out", "partition_by": ["aa"]})).await.err().unwrap();
    insta::assert_snapshot!(bench.shown(error), @"
    validation: step `write`: `partition_by` names columns that the table does not have: `aa` (did you mean `a`?)
    hint: its columns: a, b
    ");
    let error = bench.write(WRITER, select, json!({"path": "out", "partition_by": ["a", "b"]})).await.err().unwrap();
    insta::assert_snapshot!(bench.shown(error), @"
    validation: step `write`: `partition_by` names every column: no columns remain for the files
    hint: -
    ");
    bench.put("out/notes.txt", "x");
    let error = bench.write(WRITER, select, json!({"path": "out", "partition_by": ["a"]})).await.err().unwrap();
    insta::assert_snapshot!(bench.shown(error), @"
    validation: step `write`: the directory `out` has `notes.txt`, which this step did not write
    hint: use a separate directory for the step: it is replaced as a whole
    ");
    let huge = "SELECT 170141183460469231731687303715884105727::HUGEINT AS huge";
    let error = bench.write(WRITER, huge, json!({"path": "o.parquet"})).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert_eq!(bench.files(), ["out/notes.txt"]);
}

#[tokio::test]
async fn a_full_disk_leaves_the_old_file_and_nothing_else() {
    let bench = Bench::new();
    bench.put("o.parquet", "old");
    let error = crate::limited::write_beyond_a_limit(WRITER, &bench.data(), json!({"path": "o.parquet"}));
    insta::assert_snapshot!(error, @"
    unknown: step `write`: `[data]/o.parquet` could not be written: File too large
    hint: the file would exceed a limit of this process or file system: check `ulimit -f`
    ");
    assert_eq!((bench.files(), bench.text("o.parquet").as_str()), (vec!["o.parquet".to_owned()], "old"));
    let error = crate::limited::write_beyond_a_limit(
        WRITER,
        &bench.data(),
        json!({"path": "out", "max_rows_per_file": 150000}),
    );
    assert!(error.contains("part-00001.parquet"), "{error}");
    assert_eq!(bench.files(), ["o.parquet"]);
}

#[tokio::test]
async fn columns_that_differ_by_case_alone_keep_their_values_and_a_name_of_the_file_its_column() {
    use crate::parquet_file::{Leaf, Stored, write};
    let bench = Bench::new();
    let file = |name: &str, names: [&str; 3], values: [i32; 3]| {
        let leaves = values.map(|value| Leaf::all(Stored::Int32(vec![value]), 1));
        let fields: Vec<String> = names.iter().map(|name| format!("optional int32 {name};")).collect();
        write(&bench.path(name), &fields.join(" "), &leaves);
    };
    file("in/a.parquet", ["column", "COLUMN", "COLUMN_1"], [1, 40, 7]);
    file("in/b.parquet", ["column", "COLUMN", "COLUMN_1"], [2, 50, 8]);
    for path in ["in", "in/*.parquet"] {
        let table = bench.parquet(json!({"path": path})).await.unwrap();
        assert_eq!(table.columns(), ["column INTEGER", "COLUMN_2 INTEGER", "COLUMN_1 INTEGER"]);
        assert_eq!(table.rows(), [["1", "40", "7"], ["2", "50", "8"]]);
    }
    let config = json!({"path": "in/a.parquet", "columns": ["COLUMN_1", "COLUMN"], "filter": "column_2 = 40"});
    assert_eq!(bench.parquet(config).await.unwrap().rows(), [["7", "1"]]);
    file("in/c.parquet", ["COLUMN", "column", "COLUMN_1"], [3, 60, 9]);
    insta::assert_snapshot!(bench.parquet_error(json!({"path": "in"})).await, @"
    validation: step `step`: columns of `in/c.parquet` differ from `in/a.parquet`: it has them in another order, and some names differ only by case
    hint: read the files in two steps and join them in SQL
    ");
}

/// What is written as a partition comes back, whatever it is.
#[tokio::test]
async fn every_text_of_a_partition_comes_back() {
    let values = [
        "NULL",
        "",
        "__HIVE_DEFAULT_PARTITION__",
        "__hive_default_partition__",
        "%5F_HIVE_DEFAULT_PARTITION__",
        "a/b=c",
        "100%25",
        "%",
        "..",
        "a b",
        "Ünì 🎈",
        "2024-01-01",
        "true",
        "TRUE",
        "1e3",
        "x:y?*",
        "back\\slash",
        "say \"hi\"",
        "it's",
        "7",
        "007",
        "7.0",
        "7.10",
        "1e+05",
        "2024-01-01T10:00:00",
        "2024-01-01 10:00:00+02:00",
        "10:00:00.500",
        "\n",
        "+",
        "-0",
    ];
    let texts = |values: &[&str]| {
        let values: Vec<String> =
            values.iter().enumerate().map(|(n, value)| format!("({n}, '{}')", value.replace('\'', "''"))).collect();
        format!("SELECT * FROM (VALUES (-1, NULL), {}) t(id, region)", values.join(", "))
    };
    // All at once, and each alone, where its type is inferred from it.
    let alone = values.iter().map(|value| vec![*value]);
    for values in [values.to_vec()].into_iter().chain(alone) {
        let bench = Bench::new();
        let config = json!({"path": "lake", "partition_by": ["region"]});
        bench.write(WRITER, &texts(&values), config).await.unwrap();
        bench.parquet(json!({"path": "lake"})).await.unwrap();
        let other = "SELECT CAST(count(*) AS VARCHAR) FROM steps.step s FULL JOIN steps.input i USING (id) WHERE CAST(s.region AS VARCHAR) IS DISTINCT FROM i.region";
        assert_eq!(bench.query(other).await, "0", "{values:?}");
    }
}

#[tokio::test]
async fn partition_columns_of_any_name_and_type_come_back() {
    let bench = Bench::new();
    for name in ["_id", ".hidden", "a b", "é", "x=y", "100%", "a/b"] {
        let select = format!("SELECT i AS id, i % 2 AS \"{name}\" FROM range(6) t(i)");
        bench.write(WRITER, &select, json!({"path": "out", "partition_by": [name]})).await.unwrap();
        let table = bench.parquet(json!({"path": "out"})).await.unwrap();
        assert_eq!(table.columns(), ["id BIGINT".to_owned(), format!("{name} BIGINT")]);
        assert_eq!(table.output.rows, 6, "{name}");
        // Also where the store does not reach the files, which are brought to it.
        let other = Bench::exact(&[]);
        std::fs::rename(bench.path("out"), other.path("out")).unwrap();
        assert_eq!(other.parquet(json!({"path": "out", "filter": "id = 1"})).await.unwrap().rows(), [["1", "1"]]);
    }
    let select = "SELECT 1 AS id, TIMESTAMP '2024-01-05 10:00:00.5' AS at, TIMESTAMP '2024-01-05 10:00:00' AS plain, 1.50 AS price, DATE '2024-01-05' AS day, true AS ok";
    let table = bench.make_with_instants(select, &["at"]).await;
    let config = json!({"path": "out", "partition_by": ["at", "plain", "price", "day", "ok"]});
    bench.run(WRITER, config, Inputs::one(table)).await.unwrap();
    let table = bench.parquet(json!({"path": "out"})).await.unwrap();
    assert_eq!(table.columns()[1..], ["at INSTANT", "plain TIMESTAMP", "price VARCHAR", "day DATE", "ok BOOLEAN"]);
    assert_eq!(table.rows(), [["1", "2024-01-05T10:00:00.500Z", "2024-01-05T10:00:00", "1.50", "2024-01-05", "true"]]);
    // A stated type decides.
    let stated = json!({"path": "out", "dtype": {"price": "DECIMAL(5,2)", "day": "VARCHAR", "OK": "text"}});
    let table = bench.parquet(stated).await.unwrap();
    assert_eq!(table.columns()[3..], ["price DECIMAL(5,2)", "day VARCHAR", "ok VARCHAR"]);
    insta::assert_snapshot!(bench.parquet_error(json!({"path": "out", "dtype": {"price": "BIGINT"}})).await, @"
    validation: step `step`: the partition column `price` has values that BIGINT cannot hold exactly
    hint: set `dtype: {price: VARCHAR}`
    ");
    let select = "SELECT 1 AS id, [1] AS list, '\\x00'::BLOB AS bytes";
    let error =
        bench.write(WRITER, select, json!({"path": "p", "partition_by": ["list", "bytes"]})).await.err().unwrap();
    insta::assert_snapshot!(bench.shown(error), @"
    validation: step `write`: `partition_by` names columns whose values cannot be directory names: `list` (INTEGER[]), `bytes` (BLOB)
    hint: partition by a column of text, numbers or dates; `duckdb.processor` can create one
    ");
}

//! Files that are read where they lie: nothing is copied, and no step commits what it has read of a file that was changed.

use osiris_core::{DestinationId, Inputs, StepRequest};
use serde_json::{Value, json};

use crate::bench::Bench;

const WRITER: &str = "filesystem.parquet_writer";
/// An extractor, the writer of its files, and their name.
const FORMATS: [(&str, &str, &str); 2] = [
    ("filesystem.csv_extractor", "filesystem.csv_writer", "in.csv"),
    ("filesystem.parquet_extractor", WRITER, "in.parquet"),
];
const VIEWS: &str = "SELECT count(*)::VARCHAR FROM duckdb_views() WHERE schema_name = 'steps' AND view_name = 'read'";

/// A file of three rows, and the table of a step that reads it.
async fn read(
    bench: &Bench,
    (extractor, writer, name): (&str, &str, &str),
    more: Value,
    destinations: Vec<DestinationId>,
) -> Inputs {
    bench.write(writer, "SELECT range AS n FROM range(3)", json!({"path": name})).await.unwrap();
    let mut config = json!({"path": name});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let request = StepRequest { destinations: destinations.into(), ..StepRequest::new("read") };
    let output = bench.request(extractor, request, (config, json!({})), Inputs::none()).await.unwrap();
    assert_eq!((output.counts.read, output.counts.stored), (3, 3));
    Inputs::one(output.table.unwrap())
}

async fn replace(bench: &Bench, (_, writer, name): (&str, &str, &str)) {
    bench.write(writer, "SELECT range AS n FROM range(4)", json!({"path": name})).await.unwrap();
}

#[tokio::test]
async fn a_file_is_read_where_it_lies_unless_it_is_to_be_copied_or_is_written_by_the_run() {
    for format in FORMATS {
        let bench = Bench::new();
        let real = |name: &str| bench.data().canonicalize().unwrap().join(name);
        for (more, destinations, views) in [
            (json!({}), Vec::new(), "1"),
            (json!({"materialize": "table"}), Vec::new(), "0"),
            (json!({}), vec![DestinationId::file(real(format.2))], "0"),
            (json!({}), vec![DestinationId::directory(real(""))], "0"),
            (json!({}), vec![DestinationId::file(real("out.parquet"))], "1"),
        ] {
            let inputs = read(&bench, format, more, destinations).await;
            assert_eq!(bench.query(VIEWS).await, views, "{format:?}");
            let output = bench.run("filesystem.csv_writer", json!({"path": "out.csv"}), inputs).await.unwrap();
            assert_eq!((output.counts.read, output.counts.inserted), (3, 3));
        }
        assert_eq!(bench.text("out.csv"), "n\n0\n1\n2\n");
    }
}

#[tokio::test]
async fn a_file_that_was_changed_since_its_rows_were_counted_is_not_written() {
    for format in FORMATS {
        for (component, path) in [("filesystem.csv_writer", "out.csv"), (WRITER, "out.parquet")] {
            let bench = Bench::new();
            let inputs = read(&bench, format, json!({}), Vec::new()).await;
            let message = format!("{}` was changed while the run was reading it", format.2);
            replace(&bench, format).await;
            let error = bench.run(component, json!({"path": path}), inputs.clone()).await.err().unwrap();
            assert!(error.to_string().contains(&message), "{error}");
            assert!(error.hint().unwrap().contains("materialize: table"), "{error}");
            std::fs::remove_file(bench.path(format.2)).unwrap();
            let error = bench.run(component, json!({"path": path}), inputs).await.err().unwrap();
            assert!(error.to_string().contains(&message), "{error}");
            assert!(bench.files().is_empty(), "{:?}", bench.files());
        }
    }
}

#[tokio::test]
async fn what_was_copied_may_change() {
    for format in FORMATS {
        let bench = Bench::new();
        let inputs = read(&bench, format, json!({"materialize": "table"}), Vec::new()).await;
        replace(&bench, format).await;
        bench.run("filesystem.csv_writer", json!({"path": "out.csv"}), inputs).await.unwrap();
        assert_eq!(bench.text("out.csv"), "n\n0\n1\n2\n");
    }
}

#[tokio::test]
async fn a_condition_whose_value_varies_is_evaluated_once() {
    let bench = Bench::new();
    bench.write(WRITER, "SELECT range AS n FROM range(3)", json!({"path": "in.parquet"})).await.unwrap();
    for (filter, views) in [
        ("n < 2", "1"),
        ("random() < 0.5", "0"),
        ("n < 2 AND (n = 0 OR abs(Random()) > 2)", "0"),
        ("uuid() IS NOT NULL", "0"),
    ] {
        let config = json!({"path": "in.parquet", "filter": filter});
        let request = StepRequest::new("read");
        bench.request("filesystem.parquet_extractor", request, (config, json!({})), Inputs::none()).await.unwrap();
        assert_eq!(bench.query(VIEWS).await, views, "{filter}");
    }
}

#[tokio::test]
async fn csv_that_duckdb_cannot_read_as_it_is_or_whose_values_are_checked_is_copied() {
    let bench = Bench::new();
    bench
        .put("a.csv", "n\n1\n")
        .put("b.csv", "n\n1\n# c\n2\n")
        .put("c.csv", [b"n\n".as_slice(), &[0xe9, b'\n']].concat());
    for (config, views) in [
        (json!({"path": "a.csv"}), "1"),
        (json!({"path": "a.csv", "dtype": {"n": "BIGINT"}}), "1"),
        (json!({"path": "a.csv", "dtype": {"n": "DATE"}, "on_bad_lines": "reject", "max_rejects": 1}), "0"),
        (json!({"path": "a.csv", "limit": 1}), "0"),
        (json!({"path": "b.csv", "comment": "#"}), "0"),
        (json!({"path": "c.csv", "encoding": "latin-1"}), "0"),
    ] {
        bench
            .request("filesystem.csv_extractor", StepRequest::new("read"), (config.clone(), json!({})), Inputs::none())
            .await
            .unwrap();
        assert_eq!(bench.query(VIEWS).await, views, "{config}");
    }
}

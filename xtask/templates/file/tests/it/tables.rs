//! The behaviour of this driver, in addition to the rules of every driver.

use std::fs;

use osiris_core::{ErrorKind, StepFailure, StepOutput};
use osiris_testkit::{Bench, Rows};
use serde_json::{Value, json};

/// A run over a directory with these tables.
fn bench(tables: &[(&str, &str)]) -> Bench {
    let bench = Bench::new(osiris_driver_samplefile::register).unwrap();
    for (name, text) in tables {
        bench.place().write(format!("{name}.txt"), text).unwrap();
    }
    bench
}

async fn extract(bench: &Bench, table: &str) -> Result<StepOutput, StepFailure> {
    let step = bench.step("read", "samplefile.extractor", json!({"table": table}));
    step.connection(json!({"directory": bench.place().path()})).run().await
}

async fn write(bench: &Bench, select: &str, config: Value) -> Result<StepOutput, StepFailure> {
    let input = bench.table("rows", select).await.unwrap();
    let step = bench.step("write", "samplefile.writer", config).input(&input);
    step.connection(json!({"directory": bench.place().path()})).run().await
}

fn text(bench: &Bench, table: &str) -> String {
    fs::read_to_string(bench.place().join(format!("{table}.txt"))).unwrap()
}

#[tokio::test]
async fn cells_are_read_with_their_escapes_and_nulls() {
    let bench = bench(&[("t", "id\tname\n1\t\\N\n2\t\r\n3\ta\\tb\\\\N\\nc")]);
    let output = extract(&bench, "t").await.unwrap();
    let mut expected = Rows::new(["id", "name"]).with_types(["VARCHAR", "VARCHAR"]);
    expected.push(vec![Some("1".to_owned()), None]);
    let expected = expected.row(["2", ""]).row(["3", "a\tb\\N\nc"]);
    assert_eq!(expected.difference(&bench.rows(&output.table.unwrap()).await.unwrap()), None);
}

#[tokio::test]
async fn a_line_that_is_no_row_is_named_by_its_number_and_not_shown() {
    for (table, expected) in [
        ("a\tb\n1\t2\nprivate\n", "line 3 has 1 cells: expected 2"),
        ("a\nprivate\\x\n", "line 2 has an unknown escape sequence"),
    ] {
        let error = extract(&bench(&[("t", table)]), "t").await.unwrap_err().error;
        assert_eq!((error.kind(), error.message()), (ErrorKind::Validation, expected));
        assert!(error.report().contains("t.txt") && !error.report().contains("private"), "{error:?}");
    }
    let error = extract(&bench(&[("t", "")]), "t").await.unwrap_err().error;
    assert_eq!(error.message(), "the table `t` has no columns");
}

#[tokio::test]
async fn rows_are_added_in_the_order_of_the_existing_columns() {
    let bench = bench(&[("t", "b\ta\n1\t2")]);
    write(&bench, "SELECT 3 AS a, 4.50 AS b, NULL AS c", json!({"table": "t", "columns": ["A", "b"]})).await.unwrap();
    assert_eq!(text(&bench, "t"), "b\ta\n1\t2\n4.50\t3\n");
}

#[tokio::test]
async fn rows_of_other_columns_are_not_added() {
    let bench = bench(&[("t", "a\n1\n")]);
    let error = write(&bench, "SELECT 3 AS a, 4 AS b", json!({"table": "t"})).await.unwrap_err().error;
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(error.message().contains("the table has a, the rows have a, b"), "{error:?}");
    assert_eq!(text(&bench, "t"), "a\n1\n");
}

#[tokio::test]
async fn rows_that_a_text_file_cannot_hold_are_refused_up_to_the_limit() {
    let bench = bench(&[]);
    let select = "SELECT if(i = 1, chr(0), 'x') AS a FROM range(3) t(i)";
    let output = write(&bench, select, json!({"table": "t", "max_rejects": 1})).await.unwrap();
    assert_eq!((output.rows, output.counts.rejected), (2, 1));
    assert_eq!(text(&bench, "t"), "a\nx\nx\n");
}

#[test]
fn a_mode_that_is_not_supported_and_a_path_are_refused_before_anything_is_opened() {
    let bench = bench(&[]);
    let problem = |component: &str, config: Value| {
        let problems = bench.config_problems(component, &config).unwrap();
        problems[0].to_string()
    };
    let mode = problem("samplefile.writer", json!({"table": "t", "mode": "upsert"}));
    assert_eq!(mode, "mode: `upsert` is not one of append, overwrite");
    let path = problem("samplefile.extractor", json!({"table": "../t"}));
    assert_eq!(
        path,
        "table: invalid table `../t`: expected a file name, not a path (set `directory` in the connection)"
    );
}

#[test]
fn a_relative_directory_is_refused() {
    let bench = bench(&[]);
    let prepared = bench.prepare("samplefile.writer", &json!({}), &json!({"directory": "tables"})).unwrap();
    assert_eq!(prepared.connection_problems()[0].to_string(), "directory: must be an absolute path");
}

#[tokio::test]
async fn only_files_are_tables() {
    let bench = bench(&[("orders", "id\tday\n"), ("nothing", "")]);
    bench.place().write("directory.txt/x", "").unwrap();
    let connection = bench.connection("samplefile.extractor", &json!({"directory": bench.place().path()})).unwrap();
    let catalog = bench.driver("samplefile.extractor").unwrap().family().discover(&connection, None).await.unwrap();
    let found: Vec<(&str, usize)> =
        catalog.resources.iter().map(|resource| (resource.name.as_str(), resource.fields.len())).collect();
    assert_eq!(found, [("nothing", 0), ("orders", 2)]);
}

use osiris_core::{Error, ErrorKind};
use osiris_testkit::{Bench, BenchOptions, Place, Rows, Sample};
use serde_json::json;

use crate::lines::{LinesCopier, LinesExtractor, LinesWriter};

fn register(registry: &mut osiris_core::Registry) -> osiris_core::Result<()> {
    registry.extractor(LinesExtractor::new(None)).add()?;
    registry.processor(LinesCopier::new(None)).add()?;
    registry.writer(LinesWriter::new(None)).add()
}

#[tokio::test]
async fn three_steps_run_one_after_another() {
    for options in [BenchOptions::new(), BenchOptions::new().in_a_file()] {
        let bench = Bench::at(&Place::new().unwrap(), &options, register).unwrap();
        bench.place().write("a", "[\"id\",\"x\"]\n[\"1\",null]\n[\"2\",\"two\"]\n").unwrap();
        let connection = json!({"directory": bench.place().path()});
        let read = bench.step("read", "lines.extractor", json!({"table": "a"})).connection(connection.clone());
        let table = read.run().await.unwrap().table.unwrap();
        let copy = bench.step("copy", "lines.copier", json!({"from": "read"})).input(&table).run().await.unwrap();
        let copied = copy.table.unwrap();
        let write = bench.step("write", "lines.writer", json!({"table": "b"})).connection(connection).input(&copied);
        assert_eq!(write.run().await.unwrap().rows, 2);
        let written = std::fs::read_to_string(bench.place().join("b")).unwrap();
        assert_eq!(written, "[\"id\",\"x\"]\n[\"1\",null]\n[\"2\",\"two\"]\n");
        assert_eq!(bench.metrics().matching("metric", "rows_written").len(), 1);
        let query = bench.query("SELECT max(id) AS most FROM steps.read").await.unwrap();
        assert_eq!(query, Rows::new(["most"]).with_types(["BIGINT"]).row(["2"]));
    }
}

#[tokio::test]
async fn a_table_can_be_made_of_sql_and_of_a_sample() {
    let bench = Bench::new(register).unwrap();
    let table = bench.table("made", "SELECT 1.50::DECIMAL(4,2) AS d, NULL::DATE AS n").await.unwrap();
    let mut expected = Rows::new(["d", "n"]).with_types(["DECIMAL(4,2)", "DATE"]);
    expected.push(vec![Some("1.50".to_owned()), None]);
    assert_eq!(bench.rows(&table).await.unwrap(), expected);
    for rows in [0, 5000] {
        let sample = Sample::new(rows);
        let table = bench.table("sample", sample).await.unwrap();
        assert_eq!(table.rows(), rows);
        let expected = sample.text().unwrap().with_types(Sample::TYPES);
        assert_eq!(expected.difference(&bench.rows(&table).await.unwrap()), None);
    }
}

#[tokio::test]
async fn a_step_of_an_unknown_component_fails_with_the_names_of_the_known_ones() {
    let bench = Bench::new(register).unwrap();
    let error = Error::from(bench.step("x", "lines.extrator", json!({})).run().await.unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(error.hint().unwrap().contains("lines.extractor"), "{error:?}");
}

#[tokio::test]
#[should_panic(expected = "telemetry does not fit its schemas")]
async fn telemetry_that_does_not_fit_its_schema_ends_a_test() {
    let bench = Bench::new(register).unwrap();
    bench.place().write("a", "[\"id\"]\n").unwrap();
    bench.run_context().telemetry().log_event("made_up", json!({}));
    let step = bench.step("read", "lines.extractor", json!({"table": "a"}));
    let _ = step.connection(json!({"directory": bench.place().path()})).run().await;
}

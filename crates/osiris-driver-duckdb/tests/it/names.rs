use osiris_core::{ColumnType, Inputs};
use serde_json::json;

use crate::Run;

#[tokio::test]
async fn an_input_is_known_by_every_name_of_old_and_new_pipelines() {
    let run = Run::new();
    let movies = run.table("extract-movies", "SELECT 1 AS id").await;
    for name in [
        "\"extract-movies\"",
        "extract_movies",
        "films",
        "\"df_extract-movies\"",
        "df_extract_movies",
        "input",
        "input_df",
    ] {
        let mut inputs = Inputs::none();
        inputs.insert(Some("films".to_owned()), movies.clone());
        let output = run.process(json!({"query": format!("SELECT * FROM {name}")}), inputs).await;
        assert_eq!(output.unwrap_or_else(|failure| panic!("{name}: {:?}", failure.error)).rows, 1);
    }
}

#[tokio::test]
async fn several_inputs_are_joined_and_none_of_them_is_called_input() {
    let run = Run::new();
    let mut inputs = Inputs::none();
    inputs.insert(None, run.table("a", "SELECT 1 AS id, 'x' AS v").await);
    inputs.insert(None, run.table("b", "SELECT 1 AS id, 'y' AS w").await);
    let output = run.process(json!({"query": "SELECT v, w FROM a JOIN b USING (id)"}), inputs.clone()).await.unwrap();
    assert_eq!(run.rows(&output.table.unwrap()).await, ["x|y"]);
    assert!(run.process(json!({"query": "SELECT * FROM input"}), inputs).await.is_err());
}

#[tokio::test]
async fn an_unknown_table_lists_those_there_are() {
    let run = Run::new();
    let inputs = Inputs::one(run.table("movies", "SELECT 1 AS id").await);
    insta::assert_snapshot!(run.refused(json!({"query": "SELECT * FROM movie"}), inputs.clone()).await, @"
    step `out-put`: the query is not valid: query: there is no table `movie`
    hint: did you mean `movies`? Tables: movies
    ");
    run.table("other", "SELECT 1 AS id").await;
    let message = run.refused(json!({"query": "SELECT * FROM other"}), inputs).await;
    assert!(message.contains("there is no table `other`"), "a step that is not upstream was read: {message}");
}

#[tokio::test]
async fn instants_follow_a_column_by_name_and_type() {
    let run = Run::new();
    let events =
        run.table("events", "SELECT '2024-01-01 12:00:00+00'::TIMESTAMPTZ AS t, TIMESTAMP '2024-01-01' AS plain").await;
    assert_eq!(events.schema().columns()[0].column_type, ColumnType::Instant);
    let config = json!({
        "query": "SELECT t, t AS renamed, date_trunc('day', t) AS day, t::DATE AS date, plain FROM events",
        "instants": ["day"],
    });
    let table = run.process(config, Inputs::one(events)).await.unwrap().table.unwrap();
    let types: Vec<_> = table.schema().columns().iter().map(|column| column.column_type.clone()).collect();
    use ColumnType as T;
    assert_eq!(types, [T::Instant, T::Timestamp, T::Instant, T::Date, T::Timestamp]);
}

#[tokio::test]
async fn an_instant_that_is_no_timestamp_is_refused() {
    let run = Run::new();
    let inputs = Inputs::one(run.table("t", "SELECT 1 AS id").await);
    insta::assert_snapshot!(run.refused(json!({"query": "FROM t", "instants": ["id", "at"]}), inputs).await, @"
    step `out-put`: `instants` names columns that are not TIMESTAMP columns of the result: id, at
    hint: the result has: id INTEGER
    ");
}

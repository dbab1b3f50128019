use osiris_core::Inputs;
use serde_json::json;

use crate::Run;

#[tokio::test]
async fn several_statements_build_on_each_other() {
    let run = Run::new();
    let inputs = Inputs::one(run.table("t", "SELECT * FROM range(10) r(i)").await);
    let query = "
        CREATE TEMP MACRO double(x) AS x * 2;
        CREATE TEMP TABLE even AS SELECT i FROM t WHERE i % 2 = 0;
        CREATE TEMP VIEW big AS FROM even WHERE i > 3;
        SELECT double(i) AS i FROM big;";
    let output = run.process(json!({"query": query}), inputs).await.unwrap();
    assert_eq!(run.rows(&output.table.unwrap()).await, ["8", "12", "16"]);
    let again = run.process(json!({"query": query}), Inputs::one(run.table("t", "SELECT 7 AS i").await)).await;
    assert_eq!(again.unwrap().rows, 0, "temporary tables of an earlier run were still there");
}

#[tokio::test]
async fn inputs_are_never_changed() {
    let run = Run::new();
    let table = run.table("t", "SELECT 1 AS i").await;
    run.process(json!({"query": "SELECT i + 1 AS i FROM t"}), Inputs::one(table.clone())).await.unwrap();
    assert_eq!(run.rows(&table).await, ["1"]);
}

#[tokio::test]
async fn a_view_is_computed_when_it_is_read() {
    let run = Run::new();
    let inputs = Inputs::one(run.table("t-1", "SELECT * FROM range(3) r(i)").await);
    let config = json!({"query": "WITH q AS (SELECT i FROM t_1) SELECT i * 10 AS i FROM q", "materialize": "view"});
    let table = run.process(config.clone(), inputs.clone()).await.unwrap().table.unwrap();
    assert_eq!(run.rows(&table).await, ["0", "10", "20"]);
    let table = run.process(config, inputs).await.unwrap().table.unwrap();
    assert_eq!(table.rows(), 3, "a view can be made again");
}

#[tokio::test]
async fn errors_say_where_in_the_query() {
    let run = Run::new();
    let inputs = || async { Inputs::one(run.table("movies", "SELECT 1 AS title").await) };
    insta::assert_snapshot!(run.refused(json!({"query": "SELECT title,\n       titel\nFROM movies"}), inputs().await).await, @r#"
    step `out-put`: the query failed at line 2, column 8: Referenced column "titel" not found in FROM clause!
    hint: Candidate bindings: "title"
    "#);
    insta::assert_snapshot!(run.refused(json!({"query": "SELECT FROM movies"}), inputs().await).await, @"
    step `out-put`: its config is not valid: query: SQL error: SELECT clause without selection list
    hint: fix it and run again
    ");
    insta::assert_snapshot!(run.refused(json!({"query": "SELECT 'Jane'::INTEGER AS i FROM movies"}), inputs().await).await, @"
    step `out-put`: the query failed: Could not convert string '***' to INT32
    hint: use TRY_CAST where a value may not fit the type
    ");
}

#[tokio::test]
async fn result_columns_that_differ_by_case_alone_are_refused() {
    let run = Run::new();
    let inputs = Inputs::one(run.table("t", "SELECT 1 AS id").await);
    let message = run.refused(json!({"query": "SELECT id AS \"A\", id AS a FROM t"}), inputs).await;
    assert!(message.contains("column names must differ by more than case"), "{message}");
}

#[tokio::test]
async fn a_dry_run_binds_the_query_and_skips_the_assertions() {
    let run = Run::new();
    let inputs = Inputs::one(run.table("t", "SELECT 1 AS id WHERE false").await);
    let step = run.step(&json!({"query": "FROM t", "assertions": [{"row_count": {"min": 1}}]})).unwrap();
    let mut request = osiris_core::StepRequest::new("dry");
    request.dry_run = true;
    assert_eq!(step.run(&request, &inputs, &run.context.step("dry")).await.unwrap().rows, 0);
}

#[tokio::test]
async fn g45_the_query_may_be_called_sql() {
    let run = Run::new();
    let output = run.process(json!({"sql": "SELECT 5 AS i"}), Inputs::default()).await.unwrap();
    assert_eq!(run.rows(&output.table.unwrap()).await, ["5"]);
    let problems = run.prepare(&json!({"sql": "DELETE FROM t"})).config_problems().to_vec();
    assert!(problems.len() == 1 && problems[0].pointer == "/query", "{problems:?}");
}

use osiris_core::{ErrorKind, Inputs};
use serde_json::{Value, json};

use crate::Run;

const ROWS: &str = "SELECT * FROM (VALUES (1, 'a'), (1, 'b'), (2, NULL), (NULL, 'z')) t(id, kind)";

async fn check(assertion: Value) -> Result<(), String> {
    let run = Run::new();
    let inputs = Inputs::one(run.table("t", ROWS).await);
    let config = json!({"query": "FROM t", "assertions": [assertion]});
    let result = run.process(config, inputs).await;
    result.map(|_| ()).map_err(|failure| {
        assert_eq!(failure.error.kind(), ErrorKind::Integrity, "{:?}", failure.error);
        failure.error.message().to_owned()
    })
}

#[tokio::test]
async fn each_kind_of_assertion_holds_and_fails() {
    for good in [
        json!({"not_null": "id", "severity": "warn"}),
        json!({"unique": ["id", "kind"]}),
        json!({"accepted_values": {"column": "kind", "values": ["a", "b", "z"]}}),
        json!({"accepted_values": {"column": "id", "values": [1, 2]}}),
        json!({"row_count": {"min": 4, "max": 4, "equals": 4}}),
        json!({"sql": "SELECT * FROM result WHERE id > 2"}),
        json!({"sql": "SELECT * FROM \"out-put\" JOIN t USING (id) WHERE id > 2"}),
    ] {
        assert_eq!(check(good.clone()).await, Ok(()), "{good}");
    }
    for (bad, message) in [
        (json!({"not_null": ["id", "kind"]}), "assertion failed: `id, kind not null` (2 rows)"),
        (json!({"unique": "id"}), "assertion failed: `id unique` (2 rows)"),
        (
            json!({"accepted_values": {"column": "kind", "values": ["a"]}}),
            "assertion failed: `kind accepted values` (2 rows)",
        ),
        (json!({"row_count": {"min": 5}}), "assertion failed: `row count` (1 row)"),
        (
            json!({"name": "no ones", "sql": "SELECT * FROM result WHERE id = 1"}),
            "assertion failed: `no ones` (2 rows)",
        ),
    ] {
        assert_eq!(check(bad.clone()).await, Err(message.to_owned()), "{bad}");
    }
}

#[tokio::test]
async fn offending_rows_are_kept_with_the_rejects() {
    let run = Run::new();
    let inputs = Inputs::one(run.table("t", ROWS).await);
    let ctx = run.context.step("out-put");
    let config = json!({"query": "FROM t", "assertions": [{"unique": "id"}, {"not_null": "kind", "severity": "warn"}]});
    let step = run.step(&config).unwrap();
    step.run(&osiris_core::StepRequest::new("out-put"), &inputs, &ctx).await.unwrap_err();
    let kept: Vec<String> = run
        .store()
        .call(|connection| {
            let mut statement =
                connection.prepare("SELECT reason || ' ' || row FROM rejects.\"out-put\" ORDER BY ALL").unwrap();
            Ok(statement.query_map([], |row| row.get(0)).unwrap().map(|row| row.unwrap()).collect())
        })
        .await
        .unwrap();
    insta::assert_snapshot!(kept.join("\n"), @r#"
    assertion `id unique` {"id":1,"kind":"a"}
    assertion `id unique` {"id":1,"kind":"b"}
    assertion `kind not null` {"id":2,"kind":null}
    "#);
    let file = run.directory.path().join("tmp").join("rejects.parquet");
    ctx.rejects().export(&file).await.unwrap();
    assert!(file.exists());
}

#[tokio::test]
async fn assertions_that_make_no_sense_are_refused_together() {
    let run = Run::new();
    let prepared = run.prepare(&json!({
        "query": "DELETE FROM t",
        "assertions": [{}, {"not_null": "a", "unique": "b"}, {"row_count": {}}, {"sql": "SELEC"}, {"not_null": []}],
    }));
    let messages: Vec<String> = prepared.config_problems().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(messages.join("\n"), @r#"
    query: `DELETE` is not allowed here: SQL of a pipeline only reads (use one SELECT, or CREATE TEMP TABLE, VIEW or MACRO statements before it)
    assertions.0: an assertion needs exactly one of sql, not_null, unique, accepted_values, row_count
    assertions.1: an assertion needs exactly one of sql, not_null, unique, accepted_values, row_count
    assertions.2.row_count: needs min, max or equals
    assertions.3.sql: SQL error: syntax error at or near "SELEC" (did you mean `SELECT`?)
    assertions.4: names no column
    "#);
}

use osiris_core::Inputs;
use serde_json::json;

use crate::Run;

#[tokio::test]
async fn a_processor_can_do_nothing_but_read_its_inputs() {
    let run = Run::new();
    std::fs::write(run.directory.path().join("secret.csv"), "a\n1\n").unwrap();
    let inputs = Inputs::one(run.table("t", "SELECT 1 AS id").await);
    let secret = run.directory.path().join("secret.csv").display().to_string();
    for query in [
        format!("SELECT * FROM read_csv('{secret}')"),
        format!("SELECT * FROM '{secret}'"),
        format!("SELECT * FROM read_text('{secret}')"),
        format!("SELECT * FROM glob('{}/*')", run.directory.path().display()),
        format!("COPY t TO '{secret}'"),
        format!("ATTACH '{secret}' AS other"),
        "INSTALL httpfs".to_owned(),
        "LOAD httpfs".to_owned(),
        "SET memory_limit = '100GB'".to_owned(),
        "PRAGMA enable_profiling".to_owned(),
        "DROP TABLE steps.t".to_owned(),
        "UPDATE t SET id = 2".to_owned(),
        "CREATE TABLE x AS FROM t".to_owned(),
        "WITH x AS (DELETE FROM steps.t RETURNING *) FROM x".to_owned(),
        "SELECT * FROM query('DROP TABLE steps.t')".to_owned(),
    ] {
        let message = run.refused(json!({"query": query}), inputs.clone()).await;
        assert!(message.starts_with("step `out-put`: "), "{query}: {message}");
    }
    assert_eq!(std::fs::read_to_string(secret).unwrap(), "a\n1\n");
    assert_eq!(run.store().table("t").await.unwrap().unwrap().rows(), 1);
}

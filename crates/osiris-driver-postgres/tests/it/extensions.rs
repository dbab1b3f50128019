//! Types of extensions that come with PostgreSQL: read and written they are what they were.

use osiris_testkit::database::{config, types};
use serde_json::json;

use crate::subject::Writing;

const ROWS: &str = r#"CREATE TABLE source (id int PRIMARY KEY, word citext, words citext[], pairs hstore, note text);
    INSERT INTO source VALUES
      (1, 'MiXed', ARRAY['A', 'a', NULL, 'x,"y"\']::citext[], 'a=>1, "B c"=>"q\"u,o=>te", n=>NULL, e=>""', 'p'),
      (2, '', '{}', '', ''),
      (3, NULL, NULL, NULL, NULL)"#;

/// A server with the extensions. None where it does not have them, or tests with servers are left out.
async fn writing() -> Option<Writing> {
    let writing = Writing::new().await?;
    for name in ["citext", "hstore"] {
        if !writing.server.create_extension(name).await.unwrap() {
            return None;
        }
    }
    Some(writing)
}

#[tokio::test]
async fn values_of_citext_and_hstore_survive_being_read_and_written() {
    let Some(writing) = writing().await else { return };
    writing.execute(ROWS).await;
    writing.execute("CREATE TABLE t (LIKE source INCLUDING ALL)").await;
    let read = writing.bench.step("read", "postgres.extractor", json!({"table": "source"}));
    let read = read.connection(writing.connection.clone()).run().await;
    let read = read.unwrap_or_else(|failure| panic!("{}", failure.error.report()));
    assert_eq!(types(&read), ["id INTEGER", "word VARCHAR", "words JSON", "pairs VARCHAR", "note VARCHAR"]);
    let table = read.table.unwrap();
    for mode in [json!({}), json!({"mode": "upsert", "key": "id"})] {
        let written = writing.write_table(config(mode.clone()), &table).await;
        let written = written.unwrap_or_else(|failure| panic!("{}", failure.error.report()));
        let expected = if mode == json!({}) { written.counts.inserted } else { written.counts.unchanged };
        assert_eq!(expected, 3, "{:?}", written.counts);
        let rows = "SELECT r::text FROM";
        assert_eq!(
            writing.shown(&format!("{rows} source r ORDER BY id")).await,
            writing.shown(&format!("{rows} t r ORDER BY id")).await
        );
    }
}

#[tokio::test]
async fn a_key_that_ignores_case_is_found_whatever_its_case() {
    let Some(writing) = writing().await else { return };
    writing.execute("CREATE TABLE t (word citext PRIMARY KEY, n int)").await;
    writing.execute("INSERT INTO t VALUES ('Alpha', 1), ('beta', 2)").await;
    let data = "SELECT 'ALPHA' AS word, 5 AS n UNION ALL SELECT 'gamma', 6";
    let written = writing.write(config(json!({"mode": "upsert", "key": "word"})), data).await;
    let counts = written.unwrap_or_else(|failure| panic!("{}", failure.error.report())).counts;
    assert_eq!((counts.inserted, counts.updated), (1, 1), "{counts:?}");
    assert_eq!(writing.shown("SELECT lower(word), n FROM t ORDER BY 1").await, "alpha|5\nbeta|2\ngamma|6");
}

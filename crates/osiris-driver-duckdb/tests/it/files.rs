//! Inputs that are read from files where they lie: SQL must meet as many rows as their step has counted.

use osiris_core::store::FileIdentity;
use osiris_core::{ErrorKind, Inputs, TableRef};
use serde_json::json;

use crate::Run;

/// A view over a file of three rows, of which its step says that it has `counted` so many.
async fn view(run: &Run, counted: u64) -> TableRef {
    let path = run.store().scratch_dir().join("rows.csv");
    std::fs::write(&path, "1\n2\n3\n").unwrap();
    let select =
        format!("SELECT c AS i FROM read_csv('{}', header = false, columns = {{'c': 'BIGINT'}})", path.display());
    let files = vec![FileIdentity::of(&path).unwrap()];
    let sink = run.store().sink("t").await.unwrap();
    sink.call(move |tx| tx.create_file_view_as(&select, files, vec![counted], &|_| false)).await.unwrap();
    sink.finish().await.unwrap()
}

const QUERIES: [&str; 9] = [
    "SELECT sum(i) AS i FROM t",
    "SELECT count(*) AS i FROM t WHERE i > 1",
    "SELECT i FROM t LIMIT 1",
    "SELECT i FROM t WHERE false",
    "SELECT a.i FROM t a JOIN t b USING (i)",
    "WITH RECURSIVE r AS (SELECT i FROM t UNION SELECT r.i + 1 FROM r JOIN t USING (i)) FROM r",
    "SELECT i FROM steps.t UNION ALL SELECT 1",
    "CREATE TEMP TABLE big AS FROM t WHERE i > 1; SELECT i FROM big",
    "SELECT 1 AS i",
];

#[tokio::test]
async fn every_row_that_was_counted_in_a_file_is_met() {
    let run = Run::new();
    for query in QUERIES {
        let inputs = Inputs::one(view(&run, 3).await);
        run.process(json!({"query": query}), inputs.clone())
            .await
            .unwrap_or_else(|failure| panic!("{query}: {failure:?}"));
        run.process(json!({"query": query, "materialize": "table"}), inputs).await.unwrap();
    }
}

#[tokio::test]
async fn another_number_of_rows_than_was_counted_in_a_file_is_an_error() {
    let run = Run::new();
    for counted in [0, 2, 4, 6] {
        for query in QUERIES {
            let inputs = Inputs::one(view(&run, counted).await);
            let failure = run.process(json!({"query": query}), inputs).await.unwrap_err();
            assert_eq!(failure.error.kind(), ErrorKind::Integrity, "{counted}: {query}");
            assert!(run.store().table("out-put").await.unwrap().is_none(), "{counted}: {query}");
        }
    }
    let message = run.refused(json!({"query": "SELECT i FROM t LIMIT 1"}), Inputs::one(view(&run, 4).await)).await;
    insta::assert_snapshot!(message, @"
    step `out-put`: the step `t` counted 4 rows in its files, but 3 were read from them
    hint: this is a bug: please report it with the first lines of the files; a copy of them is read with a large `limit`
    ");
}

#[tokio::test]
async fn a_scan_that_meets_another_number_of_rows_is_an_error() {
    let run = Run::new();
    for counted in [2, 3, 4] {
        let table = view(&run, counted).await;
        let mut scan = run.store().scan(&table).open().await.unwrap();
        let end = loop {
            match scan.next().await {
                Ok(Some(_)) => {}
                end => break end,
            }
        };
        assert_eq!(end.is_ok(), counted == 3, "{counted}");
    }
}

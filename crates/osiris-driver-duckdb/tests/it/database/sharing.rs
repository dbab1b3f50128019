//! Several steps of one process over one file: DuckDB's lock does not keep them apart.

use serde_json::json;

use super::Database;

#[tokio::test(flavor = "multi_thread")]
async fn steps_over_one_file_see_whole_writes_and_lose_none() {
    let database = Database::new("CREATE TABLE t (i BIGINT); CREATE TABLE u (i BIGINT)");
    let input = database.bench.table("input", "SELECT i FROM range(20000) r(i)").await.unwrap();
    let read = |id: &str| {
        database.bench.step(id, "duckdb.extractor", json!({"table": "t"})).connection(database.connection()).run()
    };
    let write = |id: &str, table: &str| {
        let step = database.bench.step(id, "duckdb.writer", json!({"table": table})).connection(database.connection());
        step.input(&input).run()
    };
    // By other names as well.
    let (one, two, three, four, five) =
        tokio::join!(read("r1"), write("w1", "t"), read("r2"), write("w2", "u"), write("w3", "t"));
    for read in [one.unwrap(), three.unwrap()] {
        assert_eq!(read.counts.read % 20_000, 0, "a part of a write was read");
    }
    for write in [two, four, five] {
        assert_eq!(write.unwrap_or_else(|failure| panic!("{}", failure.error.report())).counts.inserted, 20_000);
    }
    assert_eq!(database.value("SELECT (SELECT count(*) FROM t) || ' ' || (SELECT count(*) FROM u)"), "40000 20000");
}

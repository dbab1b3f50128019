use osiris_core::{ErrorKind, Store, StoreKind, StoreOptions};

/// Runs `sql` in a store that may reach only `allowed`.
async fn run(sql: String) -> osiris_core::Result<()> {
    let directory = tempfile::tempdir().unwrap();
    let allowed = directory.path().join("allowed");
    std::fs::create_dir_all(&allowed).unwrap();
    std::fs::write(allowed.join("a.csv"), "a\n1\n").unwrap();
    std::fs::write(directory.path().join("secret.csv"), "a\n1\n").unwrap();
    let options = StoreOptions::new(StoreKind::Memory, directory.path().join("tmp")).with_directories([allowed]);
    let store = Store::open(&options).unwrap();
    let sql = sql.replace("DIR", &directory.path().display().to_string());
    store
        .call(move |connection| {
            connection.execute_batch(&sql).map_err(|error| osiris_core::store::store_error(error, "refused"))
        })
        .await
}

#[tokio::test]
async fn files_of_the_plan_can_be_read_and_others_cannot() {
    run("SELECT * FROM read_csv('DIR/allowed/a.csv')".into()).await.unwrap();
    for outside in ["DIR/secret.csv", "DIR/allowed/../secret.csv", "/etc/passwd"] {
        let error = run(format!("SELECT * FROM read_csv('{outside}')")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Permission, "{outside}: {error:?}");
    }
}

#[tokio::test]
async fn the_engine_is_locked() {
    for sql in [
        "ATTACH 'DIR/other.duckdb' AS other",
        "COPY (SELECT 1) TO 'DIR/out.csv'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET memory_limit = '1GB'",
        "SET allowed_directories = ['/']",
        "RESET lock_configuration",
        "SELECT * FROM read_csv('https://example.com/a.csv')",
    ] {
        assert!(run(sql.to_owned()).await.is_err(), "{sql}");
    }
}

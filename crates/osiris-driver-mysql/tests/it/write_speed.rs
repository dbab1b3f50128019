//! How fast the writer is against the server's own `LOAD DATA LOCAL INFILE` of a prepared file. Run by hand, in release:
//! `cargo test --release -p osiris-driver-mysql --features bundled --test it write_speed -- --ignored --nocapture`

use std::fmt::Write as _;
use std::time::Instant;

use osiris_testkit::database::speed::{COLUMNS, TABLE};
use osiris_testkit::services::MysqlOptions;
use serde_json::json;

use super::subject::Writing;

const ROWS: u64 = 600_000;

#[ignore = "a measurement"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn measure_loading_against_the_servers_own_client() {
    let options = MysqlOptions::new().with_setting("innodb-buffer-pool-size", "1G").with_redo_log(512);
    let Some(writing) = Writing::with(options).await else { return };
    writing.execute(&format!("CREATE TABLE t {TABLE}; CREATE TABLE by_hand {TABLE}")).await;
    let input =
        writing.bench.table("source", format!("SELECT {COLUMNS} FROM range({ROWS}) r(i)").as_str()).await.unwrap();
    let file = writing.bench.place().join("rows.tsv");
    let mut text = String::new();
    for row in writing.bench.rows(&input).await.unwrap().rows() {
        let fields: Vec<&str> = row.iter().map(|field| field.as_deref().unwrap_or("\\N")).collect();
        writeln!(text, "{}", fields.join("\t")).unwrap();
    }
    std::fs::write(&file, text).unwrap();
    let port = writing.connection["port"].to_string();
    let user = writing.connection["user"].as_str().unwrap();
    let password = writing.connection["password"].as_str().unwrap();
    for _ in 0..3 {
        writing.execute("TRUNCATE TABLE t; TRUNCATE TABLE by_hand").await;
        let started = Instant::now();
        let sql = format!("LOAD DATA LOCAL INFILE '{}' INTO TABLE by_hand CHARACTER SET utf8mb4", file.display());
        let status = std::process::Command::new("mariadb")
            .args([
                "--no-defaults",
                "--host=127.0.0.1",
                "--local-infile=1",
                "--skip-ssl",
                "--database=test",
                "-e",
                &sql,
            ])
            .args([format!("--port={port}"), format!("--user={user}"), format!("--password={password}")])
            .status()
            .unwrap();
        assert!(status.success());
        let by_hand = started.elapsed();
        let started = Instant::now();
        writing.write_table(json!({"table": "t"}), &input).await.unwrap();
        let written = started.elapsed();
        println!(
            "LOAD DATA {by_hand:.2?}, mysql.writer {written:.2?}: {:.2}x",
            written.as_secs_f64() / by_hand.as_secs_f64()
        );
    }
    writing
        .execute("CREATE TABLE keyed LIKE t; ALTER TABLE keyed ADD PRIMARY KEY (id); INSERT INTO keyed SELECT * FROM t")
        .await;
    writing.execute("UPDATE keyed SET note = 'old' WHERE id % 2 = 0; DELETE FROM keyed WHERE id % 5 = 0").await;
    let started = Instant::now();
    let upsert = json!({"table": "keyed", "mode": "upsert", "key": "id"});
    let output = writing.write_table(upsert, &input).await.unwrap();
    println!("upsert of {ROWS} rows {:.2?}: {:?}", started.elapsed(), output.counts);
    writing.execute("UPDATE keyed SET note = 'old' WHERE id % 2 = 0; DELETE FROM keyed WHERE id % 5 = 0").await;
    let started = Instant::now();
    let names = "part, supplier, line, quantity, price, discount, tax, flag, status, shipped, promised, received, instruction, mode, note";
    let assignments: Vec<String> = names.split(", ").map(|name| format!("{name} = VALUES({name})")).collect();
    writing
        .execute(&format!("INSERT INTO keyed SELECT * FROM t ON DUPLICATE KEY UPDATE {}", assignments.join(", ")))
        .await;
    println!("the same statement by hand, from a table that is there {:.2?}", started.elapsed());
}

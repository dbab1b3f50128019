//! Two writers of one destination at once.

use std::sync::Arc;

use osiris_core::RetryPolicy;
use osiris_testkit::Bench;
use serde_json::{Value, json};

/// How many write at once, and how often.
const WRITERS: usize = 8;
const ROUNDS: usize = 8;

/// The names in the directory of the destination that a writer may leave there by mistake.
fn left_over(bench: &Bench) -> Vec<String> {
    let entries = std::fs::read_dir(bench.place().path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with('.')).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s16_of_writers_that_begin_at_once_none_removes_the_temporary_file_of_another() {
    let bench = Arc::new(Bench::new(osiris_driver_filesystem::register).unwrap());
    let input = bench.table("input", "SELECT i AS id, 'x' AS name FROM range(3) r(i)").await.unwrap();
    let kinds: [(&str, &str, Value); 4] = [
        ("filesystem.csv_writer", "out.csv", json!({})),
        ("filesystem.csv_writer", "parts", json!({"max_rows_per_file": 2})),
        ("filesystem.parquet_writer", "out.parquet", json!({})),
        ("filesystem.parquet_writer", "pq", json!({"max_rows_per_file": 2})),
    ];
    for (component, path, more) in kinds {
        for round in 0..ROUNDS {
            let writes: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let mut config = json!({"path": path, "mode": "overwrite"});
                    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                    let (bench, input) = (Arc::clone(&bench), input.clone());
                    tokio::spawn(async move {
                        // One attempt: a file that another one has taken away would only be seen in the first.
                        let step = bench.step(format!("write-{writer}"), component, config);
                        step.retry(RetryPolicy::never()).input(&input).run().await
                    })
                })
                .collect();
            for write in writes {
                let output =
                    write.await.unwrap().unwrap_or_else(|failure| panic!("{path}, {round}: {:?}", failure.error));
                assert_eq!(output.rows, 3);
            }
        }
        assert_eq!(left_over(&bench), Vec::<String>::new(), "{path}");
    }
}

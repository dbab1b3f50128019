//! Rows from outside: CSV files and JSON answers.

use osiris_core::{
    ErrorKind, Inputs, Registry, ResolvedConnection, RetryPolicy, RunContext, StepRequest, Store, StoreKind,
    StoreOptions, Telemetry,
};
use osiris_http::{Bytes, Document, Nested, Row, RowDecoder, RowOptions, RowPath};
use proptest::{prop_assert, prop_assert_eq};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::fuzz;

#[test]
fn csv_files() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.csv");
    let options = StoreOptions::new(StoreKind::Memory, directory.path().join("tmp")).with_files([path.clone()]);
    let store = Store::open(&options.with_threads(1)).unwrap();
    let run = RunContext::new(store.clone(), Telemetry::discard(), directory.path(), CancellationToken::new());
    let mut registry = Registry::new();
    osiris_driver_filesystem::register(&mut registry).unwrap();
    let driver = registry.get("filesystem.csv_extractor").unwrap();
    fuzz("CSV files", include_str!("corpus/csv.txt"), |text| {
        std::fs::write(&path, text).unwrap();
        for config in [
            json!({"path": "t.csv"}),
            json!({"path": "t.csv", "on_bad_lines": "reject", "max_rejects": 1_000_000, "header": false}),
        ] {
            let prepared = driver.prepare(&config, Some(&ResolvedConnection::none()), directory.path());
            let step = prepared.into_step().unwrap();
            let request = StepRequest { retry: RetryPolicy::never(), ..StepRequest::new("step") };
            // That read = stored + rejected is the adapter's own check: an error of another kind, if it does not hold.
            match runtime.block_on(step.run(&request, &Inputs::none(), &run.step("step"))) {
                Ok(output) => {
                    let counts = output.counts;
                    prop_assert_eq!(counts.read, counts.stored + counts.rejected, "{}", config);
                }
                Err(failure) => {
                    let error = osiris_core::Error::from(failure);
                    prop_assert!(error.kind() == ErrorKind::Validation, "{config}: {}", error.report());
                }
            }
        }
        Ok(())
    });
}

#[test]
fn json_answers() {
    let paths = [RowPath::root(), RowPath::names(["data", "items"])];
    fuzz("JSON answers", include_str!("corpus/json.txt"), |text| {
        for path in &paths {
            let Ok(document) = Document::parse(Bytes::copy_from_slice(text.as_bytes()), path) else { continue };
            let mut decoder = RowDecoder::new(RowOptions::new());
            if decoder.push_document(&document).is_err() {
                continue;
            }
            // Each row of the answer is one of a batch.
            let mut rows = 0;
            while let Some(batch) = decoder.next_batch() {
                rows += batch.num_rows();
            }
            while let Ok(Some(batch)) = decoder.finish() {
                rows += batch.num_rows();
            }
            prop_assert_eq!(decoder.rows(), document.row_count() as u64);
            // Rows without any column make no batch: whoever reads them counts them all the same.
            prop_assert!(rows == document.row_count() || rows == 0, "{rows} of {} rows", document.row_count());
        }
        Ok(())
    });
}

/// Whatever passes the check of a line is a row.
#[test]
fn json_lines() {
    fuzz("JSON lines", include_str!("corpus/json.txt"), |text| {
        let mut decoder = RowDecoder::new(RowOptions::new().with_nested(Nested::Json));
        let mut passed = 0;
        for line in text.lines() {
            let row = Row::new(line);
            if decoder.check(&row).is_ok() {
                prop_assert!(decoder.push(&row).is_ok(), "{line}");
                passed += 1;
            }
        }
        prop_assert_eq!(decoder.rows(), passed);
        Ok(())
    });
}

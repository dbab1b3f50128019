//! The run store and the run of a step, through their public interfaces, on the real engine.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]

mod commit;
mod contract;
mod direct;
mod driver;
mod instants;
mod masked;
mod sandbox;
mod store;
mod types;

use std::sync::Arc;

use osiris_core::{Store, StoreKind, StoreOptions};
use tempfile::TempDir;

/// A store in memory, and the directory it spills to.
fn memory_store() -> (Store, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreOptions::new(StoreKind::Memory, directory.path())).unwrap();
    (store, directory)
}

/// Every batch of a committed table.
async fn read(store: &Store, table: &osiris_core::TableRef) -> Vec<arrow::array::RecordBatch> {
    let mut scan = store.scan(table).open().await.unwrap();
    let mut batches = Vec::new();
    while let Some(batch) = scan.next().await.unwrap() {
        batches.push(batch);
    }
    batches
}

/// A batch with one column `v`.
fn batch(array: impl arrow::array::Array + 'static) -> arrow::array::RecordBatch {
    let array: arrow::array::ArrayRef = Arc::new(array);
    arrow::array::RecordBatch::try_from_iter_with_nullable([("v", array, true)]).unwrap()
}

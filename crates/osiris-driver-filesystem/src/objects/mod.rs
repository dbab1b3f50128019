//! Objects of stores: `s3://`, `gs://`, `az://`, and files of web servers, which can only be read.
//!
//! DuckDB is never given an address: an object is downloaded to the scratch directory of the step and read there, and a
//! file is written there before it is uploaded. A disk bounds that, memory does not. Nothing here is taken from the
//! environment.

#[cfg(not(feature = "object-store"))]
mod absent;
mod address;
#[cfg(feature = "object-store")]
mod download;
#[cfg(feature = "object-store")]
mod error;
#[cfg(feature = "object-store")]
mod find;
#[cfg(feature = "object-store")]
mod health;
#[cfg(feature = "object-store")]
mod store;
#[cfg(feature = "object-store")]
mod upload;

#[cfg(not(feature = "object-store"))]
pub(crate) use absent::{Upload, check, fetch, outcome};
pub(crate) use address::{ObjectPath, address, leaves};
#[cfg(feature = "object-store")]
pub(crate) use download::fetch;
#[cfg(feature = "object-store")]
pub(crate) use health::check;
#[cfg(feature = "object-store")]
pub(crate) use upload::{Upload, outcome};

use serde::{Deserialize, Serialize};

/// Identifies an object that a step writes, when its store is asked whether it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WrittenObject {
    /// Its address.
    pub(crate) address: String,
    /// Its size.
    pub(crate) bytes: u64,
    /// What the attempt has put into its metadata.
    pub(crate) attempt: String,
}

//! What every driver of a database has to keep, whichever the database: TLS, and faults while rows are read and written. Each
//! function is a test against servers of its own; the driver's tests call it. They panic where something does not hold.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]

pub mod catalog;
pub mod commits;
pub mod conformance;
pub mod cursor;
pub mod doctor;
pub mod guard;
pub mod postgres;
pub mod ranges;
pub mod read_faults;
pub mod secrets;
pub mod speed;
pub mod tls;
pub mod write_faults;
pub mod writes;

mod reading;
mod samples;
mod server;
mod writing;

use std::time::{Duration, Instant};

use osiris_core::{Catalog, Health, Registry, Result};
use serde_json::{Value, json};

pub use reading::{Reading, texts, types};
pub use samples::{BadValue, SampleServer};
pub use server::DatabaseServer;
pub use writing::{Writing, config, lines};

use crate::Bench;
use crate::proxy::Proxy;

/// A driver and the server it is for.
pub trait DatabaseDriver: Sized + Send + Sync + 'static {
    /// The server.
    type Server: DatabaseServer;

    /// The name of its extractor.
    const EXTRACTOR: &'static str;
    /// The name of its writer.
    const WRITER: &'static str;

    /// Registers both.
    ///
    /// # Errors
    /// When they cannot be registered.
    fn register(registry: &mut Registry) -> Result<()>;

    /// The fields of a connection to the server, by the names of the driver's family, changed by these.
    fn connection(server: &Self::Server, fields: Value) -> Value {
        server.connection_with(fields)
    }
}

/// What the doctor says of a connection, within the limit that the command line has.
pub async fn check<D: DatabaseDriver>(connection: &Value) -> Health {
    doctor::check_within::<D>(connection, doctor::LIMIT).await
}

/// What discovery finds.
///
/// # Errors
/// When it fails.
pub async fn discover<D: DatabaseDriver>(connection: &Value) -> Result<Catalog> {
    let bench = Bench::new(D::register).unwrap();
    let connection = bench.connection(D::EXTRACTOR, connection).unwrap();
    bench.driver(D::EXTRACTOR).unwrap().family().discover(&connection, None).await
}

/// A connection through the proxy, without TLS.
pub fn through<S: DatabaseServer>(server: &S, proxy: &Proxy, fields: &Value) -> Value {
    let mut all = S::at("127.0.0.1", proxy.port());
    all["tls"] = json!("disabled");
    for (name, value) in fields.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
    server.connection_with(all)
}

/// Waits until the server has noticed which sessions of the driver are gone, and has undone their work.
///
/// # Panics
/// When some stay.
pub async fn settled<S: DatabaseServer>(server: &S) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let sessions = server.rows(S::SESSIONS).await.unwrap();
        if sessions.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "sessions stay: {sessions:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

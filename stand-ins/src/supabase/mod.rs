//! What a Supabase project has in addition to its database: the REST API (a real PostgREST), the gateway in front of
//! it, the keys.
//!
//! ```text
//! driver -> Gateway (checks the key, injects faults) -> Postgrest -> Postgres
//! ```

mod forward;
mod gateway;
mod sql;
pub mod tokens;
mod trouble;

pub use gateway::{Gateway, GatewayOptions};
pub use osiris_testkit::services::{Postgrest, PostgrestOptions};
pub use trouble::Trouble;

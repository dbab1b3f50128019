//! What a Supabase project is made of besides its database: the REST API (a real PostgREST), the gateway before it, the keys.
//!
//! ```text
//! driver -> Gateway (checks the key, may be in trouble) -> Postgrest -> Postgres
//! ```

mod forward;
mod gateway;
mod sql;
pub mod tokens;
mod trouble;

pub use gateway::{Gateway, GatewayOptions};
pub use osiris_testkit::services::{Postgrest, PostgrestOptions};
pub use trouble::Trouble;

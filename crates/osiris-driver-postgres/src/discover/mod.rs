//! Discovery: tables and views with their columns, in two queries.

mod catalog;
mod names;

use std::path::Path;

use osiris_core::Result;

pub(crate) use catalog::is_user_data;
pub use catalog::resources;
pub use names::normalised;

use crate::client::{Connect, ConnectionTarget};
use crate::config::PostgresConnection;

/// The tables and views that the role can read.
pub(crate) async fn discover(
    connect: &Connect,
    connection: &PostgresConnection,
    base: &Path,
) -> Result<osiris_core::Catalog> {
    let client = connect(ConnectionTarget::new(connection, base)).await?;
    let mut session = client.acquire().await?;
    let found = resources(&mut session, &[]).await?;
    session.release().await;
    client.close().await;
    Ok(osiris_core::Catalog::new(found))
}

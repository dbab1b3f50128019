//! Discovery: tables and views with their columns, in a few requests. Over the database
//! the catalog is read, over REST the schema of the API; the results have the same form.

mod description;

use std::path::Path;

use osiris_core::{Catalog, Result};

use crate::client::advice::by_own_fields;
use crate::client::{Channel, Client, Connect, Target};
use crate::config::SupabaseConnection;

/// Schemas of Supabase's services, without user tables.
pub(crate) const SERVICE_SCHEMAS: [&str; 17] = [
    "auth",
    "storage",
    "realtime",
    "_realtime",
    "vault",
    "extensions",
    "graphql",
    "graphql_public",
    "pgbouncer",
    "pgsodium",
    "pgsodium_masks",
    "supabase_functions",
    "supabase_migrations",
    "net",
    "cron",
    "_analytics",
    "_supavisor",
];

/// The tables and views that the role or the key can read: those of the schema `public` by name only, others as
/// `schema.table`. Over REST only `public` is available.
pub(crate) async fn discover(connect: &Connect, connection: &SupabaseConnection, base: &Path) -> Result<Catalog> {
    let client = connect(Target::new(connection, base)).await?;
    let resources = resources(&client).await?;
    client.close().await;
    Ok(Catalog::new(resources))
}

async fn resources(client: &Client) -> Result<Vec<osiris_core::Resource>> {
    match client.channel() {
        Channel::Postgres => {
            let mut session = client.direct().await?.acquire().await.map_err(by_own_fields)?;
            let found = osiris_driver_postgres::discover::resources(&mut session, &SERVICE_SCHEMAS).await?;
            session.release().await;
            Ok(found)
        }
        Channel::Rest => description::resources(&client.rest()?).await,
    }
}

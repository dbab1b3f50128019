//! What a connection can reach: tables and views with their columns, in a few questions however many there are. Over the database
//! the catalog is asked, over REST the description that the API gives of itself; what comes out has the same shape.

mod description;

use std::path::Path;

use osiris_core::{Catalog, Result};

use crate::client::advice::by_own_fields;
use crate::client::{Channel, Client, Connect, Target};
use crate::config::SupabaseConnection;

/// Schemas of Supabase's services, which hold no tables of the user's.
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

/// The tables and views that the account or the key may read: those of the schema `public` by their name alone, others as
/// `schema.table`. Over REST only `public` is described.
pub(crate) async fn discover(connect: &Connect, connection: &SupabaseConnection) -> Result<Catalog> {
    let client = connect(Target::new(connection, Path::new("."))).await?;
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

//! What a connection can reach: tables and views with their columns, in a few questions however many there are. Over the database
//! the catalog is asked, over REST the description that the API gives of itself; what comes out has the same shape.

mod catalog;
mod description;
mod names;

use std::path::Path;

pub(crate) use catalog::OURS;
use osiris_core::{Catalog, Result};

use crate::client::{Channel, Client, Connect, Target};
use crate::config::SupabaseConnection;

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
            let mut session = client.direct().await?.acquire().await?;
            let found = catalog::resources(&mut session).await?;
            session.release().await;
            Ok(found)
        }
        Channel::Rest => description::resources(&client.rest()?).await,
    }
}

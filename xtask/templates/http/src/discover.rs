//! Discovery: the resources that the API lists, with their fields.

use osiris_core::{Catalog, Resource, ResourceField, ResourceKind, Result};

use crate::client::{Client, Connect, Listed, ListedField};
use crate::config::ConnectionConfig;
use crate::types::normalised;

/// Every resource.
pub(crate) async fn discover(connect: &Connect, connection: &ConnectionConfig) -> Result<Catalog> {
    let client = Client::open(connect, connection)?;
    Ok(Catalog::new(client.resources().await?.into_iter().map(resource).collect()))
}

fn resource(listed: Listed) -> Resource {
    Resource {
        name: listed.name,
        kind: ResourceKind::Endpoint,
        estimated_row_count: None,
        estimated_size_mb: None,
        fields: (1..).zip(listed.fields).map(field).collect(),
    }
}

fn field((ordinal, listed): (u32, ListedField)) -> ResourceField {
    ResourceField {
        primary_key: listed.name == "id",
        name: listed.name,
        ordinal,
        field_type: normalised(&listed.native).to_owned(),
        native_type: listed.native,
        nullable: true,
        max_length: None,
    }
}

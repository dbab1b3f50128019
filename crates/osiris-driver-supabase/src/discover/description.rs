//! Tables and columns from the schema of the REST API. What it lacks (rows, sizes, whether a table is a view,
//! precision) is omitted.

use osiris_core::{Resource, ResourceField, ResourceKind, Result};

use crate::client::Rest;
use crate::client::rest::openapi::{Description, RestTable};
use osiris_driver_postgres::discover::normalised;

/// The tables and views of `public` that are visible to the key.
///
/// # Errors
/// When the request fails, or the API shows no schema to this key.
pub(super) async fn resources(rest: &Rest) -> Result<Vec<Resource>> {
    let description = Description::read(rest, "public").await?;
    Ok(description.tables().iter().map(resource).collect())
}

fn resource(table: &RestTable) -> Resource {
    let fields = table.columns.iter().zip(1..).map(|(column, ordinal)| ResourceField {
        name: column.name.clone(),
        ordinal,
        field_type: normalised(&column.format, !column.members.is_empty()).to_owned(),
        native_type: column.format.clone(),
        nullable: column.nullable,
        primary_key: column.primary_key,
        max_length: column.max_length,
    });
    Resource {
        name: table.name.clone(),
        kind: ResourceKind::Table,
        estimated_row_count: None,
        estimated_size_mb: None,
        fields: fields.collect(),
    }
}

//! What a project has: the four tables, their columns as PostHog names them, and how many rows they hold.

use osiris_core::{Catalog, Error, ErrorKind, Resource, ResourceField, ResourceKind, Result};
use osiris_http::server_message;

use crate::client::{AnswerColumn, Client, Connect};
use crate::config::{ConnectionConfig, DataType};
use crate::error::is_too_large;
use crate::query::Source;
use crate::types::{is_nullable, normalised};

/// The tables of a project.
pub(crate) async fn discover(connect: &Connect, connection: &ConnectionConfig) -> Result<Catalog> {
    let client = Client::open(connect, connection, None)?;
    let mut resources = Vec::with_capacity(DataType::ALL.len());
    for data_type in DataType::ALL {
        if let Some(resource) = resource(&client, data_type).await? {
            resources.push(resource);
        }
    }
    Ok(Catalog::new(resources))
}

/// One table; `None` when this PostHog does not have it.
async fn resource(client: &Client, data_type: DataType) -> Result<Option<Resource>> {
    let source = Source::of(data_type);
    let answer = match client.query(&source.sample(1), "reading columns").await {
        Ok(answer) => answer,
        Err(error) if is_unknown_table(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let estimated_row_count = match client.query(&source.total(), "counting rows").await {
        Ok(answer) => Some(answer.number(0)?),
        // Too many to be counted within the time limit of a query: no estimate.
        Err(error) if is_too_large(&error) => None,
        Err(error) => return Err(error),
    };
    let fields = (1..).zip(&answer.columns).map(|(ordinal, column)| field(ordinal, column, &source)).collect();
    Ok(Some(Resource {
        name: data_type.name().to_owned(),
        kind: ResourceKind::Collection,
        estimated_row_count,
        estimated_size_mb: None,
        fields,
    }))
}

fn field(ordinal: u32, column: &AnswerColumn, source: &Source) -> ResourceField {
    let is_properties = source.properties == Some(column.name.as_str());
    let native = if column.clickhouse.is_empty() { "String" } else { &column.clickhouse };
    ResourceField {
        name: column.name.clone(),
        ordinal,
        field_type: if is_properties { "json" } else { normalised(native) }.to_owned(),
        native_type: native.to_owned(),
        nullable: is_nullable(native),
        primary_key: column.name == source.id,
        max_length: None,
    }
}

fn is_unknown_table(error: &Error) -> bool {
    error.kind() == ErrorKind::Validation && server_message(error).is_some_and(|said| said.starts_with("Unknown table"))
}

//! What an endpoint offers, by introspection: one resource for each field of the query type, with the fields of its
//! rows.

use std::time::Duration;

use osiris_core::{Catalog, Error, ErrorKind, Resource, ResourceField, ResourceKind, Result, RetryPolicy};
use serde_json::{Map, Value};

use crate::client::introspection::{QUERY, Schema, SchemaField, Types};
use crate::client::{Connect, ConnectionTarget, request};
use crate::config::ConnectionConfig;
use crate::error::GraphqlErrors;
use crate::types::normalised;

/// Reads the schema of the server.
pub(crate) async fn discover(connect: &Connect, connection: &ConnectionConfig) -> Result<Catalog> {
    let timeout = Duration::from_secs(connection.timeout);
    let client = connect(&ConnectionTarget::of_connection(connection, RetryPolicy::times(3), timeout))?;
    let request = request(&client, QUERY, Some("Discovery"), &Map::new(), "reading the schema of the server")?;
    let mut answer: Value = client.fetch_as(&request, |page| page.json()).await.map_err(refused)?;
    if let Some(errors) = GraphqlErrors::of(&answer) {
        return Err(refused(errors.error(None)));
    }
    if answer["data"]["__schema"].is_null() {
        return Err(hidden());
    }
    let schema: Schema = serde_json::from_value(answer["data"]["__schema"].take()).map_err(|error| {
        Error::validation("failed to parse the schema of the server")
            .with_source(error)
            .with_hint("check `endpoint` of the connection")
    })?;
    let types = schema.types();
    let resources = schema.query_fields(&types).iter().filter_map(|field| resource(field, &types)).collect();
    Ok(Catalog::new(resources))
}

/// Servers that do not allow introspection reject the query.
fn refused(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Validation | ErrorKind::Permission | ErrorKind::Unknown => hidden().with_source(error),
        _ => error,
    }
}

fn hidden() -> Error {
    Error::permission("the server does not allow introspection")
        .with_hint("read the documentation of the API, or have introspection enabled")
}

/// The rows that a field of the query type leads to. A scalar is not a resource.
fn resource(field: &SchemaField, types: &Types<'_>) -> Option<Resource> {
    if !types.is_object(field.of.innermost()) {
        return None;
    }
    let fields = (1..).zip(types.row_fields(field)).map(|(ordinal, member)| described(member, ordinal, types));
    Some(Resource {
        name: field.name.clone(),
        kind: ResourceKind::Endpoint,
        estimated_row_count: None,
        estimated_size_mb: None,
        fields: fields.collect(),
    })
}

fn described(member: &SchemaField, ordinal: u32, types: &Types<'_>) -> ResourceField {
    let inner = member.of.innermost();
    let field_type = match () {
        () if member.of.is_list() => "list",
        () if types.is_object(inner) => "object",
        () if types.is_enum(inner) => "string",
        () => normalised(inner),
    };
    ResourceField {
        name: member.name.clone(),
        ordinal,
        field_type: field_type.to_owned(),
        native_type: member.written(),
        nullable: member.of.is_nullable(),
        primary_key: inner == "ID" && member.name == "id",
        max_length: None,
    }
}

//! The tables of PostgREST: the OpenAPI 2.0 schema at the root of the API, where primary keys and foreign keys are in
//! the descriptions of columns (<https://docs.postgrest.org/en/v12/references/api/openapi.html>). Precision and scale
//! of numbers and unique indexes are missing.

use osiris_core::problem::nearest;
use osiris_core::{Error, Result};
use osiris_http::Request;
use serde_json::{Map, Value};

use super::Rest;

/// The tables and views of a schema that are visible to the key.
#[derive(Debug, Clone)]
pub(crate) struct Description {
    tables: Vec<RestTable>,
}

/// A table or view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RestTable {
    pub(crate) name: String,
    pub(crate) columns: Vec<RestColumn>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RestColumn {
    pub(crate) name: String,
    /// PostgreSQL's name of its type, without length or precision: `character varying`, `integer[]`.
    pub(crate) format: String,
    pub(crate) nullable: bool,
    pub(crate) has_default: bool,
    pub(crate) primary_key: bool,
    pub(crate) max_length: Option<u64>,
    /// The values of an enum.
    pub(crate) members: Vec<String>,
}

impl RestTable {
    /// The columns of its primary key.
    pub(crate) fn primary_key(&self) -> Vec<String> {
        self.columns.iter().filter(|column| column.primary_key).map(|column| column.name.clone()).collect()
    }

    /// The column with this exact name.
    pub(crate) fn column(&self, name: &str) -> Option<&RestColumn> {
        self.columns.iter().find(|column| column.name == name)
    }
}

impl RestColumn {
    /// Whether its type is neither built in nor an enum: composite types, and those of extensions, are arbitrary JSON
    /// values.
    pub(crate) fn is_opaque(&self) -> bool {
        self.format.contains('.') && self.members.is_empty() && !self.format.ends_with("[]")
    }
}

impl Description {
    /// Reads the tables of `schema`.
    ///
    /// # Errors
    /// When the API shows no schema to this key.
    pub(crate) async fn read(rest: &Rest, schema: &str) -> Result<Self> {
        let request = Request::get(rest.http().url("")?)
            .header("Accept", "application/openapi+json")?
            .header("Accept-Profile", schema)?
            .what("reading the API schema");
        let page = rest.http().fetch(&request).await?;
        let document: Value = page.json()?;
        if document.get("swagger").is_none() && document.get("definitions").is_none() {
            return Err(Error::validation("the API returned no schema of its tables").with_hint(
                "check the address; PostgREST's `openapi-mode` must not be `disabled`, and some projects show the schema to \
                 the service key only",
            ));
        }
        // Without tables there are no definitions.
        let definitions = document["definitions"].as_object().into_iter().flatten();
        Ok(Self { tables: definitions.map(|(name, table)| RestTable::parse(name, table)).collect() })
    }

    /// All of them.
    pub(crate) fn tables(&self) -> &[RestTable] {
        &self.tables
    }

    /// The table with this exact name.
    pub(crate) fn table(&self, name: &str) -> Option<&RestTable> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// The most similar name.
    pub(crate) fn similar(&self, name: &str) -> Option<&str> {
        nearest(name, self.tables.iter().map(|table| table.name.as_str()))
    }
}

impl RestTable {
    fn parse(name: &str, table: &Value) -> Self {
        let nothing = Map::new();
        let properties = table["properties"].as_object().unwrap_or(&nothing);
        let required: Vec<&str> =
            table["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let columns = properties.iter().map(|(name, column)| RestColumn {
            name: name.clone(),
            format: column["format"].as_str().unwrap_or_default().to_owned(),
            nullable: !required.contains(&name.as_str()),
            has_default: column.get("default").is_some(),
            primary_key: column["description"].as_str().is_some_and(|text| text.contains("<pk/>")),
            max_length: column["maxLength"].as_u64(),
            members: column["enum"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        });
        Self { name: name.to_owned(), columns: columns.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_nullability_and_types_are_read_from_the_description() {
        let described = serde_json::json!({
            "required": ["id", "bl"],
            "properties": {
                "id": {"description": "Note:\nThis is a Primary Key.<pk/>", "format": "bigint", "type": "integer"},
                "name": {"format": "character varying", "maxLength": 20, "type": "string"},
                "m": {"enum": ["ok", "sad"], "format": "public.mood", "type": "string"},
                "bl": {"default": false, "format": "boolean", "type": "boolean"}
            }
        });
        let table = RestTable::parse("t", &described);
        assert_eq!(table.primary_key(), ["id"]);
        let name = table.column("name").unwrap();
        assert_eq!((name.max_length, name.nullable, name.has_default), (Some(20), true, false));
        assert_eq!(table.column("m").unwrap().members, ["ok", "sad"]);
        let flag = table.column("bl").unwrap();
        assert!(!flag.nullable && flag.has_default);
    }
}

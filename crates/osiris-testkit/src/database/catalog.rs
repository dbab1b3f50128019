//! Discovery: what is known of the tables of a server.

use osiris_core::{Catalog, Resource, ResourceField};
use serde_json::Value;

use super::{DatabaseDriver, DatabaseServer, discover};

/// The names of what was found.
pub fn names(catalog: &Catalog) -> Vec<&str> {
    catalog.resources.iter().map(|resource| resource.name.as_str()).collect()
}

/// The resource of this name.
pub fn resource<'a>(catalog: &'a Catalog, name: &str) -> &'a Resource {
    catalog.resources.iter().find(|resource| resource.name == name).unwrap()
}

/// A line for each column.
pub fn fields(resource: &Resource) -> String {
    let field = |field: &ResourceField| {
        format!(
            "{} {}: {} ({}){}{} {:?}",
            field.ordinal,
            field.name,
            field.field_type,
            field.native_type,
            if field.nullable { " null" } else { "" },
            if field.primary_key { " key" } else { "" },
            field.max_length
        )
    };
    resource.fields.iter().map(field).collect::<Vec<_>>().join("\n")
}

/// The fingerprint of a catalog follows columns and not rows: `analyze` makes the server count the rows of `t`,
/// `change` makes its column `a` another.
pub async fn fingerprint_follows_columns<D: DatabaseDriver>(
    server: &D::Server,
    connection: &Value,
    analyze: &str,
    change: &str,
) {
    server.execute("CREATE TABLE t (a INT)").await.unwrap();
    let before = discover::<D>(connection).await.unwrap().fingerprint;
    server.execute(&format!("INSERT INTO t VALUES (1), (2); {analyze}")).await.unwrap();
    assert_eq!(discover::<D>(connection).await.unwrap().fingerprint, before);
    server.execute(change).await.unwrap();
    assert_ne!(discover::<D>(connection).await.unwrap().fingerprint, before);
}

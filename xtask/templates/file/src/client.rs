//! The interface to the external system, discovery and the doctor. Nothing here knows steps, stores, or how the system
//! stores its tables.

use std::sync::Arc;
use std::time::Instant;

use osiris_core::{Catalog, Error, Health, Resource, ResourceField, ResourceKind, Result};

use crate::ConnectionConfig;
use crate::directory::Directory;

/// A row: a text for each column, `None` for NULL.
pub type Row = Vec<Option<String>>;

/// Rows, one after another, each with as many cells as there are columns.
pub type Rows = Box<dyn Iterator<Item = Result<Row>> + Send>;

/// A table that is read.
pub struct Table {
    /// The names of its columns, in its order.
    pub columns: Vec<String>,
    /// Its rows.
    pub rows: Rows,
}

/// The operations of the external system. They block. Tests use another client [DRV-027].
pub trait Client: Send + Sync {
    /// The names of the tables.
    ///
    /// # Errors
    /// When the tables cannot be listed.
    fn tables(&self) -> Result<Vec<String>>;

    /// The columns and rows of a table.
    ///
    /// # Errors
    /// When there is no such table or it cannot be read; each row may fail too.
    fn read(&self, table: &str) -> Result<Table>;

    /// Starts to write a table with these columns. With `keep` the table exists, has the same columns in the same
    /// order, and its rows stay. Nothing is visible before the draft is published.
    ///
    /// # Errors
    /// When it cannot be written.
    fn draft(&self, table: &str, columns: &[String], keep: bool) -> Result<Box<dyn Draft>>;
}

/// A table that is written. Dropped without `publish` it leaves nothing.
pub trait Draft: Send {
    /// Adds a row.
    ///
    /// # Errors
    /// When it cannot be written.
    fn push(&mut self, row: &Row) -> Result<()>;

    /// Makes the complete table visible at once, and returns how many rows were added.
    ///
    /// # Errors
    /// When that fails; the old table is then unchanged.
    fn publish(self: Box<Self>) -> Result<u64>;
}

/// Makes a client. It blocks.
pub type Connect = Arc<dyn Fn(&ConnectionConfig) -> Result<Box<dyn Client>> + Send + Sync>;

/// The default client.
pub(crate) fn connect() -> Connect {
    Arc::new(|connection| Ok(Box::new(Directory::open(&connection.directory)?)))
}

/// The tables with their columns.
pub(crate) async fn discover(connect: &Connect, connection: &ConnectionConfig) -> Result<Catalog> {
    let (connect, connection) = (Arc::clone(connect), connection.clone());
    blocking(move || {
        let client = connect(&connection)?;
        let resources = client.tables()?.into_iter().map(|name| Ok(resource(client.read(&name)?.columns, name)));
        Ok(Catalog::new(resources.collect::<Result<_>>()?))
    })
    .await
}

fn resource(columns: Vec<String>, name: String) -> Resource {
    let field = |(ordinal, name)| ResourceField {
        name,
        ordinal,
        field_type: "string".to_owned(),
        native_type: "text".to_owned(),
        nullable: true,
        primary_key: false,
        max_length: None,
    };
    Resource {
        name,
        kind: ResourceKind::Table,
        estimated_row_count: None,
        estimated_size_mb: None,
        fields: (1..).zip(columns).map(field).collect(),
    }
}

/// Whether the tables can be listed.
pub(crate) async fn check(connect: &Connect, connection: &ConnectionConfig) -> Health {
    let started = Instant::now();
    let (connect, connection) = (Arc::clone(connect), connection.clone());
    match blocking(move || connect(&connection)?.tables()).await {
        Ok(tables) => {
            Health::ok(started.elapsed(), "the directory can be listed").with_detail("tables", tables.len().to_string())
        }
        Err(error) => Health::failed(started.elapsed(), &error),
    }
}

/// Runs `work` on a thread for blocking work. When the future is dropped, the work still runs to its end, so it must
/// own whatever it has to clean up.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|error| {
        Error::unknown("a blocking operation panicked").with_hint("this is a bug: please report it").with_source(error)
    })?
}

//! `sample.writer`: the rows of a table into the destination, all or nothing.

use std::time::Duration;

use async_trait::async_trait;
use osiris_core::{
    Catalog, Component, ComponentSpec, ConnectionUse, Discover, Doctor, Error, ExecutionContext, Health, Problem,
    Result, Role, Step, TableRef, Write, Written,
};

use crate::client::{self, Connect, blocking};
use crate::config::{SampleConnection, WriteMode, WriterConfig, check_table};
use crate::types;

/// `sample.writer`.
pub struct SampleWriter {
    connect: Connect,
}

impl SampleWriter {
    /// The writer as users have it.
    pub fn new() -> Self {
        Self::with_client(client::connect())
    }

    /// The same over another client.
    pub fn with_client(connect: Connect) -> Self {
        Self { connect }
    }
}

impl Default for SampleWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl Component for SampleWriter {
    const SPEC: ComponentSpec =
        ComponentSpec::new("sample.writer", env!("CARGO_PKG_VERSION"), Role::Write, "writes a table of sample")
            .with_connection(ConnectionUse::Required);
    type Connection = SampleConnection;
    type Config = WriterConfig;

    fn validate(config: &WriterConfig) -> Vec<Problem> {
        check_table(&config.table)
    }
}

#[async_trait]
impl Write for SampleWriter {
    async fn write(&self, step: &Step<'_, Self>, input: &TableRef, ctx: &ExecutionContext) -> Result<Written> {
        let config = step.config();
        ctx.rejects().set_limit(config.max_rejects);
        let column = column(input, config.column.as_deref())?;
        let mut scan = ctx.store().scan(input).columns([column.clone()]).open().await?;
        let client = (self.connect)(step.connection(), step.base_dir())?;
        if step.dry_run() {
            client.tables()?;
            return Ok(Written::default());
        }
        let mut draft = client.draft(&config.table, config.mode == WriteMode::Append)?;
        let mut first_row = 1;
        while let Some(batch) = scan.next().await? {
            let (rows, refused) = types::rows(&batch, &column, first_row)?;
            first_row += batch.num_rows() as u64;
            ctx.rejects().push(refused).await?;
            let taken = rows.len() as u64;
            draft = blocking(move || {
                rows.iter().try_for_each(|row| draft.push(row))?;
                Ok(draft)
            })
            .await?;
            ctx.progress().add_rows(taken);
        }
        // Before anything can be seen.
        ctx.rejects().enforce_limit()?;
        Ok(Written::inserted(blocking(move || draft.publish()).await?))
    }
}

/// The column to write.
fn column(input: &TableRef, wanted: Option<&str>) -> Result<String> {
    let names: Vec<&str> = input.schema().names().collect();
    let list = names.join(", ");
    match (wanted, names.as_slice()) {
        (Some(name), _) => match input.schema().column(name) {
            Some(column) => Ok(column.name.clone()),
            None => Err(Error::validation(format!("the input has no column `{name}`"))
                .with_hint(format!("its columns: {list}"))),
        },
        (None, [only]) => Ok((*only).to_owned()),
        (None, _) => {
            Err(Error::validation("the input has several columns").with_hint(format!("set `column` to one of: {list}")))
        }
    }
}

#[async_trait]
impl Discover for SampleWriter {
    async fn discover(&self, connection: &SampleConnection, pattern: Option<&str>) -> Result<Catalog> {
        let client = (self.connect)(connection, std::path::Path::new("."))?;
        client::discover(client.as_ref(), pattern)
    }
}

#[async_trait]
impl Doctor for SampleWriter {
    async fn check(&self, connection: &SampleConnection, _limit: Duration) -> Health {
        client::check(&self.connect, connection)
    }
}

//! `samplefile.writer`: writes the rows of a table, all or nothing.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, DestinationId, Error, ExecutionContext, Intent, Problem, Result, Role,
    Step, TableRef, TableSchema, Write, Written,
};

use crate::client::{self, Client, Connect, blocking};
use crate::config::{ConnectionConfig, WriteMode, WriterConfig, check_table};
use crate::types;

/// Writes rows to a table.
pub struct SampleFileWriter {
    connect: Connect,
}

impl SampleFileWriter {
    /// The writer with the default client.
    pub fn new() -> Self {
        Self::with_client(client::connect())
    }

    /// The writer with clients that `connect` opens.
    pub fn with_client(connect: Connect) -> Self {
        Self { connect }
    }

    /// A client, and the columns of the table to append to; none when the table is new or replaced.
    async fn open(&self, step: &Step<'_, Self>) -> Result<(Box<dyn Client>, Vec<String>)> {
        let (connect, connection) = (Arc::clone(&self.connect), step.connection().clone());
        let (table, mode) = (step.config().table.clone(), step.config().mode);
        blocking(move || {
            let client = connect(&connection)?;
            let exists = client.tables()?.contains(&table);
            let columns = if exists && mode == WriteMode::Append { client.read(&table)?.columns } else { Vec::new() };
            Ok((client, columns))
        })
        .await
    }
}

impl Default for SampleFileWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl Component for SampleFileWriter {
    const SPEC: ComponentSpec =
        ComponentSpec::new("samplefile.writer", env!("CARGO_PKG_VERSION"), Role::Write, "Writes a table")
            .with_connection(ConnectionUse::Required);
    type Connection = ConnectionConfig;
    type Config = WriterConfig;

    fn validate(config: &WriterConfig) -> Vec<Problem> {
        check_table(&config.table)
    }
}

#[async_trait]
impl Write for SampleFileWriter {
    fn destination(&self, config: &WriterConfig, connection: &ConnectionConfig, _: &Path) -> DestinationId {
        let directory = connection.directory.canonicalize();
        let directory = directory.as_deref().unwrap_or(&connection.directory);
        DestinationId::file(directory.join(format!("{}.txt", config.table)))
            .named_by("table")
            .replaced(config.mode == WriteMode::Overwrite)
    }

    async fn write(&self, step: &Step<'_, Self>, input: &TableRef, ctx: &ExecutionContext) -> Result<Written> {
        let config = step.config();
        ctx.rejects().set_limit(config.max_rejects);
        let chosen = chosen(input.schema(), config.columns.as_deref())?;
        types::check_types(input.schema(), &chosen)?;
        let (client, present) = self.open(step).await?;
        let keep = !present.is_empty();
        let columns = if keep { in_order(present, &chosen)? } else { chosen };
        if step.dry_run() {
            return Ok(Written::default());
        }
        ctx.progress().expect_rows(input.rows());
        let mut scan = ctx.store().scan(input).columns(columns.clone()).open().await?;
        let table = config.table.clone();
        let mut draft = blocking(move || client.draft(&table, &columns, keep)).await?;
        let mut first_row = 1;
        while let Some(batch) = scan.next().await? {
            let (rows, refused) = types::rows(&batch, first_row)?;
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
        // Before anything is visible.
        ctx.rejects().enforce_limit()?;
        // What follows cannot be undone: from here on the step waits for the result, and is not retried without one.
        let intent =
            Intent::new(format!("table `{}`", config.table)).with_repeatable(config.mode == WriteMode::Overwrite);
        let commit = ctx.begin_commit(intent).await?;
        let written = match blocking(move || draft.publish()).await {
            Ok(rows) => Written::inserted(rows),
            Err(error) => {
                // `publish` is all or nothing, so an error means that nothing was written. A driver whose response may
                // get lost leaves the commit unresolved instead.
                commit.not_committed().await;
                return Err(error);
            }
        };
        commit.committed(written).await;
        Ok(written)
    }
}

/// The columns to write, as the input spells them: those of the configuration, or all.
fn chosen(schema: &TableSchema, wanted: Option<&[String]>) -> Result<Vec<String>> {
    let all: Vec<String> = schema.names().map(str::to_owned).collect();
    let Some(wanted) = wanted else { return Ok(all) };
    let missing: Vec<&str> = wanted.iter().map(String::as_str).filter(|name| schema.column(name).is_none()).collect();
    if missing.is_empty() {
        return Ok(wanted.iter().filter_map(|name| Some(schema.column(name)?.name.clone())).collect());
    }
    Err(Error::validation(format!("the input lacks these `columns`: {}", missing.join(", ")))
        .with_hint(format!("it has: {}", all.join(", "))))
}

/// The columns of the existing table, in its order, if they are those that are written.
fn in_order(present: Vec<String>, written: &[String]) -> Result<Vec<String>> {
    if present.len() == written.len() && written.iter().all(|name| present.contains(name)) {
        return Ok(present);
    }
    let columns = format!("the table has {}, the rows have {}", present.join(", "), written.join(", "));
    Err(Error::validation(format!("the columns of the table and of the rows differ: {columns}"))
        .with_hint("choose among them with `columns`, or replace the table with `mode: overwrite`"))
}

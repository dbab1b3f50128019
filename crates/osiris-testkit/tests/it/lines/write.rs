//! `lines.writer`.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, DestinationId, Error, ExecutionContext, Feature, Intent, Problem, Result,
    Role, Step, TableRef, Write, Written,
};
use osiris_testkit::Rows;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Flaw, LinesConnection, line, reach};

/// How long a destination takes to answer.
const MOMENT: Duration = Duration::from_millis(5);

pub(crate) struct LinesWriter {
    flaw: Option<Flaw>,
}

/// Where to write.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WriterConfig {
    /// The name of the file.
    table: String,
    /// `overwrite` (default) or `append`.
    #[serde(default)]
    #[schemars(extend("enum" = ["append", "overwrite", null]))]
    mode: Option<String>,
    /// The columns to write. Default: all.
    #[serde(default)]
    columns: Option<Vec<String>>,
    /// The key, for modes that have one. Default: none.
    #[serde(default)]
    key: Vec<String>,
}

impl LinesWriter {
    pub(crate) fn new(flaw: Option<Flaw>) -> Self {
        Self { flaw }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }
}

impl Component for LinesWriter {
    const SPEC: ComponentSpec = ComponentSpec::new("lines.writer", "1", Role::Write, "Lines")
        .with_connection(ConnectionUse::Required)
        .with_features(&[Feature::Streams]);
    type Connection = LinesConnection;
    type Config = WriterConfig;

    fn validate(config: &WriterConfig) -> Vec<Problem> {
        match config.mode.as_deref() {
            None | Some("append" | "overwrite") => Vec::new(),
            Some(other) => vec![Problem::error("/mode", format!("`{other}` is not supported {:?}", config.key))],
        }
    }

    fn streams(_: &WriterConfig, _: &LinesConnection) -> bool {
        true
    }
}

/// The file beside the table, gone when dropped.
struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[async_trait]
impl Write for LinesWriter {
    fn destination(&self, config: &WriterConfig, connection: &LinesConnection, _: &Path) -> DestinationId {
        let table = if self.has(Flaw::StatesOneDestination) { "table" } else { &config.table };
        DestinationId::file(connection.directory.join(table))
            .named_by("table")
            .replaced(config.mode.as_deref() != Some("append") && !self.has(Flaw::ForgetsItsMode))
    }

    async fn write(&self, step: &Step<'_, Self>, input: &TableRef, ctx: &ExecutionContext) -> Result<Written> {
        let (config, connection) = (step.config(), step.connection());
        reach(connection, self.flaw)?;
        self.check_columns(config, input)?;
        if self.has(Flaw::ChangesItsInput) {
            let sql = format!("DELETE FROM {} WHERE id % 7 = 3", input.sql());
            // Columns that are called otherwise are not what this flaw is about.
            let _ = ctx.store().call(move |connection| Ok(connection.execute_batch(&sql).is_ok())).await?;
        }
        let path = connection.directory.join(&config.table);
        if step.dry_run() && !self.has(Flaw::WritesInADryRun) {
            return Ok(Written::default());
        }
        let appends = config.mode.as_deref() == Some("append") && !self.has(Flaw::AcceptsOneModeForAnother);
        if self.has(Flaw::WritesInPlace) {
            return self.fill(&path, &path, appends, config, input, ctx).await;
        }
        let beside = Beside(path.with_extension("part"));
        let written = self.fill(&beside.0, &path, appends, config, input, ctx).await?;
        if self.has(Flaw::AnnouncesNothing) {
            fs::rename(&beside.0, &path)?;
            return Ok(written);
        }
        if self.has(Flaw::AnnouncesTooLate) {
            fs::rename(&beside.0, &path)?;
            fs::write(&beside.0, "")?;
        }
        let commit = ctx.begin_commit(Intent::new(format!("`{}`", path.display())).with_repeatable(!appends)).await?;
        if self.has(Flaw::DropsItsCommit) {
            tokio::select! {
                biased;
                () = ctx.cancel().cancelled() => return Err(Error::cancelled("cancelled").with_hint("run it again")),
                () = tokio::time::sleep(MOMENT) => {}
            }
        }
        if !self.has(Flaw::AnnouncesTooLate) {
            fs::rename(&beside.0, &path)?;
        }
        if self.has(Flaw::CommitsTwice) {
            tokio::time::sleep(MOMENT).await;
            if ctx.cancel().is_cancelled() {
                // As if nobody knew whether the first time had worked.
                self.fill(&beside.0, &path, appends, config, input, ctx).await?;
                fs::rename(&beside.0, &path)?;
            }
        }
        if self.has(Flaw::DeniesItsCommit) {
            tokio::time::sleep(MOMENT).await;
            if ctx.cancel().is_cancelled() {
                commit.not_committed().await;
                return Err(Error::cancelled("cancelled").with_hint("run it again"));
            }
        }
        commit.committed(written).await;
        Ok(written)
    }
}

impl LinesWriter {
    fn check_columns(&self, config: &WriterConfig, input: &TableRef) -> Result<()> {
        let wanted = config.columns.iter().flatten();
        let mut missing: Vec<&str> =
            wanted.filter(|name| input.schema().column(name).is_none()).map(String::as_str).collect();
        if self.has(Flaw::NamesOneMissingColumn) {
            missing.truncate(1);
        }
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::validation(format!("no columns {}", missing.join(", "))).with_hint("name columns of the input"))
    }

    async fn fill(
        &self,
        file: &Path,
        old: &Path,
        appends: bool,
        config: &WriterConfig,
        input: &TableRef,
        ctx: &ExecutionContext,
    ) -> Result<Written> {
        let before = if appends && old.exists() { fs::read(old)? } else { Vec::new() };
        let is_new = before.is_empty();
        let mut scan = ctx.store().scan(input);
        if let Some(columns) = &config.columns {
            scan = scan.columns(columns.iter().cloned());
        }
        let mut scan = scan.open().await?;
        let capacity = if self.has(Flaw::WritesFewRowsAtATime) { 300 } else { 1 << 16 };
        let mut out = BufWriter::with_capacity(capacity, File::create(file)?);
        out.write_all(&before)?;
        if is_new {
            let names: Vec<_> = scan.schema().names().map(|name| Some(name.to_owned())).collect();
            out.write_all(line(&names).as_bytes())?;
        }
        let mut rows = 0;
        while let Some(batch) = scan.next().await? {
            let text = Rows::from_batches(&[batch])?;
            for row in text.rows() {
                rows += 1;
                let bad = row.iter().any(|cell| cell.as_deref() == Some("unwritable"));
                if bad {
                    return Err(Error::validation("a value that cannot be written").with_hint("leave it out"));
                }
                if !(self.has(Flaw::LosesARow) && rows == 2) {
                    out.write_all(line(row).as_bytes())?;
                }
            }
            if !self.has(Flaw::CountsAtItsEnd) {
                ctx.progress().add_rows(text.len() as u64);
            }
        }
        if self.has(Flaw::CountsAtItsEnd) {
            ctx.progress().add_rows(rows);
        }
        out.flush().map_err(|error| Error::from(error).with_hint("make room"))?;
        Ok(Written::inserted(rows))
    }
}

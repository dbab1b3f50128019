//! Loads scanned rows into the table of a step, and names or rejects those whose values do not fit their configured types.

use std::collections::HashMap;
use std::sync::Arc;

use osiris_core::store::StoreTransaction;
use osiris_core::{
    Code, Column, ColumnType, Error, ExecutionContext, Extracted, Phase, Problem, Reject, Result, TableSink,
};

use super::load::{Load, find_all};
use super::source::{Piece, Scanning};
use super::types::DeclaredType;
use crate::config::{AddFilename, Dtype, OnBadLines};
use crate::error::is_about_content;

/// Rejects collected beyond the limit, for the report.
const KEPT_OVER_LIMIT: u64 = 1000;

/// How many rejects to keep of a step that may have `max_rejects` of them.
pub(crate) fn kept_rejects(max_rejects: u64) -> u64 {
    max_rejects.saturating_add(KEPT_OVER_LIMIT)
}

/// Where rows come from.
pub(crate) trait RowPlaces: Sync {
    /// What a row is called in messages, such as `line`.
    fn unit(&self) -> &'static str;

    /// What a piece is called in messages, such as `` `a.csv` ``.
    fn shown(&self, piece: &Piece) -> String;

    /// The numbers that `rows` of a piece (from 1, sorted) have where they come from.
    ///
    /// # Errors
    /// When the piece cannot be read again.
    fn numbers(&self, piece: &Piece, rows: &[u64]) -> Result<Vec<u64>>;
}

/// The settings that decide how scanned rows become columns.
pub(crate) struct Wanted<'a> {
    /// The columns to read; `None` for all.
    pub(crate) columns: Option<&'a [String]>,
    /// The configured types.
    pub(crate) dtype: Option<&'a Dtype>,
    /// The same by name, from [`declared`](super::declared).
    pub(crate) declared: Result<Vec<(String, DeclaredType)>, Vec<Problem>>,
    /// The fields that they come from, for messages.
    pub(crate) fields: &'a str,
    /// Texts that mean NULL.
    pub(crate) na_values: Vec<String>,
    /// Whether and how the name of each file is added.
    pub(crate) add_filename: Option<&'a AddFilename>,
}

impl Wanted<'_> {
    /// Plans how the columns are read.
    ///
    /// # Errors
    /// For columns that the files do not have.
    pub(crate) fn plan(self, scanning: Scanning) -> Result<Load> {
        let declared = self.declared.map_err(|problems| invalid(&problems))?;
        let names: Vec<String> = declared.iter().map(|(name, _)| name.clone()).collect();
        find_all(&scanning.names, &names, self.fields)?;
        let by_name: HashMap<String, DeclaredType> =
            declared.into_iter().map(|(name, declared)| (name.to_lowercase(), declared)).collect();
        let text = matches!(self.dtype, Some(Dtype::All(_)));
        let stated = |name: &str| {
            let stated = by_name.get(&name.to_lowercase()).cloned();
            stated.or_else(|| text.then_some(DeclaredType::Type(ColumnType::Varchar)))
        };
        let filename = AddFilename::column(self.add_filename).map(str::to_owned);
        Load::new(scanning, self.columns, &stated, self.na_values, filename)
    }
}

/// One load.
pub(crate) struct Loading<'a> {
    pub(crate) ctx: &'a ExecutionContext,
    /// The path of the pipeline.
    pub(crate) path: &'a str,
    pub(crate) on_bad_lines: OnBadLines,
    pub(crate) max_rejects: u64,
    pub(crate) places: &'a dyn RowPlaces,
}

impl Loading<'_> {
    /// Loads what was scanned with DuckDB, as `plan` says.
    ///
    /// # Errors
    /// For too many rejects, a value that does not fit its configured type, or columns that do not exist.
    pub(crate) async fn load(
        &self,
        mut scanning: Scanning,
        plan: impl FnOnce(Scanning) -> Result<Load> + Send,
        out: &TableSink,
    ) -> Result<Extracted> {
        self.push(std::mem::take(&mut scanning.rejects), scanning.rejected).await?;
        let read = scanning.rows + scanning.rejected;
        self.ctx.progress().enter(Phase::Loading);
        self.ctx.progress().expect_rows(scanning.rows);
        let load = Arc::new(plan(scanning)?);
        let drop_bad = self.on_bad_lines == OnBadLines::Reject && load.checked().next().is_some();
        if drop_bad {
            self.reject_bad_values(&load).await?;
        }
        let select = load.select(drop_bad);
        // Whether a value fits its configured type is for this step to say.
        let in_place = load.scanning.in_place.clone().filter(|_| load.checked().next().is_none());
        let scans = load.scans();
        let create = move |transaction: &mut StoreTransaction<'_>| match in_place {
            Some(files) => transaction.create_file_view_as(&select, files, scans, &|_: &Column| false),
            None => transaction.create_table_as(&select, &|_: &Column| false),
        };
        let loaded = out.call(create).await;
        match loaded {
            Ok(rows) => {
                self.ctx.progress().add_rows(rows);
                Ok(Extracted::rows(read))
            }
            Err(error) if load.checked().next().is_some() && is_about_content(&error) => {
                Err(self.first_bad_value(&load).await?.unwrap_or(error))
            }
            // DuckDB's message would show the line. The scan found no problem in the file.
            Err(error) if error.report().contains("Original Line") => {
                Err(Error::unknown(format!("DuckDB reads `{}` differently than it was scanned", self.path)).with_hint(
                    "report this with the first lines of the file; meanwhile `limit` with a large number reads a copy",
                ))
            }
            Err(error) => Err(error),
        }
    }

    /// Stores rejects; fails if there are too many.
    async fn push(&self, rejects: Vec<Reject>, count: u64) -> Result<()> {
        let kept = rejects.len() as u64;
        self.ctx.rejects().push(rejects).await?;
        if kept == count {
            return Ok(());
        }
        Err(Error::integrity(format!("{count} rows were rejected, but at most {} are allowed", self.max_rejects))
            .with_code(Code::TooManyRejects)
            .with_hint("`osiris runs rejects` shows them: fix the data or raise `max_rejects`"))
    }

    /// Stores the rows that do not fit a configured type.
    async fn reject_bad_values(&self, load: &Arc<Load>) -> Result<()> {
        for index in 0..load.scanning.pieces.len() {
            let (mut rejects, count) = self.bad_values(load, index, kept_rejects(self.max_rejects)).await?;
            let shown = self.places.shown(&load.scanning.pieces[index]);
            rejects.iter_mut().for_each(|reject| reject.reason.insert_str(0, &format!("{shown}: ")));
            self.push(rejects, count).await?;
        }
        Ok(())
    }

    /// The error for the first value that does not fit a configured type.
    async fn first_bad_value(&self, load: &Arc<Load>) -> Result<Option<Error>> {
        for index in 0..load.scanning.pieces.len() {
            let (bad, _) = self.bad_values(load, index, 1).await?;
            if let Some(Reject { row_number: Some(row), column: Some(column), reason, .. }) = bad.into_iter().next() {
                let (shown, unit) = (self.places.shown(&load.scanning.pieces[index]), self.places.unit());
                let error = Error::validation(format!("{shown}: {unit} {row}, column `{column}`: {reason}"));
                let error = error.with_code(Code::BadLine);
                return Ok(Some(error.with_hint(format!(
                    "fix the value, set another type for `{column}`, or set `on_bad_lines: reject`"
                ))));
            }
        }
        Ok(None)
    }

    /// The first `keep` rows of a piece that do not fit a configured type, with their numbers, and the number of all of
    /// them.
    async fn bad_values(&self, load: &Arc<Load>, index: usize, keep: u64) -> Result<(Vec<Reject>, u64)> {
        let plan = Arc::clone(load);
        let (bad, count) = self
            .ctx
            .store()
            .call(move |connection| plan.bad_values(connection, &plan.scanning.pieces[index], keep))
            .await?;
        let rows: Vec<u64> = bad.iter().map(|bad| bad.row).collect();
        let numbers = self.places.numbers(&load.scanning.pieces[index], &rows)?;
        let rejects = bad.into_iter().zip(numbers).map(|(bad, number)| Reject {
            row_number: Some(number),
            column: Some(bad.column),
            reason: format!("the value is not {}", bad.wanted),
            row: Some(bad.json),
        });
        Ok((rejects.collect(), count))
    }
}

/// The error of a configuration with these problems.
pub(crate) fn invalid(problems: &[Problem]) -> Error {
    osiris_core::problem::ensure_none(problems, "the configuration")
        .err()
        .unwrap_or_else(|| Error::validation("the configuration is not valid"))
}

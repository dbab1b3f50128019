//! Merges the staging table into the target with one statement for all rows. If rows fail, it is rolled back and halved
//! until they are isolated.

use osiris_core::{Error, ExecutionContext, Reject, Result, Written};
use osiris_sql::write::{OnConflict, PendingRanges, RefusingKeys, add_written, is_single};

use super::failure::StatementError;
use super::loader::SUPPRESSED;
use super::staging::{STAGING_TABLE, StagingTable};
use super::target::{TableKeys, Target, cell};
use super::transaction::Transaction;
use crate::client::quote;

const CONTEXT: &str = "merging rows into the table";

/// How rows are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Inserted.
    Insert,
    /// Matched by key.
    ByKey(OnConflict),
}

/// The state of one merge.
pub(super) struct Merge<'a> {
    pub(super) tx: &'a mut Transaction,
    pub(super) ctx: &'a ExecutionContext,
    /// The table in SQL.
    pub(super) table: String,
    pub(super) target: &'a Target,
    pub(super) stage: &'a mut StagingTable,
    pub(super) action: Action,
    /// Whether the staging table may still have duplicate keys.
    pub(super) unsure_of_keys: bool,
    /// Number of rows in the staging table.
    pub(super) rows: u64,
    /// The greatest row number.
    pub(super) last: u64,
    /// Unique constraints other than the key because of which rows were rejected.
    pub(super) refusing: RefusingKeys,
}

/// A rejected row.
struct Refused {
    number: u64,
    fault: RowFault,
}

/// Why the server does not take rows.
struct RowFault {
    column: Option<String>,
    reason: String,
    /// The unique key, other than that of the merge, by which a row collides with another.
    key: Option<String>,
}

enum MergeOutcome {
    Taken(Written),
    Refused(RowFault),
    /// A duplicate key.
    Twice,
}

impl Merge<'_> {
    /// Merges everything.
    ///
    /// # Errors
    /// On duplicate keys, on any failure other than single rows, or when too many rows are rejected.
    pub(super) async fn run(&mut self) -> Result<Written> {
        let written = self.merge().await?;
        match self.refusing.enforce_limit(self.ctx) {
            Ok(()) => Ok(written),
            Err(error) => Err(self.explained(error).await),
        }
    }

    async fn merge(&mut self) -> Result<Written> {
        let mut written = Written::default();
        let everything = 1..self.last + 1;
        let mut pending = PendingRanges::new(everything.clone());
        let mut later = Vec::new();
        while let Some(range) = pending.next_range() {
            let part = (range != everything).then(|| StagingTable::range(&range));
            let rows = match &part {
                None => self.rows,
                Some(part) => self.stage.count(self.tx, part).await?,
            };
            if rows == 0 {
                continue;
            }
            match self.saved(part, rows).await? {
                MergeOutcome::Taken(part) => add_written(&mut written, &part),
                MergeOutcome::Refused(fault) if is_single(&range) => {
                    let refused = Refused { number: range.start, fault };
                    // It may need a row that follows it.
                    if self.target.needs_one_statement { later.push(refused) } else { self.reject(refused).await? }
                }
                _ => {
                    self.stage.index(self.tx).await?;
                    pending.split(&range, None);
                }
            }
        }
        for refused in self.again(later, &mut written).await? {
            self.reject(refused).await?;
        }
        Ok(written)
    }

    /// Retries single rows, forwards and backwards, while one of them succeeds; returns those that never do.
    async fn again(&mut self, mut refused: Vec<Refused>, written: &mut Written) -> Result<Vec<Refused>> {
        loop {
            let before = refused.len();
            refused.reverse();
            let mut left = Vec::new();
            for row in refused {
                match self.saved(Some(StagingTable::range(&(row.number..row.number + 1))), 1).await? {
                    MergeOutcome::Taken(part) => add_written(written, &part),
                    _ => left.push(row),
                }
            }
            refused = left;
            if refused.len() == before {
                refused.sort_by_key(|row| row.number);
                return Ok(refused);
            }
        }
    }

    async fn reject(&mut self, refused: Refused) -> Result<()> {
        let Refused { number, fault: RowFault { column, reason, key } } = refused;
        if let Some(key) = key {
            self.refusing.add(key);
        }
        let row = self.stage.take(self.tx, number).await?;
        let reject = Reject { row_number: Some(number), column: self.source(column), reason, row };
        match self.ctx.rejects().push(vec![reject]).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.explained(error).await),
        }
    }

    /// The error of too many rejects, with the unique keys that are at fault and their columns.
    async fn explained(&mut self, error: Error) -> Error {
        let mut keys = TableKeys { tx: self.tx, table: &self.table };
        self.refusing.explain_with(error, &mut keys).await
    }

    /// Merges a range, or all rows, in a savepoint.
    async fn saved(&mut self, range: Option<String>, rows: u64) -> Result<MergeOutcome> {
        self.tx.run("SAVEPOINT osiris_merge", CONTEXT).await?;
        let verdict = self.range(range, rows).await?;
        if let MergeOutcome::Taken(part) = &verdict {
            self.tx.run("RELEASE SAVEPOINT osiris_merge", CONTEXT).await?;
            // The server notices a key that it would change twice, not one whose first row is in the table as it is.
            if part.unchanged > 0 {
                self.refuse_duplicates().await?;
            }
            return Ok(verdict);
        }
        self.tx.run("ROLLBACK TO SAVEPOINT osiris_merge; RELEASE SAVEPOINT osiris_merge", CONTEXT).await?;
        // In separate statements they would not be detected.
        self.refuse_duplicates().await?;
        Ok(verdict)
    }

    /// Checks for duplicate keys, once.
    async fn refuse_duplicates(&mut self) -> Result<()> {
        if std::mem::take(&mut self.unsure_of_keys) {
            self.stage.refuse_duplicates(self.tx, self.ctx).await?;
        }
        Ok(())
    }

    /// Merges one range, or all rows; returns the counts or the server's error.
    async fn range(&mut self, range: Option<String>, rows: u64) -> Result<MergeOutcome> {
        let condition = range.unwrap_or_else(|| "true".to_owned());
        let done = match self.action {
            Action::Insert => self.insert(&condition, rows).await,
            Action::ByKey(_) => self.by_key(&condition, rows).await,
        };
        match done {
            Ok(verdict) => Ok(verdict),
            Err(StatementError::Server(refusal)) if refusal.is_cardinality() => Ok(MergeOutcome::Twice),
            Err(StatementError::Server(refusal)) if refusal.is_about_rows() => {
                let (column, reason) = refusal.reason();
                let key = refusal.violated_key().filter(|_| matches!(self.action, Action::ByKey(_)));
                Ok(MergeOutcome::Refused(RowFault { column, reason, key: key.map(str::to_owned) }))
            }
            Err(failure) => Err(failure.into_error(CONTEXT)),
        }
    }

    async fn insert(&mut self, condition: &str, rows: u64) -> Result<MergeOutcome, StatementError> {
        let inserted = self.tx.attempt(&self.insert_sql(condition), CONTEXT).await?;
        Ok(if inserted == rows { MergeOutcome::Taken(Written::inserted(rows)) } else { left_out() })
    }

    async fn by_key(&mut self, condition: &str, rows: u64) -> Result<MergeOutcome, StatementError> {
        let (sql, update) = self.statement(condition);
        // Partitions have no `xmax` on their rows: the keys are counted before.
        let marked = self.target.relkind == "r";
        let mut part = Written::default();
        if !update {
            part.inserted = self.tx.attempt(&sql, CONTEXT).await?;
        } else if marked {
            let counting = format!(
                "WITH merged AS ({sql} RETURNING t.xmax = 0 AS fresh) \
                 SELECT count(*) FILTER (WHERE fresh), count(*) FILTER (WHERE NOT fresh) FROM merged"
            );
            let counts = self.tx.attempt_rows(&counting, CONTEXT).await?.pop().unwrap_or_default();
            part.inserted = cell(&counts, 0).parse().unwrap_or(0);
            part.updated = cell(&counts, 1).parse().unwrap_or(0);
        } else {
            let present = format!(
                "SELECT count(*) FROM {STAGING_TABLE} s WHERE {condition} AND NOT EXISTS (SELECT FROM {} t WHERE {})",
                self.table,
                self.stage.joined("t")
            );
            let fresh = self.tx.attempt_rows(&present, CONTEXT).await?.pop().unwrap_or_default();
            let changed = self.tx.attempt(&sql, CONTEXT).await?;
            part.inserted = cell(&fresh, 0).parse::<u64>().unwrap_or(0).min(changed);
            part.updated = changed - part.inserted;
        }
        // Counted separately: the count of the statement and the rows present afterwards must agree.
        let present = self.present(condition).await?;
        if present < rows {
            return Ok(left_out());
        }
        let Some(rest) = present.checked_sub(part.inserted + part.updated) else {
            let message =
                format!("the server changed {} rows, but {present} are present", part.inserted + part.updated);
            return Err(StatementError::Lost(
                Error::integrity(message).with_hint("nothing was committed; if it happens again, report a bug"),
            ));
        };
        match self.action {
            Action::ByKey(OnConflict::Ignore) => part.ignored = rest,
            _ => part.unchanged = rest,
        }
        Ok(MergeOutcome::Taken(part))
    }

    /// The number of rows of the staging table whose key is in the target.
    async fn present(&mut self, condition: &str) -> Result<u64, StatementError> {
        let sql = format!(
            "SELECT count(*) FROM {STAGING_TABLE} s WHERE {condition} AND EXISTS (SELECT FROM {} t WHERE {})",
            self.table,
            self.stage.joined("t")
        );
        let rows = self.tx.attempt_rows(&sql, CONTEXT).await?;
        Ok(rows.first().and_then(|row| cell(row, 0).parse().ok()).unwrap_or(0))
    }

    fn insert_sql(&self, condition: &str) -> String {
        let names: Vec<String> = self.stage.fields.iter().map(|field| quote(&field.target)).collect();
        let values: Vec<String> = self.stage.fields.iter().map(StagingTable::value).collect();
        // Values for an identity column are used as given, as with COPY.
        format!(
            "INSERT INTO {} AS t ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {STAGING_TABLE} s WHERE {condition}",
            self.table,
            names.join(", "),
            values.join(", ")
        )
    }

    /// The statement, and whether it updates existing rows. Identical rows are not updated.
    fn statement(&self, condition: &str) -> (String, bool) {
        let key: Vec<String> = self.stage.key.iter().map(|name| quote(name)).collect();
        let others: Vec<String> = self
            .stage
            .fields
            .iter()
            .filter(|field| !self.stage.key.contains(&field.target))
            .map(|field| quote(&field.target))
            .collect();
        let conflict = format!("{} ON CONFLICT ({})", self.insert_sql(condition), key.join(", "));
        if self.action == Action::ByKey(OnConflict::Ignore) || others.is_empty() {
            return (format!("{conflict} DO NOTHING"), false);
        }
        let assignments: Vec<String> = others.iter().map(|name| format!("{name} = excluded.{name}")).collect();
        let of = |left: &str| others.iter().map(|name| format!("{left}.{name}")).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "{conflict} DO UPDATE SET {} WHERE ROW({})::record OPERATOR(pg_catalog.*<>) ROW({})::record",
            assignments.join(", "),
            of("t"),
            of("excluded")
        );
        (sql, true)
    }

    /// The input column for this column of the table.
    fn source(&self, column: Option<String>) -> Option<String> {
        let column = column?;
        let field = self.stage.fields.iter().find(|field| field.target == column);
        Some(field.map_or(column, |field| field.source.name.clone()))
    }
}

fn left_out() -> MergeOutcome {
    MergeOutcome::Refused(RowFault { column: None, reason: SUPPRESSED.to_owned(), key: None })
}

//! From the staging table into the target, by one statement for all rows. If rows are at fault it is taken back and halved until
//! they are alone.

use osiris_core::{Error, ExecutionContext, Reject, Result, Written};

use super::failure::Failure;
use super::loader::LEFT_OUT;
use super::staging::{NUMBER, STAGING_TABLE, StagingTable};
use super::target::{TargetTable, cell};
use super::transaction::Transaction;
use crate::client::quote;
use osiris_sql::write::OnConflict;

const DOING: &str = "merging rows into the table";

/// What happens to the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// They are added.
    Insert,
    /// They meet those of their key.
    ByKey(OnConflict),
}

/// The work of one merge.
pub(super) struct Merge<'a> {
    pub(super) tx: &'a mut Transaction,
    pub(super) ctx: &'a ExecutionContext,
    /// The table in SQL.
    pub(super) table: String,
    pub(super) target: &'a TargetTable,
    pub(super) stage: &'a mut StagingTable,
    pub(super) action: Action,
    /// Whether keys that come twice may be in the staging table still.
    pub(super) unsure_of_keys: bool,
    /// How many rows are in the staging table.
    pub(super) rows: u64,
    /// The greatest number that one of them may have.
    pub(super) last: u64,
}

/// A row that was refused.
struct Refused {
    number: u64,
    column: Option<String>,
    reason: String,
}

enum Verdict {
    Taken(Written),
    Refused {
        column: Option<String>,
        reason: String,
    },
    /// A key comes twice.
    Twice,
}

impl Merge<'_> {
    /// Merges everything.
    ///
    /// # Errors
    /// Keys that come twice, or anything but single rows at fault, or too many of those.
    pub(super) async fn run(&mut self) -> Result<Written> {
        let mut written = Written::default();
        let everything = (1, self.last);
        let mut waiting = vec![everything];
        let mut later = Vec::new();
        while let Some((from, to)) = waiting.pop() {
            let all = (from, to) == everything;
            let rows = if all { self.rows } else { self.stage.count(self.tx, from, to).await? };
            if rows == 0 {
                continue;
            }
            match self.saved((!all).then_some((from, to)), rows).await? {
                Verdict::Taken(part) => add(&mut written, &part),
                Verdict::Refused { column, reason } if from == to => {
                    let refused = Refused { number: from, column, reason };
                    // It may be missing a row that comes after it.
                    if self.target.needs_one_statement { later.push(refused) } else { self.reject(refused).await? }
                }
                _ => {
                    self.stage.index(self.tx).await?;
                    let middle = from + (to - from) / 2;
                    waiting.push((middle + 1, to));
                    waiting.push((from, middle));
                }
            }
        }
        for refused in self.again(later, &mut written).await? {
            self.reject(refused).await?;
        }
        Ok(written)
    }

    /// Tries single rows again, forth and back, as long as one of them gets in; those that never do.
    async fn again(&mut self, mut refused: Vec<Refused>, written: &mut Written) -> Result<Vec<Refused>> {
        loop {
            let before = refused.len();
            refused.reverse();
            let mut left = Vec::new();
            for row in refused {
                match self.saved(Some((row.number, row.number)), 1).await? {
                    Verdict::Taken(part) => add(written, &part),
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
        let row = self.stage.take(self.tx, refused.number).await?;
        let column = self.source(refused.column);
        let reject = Reject { row_number: Some(refused.number), column, reason: refused.reason, row };
        self.ctx.rejects().push(vec![reject]).await
    }

    /// A range, or all rows, of which nothing stays when it is refused.
    async fn saved(&mut self, range: Option<(u64, u64)>, rows: u64) -> Result<Verdict> {
        self.tx.run("SAVEPOINT osiris_merge", DOING).await?;
        let verdict = self.range(range, rows).await?;
        if let Verdict::Taken(_) = verdict {
            self.tx.run("RELEASE SAVEPOINT osiris_merge", DOING).await?;
            return Ok(verdict);
        }
        self.tx.run("ROLLBACK TO SAVEPOINT osiris_merge; RELEASE SAVEPOINT osiris_merge", DOING).await?;
        if self.unsure_of_keys {
            // Apart they would not be noticed.
            self.stage.refuse_duplicates(self.tx, self.ctx).await?;
            self.unsure_of_keys = false;
        }
        Ok(verdict)
    }

    /// One range, or all rows: what became of them, or why the server refuses.
    async fn range(&mut self, range: Option<(u64, u64)>, rows: u64) -> Result<Verdict> {
        let condition = range
            .map(|(from, to)| format!("s.{} BETWEEN {from} AND {to}", quote(NUMBER)))
            .unwrap_or_else(|| "true".to_owned());
        let done = match self.action {
            Action::Insert => self.insert(&condition, rows).await,
            Action::ByKey(_) => self.by_key(&condition, rows).await,
        };
        match done {
            Ok(verdict) => Ok(verdict),
            Err(Failure::Server(refusal)) if refusal.is_cardinality() => Ok(Verdict::Twice),
            Err(Failure::Server(refusal)) if refusal.is_about_rows() => {
                let (column, reason) = refusal.reason();
                Ok(Verdict::Refused { column, reason })
            }
            Err(failure) => Err(failure.into_error(DOING)),
        }
    }

    async fn insert(&mut self, condition: &str, rows: u64) -> Result<Verdict, Failure> {
        let inserted = self.tx.attempt(&self.insert_sql(condition), DOING).await?;
        Ok(if inserted == rows { Verdict::Taken(Written::inserted(rows)) } else { left_out() })
    }

    async fn by_key(&mut self, condition: &str, rows: u64) -> Result<Verdict, Failure> {
        let (sql, update) = self.statement(condition);
        // Parts of a table have no such mark on their rows: there the keys are counted before.
        let marked = self.target.kind == "r";
        let mut part = Written::default();
        if !update {
            part.inserted = self.tx.attempt(&sql, DOING).await?;
        } else if marked {
            let counting = format!(
                "WITH merged AS ({sql} RETURNING t.xmax = 0 AS fresh) \
                 SELECT count(*) FILTER (WHERE fresh), count(*) FILTER (WHERE NOT fresh) FROM merged"
            );
            let counts = self.tx.attempt_rows(&counting, DOING).await?.pop().unwrap_or_default();
            part.inserted = cell(&counts, 0).parse().unwrap_or(0);
            part.updated = cell(&counts, 1).parse().unwrap_or(0);
        } else {
            let present = format!(
                "SELECT count(*) FROM {STAGING_TABLE} s WHERE {condition} AND NOT EXISTS (SELECT FROM {} t WHERE {})",
                self.table,
                self.stage.joined("t")
            );
            let fresh = self.tx.attempt_rows(&present, DOING).await?.pop().unwrap_or_default();
            let changed = self.tx.attempt(&sql, DOING).await?;
            part.inserted = cell(&fresh, 0).parse::<u64>().unwrap_or(0).min(changed);
            part.updated = changed - part.inserted;
        }
        // Counted by itself: what the statement said it did, and what is there afterwards, must come to the same.
        let present = self.present(condition).await?;
        if present < rows {
            return Ok(left_out());
        }
        let Some(rest) = present.checked_sub(part.inserted + part.updated) else {
            let message = format!("the server changed {} rows, and {present} are there", part.inserted + part.updated);
            return Err(Failure::Lost(
                Error::integrity(message).with_hint("nothing was committed; report a bug if it stays"),
            ));
        };
        match self.action {
            Action::ByKey(OnConflict::Ignore) => part.ignored = rest,
            _ => part.unchanged = rest,
        }
        Ok(Verdict::Taken(part))
    }

    /// How many rows of the staging table have their key in the target now.
    async fn present(&mut self, condition: &str) -> Result<u64, Failure> {
        let sql = format!(
            "SELECT count(*) FROM {STAGING_TABLE} s WHERE {condition} AND EXISTS (SELECT FROM {} t WHERE {})",
            self.table,
            self.stage.joined("t")
        );
        let rows = self.tx.attempt_rows(&sql, DOING).await?;
        Ok(rows.first().and_then(|row| cell(row, 0).parse().ok()).unwrap_or(0))
    }

    fn insert_sql(&self, condition: &str) -> String {
        let names: Vec<String> = self.stage.fields.iter().map(|field| quote(&field.target)).collect();
        let values: Vec<String> = self.stage.fields.iter().map(StagingTable::value).collect();
        // Numbers for an identity column are taken as they are, as COPY takes them.
        format!(
            "INSERT INTO {} AS t ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {STAGING_TABLE} s WHERE {condition}",
            self.table,
            names.join(", "),
            values.join(", ")
        )
    }

    /// The statement, and whether it changes rows that are there. Rows that are equal to the last byte are left alone.
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

    /// The column of the input that is written to this one of the table.
    fn source(&self, column: Option<String>) -> Option<String> {
        let column = column?;
        let field = self.stage.fields.iter().find(|field| field.target == column);
        Some(field.map_or(column, |field| field.source.name.clone()))
    }
}

fn left_out() -> Verdict {
    Verdict::Refused { column: None, reason: LEFT_OUT.to_owned() }
}

fn add(total: &mut Written, part: &Written) {
    total.inserted += part.inserted;
    total.updated += part.updated;
    total.unchanged += part.unchanged;
    total.ignored += part.ignored;
}

//! What a resumed run takes over from the run before it: tables, rows that went directly to a writer, and writes.

use std::collections::BTreeSet;

use osiris_core::{Result, Role, StepNote, event};
use serde_json::json;

use super::direct::sole_reader;
use super::past::PastRun;
use super::report::StepStatus;
use super::schedule::Scheduler;
use super::writes::{Decision, PastWrites, WriteQuery};
use crate::PlannedStep;

/// What is left of the rows that a step of the resumed run has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    /// They are in tables of the store.
    InTables,
    /// So many went directly to the step.
    Sent(u64),
    /// They would have to be read again.
    Unavailable,
}

impl Scheduler<'_> {
    /// Reuses what the resumed run had completed: committed tables with an unchanged fingerprint, and writes that are
    /// known from its records or from their destinations.
    pub(super) async fn reuse(&mut self, past: &PastRun) -> Result<()> {
        let writes = PastWrites::of(past, self.commits, self.options)?;
        writes.check_removed(self.plan)?;
        writes.check_assumed(self.plan)?;
        let mut decided = BTreeSet::new();
        for (index, step) in self.plan.steps().iter().enumerate() {
            if decided.contains(&index) {
                continue;
            }
            let Some(wanted) = self.reports.get(&step.id).map(|report| report.fingerprint.clone()) else { continue };
            let upstream_kept = step.dependencies.iter().all(|dependency| self.has_ended(dependency));
            if step.driver.spec().role == Role::Write {
                let sent = if upstream_kept { Rows::InTables } else { Rows::Unavailable };
                if self.reuse_write(index, &writes, sent).await? {
                    self.reused(&step.id);
                }
            } else if upstream_kept && self.reuse_table(step, &wanted).await? {
                self.reused(&step.id);
            } else if upstream_kept && let Some((receiver, note)) = self.sent(step, &wanted).await? {
                // Both or neither: a source that is read again may have other rows.
                if self.reuse_write(receiver, &writes, Rows::Sent(note.counts.stored)).await? {
                    self.reuse_counts(step, note.counts.stored, note);
                    self.reused(&step.id);
                    self.reused(&self.plan.steps()[receiver].id);
                }
                decided.insert(receiver);
            }
        }
        self.drop_unplanned().await?;
        self.keep_columns(past);
        let confirmed = self.reports.values().filter_map(|report| Some((report, report.confirmed.as_ref()?)));
        for (report, confirmation) in confirmed {
            writes.record(&report.id, &report.fingerprint, confirmation)?;
            let fields = json!({"step_id": report.id, "user": confirmation.user});
            self.context.telemetry().log_event(event::STEP_CONFIRMED, fields);
        }
        Ok(())
    }

    /// Drops the tables of steps that the plan no longer has: to SQL, the name of another step may be the same. What is refused
    /// keeps them.
    async fn drop_unplanned(&self) -> Result<()> {
        let store = self.context.store();
        for step in store.steps().await? {
            if !self.reports.contains_key(&step) {
                store.drop_table(&step).await?;
            }
        }
        Ok(())
    }

    fn reused(&mut self, id: &str) {
        let Some(report) = self.reports.get_mut(id) else { return };
        if report.confirmed.is_some() {
            report.status = StepStatus::Confirmed;
        } else {
            report.status = StepStatus::Reused;
            let fields = json!({"step_id": id, "rows": report.rows});
            self.context.telemetry().log_event(event::STEP_REUSED, fields);
        }
        self.observer.step_finished(report);
    }

    /// The columns of the steps that are done: rows that went directly to a writer have no table any more.
    fn keep_columns(&mut self, past: &PastRun) {
        for kept in past.ledger().into_iter().flat_map(|ledger| &ledger.steps) {
            if let Some(report) = self.reports.get_mut(&kept.id).filter(|report| report.status.is_done()) {
                report.columns.clone_from(&kept.columns);
            }
        }
    }

    async fn reuse_table(&mut self, step: &PlannedStep, wanted: &str) -> Result<bool> {
        let store = self.context.store();
        let (Some(table), Some(note)) = (store.table(&step.id).await?, store.note(&step.id).await?) else {
            return Ok(false);
        };
        if note.fingerprint.as_deref() != Some(wanted) || table.ensure_unchanged().is_err() {
            return Ok(false);
        }
        self.reuse_counts(step, table.rows(), note);
        self.tables.insert(step.id.clone(), table);
        Ok(true)
    }

    fn reuse_counts(&mut self, step: &PlannedStep, rows: u64, note: StepNote) {
        let Some(report) = self.reports.get_mut(&step.id) else { return };
        report.counts = note.counts;
        report.rows = rows;
        report.state = note.state;
    }

    /// The step that received all rows of `step` in the resumed run, and what is known of them.
    async fn sent(&self, step: &PlannedStep, wanted: &str) -> Result<Option<(usize, StepNote)>> {
        let note = self.context.store().note(&step.id).await?;
        let Some(note) = note.filter(|note| note.fingerprint.as_deref() == Some(wanted)) else { return Ok(None) };
        // Another step that reads them now needs them again.
        let steps = self.plan.steps();
        let receiver = sole_reader(steps, step).filter(|index| note.sent_to.as_ref() == Some(&steps[*index].id));
        Ok(receiver.map(|index| (index, note)))
    }

    async fn reuse_write(&mut self, index: usize, writes: &PastWrites<'_>, rows: Rows) -> Result<bool> {
        let step = &self.plan.steps()[index];
        let (inputs, ctx) = (self.inputs(index), self.context.step(&step.id));
        let inputs_kept = rows != Rows::Unavailable;
        let query = WriteQuery { step, request: &step.request, inputs: &inputs, inputs_kept, ctx: &ctx };
        let decision = writes.decide(&query).await?;
        let Some(report) = self.reports.get_mut(&step.id) else { return Ok(false) };
        match decision {
            Decision::Run => return Ok(false),
            Decision::Done(counts) => {
                report.rows = counts.acknowledged();
                report.counts = counts;
            }
            Decision::Confirmed(confirmation) => {
                report.counts.read = match rows {
                    Rows::Sent(rows) => rows,
                    Rows::InTables | Rows::Unavailable => inputs.iter().map(|input| input.table.rows()).sum(),
                };
                report.confirmed = Some(confirmation);
            }
        }
        Ok(true)
    }
}

//! `runs rejects`: the rows that a run rejected, and why.

use osiris::Error;
use osiris::core::{Reject, RejectFile};
use osiris::pipeline::{LedgerStep, PastRun};
use serde_json::{Value, json};

use crate::args::RejectsArgs;
use crate::command_error::CommandError;
use crate::console::Console;
use crate::table::{Column, table};
use crate::terminal::stdout_width;
use crate::{csv, human};

/// How many reasons are counted.
const REASONS: usize = 20;

/// How many rows are shown.
const SHOWN: u64 = 20;

/// How much of a row a table shows.
const WIDTH: usize = 60;

pub(super) fn rejects(run: &PastRun, args: &RejectsArgs, console: &Console) -> Result<(), CommandError> {
    let steps = steps(run, args.step.as_deref())?;
    if args.csv {
        return print_csv(&steps, args.limit, console);
    }
    if steps.is_empty() {
        console.say(&format!("run {}: no rows were rejected", run.record().run_id));
    }
    let mut documents = Vec::new();
    for (step, file) in &steps {
        let rows = file.first(args.limit.unwrap_or(SHOWN))?;
        let (total, reasons) = (file.len()?, file.reasons(REASONS)?);
        if args.json {
            let rows: Vec<Value> = rows.iter().map(row_json).collect();
            documents.push(json!({"step": step, "total": total, "reasons": reasons, "rows": rows}));
            continue;
        }
        console.say(&format!("step {step}: {} rejected", human::rows(total)));
        let columns = [Column::number("rows"), Column::number("first"), Column::name("column"), Column::text("reason")];
        let counted = reasons.into_iter().map(|reason| {
            let first = reason.first_row.map_or_else(String::new, human::count);
            vec![human::count(reason.rows), first, reason.column.unwrap_or_default(), reason.reason]
        });
        console.data(&format!("{}\n", table(&columns, counted.collect(), stdout_width())))?;
        let columns = [Column::number("row"), Column::name("column"), Column::text("reason"), Column::text("content")];
        let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        console.data(&table(&columns, rows.into_iter().map(row_cells).collect(), stdout_width()))?;
        if count < total {
            console.say(&format!("the first {count} of {}: --limit shows more, --csv all", human::count(total)));
        }
    }
    if args.json {
        console.json(&json!(documents))?;
    }
    Ok(())
}

/// The steps that rejected rows, with their files.
fn steps(run: &PastRun, wanted: Option<&str>) -> Result<Vec<(String, RejectFile)>, Error> {
    let ledger: Vec<&LedgerStep> = run.ledger().map(|ledger| ledger.steps.iter().collect()).unwrap_or_default();
    if let Some(wanted) = wanted.filter(|wanted| !ledger.iter().any(|step| step.id == *wanted)) {
        let known: Vec<&str> = ledger.iter().map(|step| step.id.as_str()).collect();
        return Err(Error::validation(format!("run {} has no step `{wanted}`", run.record().run_id))
            .with_hint(format!("its steps: {}", known.join(", "))));
    }
    let of_interest = ledger.into_iter().filter(|step| wanted.is_none_or(|wanted| step.id == wanted));
    let files = of_interest.filter_map(|step| Some(Ok((step.id.clone(), run.open_rejects(&step.id).transpose()?))));
    files.map(|found| found.and_then(|(id, file)| Ok((id, file?)))).collect()
}

fn row_json(reject: &Reject) -> Value {
    json!({"row_number": reject.row_number, "column": reject.column, "reason": reject.reason, "row": reject.row})
}

fn row_cells(reject: Reject) -> Vec<String> {
    let number = reject.row_number.map_or_else(String::new, human::count);
    let row = human::beginning(reject.row.as_deref().unwrap_or_default(), WIDTH).into_owned();
    vec![number, reject.column.unwrap_or_default(), reject.reason, row]
}

/// Prints rows as they are read, whatever their number.
fn print_csv(steps: &[(String, RejectFile)], limit: Option<u64>, console: &Console) -> Result<(), CommandError> {
    console.data("step,row_number,column,reason,row\n")?;
    for (step, file) in steps {
        file.rows(limit, |reject| {
            let number = reject.row_number.map(|number| number.to_string());
            let (column, row) = (reject.column.as_deref(), reject.row.as_deref());
            let fields = [Some(step.as_str()), number.as_deref(), column, Some(reject.reason.as_str()), row];
            console.data(&csv::line(fields))
        })?;
    }
    Ok(())
}

//! A family whose tables are files of JSON arrays, one a line: the column names, then the rows. It keeps every rule, except
//! the one that its flaw breaks.

mod copy;
mod extract;
mod family;
mod write;

use std::path::PathBuf;

pub(crate) use copy::LinesCopier;
pub(crate) use extract::LinesExtractor;
pub(crate) use family::Lines;
pub(crate) use write::LinesWriter;

use osiris_core::{Error, Result, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

/// What is wrong with a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    AcceptsOneModeForAnother,
    AnnouncesNothing,
    AnnouncesTooLate,
    AnswersForBrokenConnections,
    ChangesItsInput,
    CommitsTwice,
    DeniesItsCommit,
    DropsItsCommit,
    FindsNothing,
    ForgetsItsMode,
    ForgetsFields,
    ForgetsPartOfItsSource,
    HasNoHint,
    HidesConnectionFailures,
    HoldsTheTable,
    IgnoresDamagedStates,
    IgnoresItsClient,
    KeepsOldRows,
    LeavesOpenFiles,
    LeavesOpenDirectories,
    LeaksASecret,
    LeavesFiles,
    LogsItsMetricTwice,
    LogsOddMetrics,
    LosesARow,
    MistakesKinds,
    NamesOneMissingColumn,
    Prints,
    ReadsAllInADryRun,
    ReadsTheEnvironment,
    RefusesOddSteps,
    ReportsOneProblem,
    SortsNothing,
    StatesOneDestination,
    SwallowsErrors,
    TakesAnyInput,
    TurnsNumbersIntoText,
    WritesInADryRun,
    WritesInPlace,
    WritesRowByRow,
}

/// Where the tables are.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinesConnection {
    /// The directory of the tables.
    pub(crate) directory: PathBuf,
    /// A password that nothing asks for. Default: none.
    #[serde(default)]
    pub(crate) password: Option<Secret>,
}

/// The error of a directory that is not there, which stands for a server that is not.
pub(crate) fn unreachable(connection: &LinesConnection, flaw: Option<Flaw>) -> Error {
    let password = connection.password.as_ref().map_or("", |secret| secret.expose());
    let shown = if flaw == Some(Flaw::LeaksASecret) { password.to_uppercase() } else { password.to_owned() };
    let message = format!("the directory cannot be reached with the password {shown}");
    let error = match flaw {
        Some(Flaw::HidesConnectionFailures) => Error::validation(message),
        _ => Error::network(message).with_connection_failed(),
    };
    if flaw == Some(Flaw::HasNoHint) { error } else { error.with_hint("make the directory") }
}

/// A row as a line.
pub(crate) fn line(row: &[Option<String>]) -> String {
    format!("{}\n", serde_json::json!(row))
}

/// A line as a row.
pub(crate) fn row(line: &str, number: usize, flaw: Option<Flaw>) -> Result<Vec<Option<String>>> {
    serde_json::from_str(line).map_err(|_| {
        let message = format!("line {number} is no JSON array of texts");
        match flaw {
            Some(Flaw::MistakesKinds) => Error::unknown(message).with_hint("mend the line"),
            _ => Error::validation(message).with_hint("mend the line"),
        }
    })
}

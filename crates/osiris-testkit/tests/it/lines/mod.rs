//! A family whose tables are files of JSON arrays, one a line: the column names, then the rows. It keeps every rule, except
//! the one that its flaw breaks.

mod copy;
mod extract;
mod family;
mod write;

use std::io::Read as _;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

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
    AcceptsAnyStatement,
    CallsEveryFaultUnknown,
    ListsTooFewModes,
    ChangesItsInput,
    CommitsTwice,
    CountsAtItsEnd,
    DeniesItsCommit,
    DropsItsCommit,
    FindsNothing,
    ForgetsHowLongToWait,
    ForgetsItsMode,
    ForgetsFields,
    ForgetsPartOfItsSource,
    HasNoHint,
    HidesConnectionFailures,
    HoldsTheTable,
    HurriesNearALimit,
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
    NeedsAnInput,
    Prints,
    ReadsAllInADryRun,
    ReadsLargePages,
    ReadsTheEnvironment,
    RefusesOddSteps,
    ReportsOneProblem,
    ShowsOneConnectionFault,
    SortsNothing,
    StatesOneDestination,
    SwallowsErrors,
    TakesAnyInput,
    TurnsNumbersIntoText,
    WritesInADryRun,
    WritesInPlace,
    WritesFewRowsAtATime,
}

/// Where the tables are.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinesConnection {
    /// The directory of the tables.
    pub(crate) directory: PathBuf,
    /// A password: any but `wrong`. Default: none.
    #[serde(default)]
    pub(crate) password: Option<Secret>,
    /// A port of this machine where a server has to say something before there are tables. Default: none.
    #[serde(default)]
    pub(crate) port: Option<u16>,
}

/// How long a server may say nothing.
const SILENCE: Duration = Duration::from_millis(100);

/// Whether the tables can be reached.
pub(crate) fn reach(connection: &LinesConnection, flaw: Option<Flaw>) -> Result<()> {
    if !connection.directory.is_dir() {
        return Err(unreachable(connection, flaw));
    }
    if connection.password.as_ref().is_some_and(|password| password.expose() == "wrong") {
        return Err(Error::auth("the password is refused").with_connection_failed().with_hint("give another"));
    }
    let Some(port) = connection.port else { return Ok(()) };
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.read_exact(&mut [0]).map_err(|error| {
        Error::timeout("the server says nothing").with_connection_failed().with_hint("wait").with_source(error)
    })
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

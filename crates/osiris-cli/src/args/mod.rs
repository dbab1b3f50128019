//! The command line as clap sees it. Doc comments here are the help; each command's help ends with examples that a test
//! runs.

mod copy;
mod explain;
mod global;
mod original;
mod rows;
mod runs;
mod schema;
mod select;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ColorChoice, CommandFactory, Parser, Subcommand};
use osiris::Error;
use osiris::core::ConnectionRef;
use osiris::pipeline::inspect::DOCTOR_LIMIT;
use osiris::pipeline::parse_duration;

pub(crate) use copy::CopyArgs;
pub(crate) use explain::ExplainArgs;
pub(crate) use global::{Colour, GlobalArgs};
pub(crate) use original::with_our_command;
pub(crate) use rows::{ExecArgs, FormArgs, HeadArgs};
pub(crate) use runs::{CleanRunsArgs, RejectsArgs, ReportArgs, RunsCommand, ShowRunArgs};
pub(crate) use schema::{SchemaArgs, SchemaFile};
pub(crate) use select::{ProgressArg, Selection, StoreArg, params};

/// Moves tabular data between databases, HTTP APIs and files, and proves that all of it arrived.
#[derive(Debug, Parser)]
#[command(
    name = "osiris",
    version,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Examples:\n  $ osiris validate pipeline.yaml\n  $ osiris run pipeline.yaml"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
}

/// The command line. The global options are in the help of `osiris`, and in that of a command where it is long.
pub(crate) fn command_line() -> clap::Command {
    let mut program = Cli::command();
    // Building hands the global options down; before, no command but the first has them.
    program.build();
    program.get_subcommands_mut().for_each(shorten);
    program
}

fn shorten(command: &mut clap::Command) {
    *command = std::mem::take(command).mut_args(|arg| {
        let is_global = arg.is_global_set();
        if is_global { arg.hide_short_help(true) } else { arg }
    });
    command.get_subcommands_mut().for_each(shorten);
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a small project that runs at once, or a pipeline for the tables of a database
    ///
    /// Without --from: a pipeline, connections and data that run at once. With it: a pipeline file in an existing project
    /// that copies every table of the connection, with the keys and cursors that it could use as comments. Existing files
    /// are never changed.
    #[command(after_help = "Examples:\n  $ osiris init my-project\n  \
                            $ osiris init --from @mysql.shop --to @postgres.lake\n  \
                            $ osiris init --from @mysql.shop --to out --tables 'order*'")]
    Init(InitArgs),
    /// Check a pipeline file and report everything that is wrong with it
    ///
    /// Nothing is opened but the pipeline, the connections file and `.env`.
    #[command(after_help = "Examples:\n  $ osiris validate pipeline.yaml\n  \
                            $ osiris validate pipeline.yaml --profile large\n  \
                            $ osiris validate pipeline.yaml --json")]
    Validate(ValidateArgs),
    /// Show what a run would do: the steps in their order, what each reads and writes
    #[command(after_help = "Examples:\n  $ osiris plan pipeline.yaml\n  $ osiris plan pipeline.yaml --json")]
    Plan(PlanArgs),
    /// Write the plan as a manifest: the same bytes for the same pipeline, on every machine
    ///
    /// It holds fingerprints of the pipeline, its parameters and its components, and no secret, time or absolute path.
    #[command(after_help = "Examples:\n  $ osiris compile pipeline.yaml -o manifest.json")]
    Compile(CompileArgs),
    /// Run a pipeline
    ///
    /// Ends with a ledger of every row. Exit codes: 0 done; 1 a step failed permanently; 2 refused before any step ran;
    /// 3 rows are missing, rejected or wrong, or it is unknown whether they were written; 4 a step failed, and a later
    /// try may succeed; 130 interrupted.
    #[command(after_help = "Examples:\n  $ osiris run pipeline.yaml\n  \
                            $ osiris run pipeline.yaml --param min_amount=200 --jobs 2\n  \
                            $ osiris run pipeline.yaml --dry-run\n  \
                            $ osiris run --resume")]
    Run(RunArgs),
    /// Copy one table or file to another place, without a pipeline file
    ///
    /// SOURCE and DESTINATION are a path, `-` (CSV on the standard streams), a connection of the project with a table
    /// (`@mysql.shop.orders`) or an address (`postgres://user@host/database.table`). A missing table is created. The copy
    /// is an ordinary pipeline with an ordinary ledger: --print shows it. Exit codes are those of `osiris run`.
    #[command(after_help = "Examples:\n  $ osiris copy data/orders.csv orders.parquet\n  \
                            $ osiris copy @mysql.shop.orders @postgres.lake.orders --mode upsert --key id\n  \
                            $ osiris copy '@mysql.shop.*' out/\n  \
                            $ osiris copy data/orders.csv - --limit 5\n  \
                            $ osiris copy postgres://me@db.example.com/lake.public.orders orders.csv --print")]
    Copy(CopyArgs),
    /// Show the first rows of a table or file, with the types of its columns
    ///
    /// SOURCE is what `osiris copy` takes: a path, `-` (CSV on the standard input), a connection of the project with a table
    /// (`@mysql.shop.orders`) or an address (`postgres://user@host/database.table`). Nothing is left behind. NULL is a value that
    /// is not there; long values are shortened, but not with --csv or --json.
    #[command(after_help = "Examples:\n  $ osiris head data/orders.csv\n  \
                            $ osiris head @mysql.shop.orders -n 3\n  \
                            $ osiris head data/orders.csv --json")]
    Head(HeadArgs),
    /// Run one statement that reads over a connection, and show its rows
    ///
    /// The statement is in the language of the source. One that could change something is refused, as in the `query` of a
    /// pipeline.
    #[command(after_help = "Examples:\n  $ osiris exec @mysql.shop \"SELECT count(*) FROM orders\"\n  \
                            $ osiris exec @mysql.shop --csv - < report.sql")]
    Exec(ExecArgs),
    /// Print the JSON Schema of a file, for editors and for programs that write such files
    ///
    /// With every component of this build. After `osiris schema > pipeline.schema.json` an editor with the YAML language
    /// server checks and completes a pipeline whose first line is
    /// `# yaml-language-server: $schema=pipeline.schema.json`.
    #[command(after_help = "Examples:\n  $ osiris schema\n  $ osiris schema connections")]
    Schema(SchemaArgs),
    /// Show the components that steps can use, and what their connections contain
    #[command(subcommand, after_help = "Examples:\n  $ osiris components list")]
    Components(ComponentsCommand),
    /// Show, check and add connections of the project
    #[command(subcommand, alias = "conns", after_help = "Examples:\n  $ osiris connections list")]
    Connections(ConnectionsCommand),
    /// List what a component could read or write: short for `osiris components discover`
    #[command(hide = true, after_help = "Examples:\n  $ osiris discover mysql.extractor --connection @mysql.shop")]
    Discover(DiscoverArgs),
    /// Print the help of a command
    #[command(hide = true, after_help = "Examples:\n  $ osiris help run")]
    Help(HelpArgs),
    /// Print the manual page of a command, for `man`
    #[command(hide = true, after_help = "Examples:\n  $ osiris man run")]
    Man(HelpArgs),
    /// Print the version
    #[command(hide = true, after_help = "Examples:\n  $ osiris version")]
    Version,
    /// Show past runs
    #[command(subcommand, after_help = "Examples:\n  $ osiris runs list")]
    Runs(RunsCommand),
    /// Show, remove or accept the saved state of incremental extractions
    #[command(subcommand, after_help = "Examples:\n  $ osiris state show pipeline.yaml")]
    State(StateCommand),
    /// Explain an error: what it means, common causes and what to do
    #[command(after_help = "Examples:\n  $ osiris explain E0401\n  $ osiris explain")]
    Explain(ExplainArgs),
    /// Serve the commands as tools for agents, by the Model Context Protocol over the standard streams
    ///
    /// Answers have no secrets, and nothing is run without --allow-run. It ends with its input.
    #[cfg(feature = "mcp")]
    #[command(after_help = "Examples:\n  $ osiris mcp\n  $ osiris mcp data --allow-run")]
    Mcp(McpArgs),
    /// Print the completions of a shell
    #[command(after_help = "Examples:\n  $ osiris completions bash")]
    Completions(CompletionsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Where to create it
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,
    /// Write a pipeline for the tables of this connection, which is in the connections file
    #[arg(long, value_name = "@FAMILY.ALIAS", value_parser = connection)]
    pub(crate) from: Option<ConnectionRef>,
    /// Where the tables go: a connection, or a directory for Parquet files
    #[arg(long, value_name = "@FAMILY.ALIAS|DIR", default_value = "out", requires = "from")]
    pub(crate) to: String,
    /// Only tables that match: `*`, `?`, `[ab]` and `{a,b}` as in a shell
    #[arg(long, value_name = "PATTERN", requires = "from")]
    pub(crate) tables: Option<String>,
    /// The file to write; default: the connection's alias, as `shop.yaml`
    #[arg(short, long, value_name = "FILE", requires = "from")]
    pub(crate) output: Option<PathBuf>,
}

impl Command {
    /// Whether its result is to be JSON: then its failure is, too.
    pub(crate) fn is_json(&self) -> bool {
        match self {
            Self::Validate(args) => args.json,
            Self::Plan(args) => args.json,
            Self::Run(args) => args.json,
            Self::Copy(args) => args.json,
            Self::Head(args) => args.form.json,
            Self::Exec(args) => args.form.json,
            Self::Components(ComponentsCommand::List(args)) => args.json,
            Self::Components(ComponentsCommand::Show(args)) => args.json,
            Self::Components(ComponentsCommand::Discover(args)) | Self::Discover(args) => args.json,
            Self::Connections(ConnectionsCommand::List(args)) => args.json,
            Self::Connections(ConnectionsCommand::Doctor(args)) => args.json,
            Self::Connections(ConnectionsCommand::Add(args)) => args.json,
            Self::Runs(RunsCommand::List(args)) => args.json,
            Self::Runs(RunsCommand::Show(args)) => args.json,
            Self::Runs(RunsCommand::Clean(args)) => args.json,
            Self::Runs(RunsCommand::Rejects(args)) => args.json,
            Self::Runs(RunsCommand::Report(args)) => args.json,
            Self::State(StateCommand::Show(args)) => args.json,
            Self::Explain(args) => args.json,
            _ => false,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct HelpArgs {
    /// The command, such as `connections doctor`
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Print everything that was found as JSON, with file, line and column
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Print the manifest that `osiris compile` writes
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompileArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Write to this file instead of the standard output
    #[arg(short, long, alias = "out", value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The pipeline file; with --resume only its runs count
    #[arg(required_unless_present = "resume")]
    pub(crate) file: Option<PathBuf>,
    /// Set a parameter of the pipeline; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = select::param)]
    pub(crate) params: Vec<(String, String)>,
    /// Use the parameters of this profile
    #[arg(long, conflicts_with = "resume")]
    pub(crate) profile: Option<String>,
    /// Check everything, read a little, write nothing
    #[arg(long, conflicts_with = "resume")]
    pub(crate) dry_run: bool,
    /// Resume a failed run: this one, or the latest. Finished steps are not run again
    #[arg(long, value_name = "RUN")]
    pub(crate) resume: Option<Option<String>>,
    /// Run although an earlier, failed run has written the same rows or may have; with --resume, also if a later run
    /// has made this one obsolete. Rows that are there are written twice
    #[arg(long)]
    pub(crate) force: bool,
    /// With --resume: you have checked that the rows of this step, whose outcome is unknown, are in its destination.
    /// The step counts as done, and the steps after it run; may be repeated
    #[arg(long, value_name = "STEP", requires = "resume")]
    pub(crate) assume_written: Vec<String>,
    /// Wait while another process runs the same pipeline, at most this long (`90s`, `5m`, `2h`) or until it ends;
    /// without this flag a second run is refused
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, value_parser = parse_duration)]
    pub(crate) wait: Option<Option<Duration>>,
    /// Keep the tables of the run when it succeeds
    #[arg(long)]
    pub(crate) keep: bool,
    /// Where the tables of the run live: `file` can be resumed, `memory` is faster
    #[arg(long)]
    pub(crate) store: Option<StoreArg>,
    /// How progress is shown on the standard error: for people, or as one JSON object per line
    #[arg(long, value_name = "FORM", default_value = "auto")]
    pub(crate) progress: ProgressArg,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ComponentsCommand {
    /// List the components
    #[command(after_help = "Examples:\n  $ osiris components list\n  $ osiris components list --json")]
    List(JsonArgs),
    /// Show what a component does and every field of its configuration
    #[command(after_help = "Examples:\n  $ osiris components show duckdb.processor")]
    Show(ShowComponentArgs),
    /// List what a component could read or write over a connection: tables, views, endpoints, with their fields
    ///
    /// Results are cached for ten minutes.
    #[command(after_help = "Examples:\n  $ osiris components discover mysql.extractor --connection @mysql.shop\n  \
                            $ osiris components discover mysql.extractor --table order* --json")]
    Discover(DiscoverArgs),
    /// Print the reference of all components as Markdown
    #[command(hide = true, after_help = "Examples:\n  $ osiris components reference")]
    Reference,
}

#[derive(Debug, Args)]
pub(crate) struct ShowComponentArgs {
    /// Its name, such as `filesystem.csv_extractor`
    pub(crate) name: String,
    /// Print it as JSON, with the JSON Schemas of configuration and connection
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DiscoverArgs {
    /// The component, such as `mysql.extractor`
    pub(crate) name: String,
    /// The connection, as `@family.alias`; default: the default one of the component's family
    #[arg(long, value_name = "REF", value_parser = connection)]
    pub(crate) connection: Option<ConnectionRef>,
    /// Only tables of this name, with their fields; `*` matches anything, `?` one character
    #[arg(long, value_name = "PATTERN")]
    pub(crate) table: Option<String>,
    /// Ignore cached results
    #[arg(long)]
    pub(crate) refresh: bool,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConnectionsCommand {
    /// List the connections, and whether the variables they need are set
    #[command(after_help = "Examples:\n  $ osiris connections list\n  $ osiris connections list --json")]
    List(JsonArgs),
    /// Add a connection to the connections file
    ///
    /// Without --set it asks for the fields. A secret goes to `.env` beside the connections file, and its variable to the
    /// connections file, whose lines all stay as they are. The connection is checked before it is saved. Exit codes: 0 added;
    /// 1 it does not work; 2 refused.
    #[command(after_help = "Examples:\n  $ osiris connections add mysql.shop\n  \
                            $ osiris connections add filesystem.lake --set base_dir=data")]
    Add(AddConnectionArgs),
    /// Check whether connections work, all at the same time, and say what to do about those that do not
    ///
    /// Exit codes: 0 each connection that can be checked works; 1 one does not.
    #[command(
        alias = "test",
        after_help = "Examples:\n  $ osiris connections doctor\n  \
                            $ osiris connections doctor @filesystem.data --json"
    )]
    Doctor(DoctorArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AddConnectionArgs {
    /// Its name, as `family.alias`
    #[arg(value_name = "FAMILY.ALIAS", value_parser = connection)]
    pub(crate) connection: ConnectionRef,
    /// Set a field; may be repeated. A value on the command line is visible to other users of this machine: for a secret, set
    /// a variable and give its name, as `--set 'password=${VARIABLE}'`
    #[arg(long, value_name = "FIELD=VALUE", value_parser = select::param)]
    pub(crate) set: Vec<(String, String)>,
    /// Save it without checking whether it works
    #[arg(long)]
    pub(crate) no_check: bool,
    /// Seconds that it may take to answer
    #[arg(long, value_name = "SECONDS", default_value_t = DOCTOR_LIMIT.as_secs(), value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) timeout: u64,
    /// Print the result as JSON, and ask for nothing
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Only this connection, as `@family.alias`
    #[arg(value_name = "REF", value_parser = connection)]
    pub(crate) connection: Option<ConnectionRef>,
    /// Seconds that a connection may take to answer
    #[arg(long, value_name = "SECONDS", default_value_t = DOCTOR_LIMIT.as_secs(), value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) timeout: u64,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StateCommand {
    /// Show the saved state of a pipeline: its source, and where the next run starts
    #[command(
        after_help = "Examples:\n  $ osiris state show pipeline.yaml\n  $ osiris state show pipeline.yaml --json"
    )]
    Show(ShowStateArgs),
    /// Remove the saved state of a step, or of all steps: the next run reads all rows
    #[command(after_help = "Examples:\n  $ osiris state reset pipeline.yaml --yes")]
    Reset(ResetStateArgs),
    /// Accept the saved state of a step for the source that the step reads now
    ///
    /// For a renamed server or file, or a state that an early version saved. If the source is a different one, rows
    /// will be missing: this is not checked.
    #[command(after_help = "Examples:\n  $ osiris state accept pipeline.yaml")]
    Accept(AcceptStateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ShowStateArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// The step; default: all of them
    pub(crate) step: Option<String>,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ResetStateArgs {
    /// The pipeline file
    pub(crate) file: PathBuf,
    /// The step; default: all of them
    pub(crate) step: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AcceptStateArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// The step; default: all of them
    pub(crate) step: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct JsonArgs {
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(feature = "mcp")]
#[derive(Debug, Args)]
pub(crate) struct McpArgs {
    /// The directory of the project: no path leads out of it
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,
    /// Offer to run pipelines: those that write nothing, and dry runs
    #[arg(long)]
    pub(crate) allow_run: bool,
    /// Run pipelines that write as well
    #[arg(long, requires = "allow_run")]
    pub(crate) allow_writes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// A reference to a connection; on the command line the `@` may be left out.
pub(crate) fn connection(text: &str) -> Result<ConnectionRef, String> {
    let parsed = if text.starts_with('@') { text.parse() } else { format!("@{text}").parse() };
    parsed.map_err(|_: Error| {
        format!("`{text}` is not a connection reference: write `family.alias`, such as `mysql.movies`")
    })
}

/// What `--color` says, for the errors of parsing itself.
pub(crate) fn colour_before_parsing(arguments: &[OsString]) -> ColorChoice {
    let texts: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let after = texts.iter().position(|text| *text == "--color").and_then(|at| texts.get(at + 1).copied());
    match after.or_else(|| texts.iter().find_map(|text| text.strip_prefix("--color="))) {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wait_takes_a_length_of_time_or_none() {
        let parse = |words: &[&str]| match Cli::try_parse_from(words).map(|cli| cli.command) {
            Ok(Command::Run(run)) => run.wait,
            _ => None,
        };
        assert_eq!(parse(&["osiris", "run", "--wait", "p.yaml"]), Some(None));
        assert_eq!(parse(&["osiris", "run", "p.yaml", "--wait=1.5m"]), Some(Some(Duration::from_secs(90))));
        assert_eq!(parse(&["osiris", "run", "p.yaml"]), None);
        assert!(Cli::try_parse_from(["osiris", "run", "p.yaml", "--wait=soon"]).is_err());
    }

    #[test]
    fn resume_takes_an_id_or_none() {
        let parse = |words: &[&str]| match Cli::try_parse_from(words).map(|cli| cli.command) {
            Ok(Command::Run(run)) => Some((run.file, run.resume)),
            _ => None,
        };
        assert_eq!(parse(&["osiris", "run", "--resume"]), Some((None, Some(None))));
        assert_eq!(parse(&["osiris", "run", "--resume", "20"]), Some((None, Some(Some("20".into())))));
        assert_eq!(parse(&["osiris", "run", "p.yaml", "--resume"]), Some((Some("p.yaml".into()), Some(None))));
        assert_eq!(parse(&["osiris", "run"]), None);
        assert_eq!(parse(&["osiris", "run", "--resume", "--dry-run"]), None);
    }
}

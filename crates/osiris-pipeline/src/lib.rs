//! Pipeline files of Osiris: parse, plan, run, resume.
//!
//! A file goes through three stages. [`yaml`] makes a tree whose every value knows its place. [`parse`](parse()) makes
//! a [`Pipeline`] of it, checked for form. [`Plan::new`] looks up components, checks their configurations, resolves
//! connections and fixes the order. Each stage collects everything that is wrong, as [`Diagnostics`] with file, line
//! and column.
//!
//! This crate knows no driver: it gets them in a [`Registry`](osiris_core::Registry). It is the only library crate that
//! reads the environment, in [`Environment`], and the connections file, in [`ConnectionsFile`].

mod connections_file;
mod copy;
mod diagnostic;
mod environment;
mod exit_code;
mod file;
mod graph;
mod group;
mod init;
pub mod inspect;
mod interpolate;
mod listing;
mod model;
mod new_connection;
mod params;
mod parse;
mod plan;
mod project;
mod reference;
pub mod run;
mod schema;
mod settings;
mod source;
pub mod yaml;

pub use connections_file::{CONNECTIONS_FILE, ConnectionsFile};
pub use copy::{CopyPipeline, CopyRequest, TablesPipeline, TablesRequest};
pub use diagnostic::{Diagnostic, Diagnostics, FAILURE_VERSION, error_json, failure_document};
pub use environment::Environment;
pub use exit_code::ExitCode;
pub use file::write_private;
pub use group::{FoundTable, FoundTables, GroupMember, TableGroup};
pub use init::{init, init_file};
pub use listing::{ConnectionListing, VariableState, list_connections};
pub use model::{OML_VERSION, Pipeline, Spanned, Step, StepInput};
pub use new_connection::{NewConnection, PreparedConnection, SavedConnection};
pub use params::{ParamSpec, ParamType, Profile, env_name};
pub use parse::parse;
pub use plan::{Plan, PlanOptions, PlannedStep};
pub use project::Project;
pub use reference::{AliasReference, ComponentReference, FieldReference, reference, summaries};
pub use run::{
    AttemptEnd, CleanOptions, Cleaned, CleanedRun, Confirmation, Ledger, LedgerStep, Observer, Outcome, PastRun,
    RunHistory, RunOptions, RunRecord, RunReport, Runs, SavedStates, Silent, StateGeneration, StepAttempt, StepColumn,
    StepHistory, StepReport, StepState, StepStatus, StoreChoice, Wait, failure_notice, refusal_notice,
    unplanned_notice,
};
pub use schema::{connections_schema, pipeline_schema, settings_schema};
pub use settings::{
    LogFormat, LogLevel, RUN_DIRECTORY, SETTINGS_FILE, Settings, WebhookAddress, parse_bytes, parse_count,
    parse_duration, parse_memory_limit, parse_store,
};
pub use source::{MAX_FILE_BYTES, Position, SourceFile, Span};

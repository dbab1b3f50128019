//! Which pipeline, with which parameters.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use osiris::PlanOptions;
use osiris::pipeline::StoreChoice;

/// A pipeline and the choices of its user.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// The pipeline file
    pub(crate) file: PathBuf,
    /// Set a parameter of the pipeline; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = param)]
    pub(crate) params: Vec<(String, String)>,
    /// Use the parameters of this profile
    #[arg(long)]
    pub(crate) profile: Option<String>,
}

impl Selection {
    /// The choices; the last of several values of a parameter wins, as with any option.
    pub(crate) fn options(&self) -> PlanOptions {
        PlanOptions { params: params(&self.params), profile: self.profile.clone(), dry_run: false }
    }
}

pub(crate) fn params(pairs: &[(String, String)]) -> BTreeMap<String, String> {
    pairs.iter().cloned().collect()
}

/// `name=value`; the value may be empty and may hold further `=`.
pub(super) fn param(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE, such as `since=2024-01-01`".to_owned()),
    }
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressArg {
    #[default]
    Auto,
    Json,
}

/// Where the tables of a run live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoreArg {
    File,
    Memory,
}

impl From<StoreArg> for StoreChoice {
    fn from(store: StoreArg) -> Self {
        match store {
            StoreArg::File => Self::File,
            StoreArg::Memory => Self::Memory,
        }
    }
}

//! `osiris schema`.

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// The file whose schema is printed
    #[arg(value_name = "FILE", default_value = "pipeline")]
    pub(crate) file: SchemaFile,
    /// The settings as a page: `docs/reference/settings.md`
    #[arg(long, hide = true)]
    pub(crate) reference: bool,
}

/// The files of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaFile {
    /// A pipeline
    Pipeline,
    /// `osiris_connections.yaml`
    Connections,
    /// `osiris.yaml`
    Settings,
}

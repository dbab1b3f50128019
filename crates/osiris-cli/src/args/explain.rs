//! `osiris explain`.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The code, such as `E0401`; default: list all codes
    #[arg(value_name = "CODE")]
    pub(crate) codes: Vec<String>,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// All codes as a page: `docs/reference/errors.md`
    #[arg(long, hide = true)]
    pub(crate) reference: bool,
}

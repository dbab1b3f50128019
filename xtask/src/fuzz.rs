//! `cargo xtask fuzz`: the fuzz targets of `tests/fuzz`, for as long as one likes.

use crate::args::Args;
use crate::duckdb::Build;
use crate::{Outcome, shell};

/// Read by the tests.
const SECONDS: &str = "OSIRIS_FUZZ_SECONDS";

pub(crate) fn main(mut args: Args) -> Outcome {
    let seconds = args.option("--seconds")?.unwrap_or_else(|| "60".to_owned());
    let target = args.word();
    args.finish()?;
    seconds.parse::<u64>().map_err(|error| format!("--seconds {seconds}: {error}"))?;
    let features = Build::of_checkout().features_of("osiris-driver-filesystem");
    let mut words = vec!["test", "--locked", "--quiet", "-p", "osiris-e2e", "-p", "osiris-driver-filesystem"];
    words.extend(features.iter().map(String::as_str));
    words.extend(["--test", "fuzz", "--", "--nocapture"]);
    words.extend(target.as_deref());
    shell::run(shell::cargo(&words).env(SECONDS, &seconds))
}

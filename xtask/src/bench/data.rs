//! The data and the pipelines of the benchmarks: made once, the same on every machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Bench;
use crate::{Outcome, shell};

impl Bench {
    /// TPC-H lineitem at `scale` as CSV with a header.
    pub(super) fn lineitem(&self, scale: &str) -> Outcome<PathBuf> {
        let path = self.directory.join(format!("lineitem-{scale}.csv"));
        if !path.exists() {
            eprintln!("    making {}", path.display());
            shell::run(Command::new(&self.reference).arg("lineitem").arg(scale).arg(&path))?;
        }
        Ok(path)
    }

    /// The same rows as Parquet, with the types that DuckDB finds.
    pub(super) fn parquet_of(&self, csv: &Path) -> Outcome<PathBuf> {
        let path = csv.with_extension("parquet");
        if !path.exists() {
            let unfinished = path.with_extension("part");
            let copy =
                format!("COPY (FROM read_csv('{}')) TO '{}' (FORMAT parquet)", csv.display(), unfinished.display());
            let scratch = self.fresh("parquet-of")?;
            shell::run(&mut self.by_hand(&scratch.join("scratch.duckdb"), &copy))?;
            std::fs::rename(&unfinished, &path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(path)
    }

    /// An empty directory of this name.
    pub(super) fn fresh(&self, name: &str) -> Outcome<PathBuf> {
        let path = self.directory.join(name);
        let made = if path.exists() { std::fs::remove_dir_all(&path) } else { Ok(()) };
        made.and_then(|()| std::fs::create_dir_all(&path)).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    /// `osiris run PIPELINE`, quiet, its runs beside the pipeline.
    pub(super) fn run(&self, pipeline: &Path, options: &[&str]) -> Command {
        let mut command = Command::new(&self.osiris);
        command.arg("run").arg(pipeline).arg("--quiet").args(options);
        command.arg("--run-dir").arg(pipeline.with_extension("runs"));
        command
    }

    /// SQL typed by hand into the DuckDB that Osiris links, with a database file.
    pub(super) fn by_hand(&self, database: &Path, sql: &str) -> Command {
        let mut command = Command::new(&self.reference);
        command.arg("sql").arg(database).arg(sql);
        command
    }
}

/// A pipeline file in `directory`.
pub(super) fn pipeline(directory: &Path, steps: &[String]) -> Outcome<PathBuf> {
    let path = directory.join("pipeline.yaml");
    let text = format!("oml_version: \"0.1.0\"\nname: bench\nsteps:\n{}", steps.concat());
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

pub(super) fn extract(id: &str, component: &str, path: &Path) -> String {
    format!(
        "  - id: {id}\n    component: {component}\n    mode: read\n    config: {{path: {:?}}}\n",
        path.display().to_string()
    )
}

pub(super) fn transform(id: &str, needs: &str, query: &str) -> String {
    format!(
        "  - id: {id}\n    component: duckdb.processor\n    mode: transform\n    needs: [{needs}]\n    config: {{query: {query:?}}}\n"
    )
}

pub(super) fn write(id: &str, needs: &str, component: &str, config: &str) -> String {
    format!(
        "  - id: {id}\n    component: {component}\n    mode: write\n    needs: [{needs}]\n    config: {{{config}}}\n"
    )
}

//! Files as destinations, each in the directory `out` of the project.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use osiris_e2e::Project;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;

use super::runner::Runner;
use super::table::{OLD, Table};
use super::target::Mode;

/// Where everything is that a pipeline writes to files.
pub(super) const OUT: &str = "out";
/// What is there before a run.
const BEFORE: &str = "before";
/// The file that extracts make.
pub(super) const EXTRACTED: &str = "path: out/rows.csv";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    Csv,
    CsvParts,
    Parquet,
    ParquetParts,
    /// A directory for each value of a column.
    Partitions,
}

impl Files {
    fn is_csv(self) -> bool {
        matches!(self, Self::Csv | Self::CsvParts)
    }

    /// The step that reads `source`, and the one that writes to `destination` (a part of its configuration).
    fn both(self, source: &str, destination: &str) -> String {
        let reader = if source.ends_with("parquet") { "parquet_extractor" } else { "csv_extractor" };
        let writer = if self.is_csv() { "csv_writer" } else { "parquet_writer" };
        format!(
            "  - {{id: read, component: filesystem.{reader}, mode: read, config: {{path: {source}}}}}\n  \
               - {{id: write, component: filesystem.{writer}, mode: write, needs: [read], config: {{{destination}}}}}\n"
        )
    }

    fn destination(self, mode: Mode) -> String {
        let path = match self {
            Self::Csv => "path: out/rows.csv",
            Self::CsvParts | Self::ParquetParts => "path: out/rows, max_rows_per_file: 3000",
            Self::Parquet => "path: out/rows.parquet",
            Self::Partitions => "path: out/rows, partition_by: [third]",
        };
        format!("{path}, mode: {}", mode.word())
    }

    pub(super) fn steps(self, mode: Mode) -> String {
        match mode {
            Mode::Extract => Self::Csv.both("source.parquet", EXTRACTED),
            _ => self.both("rows.csv", &self.destination(mode)),
        }
    }

    /// Makes what is read or is there before a run, once.
    pub(super) fn prepare(self, project: &Project, mode: Mode) {
        let steps = if mode == Mode::Extract {
            Self::Parquet.both("rows.csv", "path: source.parquet")
        } else {
            let old: String = OLD.iter().map(|id| format!("{id},\"old\",{}\n", third(*id))).collect();
            project.write("old.csv", format!("{HEAD}{old}"));
            self.both("old.csv", &self.destination(mode))
        };
        project.write("prepare.yaml", format!("oml_version: \"0.1.0\"\nname: prepare\nsteps:\n{steps}"));
        Runner::new(project).run(&["run", "prepare.yaml"]).with_code(0);
        if mode != Mode::Extract {
            fs::rename(project.path(OUT), project.path(BEFORE)).unwrap();
        }
        let _ = fs::remove_dir_all(project.path(".osiris"));
    }
}

/// Names of a project of files that are there for good.
pub(super) const PREPARED: [&str; 4] = ["old.csv", "prepare.yaml", "source.parquet", BEFORE];

const HEAD: &str = "id,label,third\n";

fn third(id: i64) -> i64 {
    id.rem_euclid(3)
}

/// The file that pipelines read.
pub(super) fn source(rows: impl Iterator<Item = (i64, String)>) -> String {
    let rows = rows.map(|(id, label)| format!("{id},\"{label}\",{}\n", third(id)));
    format!("{HEAD}{}", rows.collect::<String>())
}

/// Brings back what is in the directory `out` before a run. The directory itself stays: it may be a disk.
pub(super) fn reset(project: &Project) {
    let out = project.path(OUT);
    fs::create_dir_all(&out).unwrap();
    for entry in fs::read_dir(&out).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) }.unwrap();
    }
    copy(&project.path(BEFORE), &out);
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).into_iter().flatten().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// All files below a directory.
fn all(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { all(&path) } else { vec![path] }).collect()
}

/// Whether it is of a writer that has not come to its end: a temporary file or directory, or a lock.
fn is_hidden(path: &Path) -> bool {
    path.iter().any(|name| name.to_string_lossy().starts_with('.'))
}

/// What the files hold.
pub(super) fn read(project: &Project) -> Table {
    let (out, mut rows) = (project.path(OUT), Vec::new());
    for path in all(&out).into_iter().filter(|path| !is_hidden(path.strip_prefix(&out).unwrap())) {
        match path.extension().and_then(|end| end.to_str()) {
            Some("csv") => rows.extend(csv(&path)),
            Some("parquet") => rows.extend(parquet(&path)),
            _ => {}
        }
    }
    Table::of(rows)
}

fn csv(path: &Path) -> Vec<(i64, String)> {
    let text = fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        let mut fields = line.split(',').collect::<Vec<_>>();
        // Labels have commas; the third column has one digit.
        let id = fields.remove(0).parse().unwrap_or(i64::MIN);
        if fields.last().is_some_and(|last| last.len() == 1) {
            fields.pop();
        }
        (id, fields.join(",").trim_matches('"').to_owned())
    };
    text.lines().skip(1).map(row).collect()
}

fn parquet(path: &Path) -> Vec<(i64, String)> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap().map(Result::unwrap);
    rows.map(|row| (row.get_long(0).unwrap(), row.get_string(1).unwrap().clone())).collect()
}

/// What lies in the directory `out` that is no destination.
pub(super) fn left_behind(project: &Project) -> Vec<String> {
    let out = project.path(OUT);
    let is_wanted = |path: &Path| {
        let end = path.extension().and_then(|end| end.to_str());
        !is_hidden(path) && end.is_some_and(|end| ["csv", "parquet", "db", "duckdb"].contains(&end))
    };
    let files = all(&out);
    let left = files.iter().map(|path| path.strip_prefix(&out).unwrap()).filter(|path| !is_wanted(path));
    left.map(|path| path.display().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::table::new_label;

    #[test]
    fn rows_are_found_in_files_and_what_is_no_file_of_rows_is_left_behind() {
        let project = Project::empty(osiris_e2e::Program::built());
        project.write("out/rows/part-00001.csv", source((1..=2).map(|id| (id, new_label(id)))));
        project.write("out/rows/part-00002.csv", "id,label\n3,other\n");
        project.write("out/.rows.osiris-lock", "");
        project.write("out/.rows.0123.osiris-tmp/part-00003.csv", "id,label\n4,other\n");
        let wanted = Table::of([(1, new_label(1)), (2, new_label(2)), (3, "other".to_owned())]);
        assert_eq!(read(&project), wanted);
        let mut left = left_behind(&project);
        left.sort();
        assert_eq!(left, [".rows.0123.osiris-tmp/part-00003.csv", ".rows.osiris-lock"]);
        reset(&project);
        assert_eq!(read(&project), Table::default());
    }
}

//! U46: the codes of errors, provoked by real mistakes and read from JSON; and that no code is without a use.

use std::fs;
use std::path::{Path, PathBuf};

use osiris_core::Code;
use osiris_e2e::{Ended, Project};
use serde_json::Value;

use crate::{READ, SLOW, project, sql, write};

/// The codes of the errors of a refused command, or of the steps of a run.
fn codes(ended: &Ended) -> Vec<String> {
    let document = ended.json();
    let refused = list(&document["diagnostics"]).filter(|found| found["severity"] == "error");
    let failed = list(&document["steps"]).map(|step| &step["error"]).filter(|error| !error.is_null());
    refused.chain(failed).map(|error| error["code"].as_str().unwrap().to_owned()).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// What a run says with `--json`.
#[track_caller]
fn fails(project: &Project, code: i32, expected: Code) {
    let ended = project.run(&["run", "pipeline.yaml", "--json"]).with_code(code);
    assert!(codes(&ended).contains(&expected.to_string()), "{expected}: {}", ended.stdout);
    let mut said = ended.stderr.lines();
    assert!(said.any(|line| line.starts_with("for more: osiris explain E0")), "{expected}: {}", ended.stderr);
}

fn read(config: &str) -> String {
    format!("  - {{id: orders, component: filesystem.csv_extractor, mode: read, config: {{{config}}}}}\n")
}

fn writer(id: &str, needs: &str) -> String {
    format!(
        "  - {{id: {id}, component: filesystem.csv_writer, mode: write, needs: [{needs}], config: {{path: out.csv}}}}\n"
    )
}

#[test]
fn mistakes_in_a_pipeline_have_their_codes() {
    for (steps, code) in [
        ("  - {id: orders, needs: [\n".to_owned(), Code::InvalidYaml),
        (read("path: orders.csv, pth: x"), Code::UnknownField),
        (read("delimiter: ';'"), Code::MissingField),
        (read("path: orders.csv, limit: many"), Code::InvalidValue),
        (READ.replace("csv_extractor", "csv_extracter"), Code::UnknownComponent),
        ([READ, &writer("out", "ordres")].concat(), Code::UnknownStep),
        ([READ, READ].concat(), Code::DuplicateName),
        (sql("a", "SELECT * FROM a").replace("mode:", "needs: [a], mode:"), Code::StepCycle),
        ([READ, &writer("one", "orders"), &writer("two", "orders")].concat(), Code::TwoWriters),
        (read("path: '${params.file}'"), Code::InvalidParameter),
        (
            READ.replace("filesystem.csv_extractor", "mysql.extractor").replace("path:", "password:"),
            Code::LiteralSecret,
        ),
        ([READ, &sql("sums", "SELECT sum(amount FROM orders")].concat(), Code::SqlSyntax),
        ([READ, &sql("sums", "SELECT * FROM read_csv('orders.csv')")].concat(), Code::SqlNotAllowed),
        ([READ, &sql("sums", "SELECT * FROM orderz")].concat(), Code::TableNotFound),
        (read("path: orders.csv, connection: '@filesystem.lake'"), Code::UnknownConnection),
    ] {
        fails(&project(&steps), 2, code);
    }
    let unset = project(&read("path: orders.csv, connection: '@filesystem.lake'"));
    unset.write("osiris_connections.yaml", "connections: {filesystem: {lake: {base_dir: '${NOT_SET_AT_ALL}'}}}\n");
    fails(&unset, 2, Code::VariableNotSet);
}

#[test]
fn mistakes_that_a_run_meets_have_their_codes() {
    let checked = "  - {id: sums, component: duckdb.processor, mode: transform, config: {query: SELECT * FROM orders, \
                   assertions: [{name: once, unique: [customer]}]}}\n";
    let slow = sql("slow", SLOW).replace("mode:", "timeout: {step_ms: 300}, retry: {max_attempts: 1}, mode:");
    for (steps, exit, code) in [
        ([READ, &sql("sums", "SELECT nothing FROM orders")].concat(), 1, Code::ColumnNotFound),
        ([READ, &sql("sums", "SELECT customer::INTEGER AS c FROM orders")].concat(), 1, Code::ValueDoesNotFit),
        (read("path: bad.csv"), 1, Code::BadLine),
        (read("path: bad.csv, on_bad_lines: reject"), 3, Code::TooManyRejects),
        (read("path: latin.csv"), 1, Code::InvalidEncoding),
        (read("path: none.csv"), 1, Code::FileNotFound),
        (read("path: bad.csv").replace("csv_extractor", "parquet_extractor"), 1, Code::InvalidFile),
        ([READ, checked].concat(), 3, Code::AssertionFailed),
        ([READ, &slow].concat(), 4, Code::StepTimedOut),
    ] {
        let project = project(&steps);
        project.write("bad.csv", "a,b\n1,2\n1,2,3\n");
        project.write("latin.csv", b"a,b\nx,\xe9\n");
        fails(&project, exit, code);
    }
}

#[test]
fn a_table_that_a_sqlite_file_does_not_have_has_the_code_of_any_table() {
    let project = project(
        "  - {id: lines, component: sqlite.extractor, mode: read, config: {table: nothing}}\n  \
         - {id: out, component: filesystem.csv_writer, mode: write, needs: [lines], config: {path: out.csv}}\n",
    );
    project.write("osiris_connections.yaml", "connections: {sqlite: {main: {default: true, path: test.db}}}\n");
    project.write("test.db", "");
    fails(&project, 1, Code::TableNotFound);
    let shown = project.run(&["runs", "show", "--json"]).with_code(0).json();
    assert_eq!(shown["ledger"]["steps"][0]["error_code"], "E0401", "{shown}");
}

#[test]
fn what_can_be_wrong_with_a_run_has_its_code() {
    let later =
        "  - {id: later, component: filesystem.csv_extractor, mode: read, needs: [out], config: {path: none.csv}}\n";
    let project = project(&[READ, &write("out", "out.csv").replace("columns: source", "mode: append"), later].concat());
    let nothing = project.run(&["run", "--resume", "--json"]).with_code(2);
    assert_eq!(codes(&nothing), ["E0503"]);
    fails(&project, 1, Code::FileNotFound);
    fails(&project, 2, Code::WrittenBefore);
}

/// The directory of the repository. Asked at run time: two checkouts may share a target directory.
fn repository() -> PathBuf {
    let package = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("tests are run by cargo"));
    package.parent().unwrap().to_path_buf()
}

/// The source of our crates without that of the codes, and without unit tests.
fn sources(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("osiris-core/src/code") && !path.ends_with("tests") {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            text.push_str(source.split("\n#[cfg(test)]\nmod tests").next().unwrap());
        }
    }
}

#[test]
fn every_code_is_given_to_some_error() {
    let mut text = String::new();
    sources(&repository().join("crates"), &mut text);
    for code in Code::ALL {
        let name = format!("Code::{code:?}");
        let mut used = text.split(&name).skip(1);
        assert!(
            used.any(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric())),
            "{code} is never used: {name}"
        );
    }
}

#[test]
fn troubleshooting_leads_to_every_code() {
    let page = fs::read_to_string(repository().join("docs/troubleshooting.md")).unwrap();
    for code in Code::ALL.iter().filter(|code| !code.is_general()) {
        let anchor = format!("{code} {}", code.title()).to_lowercase().replace(' ', "-");
        let link = format!("[{code}](reference/errors.md#{anchor})");
        assert!(page.contains(&link), "no {link}");
    }
    assert_eq!(page.matches("(reference/errors.md#").count(), page.matches("[E0").count(), "a link to no code");
}

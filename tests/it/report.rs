//! `runs report`: one page about a run, whatever became of it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use osiris_e2e::html::Document;
use osiris_e2e::{Program, Project, Signal};

use crate::{READ, SLOW, project, sql, write};

/// Three steps over a file with a row that is rejected, which `max_rejects` allows or not.
fn with_a_reject(max_rejects: u32) -> Project {
    let options =
        format!("path: orders.csv, dtype: {{amount: BIGINT}}, on_bad_lines: reject, max_rejects: {max_rejects}");
    let read = READ.replace("path: orders.csv", &options);
    let sums = sql("sums", "SELECT customer, sum(amount) AS total FROM orders GROUP BY 1");
    let project = project(&[read.as_str(), &sums, &write("out", "out.csv")].concat());
    project.write("orders.csv", "order_id,customer,amount\n1,a,10\n2,<script>alert(1)</script>,nope\n3,a,30\n");
    project
}

/// The page of the latest run, and what it is made of. It is well-formed, and refers to nothing outside of it.
#[track_caller]
fn page(project: &Project) -> (String, Document) {
    let html = project.run(&["runs", "report", "--output", "-"]).with_code(0).stdout;
    let document = Document::parse(&html).unwrap_or_else(|error| panic!("{error}\n{html}"));
    assert!(!html.contains("http://") && !html.contains("https://"), "{html}");
    for name in ["script", "link", "img", "iframe", "a"] {
        assert_eq!(document.named(name).count(), 0, "<{name}>\n{html}");
    }
    (html, document)
}

#[track_caller]
fn assert_says(document: &Document, texts: &[&str]) {
    for text in texts {
        assert!(document.text.contains(text), "no {text:?} in {}", document.text);
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn a_report_has_the_steps_the_ledger_the_columns_and_the_rejected_rows() {
    let project = with_a_reject(5);
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    let (html, document) = page(&project);
    let run = project.runs().pop().unwrap();
    let id = run.file_name().unwrap().to_str().unwrap();
    assert_says(
        &document,
        &["test", id, "✓ done", "The ledger balances.", concat!("osiris ", env!("CARGO_PKG_VERSION"))],
    );
    assert_says(&document, &["filesystem.csv_extractor", "duckdb.processor", "filesystem.csv_writer"]);
    let orders = ["3", "2", "1"].map(|count| format!("<td class=\"number\">{count}</td>")).concat();
    assert!(html.contains(&format!("<th scope=\"row\">orders</th><td class=\"text\">done</td>{orders}")), "{html}");
    // Content of the source is shown, said to be, and cannot be anything but text.
    assert_says(&document, &["Rejected rows", "whoever has this page can read their values"]);
    assert_says(&document, &["orders: 1 row", "`orders.csv`: the value is not BIGINT", "<script>alert(1)</script>"]);
    // The tables are gone, their columns are in the ledger.
    assert!(!run.join("store.duckdb").exists());
    assert_says(&document, &["orders: 3 columns", "sums: 2 columns", "total", "BIGINT"]);
    let ledger = project.run(&["runs", "show", "--json"]).with_code(0).json()["ledger"].clone();
    assert_eq!(ledger["steps"][0]["columns"][2], serde_json::json!({"name": "amount", "type": "BIGINT"}));
    assert_eq!(ledger["steps"][1]["needs"], serde_json::json!(["orders"]));
    // A bar for each attempt, bytes for each step that counts them.
    assert_eq!(html.matches("<g class=\"bar good\">").count(), 3, "{html}");
    let bytes = project.path("orders.csv").metadata().unwrap().len();
    assert_says(&document, &[format!("{bytes} B").as_str()]);
}

#[test]
fn a_report_is_written_into_the_directory_of_the_run_and_replaced() {
    let project = with_a_reject(5);
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    let id = project.runs()[0].file_name().unwrap().to_str().unwrap().to_owned();
    let path = format!(".osiris/runs/{id}/report.html");
    for _ in 0..2 {
        let written = project.run(&["runs", "report", &id[..20]]).with_code(0);
        let warning = "warning: the report shows rejected rows with their values: give it only to who may see them";
        assert_eq!((written.stdout.as_str(), written.stderr), ("", format!("wrote {path}\n{warning}\n")));
    }
    assert_eq!(mode(&project.path(&path)), 0o600);
    project.write("page.html", "old");
    let written = project.run(&["runs", "report", "--output", "page.html", "--json"]).with_code(0).json();
    assert_eq!(written, serde_json::json!({"run_id": id, "path": "page.html"}));
    assert_eq!((project.read("page.html"), mode(&project.path("page.html"))), (project.read(&path), 0o600));
    // A device is not replaced by a file.
    project.run(&["runs", "report", "--output", "/dev/null"]).with_code(0);
    assert!(!Path::new("/dev/null").is_file());
}

#[test]
fn what_cannot_be_reported_is_refused() {
    let project = with_a_reject(5);
    let none = project.run(&["runs", "report"]).with_code(2);
    assert!(none.stderr.contains("there are no runs yet"), "{}", none.stderr);
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    let id = project.runs()[0].file_name().unwrap().to_str().unwrap().to_owned();
    let mistyped = format!("x{}", &id[1..]);
    let unknown = project.run(&["runs", "report", &mistyped]).with_code(2);
    assert!(unknown.stderr.contains(&format!("hint: did you mean `{id}`?")), "{}", unknown.stderr);
    project.write("file", "");
    let refused = project.run(&["runs", "report", "--output", "file/report.html"]).with_code(2);
    assert!(refused.stderr.contains("cannot write `file/report.html`"), "{}", refused.stderr);
    assert!(refused.stderr.contains("hint: choose another file: `--output FILE`"), "{}", refused.stderr);
    // Neither a directory nor a link to one is replaced.
    std::fs::create_dir(project.path("pages")).unwrap();
    std::os::unix::fs::symlink("pages", project.path("link")).unwrap();
    for directory in ["pages", "link"] {
        let refused = project.run(&["runs", "report", "--output", directory]).with_code(2);
        assert!(
            refused.stderr.contains(&format!("cannot write `{directory}`: it is a directory")),
            "{}",
            refused.stderr
        );
        assert!(refused.stderr.contains("hint: choose a file in it: `--output FILE`"), "{}", refused.stderr);
    }
    assert!(project.path("link").is_symlink() && project.path("pages").read_dir().unwrap().next().is_none());
    let both = project.run(&["runs", "report", "--output", "-", "--json"]).with_code(2);
    assert!(both.json()["diagnostics"][0]["message"].as_str().unwrap().contains("standard output"), "{}", both.stdout);
}

#[test]
fn a_failed_run_has_a_report_that_says_why_and_what_to_do() {
    let project = with_a_reject(0);
    project.run(&["run", "pipeline.yaml"]).with_code(3);
    let (html, document) = page(&project);
    assert_says(&document, &["✗ integrity", "✗ failed", "– skipped"]);
    assert_says(&document, &["step `orders`: 1 row was rejected, at most 0 are allowed"]);
    assert_says(&document, &["hint: `osiris runs rejects` shows them: fix the data or raise `max_rejects`"]);
    assert_says(&document, &["<script>alert(1)</script>"]);
    assert_eq!(html.matches("<g class=\"bar bad\">").count(), 1, "{html}");
}

#[test]
fn a_warning_is_in_the_report() {
    let query = "SELECT 1 AS n, assertions: [{row_count: {min: 2}, severity: warn}]";
    let checked = sql("checked", "QUERY").replace("\"QUERY\"", query);
    let project = project(&[checked.as_str(), &write("out", "out.csv")].concat());
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    let (_, document) = page(&project);
    assert_says(&document, &["Warnings", "step `checked`: assertion `row count` failed, rows: 1"]);
}

#[test]
fn a_run_that_is_going_on_and_one_that_was_killed_have_a_report() {
    let project = project(&sql("slow", SLOW));
    let mut running = project.start(&["run", "pipeline.yaml"]);
    let started = || {
        let runs = project.runs();
        runs.iter().any(|run| project.lines(run, "events.jsonl").iter().any(|event| event["event"] == "step_start"))
    };
    running.wait_until("the query runs", started);
    let (_, document) = page(&project);
    assert_says(&document, &["… running", "slow: running", "not ended", "There is no ledger yet"]);
    running.signal(Signal::KILL);
    running.ended();
    let (_, document) = page(&project);
    assert_says(&document, &["! interrupted", "slow: unfinished", "not ended"]);
}

#[test]
fn a_resumed_run_has_a_report_with_all_its_columns() {
    let project = Project::starter(Program::built());
    project.write("out", "a file where a directory is needed");
    project.run(&["run", "pipeline.yaml"]).with_code(1);
    assert!(!page(&project).1.text.contains("since the first start"));
    std::fs::remove_file(project.path("out")).unwrap();
    project.run(&["run", "--resume"]).with_code(0);
    let (_, document) = page(&project);
    assert_says(&document, &["The run was resumed", "✓ done before", "orders: 4 columns", " s since the first start"]);
}

#[test]
fn the_report_of_a_resumed_run_that_is_going_on_says_nothing_of_the_time_before() {
    // A writer would take the rows of the query while it runs; a query waits for them.
    let steps = [sql("slow", "SELECT nothing FROM orders"), sql("last", "SELECT * FROM slow"), write("out", "out.csv")];
    let project = project(&[READ, &steps.concat()].concat());
    project.run(&["run", "pipeline.yaml"]).with_code(1);
    let mended = project.read("pipeline.yaml").replace("SELECT nothing FROM orders", SLOW);
    project.write("pipeline.yaml", mended);
    let mut running = project.start(&["run", "--resume"]);
    let run = project.runs().pop().unwrap();
    let has_begun = |event: &serde_json::Value| event["event"] == "step_start" && event["step_id"] == "slow";
    running.wait_until("the query runs", || {
        project.lines(&run, "events.jsonl").into_iter().filter(has_begun).count() == 2
    });
    let (_, document) = page(&project);
    assert_says(&document, &["… running", "✓ done before", "slow: running", "– waiting"]);
    let bytes = format!("{} B", project.path("orders.csv").metadata().unwrap().len());
    for old in ["Errors", "not found", "failed", bytes.as_str()] {
        assert!(!document.text.contains(old), "{old:?} in {}", document.text);
    }
    running.signal(Signal::INT);
    running.ended().with_code(130);
}

#[test]
fn a_run_whose_telemetry_is_gone_has_a_report() {
    let project = with_a_reject(5);
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    let run = project.runs().pop().unwrap();
    for name in ["events.jsonl", "metrics.jsonl", "rejects/orders.parquet"] {
        std::fs::remove_file(run.join(name)).unwrap();
    }
    let (html, document) = page(&project);
    assert_eq!(html.matches("<g class=\"bar good\">").count(), 3, "{html}");
    assert_says(&document, &["orders: cannot read the rejected rows"]);
}

#[test]
fn no_secret_is_in_a_report_or_in_the_names_of_columns() {
    let keyed = sql("keyed", "SELECT '${params.api_token}', 1 AS n");
    let project = project("");
    let steps = [keyed.as_str(), &write("out", "out.csv")].concat();
    project.write(
        "pipeline.yaml",
        format!("oml_version: \"0.1.0\"\nname: test\nparams:\n  api_token: {{}}\n  day: {{}}\nsteps:\n{steps}"),
    );
    let params = ["--param", "api_token=k3y-0123456789", "--param", "day=monday"];
    project.run(&[&["run", "pipeline.yaml"], &params[..]].concat()).with_code(0);
    let (html, document) = page(&project);
    assert_says(&document, &["Parameter api_token", "***", "Parameter day", "monday", "keyed: 2 columns"]);
    let ledger = project.read(project.runs()[0].join("ledger.json"));
    assert!(!html.contains("k3y-0123456789") && !ledger.contains("k3y-0123456789"), "{ledger}\n{html}");
}

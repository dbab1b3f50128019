//! Where text goes: data and people, colours, quiet and verbose, JSON.

use osiris_e2e::{Project, shape, steady};

use crate::program;

#[test]
fn a_run_tells_people_and_leaves_the_standard_output_alone() {
    let project = Project::starter(program());
    let run = project.run(&["run", "pipeline.yaml", "--jobs", "1"]).with_code(0);
    assert_eq!(run.stdout, "");
    let text = steady(&run.stderr, project.directory());
    let parts: Vec<&str> = text.split("\n\n").collect();
    insta::assert_snapshot!(parts[0], @r"
    done orders: 8 rows, TIME s
    done customers: 4 rows, TIME s
    done totals: 4 rows, TIME s
    done large-orders: 4 rows, TIME s
    done write-totals: 4 rows, TIME s
    done write-large-orders: 4 rows, TIME s
    ");
    let (table, rest) = parts[1].split_once("run RUN").unwrap();
    let table: Vec<String> = shape(table, 2).iter().map(|row| row.join(" | ")).collect();
    insta::assert_snapshot!(table.join("\n"), @r"
    step | rows in | rows out | rejected
    orders | 8 | 8 | 0
    customers | 4 | 4 | 0
    totals | 12 | 4 | 0
    large-orders | 8 | 4 | 0
    write-totals | 4 | 4 | 0
    write-large-orders | 4 | 4 | 0
    ");
    insta::assert_snapshot!(rest, @r"
     in .osiris/runs/RUN
    done: the ledger balances, 12 rows read, 8 written, 0 rejected, TIME s
    ");
}

#[test]
fn quiet_says_nothing_but_errors() {
    let project = Project::starter(program());
    let run = project.run(&["run", "pipeline.yaml", "--quiet"]).with_code(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    let run = project.run(&["run", "pipeline.yaml", "--quiet", "--param", "min_amount=5000"]).with_code(3);
    assert!(run.stderr.starts_with("error: step `large-orders`: assertion failed"), "{}", run.stderr);
    assert!(!run.stderr.contains("rows in"), "{}", run.stderr);
}

#[test]
fn quiet_says_no_warnings_unless_the_log_level_does() {
    let steps = "  - {id: a, component: filesystem.csv_extractor, mode: read, config: {path: a.csv}}\n  \
                 - {id: w, component: filesystem.csv_writer, mode: write, needs: [a], config: {path: o.csv}}\n";
    let project = Project::with_steps(program(), steps);
    project.write("a.csv", "x,x\n1,2\n");
    let warning = "the header has empty or duplicate names";
    assert!(project.run(&["run", "pipeline.yaml"]).with_code(0).stderr.contains(warning));
    assert_eq!(project.run(&["run", "pipeline.yaml", "--quiet"]).with_code(0).stderr, "");
    let told = project.run(&["run", "pipeline.yaml", "--quiet", "--log-level", "warn"]).with_code(0).stderr;
    assert!(told.contains(warning), "{told}");
}

#[test]
fn verbose_says_what_begins() {
    let project = Project::starter(program());
    let run = project.run(&["run", "pipeline.yaml", "-v"]).with_code(0);
    assert!(run.stderr.contains("  started orders\n"), "{}", run.stderr);
    assert_eq!(project.run(&["run", "pipeline.yaml", "-v", "-q"]).code, 2);
}

#[test]
fn the_result_as_json_is_the_whole_standard_output() {
    let project = Project::starter(program());
    let result = project.run(&["run", "pipeline.yaml", "--json"]).with_code(0).json();
    assert_eq!((&result["outcome"], &result["exit_code"]), (&"done".into(), &0.into()));
    assert_eq!(result["steps"].as_array().unwrap().len(), 6);
    let orders = &result["steps"][0];
    assert_eq!((&orders["id"], &orders["read"], &orders["stored"]), (&"orders".into(), &8.into(), &8.into()));
    let failed = project.run(&["run", "pipeline.yaml", "--json", "--param", "min_amount=5000"]).with_code(3).json();
    assert_eq!(failed["outcome"], "integrity");
    let errors: Vec<&str> =
        failed["steps"].as_array().unwrap().iter().filter_map(|step| step["error"]["message"].as_str()).collect();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("assertion failed"), "{errors:?}");
}

#[test]
fn colours_are_for_those_who_want_them() {
    let project = Project::starter(program());
    let always = project.run(&["validate", "pipeline.yaml", "--color", "always"]).with_code(0);
    assert!(always.stderr.contains("\u{1b}[") && always.stderr.contains("valid"), "{:?}", always.stderr);
    for arguments in [["--color", "never"], ["--color", "auto"]] {
        let plain = project.run(&["validate", "nothing.yaml", arguments[0], arguments[1]]).with_code(2);
        assert!(!plain.stderr.contains('\u{1b}'), "{:?}", plain.stderr);
    }
    let usage = project.run(&["validate", "--color=always"]).with_code(2);
    assert!(usage.stderr.contains("\u{1b}["), "{:?}", usage.stderr);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let project = Project::starter(program());
    let mut command = project.command(&["components", "reference"]);
    let mut child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn logs_are_lines_on_the_standard_error() {
    let project = Project::starter(program());
    project.write("data/orders.csv", "order_id,customer_id,ordered_on,amount\n1,C-003,2024-01-01,5000.00\n");
    let run = project.run(&["run", "pipeline.yaml", "--log-level", "debug", "--log-format", "json"]).with_code(0);
    let lines = run.stderr.lines().filter(|line| line.starts_with('{'));
    for line in lines {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
    assert_eq!(project.run(&["run", "pipeline.yaml", "--log-level", "loud"]).code, 2);
}

#[test]
fn g32_the_title_of_a_step_is_shown_while_it_runs() {
    let project = Project::starter(program());
    let pipeline = project.read("pipeline.yaml");
    project.write(
        "pipeline.yaml",
        pipeline.replacen("- id: orders\n", "- id: orders\n    name: Orders of\u{a0}the month\n", 1),
    );
    let run = project.run(&["run", "pipeline.yaml", "--jobs", "1", "--verbose"]).with_code(0);
    for shown in ["started orders (Orders of the month)", "done orders (Orders of the month): 8 rows"] {
        assert!(run.stderr.contains(shown), "{}", run.stderr);
    }
}

#[test]
fn g28_a_connection_of_any_family_may_have_labels_and_a_list_shows_them() {
    let project = Project::starter(program());
    project.write(
        "osiris_connections.yaml",
        "version: 1\nconnections:\n  filesystem:\n    data: {base_dir: data, alias: Orders, description: The files of the shop}\n    \
         out: {base_dir: out}\n",
    );
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    let listed = project.run(&["connections", "list", "--json"]).with_code(0).json();
    assert_eq!(listed[0]["fields"]["alias"], "Orders");
    let listed = project.run(&["connections", "list"]).with_code(0).stdout;
    assert!(listed.contains("description: The files of the shop"), "{listed}");
    project.write(
        "osiris_connections.yaml",
        "version: 1\nconnections:\n  filesystem:\n    data: {base_dir: data, alias: [Orders]}\n    out: {base_dir: out}\n",
    );
    let refused = project.run(&["validate", "pipeline.yaml"]).with_code(2).stderr;
    assert!(refused.contains("`alias` of @filesystem.data must be a string"), "{refused}");
}

#[test]
fn progress_for_programs_is_an_object_per_line_and_one_at_the_end_of_each_step() {
    let project = Project::starter(program());
    let run = project.run(&["run", "pipeline.yaml", "--jobs", "1", "--quiet", "--progress", "json"]).with_code(0);
    let object = |line: &str| -> serde_json::Value {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    let ended: Vec<serde_json::Value> = run.stderr.lines().map(object).filter(|line| line["event"] == "end").collect();
    let steps: Vec<&str> = ended.iter().filter_map(|line| line["step"].as_str()).collect();
    assert_eq!(steps, ["orders", "customers", "totals", "large-orders", "write-totals", "write-large-orders"]);
    for line in &ended {
        assert_eq!((&line["version"], &line["status"], &line["phase"]), (&1.into(), &"done".into(), &().into()));
        assert!(line["elapsed_ms"].is_u64() && line["run_id"].is_string() && line["time"].is_string(), "{line}");
    }
    assert_eq!((&ended[0]["rows"], &ended[1]["rows"]), (&8.into(), &4.into()));
    let loud = project.run(&["run", "pipeline.yaml", "--progress", "json"]).with_code(0);
    assert!(!loud.stderr.contains("done orders") && loud.stderr.contains("the ledger balances"), "{}", loud.stderr);
    // Log lines are told from them.
    let logged = ["run", "pipeline.yaml", "--progress", "json", "--log-format", "json", "--log-level", "debug"];
    let logged = project.run(&logged).with_code(0).stderr;
    let objects: Vec<serde_json::Value> = logged.lines().filter(|line| line.starts_with('{')).map(object).collect();
    for line in &objects {
        assert_ne!(line["event"].is_string(), line["level"].is_string(), "{line}");
    }
    assert!(objects.iter().any(|line| line["level"].is_string()), "{logged}");
}

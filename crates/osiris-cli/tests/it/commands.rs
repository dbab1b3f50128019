//! What the commands besides `run` print.

use insta::assert_snapshot;
use osiris_e2e::{Project, shape, steady};
use serde_json::json;

use crate::program;

#[test]
fn init_makes_a_project_that_runs_and_never_overwrites() {
    let project = Project::empty(program());
    let made = project.run(&["init", "new"]).with_code(0);
    assert_snapshot!(made.stderr, @r"
      wrote new/pipeline.yaml
      wrote new/osiris_connections.yaml
      wrote new/data/orders.csv
      wrote new/data/customers.csv
      wrote new/.gitignore
    next: cd new
    next: osiris run pipeline.yaml
    ");
    let again = project.run(&["init", "new"]).with_code(2);
    assert_snapshot!(again.stderr, @r"
    error: `new` already contains pipeline.yaml, osiris_connections.yaml, data/orders.csv, data/customers.csv, .gitignore
    hint: name a new directory: `osiris init DIR`
    ");
    let mut run = project.command(&["run", "pipeline.yaml"]);
    assert!(run.current_dir(project.path("new")).output().unwrap().status.success());
    assert_eq!(
        project.read("new/out/large-orders.csv"),
        "order_id,customer_id,ordered_on,amount\n1001,C-007,2024-01-03,129.90\n1003,C-007,2024-01-05,310.00\n\
         1005,C-012,2024-01-09,402.10\n1007,C-003,2024-01-15,240.00\n"
    );
}

#[test]
fn validate_says_how_many_steps_there_are() {
    let project = Project::starter(program());
    let valid = project.run(&["validate", "pipeline.yaml"]).with_code(0);
    assert_eq!(
        (valid.stdout.as_str(), valid.stderr.as_str()),
        (
            "",
            "valid pipeline.yaml: 6 steps (nothing was opened: `osiris run --dry-run` checks connections and tables)\n"
        )
    );
}

#[test]
fn a_plan_shows_the_steps_in_their_order() {
    let project = Project::starter(program());
    let plan = project.run(&["plan", "pipeline.yaml", "--memory-limit", "2GB", "--jobs", "3"]).with_code(0);
    assert_snapshot!(plan.stdout, @r"
    orders: 6 steps

    1. orders  filesystem.csv_extractor (read)
         connection: @filesystem.data
         path: orders.csv

    2. customers  filesystem.csv_extractor (read)
         connection: @filesystem.data
         path: customers.csv

    3. totals  duckdb.processor (transform)
         reads the tables of: orders, customers
         query: SELECT customers.name, count(*) AS orders, sum(orders.amount) AS amount ...

    4. large-orders  duckdb.processor (transform)
         reads the tables of: orders
         query: SELECT * FROM orders WHERE amount >= 100 ORDER BY order_id

    5. write-totals  filesystem.parquet_writer (write)
         reads the tables of: totals
         path: out/totals.parquet

    6. write-large-orders  filesystem.csv_writer (write)
         reads the tables of: large-orders
         path: out/large-orders.csv

    tables: in a file below .osiris; memory limit: 2.0 GB; steps in parallel: 3
    ");
    assert_eq!(plan.stderr, "");
}

#[test]
fn a_manifest_is_the_same_wherever_and_whenever_it_is_made() {
    let (one, two) = (Project::starter(program()), Project::starter(program()));
    let of = |project: &Project| project.run(&["plan", "pipeline.yaml", "--json"]).with_code(0).stdout;
    assert_eq!(of(&one), of(&two));
    assert_eq!(one.run(&["compile", "pipeline.yaml"]).with_code(0).stdout, of(&one));
    one.run(&["compile", "pipeline.yaml", "-o", "manifest.json"]).with_code(0);
    assert_eq!(one.read("manifest.json"), of(&one));
    assert_ne!(one.run(&["compile", "pipeline.yaml", "--profile", "large"]).with_code(0).stdout, of(&one));
}

#[test]
fn components_are_listed_and_shown() {
    let project = Project::empty(program());
    let list = project.run(&["components", "list"]).with_code(0).stdout;
    let names: Vec<String> = shape(&list, 0).into_iter().skip(1).map(|row| row[0].clone()).collect();
    let listed = project.run(&["components", "list", "--json"]).with_code(0).json();
    let in_json: Vec<&str> = listed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, in_json);
    for name in ["duckdb.processor", "filesystem.extractor", "filesystem.writer"] {
        assert!(names.contains(&name.to_owned()), "{names:?}");
    }
    let alias = project.run(&["components", "show", "filesystem.extractor"]).with_code(0).stdout;
    assert!(alias.contains("Stands for filesystem.arrow_extractor or filesystem.csv_extractor or"), "{alias}");
    for name in names {
        let shown = project.run(&["components", "show", &name, "--json"]).with_code(0).json();
        assert_eq!(shown["name"], name);
        assert_eq!(shown["config_schema"]["type"], "object");
        let text = project.run(&["components", "show", &name]).with_code(0).stdout;
        assert!(text.starts_with(&name) && text.contains("\nconfig:\n"), "{text}");
    }
}

#[test]
fn the_reference_has_every_field_of_every_component() {
    let project = Project::empty(program());
    let reference = project.run(&["components", "reference"]).with_code(0).stdout;
    let listed = project.run(&["components", "list", "--json"]).with_code(0).json();
    for name in listed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()) {
        let section = reference.split(&format!("### {name}\n")).nth(1).unwrap_or_else(|| panic!("no section: {name}"));
        let section = section.split("\n##").next().unwrap();
        let shown = project.run(&["components", "show", name, "--json"]).with_code(0).json();
        for field in shown["config_schema"]["properties"].as_object().into_iter().flat_map(|fields| fields.keys()) {
            assert!(section.contains(&format!("| `{field}` |")), "{name}: {field}\n{section}");
        }
    }
    for common in ["connection", "input_step", "dry_run"] {
        assert!(reference.contains(&format!("| `{common}` |")), "{common}");
    }
}

#[test]
fn an_unknown_component_suggests_the_nearest() {
    let project = Project::empty(program());
    let refused = project.run(&["components", "show", "duckdb.procesor"]).with_code(2);
    assert_snapshot!(refused.stderr, @"
    error: unknown component `duckdb.procesor`
    hint: did you mean `duckdb.processor`?
    for more: osiris explain E0205
    ");
}

#[test]
fn connections_are_listed_without_their_secrets() {
    let project = Project::empty(program());
    let nothing = project.run(&["connections", "list"]).with_code(0);
    assert_eq!((nothing.stdout.as_str(), nothing.stderr.lines().count()), ("", 1));
    project.write(
        "osiris_connections.yaml",
        "version: 1\nconnections:\n  filesystem:\n    lake: {base_dir: \"${LAKE}\"}\n    here: {default: true, base_dir: .}\n  \
         mysql:\n    movies: {host: \"${HOST:-db}\", password: \"${PASSWORD}\"}\n    old: {password: hunter2}\n",
    );
    project.write(".env", "LAKE=/lake/of/secrets\n");
    let list = project.run(&["connections", "list"]).with_code(0);
    assert_snapshot!(list.stdout, @"
    connection        notes    fields                                    variables
    @filesystem.here  default  base_dir: .
    @filesystem.lake           base_dir: ${LAKE}                         LAKE (set)
    @mysql.movies              host: ${HOST:-db}, password: ${PASSWORD}  HOST (default), PASSWORD (missing)
    @mysql.old                 password: ***
    ");
    let as_json = project.run(&["connections", "list", "--json"]).with_code(0);
    assert_eq!(as_json.json()[1]["variables"], json!({"LAKE": "set"}));
    assert!(!format!("{}{}", list.stdout, as_json.stdout).contains("hunter2"));
    assert!(!format!("{}{}", list.stdout, as_json.stdout).contains("/lake"));
}

#[test]
fn what_a_family_does_not_know_and_a_password_in_a_user_or_a_host_are_not_shown() {
    let project = Project::empty(program());
    project.write(
        "osiris_connections.yaml",
        "version: 1\nconnections:\n  mysql:\n    a:\n      description: the shop\n      host: hunter2@127.0.0.1\n      \
         user: \"u:hunter2\"\n      pasword: hunter2\n      psw: [hunter2]\n      pw: \"${PW}\"\n    \
         b: {host: \"hunter2@127.0.0.1\", user: \"u:hunter2\", database: d, port: 1, password: \"${PW}\"}\n",
    );
    project.write(".env", "PW=s3cr3t-s3cr3t\n");
    let list = project.run(&["connections", "list", "--json"]).with_code(0);
    let expected = json!({
        "description": "the shop", "host": "***@127.0.0.1", "user": "u:***", "pasword": "***", "psw": ["***"], "pw": "${PW}"
    });
    assert_eq!(list.json()[0]["fields"], expected);
    for arguments in [&["connections", "list"][..], &["connections", "doctor"], &["connections", "doctor", "--json"]] {
        let shown = project.run(arguments);
        for text in [&list.stdout, &shown.stdout, &shown.stderr] {
            assert!(!text.contains("hunter2") && !text.contains("s3cr3t"), "{text}");
        }
        assert!(shown.stdout.contains("@mysql.b"), "{}", shown.stdout);
    }
}

#[test]
fn runs_are_listed_and_shown() {
    let project = Project::starter(program());
    assert_eq!(project.run(&["runs", "list"]).with_code(0).stderr, "there are no runs yet\n");
    let none = project.run(&["runs", "show"]).with_code(2);
    assert_snapshot!(none.stderr, @r"
    error: there are no runs yet
      directory: .osiris/runs
    hint: `osiris run FILE` starts one
    ");
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    project.run(&["run", "pipeline.yaml", "--param", "min_amount=5000"]).with_code(3);
    let list = project.run(&["runs", "list", "--json"]).with_code(0).json();
    let outcomes: Vec<&str> = list.as_array().unwrap().iter().map(|run| run["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["integrity", "done"]);
    let table = project.run(&["runs", "list"]).with_code(0).stdout;
    assert_eq!(
        shape(&steady(&table, project.directory()), 2)[1..],
        [["RUN", "orders", "integrity"], ["RUN", "orders", "done"]]
    );
    let id = list[1]["run_id"].as_str().unwrap();
    let shown = project.run(&["runs", "show", id]).with_code(0).stdout;
    let table = shown.split("\n\n").nth(1).unwrap();
    assert_eq!(shape(table, 2)[1], ["orders", "8", "8", "0"]);
    let latest = project.run(&["runs", "show", "--json"]).with_code(0).json();
    assert_eq!(latest["params"], json!({"min_amount": "5000"}));
    assert_eq!(latest["ledger"]["balanced"], true);
    let several = project.run(&["runs", "show", "20"]).with_code(2);
    assert!(several.stderr.contains("several run ids start with `20`"), "{}", several.stderr);
}

#[test]
fn completions_name_every_command() {
    let project = Project::empty(program());
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = project.run(&["completions", shell]).with_code(0).stdout;
        for command in ["validate", "compile", "connections"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn each_command_has_a_manual_page() {
    let project = Project::empty(program());
    let whole = project.run(&["man"]).with_code(0).stdout;
    assert!(whole.contains(".TH osiris 1") && whole.contains("validate"), "{whole}");
    let page = project.run(&["man", "connections", "doctor"]).with_code(0).stdout;
    for wanted in [".TH osiris-connections-doctor 1", ".SH SYNOPSIS", "$ osiris connections doctor"] {
        assert!(page.replace("\\-", "-").contains(wanted), "{wanted}: {page}");
    }
    let unknown = project.run(&["man", "connections", "rnu"]).with_code(2);
    assert!(unknown.stderr.contains("unknown command `connections rnu`"), "{}", unknown.stderr);
}

#[test]
fn the_doctor_says_what_it_could_not_check_and_what_is_wrong() {
    let project = Project::starter(program());
    let plain = project.run(&["connections", "doctor"]).with_code(0);
    assert!(plain.stdout.contains("@filesystem.data  ok "), "{}", plain.stdout);
    let one = project.run(&["connections", "doctor", "@filesystem.data", "--json"]).with_code(0);
    let expected = json!([{
        "name": "@filesystem.data", "checked": true, "ok": true, "latency_ms": 0, "category": "ok",
        "message": "local files: there is nothing to connect to", "details": {}
    }]);
    assert_eq!(one.json(), expected);
    let unknown = project.run(&["connections", "doctor", "@filesystem.dat"]).with_code(2);
    assert_snapshot!(unknown.stderr, @"
    error: no connection `@filesystem.dat`
    hint: did you mean `@filesystem.data`? There are: @filesystem.data
    for more: osiris explain E0110
    ");
}

#[test]
fn the_doctor_gives_each_problem_a_line_and_the_known_fields_once() {
    let project = Project::empty(program());
    project.write(
        "osiris_connections.yaml",
        "version: 1\nconnections:\n  mysql:\n    a: {host: h, database: d, psw: x, passwort: x, pw: x}\n",
    );
    let told = project.run(&["connections", "doctor"]).with_code(1).stdout;
    let lines: Vec<&str> = told.lines().map(str::trim).collect();
    assert!(lines[1].ends_with("@mysql.a has 3 problems:"), "{told}");
    let mut known = lines[2..].iter().filter(|line| line.contains("known fields: charset, "));
    assert!(known.next().is_some() && known.next().is_none(), "{told}");
    for line in ["- passwort: unknown field `passwort` (did you mean `password`?)", "- psw: unknown field `psw`"] {
        assert!(lines[2..5].iter().any(|told| told.starts_with(line)), "{line}: {told}");
    }
    assert!(lines.len() == 5 && !told.contains("\\u{a}"), "{told}");
}

#[test]
fn what_cannot_discover_is_told_before_anything_is_opened() {
    let project = Project::starter(program());
    let files = project.run(&["components", "discover", "filesystem.csv_extractor"]).with_code(2);
    assert!(files.stderr.contains("error: `filesystem.csv_extractor` cannot discover"), "{}", files.stderr);
    let malformed = project.run(&["components", "discover", "x.y", "--connection", "nothing"]).with_code(2);
    assert!(malformed.stderr.contains("`nothing` is not a connection reference"), "{}", malformed.stderr);
}

#[test]
fn g30_the_connections_file_of_osiris_home_comes_before_the_nearest_one() {
    let project = Project::starter(program());
    project.write("home/osiris_connections.yaml", "connections:\n  filesystem:\n    of_home: {base_dir: /tmp}\n");
    let listed = |home: &str| {
        let output = project.command(&["connections", "list"]).env("OSIRIS_HOME", home).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (stdout, stderr) = listed("home");
    assert!(stdout.contains("@filesystem.of_home") && stderr.contains("connections file: home/"), "{stdout}{stderr}");
    for without in ["", "data"] {
        let (stdout, _) = listed(without);
        assert!(stdout.contains("@filesystem.data"), "{stdout}");
    }
}

#[test]
fn g44_commands_of_the_original_are_answered_with_ours() {
    let project = Project::starter(program());
    for (arguments, tip) in [
        (["oml", "validate", "pipeline.yaml"].as_slice(), "`osiris validate PIPELINE`"),
        (&["logs", "list"], "`osiris runs list`"),
        (&["run", "--last-compile"], "`osiris run PIPELINE`"),
    ] {
        let refused = project.run(arguments).with_code(2);
        assert!(refused.stderr.contains(&format!("tip: {tip}")), "{}", refused.stderr);
    }
    project.run(&["compile", "pipeline.yaml", "--out", "manifest.json"]).with_code(0);
    assert!(project.path("manifest.json").is_file());
}

#[test]
fn a_state_is_looked_for_before_its_removal_has_to_be_confirmed() {
    let project = Project::starter(program());
    let none = project.run(&["state", "reset", "pipeline.yaml"]).with_code(0);
    assert_eq!(none.stderr, "the pipeline has no saved state\n");
    let unknown = project.run(&["state", "reset", "pipeline.yaml", "orders"]).with_code(2);
    assert!(unknown.stderr.contains("there is no saved state of step `orders`"), "{}", unknown.stderr);
    let name = project.run(&["plan", "pipeline.yaml", "--json"]).with_code(0).json()["name"].clone();
    project.write(format!(".osiris/state/{}/orders.json", name.as_str().unwrap()), "{}");
    for step in [&["orders"][..], &[]] {
        let asked = project.run(&[&["state", "reset", "pipeline.yaml"], step].concat()).with_code(2);
        assert!(asked.stderr.contains("has to be confirmed"), "{}", asked.stderr);
    }
    project.run(&["state", "reset", "pipeline.yaml", "orders", "--yes"]).with_code(0);
    assert!(!project.path(format!(".osiris/state/{}/orders.json", name.as_str().unwrap())).exists());
}

#[test]
fn u46_an_error_ends_with_its_code_and_the_code_has_a_page() {
    let project = Project::empty(program());
    let refused = project.run(&["run", "nothing.yaml"]).with_code(2);
    assert_eq!(refused.stderr.lines().last(), Some("for more: osiris explain E0410"));
    assert!(!project.run(&["run", "nothing.yaml", "--quiet"]).with_code(2).stderr.contains("for more"));
    let page = project.run(&["explain", "E0410"]).with_code(0).stdout;
    assert!(page.starts_with("# E0410: the file does not exist\n\n") && page.contains("\n## What to do\n"), "{page}");
    assert_eq!(project.run(&["explain", "e0410"]).with_code(0).stdout, page);
    assert_eq!(project.run(&["explain", "0410"]).with_code(0).stdout, page);
    let both = project.run(&["explain", "E0410", "E0401"]).with_code(0).stdout;
    assert!(both.starts_with(&page) && both.contains("\n\n# E0401: "), "{both}");
    let unknown = project.run(&["explain", "E0419"]).with_code(2);
    assert!(unknown.stderr.contains("unknown error code `E0419`\nhint: did you mean `E04"), "{}", unknown.stderr);
}

#[test]
fn u46_all_codes_are_listed_with_their_titles() {
    let project = Project::empty(program());
    let listed = project.run(&["explain", "--json"]).with_code(0).json();
    assert_eq!(listed["version"], 1);
    let codes = listed["codes"].as_array().unwrap();
    assert!(codes.len() > 40, "{listed}");
    let table = project.run(&["explain"]).with_code(0).stdout;
    for one in codes {
        let (code, title) = (one["code"].as_str().unwrap(), one["title"].as_str().unwrap());
        assert!(
            table.lines().any(|line| line.starts_with(code) && line.trim_end().ends_with(title)),
            "{code}: {table}"
        );
    }
    let page = project.run(&["explain", "E0101", "--json"]).with_code(0).json();
    assert_eq!(page["codes"][0]["title"], "the server refused the connection");
    assert!(page["codes"][0]["text"].as_str().unwrap().contains("## Causes"), "{page}");
    let unknown = project.run(&["explain", "nonsense", "--json"]).with_code(2).json();
    assert_eq!((&unknown["ok"], &unknown["diagnostics"][0]["code"]), (&json!(false), &json!("E0901")));
}

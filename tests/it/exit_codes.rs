//! What each exit code means, and that whatever failed left nothing behind. 0 and 2 are everywhere else.

use crate::{READ, SLOW, project, sql, write};

#[test]
fn a_step_that_fails_for_good_is_1() {
    let project = project(&[READ, &write("out", "taken/out.csv")].concat());
    project.write("taken", "a file where a directory is needed");
    let run = project.run(&["run", "pipeline.yaml"]).with_code(1);
    assert!(run.stderr.contains("error: step `out`: "), "{}", run.stderr);
    assert!(run.stderr.contains("hint: resume the run with `osiris run pipeline.yaml --resume "), "{}", run.stderr);
    assert_eq!(project.read("taken"), "a file where a directory is needed");
}

#[test]
fn rows_that_are_wrong_are_3() {
    let steps = [READ, &sql("sums", "SELECT * FROM orders"), &write("out", "out.csv")].concat();
    let steps = steps
        .replace("FROM orders\"}", "FROM orders\", assertions: [{name: customers are known, unique: [customer]}]}");
    let project = project(&steps);
    let run = project.run(&["run", "pipeline.yaml"]).with_code(3);
    assert!(run.stderr.contains("customers are known"), "{}", run.stderr);
    assert!(!project.path("out.csv").exists());
    assert!(project.runs()[0].join("rejects/sums.parquet").is_file(), "the offenders are kept");
}

#[test]
fn too_many_rejects_are_3_and_up_to_the_limit_they_are_kept() {
    let steps = |limit: u32| {
        let config = format!("{{path: orders.csv, on_bad_lines: reject, max_rejects: {limit}}}");
        let read = format!("  - {{id: orders, component: filesystem.csv_extractor, mode: read, config: {config}}}\n");
        [read, write("out", "out.csv")].concat()
    };
    let bad = "order_id,customer,amount\n1,a,10\n2,b\n3,a,30\n";
    let strict = project(&steps(0));
    strict.write("orders.csv", bad);
    strict.run(&["run", "pipeline.yaml"]).with_code(3);
    assert!(!strict.path("out.csv").exists());
    let lenient = project(&steps(1));
    lenient.write("orders.csv", bad);
    let run = lenient.run(&["run", "pipeline.yaml", "--json"]).with_code(0);
    assert_eq!(lenient.read("out.csv"), "order_id,customer,amount\n1,a,10\n3,a,30\n");
    let orders = &run.json()["steps"][0];
    let counts = ["read", "stored", "rejected"].map(|name| orders[name].as_u64().unwrap());
    assert_eq!(counts, [3, 2, 1]);
    assert!(run.stderr.contains("rejects of orders: .osiris/runs/"), "{}", run.stderr);
}

#[test]
fn what_may_work_later_is_4() {
    let slow = sql("slow", SLOW);
    let slow = slow.trim_end().strip_suffix('}').unwrap();
    let steps = format!("{slow}, retry: {{max_attempts: 1}}, timeout: {{step_ms: 200}}}}\n{}", write("out", "out.csv"));
    let project = project(&[READ, &steps].concat());
    let run = project.run(&["run", "pipeline.yaml"]).with_code(4);
    assert!(run.stderr.contains("a later try may succeed"), "{}", run.stderr);
    assert!(!project.path("out.csv").exists());
}

#[test]
fn a_dry_run_writes_nothing_but_its_own_directory() {
    let project = project(&[READ, &sql("sums", "SELECT * FROM orders"), &write("out", "new/out.csv")].concat());
    let before = project.files();
    let run = project.run(&["run", "pipeline.yaml", "--dry-run"]).with_code(0);
    assert!(run.stderr.contains("dry run: everything was checked, nothing was written"), "{}", run.stderr);
    let after: Vec<_> = project.files().into_iter().filter(|file| !file.starts_with(".osiris/runs")).collect();
    assert_eq!(before, after);
    project.write("orders.csv", "order_id,customer\n1,a,too many\n");
    project.run(&["run", "pipeline.yaml", "--dry-run"]).with_code(1);
}

//! Errors that DuckDB finds while a run goes on are shown where the SQL stands in the pipeline file.

use insta::assert_snapshot;
use osiris_e2e::Project;

use crate::{READ, project};

/// The first paragraph of the report, which is the error.
fn failed(project: &Project) -> String {
    let run = project.run(&["run", "pipeline.yaml", "--quiet"]).with_code(1);
    run.stderr
}

fn query(sql: &str) -> Project {
    let lines: String = sql.lines().map(|line| format!("        {line}\n")).collect();
    let step = format!(
        "  - id: sums\n    component: duckdb.processor\n    mode: transform\n    config:\n      query: |\n{lines}"
    );
    project(&[READ, &step].concat())
}

#[test]
fn an_unknown_column_is_shown_in_its_line() {
    assert_snapshot!(failed(&query("SELECT customer,\n       sum(amout) AS amount\nFROM orders\nGROUP BY customer")), @r#"
    error: the query failed: Referenced column "amout" not found in FROM clause!
      --> pipeline.yaml:11:20
       |
    11 |                sum(amout) AS amount
       |                    ^^^^^
       |
       = hint: Candidate bindings: "amount", "customer"
    "#);
}

#[test]
fn an_error_in_a_later_statement_is_shown_there() {
    assert_snapshot!(
        failed(&query("CREATE TEMP TABLE large AS SELECT * FROM orders WHERE amount > 15;\nSELECT customr FROM large")),
        @r#"
    error: the query failed: Referenced column "customr" not found in FROM clause!
      --> pipeline.yaml:11:16
       |
    11 |         SELECT customr FROM large
       |                ^^^^^^^
       |
       = hint: Candidate bindings: "customer", "amount"
    "#
    );
}

#[test]
fn a_file_outside_the_plan_cannot_be_read() {
    let project = query("SELECT * FROM read_csv('/etc/passwd', header = false)");
    let run = project.run(&["run", "pipeline.yaml", "--quiet"]);
    assert!([1, 2].contains(&run.code), "{}", run.stderr);
    assert!(!run.stderr.contains("root:"), "{}", run.stderr);
    assert_snapshot!(run.stderr, @r#"
    error: the function `read_csv()` is not allowed here: SQL only reads its inputs
      --> pipeline.yaml:10:23
       |
    10 |         SELECT * FROM read_csv('/etc/passwd', header = false)
       |                       ^^^^^^^^
       |
       = hint: read files and other sources in an extractor step, and name that step in `needs`
    "#);
}

#[test]
fn a_value_that_cannot_be_converted_is_not_shown() {
    let stderr = failed(&query("SELECT customer::INTEGER AS c FROM orders"));
    assert!(!stderr.contains("'a'"), "{stderr}");
    assert_snapshot!(stderr, @"
    error: step `sums`: the query failed: Could not convert string '***' to INT32 when casting from source column customer
    hint: use TRY_CAST where a value may not fit the type
    ");
}

#[test]
fn what_a_query_says_itself_as_an_error_is_shown_on_every_path() {
    let write =
        "  - {id: out, component: filesystem.csv_writer, mode: write, needs: [sums], config: {path: out.csv}}\n";
    for sql in [
        "SELECT CASE WHEN amount > 15 THEN error('too much today') ELSE amount END AS n FROM orders",
        "CREATE TEMP MACRO small(x) AS CASE WHEN x > 15 THEN error('too much today') ELSE x END;\nSELECT small(amount) AS n FROM orders",
    ] {
        for following in ["", write] {
            let made = query(sql);
            made.write("pipeline.yaml", made.read("pipeline.yaml") + following);
            let report = failed(&made);
            assert!(report.contains("the query failed: too much today"), "{following}{report}");
        }
    }
    for name in ["system.main.error", "system.error", "SYSTEM.main.error"] {
        let around = failed_before(&query(&format!("SELECT {name}(customer) FROM orders")));
        assert!(around.contains("`error()` by the name of its catalog"), "{around}");
    }
}

/// The report of a pipeline that is refused before anything runs.
fn failed_before(project: &Project) -> String {
    project.run(&["run", "pipeline.yaml", "--quiet"]).with_code(2).stderr
}

#[test]
fn a_column_that_one_value_makes_text_is_named_with_the_row() {
    let project = query("SELECT sum(amount) AS amount FROM orders");
    project.write("orders.csv", "order_id,customer,amount\n1,a,10\n2,b,20\n3,a,unknown value\n");
    let text = failed(&project);
    let said = "column `amount` of step `orders` is VARCHAR, perhaps because of row 3, which is not a number";
    assert!(text.contains(said), "{text}");
    assert!(text.contains("(`dtype` in a step that reads files)") && !text.contains("unknown value"), "{text}");
    project.write("orders.csv", "order_id,customer,amount\n1,a,ten\n2,b,twenty\n3,a,30\n");
    assert!(!failed(&project).contains("because of row"), "most values are text");
}

#[test]
fn a_column_of_text_beside_the_one_that_fails_is_not_blamed() {
    for (sql, is_code) in [
        ("SELECT code, sum(name) AS n FROM orders", false),
        ("SELECT sum(name) AS n, code FROM orders", false),
        ("SELECT sum(name) AS n FROM orders WHERE code <> 'x'", false),
        ("SELECT name, sum(code) AS n FROM orders", true),
    ] {
        let project = query(sql);
        project.write("orders.csv", "code,name\n1,a\n2,b\nx,c\n");
        let text = failed(&project);
        assert_eq!(text.contains("column `code` of step `orders`"), is_code, "{sql}: {text}");
        assert_eq!(text.contains("because of row"), is_code, "{sql}: {text}");
    }
}

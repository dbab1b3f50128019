//! DuckDB database files from the command line: copies, tables as a pipeline, two steps over one file.

use osiris_e2e::{Program, Project};

fn project() -> Project {
    let project = Project::empty(Program::built());
    project.write("orders.csv", "order_id,customer,amount\n1,a,10\n2,b,20\n3,a,30\n");
    project
}

#[test]
fn duckdb_examples_load_twice_and_report_what_the_sample_holds() {
    let project = Project::copy_of(Program::built(), "examples");
    for _ in 0..2 {
        let load = project.run(&["run", "duckdb/load.yaml"]).with_code(0);
        assert!(load.stderr.contains("done: the ledger balances, 5,042 rows read, 5,042 written"), "{}", load.stderr);
    }
    project.run(&["run", "duckdb/report.yaml"]).with_code(0);
    assert!(project.path("duckdb/out/punctuality.parquet").exists());
}

#[test]
fn a_duckdb_file_is_a_source_and_a_destination() {
    let project = project();
    project.run(&["copy", "orders.csv", "duckdb:app.duckdb#orders"]).with_code(0);
    project.run(&["copy", "orders.csv", "duckdb:app.duckdb", "--mode", "append"]).with_code(0);
    let counted = ["--query", "SELECT count(*) AS n, sum(amount) AS amount FROM orders"];
    project.run(&[&["copy", "duckdb:app.duckdb", "counts.csv"][..], &counted].concat()).with_code(0);
    assert_eq!(project.read("counts.csv"), "n,amount\n6,120\n");
    project
        .run(&["copy", "duckdb:app.duckdb#orders", "back.csv", "--where", "customer = 'b'", "--limit", "1"])
        .with_code(0);
    assert_eq!(project.read("back.csv"), "order_id,customer,amount\n2,b,20\n");
    project.run(&["copy", "duckdb:app.duckdb#orders", "out.parquet"]).with_code(0);
    assert!(project.path("out.parquet").is_file());
    // From one file into another, and into another table of the same.
    project.run(&["copy", "duckdb:app.duckdb#orders", "duckdb:other.duckdb#rows"]).with_code(0);
    project.run(&["copy", "duckdb:app.duckdb#orders", "duckdb:app.duckdb#copied"]).with_code(0);
    project.run(&["copy", "duckdb:app.duckdb#copied", "copied.csv"]).with_code(0);
    assert_eq!(project.read("copied.csv").lines().count(), 7);
    let missing = project.run(&["copy", "duckdb:absent.duckdb#orders", "x.csv"]);
    assert!(missing.code != 0 && missing.stderr.contains("there is no file"), "{}", missing.stderr);
}

#[test]
fn the_tables_of_a_duckdb_file_become_a_pipeline_that_runs_as_it_is() {
    let project = project();
    project.run(&["copy", "orders.csv", "duckdb:shop.duckdb#orders"]).with_code(0);
    project.run(&["copy", "orders.csv", "duckdb:shop.duckdb#more"]).with_code(0);
    project.write(
        "osiris_connections.yaml",
        "connections: {duckdb: {shop: {path: shop.duckdb}, lake: {path: lake.duckdb, create_if_missing: true}}}\n",
    );
    project.run(&["init", "--from", "@duckdb.shop", "--to", "@duckdb.lake", "-o", "all.yaml"]).with_code(0);
    for _ in 0..2 {
        let run = project.run(&["run", "all.yaml"]).with_code(0);
        assert!(run.stderr.contains("6 rows read, 6 written"), "{}", run.stderr);
    }
    let doctor = project.run(&["connections", "doctor"]).with_code(0);
    assert!(doctor.stdout.matches("the file can be read").count() == 2, "{}", doctor.stdout);
    let found = project.run(&["components", "discover", "duckdb.extractor", "--connection", "@duckdb.lake"]);
    assert!(found.stdout.contains("orders") && found.stdout.contains("more"), "{} {}", found.stdout, found.stderr);
}

#[test]
fn steps_read_and_write_one_duckdb_file_in_one_run() {
    let project = project();
    project.run(&["copy", "orders.csv", "duckdb:a.duckdb#orders"]).with_code(0);
    project.write("osiris_connections.yaml", "connections: {duckdb: {main: {default: true, path: a.duckdb}}}\n");
    let read =
        |id: &str| format!("  - {{id: {id}, component: duckdb.extractor, mode: read, config: {{table: orders}}}}\n");
    let write = |id: &str, needs: &str, more: &str| {
        format!("  - {{id: {id}, component: duckdb.writer, mode: write, needs: [{needs}], config: {{{more}}}}}\n")
    };
    let steps = [
        read("one"),
        read("two"),
        write("copy", "one", "table: copied, create_if_missing: true"),
        write("again", "two", "table: again, create_if_missing: true"),
        write("more", "one", "table: orders"),
    ];
    project.write("pipeline.yaml", format!("oml_version: \"0.1.0\"\nname: same-file\nsteps:\n{}", steps.concat()));
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    let query = "SELECT (SELECT count(*) FROM orders) AS o, (SELECT count(*) FROM copied) AS c, (SELECT count(*) FROM again) AS a";
    project.run(&["copy", "duckdb:a.duckdb", "counts.csv", "--query", query]).with_code(0);
    assert_eq!(project.read("counts.csv"), "o,c,a\n6,3,3\n");
}

#[test]
fn a_processor_needs_no_connection_of_its_family_and_its_sql_attaches_no_file() {
    let project = project();
    project.run(&["copy", "orders.csv", "duckdb:a.duckdb#orders"]).with_code(0);
    project.write("osiris_connections.yaml", "connections: {duckdb: {main: {default: true, path: absent.duckdb}}}\n");
    let pipeline = |query: &str| {
        format!(
            "oml_version: \"0.1.0\"\nname: p\nsteps:\n  \
             - {{id: made, component: duckdb.processor, mode: transform, config: {{query: \"{query}\"}}}}\n  \
             - {{id: write, component: filesystem.csv_writer, mode: write, needs: [made], config: {{path: out.csv}}}}\n"
        )
    };
    project.write("pipeline.yaml", pipeline("SELECT 1 AS n"));
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    for query in ["ATTACH 'a.duckdb'; SELECT 1", "FROM 'a.duckdb'", "FROM a.orders"] {
        project.write("pipeline.yaml", pipeline(query));
        assert_ne!(project.run(&["run", "pipeline.yaml"]).code, 0, "{query}");
    }
}

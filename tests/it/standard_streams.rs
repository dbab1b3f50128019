//! `-` as a path: a run as a filter between other programs.

use std::io::{Read, Write};
use std::process::Stdio;

use osiris_e2e::Ended;

use crate::{READ, project, sql, write};

#[test]
fn a_run_reads_its_standard_input_and_prints_nothing_but_its_table() {
    let read = READ.replace("orders.csv", "\"-\"");
    let project =
        project(&[read.as_str(), &sql("big", "SELECT * FROM orders WHERE amount > 15"), &write("out", "-")].concat());
    let mut command = project.command(&["run", "pipeline.yaml", "-v"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"order_id,customer,amount\n1,a,10\n2,b,20\n3,a,30\n").unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "order_id,customer,amount\n2,b,20\n3,a,30\n");
    assert!(stderr.contains("done: the ledger balances"), "{stderr}");
}

#[test]
fn a_reader_that_ends_early_fails_the_run_and_does_not_block_the_next_one() {
    let project = project(READ);
    // More than a pipe holds.
    project.write("many.csv", format!("n\n{}", "1234567\n".repeat(200_000)));
    for _ in 0..2 {
        let mut command = project.command(&["copy", "many.csv", "-"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        output.read_exact(&mut [0; 2]).unwrap();
        drop(output);
        let ended = Ended::of(child.wait_with_output().unwrap()).with_code(1);
        assert!(ended.stderr.contains("the program that reads it has ended"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("ambiguous"), "{}", ended.stderr);
    }
    let whole = project.run(&["copy", "many.csv", "-"]).with_code(0);
    assert_eq!(whole.stdout.lines().count(), 200_001);
}

#[test]
fn two_steps_that_read_the_standard_input_are_refused() {
    let read = READ.replace("orders.csv", "\"-\"");
    let again = read.replace("id: orders", "id: again");
    let project =
        project(&[read.as_str(), &again, &sql("both", "SELECT * FROM orders"), &write("out", "x.csv")].concat());
    let refused = project.run(&["validate", "pipeline.yaml"]).with_code(2);
    let message = "steps `orders` and `again` both read the standard input, which can be read once";
    assert!(refused.stderr.contains(message), "{}", refused.stderr);
}

//! Two steps that write one destination.

use insta::assert_snapshot;

use crate::components::{Case, with_steps};

const READ: &str = "  - {id: a, component: db.extractor, config: {query: q}}\n";

fn writer(id: &str, more: &str, config: &str) -> String {
    format!("  - {{id: {id}, component: file.writer{more}, config: {{{config}}}}}\n")
}

fn two(first: &str, more: &str, second: &str) -> String {
    with_steps(&[READ, &writer("w1", ", needs: [a]", first), &writer("w2", more, second)].concat())
}

#[test]
fn s8_one_destination_of_two_steps_is_refused_where_one_replaces_it() {
    assert_snapshot!(Case::default().refused(&two("path: out/x, mode: append", ", needs: [a, w1]", "path: out/x")), @r"
    error: steps `w1` and `w2` write the same file, project/out/x: `w2` replaces what the other has written
     --> pipeline.yaml:6:69
      |
    5 |   - {id: w1, component: file.writer, needs: [a], config: {path: out/x, mode: append}}
      |                                                                 ----- step `w1` writes it here
    6 |   - {id: w2, component: file.writer, needs: [a, w1], config: {path: out/x}}
      |                                                                     ^^^^^
      |
      = hint: write to another destination, or combine the rows in a step before
    ");
}

#[test]
fn s8_one_file_of_two_steps_is_refused_where_neither_waits() {
    assert_snapshot!(Case::default().refused(&two("path: out/x, mode: append", ", needs: [a]", "file: out/x, mode: append")), @r"
    error: steps `w1` and `w2` write the same file, project/out/x: neither waits for the other, so both would write to it at the same time
     --> pipeline.yaml:6:65
      |
    5 |   - {id: w1, component: file.writer, needs: [a], config: {path: out/x, mode: append}}
      |                                                                 ----- step `w1` writes it here
    6 |   - {id: w2, component: file.writer, needs: [a], config: {file: out/x, mode: append}}
      |                                                                 ^^^^^
      |
      = hint: let one wait for the other: add `w1` to `needs` of `w2`; or write to another destination
    ");
}

#[test]
fn s8_other_destinations_and_steps_in_order_are_fine() {
    for pipeline in [
        two("path: out/x, mode: append", ", needs: [a, w1]", "path: out/x, mode: append"),
        two("path: out/x", ", needs: [a]", "path: out/y"),
        two("path: x, base_dir: one", ", needs: [a]", "path: x, base_dir: two"),
    ] {
        Case::default().plan(&pipeline).unwrap();
    }
    let between = "  - {id: t, component: sql.processor, needs: [a, w1], config: {query: SELECT 1}}\n";
    let steps = [
        READ,
        &writer("w1", ", needs: [a]", "path: x, mode: append"),
        between,
        &writer("w2", ", needs: [t]", "path: x, mode: append"),
    ];
    Case::default().plan(&with_steps(&steps.concat())).unwrap();
}

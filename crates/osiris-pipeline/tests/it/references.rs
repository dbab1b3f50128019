//! Who reads whose table, who waits for whom.

use insta::assert_snapshot;

use crate::components::{plan, refused, with_steps};

fn extract(id: &str) -> String {
    format!("  - {{id: {id}, component: db.extractor, config: {{query: q}}}}\n")
}

#[test]
fn a_plain_list_of_steps_is_a_chain_and_extractors_wait_for_nobody() {
    let steps = extract("a")
        + "  - {id: s, component: sql.processor, config: {query: SELECT 1}}\n  - {id: w, component: file.writer, config: {path: o}}\n"
        + &extract("b");
    let plan = plan(&with_steps(&steps));
    let edges: Vec<(&str, Vec<String>)> =
        plan.steps().iter().map(|step| (step.id.as_str(), step.dependencies.clone())).collect();
    assert_eq!(edges, [("a", vec![]), ("s", vec!["a".to_owned()]), ("w", vec!["s".to_owned()]), ("b", vec![])]);
}

#[test]
fn the_order_follows_the_needs_and_then_the_file() {
    let steps = "  - {id: w, component: file.writer, needs: [s], config: {path: o}}\n  - {id: s, component: sql.processor, needs: [b, a], config: {query: SELECT 1}}\n".to_owned()
        + &extract("a") + &extract("b") + "  - {id: late, component: db.extractor, needs: [w], config: {query: q}}\n";
    let plan = plan(&with_steps(&steps));
    let ids: Vec<&str> = plan.steps().iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "s", "w", "late"]);
    assert_eq!(plan.step("s").unwrap().upstream, [(None, "b".to_owned()), (None, "a".to_owned())]);
    assert!(plan.step("late").unwrap().upstream.is_empty());
}

#[test]
fn the_longest_known_id_wins() {
    let steps = extract("a")
        + &extract("a.df")
        + "  - {id: w, component: file.writer, inputs: {t: \"${a.df.table}\"}, config: {path: o}}\n  - {id: v, component: file.writer, inputs: {t: \"${a.df}\"}, config: {path: p}}\n";
    let plan = plan(&with_steps(&steps));
    assert_eq!(plan.step("w").unwrap().dependencies, ["a.df"]);
    assert_eq!(plan.step("v").unwrap().dependencies, ["a"]);
}

#[test]
fn a_writer_with_inputs_only_waits_for_its_needs() {
    let steps = extract("a")
        + &extract("b")
        + "  - {id: w, component: file.writer, needs: [b], inputs: {t: \"${a.table}\"}, config: {path: o}}\n";
    let plan = plan(&with_steps(&steps));
    let step = plan.step("w").unwrap();
    assert_eq!(step.upstream, [(Some("t".to_owned()), "a".to_owned())]);
    assert_eq!(step.dependencies, ["a", "b"]);
}

#[test]
fn references_that_lead_nowhere_are_explained() {
    let steps = extract("extract-movies")
        + r#"  - id: s
    component: sql.processor
    needs: [extract-movie]
    config: {query: SELECT 1}
  - id: w
    component: file.writer
    inputs:
      a: "${extract-movies.rows}"
      b: "${extract-movies}"
      c: extract-movies
      d: "${nope.table}"
      e: [1]
    config: {path: o}
"#;
    assert_snapshot!(refused(&with_steps(&steps)), @r#"
    error: there is no step `extract-movie`
     --> pipeline.yaml:7:13
      |
    7 |     needs: [extract-movie]
      |             ^^^^^^^^^^^^^
      |
      = hint: did you mean `extract-movies`?

    error: step `extract-movies` has no output `rows`
      --> pipeline.yaml:12:10
       |
    12 |       a: "${extract-movies.rows}"
       |          ^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = hint: write `${extract-movies.table}`

    error: `extract-movies` is a step, not a table
      --> pipeline.yaml:13:10
       |
    13 |       b: "${extract-movies}"
       |          ^^^^^^^^^^^^^^^^^^^
       |
       = hint: write `${extract-movies.table}`

    error: `extract-movies` is a step, not a table
      --> pipeline.yaml:14:10
       |
    14 |       c: extract-movies
       |          ^^^^^^^^^^^^^^
       |
       = hint: write `"${extract-movies.table}"`

    error: there is no step `nope`
      --> pipeline.yaml:15:10
       |
    15 |       d: "${nope.table}"
       |          ^^^^^^^^^^^^^^^
       |
       = hint: steps: extract-movies, s, w

    error: an input must name a table, found a list
      --> pipeline.yaml:16:10
       |
    16 |       e: [1]
       |          ^^^
       |
       = hint: write `"${step.table}"`
    "#);
}

#[test]
fn cycles_are_named_along_their_edges() {
    let steps = r"  - id: a
    component: sql.processor
    needs: [c]
    config: {query: SELECT 1}
  - id: b
    component: sql.processor
    needs: [a]
    config: {query: SELECT 1}
  - id: c
    component: sql.processor
    needs: [b]
    config: {query: SELECT 1}
  - id: d
    component: sql.processor
    needs: [d]
    config: {query: SELECT 1}
";
    assert_snapshot!(refused(&with_steps(steps)), @r"
    error: these steps wait for each other: a -> c -> b -> a
      --> pipeline.yaml:6:13
       |
     6 |     needs: [c]
       |             ^
    ...
    10 |     needs: [a]
       |             - and this completes the cycle
       |
       = hint: remove one of these dependencies

    error: step `d` waits for itself
      --> pipeline.yaml:18:13
       |
    18 |     needs: [d]
       |             ^
       |
       = hint: remove one of these dependencies
    ");
}

#[test]
fn a_table_that_is_not_an_input_cannot_be_named() {
    let steps = extract("a")
        + &extract("b")
        + "  - {id: s, component: sql.processor, needs: [a], config: {query: \"SELECT 1, ${b.table}\"}}\n";
    assert_snapshot!(refused(&with_steps(&steps)), @r#"
    error: `b` is not an input of step `s`
     --> pipeline.yaml:6:78
      |
    6 |   - {id: s, component: sql.processor, needs: [a], config: {query: "SELECT 1, ${b.table}"}}
      |                                                                              ^^^^^^^^^^
      |
      = hint: add it: `needs: [b]`
    "#);
}

#[test]
fn inputs_that_cannot_be_are_refused() {
    let steps = "  - {id: first, component: file.writer, config: {path: o}}\n".to_owned()
        + &extract("a")
        + &extract("b")
        + r#"  - {id: w, component: file.writer, needs: [a, b], config: {path: w}}
  - {id: x, component: file.writer, config: {path: x}}
  - {id: y, component: file.writer, inputs: {t: "${w.table}"}, config: {path: y}}
  - {id: z, component: file.writer, needs: [w], config: {path: z}}
  - {id: e, component: db.extractor, inputs: {t: "${a.table}"}, config: {query: q}}
  - {id: p, component: file.writer, needs: [a, b], config: {path: p, input_step: c}}
"#;
    assert_snapshot!(refused(&with_steps(&steps)), @r#"
    error: step `first` needs an input, and no step comes before it
     --> pipeline.yaml:4:10
      |
    4 |   - {id: first, component: file.writer, config: {path: o}}
      |          ^^^^^
      |
      = hint: name the step whose table it reads: `needs: [step]`

    error: step `w` writes one table and is given 2: a, b
     --> pipeline.yaml:7:48
      |
    7 |   - {id: w, component: file.writer, needs: [a, b], config: {path: w}}
      |                                                ^
      |
      = hint: say which: `inputs: {table: "${step.table}"}`; the others stay under `needs`

    error: step `x` needs a table, and the step before it (`w`) makes none
     --> pipeline.yaml:8:10
      |
    8 |   - {id: x, component: file.writer, config: {path: x}}
      |          ^
      |
      = hint: name the step whose table it reads: `needs: [step]`

    error: step `w` writes, so it makes no table
     --> pipeline.yaml:9:49
      |
    9 |   - {id: y, component: file.writer, inputs: {t: "${w.table}"}, config: {path: y}}
      |                                                 ^^^^^^^^^^^^
      |
      = hint: name the step whose table it writes

    error: step `z` needs a table, and the steps it names make none
      --> pipeline.yaml:10:45
       |
    10 |   - {id: z, component: file.writer, needs: [w], config: {path: z}}
       |                                             ^
       |
       = hint: name the step whose table it reads as well

    error: `db.extractor` reads a source and takes no input
      --> pipeline.yaml:11:50
       |
    11 |   - {id: e, component: db.extractor, inputs: {t: "${a.table}"}, config: {query: q}}
       |                                                  ^^^^^^^^^^^^
       |
       = hint: to only wait for a step, write `needs: [step]`

    error: `c` is not an input of step `p`
      --> pipeline.yaml:12:82
       |
    12 |   - {id: p, component: file.writer, needs: [a, b], config: {path: p, input_step: c}}
       |                                                                                  ^
       |
       = hint: did you mean `a`?
    "#);
}

#[test]
fn input_step_chooses_among_several() {
    let steps = extract("a")
        + &extract("b")
        + "  - {id: w, component: file.writer, needs: [a, b], config: {path: o, input_step: b}}\n  - {id: v, component: file.writer, config: {path: v, input_step: a}}\n";
    let plan = plan(&with_steps(&steps));
    assert_eq!(plan.step("w").unwrap().request.input_step.as_deref(), Some("b"));
    assert_eq!(plan.step("v").unwrap().upstream, [(None, "a".to_owned())]);
}

//! YAML that cannot be read, or that would not mean what it seems to.

use std::sync::Arc;

use insta::assert_snapshot;
use osiris_pipeline::{Diagnostics, SourceFile, yaml};
use proptest::prelude::*;

use crate::components::refused;

#[test]
fn a_tab_in_the_indentation_is_named() {
    assert_snapshot!(refused("oml_version: \"0.1.0\"\nname: x\nsteps:\n\t- id: a\n"), @r"
    error: a tab in the indentation
     --> pipeline.yaml:4:1
      |
    4 |     - id: a
      | ^ tab
      |
      = hint: YAML is indented with spaces: replace each tab by two
    ");
    assert_snapshot!(refused("a:\n  b: 1\n \tc: 2\n"), @r"
    error: a tab in the indentation
     --> pipeline.yaml:3:2
      |
    3 |      c: 2
      |  ^ tab
      |
      = hint: YAML is indented with spaces: replace each tab by two
    ");
}

#[test]
fn tabs_that_indent_nothing_are_content() {
    let source = Arc::new(SourceFile::from_text("x", "a: |\n  SELECT\n  \t1\nb: \"x\n  \ty\"\n\t\n\t# c\nc: 1\t# d\n"));
    let mut diagnostics = Diagnostics::default();
    let node = yaml::load(&source, &mut diagnostics);
    assert!(diagnostics.is_empty(), "{diagnostics}");
    assert_eq!(node.unwrap().to_json(), serde_json::json!({"a": "SELECT\n\t1\n", "b": "x y", "c": 1}));
}

#[test]
fn a_duplicate_key_names_both_lines() {
    assert_snapshot!(refused("oml_version: \"0.1.0\"\nname: x\nsteps:\n  - id: a\n    component: db.extractor\n    config: {query: q}\n    id: b\n"), @r"
    error: the key `id` occurs twice
     --> pipeline.yaml:7:5
      |
    4 |   - id: a
      |     -- here first
    ...
    7 |     id: b
      |     ^^ first written on line 4
      |
      = hint: keep one of them
    ");
}

#[test]
fn an_alias_bomb_does_not_go_off() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let previous = level - 1;
        let items = vec![format!("*a{previous}"); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert_snapshot!(refused(&bomb), @r"
    error: the aliases of this file expand to more than 20000 values or 1048576 bytes
     --> pipeline.yaml:5:15
      |
    5 | a4: &a4 [*a3, *a3, *a3, *a3, *a3, *a3, *a3, *a3, *a3]
      |               ^^^ repeated too often
      |
      = hint: write out what is meant; aliases of aliases multiply
    ");
}

#[test]
fn an_alias_to_itself_is_refused() {
    assert_snapshot!(refused("a: &a [1, *a]\n"), @r"
    error: the alias is inside the value that it refers to
     --> pipeline.yaml:1:11
      |
    1 | a: &a [1, *a]
      |           ^^
    ");
}

#[test]
fn a_large_text_cannot_be_repeated_without_end() {
    let text = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 100].join(", "));
    assert!(refused(&text).contains("aliases of this file expand"));
}

#[test]
fn small_aliases_work() {
    let source = Arc::new(SourceFile::from_text("x", "a: &a {k: 1}\nb: [*a, *a]\n&k key: *k\n"));
    let mut diagnostics = Diagnostics::default();
    let node = yaml::load(&source, &mut diagnostics).unwrap();
    assert!(diagnostics.is_empty(), "{diagnostics}");
    assert_eq!(node.to_json(), serde_json::json!({"a": {"k": 1}, "b": [{"k": 1}, {"k": 1}], "key": "key"}));
}

#[test]
fn merge_keys_tags_and_complex_keys_are_refused_together() {
    assert_snapshot!(refused("base: &b {x: 1}\na:\n  <<: *b\nb: !custom 1\n? [c]\n: 1\n"), @r"
    error: unknown key `base` in the pipeline
     --> pipeline.yaml:1:1
      |
    1 | base: &b {x: 1}
      | ^^^^
      |
      = hint: did you mean `name`?

    error: the pipeline has no `oml_version`
     --> pipeline.yaml:1:1
      |
    1 | base: &b {x: 1}
      | ^^^^
      |
      = hint: add `oml_version: ...`

    error: the pipeline has no `name`
     --> pipeline.yaml:1:1
      |
    1 | base: &b {x: 1}
      | ^^^^
      |
      = hint: add `name: ...`

    error: the pipeline has no `steps`
     --> pipeline.yaml:1:1
      |
    1 | base: &b {x: 1}
      | ^^^^
      |
      = hint: add `steps: ...`

    error: unknown key `a` in the pipeline
     --> pipeline.yaml:2:1
      |
    2 | a:
      | ^
      |
      = hint: known keys: oml_version, name, description, metadata, schedule, params, profiles, steps

    error: merge keys (`<<`) are not part of YAML 1.2
     --> pipeline.yaml:3:3
      |
    3 |   <<: *b
      |   ^^
      |
      = hint: repeat the fields, or use an alias for the whole mapping: `key: *anchor`

    error: unknown key `b` in the pipeline
     --> pipeline.yaml:4:1
      |
    4 | b: !custom 1
      | ^
      |
      = hint: known keys: oml_version, name, description, metadata, schedule, params, profiles, steps

    error: the tag `!custom` is not supported
     --> pipeline.yaml:4:4
      |
    4 | b: !custom 1
      |    ^^^^^^^^^
      |
      = hint: remove the tag

    error: a key must be a string, found a list
     --> pipeline.yaml:5:3
      |
    5 | ? [c]
      |   ^^^
    ");
}

#[test]
fn nesting_has_a_limit() {
    let deep = format!("a: {}{}\n", "[".repeat(100), "]".repeat(100));
    assert!(refused(&deep).contains("nested deeper than 64 levels"));
    let blocks: String = (0..100).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(refused(&blocks).contains("nested deeper than 64 levels"));
}

#[test]
fn one_document_only() {
    assert_snapshot!(refused("a: 1\n---\nb: 2\n"), @r"
    error: a second document starts here
     --> pipeline.yaml:2:1
      |
    2 | ---
      | ^^^
      |
      = hint: keep one document per file: remove this `---` and what follows
    ");
}

#[test]
fn common_slips_get_advice() {
    assert_snapshot!(refused("a:\n  connection: @db.movies\n"), @r#"
    error: a string cannot start with `@` unless it is quoted
     --> pipeline.yaml:2:15
      |
    2 |   connection: @db.movies
      |               ^
      |
      = hint: put it in quotes: "..."
    "#);
    assert_snapshot!(refused("a: {port: ${PORT}}\n"), @r#"
    error: a `,` or a `}` is missing before this
     --> pipeline.yaml:1:12
      |
    1 | a: {port: ${PORT}}
      |            ^
      |
      = hint: inside `{...}` and `[...]` a variable must be quoted: "${NAME}"
    "#);
    assert_snapshot!(refused("title: Dune: Part Two\n"), @r"
    error: a `:` that does not belong here
     --> pipeline.yaml:1:12
      |
    1 | title: Dune: Part Two
      |            ^
      |
      = hint: quote a string that contains `: `, and check the indentation of this line and the one before it
    ");
    assert_snapshot!(refused("query: \"SELECT\n  FROM\n"), @r#"
    error: this quote or bracket is never closed
     --> pipeline.yaml:1:8
      |
    1 | query: "SELECT
      |        ^
      |
      = hint: close it, or double a quote that belongs to the text
    "#);
    assert_snapshot!(refused("path: \"C:\\data\"\n"), @r#"
    error: an unknown escape sequence in a double-quoted string
     --> pipeline.yaml:1:7
      |
    1 | path: "C:\data"
      |       ^
      |
      = hint: write `\\` for a backslash, or use single quotes
    "#);
    assert_snapshot!(refused("steps:\n  - id: a\n   component: b\n"), @r"
    error: this line does not belong to the list above it
     --> pipeline.yaml:3:4
      |
    3 |    component: b
      |    ^
      |
      = hint: indent it like the lines it belongs to; list items begin with `- `
    ");
}

#[test]
fn an_error_inside_a_line_break_is_shown_at_the_end_of_its_line() {
    for text in ["{\r\r", "{\r\n", "a: [\r\n\r\n"] {
        assert!(refused(text).contains("pipeline.yaml:"), "{text:?}");
    }
}

#[test]
fn a_secret_on_a_line_that_cannot_be_parsed_is_masked() {
    let report = refused("a:\n  password: \"hunter2\" x\n");
    assert!(!report.contains("hunter2"), "{report}");
    assert!(report.contains("password: ***"), "{report}");
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic_or_hang(text in "[-a-c:{}\\[\\],&*!|>'\"%@`#? \\t\\n\\r$é\u{feff}]{0,60}") {
        let source = Arc::new(SourceFile::from_text("x", text));
        let mut diagnostics = Diagnostics::default();
        let node = yaml::load(&source, &mut diagnostics);
        prop_assert!(node.is_some() || diagnostics.has_errors());
        let _ = diagnostics.sorted().to_string();
    }

    #[test]
    fn every_scalar_is_where_its_span_says(words in prop::collection::vec("[a-zé]{1,8}", 1..20)) {
        let text: String = words.iter().enumerate().map(|(index, word)| format!("- k{index}: {word} # {word}\n")).collect();
        let source = Arc::new(SourceFile::from_text("x", text));
        let node = yaml::load(&source, &mut Diagnostics::default()).unwrap();
        for (index, word) in words.iter().enumerate() {
            let found = node.find(&format!("/{index}/k{index}"));
            prop_assert!(found.is_exact);
            if !matches!(word.as_str(), "true" | "false" | "null") {
                prop_assert_eq!(source.slice(found.value_span()), word.as_str());
            }
        }
    }
}

//! The column of tests in docs/driver-spec.md: a test function whose name begins with a rule's number proves that rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::{Outcome, workspace};

/// Where such functions are.
const SOURCES: &[&str] = &["crates/osiris-testkit/src", "crates/osiris-core/src", "crates/osiris-core/tests"];

/// The page as it should be.
pub(crate) fn page() -> Outcome<String> {
    let mut tests = Tests::new();
    for directory in SOURCES {
        collect(&workspace::root().join(directory), &mut tests)?;
    }
    Ok(with_tests(&workspace::read("docs/driver-spec.md")?, &tests))
}

/// The rules as a list: number, text, and whom it is for.
pub(super) fn list(page: &str) -> String {
    let mut table = "| rule | | for |\n| --- | --- | --- |".to_owned();
    for line in page.lines().filter(|line| line.starts_with("| DRV-") || line.starts_with("| CRT-")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        if let [number, rule, applies, ..] = cells.as_slice() {
            table.push_str(&format!("\n{number} | {rule} | {applies} |"));
        }
    }
    table
}

/// The number of the rule that a function of the suite is for, such as `DRV-004`.
pub(super) fn number(function: &str) -> Option<String> {
    functions(&format!("fn {function}(")).pop().map(|name| name[..7].to_uppercase().replace('_', "-"))
}

/// The names of tests by the rule they begin with, such as `drv_004`.
type Tests = BTreeMap<String, BTreeSet<String>>;

fn collect(path: &Path, tests: &mut Tests) -> Outcome {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    if path.is_dir() {
        for entry in path.read_dir().map_err(failed)? {
            collect(&entry.map_err(failed)?.path(), tests)?;
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        for name in functions(&fs::read_to_string(path).map_err(failed)?) {
            tests.entry(name[..7].to_owned()).or_default().insert(name);
        }
    }
    Ok(())
}

/// The functions in `source` that are called `drv_` or `crt_` and three digits and more.
fn functions(source: &str) -> Vec<String> {
    let names = source
        .split("fn ")
        .skip(1)
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>());
    let has_number = |name: &String| {
        let number = name.strip_prefix("drv_").or_else(|| name.strip_prefix("crt_"));
        number.is_some_and(|rest| {
            rest.len() > 4 && rest.as_bytes()[..3].iter().all(u8::is_ascii_digit) && &rest[3..4] == "_"
        })
    };
    names.filter(has_number).collect()
}

fn with_tests(page: &str, tests: &Tests) -> String {
    let row = |line: &str| {
        let cells: Vec<&str> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
        let [id, rule, applies, _] = cells.as_slice() else { return None };
        let key = id.to_lowercase().replace('-', "_");
        if !(key.starts_with("drv_") || key.starts_with("crt_")) {
            return None;
        }
        let names: Vec<String> = tests.get(&key).into_iter().flatten().map(|name| format!("`{name}`")).collect();
        let names = if names.is_empty() { "-".to_owned() } else { names.join("<br>") };
        Some(format!("| {id} | {rule} | {applies} | {names} |"))
    };
    page.lines().map(|line| row(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_stand_beside_the_rule_whose_number_they_bear() {
        let source = "pub async fn drv_004_reads_x(a: u8) {}\nfn drv_4_no() {} fn crt_001() {} fn crt_001_y() {}";
        assert_eq!(functions(source), ["drv_004_reads_x", "crt_001_y"]);
        let tests =
            Tests::from([("drv_004".to_owned(), BTreeSet::from(["drv_004_a".to_owned(), "drv_004_b".to_owned()]))]);
        let page = "| id | rule | for | tests |\n| DRV-004 | r | all | old |\n| DRV-005 | s | W T | old |\n";
        assert_eq!(
            with_tests(page, &tests),
            "| id | rule | for | tests |\n| DRV-004 | r | all | `drv_004_a`<br>`drv_004_b` |\n| DRV-005 | s | W T | - |\n"
        );
    }

    #[test]
    fn the_page_has_every_rule() {
        let page = workspace::read("docs/driver-spec.md").unwrap();
        assert_eq!(page.lines().filter(|line| line.starts_with("| DRV-")).count(), 32);
        assert_eq!(page.lines().filter(|line| line.starts_with("| CRT-")).count(), 10);
    }

    #[test]
    fn g85_a_rule_is_for_the_roles_that_the_suite_tries_it_on() {
        let suite = workspace::read("crates/osiris-testkit/src/macros.rs").unwrap();
        let roles = ["extract", "transform", "write"].map(|role| {
            let tests = suite.split(&format!("({role}, $module")).nth(1).unwrap();
            (&role[..1], tests.split("\n    };").next().unwrap())
        });
        let page = workspace::read("docs/driver-spec.md").unwrap();
        for line in page.lines().filter(|line| line.starts_with("| DRV-") || line.starts_with("| CRT-")) {
            let cells: Vec<&str> = line.split(" | ").collect();
            let rule = cells[0].trim_start_matches("| ").to_lowercase().replace('-', "_") + "_";
            for (letter, tests) in roles {
                let letter = letter.to_uppercase();
                let is_for = cells[2].split(' ').any(|word| [letter.as_str(), "all", "declared"].contains(&word));
                assert_eq!(tests.contains(&rule), is_for, "{}: {}, {letter}", cells[0], cells[2]);
            }
            assert!(!cells[3].starts_with('-'), "{}: no test", cells[0]);
        }
    }
}

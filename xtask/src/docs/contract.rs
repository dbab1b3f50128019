//! docs/driver-contract.md: what the author of a driver needs on one page, taken from code that is compiled and tested.
//!
//! The text is in `contract.md` beside this file. A line `{{...}}` in it stands for something of the source.

use super::calls::Calls;
use super::rules;
use crate::{Outcome, outside, workspace};

const TEXT: &str = "xtask/src/docs/contract.md";
const SUBJECT: &str = "crates/osiris-testkit/src/subject.rs";

/// The page as it should be.
pub(crate) fn page() -> Outcome<String> {
    let mut page = String::new();
    for line in workspace::read(TEXT)?.lines() {
        match line.strip_prefix("{{").and_then(|line| line.strip_suffix("}}")) {
            Some(wanted) => {
                let text = filled(wanted).map_err(|error| format!("{TEXT}: {wanted}: {error}"))?;
                page.push_str(&without_links(&text));
            }
            None => page.push_str(line),
        }
        page.push('\n');
    }
    Ok(page)
}

fn filled(wanted: &str) -> Outcome<String> {
    let (kind, rest) = wanted.split_once(' ').unwrap_or((wanted, ""));
    match kind {
        // FILE and the beginning of the item.
        "item" => {
            let (file, start) = rest.split_once(' ').ok_or("no item")?;
            Ok(code(&item(&workspace::read(file)?, start)?))
        }
        // A type, and which of its functions.
        "functions" => {
            let mut words = rest.split(' ');
            let path = words.next().ok_or("no type")?;
            let file = format!("docs/api/{}.txt", path.split("::").next().unwrap_or_default().replace('_', "-"));
            Ok(code(&functions(&workspace::read(file)?, path, &words.collect::<Vec<_>>())?))
        }
        "file" => Ok(code(&workspace::read(rest)?)),
        "region" => {
            let (file, name) = rest.split_once(' ').ok_or("no region")?;
            Ok(code(&region(&workspace::read(file)?, name)?))
        }
        // FILE and a heading: what stands below it.
        "section" => {
            let (file, heading) = rest.split_once(' ').ok_or("no heading")?;
            section(&workspace::read(file)?, heading)
        }
        "constants" => Ok(constants(&workspace::read(rest)?)),
        "rules" => Ok(rules::list(&workspace::read("docs/driver-spec.md")?)),
        "subjects" => subjects(),
        "manifest" => {
            let manifest = outside::manifest(&workspace::read(rest)?, &workspace::read("Cargo.toml")?)?;
            Ok(format!("```toml\n{}\n```", manifest.trim_end()))
        }
        "program" => Ok(code(&outside::program(rest))),
        _ => Err("unknown".to_owned()),
    }
}

/// A text of the source without the brackets of rustdoc's links: [`Name`] and [`Name`](crate::Name) lead nowhere on this page.
/// Links to files stay.
fn without_links(text: &str) -> String {
    let (mut plain, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find("[`") {
        let (before, link) = rest.split_at(start);
        plain.push_str(before);
        let found = link.split_once("`]").map(|(name, after)| (&name[1..], after));
        let Some((name, after)) = found.filter(|(name, _)| !name[1..].contains(['`', '\n'])) else {
            plain.push_str("[`");
            rest = &link[2..];
            continue;
        };
        let target = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        let is_path = |target: &str| target.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'));
        match target {
            Some((target, _)) if !is_path(target) => plain.push_str(&format!("[{name}`]")),
            _ => plain.push_str(&format!("{name}`")),
        }
        rest = target.filter(|(target, _)| is_path(target)).map_or(after, |(_, after)| after);
    }
    plain + rest
}

fn code(text: &str) -> String {
    format!("```rust\n{}\n```", text.trim_end())
}

/// An item from the line that begins with `start` to its closing brace; bodies of functions in it are left out.
fn item(source: &str, start: &str) -> Outcome<String> {
    let at = source.match_indices(start).find(|(at, _)| *at == 0 || source[..*at].ends_with('\n'));
    let (at, _) = at.ok_or("not in the file")?;
    let (mut text, mut depth, mut in_comment) = (String::new(), 0, false);
    for (index, c) in source[at..].char_indices() {
        in_comment = if in_comment { c != '\n' } else { source[at + index..].starts_with("//") };
        if in_comment {
            text.push(c);
            continue;
        }
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        match (c, depth) {
            ('{', 2) => text.push_str("{ .. }"),
            ('}', 1) => {}
            (_, 2..) => {}
            _ => text.push(c),
        }
        if c == '}' && depth == 0 {
            return Ok(text);
        }
    }
    Err("no end".to_owned())
}

/// The signatures of these functions of a type, as the text of the public API has them.
fn functions(api: &str, path: &str, names: &[&str]) -> Outcome<String> {
    let start = api.find(&format!(" {path}\n")).ok_or("not in the public API")?;
    let block = api[start..].split("\n\n").next().unwrap_or_default();
    let of = |name: &&str| {
        let is_it = |line: &&str| line.contains(&format!("fn {name}(")) || line.contains(&format!("fn {name}<"));
        block.lines().map(str::trim).find(is_it).ok_or_else(|| format!("no function `{name}`"))
    };
    let lines = names.iter().map(of).collect::<Outcome<Vec<_>>>()?;
    Ok(format!("impl {} {{\n    {}\n}}", path.rsplit("::").next().unwrap_or(path), lines.join("\n    ")))
}

/// What stands between `// [name]` and the next `// [end]`, without what it is indented by.
fn region(source: &str, name: &str) -> Outcome<String> {
    let begin = format!("// [{name}]\n");
    let start = source.find(&begin).ok_or("not in the file")? + begin.len();
    let text = source[start..].split("// [end]").next().unwrap_or_default();
    let indent = text.lines().filter(|line| !line.trim().is_empty()).map(|line| line.len() - line.trim_start().len());
    let indent = indent.min().unwrap_or(0);
    let lines: Vec<&str> = text.lines().map(|line| line.get(indent..).unwrap_or_default()).collect();
    Ok(lines.join("\n"))
}

/// What stands below a heading, up to the next one of its level.
fn section(page: &str, heading: &str) -> Outcome<String> {
    let start = page.find(&format!("\n{heading}\n")).ok_or("not in the page")? + heading.len() + 2;
    let level = heading.split(' ').next().unwrap_or_default();
    let text = page[start..].split(&format!("\n{level} ")).next().unwrap_or_default();
    Ok(text.trim().to_owned())
}

/// A table of constants with their comments.
fn constants(source: &str) -> String {
    let mut table = "| name | meaning |\n| --- | --- |".to_owned();
    let mut comment = String::new();
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            comment.push_str(if comment.is_empty() { "" } else { " " });
            comment.push_str(text);
        } else if let Some(value) = line.strip_prefix("pub const ").and_then(|rest| rest.split('"').nth(1)) {
            table.push_str(&format!("\n| `{value}` | {comment} |"));
            comment.clear();
        } else {
            comment.clear();
        }
    }
    table
}

/// The methods of a subject, and the rules that call each.
fn subjects() -> Outcome<String> {
    let calls = Calls::read()?;
    let source = workspace::read(SUBJECT)?;
    let mut table = "| method | what it says | rules |\n| --- | --- | --- |".to_owned();
    for of in ["pub trait Subject", "pub trait Destination"] {
        let text = item(&source, of)?;
        let mut comment: Vec<&str> = Vec::new();
        for line in text.lines().map(str::trim) {
            if let Some(text) = line.strip_prefix("///") {
                comment.push(text.trim());
            } else if let Some(rest) = line.split_once("fn ").map(|(_, rest)| rest) {
                let name = rest.split(['(', '<']).next().unwrap_or_default();
                let first = comment.join(" ");
                let first = first.split(". ").next().unwrap_or_default().trim_end_matches('.').to_owned();
                table.push_str(&format!("\n| `{name}` | {first} | {} |", calls.rules(name)));
                comment.clear();
            } else if !line.starts_with('#') {
                comment.clear();
            }
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_has_no_bodies() {
        let source = "x\npub trait A: B {\n    /// Says {so}.\n    const C: u8;\n    fn f(&self) -> u8 {\n        if a { b }\n    }\n    fn g();\n}\ny";
        assert_eq!(
            item(source, "pub trait A").unwrap(),
            "pub trait A: B {\n    /// Says {so}.\n    const C: u8;\n    fn f(&self) -> u8 { .. }\n    fn g();\n}"
        );
        assert!(item(source, "pub trait Z").is_err());
    }

    #[test]
    fn a_region_is_what_stands_between_its_marks() {
        let source = "fn a() {\n    // [one]\n    if b {\n        c();\n    }\n    // [end]\n}\n";
        assert_eq!(region(source, "one").unwrap().trim_end(), "if b {\n    c();\n}");
    }

    #[test]
    fn a_section_ends_at_the_next_heading_of_its_level() {
        let page = "# P\n\n## A\n\none\n\n### B\n\ntwo\n\n## C\n\nthree\n";
        assert_eq!(section(page, "## A").unwrap(), "one\n\n### B\n\ntwo");
        assert_eq!(section(page, "## C").unwrap(), "three");
        assert!(section(page, "## D").is_err());
    }

    #[test]
    fn links_of_rustdoc_become_names_and_links_to_files_stay() {
        for (text, plain) in [
            ("see [`Name`], [`a::b`](crate::a::b) and [`c`](Self::c).", "see `Name`, `a::b` and `c`."),
            ("see [`page`](docs/page.md) [`x`]", "see [`page`](docs/page.md) `x`"),
            ("[`unclosed", "[`unclosed"),
            ("[`one\ntwo`]", "[`one\ntwo`]"),
            ("no link", "no link"),
        ] {
            assert_eq!(without_links(text), plain);
        }
    }

    #[test]
    fn the_page_has_no_links_of_rustdoc() {
        let page = page().unwrap();
        let left: Vec<&str> = page.lines().filter(|line| line.contains("[`") && !line.contains("`](")).collect();
        assert!(left.is_empty(), "{left:#?}");
    }

    #[test]
    fn the_page_names_every_kind_of_error_and_every_rule() {
        let page = page().unwrap();
        let kinds = item(&workspace::read("crates/osiris-core/src/error.rs").unwrap(), "pub enum ErrorKind").unwrap();
        for kind in kinds.lines().map(str::trim).filter(|line| line.ends_with(',')) {
            let name = kind.trim_end_matches(',').to_lowercase();
            assert!(page.contains(&format!("| `{name}` |")), "{name}");
        }
        for number in ["DRV-001", "DRV-031", "CRT-001", "CRT-010"] {
            assert!(page.contains(&format!("| {number} |")), "{number}");
        }
        assert!(!page.contains("{{"), "something was not filled in");
    }
}

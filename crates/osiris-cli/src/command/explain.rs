//! `explain`: the codes of errors and their pages.

use std::fmt::Write as _;

use osiris::Error;
use osiris::core::Code;
use serde_json::{Value, json};

use crate::args::ExplainArgs;
use crate::command_error::CommandError;
use crate::console::Console;
use crate::table::{Column, table};
use crate::terminal::stdout_width;

/// The version of what is printed as JSON.
const VERSION: u32 = 1;

pub(super) fn explain(args: &ExplainArgs, console: &Console) -> Result<u8, CommandError> {
    if args.reference {
        console.data(&reference())?;
        return Ok(0);
    }
    let codes = parsed(&args.codes)?;
    match (codes.as_slice(), args.json) {
        (_, true) => console.json(&document(&codes))?,
        ([], false) => console.data(&list())?,
        (codes, false) => console.data(&codes.iter().map(|code| code.page()).collect::<Vec<_>>().join("\n"))?,
    }
    Ok(0)
}

/// The codes that are meant.
pub(super) fn parsed<S: AsRef<str>>(texts: &[S]) -> Result<Vec<Code>, Error> {
    texts.iter().map(|text| text.as_ref().parse()).collect()
}

/// The pages of codes; without any the titles of all.
pub(super) fn document(codes: &[Code]) -> Value {
    let title = |code: &Code| json!({"code": code.as_str(), "title": code.title()});
    let page = |code: &Code| json!({"code": code.as_str(), "title": code.title(), "text": code.text()});
    let codes: Vec<Value> = match codes {
        [] => Code::ALL.iter().map(title).collect(),
        codes => codes.iter().map(page).collect(),
    };
    json!({"version": VERSION, "codes": codes})
}

fn list() -> String {
    let rows = Code::ALL.iter().map(|code| vec![code.as_str().to_owned(), code.title().to_owned()]);
    table(&[Column::key("code"), Column::text("title")], rows.collect(), stdout_width())
}

const REFERENCE: &str = "\
# Errors

Made by `cargo xtask docs` from the pages that `osiris explain` prints: edit those, not this page.

Each kind of mistake has a code that does not change. An error on the screen ends with `for more: osiris explain CODE`; in JSON it is the
field `code`. E01 are connections, E02 the files of a project, E03 SQL, E04 data, E05 runs, E06 the machine, and E09 what is none of these.
[Troubleshooting](../troubleshooting.md) begins with what you see.
";

/// All pages as one.
fn reference() -> String {
    let mut page = REFERENCE.to_owned();
    for code in Code::ALL {
        let text = code.text().replace("\n## ", "\n### ");
        let _ = write!(page, "\n## {code}: {}\n\n{text}", code.title());
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_has_every_code_with_its_sections_below_it() {
        let page = reference();
        for code in Code::ALL {
            assert!(page.contains(&format!("\n## {code}: {}\n\n", code.title())), "{code}");
        }
        let sections = page.lines().filter(|line| line.starts_with("### ")).count();
        assert_eq!(sections, 3 * Code::ALL.len());
        assert_eq!(page.lines().filter(|line| line.starts_with("## ")).count(), Code::ALL.len());
    }
}

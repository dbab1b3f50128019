//! The reference of all components: one section each, by family, with a table of the fields that their schemas describe.

use serde_json::Value;

use super::schema;
use crate::Outcome;

const HEAD: &str = "\
# Components

Made by `cargo xtask docs` from the configuration types of the drivers. Edit their doc comments, not this page.

A field's aliases are old names that mean the same. An unknown field is an error that suggests the nearest known one.
`dry_run: true` in any step checks everything and changes nothing.
";

/// The whole page; `osiris` runs the program.
pub(crate) fn page(osiris: &dyn Fn(&[&str]) -> Outcome<String>) -> Outcome<String> {
    let mut text = HEAD.to_owned();
    let mut family = String::new();
    for name in names(&json(&osiris(&["components", "list", "--json"])?)?) {
        let component = json(&osiris(&["components", "show", &name, "--json"])?)?;
        let its_family = name.split('.').next().unwrap_or(&name);
        if its_family != family {
            family = its_family.to_owned();
            text.push_str(&format!("\n## {family}\n"));
            text.push_str(&connection(&family, &component));
        }
        text.push_str(&section(&name, &component));
    }
    Ok(text)
}

fn json(text: &str) -> Outcome<Value> {
    serde_json::from_str(text).map_err(|error| format!("osiris did not print JSON: {error}"))
}

/// The component names of a list, sorted.
fn names(list: &Value) -> Vec<String> {
    let items = list.as_array().or_else(|| list["components"].as_array());
    let mut names: Vec<String> =
        items.into_iter().flatten().filter_map(|item| item["name"].as_str().map(str::to_owned)).collect();
    names.sort();
    names
}

fn connection(family: &str, component: &Value) -> String {
    let table = schema::fields(&component["connection_schema"]);
    if table.is_empty() {
        return String::new();
    }
    let need =
        if component["connection"] == "optional" { "A step may do without one." } else { "Every step needs one." };
    format!("\n### Connection `@{family}.<alias>`\n\n{need}\n\n{}", schema::table(&table))
}

fn section(name: &str, component: &Value) -> String {
    let mut text = format!("\n### {name}\n\n");
    let mode = match component["role"].as_str() {
        Some("extract") => "`mode: read`",
        Some("write") => "`mode: write`",
        _ => "`mode: transform`",
    };
    let title = component["title"].as_str().unwrap_or_default();
    text.push_str(&format!("{} Step {mode}.\n\n", sentence(title)));
    let about = component["config_schema"]["description"].as_str().unwrap_or_default();
    if !about.is_empty() {
        text.push_str(&format!("{about}\n\n"));
    }
    text.push_str(&schema::table(&schema::fields(&component["config_schema"])));
    text
}

fn sentence(text: &str) -> String {
    let mut characters = text.trim_end_matches('.').chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_stand_under_their_family_with_its_connection_once() {
        let fake = |arguments: &[&str]| {
            Ok(match arguments {
                ["components", "list", "--json"] => r#"[{"name": "files.b"}, {"name": "files.a"}]"#,
                _ => {
                    r#"{"role": "write", "title": "writes it", "connection": "optional",
                       "config_schema": {"properties": {"path": {"type": "string", "description": "Where."}}, "required": ["path"]},
                       "connection_schema": {"properties": {"base_dir": {"type": ["string", "null"]}}}}"#
                }
            }
            .to_owned())
        };
        let page = page(&fake).unwrap();
        let titles: Vec<&str> = page.lines().filter(|line| line.starts_with("##")).collect();
        assert_eq!(titles, ["## files", "### Connection `@files.<alias>`", "### files.a", "### files.b"]);
        assert!(page.contains("Writes it. Step `mode: write`."), "{page}");
        assert!(page.contains("| `path` | text | required | Where. |"), "{page}");
    }
}

//! The page of settings: what `osiris schema settings` says of each, and the flag and the variable that win over it.

use serde_json::Value;

use crate::Outcome;

const HEAD: &str = "\
# Settings

Made by `cargo xtask docs` from `osiris schema settings`. Edit the program, not this page.

A setting is taken from the command line, else from its environment variable, else from `osiris.yaml` in the directory of the project, else
it has its default. A relative path in `osiris.yaml` starts there. A `.env` file is for the variables of connections and parameters: settings
in it have no effect.

| `osiris.yaml` | variable | option | meaning |
| --- | --- | --- | --- |
";

/// The whole page; `osiris` runs the program.
pub(crate) fn page(osiris: &dyn Fn(&[&str]) -> Outcome<String>) -> Outcome<String> {
    let schema: Value = serde_json::from_str(&osiris(&["schema", "settings"])?)
        .map_err(|error| format!("`osiris schema settings` prints no JSON: {error}"))?;
    let settings = schema["properties"].as_object().ok_or("`osiris schema settings` lists no properties")?;
    let help = osiris(&["run", "--help"])?;
    let mut text = HEAD.to_owned();
    for (name, setting) in settings {
        let about = setting["description"].as_str().ok_or_else(|| format!("`{name}` has no description"))?;
        let words: Vec<String> = setting["enum"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(|word| format!("`{word}`"))
            .collect();
        let about = if words.is_empty() { about.to_owned() } else { format!("{about} Values: {}.", words.join(", ")) };
        let option = format!("--{}", name.replace('_', "-"));
        let has_option = help.split(|c: char| c.is_whitespace() || c == ',').any(|word| word == option);
        let option = if has_option { format!("`{option}`") } else { String::new() };
        text.push_str(&format!("| `{name}` | `OSIRIS_{}` | {option} | {about} |\n", name.to_uppercase()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_has_its_variable_and_its_option_if_there_is_one() {
        let fake = |arguments: &[&str]| {
            Ok(match arguments {
                ["schema", "settings"] => {
                    r#"{"properties": {"run_dir": {"description": "Where. Default: here."}, "log": {"enum": ["a", "b"], "description": "How."}}}"#
                }
                _ => "  --run-dir <DIR>  Where\n  --log-level  No\n",
            }
            .to_owned())
        };
        let page = page(&fake).unwrap();
        assert!(page.contains("| `run_dir` | `OSIRIS_RUN_DIR` | `--run-dir` | Where. Default: here. |\n"), "{page}");
        assert!(page.contains("| `log` | `OSIRIS_LOG` |  | How. Values: `a`, `b`. |\n"), "{page}");
    }
}

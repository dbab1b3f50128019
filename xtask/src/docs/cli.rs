//! The page of the command line: the help of every command, found by following the lists of subcommands.

use crate::Outcome;

const HEAD: &str = "\
# The command line

Made by `cargo xtask docs` from `osiris --help` and the help of every command. Edit the program, not this page.
";

/// The whole page; `osiris` runs the program.
pub(crate) fn page(osiris: &dyn Fn(&[&str]) -> Outcome<String>) -> Outcome<String> {
    let mut text = HEAD.to_owned();
    let mut waiting: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(command) = waiting.pop() {
        let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        let title = [&["osiris"], arguments.as_slice()].concat().join(" ");
        arguments.push("--help");
        let help = osiris(&arguments)?;
        let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
        text.push_str(&format!("\n## {title}\n\n```text\n{}\n```\n", lines.join("\n")));
        waiting.extend(subcommands(&help).into_iter().rev().map(|name| [command.clone(), vec![name]].concat()));
    }
    Ok(text)
}

/// The names under `Commands:`, without `help`.
fn subcommands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_its_section_in_order() {
        let fake = |arguments: &[&str]| {
            Ok(match arguments {
                ["--help"] => "Usage\n\nCommands:\n  run   Runs\n        and more\n  runs  Lists\n  help  Helps\n\nOptions:\n  -q\n",
                ["runs", "--help"] => "Commands:\n  list  Lists\n",
                _ => "Usage: x   \n",
            }
            .to_owned())
        };
        let page = page(&fake).unwrap();
        let titles: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(titles, ["osiris", "osiris run", "osiris runs", "osiris runs list"]);
        assert!(page.contains("```text\nUsage: x\n```"), "no trailing spaces: {page}");
    }
}

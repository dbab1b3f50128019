//! The page of the command line: the help of every command, found by following the lists of subcommands.

use crate::Outcome;

const HEAD: &str = "\
# The command line

Made by `cargo xtask docs` from `osiris --help` and the help of every command. Edit the program, not this page.
The global options of `osiris` may be given to every command.
";

/// Where the options of every command begin in a help.
const GLOBAL: &str = "Global options:";

/// The whole page; `osiris` runs the program.
pub(crate) fn page(osiris: &dyn Fn(&[&str]) -> Outcome<String>) -> Outcome<String> {
    let mut text = HEAD.to_owned();
    for (command, help) in commands(osiris)? {
        let title = ["osiris".to_owned()].into_iter().chain(command.clone()).collect::<Vec<_>>().join(" ");
        let lines: Vec<&str> = match command.is_empty() {
            true => help.trim_end().lines().map(str::trim_end).collect(),
            false => without_global_options(help.trim_end()),
        };
        text.push_str(&format!("\n## {title}\n\n```text\n{}\n```\n", lines.join("\n")));
    }
    Ok(text)
}

/// Every command, as the words behind `osiris`, with its help; each before its subcommands.
pub(crate) fn commands(osiris: &dyn Fn(&[&str]) -> Outcome<String>) -> Outcome<Vec<(Vec<String>, String)>> {
    let mut found = Vec::new();
    let mut waiting: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(command) = waiting.pop() {
        let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = osiris(&arguments)?;
        waiting.extend(subcommands(&help).into_iter().rev().map(|name| [command.clone(), vec![name]].concat()));
        found.push((command, help));
    }
    Ok(found)
}

/// The lines of a help without its section of global options.
fn without_global_options(help: &str) -> Vec<&str> {
    let is_heading = |line: &str| !line.is_empty() && !line.starts_with(' ');
    let mut is_global = false;
    let kept = help.lines().map(str::trim_end).filter(|line| {
        if is_heading(line) {
            is_global = *line == GLOBAL;
        }
        !is_global
    });
    let mut lines: Vec<&str> = kept.collect();
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    lines
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
                ["--help"] => {
                    "Usage\n\nCommands:\n  run   Runs\n        and more\n  runs  Lists\n  help  Helps\n\nGlobal options:\n  -q\n"
                }
                ["runs", "--help"] => "Commands:\n  list  Lists\n\nGlobal options:\n  -q\n\n      --jobs\n\nExamples:\n  $ runs\n",
                _ => "Usage: x   \n",
            }
            .to_owned())
        };
        let page = page(&fake).unwrap();
        let titles: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(titles, ["osiris", "osiris run", "osiris runs", "osiris runs list"]);
        assert!(page.contains("```text\nUsage: x\n```"), "no trailing spaces: {page}");
        assert_eq!(page.matches("-q").count(), 1, "the global options are there once: {page}");
        assert!(page.contains("  list  Lists\n\nExamples:\n  $ runs\n```"), "what follows them stays: {page}");
    }
}

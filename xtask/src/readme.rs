//! Runs what the README tells a newcomer to type, in the root of the checkout, and compares what it says will be printed.
//!
//! The convention: in a fenced `console` block a line that begins with `$ ` is a command, the lines below it are what it prints.
//! They must be in the output (either stream), in this order; numbers and the width of columns may differ. A command with
//! `xtask` in it is one of ours that has a phase of its own, and is not run here.

use std::process::{Command, Stdio};

use crate::{Outcome, workspace};

/// One command with the lines that it should print.
#[derive(Debug, Default, PartialEq, Eq)]
struct Example {
    command: String,
    prints: Vec<String>,
}

/// Runs every command of the README.
pub(crate) fn check() -> Outcome {
    let examples = examples(&workspace::read("README.md")?);
    if examples.is_empty() {
        return Err("README.md: no command in a `console` block".to_owned());
    }
    for example in examples.iter().filter(|example| !example.command.contains("xtask")) {
        println!("    $ {}", example.command);
        let output = run(&example.command)?;
        if let Some(missing) = missing(&example.prints, &output) {
            return Err(format!(
                "README.md: `{}` did not print this line (numbers aside):\n{missing}\nIt printed:\n{output}",
                example.command
            ));
        }
    }
    Ok(())
}

fn examples(readme: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let (true, Some(command)) = (inside, line.strip_prefix("$ ")) {
            examples.push(Example { command: command.to_owned(), prints: Vec::new() });
        } else if let (true, Some(example)) = (inside, examples.last_mut()) {
            example.prints.push(line.to_owned());
        }
    }
    examples
}

fn run(command: &str) -> Outcome<String> {
    let output = Command::new("bash")
        .args(["-c", &format!("set -euo pipefail; {{ {command}; }} 2>&1")])
        .current_dir(workspace::root())
        .env("CARGO_TERM_COLOR", "never")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("bash could not be started: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(text) } else { Err(format!("README.md: `{command}` failed:\n{text}")) }
}

/// The first line that is not in `output` behind those before it.
fn missing<'a>(lines: &'a [String], output: &str) -> Option<&'a String> {
    let mut printed = output.lines().map(mask);
    lines.iter().filter(|line| !line.trim().is_empty()).find(|line| {
        let wanted = mask(line);
        !printed.any(|line| line == wanted)
    })
}

/// A line without what differs from run to run: numbers, spaces, the length of rules. Run ids mix digits and letters, so a whole
/// word with a digit in it is a number here.
fn mask(line: &str) -> String {
    let words = line.split(|c: char| c.is_whitespace() || "─━═-".contains(c)).filter(|word| !word.is_empty());
    let masked = words.map(|word| if word.contains(|c: char| c.is_ascii_digit()) { "#" } else { word });
    let mut words: Vec<&str> = masked.collect();
    words.dedup();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "text\n```console\n$ echo 12 rows\n12 rows\n\n$ true\n```\n```sh\n$ not this\n```\n";

    #[test]
    fn commands_and_what_they_print_are_found() {
        let found = examples(README);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].command, "echo 12 rows");
        assert_eq!(found[0].prints, ["12 rows", ""]);
    }

    #[test]
    fn numbers_and_widths_may_differ_but_words_and_order_may_not() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(missing(&lines("a  5,026  1.2s\nb"), "noise\na 3 17ms\nb\n"), None);
        assert_eq!(missing(&lines("b\na"), "a\nb\n"), Some(&"a".to_owned()));
        assert!(missing(&lines("a failed"), "a done\n").is_some());
    }

    #[test]
    fn a_command_that_fails_shows_its_output() {
        assert_eq!(run("echo out; echo err >&2").unwrap(), "out\nerr\n");
        assert!(run("echo why; false").unwrap_err().contains("why"));
    }
}

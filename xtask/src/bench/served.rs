//! A server of the benchmarks in a process of its own: it says where it is with its first line, answers a line with a line, and ends
//! with its input.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::{Outcome, shell};

/// The server, until it is dropped.
pub(super) struct Served {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// Its first line: an object in JSON.
    pub(super) about: String,
}

impl Served {
    /// Starts it and waits until it is ready.
    pub(super) fn start(command: &mut Command) -> Outcome<Self> {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = spawned.map_err(|error| format!("`{}`: {error}", shell::describe(command)))?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("the server has no pipes".to_owned());
        };
        let output = BufReader::new(output);
        let mut served = Self { process, input: Some(input), output, about: String::new() };
        served.about = served.line()?;
        Ok(served)
    }

    /// A member of its first line, a text or a number.
    pub(super) fn about(&self, name: &str) -> Outcome<&str> {
        let value = self.about.split_once(&format!("\"{name}\":")).and_then(|(_, rest)| rest.split([',', '}']).next());
        value.map(|value| value.trim_matches('"')).ok_or(format!("the server does not say its `{name}`"))
    }

    /// Asks it with a line, and waits for the line it answers.
    pub(super) fn ask(&mut self, line: &str) -> Outcome<String> {
        let input = self.input.as_mut().ok_or("the server has ended")?;
        writeln!(input, "{line}").map_err(|error| error.to_string())?;
        self.line()
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(0) => Err("the server has ended".to_owned()),
            Ok(_) => Ok(line.trim_end_matches(['\n', '\r']).to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_where_it_is_and_answers_until_it_is_dropped() {
        let script = r#"echo '{"port":7,"host":"h"}'; while read line; do echo "got $line"; done"#;
        let mut served = Served::start(Command::new("sh").args(["-c", script])).unwrap();
        assert_eq!((served.about("port").unwrap(), served.about("host").unwrap()), ("7", "h"));
        assert!(served.about("user").is_err());
        assert_eq!(served.ask("a question").unwrap(), "got a question");
    }
}

//! The few argument forms that the tasks need: flags, options with a value, words.

use std::collections::VecDeque;

use crate::Outcome;

/// What is left of the command line.
pub(crate) struct Args(VecDeque<String>);

impl Args {
    pub(crate) fn new(words: impl IntoIterator<Item = String>) -> Self {
        Self(words.into_iter().collect())
    }

    /// Takes `--name`, wherever it stands.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|word| word != name);
        self.0.len() != before
    }

    /// Takes `--name VALUE` or `--name=VALUE`, wherever it stands.
    pub(crate) fn option(&mut self, name: &str) -> Outcome<Option<String>> {
        let inline = format!("{name}=");
        let Some(at) = self.0.iter().position(|word| word == name || word.starts_with(&inline)) else {
            return Ok(None);
        };
        let word = self.0.remove(at).unwrap_or_default();
        if let Some(value) = word.strip_prefix(&inline) {
            return Ok(Some(value.to_owned()));
        }
        match self.0.remove(at) {
            Some(value) if !value.starts_with("--") => Ok(Some(value)),
            _ => Err(format!("{name} needs a value")),
        }
    }

    /// Takes the next word that is not a flag.
    pub(crate) fn word(&mut self) -> Option<String> {
        let at = self.0.iter().position(|word| !word.starts_with("--") || word == "--help")?;
        self.0.remove(at)
    }

    /// Everything must have been taken by now.
    pub(crate) fn finish(self) -> Outcome {
        match self.0.front() {
            None => Ok(()),
            Some(word) => Err(format!("unexpected argument `{word}`; `cargo xtask help` lists what there is")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Args {
        Args::new(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_taken_in_both_forms_and_anywhere() {
        let mut given = args("word --driver duckdb --services=skip --check");
        assert_eq!(given.option("--driver").unwrap().as_deref(), Some("duckdb"));
        assert_eq!(given.option("--services").unwrap().as_deref(), Some("skip"));
        assert!(given.flag("--check"));
        assert_eq!(given.word().as_deref(), Some("word"));
        given.finish().unwrap();
    }

    #[test]
    fn a_missing_value_and_a_stray_word_are_named() {
        assert_eq!(args("--driver").option("--driver").unwrap_err(), "--driver needs a value");
        assert_eq!(args("--driver --check").option("--driver").unwrap_err(), "--driver needs a value");
        assert!(args("--drivr x").finish().unwrap_err().contains("`--drivr`"));
    }
}

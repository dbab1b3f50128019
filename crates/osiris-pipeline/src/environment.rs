//! Variables: the process's own, then those of a `.env` file. The only place of this crate that reads the environment.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::SourceFile;

type Lookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Where variables come from. The real environment wins over `.env`; an empty variable counts as unset.
#[derive(Clone)]
pub struct Environment {
    real: Lookup,
    dotenv: BTreeMap<String, String>,
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the environment resolver that all others must use")]
        let real: Lookup = Arc::new(|name| std::env::var(name).ok());
        Self { real, dotenv: BTreeMap::new() }
    }

    /// An environment of its own, for embedders and tests.
    pub fn of<K: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        let variables: BTreeMap<String, String> =
            variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { real: Arc::new(move |name| variables.get(name).cloned()), dotenv: BTreeMap::new() }
    }

    /// Adds the `.env` file of a directory, if there is one. This process's environment is not changed.
    ///
    /// # Errors
    /// The file cannot be read or a line of it is not `NAME=value`. No value is shown.
    pub fn with_dotenv(mut self, directory: &Path) -> Result<Self, Diagnostics> {
        let path = directory.join(".env");
        if !path.is_file() {
            return Ok(self);
        }
        let source = SourceFile::read(&path)?.confidential();
        self.dotenv.extend(parse_dotenv(source)?);
        Ok(self)
    }

    /// Adds variables as a `.env` file does.
    #[must_use]
    pub(crate) fn with_variables(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.dotenv.extend(variables);
        self
    }

    /// The value of a variable, unless it is unset or empty.
    pub fn get(&self, name: &str) -> Option<String> {
        let real = (self.real)(name).filter(|value| !value.is_empty());
        real.or_else(|| self.dotenv.get(name).filter(|value| !value.is_empty()).cloned())
    }
}

impl fmt::Debug for Environment {
    /// No values: they are secrets as often as not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} from .env)", self.dotenv.len())
    }
}

pub(crate) fn parse_dotenv(source: SourceFile) -> Result<BTreeMap<String, String>, Diagnostics> {
    let source = Arc::new(source);
    let mut variables = BTreeMap::new();
    for variable in dotenvy::from_read_iter(Cursor::new(source.text())) {
        match variable {
            Ok((name, value)) => drop(variables.insert(name, value)),
            Err(error) => return Err(malformed(&source, &error).into()),
        }
    }
    Ok(variables)
}

fn malformed(source: &Arc<SourceFile>, error: &dotenvy::Error) -> Diagnostic {
    let diagnostic = Diagnostic::error("a line of .env is not `NAME=value`")
        .with_hint("quote values that hold spaces or `#`; comments begin with `#`");
    match error {
        dotenvy::Error::LineParse(line, _) => {
            let start = source.text().find(line.as_str()).unwrap_or(0);
            diagnostic.at(source, crate::source::Span::new(start, start)).of_unparsed()
        }
        _ => diagnostic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_dotenv(text: &str) -> Result<Environment, Diagnostics> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(".env"), text).unwrap();
        Environment::of([("HOST", "real"), ("EMPTY", "")]).with_dotenv(directory.path())
    }

    #[test]
    fn the_real_environment_wins_and_empty_is_unset() {
        let environment = with_dotenv("\u{feff}HOST=file\nexport PORT='33 06' # c\nEMPTY=filled\nNONE=\n").unwrap();
        assert_eq!(environment.get("HOST").as_deref(), Some("real"));
        assert_eq!(environment.get("PORT").as_deref(), Some("33 06"));
        assert_eq!(environment.get("EMPTY").as_deref(), Some("filled"));
        assert_eq!(environment.get("NONE"), None);
        assert!(!format!("{environment:?}").contains("33 06"));
    }

    #[test]
    fn a_malformed_line_is_placed_but_not_shown() {
        let error = with_dotenv("A=1\nPASSWORD=hunter2 and more\n").unwrap_err().to_string();
        assert!(error.contains(".env:2:1"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn no_file_is_no_problem() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Environment::of::<String, String>([]).with_dotenv(directory.path()).is_ok());
    }
}

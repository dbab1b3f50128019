//! Problems found before anything runs. They are collected and reported all at once, never one at a time.

use std::fmt;

use crate::{Code, Error, Result};

/// What a hint begins with that lists the fields of a configuration.
pub(crate) const KNOWN_FIELDS: &str = "known fields: ";

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It is shown but does not stop the run.
    Warning,
    /// Nothing runs until it is fixed.
    Error,
}

/// One thing wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// JSON Pointer (RFC 6901) into the value that was checked, `""` for the whole of it.
    pub pointer: String,
    /// The byte offset in the string at `pointer`: the position of an error in SQL.
    pub offset: Option<usize>,
    /// Whether the name at `pointer` is wrong, not its value: a field that nobody knows.
    pub of_name: bool,
    /// What is wrong, for the person who must fix it.
    pub message: String,
    /// What to do, when that is not obvious from the message.
    pub hint: Option<String>,
    /// Which kind of mistake it is, where that is known.
    pub code: Option<Code>,
    /// Whether it stops the run.
    pub severity: Severity,
    /// Whether all that is wrong is that an environment variable has no value here.
    pub of_environment: bool,
}

impl Problem {
    /// An error at `pointer`, such as `/columns/2`.
    pub fn error(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            offset: None,
            of_name: false,
            message: message.into(),
            hint: None,
            code: None,
            severity: Severity::Error,
            of_environment: false,
        }
    }

    /// The error of a check of SQL, such as [`SqlScript::parse`](crate::store::SqlScript::parse), in the text at
    /// `pointer`.
    pub fn from_sql(pointer: impl Into<String>, error: &Error) -> Self {
        let offset = error.context().iter().find(|(key, _)| *key == "offset");
        let mut problem = Self::error(pointer, error.message());
        problem.offset = offset.and_then(|(_, offset)| offset.parse().ok());
        problem.hint = error.hint().map(str::to_owned);
        problem.code = Some(error.code());
        problem
    }

    /// A warning at `pointer`.
    pub fn warning(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(pointer, message) }
    }

    /// Adds advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says which kind of mistake it is.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Self {
        self.code = Some(code);
        self
    }

    /// Says where inside the text at `pointer` it is, in bytes.
    #[must_use]
    pub fn with_offset(mut self, offset: usize) -> Self {
        self.offset = Some(offset);
        self
    }

    /// Says that the name at `pointer` is wrong, not its value.
    #[must_use]
    pub fn of_name(mut self) -> Self {
        self.of_name = true;
        self
    }

    /// Says that all that is wrong is that an environment variable has no value here.
    #[must_use]
    pub fn of_environment(mut self) -> Self {
        self.of_environment = true;
        self
    }

    /// Whether it stops the run.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.trim_start_matches('/') {
            "" => f.write_str(&self.message)?,
            field => write!(f, "{}: {}", field.replace('/', "."), self.message)?,
        }
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Turns the errors among `problems` into one validation error that lists them all.
///
/// # Errors
/// When at least one problem is an error.
pub fn ensure_none(problems: &[Problem], what: &str) -> Result<()> {
    if problems.iter().any(Problem::is_error) { Err(error_of(problems, what)) } else { Ok(()) }
}

/// One validation error that lists the errors among `problems`.
pub fn error_of(problems: &[Problem], what: &str) -> Error {
    let errors: Vec<&Problem> = problems.iter().filter(|problem| problem.is_error()).collect();
    match errors.as_slice() {
        [one] => {
            let bare = Problem { hint: None, ..(*one).clone() };
            let hint = one.hint.clone().unwrap_or_else(|| "fix it and run again".to_owned());
            Error::validation(format!("{what} is not valid: {bare}")).with_code(one.code).with_hint(hint)
        }
        many => {
            // Fields that are the same for several problems are listed once, with the last of them.
            let is_listed_later = |index: usize, hint: &str| {
                let mut later = many[index + 1..].iter();
                hint.starts_with(KNOWN_FIELDS) && later.any(|problem| problem.hint.as_deref() == Some(hint))
            };
            let line = |(index, problem): (usize, &&Problem)| match &problem.hint {
                Some(hint) if is_listed_later(index, hint) => Problem { hint: None, ..(*problem).clone() }.to_string(),
                _ => problem.to_string(),
            };
            let list: Vec<String> = many.iter().enumerate().map(line).collect();
            Error::validation(format!("{what} has {} problems:\n  - {}", many.len(), list.join("\n  - ")))
                .with_hint("fix them all and run again")
        }
    }
}

/// The candidate most like `name`, for "did you mean" hints; none when nothing is close.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(name.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

//! What is wrong with a file and where: collected, sorted, shown all in one go. Nothing here decides what is wrong.

mod json;
mod mask;
mod render;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use osiris_core::{Code, Problem, Redactor, Severity};

use crate::source::{Position, SourceFile, Span};
use crate::yaml::{self, Node};

pub use json::{FAILURE_VERSION, error_json, failure_document};

/// One problem, for the person who must fix it.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    severity: Severity,
    message: String,
    place: Option<(Arc<SourceFile>, Span)>,
    label: Option<String>,
    hint: Option<String>,
    code: Option<Code>,
    related: Vec<(Span, String)>,
    is_unparsed: bool,
    of_environment: bool,
    of_literal_secret: bool,
}

impl Diagnostic {
    fn new(severity: Severity, message: String) -> Self {
        Self {
            severity,
            message,
            place: None,
            label: None,
            hint: None,
            code: None,
            related: Vec::new(),
            is_unparsed: false,
            of_environment: false,
            of_literal_secret: false,
        }
    }

    /// Nothing runs until this is fixed.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message.into())
    }

    /// It is shown but does not stop the run.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message.into())
    }

    /// A problem that core found, without its position.
    pub fn from_problem(problem: &Problem) -> Self {
        let diagnostic = Self::new(problem.severity, problem.message.clone());
        Self { hint: problem.hint.clone(), code: problem.code, of_environment: problem.of_environment, ..diagnostic }
    }

    /// What core says, with its hint.
    pub fn from_core(error: &osiris_core::Error) -> Self {
        let diagnostic = Self::error(error.message());
        Self { hint: error.hint().map(str::to_owned), code: Some(error.code()), ..diagnostic }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, source: &Arc<SourceFile>, span: Span) -> Self {
        self.place = Some((Arc::clone(source), span));
        self
    }

    /// Adds a label next to the mark under the line.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Says what to do, in the imperative.
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

    /// Points at another place of the same file.
    #[must_use]
    pub fn with_related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }

    /// The file could not be read as a tree, so nobody knows which of its texts are secret.
    #[must_use]
    pub(crate) fn of_unparsed(mut self) -> Self {
        self.is_unparsed = true;
        self
    }

    /// All that it says is that a secret is written out in a file.
    #[must_use]
    pub(crate) fn of_literal_secret(mut self) -> Self {
        self.of_literal_secret = true;
        self
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Whether nothing runs until it is fixed.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The kind of mistake, for `osiris explain`. A warning may have none.
    pub fn code(&self) -> Option<Code> {
        self.code.or_else(|| self.is_error().then_some(Code::InvalidInput))
    }

    /// The file, as the user named it.
    pub fn file(&self) -> Option<&str> {
        self.place.as_ref().map(|(source, _)| source.name())
    }

    /// The bytes of the file that it is about.
    pub fn span(&self) -> Option<Span> {
        self.place.as_ref().map(|(_, span)| *span)
    }

    /// The path of the value that it is about, such as `steps[2].config.mode`: empty for the whole file, `None` where it is about no
    /// file or the file cannot be parsed.
    pub fn path(&self) -> Option<String> {
        Trees::default().path_of(self)
    }

    /// Line and column.
    pub fn position(&self) -> Option<Position> {
        self.place.as_ref().map(|(source, span)| source.position(span.start))
    }

    fn is_same_as(&self, other: &Self) -> bool {
        let same_file = match (&self.place, &other.place) {
            (Some((one, at)), Some((two, there))) => Arc::ptr_eq(one, two) && at == there,
            (None, None) => true,
            _ => false,
        };
        same_file && self.message == other.message && self.severity == other.severity
    }
}

/// The trees of the files that diagnostics are about, each read once.
#[derive(Default)]
struct Trees(Vec<(Arc<SourceFile>, Option<Node>)>);

impl Trees {
    fn path_of(&mut self, item: &Diagnostic) -> Option<String> {
        let (source, span) = item.place.as_ref()?;
        let known = self.0.iter().position(|(known, _)| Arc::ptr_eq(known, source));
        let at = known.unwrap_or_else(|| {
            self.0.push((Arc::clone(source), yaml::load(source, &mut Diagnostics::default())));
            self.0.len() - 1
        });
        self.0[at].1.as_ref().map(|tree| tree.path_to(*span))
    }
}

/// Everything that is wrong, in the order of the files and of their lines.
///
/// `Display` shows it plainly; [`render`](Self::render) can also colour it. Secrets are masked in both.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    items: Vec<Diagnostic>,
    masks: Vec<(Arc<SourceFile>, Vec<Span>)>,
    redactor: Redactor,
}

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.items.push(diagnostic);
    }

    /// Adds all of `other`, with what it masks.
    pub fn extend(&mut self, other: Self) {
        self.items.extend(other.items);
        self.masks.extend(other.masks);
        self.redactor.merge(&other.redactor);
    }

    /// Hides a part of a file wherever a line of it is shown.
    pub fn mask(&mut self, source: &Arc<SourceFile>, span: Span) {
        match self.masks.iter_mut().find(|(known, _)| Arc::ptr_eq(known, source)) {
            Some((_, spans)) => spans.push(span),
            None => self.masks.push((Arc::clone(source), vec![span])),
        }
    }

    /// Hides the secrets that a redactor knows, in messages too.
    pub fn redact(&mut self, redactor: &Redactor) {
        self.redactor.merge(redactor);
    }

    /// The same, with a warning in place of each error that is only that an environment variable has no value here.
    ///
    /// # Errors
    /// Another error is among them.
    pub fn without_environment(mut self) -> Result<Self, Self> {
        for item in self.items.iter_mut().filter(|item| item.of_environment) {
            item.severity = Severity::Warning;
        }
        if self.items.iter().any(Diagnostic::is_error) { Err(self) } else { Ok(self) }
    }

    /// Those that say more than that a secret is written out in a file, and the number of those that say that.
    #[must_use]
    pub fn without_literal_secrets(&self) -> (Self, usize) {
        let mut others = self.clone();
        others.items.retain(|item| !item.of_literal_secret);
        let secrets = self.len() - others.len();
        (others, secrets)
    }

    /// The list that an error was made of, with every place; `None` for any other error.
    pub fn of_error(error: &osiris_core::Error) -> Option<&Self> {
        error.source()?.downcast_ref()
    }

    /// None of them, but what they mask and redact.
    pub(crate) fn masks_only(&self) -> Self {
        Self { items: Vec::new(), ..self.clone() }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.items.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether one of them stops the run.
    pub fn has_errors(&self) -> bool {
        self.items.iter().any(Diagnostic::is_error)
    }

    /// Sorts by file (in the order they were first mentioned; what belongs to none comes last) and place, and drops
    /// what was said twice.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        let mut files: Vec<Arc<SourceFile>> = Vec::new();
        for (source, _) in self.items.iter().filter_map(|item| item.place.as_ref()) {
            if !files.iter().any(|known| Arc::ptr_eq(known, source)) {
                files.push(Arc::clone(source));
            }
        }
        self.items.sort_by_key(|item| match &item.place {
            Some((source, span)) => (files.iter().position(|known| Arc::ptr_eq(known, source)), *span),
            None => (Some(files.len()), Span::default()),
        });
        self.items.dedup_by(|later, earlier| later.is_same_as(earlier));
        self
    }

    /// The whole report; coloured for a terminal when `styled`. The lines of a file are cut to `width` columns, those of the
    /// terminal; default: 120.
    pub fn render(&self, styled: bool, width: Option<usize>) -> String {
        render::render(self, styled, width)
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { items: vec![diagnostic], ..Self::default() }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false, None))
    }
}

impl StdError for Diagnostics {}

impl From<Diagnostics> for osiris_core::Error {
    /// One validation error. Its source is the list, which [`Diagnostics::of_error`] finds again, and which the error's
    /// report shows.
    fn from(diagnostics: Diagnostics) -> Self {
        let errors: Vec<&Diagnostic> = diagnostics.items.iter().filter(|item| item.is_error()).collect();
        let (message, code) = match errors.as_slice() {
            [one] => ("a problem was found before anything ran".to_owned(), one.code()),
            several => (format!("{} problems were found before anything ran", several.len()), None),
        };
        Self::validation(message).with_code(code).with_source(diagnostics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(list: Diagnostics) -> osiris_core::Result<()> {
        Err(list)?
    }

    #[test]
    fn an_error_keeps_the_list_that_it_was_made_of() {
        let mut list = Diagnostics::default();
        let source = Arc::new(SourceFile::from_text("p.yaml", "a: 1"));
        list.push(Diagnostic::error("`a` is unknown").at(&source, Span::new(3, 4)));
        list.push(Diagnostic::error("`b` is missing").with_hint("add it"));
        let error = all(list).unwrap_err();
        let found = Diagnostics::of_error(&error).unwrap();
        assert_eq!(found.iter().map(Diagnostic::message).collect::<Vec<_>>(), ["`a` is unknown", "`b` is missing"]);
        assert_eq!(found.iter().next().and_then(Diagnostic::span), Some(Span::new(3, 4)));
        let report = error.report();
        assert!(report.contains("2 problems were found") && report.contains("p.yaml:1:4"), "{report}");
        assert!(Diagnostics::of_error(&osiris_core::Error::validation("x")).is_none());
    }
}

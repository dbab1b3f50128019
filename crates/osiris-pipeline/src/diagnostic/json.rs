//! Diagnostics and errors for programs: the same facts as on the screen, in fields.

use std::error::Error as _;

use osiris_core::{Code, Error, Severity, visible};
use serde_json::{Map, Value, json};

use super::{Diagnostic, Diagnostics, Trees};

/// The version of [`failure_document`] and of the objects in it. A new field is no new version.
pub const FAILURE_VERSION: u32 = 1;

impl Diagnostics {
    /// An array with an object for each, in order: `severity`, `code`, `message`, `hint`, and where it is: `file`, `path` (such as
    /// `steps[2].config.mode`), `line` and `column` (from 1, in characters), `end`, `label` (what is wrong just there), `related`. Secrets are masked.
    pub fn to_json(&self) -> Value {
        let mut trees = Trees::default();
        self.items.iter().map(|item| self.item(item, &mut trees)).collect()
    }

    fn item(&self, item: &Diagnostic, trees: &mut Trees) -> Value {
        let text = |text: &str| visible(&self.redactor.scrub(text)).into_owned();
        let severity = match item.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let code = item.code().map(Code::as_str);
        let mut object = json!({"severity": severity, "code": code, "message": text(&item.message)});
        object["hint"] = json!(item.hint.as_deref().map(text));
        let Some((source, span)) = &item.place else { return object };
        let position = |offset| {
            let position = source.position(offset);
            json!({"line": position.line, "column": position.column})
        };
        let start = source.position(span.start);
        object["file"] = json!(source.name());
        object["path"] = json!(trees.path_of(item).as_deref().map(text));
        object["line"] = json!(start.line);
        object["column"] = json!(start.column);
        object["end"] = position(span.end);
        object["label"] = json!(item.label.as_deref().map(text));
        let related = item.related.iter().map(|(span, label)| {
            let mut related = position(span.start);
            related["end"] = position(span.end);
            related["message"] = json!(text(label));
            related
        });
        object["related"] = related.collect();
        object
    }
}

/// An error as an object: `severity`, `code`, `kind`, `message`, `hint`, `retryable`, `step`, `context` (facts by name), `causes` (texts, the
/// nearest first).
pub fn error_json(error: &Error) -> Value {
    let text = |text: &str| visible(text).into_owned();
    let context: Map<String, Value> =
        error.context().iter().map(|(name, value)| ((*name).to_owned(), json!(text(value)))).collect();
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(found) = cause {
        causes.push(text(&found.to_string()));
        cause = found.source();
    }
    json!({
        "severity": "error",
        "code": error.code().as_str(),
        "kind": error.kind().as_str(),
        "message": text(error.message()),
        "hint": error.hint().map(text),
        "retryable": error.is_retryable(),
        "step": error.step(),
        "context": context,
        "causes": causes,
    })
}

/// What a command prints as JSON when it is refused or fails before it has a result: `version`, `ok`, `exit_code`, `diagnostics`.
pub fn failure_document(exit_code: u8, diagnostics: Value) -> Value {
    json!({"version": FAILURE_VERSION, "ok": false, "exit_code": exit_code, "diagnostics": diagnostics})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_facts_and_causes() {
        let error = Error::network("no answer")
            .with_hint("try later")
            .with_context("path", "a\u{1b}b")
            .with_step("read")
            .with_source(Error::validation("cause"));
        let object = error_json(&error);
        assert_eq!((&object["code"], &object["kind"]), (&json!("E0103"), &json!("network")));
        assert_eq!((&object["message"], &object["hint"]), (&json!("no answer"), &json!("try later")));
        assert_eq!((&object["retryable"], &object["step"]), (&json!(true), &json!("read")));
        assert_eq!(object["context"]["path"], "a\\u{1b}b");
        assert_eq!(object["causes"], json!(["cause"]));
    }
}

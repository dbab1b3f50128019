//! Parameters: their types, where their values come from, and which source wins.

use std::collections::BTreeMap;
use std::sync::Arc;

use osiris_core::Code;
use osiris_core::problem::nearest;
use serde_json::{Number, Value};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::environment::Environment;
use crate::model::Pipeline;
use crate::source::{SourceFile, Span};
use crate::yaml::{Node, NodeKind};

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamType {
    /// A text; the default.
    String,
    /// A whole number of 64 bits.
    Integer,
    /// A finite number.
    Number,
    /// `true` or `false`.
    Boolean,
}

impl ParamType {
    /// The names that a file may use.
    pub const NAMES: &'static [&'static str] = &["string", "integer", "number", "boolean"];

    /// The type of a parameter of which only a default is given; none for lists and mappings.
    pub(crate) fn of_default(node: &Node) -> Option<Self> {
        match &node.kind {
            NodeKind::String(_) => Some(Self::String),
            NodeKind::Bool(_) => Some(Self::Boolean),
            NodeKind::Number(number) if number.is_f64() => Some(Self::Number),
            NodeKind::Number(_) => Some(Self::Integer),
            _ => None,
        }
    }

    /// The type of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "string" => Some(Self::String),
            "integer" => Some(Self::Integer),
            "number" => Some(Self::Number),
            "boolean" => Some(Self::Boolean),
            _ => None,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "true or false",
        }
    }

    /// The value that a text stands for.
    fn parse(self, text: &str) -> Option<Value> {
        match self {
            Self::String => Some(Value::from(text)),
            Self::Integer => text.trim().parse::<i64>().ok().map(Value::from),
            Self::Number => match text.trim().parse::<i64>() {
                Ok(whole) => Some(Value::from(whole)),
                Err(_) => text.trim().parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number),
            },
            Self::Boolean => text.trim().parse::<bool>().ok().map(Value::from),
        }
    }
}

/// A parameter as the file declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamSpec {
    /// Its name.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// Its type.
    pub kind: ParamType,
    /// The only values it may have, when there are such.
    pub options: Vec<Value>,
    /// Its value when none is given; without one it must be given.
    pub default: Option<Value>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether its values are secrets: they are masked wherever they would be seen, and kept nowhere.
    pub secret: bool,
    /// Whether its declaration was refused, so that a missing value is no news.
    pub(crate) is_broken: bool,
}

impl ParamSpec {
    /// Whether its values are secret: by its declaration or by its name.
    pub fn is_secret(&self) -> bool {
        self.secret || osiris_core::secret::looks_secret(&self.name)
    }

    /// The value of a text from the command line or the environment.
    ///
    /// # Errors
    /// It does not fit the type or the options. The message names the parameter and not the value.
    pub fn value_from_text(&self, text: &str) -> Result<Value, String> {
        self.kind.parse(text).ok_or_else(|| self.mismatch("a string")).and_then(|value| self.check_option(value))
    }

    /// The value of a node of the file. A text parameter takes numbers and dates as they are written.
    pub(crate) fn value_of(&self, node: &Node, source: &Arc<SourceFile>) -> Result<Value, String> {
        let value = match (&node.kind, self.kind) {
            (NodeKind::Number(_) | NodeKind::Bool(_), ParamType::String) => Some(Value::from(source.slice(node.span))),
            (NodeKind::String(_), ParamType::String)
            | (NodeKind::Number(_), ParamType::Number)
            | (NodeKind::Bool(_), ParamType::Boolean) => Some(node.to_json()),
            (NodeKind::Number(number), ParamType::Integer) => number.as_i64().map(Value::from),
            _ => None,
        };
        value.ok_or_else(|| self.mismatch(node.describe()))
    }

    /// Refuses what is not among the options.
    pub(crate) fn check_option(&self, value: Value) -> Result<Value, String> {
        if self.options.is_empty() || self.options.contains(&value) {
            return Ok(value);
        }
        let options: Vec<String> = self.options.iter().map(text_of).collect();
        Err(format!("parameter `{}` must be one of {}", self.name, options.join(", ")))
    }

    fn mismatch(&self, found: &str) -> String {
        let expected = self.kind.expected();
        // "expected a whole number, found a whole number" would be no help: it did not fit 64 bits.
        let found = if found == expected { "one that is too large" } else { found };
        format!("parameter `{}` must be {expected}, found {found}", self.name)
    }
}

/// The values of a profile.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// By parameter.
    pub params: BTreeMap<String, Value>,
}

/// What the user chose.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chosen {
    /// `--param name=value`, as texts.
    pub(crate) params: BTreeMap<String, String>,
    /// `--profile name`.
    pub(crate) profile: Option<String>,
}

/// The variable of a parameter: `since-date` is `OSIRIS_PARAM_SINCE_DATE`.
pub fn env_name(param: &str) -> String {
    let upper = param.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    format!("OSIRIS_PARAM_{upper}")
}

/// The values of all parameters: what the user gave, then the environment, the profile, the default. Those without a
/// valid value are left out and reported.
pub(crate) fn resolve(
    pipeline: &Pipeline,
    chosen: &Chosen,
    environment: &Environment,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<String, Value> {
    for name in chosen.params.keys().filter(|name| !pipeline.params.iter().any(|spec| spec.name == **name)) {
        let message = format!("the pipeline has no parameter `{name}`");
        let diagnostic = Diagnostic::error(message).with_code(Code::InvalidParameter);
        diagnostics.push(diagnostic.with_hint(suggest(name, &pipeline.params)));
    }
    let profile = chosen.profile.as_deref().and_then(|name| profile(pipeline, name, diagnostics));
    let mut values = BTreeMap::new();
    for spec in &pipeline.params {
        let of_profile = profile.and_then(|profile| profile.params.get(&spec.name));
        match value(spec, chosen, environment, of_profile) {
            Ok(Some(value)) => drop(values.insert(spec.name.clone(), value)),
            Ok(None) if spec.is_broken => {}
            Ok(None) => diagnostics.push(missing(spec, pipeline)),
            Err(message) => {
                let diagnostic = Diagnostic::error(message).with_code(Code::InvalidParameter);
                diagnostics.push(diagnostic.at(&pipeline.source, spec.span));
            }
        }
    }
    values
}

fn value(
    spec: &ParamSpec,
    chosen: &Chosen,
    environment: &Environment,
    profile: Option<&Value>,
) -> Result<Option<Value>, String> {
    if let Some(text) = chosen.params.get(&spec.name) {
        return spec.value_from_text(text).map(Some).map_err(|message| format!("{message} (from --param)"));
    }
    let variable = env_name(&spec.name);
    if let Some(text) = environment.get(&variable) {
        return spec.value_from_text(&text).map(Some).map_err(|message| format!("{message} (from {variable})"));
    }
    match profile.or(spec.default.as_ref()) {
        Some(value) => spec.check_option(value.clone()).map(Some),
        None => Ok(None),
    }
}

fn profile<'a>(pipeline: &'a Pipeline, name: &str, diagnostics: &mut Diagnostics) -> Option<&'a Profile> {
    let found = pipeline.profiles.get(name);
    if found.is_none() {
        let names: Vec<&str> = pipeline.profiles.keys().map(String::as_str).collect();
        let hint = match nearest(name, names.iter().copied()) {
            Some(similar) => format!("did you mean `{similar}`?"),
            None if names.is_empty() => "it has none".to_owned(),
            None => format!("profiles: {}", names.join(", ")),
        };
        let diagnostic = Diagnostic::error(format!("the pipeline has no profile `{name}`"));
        diagnostics.push(diagnostic.with_code(Code::InvalidParameter).with_hint(hint));
    }
    found
}

fn missing(spec: &ParamSpec, pipeline: &Pipeline) -> Diagnostic {
    let diagnostic = Diagnostic::error(format!("parameter `{}` has no value", spec.name));
    diagnostic.with_code(Code::InvalidParameter).at(&pipeline.source, spec.span).with_hint(format!(
        "give one: `--param {}=...`, {}, a profile, or a `default`",
        spec.name,
        env_name(&spec.name)
    ))
}

/// The advice for a name that is not declared.
pub(crate) fn suggest(name: &str, params: &[ParamSpec]) -> String {
    let names: Vec<&str> = params.iter().map(|spec| spec.name.as_str()).collect();
    match nearest(name, names.iter().copied()) {
        Some(similar) => format!("did you mean `{similar}`?"),
        None if names.is_empty() => "the pipeline declares none: add it under `params`".to_owned(),
        None => format!("parameters: {}", names.join(", ")),
    }
}

/// A parameter inside a longer text.
pub(crate) fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

//! The address in `on_failure`: a secret, since whoever knows it can post to it.

use std::fmt;

use osiris_core::substitute::substitute;
use osiris_core::{Error, MASK, Result, Secret};
use serde_json::Value;

use super::scalar;
use crate::environment::Environment;
use crate::yaml::{Node, NodeKind};

/// What is expected where it stands.
const ADDRESS: &str = "an http or https URL, in the file as `{webhook: \"${WEBHOOK_URL}\"}`";

/// An address as it is written, with variables.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookAddress(String);

impl WebhookAddress {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let begins = ["http://", "https://", "${"].iter().any(|start| text.starts_with(start));
        if begins && !text.contains(char::is_control) { Ok(Self(text.to_owned())) } else { Err(ADDRESS) }
    }

    /// The address below `on_failure`.
    pub(super) fn text_of(node: &Node) -> Option<String> {
        match &node.kind {
            NodeKind::Mapping(entries) => match entries.as_slice() {
                [entry] if entry.key == "webhook" => scalar(&entry.value),
                _ => None,
            },
            _ => None,
        }
    }

    /// The address with the values of its variables.
    pub(crate) fn resolve(&self, environment: &Environment) -> Result<Secret> {
        let mut value = Value::String(self.0.clone());
        let substituted = substitute(&mut value, &|name| environment.get(name));
        if let Some(problem) = substituted.problems.first() {
            return Err(Error::validation(problem.message.clone()));
        }
        Ok(Secret::new(value.as_str().unwrap_or_default()))
    }
}

impl fmt::Debug for WebhookAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

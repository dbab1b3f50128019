//! The webhook of `on_failure`: whatever becomes of it is a warning at most.

use std::time::Duration;

use osiris::core::visible;
use osiris::http::Webhook;
use osiris::{Error, Project};
use serde_json::Value;

use super::wait;
use crate::console::Console;

/// How long it may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The webhook of the project's settings.
pub(super) fn webhook(project: &Project, console: &Console) -> Option<Webhook> {
    let address = project.failure_webhook();
    let webhook = address.and_then(|address| address.map(|address| Webhook::new(&address)).transpose());
    webhook.unwrap_or_else(|error| {
        warn(&error, console);
        None
    })
}

/// Posts a document, if there is one.
pub(super) fn post(webhook: Option<&Webhook>, document: Option<Value>, console: &Console) {
    if let (Some(webhook), Some(document)) = (webhook, document)
        && let Err(error) = wait(webhook.post(&document, LIMIT))
    {
        warn(&error.redacted(webhook.redactor()), console);
    }
}

fn warn(error: &Error, console: &Console) {
    let message = format!("the failure of a run is not reported by `on_failure`: {}", visible(error.message()));
    console.warning(&message, error.hint());
}

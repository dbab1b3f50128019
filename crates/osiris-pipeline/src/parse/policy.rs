//! `retry` and `timeout` of a step.

use std::sync::Arc;
use std::time::Duration;

use osiris_core::problem::nearest;
use osiris_core::{Backoff, RetryPolicy};

use super::fields::Fields;
use crate::diagnostic::Diagnostics;
use crate::source::SourceFile;
use crate::yaml::Node;

/// The most tries.
const MAX_ATTEMPTS: u64 = 100;
/// A day, in milliseconds: the longest delay and the longest timeout.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const BACKOFFS: &[(&str, Backoff)] =
    &[("exponential", Backoff::Exponential), ("linear", Backoff::Linear), ("fixed", Backoff::Fixed)];

/// The retry policy; what is not given or not valid has its default.
pub(super) fn retry(node: &Node, source: &Arc<SourceFile>, diagnostics: &mut Diagnostics) -> RetryPolicy {
    let mut policy = RetryPolicy::default();
    let keys = &["max_attempts", "backoff", "initial_delay_ms", "max_delay_ms"];
    let Some(mut fields) = Fields::read(node, "`retry`", keys, &[], source, diagnostics) else { return policy };
    if let Some(attempts) = fields.whole("max_attempts", 1, MAX_ATTEMPTS) {
        // An explicit number of attempts applies however long a server is unavailable.
        policy = RetryPolicy::times(u32::try_from(attempts.value).unwrap_or(policy.max_attempts));
    }
    if let Some(name) = fields.text("backoff") {
        match BACKOFFS.iter().find(|(known, _)| *known == name.value) {
            Some((_, backoff)) => policy.backoff = *backoff,
            None => {
                let error = fields.error(name.span, format!("`{}` is not a backoff", name.value));
                let hint = match nearest(&name.value, BACKOFFS.iter().map(|(known, _)| *known)) {
                    Some(similar) => format!("did you mean `{similar}`?"),
                    None => "write exponential, linear or fixed".to_owned(),
                };
                fields.diagnostics.push(error.with_hint(hint));
            }
        }
    }
    let initial = fields.whole("initial_delay_ms", 0, DAY_MS);
    let longest = fields.whole("max_delay_ms", 0, DAY_MS);
    if let Some(initial) = &initial {
        policy.initial_delay = Duration::from_millis(initial.value);
    }
    match &longest {
        Some(longest) => policy.max_delay = Duration::from_millis(longest.value),
        // A first delay beyond the default limit means that the limit was not thought of.
        None => policy.max_delay = policy.max_delay.max(policy.initial_delay),
    }
    if let Some(longest) = longest.filter(|_| policy.max_delay < policy.initial_delay) {
        let message = format!("`max_delay_ms` is less than the first delay of {} ms", policy.initial_delay.as_millis());
        let error = fields.error(longest.span, message).with_hint("raise it, or lower `initial_delay_ms`");
        fields.diagnostics.push(error);
    }
    policy
}

/// How long an attempt may take.
pub(super) fn timeout(node: &Node, source: &Arc<SourceFile>, diagnostics: &mut Diagnostics) -> Option<Duration> {
    let mut fields = Fields::read(node, "`timeout`", &["step_ms"], &[], source, diagnostics)?;
    if fields.is_null("step_ms") {
        return None;
    }
    fields.required("step_ms")?;
    fields.whole("step_ms", 1, DAY_MS).map(|limit| Duration::from_millis(limit.value))
}

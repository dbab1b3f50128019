//! The server's own counts of items.

use serde_json::Value;

/// A whole number. Servers send large ones as text.
pub(super) fn whole_number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

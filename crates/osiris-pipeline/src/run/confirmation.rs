//! The user's confirmation of a write whose outcome no destination can tell.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A user has found the rows of an ambiguous step in its destination. The step counts as done; its rows are not
/// counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Confirmation {
    /// When it was confirmed.
    pub at: DateTime<Utc>,
    /// Who confirmed it, if the system knows.
    pub user: Option<String>,
}

impl Confirmation {
    /// A confirmation with the current time.
    pub(super) fn now(user: Option<&str>) -> Self {
        Self { at: Utc::now(), user: user.map(str::to_owned) }
    }
}

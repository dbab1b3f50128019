//! The word of a person where no destination can say what became of a write.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Somebody has found the rows of an ambiguous step in its destination. The step counts as done; its rows are not proven, and are
/// not counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Confirmation {
    /// When it was said.
    pub at: DateTime<Utc>,
    /// Who said it, if the system knows.
    pub user: Option<String>,
}

impl Confirmation {
    /// One that is given now.
    pub(super) fn now(user: Option<&str>) -> Self {
        Self { at: Utc::now(), user: user.map(str::to_owned) }
    }
}

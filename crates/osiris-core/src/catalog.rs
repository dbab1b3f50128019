//! What discovery returns: the resources that a connection has access to, in a fixed order, with a fingerprint.

use chrono::{DateTime, Utc};
use globset::{Glob, GlobMatcher};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::problem::nearest;
use crate::{Code, Error, Result};

/// The resources of one connection [DRV-019..021].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Catalog {
    /// When it was read.
    pub discovered_at: DateTime<Utc>,
    /// Sorted by name.
    pub resources: Vec<Resource>,
    /// `sha256:...` over everything but the time and the row and size estimates.
    pub fingerprint: String,
}

/// A table, view, endpoint or collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resource {
    /// Its name, with the schema where there is one.
    pub name: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ResourceKind,
    /// Rows, as the source estimates them.
    pub estimated_row_count: Option<u64>,
    /// Size in megabytes, as the source estimates it.
    pub estimated_size_mb: Option<f64>,
    /// Sorted by name; `ordinal` has the order of the source.
    pub fields: Vec<ResourceField>,
}

/// What a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResourceKind {
    /// A table.
    Table,
    /// A view.
    View,
    /// An endpoint of an API.
    Endpoint,
    /// A collection of documents.
    Collection,
}

/// A column or a field of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceField {
    /// Its name.
    pub name: String,
    /// Its place in the source, from 1.
    pub ordinal: u32,
    /// The normalised type: `integer`, `string`, `decimal`, ...
    #[serde(rename = "type")]
    pub field_type: String,
    /// The type as the source calls it.
    pub native_type: String,
    /// Whether it can be NULL.
    pub nullable: bool,
    /// Whether it is part of the primary key.
    pub primary_key: bool,
    /// Characters or bytes at most, where limited.
    pub max_length: Option<u64>,
}

impl Catalog {
    /// Sorts `resources` and their fields by name and makes the fingerprint.
    pub fn new(mut resources: Vec<Resource>) -> Self {
        resources.sort_by(|a, b| a.name.cmp(&b.name));
        let mut digest = Sha256::new();
        for resource in &mut resources {
            resource.fields.sort_by(|a, b| a.name.cmp(&b.name));
            let stable = serde_json::json!([resource.name, resource.kind, resource.fields]);
            digest.update(stable.to_string());
            digest.update(b"\n");
        }
        let hex: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { discovered_at: Utc::now(), resources, fingerprint: format!("sha256:{hex}") }
    }

    /// Only the resources whose name [matches](NamePattern::matches) `pattern`. The fingerprint covers the remaining resources.
    ///
    /// # Errors
    /// The pattern is invalid.
    pub fn matching(self, pattern: &str) -> Result<Self> {
        let pattern = NamePattern::new(pattern)?;
        let discovered_at = self.discovered_at;
        let resources = self.resources.into_iter().filter(|resource| pattern.matches(&resource.name)).collect();
        Ok(Self { discovered_at, ..Self::new(resources) })
    }

    /// The error of a pattern that [matches](Self::matching) none of these resources, with the nearest name.
    pub fn no_match(&self, pattern: &str) -> Error {
        let names: Vec<&str> = self.resources.iter().map(|resource| resource.name.as_str()).collect();
        let hint = NamePattern::nearest_of(pattern, &names)
            .unwrap_or_else(|| "without a pattern all are listed; `*` and `?` match any characters".to_owned());
        Error::validation(format!("no table matches `{pattern}`")).with_code(Code::TableNotFound).with_hint(hint)
    }
}

/// A pattern of the names of resources: `*`, `?`, `[ab]` and `{a,b}` as in a shell.
#[derive(Debug, Clone)]
pub struct NamePattern(GlobMatcher);

impl NamePattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// The pattern is invalid.
    pub fn new(pattern: &str) -> Result<Self> {
        let glob = Glob::new(pattern).map_err(|error| {
            Error::validation(format!("invalid pattern `{pattern}`: {}", error.kind())).with_hint(
                "`*` matches anything, `?` one character; to match one of `*?[]{}\\` itself, put it in brackets: `[*]`",
            )
        })?;
        Ok(Self(glob.compile_matcher()))
    }

    /// The pattern that matches this name only.
    pub fn escaped(name: &str) -> String {
        globset::escape(name)
    }

    /// Whether a text means more than one name as a pattern.
    pub fn is_wild(pattern: &str) -> bool {
        pattern.contains(['*', '?', '[', '{'])
    }

    /// Whether the pattern fits a name, or the part of it after the last dot.
    pub fn matches(&self, name: &str) -> bool {
        self.0.is_match(name) || name.rsplit_once('.').is_some_and(|(_, last)| self.0.is_match(last))
    }

    /// The advice for a pattern that matches none of these names: the nearest one, if there is one.
    pub fn nearest_of(pattern: &str, names: &[&str]) -> Option<String> {
        let names = || names.iter().copied();
        let last_begins = |name: &&str| name.rsplit('.').next().is_some_and(|last| last.starts_with(pattern));
        let begins = names().find(|name| name.starts_with(pattern)).or_else(|| names().find(last_begins));
        match begins {
            Some(name) => Some(format!("nearest: `{name}` (`{pattern}*` matches all that begin so)")),
            None => nearest(pattern, names()).map(|name| format!("did you mean `{name}`?")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, rows: u64) -> Resource {
        Resource {
            name: name.to_owned(),
            kind: ResourceKind::Table,
            estimated_row_count: Some(rows),
            estimated_size_mb: None,
            fields: Vec::new(),
        }
    }

    #[test]
    fn the_fingerprint_ignores_order_time_and_estimates() {
        let one = Catalog::new(vec![table("b", 1), table("a", 2)]);
        let two = Catalog::new(vec![table("a", 3), table("b", 4)]);
        assert_eq!(one.fingerprint, two.fingerprint);
        assert_eq!(one.resources[0].name, "a");
        assert_ne!(one.fingerprint, Catalog::new(vec![table("a", 3)]).fingerprint);
    }

    #[test]
    fn a_pattern_fits_the_whole_name_or_its_last_part() {
        let names = |pattern: &str| -> Vec<String> {
            let catalog =
                Catalog::new(["shop.orders", "shop.order_items", "old.orders"].map(|name| table(name, 1)).into());
            catalog.matching(pattern).unwrap().resources.into_iter().map(|resource| resource.name).collect()
        };
        assert_eq!(names("orders"), ["old.orders", "shop.orders"]);
        assert_eq!(names("shop.*"), ["shop.order_items", "shop.orders"]);
        assert_eq!(names("order"), [""; 0]);
        let error = Catalog::new(Vec::new()).matching("[a").unwrap_err();
        assert_eq!(error.message(), "invalid pattern `[a`: unclosed character class; missing ']'");
    }

    #[test]
    fn a_pattern_that_matches_nothing_is_answered_with_the_nearest_name() {
        let all = Catalog::new(["shop.orders", "shop.customers"].map(|name| table(name, 1)).into());
        for (pattern, hint) in [
            ("shop.ord", "nearest: `shop.orders` (`shop.ord*` matches all that begin so)"),
            ("cust", "nearest: `shop.customers` (`cust*` matches all that begin so)"),
            ("shop.oders", "did you mean `shop.orders`?"),
            ("zzzz", "without a pattern all are listed; `*` and `?` match any characters"),
        ] {
            let error = all.no_match(pattern);
            assert_eq!((error.message(), error.hint()), (&*format!("no table matches `{pattern}`"), Some(hint)));
        }
    }
}

//! The state between runs: for each data type the last row, and the ids in its lookback window. A step reads one data
//! type; the state of the others stays as it is.
//!
//! ```json
//! {"events": {"project_id": "42", "last_timestamp": "2024-01-31T12:00:00.000001Z", "last_uuid": "018d...", "recent_ids": ["018d..."],
//!             "event_types": [], "counted": {"since": "2024-01-30T11:45:00.000001Z", "before": "2024-01-31T11:45:00.000001Z", "rows": 7}}}
//! ```
//!
//! `counted` is for [rows that arrive late](super::late).
//!
//! Many ids are in a file next to the state: `"recent_ids": {"digest_file": "digests-..."}`.
//!
//! What older versions wrote is migrated: see [`super::migrate`]. A field that is not known is an error: a state that is
//! not read would be a fresh start.

use std::collections::HashSet;

use osiris_core::state::{DigestReader, StateFiles, refuse_unknown_fields};
use osiris_core::{Error, Result};
use serde_json::{Map, Value, json};

use super::ident::Ident;
use super::late::Counted;
use super::migrate::migrated;
use super::seen_keys::{PreviousKeys, RecentKeys, SeenKeys};
use crate::config::{DataType, Timestamp};
use crate::query::Key;

/// The state, of all data types.
pub(super) struct State {
    types: Map<String, Value>,
    project: String,
}

impl DataType {
    /// The fields that hold the last row's time and id.
    pub(super) const fn fields(self) -> (&'static str, &'static str) {
        match self {
            Self::Events => ("last_timestamp", "last_uuid"),
            Self::Persons => ("last_created_at", "last_id"),
            Self::Sessions => ("last_start_timestamp", "last_session_id"),
            Self::PersonDistinctIds => ("last_time", "last_distinct_id"),
        }
    }
}

impl State {
    /// Reads the state of the last run, as this or an older version wrote it.
    ///
    /// # Errors
    /// A state that is damaged, or of another project.
    pub(super) fn read(state: Option<&Value>, data_type: DataType, project: &str) -> Result<Self> {
        let types = match state {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(fields)) => match migrated(fields, data_type)? {
                Some(types) => types,
                None => known(fields)?,
            },
            Some(_) => return Err(damaged(data_type)),
        };
        let state = Self { types, project: project.to_owned() };
        state.check(data_type)?;
        Ok(state)
    }

    fn of(&self, data_type: DataType) -> &Value {
        self.types.get(data_type.name()).unwrap_or(&Value::Null)
    }

    fn check(&self, data_type: DataType) -> Result<()> {
        let entry = self.of(data_type);
        if let Some(other) = entry["project_id"].as_str().filter(|other| *other != self.project) {
            return Err(Error::validation(format!(
                "the saved state belongs to project {other}, but the connection is for project {}",
                self.project
            ))
            .with_hint("give the step another id, or remove its saved state to start over"));
        }
        let (time, id) = data_type.fields();
        let has_time = entry[time].as_str().and_then(Timestamp::parse).is_some();
        let has_ids = match &entry["recent_ids"] {
            Value::Null => true,
            Value::Array(ids) => ids.iter().all(Value::is_string),
            file => file["digest_file"].is_string(),
        };
        // Without its time the last row is not there to go on from.
        let is_empty = entry[time].is_null() && entry[id].is_null();
        if (has_time || is_empty) && has_ids { Ok(()) } else { Err(damaged(data_type)) }
    }

    /// The last row that was read.
    pub(super) fn last(&self, data_type: DataType) -> Option<Key> {
        let (time, id) = data_type.fields();
        let entry = self.of(data_type);
        let time = Timestamp::parse(entry[time].as_str()?)?;
        Some(Key { time: Some(time), id: entry[id].as_str().unwrap_or_default().to_owned() })
    }

    /// What PostHog counted before the lookback window, of events of the same types.
    ///
    /// # Errors
    /// A state that is damaged.
    pub(super) fn counted(&self, data_type: DataType, event_types: &[String]) -> Result<Option<Counted>> {
        let entry = self.of(data_type);
        let counted = Counted::read(&entry["counted"], || damaged(data_type))?;
        let of_types = entry["event_types"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Ok(counted.filter(|_| of_types.eq(event_types.iter().map(String::as_str))))
    }

    /// The rows that were read and will be read again.
    ///
    /// # Errors
    /// A file of the state that is missing or damaged.
    pub(super) fn seen(&self, data_type: DataType, files: &StateFiles) -> Result<SeenKeys> {
        let entry = self.of(data_type);
        if let Some(name) = entry["recent_ids"]["digest_file"].as_str() {
            let reader = DigestReader::open(&files.find(name)?, files.directory()?)?;
            return Ok(SeenKeys::of(PreviousKeys::File(reader), self.last(data_type), files.clone()));
        }
        let ids = entry["recent_ids"].as_array().into_iter().flatten().filter_map(Value::as_str).map(Ident::of);
        let last = self.last(data_type);
        let mut before: HashSet<Ident> = ids.collect();
        before.extend(last.iter().filter(|last| !last.id.is_empty()).map(|last| Ident::of(&last.id)));
        Ok(SeenKeys::of(PreviousKeys::Here(before), last, files.clone()))
    }

    /// Warns that events of types that were added to the configuration are read from the state on, not from the
    /// beginning.
    pub(super) fn warn_of_new_types(&self, data_type: DataType, event_types: &[String]) {
        let Some(old) = self.of(data_type)["event_types"].as_array().filter(|_| data_type == DataType::Events) else {
            return;
        };
        let known = |name: &String| old.is_empty() || old.iter().any(|old| old == name);
        let wider = !old.is_empty() && (event_types.is_empty() || !event_types.iter().all(known));
        if wider {
            tracing::warn!(
                "`event_types` selects more than in the last run: the new events are read from where that run ended; remove \
                 the step's saved state to read them from `initial_since` on"
            );
        }
    }

    /// The state after a run.
    #[must_use]
    pub(super) fn with(
        mut self,
        data_type: DataType,
        last: Option<Key>,
        recent: RecentKeys,
        event_types: &[String],
        counted: Option<&Counted>,
    ) -> Self {
        let Some(Key { time: Some(last_time), id: last }) = last else { return self };
        let (time, id) = data_type.fields();
        let recent = match recent {
            RecentKeys::Here(ids) => json!(ids),
            RecentKeys::File(name) => json!({"digest_file": name}),
        };
        let mut entry = json!({
            "project_id": self.project,
            time: last_time.to_string(),
            id: last,
            "recent_ids": recent,
            "event_types": event_types,
        });
        if let Some(counted) = counted {
            entry["counted"] = counted.to_value();
        }
        self.types.insert(data_type.name().to_owned(), entry);
        self
    }

    pub(super) fn into_value(self) -> Value {
        Value::Object(self.types)
    }
}

/// A state in the present form, once its fields are known.
fn known(types: &Map<String, Value>) -> Result<Map<String, Value>> {
    refuse_unknown_fields(&Value::Object(types.clone()), &DataType::ALL.map(DataType::name))?;
    for data_type in DataType::ALL {
        let Some(entry) = types.get(data_type.name()).filter(|entry| !entry.is_null()) else { continue };
        let (time, id) = data_type.fields();
        refuse_unknown_fields(entry, &["project_id", time, id, "recent_ids", "event_types", "counted"])?;
        if entry["recent_ids"].is_object() {
            refuse_unknown_fields(&entry["recent_ids"], &["digest_file"])?;
        }
    }
    Ok(types.clone())
}

pub(super) fn damaged(data_type: DataType) -> Error {
    Error::validation(format!("the saved state of `{}` cannot be read", data_type.name()))
        .with_hint("restore it, or remove it to read everything again from `initial_since` on")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST: &str = "2024-01-31T12:00:00.000001Z";

    fn key(id: &str) -> Key {
        Key { time: Timestamp::parse(LAST), id: id.to_owned() }
    }

    #[test]
    fn a_state_comes_back_and_other_data_types_keep_theirs() {
        let old = json!({"persons": {"last_created_at": LAST, "last_id": "p"}});
        let state = State::read(Some(&old), DataType::Events, "42").unwrap();
        assert_eq!(state.last(DataType::Events), None);
        let value = state
            .with(DataType::Events, Some(key("u")), RecentKeys::Here(vec!["u".into()]), &["b".into()], None)
            .into_value();
        assert_eq!(
            value,
            json!({
                "persons": {"last_created_at": LAST, "last_id": "p"},
                "events": {"project_id": "42", "last_timestamp": LAST, "last_uuid": "u", "recent_ids": ["u"], "event_types": ["b"]}
            })
        );
        let state = State::read(Some(&value), DataType::Persons, "42").unwrap();
        assert_eq!(state.last(DataType::Persons), Some(key("p")));
    }

    #[test]
    fn a_flat_state_is_migrated() {
        let flat =
            json!({"last_timestamp": "2024-01-31T12:00:00.000001+00:00", "last_uuid": "u", "recent_uuids": ["u", "v"]});
        for data_type in [DataType::Events, DataType::Persons, DataType::Sessions] {
            let state = State::read(Some(&flat), data_type, "42").unwrap();
            assert_eq!(state.last(data_type), Some(key("u")));
            let directory = tempfile::tempdir().unwrap();
            let mut seen = state.seen(data_type, &StateFiles::new(directory.path(), None)).unwrap();
            let row = super::super::page::PageRow { key: key("v"), version: None };
            assert!(seen.note(&row, 1).unwrap());
        }
        let flat = json!({"last_created_at": LAST, "last_id": null});
        assert_eq!(State::read(Some(&flat), DataType::Persons, "42").unwrap().last(DataType::Persons), Some(key("")));
    }

    #[test]
    fn the_state_of_another_project_and_a_damaged_one_are_refused() {
        let refused = |state: Value| State::read(Some(&state), DataType::Events, "42").map(|_| ()).unwrap_err();
        let error = refused(json!({"events": {"project_id": "7", "last_timestamp": LAST}}));
        assert_eq!(error.message(), "the saved state belongs to project 7, but the connection is for project 42");
        for damaged in [
            json!([1]),
            json!({"events": {"last_timestamp": "soon"}}),
            json!({"last_timestamp": 5}),
            json!({"last_uuid": "u"}),
            json!({"events": {"last_uuid": "u"}}),
            json!({"events": {"last_timestamp": LAST, "recent_ids": [1]}}),
            json!({"events_state": {"last_timestamp": "soon"}}),
        ] {
            assert_eq!(refused(damaged).message(), "the saved state of `events` cannot be read");
        }
        let counted = |value| {
            State::read(Some(&json!({"events": {"last_timestamp": LAST, "counted": value}})), DataType::Events, "42")
        };
        for value in [
            json!(7),
            json!({"since": LAST, "before": LAST}),
            json!({"since": LAST, "before": LAST, "rows": 1, "x": 1}),
        ] {
            let refused = counted(value.clone()).and_then(|state| state.counted(DataType::Events, &[])).unwrap_err();
            assert!(refused.message().contains("the saved state"), "{value}: {refused:?}");
        }
        for (unknown, name) in [
            (json!({"event": {"last_timestamp": LAST}}), "`event`"),
            (json!({"events": {"last_timestamp": LAST, "last_id": "u"}}), "`last_id`"),
            (json!({"persons": {"last_timestamp": LAST}}), "`last_timestamp`"),
            (json!({"events": {"last_timestamp": LAST, "recent_ids": {"digest_file": "x", "rows": 1}}}), "`rows`"),
        ] {
            assert_eq!(refused(unknown).message(), format!("the saved state has unknown fields: {name}"));
        }
        assert!(State::read(Some(&Value::Null), DataType::Events, "42").is_ok());
        let none = json!({"last_timestamp": null, "last_uuid": null, "recent_uuids": []});
        assert_eq!(State::read(Some(&none), DataType::Events, "42").unwrap().last(DataType::Events), None);
    }
}

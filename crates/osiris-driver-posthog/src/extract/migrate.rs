//! States that older versions wrote, in the present form. Two forms are known: the fields of one data type flat, and an
//! object for each data type, as the original Osiris writes them:
//!
//! ```json
//! {"last_timestamp": "2024-01-31T12:00:00+00:00", "last_uuid": "018d...", "recent_uuids": ["018d..."]}
//! {"events_state": {"last_timestamp": "...", "last_uuid": "..."}, "recent_uuids": ["018d..."]}
//! ```

use osiris_core::Result;
use osiris_core::state::refuse_unknown_fields;
use serde_json::{Map, Value, json};

use super::state::damaged;
use crate::config::DataType;

/// Every name that a flat state had for the last row.
const FLAT_TIMES: [&str; 3] = ["last_timestamp", "last_created_at", "last_start_timestamp"];
const FLAT_IDS: [&str; 3] = ["last_uuid", "last_id", "last_session_id"];
const RECENT: [&str; 2] = ["recent_uuids", "recent_ids"];

/// The entries by data type of a state that an older version wrote; none for a state in the present form. A flat state
/// belongs to `data_type`, the one that the step reads.
///
/// # Errors
/// A state that is damaged, or has a field that none of these forms has.
pub(super) fn migrated(fields: &Map<String, Value>, data_type: DataType) -> Result<Option<Map<String, Value>>> {
    let nested: Vec<String> = DataType::ALL.iter().map(|data_type| format!("{}_state", data_type.name())).collect();
    let flat = FLAT_TIMES.iter().chain(&FLAT_IDS).chain(&RECENT).copied();
    let known: Vec<&str> = nested.iter().map(String::as_str).chain(flat).collect();
    if !fields.keys().any(|name| known.contains(&name.as_str())) {
        return Ok(None);
    }
    refuse_unknown_fields(&Value::Object(fields.clone()), &known)?;
    let recent = first(fields, &RECENT).unwrap_or_else(|| json!([]));
    let mut types = Map::new();
    for (of, name) in DataType::ALL.into_iter().zip(&nested) {
        let (time, id) = of.fields();
        let entry = match fields.get(name) {
            None | Some(Value::Null) => None,
            Some(entry) => {
                // Distinct ids have no time: their state is empty.
                let names = if of == DataType::PersonDistinctIds { Vec::new() } else { vec![time, id] };
                refuse_unknown_fields(entry, &names)?;
                entry.as_object().and_then(|entry| entry_of(entry, &[time], &[id], of, &recent))
            }
        };
        let flat = || entry_of(fields, &FLAT_TIMES, &FLAT_IDS, of, &recent).filter(|_| of == data_type);
        if let Some(entry) = entry.or_else(flat) {
            types.insert(of.name().to_owned(), entry);
        }
    }
    // Ids without the time of the last row: what they were read up to is lost.
    let has_ids = recent != json!([]);
    if types.is_empty() && has_ids && data_type != DataType::PersonDistinctIds {
        return Err(damaged(data_type));
    }
    Ok(Some(types))
}

/// The entry of a data type, if the state has a last row.
fn entry_of(
    fields: &Map<String, Value>,
    times: &[&str],
    ids: &[&str],
    data_type: DataType,
    recent: &Value,
) -> Option<Value> {
    let (last_time, last_id) = (first(fields, times), first(fields, ids));
    if last_time.is_none() && last_id.is_none() {
        return None;
    }
    let (time, id) = data_type.fields();
    Some(json!({time: last_time, id: last_id, "recent_ids": recent}))
}

fn first(fields: &Map<String, Value>, names: &[&str]) -> Option<Value> {
    names.iter().find_map(|name| fields.get(*name).filter(|value| !value.is_null())).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST: &str = "2024-01-31T12:00:00.000001+00:00";

    fn migrate(state: &Value, data_type: DataType) -> Result<Option<Map<String, Value>>> {
        migrated(state.as_object().unwrap(), data_type)
    }

    #[test]
    fn g26_each_data_type_of_the_original_keeps_its_last_row_and_the_recent_ids() {
        for (data_type, name, time, id) in [
            (DataType::Events, "events", "last_timestamp", "last_uuid"),
            (DataType::Persons, "persons", "last_created_at", "last_id"),
            (DataType::Sessions, "sessions", "last_start_timestamp", "last_session_id"),
        ] {
            let original = json!({format!("{name}_state"): {time: LAST, id: "u"}, "recent_uuids": ["u", "v"]});
            let expected = json!({name: {time: LAST, id: "u", "recent_ids": ["u", "v"]}});
            assert_eq!(migrate(&original, data_type).unwrap().map(Value::Object), Some(expected));
        }
        let original = json!({"person_distinct_ids_state": {}, "recent_uuids": ["u"]});
        assert_eq!(migrate(&original, DataType::PersonDistinctIds).unwrap(), Some(Map::new()));
    }

    #[test]
    fn g26_all_data_types_of_one_state_are_migrated() {
        let original = json!({
            "events_state": {"last_timestamp": LAST, "last_uuid": "u"},
            "persons_state": {"last_created_at": LAST, "last_id": "p"},
            "sessions_state": {}, "person_distinct_ids_state": {}, "recent_uuids": [],
        });
        let types = migrate(&original, DataType::Events).unwrap().unwrap();
        assert_eq!(types.keys().collect::<Vec<_>>(), ["events", "persons"]);
    }

    #[test]
    fn g26_what_cannot_be_migrated_is_refused() {
        for (state, message) in [
            (json!({"events_state": {"last_timestamp": LAST}, "offset": 5}), "unknown fields: `offset`"),
            (json!({"events_state": {"last_timestamp": LAST, "page": 5}}), "unknown fields: `page`"),
            (json!({"events_state": [LAST]}), "cannot be read"),
            (json!({"events_state": {}, "recent_uuids": ["u"]}), "the saved state of `events` cannot be read"),
            (json!({"last_timestamp": null, "recent_uuids": ["u"]}), "the saved state of `events` cannot be read"),
            (json!({"person_distinct_ids_state": {"last_id": "u"}}), "unknown fields: `last_id`"),
        ] {
            let error = migrate(&state, DataType::Events).unwrap_err();
            assert!(error.message().contains(message), "{state}: {}", error.message());
        }
    }
}

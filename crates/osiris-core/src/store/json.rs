//! Values as text, for a column that was widened to JSON or text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray, StructArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;

use super::types::ColumnType;
use crate::{Error, Result};

/// Each value as JSON text: text becomes a JSON string, JSON stays as it is, NULL stays NULL.
pub(super) fn json_text(array: &ArrayRef, field: &Field) -> Result<ArrayRef> {
    if ColumnType::is_json_field(field) {
        return Ok(Arc::clone(array));
    }
    let failed = |error: arrow::error::ArrowError| {
        Error::validation(format!("column `{}` could not be written as JSON", field.name())).with_source(error)
    };
    let fields = Fields::from(vec![Field::new("v", array.data_type().clone(), true)]);
    let rows = StructArray::try_new(fields, vec![Arc::clone(array)], None).map_err(failed)?;
    let mut text = Vec::new();
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut text);
    writer.write(&rows.into()).map_err(failed)?;
    writer.finish().map_err(failed)?;
    drop(writer);
    let values = text.split(|byte| *byte == b'\n').zip(0..array.len()).map(|(line, row)| {
        // A line is `{"v":<value>}`.
        let value = line.strip_prefix(b"{\"v\":").and_then(|rest| rest.strip_suffix(b"}"));
        (!array.is_null(row)).then(|| value.and_then(|value| std::str::from_utf8(value).ok()).unwrap_or("null"))
    });
    Ok(Arc::new(values.collect::<StringArray>()))
}

/// Points in time as `2024-01-31 12:34:56.789+00`.
pub(super) fn instant_text(array: &ArrayRef) -> Result<ArrayRef> {
    let failed = |error| Error::validation("a timestamp could not be written as text").with_source(error);
    let options = CastOptions { safe: false, ..Default::default() };
    let zoneless =
        cast_with_options(array, &DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())), &options)
            .and_then(|array| cast_with_options(&array, &DataType::Timestamp(TimeUnit::Microsecond, None), &options))
            .and_then(|array| cast_with_options(&array, &DataType::Utf8, &options))
            .map_err(failed)?;
    let text = zoneless.as_any().downcast_ref::<StringArray>().map(|texts| {
        texts.iter().map(|text| text.map(|text| format!("{}+00", text.replace('T', " ")))).collect::<StringArray>()
    });
    text.map(|text| Arc::new(text) as ArrayRef).ok_or_else(|| Error::unknown("a cast to VARCHAR returned another type"))
}

//! Decodes rows and sends them to the step's table.

use std::collections::HashSet;
use std::sync::Arc;

use osiris_core::{ColumnType, Result, TableSender};
use osiris_http::{Bytes, Document, Nested, Row, RowDecoder, RowOptions, RowPath};

use crate::client::AnswerColumn;
use crate::config::{ExtractorConfig, Flatten};
use crate::query::Source;
use crate::types::column_type;

/// Sends rows to the step's table.
pub(super) struct Output {
    sender: TableSender,
    source: Source,
    flatten: Flatten,
    /// The properties to keep; `None` for all.
    properties: Option<Arc<HashSet<String>>>,
    decoder: Option<RowDecoder>,
    /// The columns of the responses so far.
    columns: Vec<AnswerColumn>,
    altered: u64,
}

impl Output {
    pub(super) fn new(sender: TableSender, source: Source, config: &ExtractorConfig) -> Self {
        let properties = config.properties.as_ref().map(|names| Arc::new(names.iter().cloned().collect()));
        Self { sender, source, flatten: config.flatten, properties, decoder: None, columns: Vec::new(), altered: 0 }
    }

    /// Stores the rows of a page for which `keep` is true; all of them when it is empty.
    pub(super) async fn push(&mut self, columns: &[AnswerColumn], document: Document, keep: Vec<bool>) -> Result<()> {
        if self.decoder.is_some() && self.columns != columns {
            // The columns differ: PostHog was updated meanwhile.
            self.end_decoder().await?;
        }
        self.declare(columns);
        let document = self.with_fewer_properties(columns, document)?;
        let Some(decoder) = self.decoder.take() else { return Ok(()) };
        let keeps = move |index: usize, _: &Row<'_>| keep.is_empty() || keep.get(index).copied().unwrap_or(false);
        let mut decoder = decoder.decode_where(document, keeps).await?;
        while let Some(batch) = decoder.next_batch() {
            self.sender.send(batch).await?;
        }
        self.decoder = Some(decoder);
        Ok(())
    }

    /// Sets the columns that the table has even without rows.
    pub(super) fn declare(&mut self, columns: &[AnswerColumn]) {
        if self.decoder.is_none() {
            self.columns = columns.to_vec();
            self.decoder = Some(RowDecoder::new(self.options(columns)));
        }
    }

    /// Sends the remaining rows. Returns how many values were altered.
    pub(super) async fn finish(mut self) -> Result<u64> {
        self.declare(&[]);
        self.end_decoder().await?;
        Ok(self.altered)
    }

    async fn end_decoder(&mut self) -> Result<()> {
        let Some(mut decoder) = self.decoder.take() else { return Ok(()) };
        while let Some(batch) = decoder.finish()? {
            self.sender.send(batch).await?;
        }
        self.altered += decoder.altered();
        Ok(())
    }

    fn options(&self, columns: &[AnswerColumn]) -> RowOptions {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let mut declared: Vec<(String, ColumnType)> =
            columns.iter().filter_map(|column| Some((column.name.clone(), self.declared(column)?))).collect();
        if declared.is_empty() {
            declared.push((self.source.id.to_owned(), ColumnType::Varchar));
        }
        let nested = match self.flatten {
            Flatten::Columns => Nested::Flatten { separator: "_".to_owned(), depth: Some(1) },
            Flatten::Json => Nested::Json,
        };
        let mut options = RowOptions::new().with_names(names).with_columns(declared).with_nested(nested);
        if let Some(properties) = self.source.properties {
            options = options.with_embedded(properties);
            if let (true, Some(kept)) = (self.flatten.is_columns(), &self.properties) {
                let (prefix, kept) = (format!("{properties}_"), Arc::clone(kept));
                options = options.with_filter(Arc::new(move |name| {
                    name.strip_prefix(&prefix).is_none_or(|name| kept.contains(name))
                }));
            }
        }
        options
    }

    /// The type of a column, if it is known in advance: that of properties is not, unless they are one column.
    fn declared(&self, column: &AnswerColumn) -> Option<ColumnType> {
        if self.source.properties == Some(column.name.as_str()) {
            return (!self.flatten.is_columns()).then_some(ColumnType::Json);
        }
        if column.clickhouse.is_empty() {
            let is_time = self.source.time == Some(column.name.as_str());
            let is_id = self.source.id == column.name;
            return if is_time { Some(ColumnType::Instant) } else { is_id.then_some(ColumnType::Varchar) };
        }
        column_type(&column.clickhouse)
    }

    /// With `flatten: json`, keeps the chosen properties only.
    fn with_fewer_properties(&self, columns: &[AnswerColumn], document: Document) -> Result<Document> {
        let (Some(kept), false, Some(properties)) =
            (&self.properties, self.flatten.is_columns(), self.source.properties)
        else {
            return Ok(document);
        };
        let Some(position) = columns.iter().position(|column| column.name == properties) else { return Ok(document) };
        let mut text = String::from("[");
        for (index, row) in document.rows().enumerate() {
            text.push_str(if index > 0 { ",[" } else { "[" });
            for column in 0..columns.len() {
                if column > 0 {
                    text.push(',');
                }
                match row.at(column) {
                    Some(cell) if column == position => {
                        let json = cell.text().unwrap_or_default();
                        text.push_str(&subset(&json, kept).unwrap_or_else(|| cell.raw().to_owned()));
                    }
                    Some(cell) => text.push_str(cell.raw()),
                    None => text.push_str("null"),
                }
            }
            text.push(']');
        }
        text.push(']');
        Document::parse(Bytes::from(text), &RowPath::root())
    }
}

/// The object in `json` with the members in `kept` only, their text unchanged; `None` when it is not an object.
fn subset(json: &str, kept: &HashSet<String>) -> Option<String> {
    let row = Row::new(json);
    if !json.trim_start().starts_with('{') {
        return None;
    }
    let mut names: Vec<&String> = kept.iter().collect();
    names.sort();
    let members: Vec<String> = names
        .into_iter()
        .filter_map(|name| Some(format!("{}:{}", serde_json::Value::from(name.as_str()), row.get(name)?.raw())))
        .collect();
    Some(format!("{{{}}}", members.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subset_of_properties_keeps_their_values_to_the_letter() {
        let kept = ["$b", "a\"", "missing"].map(str::to_owned).into();
        let json = r#"{"x": 1, "$b": 1.10, "a\"": {"n": [12345678901234567890]}}"#;
        assert_eq!(subset(json, &kept).unwrap(), r#"{"$b":1.10,"a\"":{"n": [12345678901234567890]}}"#);
        assert_eq!(subset("", &kept), None);
        assert_eq!(subset("{}", &kept).unwrap(), "{}");
    }
}

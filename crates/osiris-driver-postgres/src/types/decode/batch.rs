//! Rows of binary COPY, as the builders of a batch want them.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use osiris_sql::batch::BatchBuilder;

use super::column::ColumnPlan;
use super::value::ColumnBuilder;

/// The schema of every batch.
pub(crate) fn schema(plans: &[ColumnPlan]) -> SchemaRef {
    Arc::new(Schema::new(plans.iter().map(|plan| plan.field.clone()).collect::<Vec<_>>()))
}

/// A builder of batches, at most `max_rows` to each.
pub(crate) fn batches(plans: &[ColumnPlan], max_rows: usize) -> BatchBuilder<ColumnBuilder> {
    BatchBuilder::new(schema(plans), plans.iter().map(ColumnBuilder::new).collect(), max_rows)
}

//! Rows of binary COPY for the batch builder.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use osiris_sql::batch::BatchBuilder;

use super::column::ColumnPlan;
use super::value::ColumnBuilder;

/// The schema of the batches.
pub(crate) fn schema(plans: &[ColumnPlan]) -> SchemaRef {
    Arc::new(Schema::new(plans.iter().map(|plan| plan.field.clone()).collect::<Vec<_>>()))
}

/// A builder of batches of at most `max_rows`.
pub(crate) fn batches(plans: &[ColumnPlan], max_rows: usize) -> BatchBuilder<ColumnBuilder> {
    BatchBuilder::new(schema(plans), plans.iter().map(ColumnBuilder::new).collect(), max_rows)
}

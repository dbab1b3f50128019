//! `lines.copier`: a processor.

use async_trait::async_trait;
use osiris_core::{
    Component, ComponentSpec, Error, ExecutionContext, Inputs, NoConnection, Result, Role, Step, TableSink, Transform,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Flaw;

pub(crate) struct LinesCopier {
    flaw: Option<Flaw>,
}

/// What to copy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CopierConfig {
    /// The step whose table is copied.
    from: String,
    /// The columns to copy. Default: all.
    #[serde(default)]
    columns: Option<Vec<String>>,
}

impl LinesCopier {
    pub(crate) fn new(flaw: Option<Flaw>) -> Self {
        Self { flaw }
    }
}

impl Component for LinesCopier {
    const SPEC: ComponentSpec = ComponentSpec::new("lines.copier", "1", Role::Transform, "Lines");
    type Connection = NoConnection;
    type Config = CopierConfig;
}

#[async_trait]
impl Transform for LinesCopier {
    async fn transform(
        &self,
        step: &Step<'_, Self>,
        inputs: &Inputs,
        out: &TableSink,
        ctx: &ExecutionContext,
    ) -> Result<()> {
        let config = step.config();
        let input = if self.flaw == Some(Flaw::TakesAnyInput) {
            inputs.iter().next().map(|input| &input.table).ok_or_else(|| Error::unknown("nothing"))?
        } else {
            inputs.get(&config.from)?
        };
        let mut scan = ctx.store().scan(input);
        if let Some(columns) = &config.columns {
            scan = scan.columns(columns.iter().cloned());
        }
        let mut scan = scan.open().await?;
        let sender = out.sender(scan.arrow_schema()).await?;
        while let Some(batch) = scan.next().await? {
            sender.send(batch).await?;
        }
        Ok(())
    }
}

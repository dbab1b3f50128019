//! The tables a step reads, by upstream step id.

use crate::problem::nearest;
use crate::{Code, Error, Result, TableRef};

/// The inputs of a step. They refer to committed tables, or to streamed rows for a writer that streams, and are never
/// changed [CRT-002, DRV-007].
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    tables: Vec<Input>,
}

/// One input.
#[derive(Debug, Clone)]
pub struct Input {
    /// The name that the step's SQL may use besides the step id: the key under `inputs`.
    pub key: Option<String>,
    /// The table.
    pub table: TableRef,
}

impl Inputs {
    /// No input.
    pub fn none() -> Self {
        Self::default()
    }

    /// One input, without another name.
    pub fn one(table: TableRef) -> Self {
        Self { tables: vec![Input { key: None, table }] }
    }

    /// Adds an input.
    pub fn insert(&mut self, key: Option<String>, table: TableRef) {
        self.tables.push(Input { key, table });
    }

    /// All of them, in the order of the pipeline file.
    pub fn iter(&self) -> impl Iterator<Item = &Input> {
        self.tables.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// The input that came from `step`.
    ///
    /// # Errors
    /// When there is none: the message lists those present.
    pub fn get(&self, step: &str) -> Result<&TableRef> {
        let found = self.tables.iter().find(|input| input.table.step() == step || input.key.as_deref() == Some(step));
        found.map(|input| &input.table).ok_or_else(|| {
            let present: Vec<&str> = self.tables.iter().map(|input| input.table.step()).collect();
            let error = Error::validation(format!("no input comes from a step `{step}`")).with_code(Code::UnknownStep);
            match nearest(step, present.iter().copied()) {
                Some(similar) => error.with_hint(format!("did you mean `{similar}`? Present: {}", present.join(", "))),
                None if present.is_empty() => error.with_hint("this step has no inputs: add `needs`"),
                None => error.with_hint(format!("inputs present: {}", present.join(", "))),
            }
        })
    }

    /// The only input, for components that take one; `wanted` (the step's `input_step`) decides among several.
    ///
    /// # Errors
    /// None, or several without `wanted`.
    pub fn single(&self, wanted: Option<&str>) -> Result<&TableRef> {
        match (wanted, self.tables.as_slice()) {
            (Some(step), _) => self.get(step),
            (None, [one]) => Ok(&one.table),
            (None, []) => Err(Error::validation("this step needs an input but has none")
                .with_code(Code::UnknownStep)
                .with_hint("name the step it reads from: `needs: [step]`")),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|input| input.table.step()).collect();
                Err(Error::validation(format!(
                    "this step takes one input and has {}: {}",
                    names.len(),
                    names.join(", ")
                ))
                .with_hint("set `input_step` in its config to one of them"))
            }
        }
    }
}

//! Which components there are. Each driver crate registers its own, explicitly.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::driver::{Adapter, Driver};
use crate::problem::nearest;
use crate::{Component, Discover, Doctor, Error, Extract, Result, Transform, Write};

/// The families that Osiris ships, with the Cargo feature that brings each: for errors that say what to switch on.
const FAMILIES: &[(&str, &str)] = &[
    ("duckdb", "duckdb"),
    ("filesystem", "filesystem"),
    ("graphql", "graphql"),
    ("mysql", "mysql"),
    ("posthog", "posthog"),
    ("supabase", "supabase"),
];

/// Which component a step means, by its configuration.
type Choose = fn(&Map<String, Value>) -> Result<&'static str>;

/// The components of a program, by name.
#[derive(Default, Clone)]
pub struct Registry {
    drivers: BTreeMap<&'static str, Arc<dyn Driver>>,
    choices: BTreeMap<&'static str, Choose>,
}

impl Registry {
    /// No components yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an extractor.
    pub fn extractor<C: Extract>(&mut self, component: C) -> Registration<'_, C> {
        Registration { registry: self, adapter: Adapter::extract(component) }
    }

    /// Adds a processor.
    pub fn processor<C: Transform>(&mut self, component: C) -> Registration<'_, C> {
        Registration { registry: self, adapter: Adapter::transform(component) }
    }

    /// Adds a writer.
    pub fn writer<C: Write>(&mut self, component: C) -> Registration<'_, C> {
        Registration { registry: self, adapter: Adapter::write(component) }
    }

    /// Adds a name that stands for one of several components: `choose` says for which, by the step's configuration, or what
    /// the step should say instead.
    ///
    /// # Errors
    /// When a component of that name is there already.
    pub fn choice(&mut self, name: &'static str, choose: Choose) -> Result<()> {
        self.ensure_new(name)?;
        self.choices.insert(name, choose);
        Ok(())
    }

    fn ensure_new(&self, name: &str) -> Result<()> {
        if self.drivers.contains_key(name) || self.choices.contains_key(name) {
            return Err(Error::validation(format!("a component `{name}` is registered already"))
                .with_hint("call each driver crate's `register` once"));
        }
        Ok(())
    }

    /// The component that a step means, which calls it `name` and has this configuration.
    ///
    /// # Errors
    /// As for [`get`](Self::get), or the configuration does not tell which one is meant.
    pub fn find(&self, name: &str, config: &Map<String, Value>) -> Result<&Arc<dyn Driver>> {
        match self.choices.get(name) {
            Some(choose) => self.get(choose(config)?),
            None => self.get(name),
        }
    }

    /// All components, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Driver>> {
        self.drivers.values()
    }

    /// The component called `name`.
    ///
    /// # Errors
    /// When there is none. The message suggests the nearest name and, for a component of ours that was not compiled in,
    /// the Cargo feature.
    pub fn get(&self, name: &str) -> Result<&Arc<dyn Driver>> {
        if let Some(driver) = self.drivers.get(name) {
            return Ok(driver);
        }
        let error = Error::validation(format!("unknown component `{name}`"));
        let family = name.split('.').next().unwrap_or(name);
        let ours = FAMILIES.iter().find(|(known, _)| *known == family);
        let present = self.drivers.keys().any(|known| known.split('.').next() == Some(family));
        if let (Some((_, feature)), false) = (ours, present) {
            return Err(error.with_hint(format!("this build lacks the Cargo feature `{feature}`")));
        }
        let known: Vec<&str> = self.drivers.keys().copied().collect();
        let list = if known.is_empty() { "none is registered".to_owned() } else { known.join(", ") };
        Err(match nearest(name, known.iter().copied()) {
            Some(similar) => error.with_hint(format!("did you mean `{similar}`? Known: {list}")),
            None => error.with_hint(format!("known components: {list}")),
        })
    }
}

/// A component about to be added; capabilities can be declared only when they are implemented.
#[must_use = "a component is added by `add`"]
pub struct Registration<'a, C: Component> {
    registry: &'a mut Registry,
    adapter: Adapter<C>,
}

impl<C: Component> Registration<'_, C> {
    /// Declares discovery.
    pub fn with_discovery(mut self) -> Self
    where
        C: Discover,
    {
        self.adapter.set_discovery();
        self
    }

    /// Declares a doctor.
    pub fn with_doctor(mut self) -> Self
    where
        C: Doctor,
    {
        self.adapter.set_doctor();
        self
    }

    /// Adds the component.
    ///
    /// # Errors
    /// When a component of that name is there already.
    pub fn add(self) -> Result<()> {
        let name = C::SPEC.name;
        self.registry.ensure_new(name)?;
        self.registry.drivers.insert(name, Arc::new(self.adapter));
        Ok(())
    }
}

//! Which components there are. Each driver crate registers its own, explicitly.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::driver::{Adapter, Driver, FamilyAdapter, Runner, Unnamed};
use crate::problem::nearest;
use crate::{Code, Component, ConfigSchema, Error, Extract, Family, Result, Transform, Write};

/// Which component a step means, by its configuration.
type Choose = fn(&Map<String, Value>) -> Result<&'static str>;

/// A name that stands for one of several components, by the configuration of the step.
#[derive(Debug, Clone, Copy)]
pub struct ComponentAlias {
    name: &'static str,
    components: &'static [&'static str],
    choose: Choose,
}

impl ComponentAlias {
    /// The name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The components that it may stand for: all of one role.
    pub fn components(&self) -> &'static [&'static str] {
        self.components
    }
}

/// The components of a program, by name.
#[derive(Default, Clone)]
pub struct Registry {
    drivers: BTreeMap<&'static str, Arc<dyn Driver>>,
    aliases: BTreeMap<&'static str, ComponentAlias>,
    /// The Cargo feature that brings a family, by the family's name.
    features: BTreeMap<&'static str, &'static str>,
}

impl Registry {
    /// No components yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that a family which may not be compiled in comes with a Cargo feature, for the error at its components.
    #[must_use]
    pub fn with_feature(mut self, family: &'static str, feature: &'static str) -> Self {
        self.features.insert(family, feature);
        self
    }

    /// Adds the components of a family.
    pub fn family<F: Family>(&mut self, family: F) -> FamilyRegistration<'_, F> {
        FamilyRegistration {
            registry: self,
            family: FamilyAdapter::new(family),
            drivers: Vec::new(),
            aliases: Vec::new(),
        }
    }

    /// Adds an extractor that has no family: nothing is discovered or checked over its connection, if it has one.
    pub fn extractor<C: Extract>(&mut self, component: C) -> Registration<'_> {
        self.alone(Runner::extract(component))
    }

    /// Adds a processor that has no family.
    pub fn processor<C: Transform>(&mut self, component: C) -> Registration<'_> {
        self.alone(Runner::transform(component))
    }

    /// Adds a writer that has no family.
    pub fn writer<C: Write>(&mut self, component: C) -> Registration<'_> {
        self.alone(Runner::write(component))
    }

    fn alone<C: Component>(&mut self, runner: Runner<C>) -> Registration<'_> {
        let family = FamilyAdapter::new(Unnamed(const { &C::SPEC }.family()));
        Registration { registry: self, driver: Arc::new(Adapter::new(runner, family)) }
    }

    fn ensure_new(&self, name: &str) -> Result<()> {
        if self.drivers.contains_key(name) || self.aliases.contains_key(name) {
            return Err(twice(name));
        }
        Ok(())
    }

    /// The component that a step means, which calls it `name` and has this configuration.
    ///
    /// # Errors
    /// As for [`get`](Self::get), or the configuration does not tell which one is meant.
    pub fn find(&self, name: &str, config: &Map<String, Value>) -> Result<&Arc<dyn Driver>> {
        match self.alias(name) {
            Some(alias) => self.get((alias.choose)(config)?),
            None => self.get(name),
        }
    }

    /// What stands for one of several components, by name.
    pub fn aliases(&self) -> impl Iterator<Item = &ComponentAlias> {
        self.aliases.values()
    }

    /// The alias called `name`.
    pub fn alias(&self, name: &str) -> Option<&ComponentAlias> {
        self.aliases.get(name)
    }

    /// All components, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Driver>> {
        self.drivers.values()
    }

    /// The schema of a family's connections: all its components have the same. None for a family that is not in this build.
    pub fn connection_schema(&self, family: &str) -> Option<&ConfigSchema> {
        self.iter().find(|driver| driver.spec().family() == family).map(|driver| driver.connection_schema())
    }

    /// The component called `name`.
    ///
    /// # Errors
    /// When there is none. The message suggests the nearest name and, for a family that was not compiled in, the Cargo
    /// feature (see [`with_feature`](Self::with_feature)).
    pub fn get(&self, name: &str) -> Result<&Arc<dyn Driver>> {
        if let Some(driver) = self.drivers.get(name) {
            return Ok(driver);
        }
        let error = Error::validation(format!("unknown component `{name}`")).with_code(Code::UnknownComponent);
        let family = name.split('.').next().unwrap_or(name);
        let present = self.drivers.keys().any(|known| known.split('.').next() == Some(family));
        if let (Some(feature), false) = (self.features.get(family), present) {
            return Err(error.with_hint(format!("this build lacks the Cargo feature `{feature}`")));
        }
        if let Some(alias) = self.aliases.get(name) {
            let components: Vec<String> = alias.components.iter().map(|name| format!("`{name}`")).collect();
            let components = components.join(" or ");
            return Err(Error::validation(format!("`{name}` stands for one of several components"))
                .with_hint(format!("name the one you mean: {components}"))
                .with_code(Code::UnknownComponent));
        }
        let known: BTreeSet<&str> = self.drivers.keys().chain(self.aliases.keys()).copied().collect();
        let known: Vec<&str> = known.into_iter().collect();
        let similar: Vec<String> = similar(name, &known).into_iter().map(|name| format!("`{name}`")).collect();
        Err(if known.is_empty() {
            error.with_hint("none is registered")
        } else if similar.is_empty() {
            error.with_hint(format!("known components: {}", known.join(", ")))
        } else {
            error.with_hint(format!("did you mean {}?", similar.join(" or ")))
        })
    }
}

/// What other tools call a component of ours.
const SYNONYMS: [(&str, &str); 8] = [
    ("reader", "extractor"),
    ("source", "extractor"),
    ("input", "extractor"),
    ("sink", "writer"),
    ("destination", "writer"),
    ("output", "writer"),
    ("transform", "processor"),
    ("transformer", "processor"),
];

/// The components that `name` may stand for: those of the family that it names, by a synonym, by the nearest name, or all of them; else
/// those with the word in their names; else the nearest name of all.
fn similar<'a>(name: &str, known: &[&'a str]) -> Vec<&'a str> {
    let (family, rest) = name.split_once('.').unwrap_or((name, ""));
    let of_family: Vec<&str> = known.iter().copied().filter(|known| known.split('.').next() == Some(family)).collect();
    if !of_family.is_empty() {
        let renamed =
            SYNONYMS.iter().find_map(|(theirs, ours)| Some(format!("{family}.{}{ours}", rest.strip_suffix(theirs)?)));
        if let Some(found) = of_family.iter().find(|known| renamed.as_deref() == Some(**known)) {
            return vec![found];
        }
        return nearest(name, of_family.iter().copied()).map_or(of_family, |found| vec![found]);
    }
    if let Some(found) = nearest(name, known.iter().copied()) {
        return vec![found];
    }
    known.iter().copied().filter(|known| name.len() > 2 && known.contains(name)).collect()
}

/// A component about to be added.
#[must_use = "a component is added by `add`"]
pub struct Registration<'a> {
    registry: &'a mut Registry,
    driver: Arc<dyn Driver>,
}

impl Registration<'_> {
    /// Adds the component.
    ///
    /// # Errors
    /// When a component of that name is there already.
    pub fn add(self) -> Result<()> {
        let name = self.driver.spec().name;
        self.registry.ensure_new(name)?;
        self.registry.drivers.insert(name, self.driver);
        Ok(())
    }
}

/// A family about to be added, with its components and the other names of these.
#[must_use = "a family is added by `add`"]
pub struct FamilyRegistration<'a, F: Family> {
    registry: &'a mut Registry,
    family: Arc<FamilyAdapter<F::Connection>>,
    drivers: Vec<Arc<dyn Driver>>,
    aliases: Vec<ComponentAlias>,
}

impl<F: Family> FamilyRegistration<'_, F> {
    /// With an extractor.
    pub fn extractor<C: Extract + Component<Connection = F::Connection>>(self, component: C) -> Self {
        self.with(Runner::extract(component))
    }

    /// With a processor.
    pub fn processor<C: Transform + Component<Connection = F::Connection>>(self, component: C) -> Self {
        self.with(Runner::transform(component))
    }

    /// With a writer.
    pub fn writer<C: Write + Component<Connection = F::Connection>>(self, component: C) -> Self {
        self.with(Runner::write(component))
    }

    /// With a name that stands for one of several `components` of one role: `choose` says for which, by the step's configuration,
    /// or what the step should say instead.
    pub fn alias(mut self, name: &'static str, components: &'static [&'static str], choose: Choose) -> Self {
        self.aliases.push(ComponentAlias { name, components, choose });
        self
    }

    fn with<C: Component<Connection = F::Connection>>(mut self, runner: Runner<C>) -> Self {
        self.drivers.push(Arc::new(Adapter::new(runner, Arc::clone(&self.family))));
        self
    }

    /// Adds all of it, or nothing.
    ///
    /// # Errors
    /// When a component of one of the names is there already, or a name is not of the family.
    pub fn add(self) -> Result<()> {
        let mut names: Vec<&'static str> = self.drivers.iter().map(|driver| driver.spec().name).collect();
        for alias in &self.aliases {
            if let Some(missing) = alias.components.iter().find(|name| !names.contains(name)) {
                return Err(Error::validation(format!(
                    "`{}` stands for `{missing}`, which is not registered",
                    alias.name
                ))
                .with_hint("register the component with its family"));
            }
        }
        names.extend(self.aliases.iter().map(ComponentAlias::name));
        for (index, name) in names.iter().enumerate() {
            self.registry.ensure_new(name)?;
            if names[..index].contains(name) {
                return Err(twice(name));
            }
            if name.split_once('.').is_none_or(|(family, _)| family != F::NAME) {
                return Err(Error::validation(format!("`{name}` is not a component of the family `{}`", F::NAME))
                    .with_hint(format!("name it `{}.something`", F::NAME)));
            }
        }
        self.registry.drivers.extend(self.drivers.into_iter().map(|driver| (driver.spec().name, driver)));
        self.registry.aliases.extend(self.aliases.into_iter().map(|alias| (alias.name, alias)));
        Ok(())
    }
}

fn twice(name: &str) -> Error {
    Error::validation(format!("component `{name}` is already registered"))
        .with_hint("call each driver crate's `register` once")
}

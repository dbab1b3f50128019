//! A connection that is added to the connections file: its fields go there, its secrets to `.env` beside it.

mod dotenv;
mod edit;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use osiris_core::secret::{has_secret_address, is_reference, mask_login};
use osiris_core::{Code, ConfigSchema, ConnectionRef, ConnectionUse, Driver, Error, Registry, Result};
use serde_json::{Map, Value, json};

use crate::connections_file::{CONNECTIONS_FILE, ConnectionsFile, is_known_field};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::environment::Environment;
use crate::file::{replace, write_private};
use crate::project::Project;
use crate::reference::{ComponentReference, FieldReference};
use crate::source::SourceFile;

/// A connection that is being put together.
pub struct NewConnection<'a> {
    reference: ConnectionRef,
    driver: &'a dyn Driver,
    /// As they stand in the file.
    fields: Map<String, Value>,
    /// The secrets, by the names of their variables.
    variables: Vec<(String, String)>,
}

impl<'a> NewConnection<'a> {
    /// A connection without fields.
    ///
    /// # Errors
    /// There are no connections of this family.
    pub fn new(reference: &ConnectionRef, registry: &'a Registry) -> Result<Self> {
        let family = reference.family();
        let mut members = registry.iter().filter(|driver| driver.spec().family() == family).peekable();
        if members.peek().is_none() {
            // The registry knows which feature a family comes with, and what is spelled alike.
            let unknown = registry.get(&format!("{family}.extractor")).err();
            return Err(unknown.unwrap_or_else(|| Error::validation(format!("unknown family `{family}`"))));
        }
        let driver = members.find(|driver| driver.spec().connection != ConnectionUse::None);
        let driver = driver.ok_or_else(|| Error::validation(format!("components of `{family}` use no connection")))?;
        Ok(Self { reference: reference.clone(), driver: &**driver, fields: Map::new(), variables: Vec::new() })
    }

    /// Its name.
    pub fn reference(&self) -> &ConnectionRef {
        &self.reference
    }

    fn schema(&self) -> &'a ConfigSchema {
        self.driver.connection_schema()
    }

    /// The fields that it may have, those that it must have first; those inside a field are left out.
    pub fn known_fields(&self) -> Vec<FieldReference> {
        let mut fields = ComponentReference::new(self.driver).connection_fields();
        fields.retain(|field| !field.path.contains(['.', '[']));
        fields
    }

    /// The fields that it must have and has not.
    pub fn missing(&self) -> Vec<FieldReference> {
        let mut fields = self.known_fields();
        fields.retain(|field| field.required && !self.fields.contains_key(&field.path));
        fields
    }

    /// Whether a field holds a secret.
    pub fn is_secret(&self, name: &str) -> bool {
        self.schema().is_secret(name)
    }

    /// Sets a field to what a user has typed. A secret becomes a variable, unless it is one.
    ///
    /// # Errors
    /// The family has no such field, or it has a value.
    pub fn set(&mut self, name: &str, text: &str) -> Result<()> {
        let field = self.schema().field_named(name).unwrap_or(name).to_owned();
        if !is_known_field(&field, self.schema()) {
            let known = self
                .schema()
                .violations(&json!({name: text}))
                .into_iter()
                .find(|found| found.pointer == format!("/{name}"));
            let error =
                Error::validation(format!("connections of `{}` have no field `{name}`", self.reference.family()))
                    .with_code(Code::UnknownField);
            return Err(match known.and_then(|problem| problem.hint) {
                Some(hint) => error.with_hint(hint),
                None => error,
            });
        }
        if self.fields.contains_key(&field) {
            return Err(Error::validation(format!("`{field}` has two values")).with_hint("give it once"));
        }
        let value = match text {
            "true" | "false" if field == "default" => json!(text == "true"),
            text if self.holds_secret(&field, text) => {
                let variable = format!("{}_{}_{field}", self.reference.family(), self.reference.alias());
                let variable = variable.to_uppercase().replace('-', "_");
                self.variables.push((variable.clone(), text.to_owned()));
                json!(format!("${{{variable}}}"))
            }
            text => json!(text),
        };
        self.fields.insert(field, value);
        Ok(())
    }

    /// Whether a value must not stand in the connections file.
    fn holds_secret(&self, field: &str, text: &str) -> bool {
        let has_login = matches!(mask_login(field, text), Cow::Owned(_));
        (self.is_secret(field) && !is_reference(text)) || has_secret_address(text) || has_login
    }

    /// The fields as they stand in the file: texts have become the numbers and truth values that they mean.
    fn definition(&self) -> Map<String, Value> {
        let pointers: BTreeSet<String> = self.fields.keys().map(|field| format!("/{field}")).collect();
        let mut typed = Value::Object(self.fields.clone());
        self.schema().coerce(&mut typed, &pointers);
        let chosen = self.fields.iter().map(|(field, text)| {
            let value = &typed[field];
            // What is nested may hold secrets: it is written by hand.
            let value = if value.is_object() || value.is_array() { text } else { value };
            (field.clone(), value.clone())
        });
        chosen.collect()
    }

    /// What the files of `project` become with it. Nothing is written yet.
    ///
    /// # Errors
    /// The connections file cannot be used or changed, has a connection of this name, or a variable of a secret has another
    /// value already.
    pub fn prepare(&self, project: &Project) -> Result<PreparedConnection, Diagnostics> {
        let (path, old, text) = self.file(project)?;
        let fields = self.definition();
        let connections = self.added(&path, &old, &text, &fields)?;
        let directory = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let environment = project.environment(&old)?;
        for (name, value) in &self.variables {
            if environment.get(name).is_some_and(|existing| existing != *value) {
                let error = Error::validation(format!("the variable {name} has another value already"))
                    .with_hint(format!("use it with `--set 'FIELD=${{{name}}}'`, or name the connection differently"));
                return Err(refused(&error));
            }
        }
        let new: Vec<&(String, String)> =
            self.variables.iter().filter(|(name, _)| environment.get(name).is_none()).collect();
        let dotenv = dotenv::with_variables(&directory.join(".env"), &new)?;
        let environment = environment.with_variables(self.variables.iter().cloned());
        let variables = self.variables.iter().map(|(name, _)| name.clone()).collect();
        Ok(PreparedConnection {
            path,
            text: connections.1,
            connections: connections.0,
            environment,
            directory,
            dotenv,
            variables,
        })
    }

    /// The connections file, as it is and as it is read: an empty one where there is none.
    fn file(&self, project: &Project) -> Result<(PathBuf, ConnectionsFile, String), Diagnostics> {
        let named = project.settings().connections.clone().filter(|path| !path.exists());
        let found = if named.is_some() { ConnectionsFile::none() } else { project.connections()? };
        let Some(path) = found.path().map(Path::to_path_buf) else {
            let directory = project.directory();
            let beside = if directory == Path::new(".") {
                PathBuf::from(CONNECTIONS_FILE)
            } else {
                directory.join(CONNECTIONS_FILE)
            };
            return Ok((named.unwrap_or(beside), found, String::new()));
        };
        if found.connections().iter().any(|(reference, _)| reference == self.reference) {
            let error = Error::validation(format!("{} is in `{}` already", self.reference, path.display()))
                .with_code(Code::DuplicateName)
                .with_hint("choose another name, or change it there");
            return Err(refused(&error));
        }
        let text = SourceFile::read(&path)?.text().to_owned();
        Ok((path, found, text))
    }

    /// The text with the connection, and what it is read as: all that was there, and the connection.
    fn added(
        &self,
        path: &Path,
        old: &ConnectionsFile,
        text: &str,
        fields: &Map<String, Value>,
    ) -> Result<(ConnectionsFile, String), Diagnostics> {
        let (family, alias) = (self.reference.family(), self.reference.alias());
        let edited = edit::with_connection(text, old.tree(), family, alias, fields);
        let source = SourceFile::from_text(path.display().to_string(), edited.clone()).with_path(path);
        let mut expected = old.connections().clone();
        expected.insert(family, alias, fields.clone());
        match ConnectionsFile::parse(source) {
            Ok(new) if new.connections().iter().eq(expected.iter()) => Ok((new, edited)),
            _ => {
                let lines = edit::block(family, alias, fields);
                let error =
                    Error::validation(format!("`{}` is written in a way that cannot be added to", path.display()))
                        .with_hint(format!("add these lines below `connections:` yourself:\n{lines}"));
                Err(refused(&error))
            }
        }
    }
}

/// The files with a new connection, before they are written.
pub struct PreparedConnection {
    path: PathBuf,
    text: String,
    connections: ConnectionsFile,
    environment: Environment,
    directory: PathBuf,
    /// The text of `.env`, where it changes.
    dotenv: Option<String>,
    variables: Vec<String>,
}

impl PreparedConnection {
    /// The connections file as it will be.
    pub fn connections(&self) -> &ConnectionsFile {
        &self.connections
    }

    /// The variables as they will be.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Where the connections file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the variables that hold its secrets.
    pub fn variables(&self) -> &[String] {
        &self.variables
    }

    /// Writes the files: `.env` first, so that no connection names a variable that is not there.
    ///
    /// # Errors
    /// One of them cannot be written.
    pub fn save(&self) -> Result<SavedConnection> {
        let mut saved = SavedConnection { dotenv: None, gitignore: None };
        if let Some(text) = &self.dotenv {
            let path = self.directory.join(".env");
            write_private(&followed(&path), text.as_bytes())?;
            saved.gitignore = dotenv::ignore(&self.directory)?;
            saved.dotenv = Some(path);
        }
        replace(&followed(&self.path), self.text.as_bytes())?;
        Ok(saved)
    }
}

/// Which files were written besides the connections file.
#[derive(Debug)]
pub struct SavedConnection {
    /// The `.env`, if it has new variables.
    pub dotenv: Option<PathBuf>,
    /// The `.gitignore`, if it had to be told of `.env`.
    pub gitignore: Option<PathBuf>,
}

/// The file that a link leads to: a link is not replaced.
fn followed(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

fn refused(error: &Error) -> Diagnostics {
    Diagnostic::from_core(error).into()
}

//! Connections: references such as `@mysql.movies`, the definitions they name, and what a step may override.
//!
//! Core resolves over values it is given. Only the pipeline crate reads the connections file and the environment.

mod overrides;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

pub use overrides::OverridePolicy;

use overrides::{OVERRIDES, listed_overrides, narrow, refusal};

use crate::config::ConfigSchema;
use crate::problem::nearest;
use crate::secret::may_be_secret;
use crate::substitute::{Substituted, substitute};
use crate::{Code, Error, Problem, Redactor, Result, header};

/// `@family.alias`, by the grammar `@[a-z][a-z0-9_]*\.[A-Za-z0-9_-]+`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionRef {
    family: String,
    alias: String,
}

impl ConnectionRef {
    /// The part before the dot.
    pub fn family(&self) -> &str {
        &self.family
    }

    /// The part after the dot.
    pub fn alias(&self) -> &str {
        &self.alias
    }
}

impl FromStr for ConnectionRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let malformed = || {
            Error::validation(format!("`{text}` is not a connection reference"))
                .with_hint("write `@family.alias`, such as `@mysql.movies`")
        };
        let (family, alias) = text.strip_prefix('@').and_then(|rest| rest.split_once('.')).ok_or_else(malformed)?;
        let family_ok = family.starts_with(|c: char| c.is_ascii_lowercase())
            && family.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let alias_ok = !alias.is_empty() && alias.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        if !family_ok || !alias_ok {
            return Err(malformed());
        }
        Ok(Self { family: family.to_owned(), alias: alias.to_owned() })
    }
}

impl fmt::Display for ConnectionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}.{}", self.family, self.alias)
    }
}

/// The connections of a project, by family and alias, as written: `${VAR}` not yet replaced.
#[derive(Debug, Default, Clone)]
pub struct Connections {
    families: BTreeMap<String, BTreeMap<String, Map<String, Value>>>,
}

impl Connections {
    /// Adds a definition; the latest wins.
    pub fn insert(&mut self, family: impl Into<String>, alias: impl Into<String>, fields: Map<String, Value>) {
        self.families.entry(family.into()).or_default().insert(alias.into(), fields);
    }

    /// All of them, sorted by family and alias.
    pub fn iter(&self) -> impl Iterator<Item = (ConnectionRef, &Map<String, Value>)> {
        self.families.iter().flat_map(|(family, aliases)| {
            aliases
                .iter()
                .map(move |(alias, fields)| (ConnectionRef { family: family.clone(), alias: alias.clone() }, fields))
        })
    }

    /// The aliases of a family that say `default: true`.
    fn defaults<'a>(&'a self, family: &str) -> Vec<&'a str> {
        let aliases = self.families.get(family).into_iter().flatten();
        aliases
            .filter(|(_, fields)| fields.get("default") == Some(&Value::Bool(true)))
            .map(|(alias, _)| alias.as_str())
            .collect()
    }

    /// Whether a step of the family that names no connection gets one.
    pub fn has_default(&self, family: &str) -> bool {
        !self.defaults(family).is_empty()
            || self.families.get(family).is_some_and(|aliases| aliases.contains_key("default"))
    }

    /// Finds what a step means: `reference` when given, else the alias with `default: true`, else the one called
    /// `default`.
    ///
    /// # Errors
    /// No such connection, no default, or two of them; the hint lists the existing connections.
    pub fn find(
        &self,
        family: &str,
        reference: Option<&ConnectionRef>,
    ) -> Result<(ConnectionRef, &Map<String, Value>)> {
        let known: Vec<String> =
            self.families.get(family).into_iter().flatten().map(|(alias, _)| format!("@{family}.{alias}")).collect();
        let list = || if known.is_empty() { "none is defined".to_owned() } else { known.join(", ") };
        let alias = match reference {
            Some(reference) if reference.family() != family => {
                return Err(Error::validation(format!("`{reference}` is not a connection of the family `{family}`"))
                    .with_code(Code::UnknownConnection)
                    .with_hint(format!("connections of `{family}`: {}", list())));
            }
            Some(reference) => reference.alias().to_owned(),
            None => match self.defaults(family).as_slice() {
                [one] => (*one).to_owned(),
                [] => "default".to_owned(),
                many => {
                    return Err(Error::validation(format!(
                        "two defaults in the family `{family}`: {}",
                        many.join(", ")
                    ))
                    .with_hint("keep `default: true` on one of them"));
                }
            },
        };
        match self.families.get(family).and_then(|aliases| aliases.get(&alias)) {
            Some(fields) => Ok((ConnectionRef { family: family.to_owned(), alias }, fields)),
            None if reference.is_some() => {
                let wanted = format!("@{family}.{alias}");
                let error = Error::validation(format!("no connection `{wanted}`")).with_code(Code::UnknownConnection);
                Err(match nearest(&wanted, known.iter().map(String::as_str)) {
                    Some(similar) => error.with_hint(format!("did you mean `{similar}`? There are: {}", list())),
                    None => error.with_hint(format!("connections of `{family}`: {}", list())),
                })
            }
            None => Err(Error::validation(format!("no connection given and no default one of the family `{family}`"))
                .with_code(Code::UnknownConnection)
                .with_hint(format!("name one as `connection: \"@{family}.alias\"`; there are: {}", list()))),
        }
    }

    /// Problems of the definitions themselves, such as two defaults in a family.
    pub fn problems(&self) -> Vec<Problem> {
        self.families
            .keys()
            .filter_map(|family| match self.defaults(family).as_slice() {
                [] | [_] => None,
                many => Some(
                    Problem::error(
                        format!("/connections/{family}"),
                        format!("two defaults in the family `{family}`: {}", many.join(", ")),
                    )
                    .with_hint("keep `default: true` on one of them"),
                ),
            })
            .collect()
    }
}

/// A connection as a driver gets it: with variables substituted, overrides applied, and values typed by its schema.
#[derive(Clone)]
pub struct ResolvedConnection {
    reference: Option<ConnectionRef>,
    fields: Value,
    redactor: Redactor,
    variables: BTreeSet<(String, bool)>,
    redirected: Vec<String>,
}

impl ResolvedConnection {
    /// A connection from plain fields, for embedders and tests; secrets are found by `schema`.
    pub fn from_fields(fields: Map<String, Value>, schema: &ConfigSchema) -> Self {
        let redactor = redactor_for(&fields, schema);
        Self {
            reference: None,
            fields: Value::Object(fields),
            redactor,
            variables: BTreeSet::new(),
            redirected: Vec::new(),
        }
    }

    /// A connection that a step writes itself. The headers among its fields are no secrets: they stand in the pipeline file, and one
    /// that may carry a credential is refused there.
    pub fn inline(fields: Map<String, Value>, schema: &ConfigSchema) -> Self {
        let are_headers = |name: &str| {
            let field = schema.field_named(name).unwrap_or(name);
            OverridePolicy::of(field, schema) == OverridePolicy::Headers
        };
        let guarded = fields.iter().filter(|(name, _)| !are_headers(name));
        let guarded = guarded.map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { redactor: redactor_for(&guarded, schema), ..Self::from_fields(fields, schema) }
    }

    /// No fields at all: what a component with an optional connection gets when the step names none.
    pub fn none() -> Self {
        Self {
            reference: None,
            fields: Value::Object(Map::new()),
            redactor: Redactor::default(),
            variables: BTreeSet::new(),
            redirected: Vec::new(),
        }
    }

    /// Which definition it came from.
    pub fn reference(&self) -> Option<&ConnectionRef> {
        self.reference.as_ref()
    }

    /// The fields. They hold secrets: never print or serialize them.
    pub fn fields(&self) -> &Value {
        &self.fields
    }

    /// Knows every secret of this connection.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// The overridden fields that change the address or the user of the definition.
    pub fn redirected(&self) -> &[String] {
        &self.redirected
    }

    /// The variables it was made from, with whether each had a value of its own.
    pub fn variables(&self) -> impl Iterator<Item = (&str, bool)> {
        self.variables.iter().map(|(name, set)| (name.as_str(), *set))
    }
}

impl fmt::Debug for ResolvedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reference {
            Some(reference) => write!(f, "ResolvedConnection({reference})"),
            None => f.write_str("ResolvedConnection(inline)"),
        }
    }
}

/// What describes a connection and is none of its fields, in every family: shown where connections are listed.
pub const LABELS: [&str; 2] = ["alias", "description"];

/// Whether `name` is a label of a connection, and no field of its family.
pub fn is_label(name: &str, schema: &ConfigSchema) -> bool {
    LABELS.contains(&name) && schema.field_named(name).is_none()
}

/// Removes the labels of a definition. A label is a text.
fn take_labels(fields: &mut Map<String, Value>, reference: &ConnectionRef, schema: &ConfigSchema) -> Vec<Problem> {
    let mut problems = Vec::new();
    for label in LABELS.into_iter().filter(|label| is_label(label, schema)) {
        if fields.remove(label).is_some_and(|value| value.is_array() || value.is_object()) {
            problems.push(Problem::error(format!("/{label}"), format!("`{label}` of {reference} must be a string")));
        }
    }
    problems
}

/// Resolves a definition: substitutes variables, applies the step's overrides by [policy](OverridePolicy), converts
/// values to the types of `schema`. Problems point into the definition; those of an override to `/` plus its field.
pub fn resolve(
    reference: &ConnectionRef,
    definition: &Map<String, Value>,
    overrides: &Map<String, Value>,
    schema: &ConfigSchema,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> (ResolvedConnection, Vec<Problem>) {
    let mut fields = definition.clone();
    fields.remove("default");
    let (listed, mut problems) = listed_overrides(fields.remove(OVERRIDES).as_ref(), reference, schema);
    problems.extend(take_labels(&mut fields, reference, schema));
    // What gives way to another field is not used and may lack its variable, but it is as secret.
    let unused = with_variables(schema.take_yielding(&mut fields), schema, lookup).0;
    problems.extend(schema.rename_aliases(&mut fields));
    let defined = with_variables(fields.clone(), schema, lookup).0;
    let (mut addresses, mut added) = (Vec::new(), Vec::new());
    for (name, value) in overrides {
        let field = schema.field_named(name).unwrap_or(name);
        let policy = OverridePolicy::of(field, schema);
        if let Some(problem) = refusal(policy, name, listed.contains(field), reference) {
            problems.push(problem);
            continue;
        }
        if policy == OverridePolicy::Headers {
            let (names, refused) = header::add(&mut fields, field, value, reference);
            problems.extend(refused);
            let is_literal = |name: &String| !has_variable(&value[name.as_str()]);
            added.extend(names.into_iter().filter(is_literal).map(|name| (field.to_owned(), name)));
            continue;
        }
        if policy == OverridePolicy::Address {
            addresses.push(field.to_owned());
        }
        if policy == OverridePolicy::Narrowed {
            match narrow(fields.get(field), value) {
                Some(narrowed) => drop(fields.insert(field.to_owned(), narrowed)),
                None => problems.push(
                    Problem::error(
                        format!("/{}", escape_field(name)),
                        format!("`{name}` must name a directory below the one of {reference}"),
                    )
                    .with_hint("write a relative path without `..`, or define another connection with it"),
                ),
            }
            continue;
        }
        fields.insert(field.to_owned(), value.clone());
    }
    let (value, substituted) = with_variables(fields, schema, lookup);
    addresses.retain(|field| value[field] != defined[field]);
    problems.extend(
        substituted
            .problems
            .into_iter()
            .map(|problem| Problem { message: format!("{} (in {reference})", problem.message), ..problem }),
    );
    let mut redactor = redactor_for(&without_literals(value.clone(), &added), schema);
    redactor.merge(&redactor_for(&without_literals(unused, &[]), schema));
    let resolved = ResolvedConnection {
        reference: Some(reference.clone()),
        fields: value,
        redactor,
        variables: substituted.variables,
        redirected: addresses,
    };
    (resolved, problems)
}

/// The fields without the headers that a step writes as they are: these stand in its pipeline file and are no secrets.
fn without_literals(mut value: Value, added: &[(String, String)]) -> Map<String, Value> {
    for (field, name) in added {
        if let Some(headers) = value[field.as_str()].as_object_mut() {
            headers.remove(name);
        }
    }
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn has_variable(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains("${"))
}

fn escape_field(name: &str) -> String {
    crate::config::escape(name)
}

fn with_variables(
    fields: Map<String, Value>,
    schema: &ConfigSchema,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> (Value, Substituted) {
    let mut value = Value::Object(fields);
    let substituted = substitute(&mut value, lookup);
    schema.coerce(&mut value, &substituted.whole);
    (value, substituted)
}

/// Every string below a secret field is a secret: one of the schema, or one that the schema does not know and that is
/// called like one. So are the passwords and tokens in the addresses of all fields, and a password in a user or a host.
fn redactor_for(fields: &Map<String, Value>, schema: &ConfigSchema) -> Redactor {
    let mut redactor = Redactor::default();
    for (name, value) in fields {
        let is_unknown = schema.field_named(name).is_none();
        if schema.is_secret(name) || (is_unknown && may_be_secret(name)) {
            add_strings(value, &mut redactor);
        }
        redactor.add_addresses_of(value);
        redactor.add_login(name, value.as_str().unwrap_or_default());
    }
    redactor
}

fn add_strings(value: &Value, redactor: &mut Redactor) {
    match value {
        Value::String(text) => redactor.add(text),
        Value::Array(items) => items.iter().for_each(|item| add_strings(item, redactor)),
        Value::Object(map) => map.values().for_each(|item| add_strings(item, redactor)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Database {
        host: String,
        port: Option<u16>,
        #[schemars(extend("x-aliases" = ["username"]))]
        user: Option<String>,
        password: Option<Secret>,
        pool_size: Option<u32>,
        #[schemars(extend("writeOnly" = true, "x-override" = "headers"))]
        headers: Option<BTreeMap<String, Secret>>,
    }

    fn connections(yaml: Value) -> Connections {
        let mut connections = Connections::default();
        for (family, aliases) in yaml.as_object().unwrap() {
            for (alias, fields) in aliases.as_object().unwrap() {
                connections.insert(family, alias, fields.as_object().unwrap().clone());
            }
        }
        connections
    }

    fn overrides(value: Value) -> (ResolvedConnection, Vec<Problem>) {
        let definition = json!({"host": "${H:-h}", "port": "${P}", "username": "u", "password": "s3cret!"});
        resolve(
            &"@db.main".parse().unwrap(),
            definition.as_object().unwrap(),
            value.as_object().unwrap(),
            &ConfigSchema::of::<Database>(),
            &|name| (name == "P").then(|| "3306".to_owned()),
        )
    }

    #[test]
    fn references_follow_their_grammar() {
        for good in ["@mysql.movies", "@a1_.B-2_"] {
            assert_eq!(good.parse::<ConnectionRef>().unwrap().to_string(), good);
        }
        for bad in ["mysql.movies", "@Mysql.x", "@mysql", "@mysql.", "@mysql.a.b", "@1a.b", "@mysql.a b"] {
            assert!(bad.parse::<ConnectionRef>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_default_is_found_and_ambiguity_refused() {
        let found = connections(json!({"db": {"a": {}, "b": {"default": true}}}));
        assert_eq!(found.find("db", None).unwrap().0.alias(), "b");
        let found = connections(json!({"db": {"a": {}, "default": {}}}));
        assert_eq!(found.find("db", None).unwrap().0.alias(), "default");
        let none = connections(json!({"db": {"a": {}, "b": {}}}));
        assert!(none.find("db", None).unwrap_err().hint().unwrap().contains("@db.a, @db.b"));
        let two = connections(json!({"db": {"a": {"default": true}, "b": {"default": true}}}));
        assert!(two.find("db", None).unwrap_err().message().contains("two defaults"));
        assert_eq!(two.problems().len(), 1);
    }

    #[test]
    fn a_misspelt_alias_suggests_the_right_one() {
        let found = connections(json!({"db": {"movies": {}}}));
        let error = found.find("db", Some(&"@db.movie".parse().unwrap())).unwrap_err();
        assert!(error.hint().unwrap().contains("did you mean `@db.movies`"), "{error:?}");
    }

    #[test]
    fn variables_take_the_type_of_their_field_and_secrets_reach_the_redactor() {
        let (resolved, problems) = overrides(json!({}));
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(resolved.fields(), &json!({"host": "h", "port": 3306, "user": "u", "password": "s3cret!"}));
        assert_eq!(resolved.redactor().scrub("is s3cret! here"), "is *** here");
        assert_eq!(resolved.variables().collect::<Vec<_>>(), [("H", false), ("P", true)]);
    }

    #[test]
    fn s35_a_step_goes_elsewhere_only_where_the_connection_lists_the_field() {
        let (resolved, problems) = overrides(json!({"host": "other", "user": "root"}));
        assert_eq!(problems.len(), 2, "{problems:?}");
        for problem in &problems {
            assert!(problem.is_error() && problem.hint.as_deref().unwrap().contains("`overrides: ["), "{problem:?}");
        }
        assert_eq!((&resolved.fields()["host"], resolved.redirected().len()), (&json!("h"), 0));

        let listed = |overrides: Value, step: Value| {
            let definition = json!({"host": "${H:-h}", "port": "${P}", "username": "u", "password": "s3cret!",
                "overrides": overrides});
            resolve(
                &"@db.main".parse().unwrap(),
                definition.as_object().unwrap(),
                step.as_object().unwrap(),
                &ConfigSchema::of::<Database>(),
                &|name| (name == "P").then(|| "3306".to_owned()),
            )
        };
        let step = json!({"host": "other", "user": "root", "port": 3306, "pool_size": 9});
        let (resolved, problems) = listed(json!(["host", "username", "port", "pool_size"]), step.clone());
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(resolved.redirected(), ["host", "user"], "the port is the same one");
        assert_eq!(
            resolved.fields(),
            &json!({"host": "other", "port": 3306, "user": "root", "password": "s3cret!", "pool_size": 9})
        );

        let (_, problems) = listed(json!(["hots", "password"]), json!({}));
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].hint.as_deref().unwrap().contains("did you mean `host`"), "{problems:?}");
        let (_, problems) = listed(json!("host"), json!({}));
        assert!(problems[0].message.contains("must be a list"), "{problems:?}");
    }

    #[test]
    fn g81_a_step_adds_headers_that_carry_no_credential() {
        let with = |headers: Value| {
            let definition = json!({"host": "h", "headers": {"X-Shop": "s3cret!!"}});
            resolve(
                &"@db.main".parse().unwrap(),
                definition.as_object().unwrap(),
                json!({"headers": headers}).as_object().unwrap(),
                &ConfigSchema::of::<Database>(),
                &|name| (name == "ID").then(|| "from-outside".to_owned()),
            )
        };
        let (resolved, problems) = with(json!({"X-Trace": "trace-1234", "X-Run": "${ID}"}));
        assert!(problems.is_empty(), "{problems:?}");
        let headers = json!({"X-Shop": "s3cret!!", "X-Trace": "trace-1234", "X-Run": "from-outside"});
        assert_eq!(resolved.fields()["headers"], headers);
        assert_eq!(resolved.redactor().scrub("s3cret!! trace-1234 from-outside"), "*** trace-1234 ***");
        for refused in [
            json!({"Authorization": "Bearer x"}),
            json!({"x-shop": "another"}),
            json!({"X-Shop": "s3cret!!"}),
            json!({"Host": "elsewhere"}),
            json!("X-Trace: 1"),
        ] {
            let (resolved, problems) = with(refused.clone());
            assert!(problems.len() == 1 && problems[0].is_error(), "{refused}: {problems:?}");
            assert_eq!(resolved.fields()["headers"], json!({"X-Shop": "s3cret!!"}));
        }
    }

    #[test]
    fn secrets_of_an_inline_connection_are_found_by_name_and_in_addresses_and_its_headers_are_none() {
        let fields = json!({"host": "https://u:s3cret!!@h/?sig=abcd1234", "headers": {"X-Trace": "trace-1234"},
            "unknown_token": "efgh5678", "user": "somebody1"});
        let schema = ConfigSchema::of::<Database>();
        let resolved = ResolvedConnection::inline(fields.as_object().unwrap().clone(), &schema);
        let text = "s3cret!! abcd1234 trace-1234 efgh5678 somebody1";
        assert_eq!(resolved.redactor().scrub(text), "*** *** trace-1234 *** somebody1");
        let all = ResolvedConnection::from_fields(fields.as_object().unwrap().clone(), &schema);
        assert_eq!(all.redactor().scrub(text), "*** *** *** *** somebody1");
    }

    #[test]
    fn a_password_in_the_user_or_the_host_is_a_secret() {
        let fields = json!({"host": "s3cret!!@h", "username": "u:hunter22"});
        let schema = ConfigSchema::of::<Database>();
        let resolved = ResolvedConnection::from_fields(fields.as_object().unwrap().clone(), &schema);
        assert_eq!(resolved.redactor().scrub("s3cret!!@h as u:hunter22"), "***@h as u:***");
    }

    #[test]
    fn what_leads_nowhere_else_is_free_or_refused() {
        for refused in [json!({"password": "x"}), json!({"pool_size": 9})] {
            let (resolved, problems) = overrides(refused);
            assert!(problems[0].is_error());
            assert_eq!(resolved.fields()["password"], "s3cret!");
        }
        for (name, is_address) in
            [("host", true), ("pg_host", true), ("custom_base_url", true), ("transport", false), ("pool_size", false)]
        {
            assert_eq!(OverridePolicy::is_called_an_address(name), is_address, "{name}");
        }
    }
}

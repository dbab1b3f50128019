//! What a server says of its own schema (GraphQL specification, section 4), as far as discovery needs it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The introspection query. Types are wrapped at most three times in practice: `[User!]!`.
pub(crate) const QUERY: &str = "query Discovery { __schema { queryType { name } types { kind name fields(includeDeprecated: true) \
     { name args { name defaultValue type { kind name } } \
     type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } }";

#[derive(Debug, Deserialize)]
pub(crate) struct Schema {
    #[serde(rename = "queryType")]
    query_type: Named,
    types: Vec<Type>,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Type {
    kind: TypeKind,
    name: String,
    fields: Option<Vec<SchemaField>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SchemaField {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) of: TypeRef,
    #[serde(default)]
    args: Vec<Argument>,
}

/// An argument of a field.
#[derive(Debug, Deserialize)]
struct Argument {
    name: String,
    #[serde(rename = "defaultValue")]
    default: Option<String>,
    #[serde(rename = "type")]
    of: TypeRef,
}

impl SchemaField {
    /// The type as the schema language writes it, with the arguments that the field cannot be selected without.
    pub(crate) fn written(&self) -> String {
        let needed: Vec<&str> = self
            .args
            .iter()
            .filter(|argument| argument.default.is_none() && !argument.of.is_nullable())
            .map(|argument| argument.name.as_str())
            .collect();
        match needed.as_slice() {
            [] => self.of.written(),
            needed => format!("{}, needs arguments: {}", self.of.written(), needed.join(", ")),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct TypeRef {
    kind: TypeKind,
    name: Option<String>,
    #[serde(rename = "ofType")]
    inner: Option<Box<TypeRef>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum TypeKind {
    Scalar,
    Object,
    Interface,
    Union,
    Enum,
    InputObject,
    List,
    NonNull,
    #[serde(other)]
    Unknown,
}

impl TypeRef {
    /// As the schema language writes it: `[User!]!`.
    pub(crate) fn written(&self) -> String {
        let inner = || self.inner.as_ref().map_or_else(|| "?".to_owned(), |inner| inner.written());
        match self.kind {
            TypeKind::NonNull => format!("{}!", inner()),
            TypeKind::List => format!("[{}]", inner()),
            _ => self.name.clone().unwrap_or_else(|| "?".to_owned()),
        }
    }

    /// Whether it can be null.
    pub(crate) fn is_nullable(&self) -> bool {
        self.kind != TypeKind::NonNull
    }

    /// Whether there is a list in it.
    pub(crate) fn is_list(&self) -> bool {
        self.kind == TypeKind::List || self.inner.as_ref().is_some_and(|inner| inner.is_list())
    }

    /// The name of the type inside of all wrappers.
    pub(crate) fn innermost(&self) -> &str {
        match &self.inner {
            Some(inner) => inner.innermost(),
            None => self.name.as_deref().unwrap_or("?"),
        }
    }
}

/// The members of a connection that lead to its rows: those of Relay, and what others call a list.
const ROWS: [&str; 4] = ["nodes", "edges", "items", "results"];

/// A schema by the names of its types.
pub(crate) struct Types<'a>(BTreeMap<&'a str, &'a Type>);

impl Schema {
    pub(crate) fn types(&self) -> Types<'_> {
        Types(self.types.iter().map(|one| (one.name.as_str(), one)).collect())
    }

    /// The fields of the query type.
    pub(crate) fn query_fields<'a>(&'a self, types: &Types<'a>) -> &'a [SchemaField] {
        types.fields(&self.query_type.name)
    }
}

impl<'a> Types<'a> {
    fn fields(&self, name: &str) -> &'a [SchemaField] {
        self.0.get(name).and_then(|one| one.fields.as_deref()).unwrap_or_default()
    }

    /// Whether values of the type have members.
    pub(crate) fn is_object(&self, name: &str) -> bool {
        let composite = |one: &&Type| matches!(one.kind, TypeKind::Object | TypeKind::Interface | TypeKind::Union);
        self.0.get(name).is_some_and(composite)
    }

    /// Whether the type is an enum.
    pub(crate) fn is_enum(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|one| one.kind == TypeKind::Enum)
    }

    /// The members of the rows that a field leads to: those of its type, or, where that is a connection, of what it connects to.
    pub(crate) fn row_fields(&self, field: &SchemaField) -> &'a [SchemaField] {
        let fields = self.fields(field.of.innermost());
        let list = ROWS.iter().find_map(|name| fields.iter().find(|inner| inner.name == *name && inner.of.is_list()));
        let Some(list) = list.filter(|_| !field.of.is_list()) else { return fields };
        let items = self.fields(list.of.innermost());
        match items.iter().find(|item| list.name == "edges" && item.name == "node") {
            Some(node) => self.fields(node.of.innermost()),
            None => items,
        }
    }
}

//! The operators of PostgREST and their SQL.

/// An operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    /// A binary operator, also in SQL.
    Infix(&'static str, &'static str),
    /// `in`.
    In,
    /// `is`.
    Is,
    /// A form of LIKE, where `*` means `%`.
    Like(&'static str, &'static str),
    /// Full-text search: its name, and the SQL function that builds the query.
    Search(&'static str, &'static str),
}

/// All of them but `in` and `is`.
const KNOWN: [Operator; 23] = [
    Operator::Infix("eq", "="),
    Operator::Infix("neq", "<>"),
    Operator::Infix("gt", ">"),
    Operator::Infix("gte", ">="),
    Operator::Infix("lt", "<"),
    Operator::Infix("lte", "<="),
    Operator::Infix("isdistinct", "IS DISTINCT FROM"),
    Operator::Infix("match", "~"),
    Operator::Infix("imatch", "~*"),
    Operator::Infix("cs", "@>"),
    Operator::Infix("cd", "<@"),
    Operator::Infix("ov", "&&"),
    Operator::Infix("sl", "<<"),
    Operator::Infix("sr", ">>"),
    Operator::Infix("nxr", "&<"),
    Operator::Infix("nxl", "&>"),
    Operator::Infix("adj", "-|-"),
    Operator::Like("like", "LIKE"),
    Operator::Like("ilike", "ILIKE"),
    Operator::Search("fts", "to_tsquery"),
    Operator::Search("plfts", "plainto_tsquery"),
    Operator::Search("phfts", "phraseto_tsquery"),
    Operator::Search("wfts", "websearch_to_tsquery"),
];

impl Operator {
    /// The operator by name, such as `gte`.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "in" => Some(Self::In),
            "is" => Some(Self::Is),
            _ => KNOWN.into_iter().find(|operator| operator.name() == name),
        }
    }

    /// The names of all.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        KNOWN.into_iter().map(Self::name).chain(["in", "is"])
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Is => "is",
            Self::Infix(name, _) | Self::Like(name, _) | Self::Search(name, _) => name,
        }
    }

    /// Whether it takes a list in the configuration as a PostgreSQL array.
    pub(super) fn takes_arrays(self) -> bool {
        matches!(self.name(), "cs" | "cd" | "ov" | "eq" | "neq" | "isdistinct")
    }
}

//! Parses `filter` of a configuration strictly and reports every problem. Invalid conditions are never sent.

use osiris_core::Problem;
use osiris_core::problem::nearest;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::condition::{Condition, Operand};
use super::name::ColumnPath;
use super::operand::{notation, operand};
use super::operator::Operator;

/// Row conditions: a map of columns to conditions, all of which must hold. A condition is a value (equal), `null`, a
/// list (any of them), a string in PostgREST syntax (`gte.18`, `not.like.*x*`), a list of such strings (all of them),
/// or a map of operators to values (`{gte: 18, lt: 65}`). `and`, `or`, `not.and` and `not.or` take lists of such maps,
/// or a string such as `(age.gte.18,status.eq.open)`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(from = "Map<String, Value>")]
pub struct Filter(#[schemars(with = "Map<String, Value>")] Result<Vec<Condition>, Vec<Problem>>);

impl From<Map<String, Value>> for Filter {
    fn from(map: Map<String, Value>) -> Self {
        let mut reader = Reader::default();
        let conditions = reader.map(&map, "");
        Self(if reader.problems.is_empty() { Ok(conditions) } else { Err(reader.problems) })
    }
}

impl Filter {
    /// All of its problems. Pure.
    pub(crate) fn problems(&self, pointer: &str) -> Vec<Problem> {
        let below = |problem: &Problem| Problem { pointer: format!("{pointer}{}", problem.pointer), ..problem.clone() };
        self.0.as_ref().err().into_iter().flatten().map(below).collect()
    }

    /// Its conditions, all of which must hold.
    ///
    /// # Errors
    /// Its problems: no row is read or written by a filter that is not valid.
    pub(crate) fn conditions(&self) -> osiris_core::Result<&[Condition]> {
        self.0.as_deref().map_err(|problems| osiris_core::problem::error_of(problems, "`filter`"))
    }

    /// As PostgREST query parameters: names and values, not URL-encoded.
    #[cfg(test)]
    pub(crate) fn query(&self) -> Vec<(String, String)> {
        self.conditions().unwrap().iter().map(Condition::parameter).collect()
    }

    /// As a SQL condition, without WHERE.
    ///
    /// # Errors
    /// For features that only REST supports.
    pub(crate) fn sql(&self) -> Result<String, String> {
        match self.conditions().map_err(|error| error.to_string())? {
            [] => Ok("TRUE".to_owned()),
            conditions => Condition::All(conditions.to_vec()).sql(),
        }
    }
}

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn map(&mut self, map: &Map<String, Value>, pointer: &str) -> Vec<Condition> {
        let mut conditions = Vec::new();
        for (name, value) in map {
            let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            match name.as_str() {
                "and" => conditions.extend(self.tree(value, &pointer).map(Condition::All)),
                "or" => conditions.extend(self.tree(value, &pointer).map(Condition::Any)),
                "not.and" => conditions.extend(self.tree(value, &pointer).map(Condition::All).map(not)),
                "not.or" => conditions.extend(self.tree(value, &pointer).map(Condition::Any).map(not)),
                _ => match ColumnPath::parse(name) {
                    Ok(column) => conditions.extend(self.column(&column, value, &pointer)),
                    Err(why) => self.refuse(&pointer, why, "put names with other characters in double quotes"),
                },
            }
        }
        conditions
    }

    /// The operands of `and` or `or`; the conditions of each map must hold together.
    fn tree(&mut self, value: &Value, pointer: &str) -> Option<Vec<Condition>> {
        if let Value::String(text) = value {
            let before = self.problems.len();
            let conditions = self.tree_text(text, pointer);
            if conditions.is_none() && self.problems.len() == before {
                self.refuse(
                    pointer,
                    format!("`{text}` is not a list of conditions"),
                    "write `(age.gte.18,status.eq.open)`",
                );
            }
            return conditions;
        }
        let Some(maps) = value.as_array().filter(|maps| !maps.is_empty()) else {
            self.refuse(pointer, "must be a list of conditions", "write `or: [{status: open}, {age: {gte: 18}}]`");
            return None;
        };
        let mut all = Vec::new();
        for (index, map) in maps.iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            let Some(map) = map.as_object().filter(|map| !map.is_empty()) else {
                self.refuse(&pointer, "must be a map of conditions", "write `{column: condition}`");
                continue;
            };
            let mut conditions = self.map(map, &pointer);
            if let Some(column) = conditions.iter().flat_map(Condition::columns).find(|c| !c.resources.is_empty()) {
                let message = format!("`{}` is a column of an embedded resource", column.query());
                self.refuse(&pointer, message, "move its conditions out of `and` and `or`");
            }
            match conditions.len() {
                1 => all.append(&mut conditions),
                _ => all.push(Condition::All(conditions)),
            }
        }
        Some(all)
    }

    /// `(a.eq.1,or(b.gt.2,c.is.null))`; `None` if it has another form.
    fn tree_text(&mut self, text: &str, pointer: &str) -> Option<Vec<Condition>> {
        let inside = text.trim().strip_prefix('(')?.strip_suffix(')')?;
        let mut conditions = Vec::new();
        for part in super::select::split(inside) {
            let (negated, bare) = part.trim().strip_prefix("not.").map_or((false, part.trim()), |bare| (true, bare));
            let group = if bare.starts_with("and(") { Some(3) } else { bare.starts_with("or(").then_some(2) };
            let condition = match group {
                Some(3) => Condition::All(self.tree_text(&bare[3..], pointer)?),
                Some(length) => Condition::Any(self.tree_text(&bare[length..], pointer)?),
                None => {
                    let (column, rest) = ColumnPath::read_own(bare).ok()?;
                    let (operator, value) = notation(rest.strip_prefix('.')?)?;
                    let value = match super::name::read_name(value) {
                        Ok((unquoted, "")) if value.starts_with('"') => unquoted,
                        _ => value.to_owned(),
                    };
                    self.operation(&column, operator, &Value::from(value), pointer)?
                }
            };
            conditions.push(if negated { not(condition) } else { condition });
        }
        Some(conditions)
    }

    fn column(&mut self, column: &ColumnPath, value: &Value, pointer: &str) -> Vec<Condition> {
        match value {
            Value::Array(texts) if !texts.is_empty() && texts.iter().all(is_notation) => {
                texts.iter().flat_map(|text| self.column(column, text, pointer)).collect()
            }
            Value::Null => vec![compare(column, false, Operator::Is, Operand::Word("null"))],
            Value::Array(_) => self.operation(column, "in", value, pointer).into_iter().collect(),
            Value::String(text) => match notation(text) {
                Some((operator, rest)) => {
                    self.operation(column, operator, &Value::from(rest), pointer).into_iter().collect()
                }
                None => self.operation(column, "eq", value, pointer).into_iter().collect(),
            },
            Value::Object(operations) if operations.is_empty() => {
                self.refuse(pointer, "has no operator", "write `{gte: 18}`");
                Vec::new()
            }
            Value::Object(operations) => operations
                .iter()
                .filter_map(|(operator, value)| {
                    self.operation(column, operator, value, &format!("{pointer}/{operator}"))
                })
                .collect(),
            _ => self.operation(column, "eq", value, pointer).into_iter().collect(),
        }
    }

    fn operation(&mut self, column: &ColumnPath, name: &str, value: &Value, pointer: &str) -> Option<Condition> {
        let (negated, bare) = name.strip_prefix("not.").map_or((false, name), |rest| (true, rest));
        let (bare, language) = match bare.strip_suffix(')').and_then(|bare| bare.split_once('(')) {
            Some((bare, language)) => (bare, Some(language.to_owned())),
            None => (bare, None),
        };
        let Some(operator) = Operator::named(bare) else {
            let hint = match nearest(bare, Operator::names()) {
                Some(similar) => format!("did you mean `{similar}`?"),
                None => format!("operators of PostgREST: {}", Operator::names().collect::<Vec<_>>().join(", ")),
            };
            self.refuse(pointer, format!("`{bare}` is not an operator"), hint);
            return None;
        };
        let operand = match operand(operator, language, value) {
            Ok(operand) => operand,
            Err(hint) => {
                self.refuse(pointer, format!("`{}` does not take this value", operator.name()), hint);
                return None;
            }
        };
        Some(compare(column, negated, operator, operand))
    }

    fn refuse(&mut self, pointer: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem::error(pointer, message).with_hint(hint));
    }
}

fn compare(column: &ColumnPath, negated: bool, operator: Operator, operand: Operand) -> Condition {
    Condition::Compare { column: column.clone(), negated, operator, operand }
}

fn not(condition: Condition) -> Condition {
    Condition::Not(Box::new(condition))
}

fn is_notation(value: &Value) -> bool {
    value.as_str().is_some_and(|text| notation(text).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filter(value: Value) -> Filter {
        serde_json::from_value(value).unwrap()
    }

    fn query(value: Value) -> String {
        let filter = filter(value);
        assert_eq!(filter.problems(""), []);
        filter.query().iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }

    fn sql(value: Value) -> String {
        filter(value).sql().unwrap()
    }

    #[test]
    fn a_filter_that_is_not_valid_has_no_conditions_and_no_sql() {
        let invalid = filter(json!({"a": "eq.1", "or": []}));
        assert_eq!(invalid.problems("/filter")[0].pointer, "/filter/or");
        assert!(invalid.conditions().unwrap_err().to_string().contains("must be a list of conditions"));
        assert!(invalid.sql().unwrap_err().contains("must be a list of conditions"));
        assert_eq!(sql(json!({})), "TRUE");
    }

    #[test]
    fn every_way_of_writing_a_condition_becomes_one_parameter() {
        for (value, expected) in [
            (json!({"status": "open"}), "status=eq.open"),
            (json!({"status": "eq.open.door"}), "status=eq.open.door"),
            (json!({"n": 5}), "n=eq.5"),
            (json!({"big": 9_223_372_036_854_775_807_i64}), "big=eq.9223372036854775807"),
            (json!({"done": false}), "done=eq.false"),
            (json!({"at": null}), "at=is.null"),
            (json!({"at": {"not.is": null}}), "at=not.is.null"),
            (json!({"at": "not.is.null"}), "at=not.is.null"),
            (json!({"n": {"gte": 1, "lt": 9}}), "n=gte.1&n=lt.9"),
            (json!({"c": ["a", "b,c", "d\"e"]}), r#"c=in.("a","b,c","d\"e")"#),
            (json!({"c": r#"in.(a,"b,c")"#}), r#"c=in.("a","b,c")"#),
            (json!({"t": "like.*x*"}), "t=like.*x*"),
            (json!({"tags": {"cs": ["a", "b\"c"]}}), r#"tags=cs.{"a","b\"c"}"#),
            (json!({"data": {"cs": {"a": 1}}}), r#"data=cs.{"a":1}"#),
            (json!({"doc": "wfts(english).fat or cat"}), r#"doc=wfts(english)."fat or cat""#),
            (json!({"or": [{"a": 1}, {"b": "gt.x,y", "c": null}]}), r#"or=(a.eq."1",and(b.gt."x,y",c.is.null))"#),
            (json!({"n": ["gte.1", "lt.9"]}), "n=gte.1&n=lt.9"),
            (
                json!({"not.or": "(a.eq.1,b.not.in.(1,2),and(c.is.null,d->>x.like.*,\"e f\".eq.\"x,y\"))"}),
                r#"not.or=(a.eq."1",b.not.in.("1","2"),and(c.is.null,d->>x.like."*","e f".eq."x,y"))"#,
            ),
            (json!({"select": 1, "a b": 2}), "\"select\"=eq.1&\"a b\"=eq.2"),
            (json!({"data->>k": "v", "author.name": "x"}), "data->>k=eq.v&author.name=eq.x"),
        ] {
            assert_eq!(query(value.clone()), expected, "{value}");
        }
    }

    #[test]
    fn the_same_conditions_are_sql_in_which_no_value_escapes() {
        for (value, expected) in [
            (json!({"a": "it's"}), r#"("a" = 'it''s')"#),
            (json!({"a": "x\\' OR 1=1 --"}), r#"("a" = E'x\\'' OR 1=1 --')"#),
            (json!({"a\" b": 1}), ""),
            (json!({"a": {"not.in": [1, 2]}}), r#"(NOT ("a" IN ('1', '2')))"#),
            (json!({"t": "ilike.*x*"}), r#"("t" ILIKE '%x%')"#),
            (json!({"or": [{"a": null}, {"b": true}]}), r#"(("a" IS NULL OR "b" = 'true'))"#),
            (json!({"doc": "fts(german).haus"}), r#"("doc" @@ to_tsquery('german', 'haus'))"#),
            (json!({}), "TRUE"),
        ] {
            if expected.is_empty() {
                assert!(!filter(value).problems("").is_empty());
            } else {
                assert_eq!(sql(value), expected);
            }
        }
    }

    #[test]
    fn all_problems_are_named_with_their_places() {
        let wrong = json!({
            "a": {"gtee": 1}, "b": {"is": 5}, "c": [], "d": {"like": ["x"]}, "": 1, "or": {"x": 1}, "and": [5], "e": "in.1,2",
            "f": {}, "g": {"eq(any)": 1}, "h": {"eq": null},
            "not.and": "a.eq.1",
        });
        let found: Vec<String> = filter(wrong).problems("/filter").iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(found.join("\n"), @"
        filter.a.gtee: `gtee` is not an operator (did you mean `gte`?)
        filter.b.is: `is` does not take this value (expected `null`, `true`, `false` or `unknown`)
        filter.c: `in` does not take this value (the list is empty: no row would match)
        filter.d.like: `like` does not take this value (write a single value)
        filter.: missing name before `` (put names with other characters in double quotes)
        filter.or: must be a list of conditions (write `or: [{status: open}, {age: {gte: 18}}]`)
        filter.and.0: must be a map of conditions (write `{column: condition}`)
        filter.e: `in` does not take this value (write a list (`[1, 2]`) or PostgREST's `in.(1,2)`)
        filter.f: has no operator (write `{gte: 18}`)
        filter.g.eq(any): `eq` does not take this value (only full-text search takes an argument in parentheses: the name of a text search configuration)
        filter.h.eq: `eq` does not take this value (write `{is: null}` or `{not.is: null}`)
        filter.not.and: `a.eq.1` is not a list of conditions (write `(age.gte.18,status.eq.open)`)
        ");
    }
}

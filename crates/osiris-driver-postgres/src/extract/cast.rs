//! Precision and scale of computed numeric columns. The protocol has them, but the client library hides them, and the
//! catalog only knows tables; the plan of a query shows its casts.
//!
//! The result is a promise of the query, not of the data: a value with more digits is an error when it arrives.

use osiris_core::{Error, Result};
use serde_json::Value;

use crate::client::Session;

const CONTEXT: &str = "reading the precision of computed columns";

/// Plan nodes that combine the rows of several queries, of which the plan shows only one.
const SEVERAL: [&str; 4] = ["Append", "Merge Append", "SetOp", "Recursive Union"];

/// The type modifiers of the columns of `sql` that are casts to a numeric with precision, in order; `None` for the
/// others.
///
/// # Errors
/// When the server rejects the statement.
pub(super) async fn modifiers(session: &mut Session, sql: &str) -> Result<Vec<Option<i32>>> {
    let plan = session.scalar(&format!("EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON)\n{sql}"), CONTEXT).await?;
    let plan: Value = serde_json::from_str(plan.as_deref().unwrap_or("null"))
        .map_err(|error| Error::unknown("the server's plan is not valid JSON").with_source(error))?;
    Ok(shown(&plan[0]["Plan"]))
}

fn shown(plan: &Value) -> Vec<Option<i32>> {
    let mut node = plan;
    while !node.is_null() {
        if node["Node Type"].as_str().is_some_and(|kind| SEVERAL.contains(&kind)) {
            return Vec::new();
        }
        node = &node["Plans"][0];
    }
    plan["Output"].as_array().into_iter().flatten().map(|expression| modifier(expression.as_str()?)).collect()
}

/// The modifier of an expression that is cast as a whole: `(a * b)::numeric(12,2)`.
fn modifier(expression: &str) -> Option<i32> {
    let expression = unwrapped(expression);
    let (operand, digits) = expression.rsplit_once("::numeric(")?;
    let whole = unwrapped(operand) != operand || is_constant(operand);
    let (precision, scale) = digits.strip_suffix(')')?.split_once(',')?;
    let (precision, scale): (i32, i32) = (precision.parse().ok()?, scale.parse().ok()?);
    whole.then_some(((precision << 16) | (scale & 0x7ff)) + 4)
}

/// The expression without outer parentheses.
fn unwrapped(mut expression: &str) -> &str {
    while let Some(inner) = expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        if !is_balanced(inner) {
            break;
        }
        expression = inner;
    }
    expression
}

/// Whether parentheses are balanced. Quoted ones count too: an expression they unbalance is ignored.
fn is_balanced(text: &str) -> bool {
    let mut depth = 0_i32;
    for byte in text.bytes() {
        depth += i32::from(byte == b'(') - i32::from(byte == b')');
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

/// Whether the expression is a constant.
fn is_constant(operand: &str) -> bool {
    let quoted = operand.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    match quoted {
        Some(inner) => !inner.contains('\''),
        None => !operand.is_empty() && operand.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn digits(precision: i32, scale: i32) -> Option<i32> {
        Some(((precision << 16) | (scale & 0x7ff)) + 4)
    }

    #[test]
    fn only_a_cast_of_the_whole_expression_counts() {
        for (expression, expected) in [
            ("(x)::numeric(12,2)", digits(12, 2)),
            ("((x)::numeric(12,2))", digits(12, 2)),
            ("((sum(a) * '2'::numeric))::numeric(38,0)", digits(38, 0)),
            ("'1.50'::numeric(5,2)", digits(5, 2)),
            ("1.500::numeric(5,3)", digits(5, 3)),
            ("(t.x)::numeric(3,-2)", digits(3, -2)),
            ("x", None),
            ("(x)::numeric", None),
            ("(a + (x)::numeric(12,2))", None),
            ("((a)::text || ((x)::numeric(12,2))::text)", None),
            ("f((x)::numeric(12,2))", None),
            ("(a) + (x)::numeric(12,2)", None),
            ("('a' || ')')::numeric(12,2)", None),
        ] {
            assert_eq!(modifier(expression), expected, "{expression}");
        }
    }

    #[test]
    fn a_plan_of_several_queries_is_not_believed() {
        let leaf = json!({"Node Type": "Result", "Output": ["(1)::numeric(5,2)", "x"]});
        assert_eq!(shown(&leaf), [digits(5, 2), None]);
        let sorted =
            json!({"Node Type": "Sort", "Output": ["((x)::numeric(5,2))"], "Plans": [{"Node Type": "Append"}]});
        assert_eq!(shown(&sorted), []);
    }
}

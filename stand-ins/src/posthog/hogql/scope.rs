//! Expressions: names, literals, comparisons and the few functions that are supported.

use chrono::NaiveDateTime;
use osiris_core::store::{quote, quote_text};
use sqlparser::ast::{
    BinaryOperator, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, OrderByKind,
    OrderBySort, Query, Select, SelectItem, UnaryOperator, Value,
};

use super::{Read, Refused, ResultColumn, refused, unsupported};
use crate::posthog::fields::{Kept, Table};

/// An expression in SQL, with its type.
pub(super) struct Typed {
    pub(super) sql: String,
    clickhouse: String,
    kept: Kept,
}

impl Typed {
    fn new(sql: impl Into<String>, clickhouse: &str, kept: Kept) -> Self {
        Self { sql: sql.into(), clickhouse: clickhouse.to_owned(), kept }
    }
}

/// Where names are looked up.
pub(super) struct Scope {
    pub(super) table: Option<&'static Table>,
    pub(super) offset: i32,
}

impl Scope {
    pub(super) fn projection(&self, select: &Select) -> Read<(String, Vec<ResultColumn>)> {
        let mut sql = Vec::new();
        let mut columns = Vec::new();
        let mut add = |name: &str, typed: Typed| {
            sql.push(format!("{} AS {}", typed.sql, quote(name)));
            columns.push(ResultColumn { name: name.to_owned(), clickhouse: typed.clickhouse, kept: typed.kept });
        };
        for item in &select.projection {
            match item {
                SelectItem::Wildcard(_) => {
                    for field in self.table.into_iter().flat_map(|table| table.fields) {
                        add(field.name, self.field(field.name)?);
                    }
                }
                SelectItem::UnnamedExpr(expression) => {
                    let name = match expression {
                        Expr::Identifier(name) => name.value.clone(),
                        other => other.to_string(),
                    };
                    add(&name, self.expression(expression)?);
                }
                SelectItem::ExprWithAlias { expr, alias } => add(&alias.value, self.expression(expr)?),
                other => return Err(unsupported(other)),
            }
        }
        Ok((sql.join(", "), columns))
    }

    pub(super) fn order(&self, query: &Query) -> Read<String> {
        let Some(order) = &query.order_by else { return Ok(String::new()) };
        let OrderByKind::Expressions(expressions) = &order.kind else { return Err(unsupported("ORDER BY ALL")) };
        let mut keys = Vec::new();
        for key in expressions {
            let direction = match &key.options.sort {
                None | Some(OrderBySort::Asc) => "ASC",
                Some(OrderBySort::Desc) => "DESC",
                Some(_) => return Err(unsupported("ORDER BY USING")),
            };
            keys.push(format!("{} {direction}", self.expression(&key.expr)?.sql));
        }
        Ok(format!(" ORDER BY {}", keys.join(", ")))
    }

    /// The conditions on time alone, by which ClickHouse can skip rows.
    pub(super) fn scanned(&self, condition: &Expr) -> Read<String> {
        let mut conjuncts = Vec::new();
        self.conjuncts(condition, &mut conjuncts)?;
        Ok(if conjuncts.is_empty() { String::new() } else { format!(" WHERE {}", conjuncts.join(" AND ")) })
    }

    fn conjuncts(&self, condition: &Expr, found: &mut Vec<String>) -> Read<()> {
        match condition {
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.conjuncts(left, found)?;
                self.conjuncts(right, found)
            }
            Expr::Nested(inside) => self.conjuncts(inside, found),
            Expr::BinaryOp { left, .. } => {
                let time = self.table.and_then(|table| table.time);
                if matches!(left.as_ref(), Expr::Identifier(name) if Some(name.value.as_str()) == time) {
                    found.push(self.expression(condition)?.sql);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn field(&self, name: &str) -> Read<Typed> {
        if name == "person" {
            return Err(refused("Can't select a table when a column is expected: person"));
        }
        let field = self.table.and_then(|table| table.field(name));
        let field = field
            .ok_or_else(|| Refused { code: "unresolved_field", detail: format!("Unable to resolve field: {name}") })?;
        Ok(Typed::new(format!("t.{}", quote(name)), field.clickhouse, field.kept))
    }

    pub(super) fn expression(&self, expression: &Expr) -> Read<Typed> {
        match expression {
            Expr::Identifier(name) => self.field(&name.value),
            Expr::Nested(inside) => {
                let inside = self.expression(inside)?;
                Ok(Typed { sql: format!("({})", inside.sql), ..inside })
            }
            Expr::Value(value) => constant(&value.value),
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => {
                Ok(Typed::new(format!("NOT ({})", self.expression(expr)?.sql), "UInt8", Kept::Flag))
            }
            Expr::BinaryOp { left, op, right } => {
                let op = operator(op)?;
                let (left, right) = (self.expression(left)?, self.expression(right)?);
                Ok(Typed::new(format!("{} {op} {}", left.sql, right.sql), "UInt8", Kept::Flag))
            }
            Expr::InList { expr, list, negated } => {
                let items = list.iter().map(|item| Ok(self.expression(item)?.sql)).collect::<Read<Vec<_>>>()?;
                let not = if *negated { " NOT" } else { "" };
                let sql = format!("{}{not} IN ({})", self.expression(expr)?.sql, items.join(", "));
                Ok(Typed::new(sql, "UInt8", Kept::Flag))
            }
            Expr::Function(function) => self.function(function),
            other => Err(unsupported(other)),
        }
    }

    fn function(&self, function: &Function) -> Read<Typed> {
        let FunctionArguments::List(list) = &function.args else { return Err(unsupported(function)) };
        let distinct = matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct));
        let arguments = list.args.iter().map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Ok(expression),
            other => Err(unsupported(other)),
        });
        let arguments: Vec<&Expr> = arguments.collect::<Read<_>>()?;
        match (function.name.to_string().as_str(), arguments.as_slice()) {
            ("count", []) => Ok(Typed::new("count(*)::BIGINT", "UInt64", Kept::Whole)),
            ("count", [one]) if distinct => {
                Ok(Typed::new(format!("count(DISTINCT {})::BIGINT", self.expression(one)?.sql), "UInt64", Kept::Whole))
            }
            ("toString", [one]) => {
                Ok(Typed::new(format!("CAST({} AS VARCHAR)", self.expression(one)?.sql), "String", Kept::Text))
            }
            ("toDateTime64", [at, digits]) => self.timestamp(at, digits, self.offset),
            ("toDateTime64", [at, digits, zone]) if text(zone) == Some("UTC") => self.timestamp(at, digits, 0),
            _ => Err(unsupported(function)),
        }
    }

    /// A timestamp with the given number of fractional digits.
    fn timestamp(&self, at: &Expr, digits: &Expr, offset: i32) -> Read<Typed> {
        let (Some(at), Some(digits)) = (text(at), whole(digits).filter(|digits| *digits <= 6)) else {
            return Err(refused("toDateTime64 takes a text and a number of digits"));
        };
        let local = NaiveDateTime::parse_from_str(at, "%Y-%m-%d %H:%M:%S%.f")
            .map_err(|_| refused(format!("Cannot parse DateTime64: {at}")))?;
        let utc = local - chrono::TimeDelta::seconds(offset.into());
        let coarse = 10_i64.pow(u32::try_from(6 - digits).unwrap_or(0));
        let micros = utc.and_utc().timestamp_micros().div_euclid(coarse) * coarse;
        let clickhouse = format!("DateTime64({digits}, 'UTC')");
        Ok(Typed::new(format!("make_timestamp({micros})"), &clickhouse, Kept::Timestamp))
    }
}

fn constant(value: &Value) -> Read<Typed> {
    match value {
        Value::SingleQuotedString(text) => Ok(Typed::new(quote_text(text), "String", Kept::Text)),
        Value::Number(number, _) => Ok(Typed::new(format!("CAST({number} AS BIGINT)"), "UInt8", Kept::Whole)),
        Value::Boolean(flag) => Ok(Typed::new(flag.to_string(), "Bool", Kept::Flag)),
        other => Err(unsupported(other)),
    }
}

fn operator(op: &BinaryOperator) -> Read<&'static str> {
    Ok(match op {
        BinaryOperator::And => "AND",
        BinaryOperator::Or => "OR",
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::Lt => "<",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Gt => ">",
        BinaryOperator::GtEq => ">=",
        other => return Err(unsupported(other)),
    })
}

pub(super) fn whole(expression: &Expr) -> Option<u64> {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

fn text(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

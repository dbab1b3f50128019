//! Rows that are checked before they are read, for sources that keep bad rows apart: nothing of a row that is refused may
//! add or widen a column.

use std::fmt;

use super::super::column::{Column, Value};
use super::super::cursor::{Cursor, MAX_DEPTH, ParseError, kind};
use super::super::document::Row;
use super::super::names::{Names, Place};
use super::RowDecoder;
use crate::ColumnType;

/// Why a row is refused: names of members, no values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    column: Option<String>,
    reason: String,
    is_about_constant: bool,
}

impl RowFault {
    /// The column of the value that does not fit, if it is about one.
    pub fn column(&self) -> Option<&str> {
        self.column.as_deref()
    }

    /// The reason, such as `expected an object, found a list`.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether the row is valid, but has a member of the name that every row [gets](RowDecoder::set_constant): another name
    /// is needed for that, not another row.
    pub fn is_about_constant(&self) -> bool {
        self.is_about_constant
    }
}

impl fmt::Display for RowFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(f, "column `{column}`: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl From<String> for RowFault {
    fn from(reason: String) -> Self {
        Self { column: None, reason, is_about_constant: false }
    }
}

impl From<ParseError> for RowFault {
    fn from(error: ParseError) -> Self {
        Self::from(match error {
            ParseError::Ended => "the JSON is incomplete".to_owned(),
            ParseError::Syntax(at) => format!("not valid JSON at byte {at}"),
            ParseError::TooDeep => format!("nested deeper than {MAX_DEPTH} levels"),
        })
    }
}

impl RowDecoder {
    /// Checks a row that must be an object, without reading it: its grammar, that no member of it occurs twice, that columns
    /// can have the names of its members, and that its values fit the [types](super::super::RowOptions::with_types) that were
    /// set. [`push`](Self::push) takes what passes.
    ///
    /// # Errors
    /// The first fault of the row.
    pub fn check(&mut self, row: &Row<'_>) -> Result<(), RowFault> {
        self.checked += 1;
        let mut cursor = Cursor::new(row.as_str());
        let first = cursor.peek()?;
        if first != b'{' {
            cursor.skip()?;
            cursor.end()?;
            return Err(RowFault::from(format!("expected an object, found {}", kind(first))));
        }
        let constant = self.check_object(&mut cursor)?;
        cursor.end()?;
        let Some(at) = constant else { return Ok(()) };
        let reason = format!("the key `{}` is the name of an added column", self.names.key(Names::ROOT, at));
        Err(RowFault { is_about_constant: true, ..RowFault::from(reason) })
    }

    /// Whether a column can have this type: JSON has values for it, as they are or as text.
    pub fn can_have(column_type: &ColumnType) -> bool {
        Column::can_be(column_type)
    }

    /// Gives every row from the next one on this member, such as the name of the file that it comes from. A row that has one
    /// itself, ignoring case, does not pass [`check`](Self::check).
    pub fn set_constant(&mut self, name: &str, value: &str) {
        self.constant = Some((self.names.constant(name), value.into()));
    }

    /// The columns so far, in their order.
    pub fn columns(&self) -> &[String] {
        self.names.columns()
    }

    /// The keys of all rows so far, of those too that were refused or have no column.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.names.keys()
    }

    /// Checks the members. Returns the one that has the name of the constant.
    fn check_object(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<usize>, RowFault> {
        cursor.expect(b'{')?;
        if cursor.eat(b'}')? {
            return Ok(None);
        }
        let (mut likely, mut constant) = (0, None);
        loop {
            let at = self.member(cursor, Names::ROOT, likely)?;
            if !self.names.mark(Names::ROOT, at, self.checked) {
                let key = self.names.key(Names::ROOT, at);
                return Err(RowFault::from(format!("the key `{key}` occurs more than once")));
            }
            let member = self.names.member(Names::ROOT, at);
            if member.has_nul && member.kept {
                let reason = "a key has the character U+0000, which no column name can have";
                return Err(RowFault::from(reason.to_owned()));
            }
            if member.constant {
                constant = Some(at);
            }
            let json = cursor.skip()?;
            if member.kept && !self.types.is_empty() {
                self.check_value(at, json)?;
            }
            likely = at + 1;
            if !cursor.another(b'}')? {
                return Ok(constant);
            }
        }
    }

    /// Checks the value of a member that is kept against the type that its column must have.
    fn check_value(&self, at: usize, json: &str) -> Result<(), RowFault> {
        let key = self.names.key(Names::ROOT, at);
        if let Some(Place::Column(column)) = self.names.known_place(Names::ROOT, at) {
            return self.columns.get(column).map_or(Ok(()), |column| fits(column, key, json));
        }
        self.types.get(key).map_or(Ok(()), |column_type| fits(&Column::typed(column_type), key, json))
    }
}

fn fits(column: &Column, key: &str, json: &str) -> Result<(), RowFault> {
    let fits = match json.as_bytes().first() {
        None | Some(b'n') => true,
        Some(b'"') => column.fits(Value::Text(&Cursor::new(json).string()?.unescaped().0)),
        Some(b'{' | b'[') => column.fits(Value::Json(json)),
        Some(b't') => column.fits(Value::Bool(true)),
        Some(b'f') => column.fits(Value::Bool(false)),
        Some(_) => column.fits(Value::Number(json)),
    };
    if fits {
        return Ok(());
    }
    let name = match column.column_type() {
        Some(ColumnType::Instant) => "TIMESTAMPTZ".to_owned(),
        Some(column_type) => column_type.to_string(),
        None => "text".to_owned(),
    };
    Err(RowFault { column: Some(key.to_owned()), ..RowFault::from(format!("the value is not {name}")) })
}

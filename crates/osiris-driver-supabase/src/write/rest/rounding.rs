//! Detects numbers that the server has rounded. The API does not report the scale of a `numeric` column, so what it
//! returns is compared with what was sent: late, but not silently.

use osiris_core::{ColumnType, Error, Result};
use osiris_http::{Bytes, Document, RowPath};

use super::field::Field;

/// The columns whose values may be rounded.
pub(super) fn at_risk(fields: &[Field]) -> Vec<String> {
    let has_fraction = |column_type: &ColumnType| match column_type {
        ColumnType::Decimal(_, scale) => *scale > 0,
        ColumnType::Float | ColumnType::Double | ColumnType::Varchar => true,
        _ => false,
    };
    let risky = fields.iter().filter(|field| field.conversion.is_numeric());
    risky.filter(|field| has_fraction(&field.source.column_type)).map(|field| field.target.clone()).collect()
}

/// Compares the values of `columns` in the rows that were sent with those in the response, row by row.
///
/// # Errors
/// When a value has lost digits.
pub(super) fn verify(columns: &[String], sent: &Bytes, answered: &Document) -> Result<()> {
    if columns.is_empty() {
        return Ok(());
    }
    let sent = Document::parse(sent.clone(), &RowPath::root())?;
    if sent.row_count() != answered.row_count() {
        return Ok(());
    }
    for (before, after) in sent.rows().zip(answered.rows()) {
        for name in columns {
            let (Some(before), Some(after)) = (before.get(name), after.get(name)) else { continue };
            let (Some(before), Some(after)) = (before.text(), after.text()) else { continue };
            if is_rounded(&before, &after) {
                return Err(Error::integrity(format!(
                    "column `{name}` of the table has fewer decimal places than the input: PostgreSQL rounded its values"
                ))
                .with_context("rounded rows", "written")
                .with_hint("round in an earlier step, or give the column more decimal places; over the database such rows are rejected before"));
            }
        }
    }
    Ok(())
}

/// Whether one number is the other, rounded.
fn is_rounded(sent: &str, kept: &str) -> bool {
    let (Some((sent, digits)), Some((kept, left))) = (parse(sent), parse(kept)) else { return false };
    let Some(unit) = digits.checked_sub(left).and_then(|lost| 10_i128.checked_pow(lost)) else { return false };
    if sent % unit == 0 {
        return false;
    }
    let half = if sent < 0 { -unit / 2 } else { unit / 2 };
    sent.checked_add(half).is_some_and(|sum| sum / unit == kept)
}

/// The digits of a number without its decimal point, and its scale. `None` for an exponent, or more than 38 digits.
fn parse(text: &str) -> Option<(i128, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    Some((format!("{whole}{fraction}").parse().ok()?, u32::try_from(fraction.len()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_has_lost_digits_is_told_from_one_that_has_not() {
        for (sent, kept) in [("1.005", "1.01"), ("-1.005", "-1.01"), ("0.4", "0"), ("2.5", "3"), ("1.0049", "1.00")] {
            assert!(is_rounded(sent, kept), "{sent} {kept}");
        }
        for (sent, kept) in
            [("1.500", "1.5"), ("1.5", "1.50"), ("1.005", "7.00"), ("NaN", "NaN"), ("1e300", "1"), ("3", "3")]
        {
            assert!(!is_rounded(sent, kept), "{sent} {kept}");
        }
    }

    #[test]
    fn the_column_is_named() {
        let sent = Bytes::from_static(br#"[{"id":1,"p":1.5},{"id":2,"p":1.005}]"#);
        let answer = Bytes::from_static(br#"[{"p":1.50},{"p":1.01}]"#);
        let answer = Document::parse(answer, &RowPath::root()).unwrap();
        let error = verify(&["p".to_owned()], &sent, &answer).unwrap_err();
        assert!(error.message().contains("`p`"), "{error:?}");
        assert!(verify(&[], &sent, &answer).is_ok());
    }
}

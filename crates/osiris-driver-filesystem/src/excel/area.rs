//! The part of a sheet to read, and the names of cells.

use osiris_core::Problem;

/// How many rows and columns a sheet has at most.
const MOST_ROWS: u32 = 1 << 20;
const MOST_COLUMNS: u32 = 1 << 14;

/// Rows and columns from 0, the last ones included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) top: u32,
    pub(super) bottom: u32,
    pub(super) left: u32,
    right: u32,
    /// How many columns it has, if it does not reach to the end of the sheet.
    pub(super) width: Option<usize>,
}

impl Area {
    /// All of a sheet.
    const ALL: Self = Self { top: 0, bottom: MOST_ROWS - 1, left: 0, right: MOST_COLUMNS - 1, width: None };

    /// The area as configured.
    ///
    /// # Errors
    /// A problem with its notation.
    pub(super) fn parse(range: Option<&str>) -> Result<Self, Problem> {
        let Some(text) = range else { return Ok(Self::ALL) };
        Self::named(text).ok_or_else(|| {
            Problem::error("/range", format!("invalid range `{text}`"))
                .with_hint("write the first and the last cell, such as `B2:F100`, or columns such as `B:F`")
        })
    }

    fn named(text: &str) -> Option<Self> {
        let (first, last) = text.trim().split_once(':')?;
        let ((left, top), (right, bottom)) = (corner(first)?, corner(last)?);
        let (top, bottom) = (top.unwrap_or(0), bottom.unwrap_or(MOST_ROWS - 1));
        let width = usize::try_from(right.checked_sub(left)?).ok()? + 1;
        (top <= bottom).then_some(Self { top, bottom, left, right, width: Some(width) })
    }

    /// The position of a column in the area.
    pub(super) fn place(&self, column: u32) -> Option<usize> {
        let inside = (self.left..=self.right).contains(&column);
        if inside { usize::try_from(column - self.left).ok() } else { None }
    }

    /// The letters of the column at a place.
    pub(super) fn letters(&self, place: usize) -> String {
        let mut number = usize::try_from(self.left).unwrap_or_default() + place + 1;
        let mut letters = Vec::new();
        while number > 0 {
            let letter = u8::try_from((number - 1) % 26).unwrap_or_default();
            letters.push(char::from(b'A' + letter));
            number = (number - 1) / 26;
        }
        letters.iter().rev().collect()
    }
}

/// `B2` or `B`, also with `$`: a column and a row, from 0.
fn corner(text: &str) -> Option<(u32, Option<u32>)> {
    let text = text.trim().replace('$', "").to_ascii_uppercase();
    let end = text.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(text.len());
    let (letters, digits) = text.split_at(end);
    if !(1..=3).contains(&letters.len()) {
        return None;
    }
    let column = letters.bytes().fold(0, |sum, letter| sum * 26 + u32::from(letter - b'A') + 1) - 1;
    let row = match digits {
        "" => None,
        digits if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            Some(digits.parse::<u32>().ok()?.checked_sub(1)?)
        }
        _ => return None,
    };
    (column < MOST_COLUMNS && row.is_none_or(|row| row < MOST_ROWS)).then_some((column, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_name_cells_or_columns() {
        let area = |text: &str| Area::parse(Some(text)).unwrap();
        assert_eq!(area("B2:F100"), Area { top: 1, bottom: 99, left: 1, right: 5, width: Some(5) });
        assert_eq!(area("$b$2:f100"), area("B2:F100"));
        assert_eq!(area("B:B"), Area { top: 0, bottom: MOST_ROWS - 1, left: 1, right: 1, width: Some(1) });
        assert_eq!((area("A5:XFD").top, area("A5:XFD").right), (4, MOST_COLUMNS - 1));
        for text in ["B2", "B2:A3", "B3:C2", "2:3", "B0:C4", "A1:XFE2", "A1:B1048577", "", "A1:B2:C3", "A-1:B2"] {
            assert!(Area::parse(Some(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn columns_have_letters() {
        for (place, letters) in [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA"), (16_383, "XFD")] {
            assert_eq!(Area::ALL.letters(place), letters);
        }
    }
}

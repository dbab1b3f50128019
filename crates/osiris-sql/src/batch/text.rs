//! Text columns, whose encoding is checked for a whole batch at once: checking many short values one by one is slow.

use arrow::array::{BinaryArray, StringArray};

/// The bytes as texts.
///
/// # Errors
/// The index of the first that is no UTF-8.
pub fn texts(bytes: BinaryArray) -> Result<StringArray, usize> {
    StringArray::try_from_binary(bytes.clone()).map_err(|_| {
        let wrong = |text: Option<&[u8]>| text.is_some_and(|text| std::str::from_utf8(text).is_err());
        bytes.iter().position(wrong).unwrap_or(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_nulls_come_out_as_they_went_in() {
        let bytes = BinaryArray::from(vec![Some("ů".as_bytes()), None, Some(b"")]);
        assert_eq!(texts(bytes), Ok(StringArray::from(vec![Some("ů"), None, Some("")])));
    }

    #[test]
    fn a_text_that_is_no_utf8_is_found_even_where_the_next_one_completes_it() {
        let (first, second) = "ů".as_bytes().split_at(1);
        assert_eq!(texts(BinaryArray::from(vec![b"a", first, second])), Err(1));
    }
}

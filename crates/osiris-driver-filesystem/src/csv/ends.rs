//! Finds where fields end, 64 bytes at a time: most fields are so short that a search for the end of each takes longer.

use memchr::memchr3;
use wide::u8x16;

const BLOCK: usize = 64;
const LANES: usize = 16;

/// The places of delimiters and line ends in a buffer.
#[derive(Debug, Clone)]
pub(super) struct FieldEnds {
    delimiter: u8,
    /// Where the bytes begin that were looked at.
    start: usize,
    /// How many: none or a block.
    length: usize,
    /// A bit for each of them: whether it is a delimiter or a line end.
    found: u64,
}

impl FieldEnds {
    pub(super) fn new(delimiter: u8) -> Self {
        Self { delimiter, start: 0, length: 0, found: 0 }
    }

    /// To be called when the bytes have moved or grown.
    pub(super) fn forget(&mut self) {
        self.length = 0;
    }

    /// The first delimiter or line end at or behind `from`.
    #[inline]
    pub(super) fn next(&mut self, bytes: &[u8], from: usize) -> Option<usize> {
        let passed = from.wrapping_sub(self.start);
        if passed >= self.length {
            return self.search(bytes, from);
        }
        match self.found >> passed {
            0 => self.search(bytes, self.start + BLOCK),
            found => Some(from + first(found)),
        }
    }

    fn search(&mut self, bytes: &[u8], mut from: usize) -> Option<usize> {
        while let Some(block) = bytes.get(from..).and_then(<[u8]>::first_chunk) {
            (self.start, self.length, self.found) = (from, BLOCK, ends(block, self.delimiter));
            if self.found != 0 {
                return Some(from + first(self.found));
            }
            from += BLOCK;
        }
        memchr3(self.delimiter, b'\n', b'\r', bytes.get(from..)?).map(|found| from + found)
    }
}

fn first(found: u64) -> usize {
    found.trailing_zeros() as usize
}

fn ends(block: &[u8; BLOCK], delimiter: u8) -> u64 {
    let [delimiter, lf, cr] = [delimiter, b'\n', b'\r'].map(u8x16::splat);
    let (parts, _) = block.as_chunks::<LANES>();
    parts.iter().rev().fold(0, |found, part| {
        let part = u8x16::new(*part);
        let ends = part.simd_eq(delimiter) | part.simd_eq(lf) | part.simd_eq(cr);
        found << LANES | u64::from(ends.to_bitmask())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_end_is_found_from_everywhere(
            bytes in prop::collection::vec(prop::sample::select(b"aaaaaaaaaaaaaaaaaaaaaa,;\n\r\"\xff\x00".to_vec()), 0..300),
            starts in prop::collection::vec(0..300_usize, 0..20),
        ) {
            let mut ends = FieldEnds::new(b',');
            for from in starts.into_iter().chain(0..bytes.len()) {
                let wanted = bytes.iter().enumerate().skip(from).find(|(_, byte)| b",\n\r".contains(byte));
                prop_assert_eq!(ends.next(&bytes, from), wanted.map(|(at, _)| at));
            }
        }
    }
}

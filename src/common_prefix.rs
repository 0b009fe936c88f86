//! How much two sequences share at their beginning.
//!
//! Asked for every key and of whole prompts, so it compares many at once. Pure.

/// Elements compared at once.
const STRIDE: usize = 64;

/// The number of elements at the start that both have.
pub(crate) fn common_prefix<T: PartialEq>(a: &[T], b: &[T]) -> usize {
    let strides = a.chunks_exact(STRIDE).zip(b.chunks_exact(STRIDE));
    let same = STRIDE * strides.take_while(|(x, y)| x == y).count();
    let rest = a.iter().zip(b).skip(same);
    same + rest.take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_texts_share_is_found_byte_by_byte() {
        let long = "x".repeat(3 * STRIDE);
        for at in [0, 1, STRIDE - 1, STRIDE, STRIDE + 1, 3 * STRIDE] {
            let mut other = long.clone();
            other.insert(at, 'y');
            assert_eq!(common_prefix(long.as_bytes(), other.as_bytes()), at);
            let shorter = &long.as_bytes()[..at];
            assert_eq!(common_prefix(long.as_bytes(), shorter), at);
        }
    }
}
